"""What each answer means, how often it is asked for again, and for how long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import monotonic

import pytest

from lambdasecrets import Parameter, Secret, _settings, errors
from lambdasecrets._clock import make_deadline
from lambdasecrets._sources import answers
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.local import LocalSource, Server
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets._transports import Address
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets._wire import parameter_path, secret_path
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import ResolutionError, Subject
from tests.dev.asking import until
from tests.serving import answer, serving

SECONDS = 10.0
SHORT_SECONDS = 0.4
OVERLOAD_SECONDS = 1.0
SLACK_SECONDS = 0.5
LATE_SECONDS = 4.0


@pytest.fixture
def client() -> Iterator[LocalSource]:
    """Give a client with connections of its own."""
    made = LocalSource(LeanTransport(RequestsTransport))
    yield made
    made.transport.close()


@pytest.fixture
def agent(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Stand in for the agent, with an environment that leads to it."""
    with Emulator(store, profile="agent") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def wanted(declaration: Secret | Parameter, *, is_optional: bool = False) -> Request:
    """Make the request of one declaration."""
    name = declaration.name
    path = secret_path(name) if isinstance(declaration, Secret) else parameter_path(name)
    return Request(path, declaration, Subject("app.handler", ("x",), (str(declaration),)), is_optional=is_optional)


SECRET = wanted(Secret("s"))


def local() -> Server:
    """Give the server that the environment names."""
    return Server(Address("127.0.0.1", _settings.read_port()))


def fetch(client: LocalSource, request: Request = SECRET, seconds: float = SECONDS) -> Fetched:
    """Ask for one value."""
    return bare(client.fetch(local(), [request], make_deadline(seconds)))[request.path]


def bare(fetched: dict[str, Fetched]) -> dict[str, Fetched]:
    """Give what was fetched without what the answers say of themselves."""
    return {
        path: outcome.replace(identity=None) if isinstance(outcome, RawValue) else outcome
        for path, outcome in fetched.items()
    }


def failure(fetched: Fetched) -> ResolutionError:
    """Expect an error."""
    assert isinstance(fetched, ResolutionError)
    return fetched


# --- The table of answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "times", "requests"),
    [
        (faults.ResetBeforeAnswer(), 3, 4),
        (faults.EVERY_FAULT["not-ready"], 3, 4),
        (faults.EVERY_FAULT["bad-session-token"], 1, 2),
        (faults.EVERY_FAULT["bad-token"], 1, 2),
        (faults.EVERY_FAULT["unresolved"], 1, 2),
        (faults.EVERY_FAULT["crowded"], 2, 3),
        (faults.EVERY_FAULT["internal-error"], 2, 3),
        (faults.EVERY_FAULT["bad-gateway"], 2, 3),
        (faults.EVERY_FAULT["unavailable"], 2, 3),
        (faults.ResetInsideAnswer(), 2, 3),
        (faults.Truncated(), 2, 3),
        (faults.Latency(0.1), 1, 1),
        (faults.SlowDrip("head", size=50, interval=0.01), 1, 1),
        (faults.SlowDrip("body", size=50, interval=0.01), 1, 1),
        (faults.Chunked(), 1, 1),
        (faults.Reply(400, b'{"__type":"ThrottlingException","message":"slow"}'), 2, 3),
        (faults.Reply(500, b'{"__type":"InternalFailure","message":"it broke"}'), 2, 3),
        (faults.Reply(504, b'{"__type":"TimeoutError","message":"late"}'), 2, 3),
    ],
    ids=repr,
)
def test_what_passes_is_waited_for(
    client: LocalSource, emulator: Emulator, store: MemoryStore, *, fault: faults.Fault, times: int, requests: int
) -> None:
    """A fault that passes costs its retries, and the value comes."""
    store.put_secret("s", "a value", version_id="1")
    emulator.inject(fault, times=times)
    assert (fetch(client), len(emulator.requests)) == (RawValue("a value", None, "1"), requests)


