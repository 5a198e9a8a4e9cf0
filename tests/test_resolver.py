"""From a plan to values: what is asked, what is used again, what is told, and what a process shares."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
import requests
from pydantic import BaseModel

from lambdasecrets import (
    DeadlineExceededError,
    ExtensionUnavailableError,
    InvalidValueError,
    MissingVariableError,
    NotFoundError,
    Parameter,
    ResolutionError,
    ResolvedValue,
    ResolveEvent,
    Secret,
    ServerError,
    SettingError,
    SeveralErrors,
    UnresolvedError,
    _resolver,
    inject_secrets,
    resolve,
    use_session,
)
from lambdasecrets._clock import Moment, read_moment
from lambdasecrets._transports import sockets
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

SECONDS = 30.0


class Database(BaseModel):
    host: str
    port: int = 5432


class Handled:
    """A handler of two secrets and two parameters, with options, and what its resolves told."""

    def __init__(self, **options: Any) -> None:
        self.events: list[ResolveEvent] = []

        @inject_secrets(on_resolve=self.events.append, **options)
        def handler(
            event: Any,
            context: Any,
            *,
            database: Annotated[Database, Secret("database")],
            host: Annotated[str, Secret("database", key="host")],
            size: Annotated[int, Parameter("/size")] = 50,
            key: Annotated[str, Secret("key")] = "no key",
        ) -> tuple[Database, str, int, str]:
            return database, host, size, key

        self.handler = handler

    def __call__(self) -> tuple[Database, str, int, str]:
        """Call the handler."""
        return self.handler({}, None)

    def told(self) -> list[tuple[str, str | None, str, bool]]:
        """Give what the last event says of each value, the declaration apart."""
        return [(value.parameter, value.version, value.source, value.changed) for value in self.events[-1].values]


@pytest.fixture
def filled(store: MemoryStore) -> MemoryStore:
    """Put in what the handler must have."""
    store.put_secret("database", {"host": "db"}, version_id="v1")
    return store


def older(seconds: float) -> None:
    """Make everything that this process remembers older."""

    def past(moment: Moment) -> Moment:
        return Moment(moment.monotonic - seconds, moment.wall - seconds)

    for known in _resolver.find_resolver()._servers.values():
        memory = known.memory
        memory._next_expiry = past(memory._next_expiry) if memory._next_expiry else None
        for entry in memory._entries.values():
            entry.kept = entry.kept and entry.kept.replace(at=past(entry.kept.at))
            entry.absent_at = entry.absent_at and past(entry.absent_at)


# --- What is asked ------------------------------------------------------------------------------------------------


def test_resolves_each_distinct_name_once(emulator: Emulator, filled: MemoryStore) -> None:
    """Two declarations of one secret cost one request."""
    filled.put_parameter("/size", "20")
    filled.put_secret("key", "k")
    assert Handled()() == (Database(host="db"), "db", 20, "k")
    assert sorted(record.target for record in emulator.requests) == [
        "/secretsmanager/get?secretId=database",
        "/secretsmanager/get?secretId=key",
        "/systemsmanager/parameters/get?name=%2Fsize&withDecryption=true",
    ]


def test_asks_in_parallel_only_when_values_are_new(emulator: Emulator, filled: MemoryStore) -> None:
    """The first wave goes over several connections, the next ones, which the extension has at hand, over one."""
    filled.put_parameter("/size", "20")
    filled.put_secret("key", "k")
    handled = Handled()
    handled()
    first = {record.connection for record in emulator.requests}
    emulator.clear_requests()
    handled()
    assert (len(first), len({record.connection for record in emulator.requests})) == (3, 1)
    emulator.clear_requests()
    older(301.0)
    handled()
    assert len({record.connection for record in emulator.requests}) == 3


def test_a_default_stands_in_for_what_does_not_exist(
    emulator: Emulator, filled: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """An absent optional value costs one request a minute, and one warning."""
    handled = Handled()
    assert [handled() for _ in range(3)] == [(Database(host="db"), "db", 50, "no key")] * 3
    assert len(emulator.requests) == 3 + 1 + 1
    assert handled.told()[2:] == [("size", None, "default", False), ("key", None, "default", False)]
    older(61.0)
    handled()
    assert len(emulator.requests) == 3 + 1 + 1 + 3
    assert [f"{name} of {__name__}." in caplog.text for name in ("'size'", "'key'")] == [True, True]
    assert len([record for record in caplog.records if record.name == "lambdasecrets"]) == 2


# --- What is used again -------------------------------------------------------------------------------------------


def test_asks_at_every_invocation(emulator: Emulator, filled: MemoryStore) -> None:
    """Without options the extension is asked every time, and a rotated value arrives at once."""
    handled = Handled()
    handled()
    filled.put_secret("database", {"host": "moved"}, version_id="v2")
    assert handled()[1] == "moved"
    assert handled.told()[:2] == [("database", "v2", "server", True), ("host", "v2", "server", True)]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_uses_values_again(emulator: Emulator, filled: MemoryStore, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """With `max_age` a value serves for its time without a request, and is asked for after it."""
    if how == "variable":
        monkeypatch.setenv("LAMBDASECRETS_MAX_AGE", "60")
    handled = Handled(**({"max_age": 60} if how == "option" else {}))
    first, second = handled(), handled()
    assert first == second
    assert first[0] is not second[0]  # what is kept is text: a handler cannot change it for the next one
    assert (len(emulator.requests), handled.told()[0]) == (3, ("database", "v1", "memory", False))
    older(61.0)
    filled.put_secret("database", {"host": "moved"}, version_id="v2")
    assert handled()[1] == "moved"


def test_counts_the_age_from_before_the_answer(emulator: Emulator, filled: MemoryStore) -> None:
    """A value is as old as its request: how long the answer took is no time in which it was fresh."""
    handled = Handled(max_age=0.2)
    emulator.inject(faults.Latency(seconds=0.4), times=3)
    handled()
    handled()
    assert [value.source for value in handled.events[1].values if value.parameter == "database"] == ["server"]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_serves_stale_values(
    emulator: Emulator, filled: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """With `stale_if_error` the last good value serves after a transient failure, with a warning and a flag."""
    if how == "variable":
        monkeypatch.setenv("LAMBDASECRETS_STALE_IF_ERROR", "120")
    handled = Handled(timeout=0.3, **({"stale_if_error": 120} if how == "option" else {}))
    handled()
    caplog.clear()
    emulator.inject(faults.EVERY_FAULT["unavailable"], times=None)
    assert handled()[1] == "db"
    assert handled.told()[0] == ("database", "v1", "stale", False)
    assert [record.levelname for record in caplog.records if record.name == "lambdasecrets"] == ["WARNING"]
    older(121.0)
    with pytest.raises(ResolutionError):
        handled()


def test_the_ages_add_up(emulator: Emulator, filled: MemoryStore) -> None:
    """`stale_if_error` counts from where `max_age` ends."""
    handled = Handled(timeout=0.3, max_age=60, stale_if_error=60)
    handled()
    emulator.inject(faults.EVERY_FAULT["unavailable"], times=None, match="database")
    older(110.0)
    assert (handled()[1], handled.told()[0][2]) == ("db", "stale")


def test_without_the_option_nothing_stale_serves(emulator: Emulator, filled: MemoryStore) -> None:
    """A value that another option keeps does not serve after a failure."""
    handled = Handled(timeout=0.3, max_age=60)
    handled()
    emulator.inject(faults.EVERY_FAULT["unavailable"], times=None, match="database")
    older(61.0)
    with pytest.raises((ServerError, DeadlineExceededError)):
        handled()


def test_each_server_has_a_memory_of_its_own(
    emulator: Emulator, filled: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another port is another server, of which nothing is known."""
    handled = Handled(max_age=60)
    handled()
    other = MemoryStore()
    other.put_secret("database", {"host": "other"})
    with Emulator(other) as second:
        for name, value in second.environment().items():
            monkeypatch.setenv(name, value)
        assert handled()[1] == "other"


