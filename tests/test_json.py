from typing import Any, cast

import pytest

from lambdasecrets._json import JsonFault, find_fault, parse_json, parse_object


@pytest.mark.parametrize(
    ("expected", "text"),
    [({"a": [1, None]}, '{"a": [1, null]}'), (5, b"5"), (None, "null"), (None, "{"), (None, b"\xff"), (None, "\ud800")],
)
def test_parsed_json(expected: Any, text: str | bytes) -> None:
    """JSON is parsed; what is none reads as None."""
    assert expected == parse_json(text)


@pytest.mark.parametrize(("expected", "text"), [({"a": 1}, '{"a": 1}'), ({}, "[1]"), ({}, "{")])
def test_parsed_object(expected: Any, text: str | bytes) -> None:
    """A JSON object is parsed; what is none reads as an object without members."""
    assert expected == parse_object(text)


def test_no_text_is_kept() -> None:
    """No text of a value stays in pydantic's cache, neither a member nor a name: each parsing makes new ones."""
    text = '{"hunter2-name": "hunter2-value"}'
    first, second = (next(iter(cast("dict[str, str]", parse_json(text)).items())) for _ in range(2))
    assert first == second
    assert [one for one, other in zip(first, second, strict=True) if one is other] == []


def test_only_names_of_a_server_are_kept() -> None:
    """Of what a server says only the names of its members are kept, which are no secret."""
    text = '{"SecretString": "hunter2-value"}'
    first, second = (parse_object(text)["SecretString"] for _ in range(2))
    assert first == second
    assert first is not second


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (None, '{"a": 1}'),
        (None, "null"),
        (JsonFault("trailing comma", 1, 8), '{"a":1,}'),
        (JsonFault("expected value", 2, 1), "\nhunter2"),
        (JsonFault("", 1, 1), "\ud800"),
    ],
)
def test_fault(expected: JsonFault | None, text: str) -> None:
    """What is no JSON has a cause and a place; what is JSON has no fault."""
    assert expected == find_fault(text)