def test_a_refused_connection_is_waited_for(client: LocalSource, emulator: Emulator, store: MemoryStore) -> None:
    """A server that starts to listen a moment later is reached."""
    store.put_secret("s", "a value", version_id="1")
    emulator.inject(faults.Refuse(0.1))
    assert fetch(client) == RawValue("a value", None, "1")


def test_a_connection_dropped_at_the_wrong_moment(client: LocalSource, emulator: Emulator, store: MemoryStore) -> None:
    """A kept-alive connection that the server ends as the request arrives is replaced: the caller hears nothing."""
    store.put_secret("s", "a value", version_id="1")
    emulator.inject(faults.DropKeptAlive())
    values = [fetch(client) for _ in range(3)]
    assert values == [RawValue("a value", None, "1")] * 3
    assert [record.connection for record in emulator.requests] == [1, 1, 2, 2]


def test_one_fault_after_another(client: LocalSource, emulator: Emulator, store: MemoryStore) -> None:
    """Each kind of fault has retries of its own: a bad start does not use up those of a bad token."""
    store.put_secret("s", "a value", version_id="1")
    for name in ("not-ready", "reset-before-answer", "bad-session-token", "unresolved", "unavailable", "not-ready"):
        fault = faults.EVERY_FAULT[name]
        emulator.inject(fault)
    assert (fetch(client), len(emulator.requests)) == (RawValue("a value", None, "1"), 7)


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        (faults.EVERY_FAULT["bad-session-token"], errors.TokenRejectedError, 2),
        (faults.EVERY_FAULT["bad-token"], errors.TokenRejectedError, 2),
        (faults.EVERY_FAULT["unresolved"], errors.UnresolvedError, 2),
        (faults.Redirect(), errors.ProtocolError, 1),
        (faults.Reply(418, b"tea"), errors.ProtocolError, 1),
        (faults.Reply(404, b"no"), errors.ProtocolError, 1),
        (faults.Reply(401, b"no"), errors.ProtocolError, 2),
        (faults.Reply(400, b"<html>no</html>"), errors.ProtocolError, 1),
        (faults.EVERY_FAULT["not-json"], errors.ProtocolError, 1),
        (faults.EVERY_FAULT["no-fields"], errors.ProtocolError, 1),
        (faults.HugeBody(), errors.ProtocolError, 1),
    ],
    ids=lambda item: repr(item)[:40],
)
def test_what_stays_wrong_is_an_error(
    client: LocalSource, emulator: Emulator, *, fault: faults.Fault, kind: type, requests: int
) -> None:
    """A fault that no wait mends is an error after its retries, and none where nothing can change."""
    emulator.inject(fault, times=None)
    assert (type(failure(fetch(client))), len(emulator.requests)) == (kind, requests)


def test_nothing_listens(client: LocalSource, emulator: Emulator) -> None:
    """A port that stays closed is an error after a second."""
    emulator.inject(faults.Refuse(), times=None)
    error = failure(fetch(client))
    assert isinstance(error, errors.ExtensionUnavailableError)
    assert (error.port, error.was_reset) == (emulator.port, False)
    assert 0.8 < error.seconds < LATE_SECONDS


def test_every_connection_is_reset(client: LocalSource, emulator: Emulator) -> None:
    """A server that answers nothing, ever, is as good as none."""
    emulator.inject(faults.ResetBeforeAnswer(), times=None)
    error = failure(fetch(client))
    assert isinstance(error, errors.ExtensionUnavailableError)
    assert error.was_reset
    assert 5 < len(emulator.requests) < 20  # 10, 20, 40, 80 and then every 100 ms of one second


