"""One call of a decorated handler: the second run with newer values, what passes through, and how it ends."""

from __future__ import annotations

import asyncio
import builtins
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any, cast

import pytest

from lambdasecrets import (
    DeadlineExceededError,
    EventLoopError,
    ResolveEvent,
    Secret,
    SettingError,
    _handler_call,
    _threads,
    aresolve,
    inject_secrets,
    invocation,
    resolve,
)
from lambdasecrets._handler_call import is_caused_by
from lambdasecrets._sources import direct
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.dev.asking import until
from tests.logs import list_warnings

SECONDS = 20.0
ROTATED = ("AWSCURRENT",)
ON_TRIAL = ("AWSPENDING",)


class LoginError(Exception):
    """The handler was not let in."""


class Database:
    """A login that takes one password, and knows which were tried."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.tried: list[str] = []

    def log_in(self, password: str) -> str:
        """Take the password, or refuse it."""
        self.tried.append(password)
        if password != self.password:
            raise LoginError
        return password


@pytest.fixture(params=["extension", "agent"])
def server(request: pytest.FixtureRequest, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Stand in for each server, with a cache that holds values for 300 s."""
    store.put_secret("db", "first", version_id="v1")
    with Emulator(store, profile=request.param, secrets_ttl=300.0) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def make_handler(database: Database, **options: Any) -> Any:
    """Make a handler that logs in with the secret."""

    # With time for boto3, which is loaded when it is first needed.
    @inject_secrets(**{"retry_on": (LoginError,), "timeout": SECONDS, **options})
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        return database.log_in(password)

    return handler


def make_coroutine(database: Database) -> Any:
    """Make an async handler that logs in with the secret."""

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        return database.log_in(password)

    return handler


# --- The version on trial -----------------------------------------------------------------------------------------


def test_a_current_value_that_changed_comes_first(server: Emulator, store: MemoryStore) -> None:
    """A value that is AWSCURRENT by now is used and kept; the one on trial is not asked for."""
    database = Database("first")
    handler = make_handler(database)
    handler({}, None)
    store.put_secret("db", "second", version_id="v2")
    store.put_secret("db", "third", version_id="v3", stages=ON_TRIAL)
    database.password = "second"
    assert [handler({}, None) for _ in range(2)] == ["second"] * 2
    assert database.tried == ["first", "first", "second", "second"]


