"""What a process remembers of values: for how long each serves, and what takes its place."""

from __future__ import annotations

import logging
import time

import pytest

from lambdasecrets import Parameter, Secret
from lambdasecrets._clock import Moment, now
from lambdasecrets._memory import Got, Memory
from lambdasecrets._settings import Ages
from lambdasecrets._sources.request import RawValue, Request
from lambdasecrets.errors import (
    AccessDeniedError,
    DeadlineExceededError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    InvalidValueError,
    NotFoundError,
    NoTokenError,
    Permission,
    ProtocolError,
    ResolutionError,
    ServerError,
    Subject,
    TokenRejectedError,
    UnresolvedError,
)

SUBJECT = Subject("app.handler", ("x",), ("Secret('s')",))
SECRET = Request("/s", Secret("s"), SUBJECT)
PARAMETER = Request("/p", Parameter("/p"), SUBJECT)
OPTIONAL = Request("/s", Secret("s"), SUBJECT, is_optional=True)
OLD, NEW, NEWEST = RawValue("old", None, "1"), RawValue("new", None, "2"), RawValue("newest", None, "3")
NONE = Ages(0.0, 0.0)
UNRESOLVED = UnresolvedError(SUBJECT, [Permission("a", "b")])
TRANSIENT = [
    ExtensionUnavailableError(SUBJECT, 2773, 1.0),
    ExtensionNotReadyError(SUBJECT, 1.0),
    DeadlineExceededError(SUBJECT, 1.0, "timeout"),
    ServerError(SUBJECT, 500, 1, 1.0),
    UNRESOLVED,
]
LASTING = [
    NoTokenError(SUBJECT),
    TokenRejectedError(SUBJECT, 401),
    ProtocolError(SUBJECT, 200, "is wrong"),
    NotFoundError(SUBJECT, "ResourceNotFoundException", 400, [Permission("a", "b")]),
    AccessDeniedError(SUBJECT, "AccessDeniedException", 400, [Permission("a", "b")]),
    InvalidValueError(SUBJECT, "int", ()),
]


def ago(seconds: float) -> Moment:
    """Give a moment in the past."""
    return Moment(time.monotonic() - seconds, time.time() - seconds)


def filled(seconds: float, ages: Ages, raw: RawValue = OLD) -> Memory:
    """Make a memory that was told a value some seconds ago."""
    memory = Memory()
    memory.judged(SECRET, raw, ages, ago(seconds))
    return memory


def remembered(memory: Memory, request: Request, fresh: float) -> Got | None:
    """Ask a memory for one value."""
    return memory.known([request], fresh, now()).get(request.path)


# --- max_age ------------------------------------------------------------------------------------------------------


def test_knows_nothing_at_first() -> None:
    """A new memory has no value, no absence, and takes nothing for cached."""
    memory = Memory()
    assert (remembered(memory, SECRET, 60.0), remembered(memory, OPTIONAL, 60.0)) == (None, None)
    assert (memory.are_likely_cached([SECRET], now()), memory.is_from_agent(SECRET)) == (False, False)


@pytest.mark.parametrize(("age", "known"), [(0.0, Got(OLD, "memory")), (59.0, Got(OLD, "memory")), (61.0, None)])
def test_a_value_serves_for_its_age(age: float, known: Got | None) -> None:
    """A value is used again for `max_age` seconds, and not after."""
    assert remembered(filled(age, Ages(60.0, 0.0)), SECRET, 60.0) == known


def test_an_age_counts_on_the_clock_that_went_further() -> None:
    """A value is as old as either clock says: the monotonic one stands still while the environment is frozen."""
    memory = Memory()
    memory.judged(SECRET, OLD, Ages(60.0, 0.0), Moment(time.monotonic(), time.time() - 61.0))
    assert remembered(memory, SECRET, 60.0) is None


def test_without_an_age_no_value_is_kept() -> None:
    """Where no option could use a value again it is not in memory at all."""
    memory = filled(0.0, NONE)
    assert (remembered(memory, SECRET, 60.0), any(held.raw for held in memory._held.values())) == (None, False)


