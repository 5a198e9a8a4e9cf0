"""What a process remembers of values: for how long each serves, and what takes its place."""

from __future__ import annotations

import logging
import time

import pytest

from lambdasecrets import Parameter, Secret
from lambdasecrets._clock import Moment, read_moment
from lambdasecrets._memory import MOST_NAMES, Memory, SourcedValue
from lambdasecrets._settings import Ages
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import (
    AccessDeniedError,
    AwsUnavailableError,
    CredentialsUnavailableError,
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
    TooManyOpenFilesError,
    UnresolvedError,
)

SUBJECT = Subject("app.handler", ("x",), ("Secret('s')",))
SECRET = Request("/s", Secret("s"), SUBJECT)
PARAMETER = Request("/p", Parameter("/p"), SUBJECT)
OPTIONAL = Request("/s", Secret("s"), SUBJECT, is_optional=True)
PREVIOUS = Request("/s?previous", Secret("s", version_stage="AWSPREVIOUS"), SUBJECT, is_optional=True)
OLD, NEW, NEWEST = RawValue("old", None, "1"), RawValue("new", None, "2"), RawValue("newest", None, "3")
NONE = Ages(0.0, 0.0)
PERMISSIONS = (Permission("a", "b"),)
UNRESOLVED = UnresolvedError(SUBJECT, PERMISSIONS)
NOT_FOUND = NotFoundError(SUBJECT, "ResourceNotFoundException", 400, PERMISSIONS)
TRANSIENT = [
    ExtensionUnavailableError(SUBJECT, 2773, 1.0),
    ExtensionNotReadyError(SUBJECT, 1.0),
    DeadlineExceededError(SUBJECT, 1.0, "timeout"),
    ServerError(SUBJECT, 500, 1, 1.0),
    CredentialsUnavailableError(SUBJECT, "answered 500"),
    AwsUnavailableError(SUBJECT, "https://ssm.us-east-1.amazonaws.com", "ConnectTimeoutError"),
    TooManyOpenFilesError(SUBJECT),
    UNRESOLVED,
]
LASTING = [
    NoTokenError(SUBJECT),
    TokenRejectedError(SUBJECT, 401),
    ProtocolError(SUBJECT, 200, "is wrong"),
    NOT_FOUND,
    AccessDeniedError(SUBJECT, "AccessDeniedException", 400, PERMISSIONS),
    InvalidValueError(SUBJECT, "int", ()),
]
DEFAULT = SourcedValue(None, "default")


def ago(seconds: float) -> Moment:
    """Give a moment in the past."""
    return Moment(time.monotonic() - seconds, time.time() - seconds)


def filled(seconds: float, ages: Ages, raw: RawValue = OLD) -> Memory:
    """Make a memory that was told a value some seconds ago."""
    memory = Memory()
    memory.record(SECRET, raw, ages, ago(seconds))
    return memory


def look_up(memory: Memory, request: Request, fresh: float, *, from_aws: bool = False) -> tuple[object, str] | None:
    """Ask a memory for one value: what it is and where it is from."""
    found = memory.look_up([request], fresh, read_moment(), from_aws=from_aws).get(request.path)
    return None if found is None else (found.raw, found.source)


def count_values(memory: Memory) -> int:
    """Count the raw values that a memory holds."""
    entries = memory._entries.values()
    values = [value for entry in entries for value in (entry.kept and entry.kept.raw, entry.from_aws, entry.newer)]
    return len([value for value in values if value is not None])


# --- max_age ------------------------------------------------------------------------------------------------------


def test_knows_nothing_at_first() -> None:
    """A new memory has no value, no absence, and takes nothing for cached."""
    memory = Memory()
    assert (look_up(memory, SECRET, 60.0), look_up(memory, OPTIONAL, 60.0)) == (None, None)
    assert not memory.are_likely_cached([SECRET], read_moment())
    assert memory.find_fingerprint(SECRET.path) is None


