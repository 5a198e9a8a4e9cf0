"""What both transports build on."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from lambdasecrets._hiding import Token
from lambdasecrets._transports import Answer, is_raised_by, is_sendable

TEXT = "IQoJb3JpZ2luX2VjE-canary"


def test_a_token_gives_its_text_by_a_call() -> None:
    """What is to be sent is what the token was made of."""
    assert Token(TEXT).reveal() == TEXT


def test_a_token_shows_nothing() -> None:
    """Neither its text forms nor its attributes, nor those of its attributes, hold the text."""
    token = Token(TEXT)
    shown = [repr(token), str(token), f"{token}", repr(token.reveal)]
    walked = [repr(getattr(token, name)) for name in dir(token)]
    deeper = [repr(getattr(token.reveal, name, None)) for name in dir(token.reveal)]
    assert [text for text in shown + walked + deeper if TEXT in text] == []


def test_a_token_goes_through_frames() -> None:
    """A traceback that shows the locals of its frames does not show the text of a token among them."""

    def send(token: Token) -> None:
        raise RuntimeError

    token = Token(TEXT)
    with pytest.raises(RuntimeError) as caught:
        send(token)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "token = Token()" in shown
    assert TEXT not in shown


def test_a_token_is_not_written_down() -> None:
    """A token cannot be pickled; a copy of it is a token."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(Token(TEXT))
    assert copy.deepcopy(Token(TEXT)).reveal() == TEXT


def test_an_answer_shows_no_body() -> None:
    """The text of an answer has its status, and nothing of its body."""
    assert repr(Answer(200, b"a secret")) == "Answer(status=200)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/secretsmanager/get?secretId=a%2Fb", True),
        ("127.0.0.1", True),
        ("fe80::1%eth0", True),
        ("", False),
        ("/a b", False),
        ("/a\r\nHost: b", False),
        ("/a\n", False),
        ("/a\x7f", False),
        ("/Zoë", False),
        ("/\udcff", False),
    ],
)
def test_what_a_request_can_carry(text: str, *, expected: bool) -> None:
    """Visible ASCII characters, and at least one."""
    assert expected == is_sendable(text)


def test_who_raised_an_exception() -> None:
    """The frame that raised it says so, not those that it went through."""
    with pytest.raises(ZeroDivisionError) as own:
        _ = 1 / 0
    with pytest.raises(json.JSONDecodeError) as foreign:
        json.loads("{")
    here, there = frozenset({"tests"}), frozenset({"json", "socket"})
    raised_by = [is_raised_by(error.value, packages) for error in (own, foreign) for packages in (here, there)]
    assert raised_by == [True, False, False, True]


def test_who_made_an_exception_that_nobody_raised() -> None:
    """A library wraps exceptions that it made itself: such a one has no traceback, and a signal handler's has."""
    assert is_raised_by(OSError(), frozenset())