def test_a_handler_keeps_what_another_one_needs() -> None:
    """A handler without ages does not take from memory what a handler with ages has put there."""
    memory = filled(10.0, Ages(60.0, 0.0))
    memory.judged(SECRET, NEW, NONE, now())
    assert (None, Got(NEW, "memory")) == (remembered(memory, SECRET, 0.0), remembered(memory, SECRET, 60.0))


# --- Versions -----------------------------------------------------------------------------------------------------


def test_tells_a_changed_version() -> None:
    """A value whose version is another than the last time is marked; the first one is not."""
    memory = Memory()
    assert [Got(raw, "server", changed) for raw, changed in ((OLD, False), (OLD, False), (NEW, True))] == [
        memory.judged(SECRET, raw, NONE, now()) for raw in (OLD, OLD, NEW)
    ]


@pytest.mark.parametrize(("request_", "ttl"), [(SECRET, "SECRETS_MANAGER_TTL"), (PARAMETER, "SSM_PARAMETER_STORE_TTL")])
@pytest.mark.parametrize(
    ("age", "setting", "likely"),
    [
        (299.0, None, True),
        (301.0, None, False),
        (9.0, "10", True),
        (11.0, "10", False),
        (0.0, "0", False),
        (301.0, "900", False),
    ],
)
def test_what_the_extension_has_at_hand(
    monkeypatch: pytest.MonkeyPatch, *, request_: Request, ttl: str, age: float, setting: str | None, likely: bool
) -> None:
    """A value is likely in the extension's cache for the extension's own time to live, 300 s at the most."""
    if setting is not None:
        monkeypatch.setenv(ttl, setting)
    memory = Memory()
    memory.judged(request_, OLD, NONE, ago(age))
    assert memory.are_likely_cached([request_], now()) is likely


def test_tells_the_agent() -> None:
    """Who answered last is known, by the answer's shape."""
    memory = filled(0.0, NONE, RawValue("old", None, "1", from_agent=True))
    assert memory.is_from_agent(SECRET)
    memory.judged(SECRET, OLD, NONE, now())
    assert not memory.is_from_agent(SECRET)


# --- stale_if_error -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_a_stale_value_serves_after_a_transient_failure(
    error: ResolutionError, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failure that may pass the last good value serves, with a warning that tells why and how old it is."""
    memory = filled(100.0, Ages(0.0, 120.0))
    assert memory.judged(SECRET, error, Ages(0.0, 120.0), now()) == Got(OLD, "stale")
    assert [("WARNING", f"{error} Serving the last good value, 100 s old.")] == [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_a_lasting_failure_has_no_stale_value(error: ResolutionError) -> None:
    """A failure that lasts is an error, whatever is in memory."""
    assert filled(0.0, Ages(0.0, 120.0)).judged(SECRET, error, Ages(0.0, 120.0), now()) is error


@pytest.mark.parametrize(("age", "ages"), [(121.0, Ages(0.0, 120.0)), (1.0, NONE)], ids=["too old", "not wanted"])
def test_a_value_that_is_too_stale(age: float, ages: Ages) -> None:
    """A value older than allowed does not serve, nor where nothing stale is wanted."""
    assert filled(age, Ages(0.0, 120.0)).judged(SECRET, UNRESOLVED, ages, now()) is UNRESOLVED


def test_without_a_value_there_is_none_to_serve() -> None:
    """A failure of the first answer is an error, as is one where the value was not kept."""
    assert Memory().judged(SECRET, UNRESOLVED, Ages(0.0, 120.0), now()) is UNRESOLVED
    assert filled(0.0, NONE).judged(SECRET, UNRESOLVED, Ages(0.0, 120.0), now()) is UNRESOLVED


# --- Absence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "known"), [(0.0, Got(None, "default")), (59.0, Got(None, "default")), (61.0, None)])
def test_an_absence_is_remembered(age: float, known: Got | None) -> None:
    """That an optional value does not exist is known for 60 s."""
    memory = Memory()
    assert memory.judged(OPTIONAL, UNRESOLVED, NONE, ago(age)) == Got(None, "default")
    assert remembered(memory, OPTIONAL, 0.0) == known


def test_an_absence_counts_for_optional_values_only() -> None:
    """A handler that needs the value asks, whatever another one was told."""
    memory = Memory()
    memory.judged(OPTIONAL, UNRESOLVED, NONE, now())
    assert remembered(memory, SECRET, 0.0) is None
    assert memory.judged(SECRET, UNRESOLVED, NONE, now()) is UNRESOLVED


def test_a_value_ends_its_absence() -> None:
    """A value that exists now is not absent any more."""
    memory = Memory()
    memory.judged(OPTIONAL, UNRESOLVED, NONE, now())
    memory.judged(OPTIONAL, OLD, NONE, now())
    assert remembered(memory, OPTIONAL, 0.0) is None


def test_warns_once_of_a_default_that_may_hide_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """The extension's generic answer uses the default with one warning, which says what it may hide."""
    memory = Memory()
    for _ in range(3):
        memory.judged(OPTIONAL, UNRESOLVED, NONE, now())
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        (
            "Using the default of 'x' of app.handler, Secret('s'): the extension does not tell a value that does not "
            "exist from one that the role may not read."
        )
    ]