@pytest.mark.parametrize(
    ("age", "known"), [(0.0, (OLD, "memory")), (59.0, (OLD, "memory")), (61.0, None), (-5.0, None)]
)
def test_a_value_serves_for_its_age(age: float, known: object) -> None:
    """A value is used again for `max_age` seconds, and not after; one from the future is not fresh."""
    assert known == look_up(filled(age, Ages(60.0, 0.0)), SECRET, 60.0)


def test_tells_the_age_of_what_it_gives() -> None:
    """A value from memory says how old it is."""
    found = filled(10.0, Ages(60.0, 0.0)).look_up([SECRET], 60.0, read_moment())
    assert round(found[SECRET.path].age) == 10


def test_an_age_counts_on_the_clock_that_went_further() -> None:
    """A value is as old as either clock says: the monotonic one stands still while the environment is frozen."""
    memory = Memory()
    memory.record(SECRET, OLD, Ages(60.0, 0.0), Moment(time.monotonic(), time.time() - 61.0))
    assert look_up(memory, SECRET, 60.0) is None


def test_without_an_age_no_value_is_kept() -> None:
    """Where no option could use a value again it is not in memory at all."""
    memory = filled(0.0, NONE)
    assert (look_up(memory, SECRET, 60.0), count_values(memory)) == (None, 0)


def test_a_handler_keeps_what_another_one_needs() -> None:
    """A handler without ages does not take from memory what a handler with ages has put there."""
    memory = filled(10.0, Ages(60.0, 0.0))
    memory.record(SECRET, NEW, NONE, read_moment())
    assert (look_up(memory, SECRET, 0.0), look_up(memory, SECRET, 60.0)) == (None, (NEW, "memory"))


@pytest.mark.parametrize("ages", [Ages(60.0, 0.0), Ages(30.0, 60.0)])
def test_an_expired_value_goes_with_the_next_look_at_anything(ages: Ages) -> None:
    """When `max_age` and `stale_if_error` are over the value is let go, though nobody asks for it again."""
    memory = filled(61.0, ages)
    memory.record(PARAMETER, OLD, Ages(600.0, 0.0), read_moment())
    assert count_values(memory) == 2
    look_up(memory, PARAMETER, 0.0)
    assert (count_values(memory), look_up(memory, PARAMETER, 600.0)) == (1, (OLD, "memory"))


def test_what_expires_later_is_let_go_later() -> None:
    """After one value has gone the next one's time is known."""
    memory = filled(61.0, Ages(60.0, 0.0))
    memory.record(PARAMETER, OLD, Ages(0.05, 0.0), read_moment())
    look_up(memory, SECRET, 0.0)
    assert count_values(memory) == 1
    time.sleep(0.1)
    look_up(memory, SECRET, 0.0)
    assert count_values(memory) == 0


def test_what_aws_gave_outlives_what_expires_before_it() -> None:
    """A value of AWS's stays while another one's time is over."""
    memory = Memory()
    memory.record_from_aws(SECRET, OLD, NONE, read_moment())
    memory.record(PARAMETER, OLD, Ages(60.0, 0.0), ago(61.0))
    assert look_up(memory, SECRET, 0.0, from_aws=True) == (OLD, "aws")
    assert count_values(memory) == 1


def test_many_names_are_bounded() -> None:
    """The name used longest ago goes when there are more than the extension's own cache holds."""
    memory, moment = Memory(), read_moment()
    ages = Ages(60.0, 0.0)
    for number in range(MOST_NAMES + 10):
        memory.record(Request(f"/{number}", Secret(f"s{number}"), SUBJECT), OLD, ages, moment)
        memory.look_up([Request("/0", Secret("s0"), SUBJECT)], 60.0, moment)
    known = [number for number in range(12) if memory.find_fingerprint(f"/{number}") is not None]
    assert (len(memory._entries), known) == (MOST_NAMES, [0, 11])


# --- Changes ------------------------------------------------------------------------------------------------------


def test_tells_a_changed_value() -> None:
    """Another version, or another text under the same version, is a change; the first value is none."""
    memory = Memory()
    again = RawValue("other text", None, "2")
    assert [
        outcome.changed
        for raw in (OLD, OLD, NEW, again)
        if isinstance(outcome := memory.record(SECRET, raw, NONE, read_moment()), SourcedValue)
    ] == [False, False, True, True]