def test_forgets_when_closed(emulator: Emulator, filled: MemoryStore) -> None:
    """After `close` values are asked for again."""
    handled = Handled(max_age=60)
    handled()
    _resolver.find_resolver().close()
    handled()
    assert len(emulator.requests) == 6


# --- What is told -------------------------------------------------------------------------------------------------


def test_tells_what_it_did(emulator: Emulator, filled: MemoryStore) -> None:
    """An event names the handler, the time and each value's origin, and no value."""
    handled = Handled()
    handled()
    event = handled.events[0]
    assert (event.owner, event.error) == (f"{__name__}.Handled.__init__.<locals>.handler", None)
    assert 0 < event.milliseconds < SECONDS * 1000
    assert event.values == (
        ResolvedValue("database", Secret("database"), "v1", "server", False),
        ResolvedValue("host", Secret("database", key="host"), "v1", "server", False),
        ResolvedValue("size", Parameter("/size"), None, "default", False),
        ResolvedValue("key", Secret("key"), None, "default", False),
    )


def test_tells_of_failures(emulator: Emulator, store: MemoryStore) -> None:
    """A resolve that fails is told too, with its error."""
    store.put_secret("database", {"host": "db", "port": "many"})
    handled = Handled()
    with pytest.raises(InvalidValueError) as failure:
        handled()
    assert handled.events[0].error is failure.value
    assert [value.source for value in handled.events[0].values] == ["server", "server", "default", "default"]