def test_a_newer_value_that_does_not_fit(
    server: Emulator, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the newer value cannot be read, the handler's own failure goes on, and the log says why."""

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(event: Any, context: Any, *, pin: Annotated[int, Secret("pin")]) -> int:
        Database("1").log_in(event)
        return pin

    store.put_secret("pin", "1", version_id="v1")
    assert handler("1", None) == 1
    store.put_secret("pin", "no number", version_id="v2")
    with pytest.raises(LoginError):
        handler("wrong", None)
    assert [text.partition(" handler")[0] for text in list_warnings(caplog)] == ["Could not run the"]


def test_a_value_on_trial_that_works_is_kept(server: Emulator, store: MemoryStore) -> None:
    """Between the steps "set" and "finish" of a rotation the pending value is right: nobody's invocation fails."""
    database = Database("first")
    handler = make_handler(database)
    handler({}, None)
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    database.password = "second"
    assert [handler({}, None) for _ in range(3)] == ["second"] * 3
    assert database.tried == ["first", "first", "second", "second", "second"]
    store.put_secret("db", "third", version_id="v3")
    database.password = "third"
    time.sleep(direct.SHARED_SECONDS)
    assert handler({}, None) == "third"


def test_a_value_on_trial_that_does_not_help_is_dropped(server: Emulator, store: MemoryStore) -> None:
    """Between "create" and "set" the pending value is wrong: the first exception is raised, and nothing is poisoned."""
    database = Database("locked")
    handler = make_handler(database)
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    with pytest.raises(LoginError) as failure:
        handler({}, None)
    assert (failure.value.__cause__, failure.value.__context__) == (None, None)
    database.password = "first"
    assert handler({}, None) == "first"
    assert database.tried == ["first", "second", "first"]


def test_a_coroutine_whose_value_on_trial_does_not_help(server: Emulator, store: MemoryStore) -> None:
    """An async handler is refused with the first exception, too."""
    database = Database("locked")
    handler = make_coroutine(database)
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    with pytest.raises(LoginError):
        asyncio.run(handler({}, None))
    assert database.tried == ["first", "second"]


def test_of_several_secrets_one_is_on_trial(server: Emulator, store: MemoryStore) -> None:
    """What is not on trial stays as it is, and only what was is kept."""
    tried: list[tuple[str, str]] = []

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(
        event: Any, context: Any, *, password: Annotated[str, Secret("db")], host: Annotated[str, Secret("host")]
    ) -> None:
        tried.append((password, host))
        if password == "first":
            raise LoginError

    store.put_secret("host", "here")
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    handler({}, None)
    handler({}, None)
    assert tried == [("first", "here"), ("second", "here"), ("second", "here")]


def test_a_variable_that_goes_away_during_a_trial(
    server: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value on trial that works counts for the run, though its name cannot be known any more."""

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("{STAGE}/db")]) -> str:
        if password == "first":
            raise LoginError
        monkeypatch.delenv("STAGE")
        return password

    monkeypatch.setenv("STAGE", "dev")
    store.put_secret("dev/db", "first", version_id="v1")
    store.put_secret("dev/db", "second", version_id="v2", stages=ON_TRIAL)
    assert handler({}, None) == "second"


def test_a_second_run_that_fails_otherwise_has_its_own_failure(server: Emulator, store: MemoryStore) -> None:
    """With the value on trial let in, a later failure is the run's own, and the value counts."""
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> None:
        tried.append(password)
        raise LoginError if password == "first" else LookupError

    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    for _ in range(2):
        with pytest.raises(LookupError):
            handler({}, None)
    assert tried == ["first", "second", "second"]


def test_a_cancelled_rotation(server: Emulator, store: MemoryStore) -> None:
    """A pending version that never becomes current disturbs only the invocations that fail anyway."""
    database = Database("first")
    handler = make_handler(database)
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    assert [handler({}, None) for _ in range(2)] == ["first"] * 2
    assert database.tried == ["first", "first"]


def test_only_secrets_without_version_or_stage_are_tried(server: Emulator, store: MemoryStore) -> None:
    """A declared stage is what the handler wants, whatever is on trial."""
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(
        event: Any, context: Any, *, password: Annotated[str, Secret("db", version_stage="AWSCURRENT")]
    ) -> None:
        tried.append(password)
        raise LoginError

    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    with pytest.raises(LoginError):
        handler({}, None)
    assert tried == ["first"]


def test_an_absent_optional_value_does_not_disable_it(server: Emulator, store: MemoryStore) -> None:
    """A handler with an optional value that is not there gets newer values all the same."""
    database = Database("second")

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(
        event: Any,
        context: Any,
        *,
        password: Annotated[str, Secret("db")],
        other: Annotated[str, Secret("missing")] = "none",
    ) -> str:
        return database.log_in(password) + other

    with pytest.raises(LoginError):
        handler({}, None)
    store.put_secret("db", "second", version_id="v2")
    time.sleep(direct.SHARED_SECONDS)
    assert handler({}, None) == "secondnone"


# --- What is looked into ------------------------------------------------------------------------------------------


def caused(by: BaseException) -> Exception:
    """Make an exception with a cause."""
    error = RuntimeError()
    error.__cause__ = by
    return error


class Group(Exception):  # noqa: N818 - as Python names its own
    """An ExceptionGroup for Python 3.10, as the package `exceptiongroup` has one."""

    def __init__(self, message: str, members: tuple[Exception, ...]) -> None:
        super().__init__(message, members)
        self.exceptions = members


def grouped(*members: Exception) -> Exception:
    """Make a group of exceptions, of Python's own kind where it has one."""
    make: Callable[[str, tuple[Exception, ...]], Exception] = getattr(builtins, "ExceptionGroup", Group)
    return make("several", members)


@pytest.mark.parametrize(
    ("error", "is_meant"),
    [
        (LoginError(), True),
        (caused(LoginError()), True),
        (grouped(ValueError(), LoginError()), True),
        (Group("several", (ValueError(), LoginError())), True),
        (caused(grouped(caused(LoginError()))), True),
        (ValueError(), False),
        (caused(ValueError()), False),
    ],
    ids=repr,
)
def test_causes_and_groups_are_looked_into(error: Exception, is_meant: bool) -> None:
    """A failed login counts as the cause of another exception and as a member of a group, too."""
    assert is_caused_by(error, (LoginError,)) is is_meant


def test_a_circle_of_causes_ends() -> None:
    """Exceptions that are each other's cause are looked at once."""
    one, other = RuntimeError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert not is_caused_by(one, (LoginError,))


def test_an_exception_group_runs_the_handler_again(server: Emulator, store: MemoryStore) -> None:
    """The handler runs once more also where the failed login stands in a group."""
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        tried.append(password)
        if password == "first":
            store.put_secret("db", "second", version_id="v2")
            raise grouped(LoginError())
        return password

    assert (handler({}, None), tried) == ("second", ["first", "second"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_what_is_no_exception_is_never_retried(server: Emulator, error: BaseException) -> None:
    """An interrupt goes on, whatever is its cause."""
    error.__cause__ = LoginError()
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> None:
        tried.append(password)
        raise error

    with pytest.raises(type(error)):
        handler({}, None)
    assert tried == ["first"]


# --- Awaitables ---------------------------------------------------------------------------------------------------


def pass_on(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as a plain function, whatever the handler is."""

    def wrapper(event: Any, context: Any, **more: Any) -> Any:
        return handler(event, context, **more)

    wrapper.__annotations__ = handler.__annotations__
    wrapper.__signature__ = __import__("inspect").signature(handler)  # type: ignore[attr-defined]
    return wrapper


def test_what_a_plain_function_returns_is_awaited(server: Emulator, store: MemoryStore) -> None:
    """A decorator between that is no coroutine function hides no failed login."""
    database = Database("first")

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    @pass_on
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        await asyncio.sleep(0)
        return database.log_in(password)

    assert asyncio.run(handler({}, None)) == "first"
    store.put_secret("db", "second", version_id="v2")
    database.password = "second"
    assert asyncio.run(handler({}, None)) == "second"
    database.password = "third"
    with pytest.raises(LoginError):
        asyncio.run(handler({}, None))


def test_an_awaitable_that_fails_on_trial(server: Emulator, store: MemoryStore) -> None:
    """A value on trial that does not help is dropped for what is awaited, too; other failures are its own."""
    failures: list[type[Exception]] = [LoginError, LoginError, LoginError, LookupError]

    @inject_secrets(retry_on=(LoginError,), timeout=SECONDS)
    @pass_on
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        await asyncio.sleep(0)
        raise failures.pop(0)

    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    for expected in (LoginError, LookupError):
        with pytest.raises(expected):
            asyncio.run(handler({}, None))
    assert failures == []


def test_a_coroutine_with_a_value_on_trial(server: Emulator, store: MemoryStore) -> None:
    """Coroutines have the same second run: a trial that helps is kept, one that does not is dropped."""
    database = Database("second")
    handler = make_coroutine(database)
    store.put_secret("db", "second", version_id="v2", stages=ON_TRIAL)
    assert [asyncio.run(handler({}, None)) for _ in range(2)] == ["second"] * 2
    database.password = "none of them"
    with pytest.raises(LoginError):
        asyncio.run(handler({}, None))


@pytest.mark.parametrize("on_resolve", [5, pytest.param(None, id="async")])
def test_on_resolve_is_a_plain_function(on_resolve: Any) -> None:
    """What could not be called, or would never be awaited, is refused at import."""

    async def later(event: ResolveEvent) -> None: ...

    with pytest.raises(SettingError, match="on_resolve as it is set: it takes a plain function"):
        inject_secrets(on_resolve=cast("Any", on_resolve or later))


# --- Time ---------------------------------------------------------------------------------------------------------


def context_of(seconds: float) -> Any:
    """Make a context that counts down."""
    ends = time.monotonic() + seconds
    return SimpleNamespace(get_remaining_time_in_millis=lambda: int((ends - time.monotonic()) * 1000))


def test_a_resolve_inside_ends_with_the_invocation(server: Emulator) -> None:
    """A `resolve` inside a handler inherits what the invocation has left."""
    found: list[str] = []

    @inject_secrets
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> None:
        server.inject(faults.Hang(), times=None)
        try:
            resolve(Secret("db"), str)
        except DeadlineExceededError as error:
            found.append(error.bound)

    began = time.monotonic()
    handler({}, context_of(1.0))
    assert (found, time.monotonic() - began < 2.0) == (["invocation"], True)


def test_a_context_that_fails(server: Emulator) -> None:
    """What a context of the user's raises goes on, and nothing was asked."""

    class Context:
        def get_remaining_time_in_millis(self) -> int:
            raise LookupError

    with pytest.raises(LookupError):
        make_handler(Database("first"))({}, Context())
    assert server.requests == []


def test_a_given_context_bounds_a_resolve(server: Emulator) -> None:
    """Where no decorator sees the context it is given: by keyword, or around."""
    server.inject(faults.Hang(), times=None)
    with pytest.raises(DeadlineExceededError) as by_keyword:
        resolve(Secret("db"), str, context=context_of(0.3))
    with invocation(context_of(0.3)), pytest.raises(DeadlineExceededError) as around:
        resolve(Secret("db"), str)
    with invocation(context_of(0.3)), pytest.raises(DeadlineExceededError) as later:
        asyncio.run(aresolve(Secret("db"), str))
    assert [failure.value.bound for failure in (by_keyword, around, later)] == ["invocation"] * 3


def test_many_coroutines_end_in_time(server: Emulator) -> None:
    """Sixty coroutines that wait for a server that hangs end with their timeout, not one after the other."""
    server.inject(faults.Hang(), times=None)

    @inject_secrets(timeout=0.5)
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> None: ...

    async def many() -> list[Any]:
        return await asyncio.gather(*(handler({}, None) for _ in range(60)), return_exceptions=True)

    began = time.monotonic()
    outcomes = asyncio.run(many())
    assert {type(outcome) for outcome in outcomes} == {DeadlineExceededError}
    assert time.monotonic() - began < 3.0


def test_a_stale_value_serves_where_no_thread_was_free(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine whose time is over while it waits for a thread gets the last good value, and one event says so."""
    monkeypatch.setattr(_threads, "MOST_THREADS", 1)
    events: list[ResolveEvent] = []

    @inject_secrets(timeout=0.3, stale_if_error=60, on_resolve=events.append)
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        return password

    async def two() -> list[str]:
        return list(await asyncio.gather(handler({}, None), handler({}, None)))

    assert asyncio.run(handler({}, None)) == "first"
    server.inject(faults.Hang(), times=None)
    assert asyncio.run(two()) == ["first", "first"]
    assert [event.values[0].source for event in events] == ["server", "stale", "stale"]


def test_what_was_at_hand_serves_where_no_thread_was_free(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine whose time is over while it waits for a thread has what its memory has, and says what it has not."""
    monkeypatch.setattr(_threads, "MOST_THREADS", 1)
    monkeypatch.setattr(_threads, "GRACE_SECONDS", -0.1)  # before the thread that is busy has its own outcome

    @inject_secrets(timeout=0.3, max_age=60)
    async def known(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        return password

    @inject_secrets(timeout=0.3, max_age=60)
    async def handler(
        event: Any, context: Any, *, password: Annotated[str, Secret("db")], other: Annotated[str, Secret("other")]
    ) -> None: ...

    async def two() -> list[Any]:
        return list(await asyncio.gather(handler({}, None), handler({}, None), return_exceptions=True))

    assert asyncio.run(known({}, None)) == "first"
    server.inject(faults.Hang(), times=None)
    outcomes = asyncio.run(two())
    assert [getattr(outcome, "subject", None) and outcome.subject.parameters for outcome in outcomes] == [
        ("other",)
    ] * 2


def test_a_resolve_that_was_given_up_is_not_told_of(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that ends after who waited for it has left tells nobody: that was done."""
    monkeypatch.setattr(_threads, "GRACE_SECONDS", -0.2)
    events: list[ResolveEvent] = []
    server.inject(faults.Latency(0.25))
    with pytest.raises(DeadlineExceededError):
        asyncio.run(aresolve(Secret("db"), str, timeout=0.3, on_resolve=events.append))
    until(lambda: all(worker.is_idle for worker in _handler_call._find_crew()._workers))
    assert [type(event.error) for event in events] == [DeadlineExceededError]


def test_a_task_that_outlives_its_invocation(server: Emulator) -> None:
    """A task that goes on after its handler has its own timeout, not the invocation's end."""

    @inject_secrets
    async def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> Any:
        async def outlive() -> str:
            await asyncio.sleep(0.3)
            return await aresolve(Secret("db"), str)

        return asyncio.create_task(outlive())

    async def main() -> str:
        return str(await (await handler({}, context_of(0.2))))

    assert asyncio.run(main()) == "first"


def test_without_an_asyncio_loop() -> None:
    """A coroutine that something else drives gets a clear error."""
    coroutine = aresolve(Secret("db"), str)
    with pytest.raises(EventLoopError, match="no asyncio event loop runs it"):
        coroutine.send(None)


# --- A newer value that is not to be had ----------------------------------------------------------------------------

DENIED = faults.Reply(400, b'{"__type":"AccessDeniedException","message":"made up"}', "application/x-amz-json-1.1")


def take_boto3_away(monkeypatch: pytest.MonkeyPatch, running: Emulator) -> None:
    """Have boto3 not installed."""
    monkeypatch.setitem(sys.modules, "boto3", None)


def lead_nowhere(monkeypatch: pytest.MonkeyPatch, running: Emulator) -> None:
    """Have no way to AWS, as in a VPC without a route."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")


def deny(monkeypatch: pytest.MonkeyPatch, running: Emulator) -> None:
    """Have AWS refuse."""
    running.inject(DENIED, times=None, match="secretsmanager:GetSecretValue")


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (take_boto3_away, ("boto3 is not installed", "pip install 'lambdasecrets[aws]'")),
        (lead_nowhere, ("http://127.0.0.1:9", "route")),
        (deny, ("the role may not read it", "Allow secretsmanager:GetSecretValue on ")),
    ],
)
def test_why_there_is_no_newer_value(
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    prepare: Callable[[pytest.MonkeyPatch, Emulator], None],
    says: tuple[str, str],
) -> None:
    """One warning says which value, why not and what to do, and the handler's own error goes on."""
    store.put_secret("db", "first")
    database = Database("second")
    with Emulator(store, secrets_ttl=300.0) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        prepare(monkeypatch, running)
        with pytest.raises(LoginError):
            make_handler(database)({}, None)

    (warning,) = list_warnings(caplog)
    assert [text in warning for text in ("'password' of ", "Secret('db')", *says)] == [True] * 4
    assert database.tried == ["first"]


# --- A context that keeps state -----------------------------------------------------------------------------------


def test_a_durable_function_is_not_run_twice(server: Emulator, store: MemoryStore) -> None:
    """Where steps are replayed the values are fetched anew and the failure is raised; the replay has the new value."""
    database = Database("first")
    handler = make_handler(database)
    durable = SimpleNamespace(lambda_context=context_of(SECONDS))
    handler({}, durable)
    store.put_secret("db", "second", version_id="v2")
    database.password = "second"
    with pytest.raises(LoginError):
        handler({}, durable)
    assert handler({}, durable) == "second"
    assert database.tried == ["first", "first", "second"]


# --- Refresh by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["resolve", "aresolve"])
def test_refresh_passes_every_cache(server: Emulator, store: MemoryStore, by: str) -> None:
    """`refresh=True` gives what AWS has, past memory and the server's cache; then it counts for everybody."""

    def read(**options: Any) -> str:
        if by == "aresolve":
            return asyncio.run(aresolve(Secret("db"), str, max_age=60, **options))
        return resolve(Secret("db"), str, max_age=60, **options)

    assert read() == "first"
    store.put_secret("db", "second", version_id="v2")
    assert [read(), read(refresh=True), read(), resolve(Secret("db"), str)] == ["first", "second", "second", "second"]