def test_a_fingerprint_is_of_the_content_and_of_this_memory() -> None:
    """Equal values have equal fingerprints, binary ones too; another process's are others, and hold no value."""
    memory, other = Memory(), Memory()
    binary = RawValue(None, b"old", "1")
    assert memory.make_fingerprint(OLD) == memory.make_fingerprint(RawValue("old", None, "1"))
    assert memory.make_fingerprint(OLD) == memory.make_fingerprint(binary)
    assert memory.make_fingerprint(OLD) != other.make_fingerprint(OLD)
    assert memory.make_fingerprint(RawValue(None, None, "1")) != memory.make_fingerprint(OLD)


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
        (299.0, "5m", True),
    ],
)
def test_what_the_extension_has_at_hand(
    monkeypatch: pytest.MonkeyPatch, *, request_: Request, ttl: str, age: float, setting: str | None, likely: bool
) -> None:
    """A value is likely in the extension's cache for the extension's own time to live, 300 s at the most."""
    if setting is not None:
        monkeypatch.setenv(ttl, setting)
    memory = Memory()
    memory.record(request_, OLD, NONE, ago(age))
    assert memory.are_likely_cached([request_], read_moment()) is likely


# --- stale_if_error -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_a_stale_value_serves_after_a_transient_failure(
    error: ResolutionError, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failure that may pass the last good value serves, with a warning that tells why and how old it is."""
    memory = filled(100.0, Ages(0.0, 120.0))
    outcome = memory.record(SECRET, error, Ages(0.0, 120.0), read_moment())
    assert isinstance(outcome, SourcedValue)
    assert (outcome.raw, outcome.source, round(outcome.age)) == (OLD, "stale", 100)
    assert [("WARNING", f"{error} Serving the last good value, 100 s old.")] == [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_a_lasting_failure_has_no_stale_value(error: ResolutionError) -> None:
    """A failure that lasts is an error, whatever is in memory."""
    assert filled(0.0, Ages(0.0, 120.0)).record(SECRET, error, Ages(0.0, 120.0), read_moment()) is error


@pytest.mark.parametrize(("age", "ages"), [(121.0, Ages(0.0, 120.0)), (1.0, NONE)], ids=["too old", "not wanted"])
def test_a_value_that_is_too_stale(age: float, ages: Ages) -> None:
    """A value older than allowed does not serve, nor where nothing stale is wanted."""
    assert filled(age, Ages(0.0, 120.0)).record(SECRET, UNRESOLVED, ages, read_moment()) is UNRESOLVED


def test_without_a_value_there_is_none_to_serve() -> None:
    """A failure of the first answer is an error, as is one where the value was not kept."""
    assert Memory().record(SECRET, UNRESOLVED, Ages(0.0, 120.0), read_moment()) is UNRESOLVED
    assert filled(0.0, NONE).record(SECRET, UNRESOLVED, Ages(0.0, 120.0), read_moment()) is UNRESOLVED


# --- Absence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "known"), [(0.0, (None, "default")), (59.0, (None, "default")), (61.0, None)])
def test_an_absence_is_remembered(age: float, known: object) -> None:
    """That an optional value does not exist is known for 60 s."""
    memory = Memory()
    assert memory.record(OPTIONAL, UNRESOLVED, NONE, ago(age)) == DEFAULT
    assert known == look_up(memory, OPTIONAL, 0.0)


def test_an_absence_counts_for_optional_values_only() -> None:
    """A handler that needs the value asks, whatever another one was told."""
    memory = Memory()
    memory.record(OPTIONAL, UNRESOLVED, NONE, read_moment())
    assert look_up(memory, SECRET, 0.0) is None
    assert memory.record(SECRET, UNRESOLVED, NONE, read_moment()) is UNRESOLVED


def test_a_value_ends_its_absence() -> None:
    """A value that exists now is not absent any more."""
    memory = Memory()
    memory.record(OPTIONAL, UNRESOLVED, NONE, read_moment())
    memory.record(OPTIONAL, OLD, NONE, read_moment())
    assert look_up(memory, OPTIONAL, 0.0) is None


def test_what_was_seen_is_not_absent_by_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """For 300 s after an optional value was there, a refusal that may mean anything is an error, not the default."""
    memory = filled(299.0, NONE)
    seen = [request for request in (OPTIONAL, SECRET, PREVIOUS) if memory.has_seen(request, read_moment())]
    assert seen == [OPTIONAL]
    assert memory.record(OPTIONAL, UNRESOLVED, NONE, read_moment()) is UNRESOLVED
    assert caplog.records == []


def test_what_was_seen_long_ago_is_absent_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """After 300 s the refusal is taken for absence, with one warning: deleting a flag breaks nothing for ever."""
    memory = filled(301.0, NONE)
    assert not memory.has_seen(OPTIONAL, read_moment())
    assert [memory.record(OPTIONAL, UNRESOLVED, NONE, read_moment()) for _ in range(2)] == [DEFAULT] * 2
    assert len(caplog.records) == 1


def test_what_is_known_to_be_gone_is_absent_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Where the server says that it does not exist, the default serves at once and there is nothing to warn of."""
    assert filled(1.0, NONE).record(OPTIONAL, NOT_FOUND, NONE, read_moment()) == DEFAULT
    assert caplog.records == []