def test_tells_of_a_missing_variable(emulator: Emulator) -> None:
    """A resolve that could not even ask is told as well."""
    events: list[ResolveEvent] = []
    with pytest.raises(MissingVariableError) as failure:
        resolve(Secret("{STAGE}/a"), str, on_resolve=events.append)
    assert [((), failure.value)] == [(event.values, event.error) for event in events]


def test_logs_at_debug(emulator: Emulator, filled: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The logger `lambdasecrets` gets a line at DEBUG; its extras are texts and numbers, which any formatter writes."""
    caplog.set_level(logging.DEBUG, "lambdasecrets")
    resolve(Secret("database"), Database)
    record = next(record for record in caplog.records if record.name == "lambdasecrets")
    extras = {name: value for name, value in vars(record).items() if name.startswith("lambdasecrets_")}
    milliseconds = extras.pop("lambdasecrets_milliseconds")
    assert record.getMessage() == f"resolved 1 values for resolve() in {milliseconds:.1f} ms"
    assert extras == {"lambdasecrets_owner": "resolve()", "lambdasecrets_values": 1, "lambdasecrets_error": ""}


def test_observers_are_told_of_every_resolve(
    emulator: Emulator, filled: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who observes the process is told of each resolve, whether or not it has an `on_resolve` of its own."""
    own: list[ResolveEvent] = []
    observed: list[ResolveEvent] = []
    monkeypatch.setattr(_resolver, "OBSERVERS", [observed.append])
    resolve(Secret("database"), Database)
    resolve(Secret("database"), Database, on_resolve=own.append)
    assert len(observed) == 2
    assert observed[1:] == own


def test_who_is_told_cannot_break_the_invocation(
    emulator: Emulator, filled: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of `on_resolve` is a warning that names its type, not its text."""

    def watch(event: ResolveEvent) -> None:
        raise RuntimeError("what it says is its own affair")

    assert resolve(Secret("database"), Database, on_resolve=watch) == Database(host="db")
    assert [record.getMessage() for record in caplog.records if record.name == "lambdasecrets"] == [
        "on_resolve of resolve() raised RuntimeError"
    ]


# --- Errors -------------------------------------------------------------------------------------------------------


def test_several_failures_are_one_error(emulator: Emulator, store: MemoryStore) -> None:
    """Each declaration that failed stands in the error, one request that failed for two of them once."""

    @inject_secrets
    def handler(
        event: Any,
        context: Any,
        *,
        one: Annotated[str, Secret("missing")],
        two: Annotated[str, Secret("missing", key="k")],
        three: Annotated[int, Secret("text")],
    ) -> None: ...

    store.put_secret("text", "no number")
    with pytest.raises(SeveralErrors) as failure:
        handler({}, None)
    owner = f"{__name__}.test_several_failures_are_one_error.<locals>.handler"
    lines = str(failure.value).splitlines()
    assert lines[0] == f"Cannot resolve 3 values of {owner}: there are 2 causes. Each with what to do:"
    assert lines[1].startswith(f"1. Cannot resolve 'one' and 'two' of {owner}, Secret('missing'): AWS refused")
    assert lines[9:] == [
        f"2. Cannot resolve 'three' of {owner}, Secret('text'): the value does not fit int",
        "  - int_parsing (not a whole number)",
        "The value itself is not shown. Correct the value in AWS, or the declared type.",
    ]


def test_a_failure_is_not_kept(emulator: Emulator, store: MemoryStore) -> None:
    """An error is forgotten at once: the next invocation asks again."""
    handled = Handled(max_age=60)
    with pytest.raises(Exception, match="AWS refused"):
        handled()
    store.put_secret("database", {"host": "db"})
    assert handled()[1] == "db"


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "five"])
def test_a_bad_timeout_is_refused(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A bad variable is an error with its name."""
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", value)
    with pytest.raises(SettingError, match=r"^Cannot use LAMBDASECRETS_TIMEOUT as it is set: it takes a number of "):
        Handled()()


# --- What a process shares ----------------------------------------------------------------------------------------


@pytest.fixture
def fresh_process() -> Iterator[None]:
    """Make a test's resolver its own."""
    use_session(None)
    yield
    _resolver.find_resolver().close()
    use_session(None)


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize(
    ("name", "kind"), [(None, LeanTransport), ("lean", LeanTransport), ("requests", RequestsTransport)]
)
def test_the_environment_names_the_transport(
    emulator: Emulator, filled: MemoryStore, monkeypatch: pytest.MonkeyPatch, name: str | None, kind: type
) -> None:
    """LAMBDASECRETS_TRANSPORT chooses; without it, it is the lean one."""
    if name is not None:
        monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", name)
    assert Handled()()[1] == "db"
    assert type(_resolver.find_resolver().source.transport) is kind


@pytest.mark.usefixtures("fresh_process", "emulator", "filled")
def test_where_sockets_cannot_be_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows `requests` carries the requests."""
    monkeypatch.setattr(sockets, "IS_SUPPORTED", False)
    assert Handled()()[1] == "db"
    assert type(_resolver.find_resolver().source.transport) is RequestsTransport


@pytest.mark.usefixtures("fresh_process")
def test_a_session_of_ones_own_carries_requests(emulator: Emulator, filled: MemoryStore) -> None:
    """`use_session` sends this process's requests through a given Session, until it is taken back."""
    heard: list[int] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: heard.append(response.status_code))
        use_session(session)
        resolve(Secret("database"), Database)
        use_session(None)
        resolve(Secret("database"), Database)
    assert heard == [200]


def test_threads_share_one_resolver() -> None:
    """Threads that ask for the resolver at the same time get the same one."""
    use_session(None)
    barrier = threading.Barrier(8)

    def ask(_: int) -> int:
        barrier.wait(SECONDS)
        return id(_resolver.find_resolver())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_many_threads_need_few_connections(emulator: Emulator, filled: MemoryStore) -> None:
    """16 threads with 50 invocations each get right values, over no more connections than there are threads."""
    filled.put_parameter("/size", "20")
    filled.put_secret("key", "k")
    handled = Handled()
    handled()
    emulator.clear_requests()
    before = threading.active_count()
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: handled(), range(16 * 50)))
    assert got == [(Database(host="db"), "db", 20, "k")] * 800
    assert len(emulator.requests) == 3 * 800
    assert len({record.connection for record in emulator.requests}) <= 16 + 2
    assert threading.active_count() <= before + 16  # the emulator's, one for each connection