def test_never_ready(client: LocalSource, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stays not ready is an error after a second: this is the whole INIT phase."""
    with Emulator(store, ready=False) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        error = failure(fetch(client))
        assert isinstance(error, errors.ExtensionNotReadyError)
        assert 5 < len(emulator.requests) < 20


def overloaded(client: LocalSource, emulator: Emulator) -> ResolutionError:
    """Ask a server that is overloaded, and count from here."""
    client.transport.close()
    until(lambda: emulator._require_server().connections == 0)  # no request of before is still to be counted
    emulator.clear_requests()
    return failure(fetch(client, seconds=OVERLOAD_SECONDS))


@pytest.mark.parametrize(
    ("name", "status"),
    [("crowded", 429), ("internal-error", 500), ("truncated", None), ("reset-inside-answer", None)],
)
def test_overload_that_stays(
    client: LocalSource, emulator: Emulator, store: MemoryStore, *, name: str, status: int | None
) -> None:
    """An overload is asked again as long as there is time, and no longer; it is the error also when the time ends."""
    store.put_secret("s", "a value")
    emulator.inject(faults.EVERY_FAULT[name], times=None)
    error = overloaded(client, emulator)
    assert isinstance(error, errors.ServerError)
    assert (error.status, error.attempts) == (status, len(emulator.requests))
    assert 1 < error.attempts < (20 if name == "crowded" else 6)  # after 50 to 100 ms, then 100 to 200, ...
    assert error.seconds <= OVERLOAD_SECONDS + SLACK_SECONDS


# --- Time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["timeout", "invocation"])
def test_no_answer_in_time(client: LocalSource, emulator: Emulator, bound: str) -> None:
    """A server that hangs costs the time that there is: the error says what set it."""
    emulator.inject(faults.Hang(), times=None)
    limit = make_deadline(SHORT_SECONDS).replace(bound=bound)
    began = monotonic()
    error = failure(client.fetch(local(), [SECRET], limit)[SECRET.path])
    assert isinstance(error, errors.DeadlineExceededError)
    assert (error.seconds, error.bound) == (SHORT_SECONDS, bound)
    assert error.progress == errors.Progress("Secrets Manager", 1, 0, 3)
    assert monotonic() - began < LATE_SECONDS


def test_without_time_nothing_is_asked(client: LocalSource, emulator: Emulator) -> None:
    """With no time left no request is sent."""
    assert isinstance(fetch(client, seconds=0.0), errors.DeadlineExceededError)
    assert emulator.requests == []


@pytest.mark.parametrize("name", ["not-ready", "reset-before-answer", "unresolved", "unavailable"])
def test_no_wait_goes_past_the_deadline(client: LocalSource, emulator: Emulator, name: str) -> None:
    """A wait that would end after the deadline is not begun."""
    emulator.inject(faults.EVERY_FAULT[name], times=None)
    began = monotonic()
    failure(fetch(client, seconds=0.02))
    assert len(emulator.requests) <= 2
    assert monotonic() - began < LATE_SECONDS


# --- The token ----------------------------------------------------------------------------------------------------


def test_no_token(client: LocalSource, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is asked."""
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    assert isinstance(fetch(client), errors.NoTokenError)
    assert emulator.requests == []


def test_the_token_is_read_for_every_request(
    client: LocalSource, emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is exchanged between two requests is used at once."""
    store.put_secret("s", "a value")
    for token in ("one", "two"):
        emulator.token = token
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        fetch(client)
    assert [record.token_ok for record in emulator.requests] == [True, True]


def test_a_variable_that_loses_the_token_is_left(
    client: LocalSource, emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the variable that had the token is empty, the others are looked at again."""
    store.put_secret("s", "a value")
    fetch(client)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", emulator.token)
    fetch(client)
    assert [record.token_ok for record in emulator.requests] == [True, True]


def test_a_rejected_token_is_looked_for_again(
    client: LocalSource, emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that had the token serves until its token is refused; then the others are looked at again."""
    store.put_secret("s", "a value", version_id="1")
    before = emulator.token
    fetch(client)
    monkeypatch.setenv("AWS_TOKEN", "of the agent")
    fetch(client)
    emulator.token = "of the agent"
    assert fetch(client) == RawValue("a value", None, "1")
    assert [record.token_ok for record in emulator.requests] == [True, True, False, True]
    emulator.token = before


def test_a_rejected_token_is_read_again(
    client: LocalSource, emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was refreshed in the meantime is read anew, from SnapStart's endpoint here, once."""
    store.put_secret("s", "a value", version_id="1")
    tokens = iter(["old", emulator.token])

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(json.dumps({"Token": next(tokens)}).encode()))

    with serving(serve) as endpoint:
        monkeypatch.delenv("AWS_SESSION_TOKEN")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{endpoint.port}/")
        assert fetch(client) == RawValue("a value", None, "1")
    assert [record.token_ok for record in emulator.requests] == [False, True]


# --- The wave -----------------------------------------------------------------------------------------------------


def test_each_of_a_wave_has_an_outcome_of_its_own(client: LocalSource, emulator: Emulator, store: MemoryStore) -> None:
    """A value that fails does not take the others with it, nor ask for them again."""
    store.put_secret("s", "a value", version_id="1")
    store.put_parameter("/p", "text")
    requests = [SECRET, wanted(Secret("missing")), wanted(Parameter("/p"))]
    got = bare(client.fetch(local(), requests, make_deadline(SECONDS)))
    assert (got[requests[0].path], got[requests[2].path]) == (
        RawValue("a value", None, "1"),
        RawValue("text", None, "1"),
    )
    assert isinstance(got[requests[1].path], errors.UnresolvedError)
    assert sorted([SECRET.path, *[requests[1].path] * 2, requests[2].path]) == sorted(
        record.target for record in emulator.requests
    )


@pytest.mark.parametrize(
    ("likely_cached", "most", "connections"),
    [(True, None, {1}), (False, None, {1, 2, 3, 4, 5, 6}), (False, "2", {1, 2, 3, 4}), (False, "9", set(range(1, 11)))],
    ids=["cached", "new", "new, two connections", "new, many connections"],
)
def test_how_many_lanes(
    client: LocalSource,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    *,
    likely_cached: bool,
    most: str | None,
    connections: set[int],
) -> None:
    """New values come over as many connections as the extension serves for each backend, cached ones over one."""
    if most is not None:
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", most)
    requests = [wanted(kind(f"n{number}"), is_optional=True) for kind in (Secret, Parameter) for number in range(5)]
    client.fetch(local(), requests, make_deadline(SECONDS), likely_cached=likely_cached)
    assert {record.connection for record in emulator.requests} == connections
    assert len(emulator.requests) == len(requests)


def test_an_absent_optional_value_is_asked_for_once(client: LocalSource, emulator: Emulator) -> None:
    """The generic refusal of a value that has a default is no reason to ask again."""
    assert isinstance(fetch(client, wanted(Secret("s"), is_optional=True)), errors.UnresolvedError)
    assert len(emulator.requests) == 1


# --- The agent ----------------------------------------------------------------------------------------------------


def test_the_agent_gives_values(client: LocalSource, agent: Emulator, store: MemoryStore) -> None:
    """A value of the agent is marked as one."""
    store.put_secret("s", "a value", version_id="1")
    assert fetch(client) == RawValue("a value", None, "1", from_agent=True)
    assert [SECRET.path] == [record.target for record in agent.requests]


def test_the_agent_passes_its_cache(client: LocalSource, agent: Emulator, store: MemoryStore) -> None:
    """A refresh is asked for in the agent's words, and answered under the path that was asked for."""
    store.put_secret("s", "a value", version_id="1")
    got = bare(client.fetch(local(), [SECRET], make_deadline(SECONDS), refresh=True))
    assert got == {SECRET.path: RawValue("a value", None, "1", from_agent=True)}
    assert [f"{SECRET.path}&refreshNow=true"] == [record.target for record in agent.requests]


def test_the_agent_says_what_is_missing(client: LocalSource, agent: Emulator) -> None:
    """What does not exist is said to be so, and not asked for again."""
    assert isinstance(fetch(client), errors.NotFoundError)
    assert len(agent.requests) == 1


def test_the_agent_says_what_is_denied(client: LocalSource, agent: Emulator, store: MemoryStore) -> None:
    """What the role may not read is said to be so, and not asked for again."""
    store.deny("s")
    assert isinstance(fetch(client), errors.AccessDeniedError)
    assert len(agent.requests) == 1


def test_the_agent_has_no_parameters(client: LocalSource, agent: Emulator) -> None:
    """A parameter that is asked of the agent is an error that says which server this is."""
    assert isinstance(fetch(client, wanted(Parameter("/p"))), errors.UnsupportedByAgentError)
    assert len(agent.requests) == 1


# --- Many at once -------------------------------------------------------------------------------------------------


def fetch_many(client: LocalSource, number: int, seconds: float = SECONDS) -> list[Fetched]:
    """Ask for so many secrets in one batch."""
    requests = [wanted(Secret(f"s{index}")) for index in range(number)]
    return list(bare(client.fetch(local(), requests, make_deadline(seconds))).values())


def test_a_slow_batch_says_what_came(client: LocalSource, emulator: Emulator, store: MemoryStore) -> None:
    """Where AWS is slow and the extension asks for three at a time, the error says how many of the batch came."""
    for index in range(20):
        store.put_secret(f"s{index}", "a value", version_id="1")
    emulator.inject(faults.Latency(0.15), times=None)
    got = fetch_many(client, 20, seconds=SHORT_SECONDS)
    came = got.count(RawValue("a value", None, "1"))
    late = [item for item in got if isinstance(item, errors.DeadlineExceededError)]
    assert (came > 0, len(late) > 0, came + len(late)) == (True, True, 20)
    assert {item.progress for item in late} == {errors.Progress("Secrets Manager", 20, came, 3)}


def test_one_connection_that_works_is_enough(
    client: LocalSource, agent: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the agent has as many connections as it takes, those over the limit are left, and no other is opened."""
    monkeypatch.setattr("lambdasecrets.dev._emulator.profiles.AgentProfile._connection_limit", 2)
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "6")
    monkeypatch.setattr(answers, "_draw_wait", lambda *_: 0.02)  # all that were refused are asked again together
    for index in range(12):
        store.put_secret(f"s{index}", "a value", version_id="1")
    assert fetch_many(client, 12) == [RawValue("a value", None, "1", from_agent=True)] * 12
    assert len({record.connection for record in agent.requests}) == 6
    assert fetch_many(client, 12) == [RawValue("a value", None, "1", from_agent=True)] * 12


def test_no_connection_works(
    client: LocalSource, agent: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others have all of the agent's connections, the error names its limit."""
    monkeypatch.setattr("lambdasecrets.dev._emulator.profiles.AgentProfile._connection_limit", 0)
    (error,) = fetch_many(client, 1, seconds=SHORT_SECONDS)
    assert isinstance(error, errors.ServerError)
    assert (error.status, error.server, error.remedy.partition(":")[0]) == (
        429,
        "agent",
        "It has as many connections as its max_conn allows",
    )


def test_a_hang_of_the_agent_is_its_own(client: LocalSource, agent: Emulator, store: MemoryStore) -> None:
    """Who answered before is who does not answer now."""
    store.put_secret("s", "a value")
    server = local()
    client.fetch(server, [SECRET], make_deadline(SECONDS))
    agent.inject(faults.Hang(), times=None)
    late = client.fetch(server, [SECRET], make_deadline(SHORT_SECONDS))[SECRET.path]
    assert isinstance(late, errors.DeadlineExceededError)
    assert late.server == "agent"