def test_a_change_of_a_secret_ends_the_absence_of_its_other_stages() -> None:
    """At the first rotation AWSPREVIOUS comes into being: what was noted of it is forgotten."""
    memory = filled(0.0, NONE)
    memory.record(PREVIOUS, UNRESOLVED, NONE, read_moment())
    memory.record(Request("/t", Secret("t"), SUBJECT, is_optional=True), UNRESOLVED, NONE, read_moment())
    memory.record(SECRET, OLD, NONE, read_moment())
    assert look_up(memory, PREVIOUS, 0.0) == (None, "default")
    memory.record(SECRET, NEW, NONE, read_moment())
    assert look_up(memory, PREVIOUS, 0.0) is None
    assert look_up(memory, Request("/t", Secret("t"), SUBJECT, is_optional=True), 0.0) == (None, "default")


def test_a_new_version_of_a_parameter_ends_the_absence_of_a_label() -> None:
    """A label can move to the version that has just come into being: it is asked for again."""
    memory = Memory()
    labelled = Request("/p?label", Parameter("/p", label="live"), SUBJECT, is_optional=True)
    memory.record(PARAMETER, OLD, NONE, read_moment())
    memory.record(labelled, UNRESOLVED, NONE, read_moment())
    assert look_up(memory, labelled, 0.0) == (None, "default")
    memory.record(PARAMETER, NEW, NONE, read_moment())
    assert look_up(memory, labelled, 0.0) is None


def test_warns_once_of_a_default_that_may_hide_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """The extension's generic answer uses the default with one warning, which says what it may hide."""
    memory = Memory()
    for _ in range(3):
        memory.record(OPTIONAL, UNRESOLVED, NONE, read_moment())
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        (
            "Using the default of 'x' of app.handler, Secret('s'): the extension does not tell a value that does not "
            "exist from one that the role may not read."
        )
    ]


@pytest.mark.parametrize("error", [TRANSIENT[0], LASTING[4]], ids=lambda error: type(error).__name__)
def test_no_other_failure_uses_a_default(error: ResolutionError) -> None:
    """A failure that does not speak of absence is an error for an optional value too."""
    assert Memory().record(OPTIONAL, error, NONE, read_moment()) is error


# --- Past the extension -------------------------------------------------------------------------------------------


def record_newer(memory: Memory, raw: RawValue, moment: Moment | None = None) -> None:
    """Tell a memory what AWS says."""
    memory.record_newer(SECRET, raw, NONE, moment or read_moment(), "aws")