FORKING = """
import os
from typing import Annotated
from lambdasecrets import Secret, inject_secrets

@inject_secrets
def handler(event, context, *, host: Annotated[str, Secret("database", key="host")]):
    return host

handler({}, None)
handler({}, None)
child = os.fork()
if child == 0:
    os._exit(0 if handler({}, None) == "db" else 1)
_, status = os.waitpid(child, 0)
handler({}, None)
raise SystemExit(status)
"""


@pytest.mark.usefixtures("filled")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_fork_makes_connections_of_its_own(emulator: Emulator) -> None:
    """A child opens its own connection, and the parent goes on with the one it had."""
    # A process without threads: one that has some, as this one, should not fork.
    done = subprocess.run([sys.executable, "-W", "error", "-c", FORKING], check=False, timeout=SECONDS)
    assert done.returncode == 0
    first, second, of_child, last = (record.connection for record in emulator.requests)
    assert first == second == last
    assert of_child != first


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_a_type_that_allows_none_is_not_optional(profile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not exist, and whose type allows None, is still an error, which says how to make it optional."""

    @inject_secrets
    def handler(
        event: Any,
        context: Any,
        *,
        maybe: Annotated[str | None, Secret("maybe")],
        certain: Annotated[str, Secret("certain")],
        absent: Annotated[str | None, Secret("absent")] = None,
    ) -> str | None:
        return absent

    with Emulator(MemoryStore(), profile=profile) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        with pytest.raises((NotFoundError, UnresolvedError)) as failure:
            handler({}, None, certain="c")
        with pytest.raises((NotFoundError, UnresolvedError)) as other:
            handler({}, None, maybe="m")
        assert handler({}, None, maybe="m", certain="c") is None
    hint = "If it need not exist, give it a default, `= None`: that its type allows None does not make it optional."
    assert failure.value.remedy.endswith(hint)
    assert hint not in str(other.value)


# --- Past every cache ---------------------------------------------------------------------------------------------


class LoginError(Exception):
    """The handler was not let in."""


def failing(tried: list[str], right: str, **options: Any) -> Any:
    """Make a handler that fails with every value but one."""

    @inject_secrets(retry_on=(LoginError,), **options)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")] = "none") -> str:
        tried.append(password)
        if password != right:
            raise LoginError
        return password

    return handler


def test_the_agent_passes_its_cache(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the agent a value is fetched anew with `refreshNow`, and the handler runs once more."""
    store.put_secret("db", "old")
    with Emulator(store, profile="agent", secrets_ttl=300.0) as agent:
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        tried: list[str] = []
        handler = failing(tried, "new")
        with pytest.raises(LoginError):
            handler({}, None)
        store.put_secret("db", "new")
        assert handler({}, None) == "new"
    path = "/secretsmanager/get?secretId=db"
    refresh, pending = f"{path}&refreshNow=true", f"{path}&versionStage=AWSPENDING&refreshNow=true"
    assert [path, refresh, pending, path, refresh, path] == [record.target for record in agent.requests]
    assert tried == ["old", "old", "new"]


def test_without_boto3_the_extension_is_asked_again(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without boto3 the extension is asked once more: it may have a newer value by now."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    store.put_secret("db", "old")
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,))
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        tried.append(password)
        if password == "old":
            store.put_secret("db", "new")
            raise LoginError
        return password

    assert (handler({}, None), tried, len(emulator.requests)) == ("new", ["old", "new"], 3)