def test_does_not_warn_where_the_answer_is_clear(caplog: pytest.LogCaptureFixture) -> None:
    """The agent says that a value does not exist: there is nothing to warn of."""
    error = NotFoundError(SUBJECT, "ResourceNotFoundException", 400, [Permission("a", "b")])
    assert Memory().judged(OPTIONAL, error, NONE, now()) == Got(None, "default")
    assert caplog.records == []


@pytest.mark.parametrize("error", [TRANSIENT[0], LASTING[4]], ids=lambda error: type(error).__name__)
def test_no_other_failure_uses_a_default(error: ResolutionError) -> None:
    """A failure that does not speak of absence is an error for an optional value too."""
    assert Memory().judged(OPTIONAL, error, NONE, now()) is error


# --- Past the extension -------------------------------------------------------------------------------------------


def test_a_newer_value_takes_the_place_of_the_old_one() -> None:
    """While the extension answers with the version that was replaced, the newer value stands in for it."""
    memory = filled(0.0, NONE)
    memory.supersede(SECRET, NEW, now())
    assert [Got(NEW, "server", True), Got(NEW, "server")] == [memory.judged(SECRET, OLD, NONE, now()) for _ in range(2)]


def test_a_newer_value_is_of_its_own_request() -> None:
    """What one request has newer is nothing to another one."""
    memory = filled(0.0, NONE)
    memory.supersede(SECRET, NEW, now())
    assert memory.judged(PARAMETER, OLD, NONE, now()) == Got(OLD, "server")


def test_a_newer_value_is_used_for_as_long_as_the_extension_can_be_behind() -> None:
    """After 300 s the extension has asked AWS itself, and its answer counts."""
    memory = filled(400.0, NONE)
    memory.supersede(SECRET, NEW, ago(301.0))
    assert memory.judged(SECRET, OLD, NONE, now()) == Got(OLD, "server")
    assert memory.judged(SECRET, OLD, NONE, now()) == Got(OLD, "server")


def test_a_version_that_is_newer_still_counts() -> None:
    """A version that the newer value did not replace is the extension's own news."""
    memory = filled(0.0, NONE)
    memory.supersede(SECRET, NEW, now())
    assert memory.judged(SECRET, NEWEST, NONE, now()) == Got(NEWEST, "server", True)


def test_replaces_every_version_before_it() -> None:
    """After two rotations both old versions are replaced by the newest."""
    memory = filled(0.0, NONE)
    memory.supersede(SECRET, NEW, now())
    memory.judged(SECRET, NEW, NONE, now())
    memory.supersede(SECRET, NEWEST, now())
    assert [got.raw for raw in (OLD, NEW) if isinstance(got := memory.judged(SECRET, raw, NONE, now()), Got)] == [
        NEWEST,
        NEWEST,
    ]


@pytest.mark.parametrize("fetched", [OLD, UNRESOLVED], ids=["same version", "error"])
def test_what_does_not_replace(fetched: RawValue | ResolutionError) -> None:
    """The same version, or an error, replaces nothing; nor does a value where none was known."""
    memory = filled(0.0, NONE)
    memory.supersede(SECRET, fetched, now())
    Memory().supersede(SECRET, NEW, now())
    assert (memory._newer, memory.judged(SECRET, OLD, NONE, now())) == ({}, Got(OLD, "server"))