def record(memory: Memory, raw: RawValue, request: Request = SECRET) -> tuple[RawValue | None, str, bool]:
    """Tell a memory what a cache says; give what it makes of it."""
    outcome = memory.record(request, raw, NONE, read_moment())
    assert isinstance(outcome, SourcedValue)
    return outcome.raw, outcome.source, outcome.changed


def test_a_newer_value_takes_the_place_of_the_old_one() -> None:
    """While the extension answers with the version that was replaced, the newer value stands in for it."""
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    assert [record(memory, OLD) for _ in range(2)] == [(NEW, "server", False)] * 2


def test_another_text_under_the_same_version_is_newer() -> None:
    """A parameter that was deleted and made again is version 1 again: its text tells."""
    memory = filled(0.0, NONE)
    again = RawValue("made again", None, "1")
    record_newer(memory, again)
    assert record(memory, OLD) == (again, "server", False)


def test_a_newer_value_is_of_its_own_request() -> None:
    """What one request has newer is nothing to another one."""
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    assert record(memory, OLD, PARAMETER) == (OLD, "server", False)


def test_a_newer_value_is_used_for_as_long_as_the_extension_can_be_behind() -> None:
    """After the TTL the extension has asked AWS itself, and its answer counts."""
    memory = filled(400.0, NONE)
    record_newer(memory, NEW, ago(301.0))
    assert (record(memory, OLD)[0], count_values(memory)) == (OLD, 0)


def test_a_version_that_is_newer_still_counts() -> None:
    """A version that the newer value did not replace is the extension's own news, and ends what overruled it."""
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    assert [record(memory, raw)[0] for raw in (NEWEST, OLD)] == [NEWEST, OLD]


def test_replaces_every_version_before_it() -> None:
    """After two rotations both old versions are replaced by the newest."""
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    record(memory, OLD)
    record_newer(memory, NEWEST)
    assert [record(memory, raw)[0] for raw in (OLD, NEW)] == [NEWEST, NEWEST]


def test_what_aws_says_always_counts() -> None:
    """AWSCURRENT may move back: then the version that was replaced is the right one again."""
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    record_newer(memory, OLD)
    assert [record(memory, raw)[0] for raw in (OLD, NEW)] == [OLD, OLD]


def test_the_same_value_overrules_nothing() -> None:
    """Where AWS has what the cache has, nothing is kept."""
    memory = filled(0.0, NONE)
    record_newer(memory, OLD)
    assert (count_values(memory), record(memory, OLD)) == (0, (OLD, "server", False))


@pytest.mark.parametrize("ttl", ["0", "300"])
def test_a_cache_that_is_off_is_not_overruled(monkeypatch: pytest.MonkeyPatch, ttl: str) -> None:
    """With a TTL of 0 the extension's next answer is AWS's own."""
    monkeypatch.setenv("SECRETS_MANAGER_TTL", ttl)
    memory = filled(0.0, NONE)
    record_newer(memory, NEW)
    assert record(memory, OLD)[0] == (OLD if ttl == "0" else NEW)


# --- In the server's place ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "ttl", "known"),
    [(299.0, None, (OLD, "aws")), (301.0, None, None), (11.0, "10", None), (0.0, "0", None)],
)
def test_a_value_from_aws_is_kept_as_the_extension_would(
    monkeypatch: pytest.MonkeyPatch, age: float, ttl: str | None, known: object
) -> None:
    """What AWS gave in the server's place serves for the TTL of the extension, to those who have the fallback."""
    if ttl is not None:
        monkeypatch.setenv("SECRETS_MANAGER_TTL", ttl)
    memory = Memory()
    assert memory.record_from_aws(SECRET, OLD, NONE, ago(age)) == SourcedValue(OLD, "aws")
    assert (known, None) == (look_up(memory, SECRET, 0.0, from_aws=True), look_up(memory, SECRET, 60.0))


def test_an_answer_of_the_server_ends_it() -> None:
    """When the server answers again its answers count."""
    memory = Memory()
    memory.record_from_aws(SECRET, OLD, NONE, read_moment())
    memory.record(SECRET, NEW, NONE, read_moment())
    assert look_up(memory, SECRET, 0.0, from_aws=True) is None