def test_the_same_version_runs_nothing_again(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extension answers with the same version the handler's error goes on."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    store.put_secret("db", "old")
    tried: list[str] = []
    with pytest.raises(LoginError):
        failing(tried, "new")({}, None)
    assert (tried, len(emulator.requests)) == (["old"], 2)


def test_a_default_is_not_fetched_anew(emulator: Emulator) -> None:
    """Where every value is a default there is no version that could have changed."""
    tried: list[str] = []
    with pytest.raises(LoginError):
        failing(tried, "new")({}, None)
    assert (tried, len(emulator.requests)) == (["none"], 1)


def test_a_second_fetch_that_fails(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be fetched anew the handler's error goes on."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    store.put_secret("db", "old")
    tried: list[str] = []
    handler = failing(tried, "new", timeout=0.3)
    emulator.inject(faults.Latency(0.0))
    emulator.inject(faults.EVERY_FAULT["unavailable"], times=None)
    with pytest.raises(LoginError):
        handler({}, None)
    assert tried == ["old"]


def test_a_variable_that_goes_away_in_between(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the names cannot be known any more the handler's error goes on."""

    @inject_secrets(retry_on=(LoginError,))
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("{STAGE}/db")]) -> str:
        monkeypatch.delenv("STAGE")
        raise LoginError(password)

    store.put_secret("dev/db", "old")
    monkeypatch.setenv("STAGE", "dev")
    with pytest.raises(LoginError):
        handler({}, None)
    assert len(emulator.requests) == 1


def test_imports_boto3_only_when_it_is_needed(emulator: Emulator, store: MemoryStore) -> None:
    """A resolve without a failure loads neither boto3, nor requests, nor what fetches past the extension."""
    store.put_secret("db", "value")
    code = (
        "import json, sys\n"
        "from lambdasecrets import Secret, resolve\n"
        "assert resolve(Secret('db'), str) == 'value'\n"
        "print(json.dumps([m for m in ('boto3', 'requests', 'lambdasecrets._sources.direct') if m in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ}, capture_output=True, check=True, timeout=SECONDS
    )
    assert json.loads(done.stdout) == []


def test_nothing_listens(emulator: Emulator) -> None:
    """Without the layer the error asks whether it is attached."""
    emulator.stop()
    with pytest.raises(ExtensionUnavailableError, match="Is the layer AWS-Parameters-and-Secrets-Lambda-Extension "):
        resolve(Secret("database"), Database, timeout=0.3)
    assert read_moment().age() < SECONDS
