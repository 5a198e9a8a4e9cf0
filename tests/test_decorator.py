"""`inject_secrets` and `resolve`, as a handler's author meets them."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr

from lambdasecrets import (
    DeadlineExceededError,
    DeclarationError,
    NoTokenError,
    Parameter,
    Secret,
    SettingError,
    aresolve,
    inject_secrets,
    resolve,
)
from lambdasecrets._decorator import PLAN
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore


class Database(BaseModel, frozen=True):
    host: str


class AppConfig(BaseModel):
    database: Annotated[Database, Secret("db")]
    size: Annotated[int, Parameter("/size")] = 50


class Context:
    """An invocation's context with some time left."""

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds that are left."""
        return self.milliseconds


@pytest.fixture(autouse=True)
def values(store: MemoryStore) -> None:
    """Put in what the handlers declare."""
    store.put_secret("db", {"host": "h"})
    store.put_secret("key", "k")


@inject_secrets
def plain(
    event: dict[str, Any],
    context: object,
    *,
    database: Annotated[Database, Secret("db")],
    key: Annotated[SecretStr, Secret("key")],
    extra: str = "extra",
) -> tuple[Any, ...]:
    """Handle an event."""
    return event, context, database, key.get_secret_value(), extra


# --- What it makes ------------------------------------------------------------------------------------------------


def test_injects_by_keyword(emulator: Emulator) -> None:
    """The event and the context go through as they are, and the values come with them."""
    event, context = {"a": 1}, object()
    assert plain(event, context) == (event, context, Database(host="h"), "k", "extra")


def test_makes_a_fresh_object_for_each_invocation(emulator: Emulator) -> None:
    """No invocation gets an object that another one could have changed."""
    assert plain({}, None)[2] is not plain({}, None)[2]


def test_is_a_plain_function() -> None:
    """The decorated handler is a function with the handler's name, document and module."""
    assert inspect.isfunction(plain)
    assert (plain.__name__, plain.__qualname__, plain.__doc__, plain.__module__) == (
        "plain",
        "plain",
        "Handle an event.",
        __name__,
    )
    assert pickle.loads(pickle.dumps(plain)) is plain  # noqa: S301 - made here


def test_publishes_a_signature_without_what_is_injected() -> None:
    """Whoever inspects the handler sees what a caller gives, and the types of it."""
    assert str(inspect.signature(plain)) == (
        "(event: 'dict[str, Any]', context: 'object', *, extra: 'str' = 'extra') -> 'tuple[Any, ...]'"
    )
    assert plain.__annotations__ == {
        "event": "dict[str, Any]",
        "context": "object",
        "extra": "str",
        "return": "tuple[Any, ...]",
    }


@inject_secrets
async def coroutine(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
    """Handle an event."""
    return key  # pragma: no cover - never called so


@pytest.mark.parametrize("call", [plain, lambda *args, **overrides: asyncio.run(coroutine(*args, **overrides))])
def test_refuses_a_misspelt_override(emulator: Emulator, call: Any) -> None:
    """A keyword argument that the handler does not take is named, before anything is asked for."""
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'keyy'\. Did you mean 'key'\?"):
        call({}, None, keyy="k")
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (inject_secrets, "inject_secrets(ttl=...): there is no such option. Write max_age=, in seconds."),
        (
            lambda **it: resolve(Secret("key"), str, **it),
            "resolve(ttl=...): there is no such option. Write max_age=, in seconds.",
        ),
        (
            lambda **it: asyncio.run(aresolve(Secret("key"), str, **it)),
            "aresolve(ttl=...): there is no such option. Write max_age=, in seconds.",
        ),
    ],
)
def test_refuses_an_option_that_does_not_exist(call: Any, expected: str) -> None:
    """An option that there is not is refused with the one that is meant."""
    with pytest.raises(DeclarationError) as caught:
        call(ttl=30)
    assert f"Cannot use {expected}" == str(caught.value)


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("maxage", "Write max_age=."),
        ("refresh", "Write refresh=True, in resolve and aresolve."),
        ("zzz", "It takes max_age=, stale_if_error=, timeout=, retry_on=, fallback=, on_resolve=."),
    ],
)
def test_hints_at_options(option: str, remedy: str) -> None:
    """The nearest option is named, or all of them."""
    with pytest.raises(DeclarationError) as caught:
        inject_secrets(**{option: 3})  # type: ignore[call-overload]
    assert remedy == caught.value.remedy


def test_carries_its_plan() -> None:
    """The plan stands in one attribute, and shows whose it is."""
    assert repr(getattr(plain, PLAN)) == f"CompiledPlan({__name__}.plain)"


@pytest.mark.parametrize("given", [{}, {"key": SecretStr("the caller's")}])
def test_overrides_of_the_plan_are_injected(emulator: Emulator, given: dict[str, Any]) -> None:
    """What a test put into the plan is injected and not fetched; what the caller gives wins over it."""
    getattr(plain, PLAN).overrides["key"] = SecretStr("the test's")
    try:
        _, _, database, key, _ = plain({}, None, **given)
    finally:
        getattr(plain, PLAN).overrides.clear()
    assert (database, key) == (Database(host="h"), "the caller's" if given else "the test's")
    assert [record.target for record in emulator.requests] == ["/secretsmanager/get?secretId=db"]


# --- Who calls it, and how ----------------------------------------------------------------------------------------


def test_a_callers_argument_wins(emulator: Emulator) -> None:
    """What the caller gives is used and not fetched; the rest is."""
    assert plain({}, None, key=SecretStr("mine"), extra="more") == ({}, None, Database(host="h"), "mine", "more")
    assert [record.target for record in emulator.requests] == ["/secretsmanager/get?secretId=db"]


def test_a_caller_can_give_everything() -> None:
    """With every argument given nothing is asked: no token, no server."""
    assert plain({}, None, database=Database(host="mine"), key=SecretStr("mine")) == (
        {},
        None,
        Database(host="mine"),
        "mine",
        "extra",
    )


def test_takes_the_event_and_the_context_by_keyword(emulator: Emulator) -> None:
    """A caller can name the event and the context."""
    named: Any = plain
    assert named(event={}, context=Context(60_000))[2] == Database(host="h")


@pytest.mark.parametrize("by_keyword", [False, True])
def test_the_context_bounds_the_time(emulator: Emulator, by_keyword: bool) -> None:
    """The invocation's remaining time less a reserve is a bound, however the context is given."""
    emulator.inject(faults.Hang(), times=None)
    handler: Any = plain
    with pytest.raises(DeadlineExceededError) as failure:
        handler({}, context=Context(300)) if by_keyword else handler({}, Context(300))
    assert failure.value.bound == "invocation"
    assert failure.value.seconds == pytest.approx(0.2, abs=0.05)


def test_an_invocation_without_time_asks_nothing(emulator: Emulator) -> None:
    """With less than the reserve left no request is sent."""
    with pytest.raises(DeadlineExceededError):
        plain({}, Context(50))
    assert emulator.requests == []


def test_the_timeout_bounds_the_time(emulator: Emulator) -> None:
    """The option bounds the whole resolve where the invocation has more time."""

    @inject_secrets(timeout=0.2)
    def handler(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> None: ...

    emulator.inject(faults.Hang(), times=None)
    with pytest.raises(DeadlineExceededError) as failure:
        handler({}, Context(60_000))
    assert (failure.value.bound, failure.value.seconds) == ("timeout", 0.2)


class Orders:
    """A class with handlers of every kind."""

    name = "orders"

    @inject_secrets
    def method(self, event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        return f"{self.name} {key}"

    @classmethod
    @inject_secrets
    def of_class(cls, event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        return f"{cls.name} {key}"

    @staticmethod
    @inject_secrets
    def static(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        return key

    @inject_secrets
    async def coroutine(self, event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        return f"{self.name} {key} {event}"


def test_methods_bind(emulator: Emulator) -> None:
    """Methods, class methods and static methods work like functions."""
    of_class: Any = Orders.of_class
    assert [Orders().method({}, None), of_class({}, None), Orders.static({}, None)] == ["orders k", "orders k", "k"]


def test_a_methods_context_bounds_the_time(emulator: Emulator) -> None:
    """The context of a method is found behind its object."""
    emulator.inject(faults.Hang(), times=None)
    with pytest.raises(DeadlineExceededError) as failure:
        Orders().method({}, Context(200))
    assert failure.value.bound == "invocation"


# --- Coroutines ---------------------------------------------------------------------------------------------------


def test_coroutines_are_awaited(emulator: Emulator) -> None:
    """An `async def` handler stays one, and invocations of one loop resolve at the same time."""
    assert inspect.iscoroutinefunction(Orders.coroutine)

    async def many() -> list[str]:
        return await asyncio.gather(*(Orders().coroutine(number, None) for number in range(4)))

    assert asyncio.run(many()) == [f"orders k {number}" for number in range(4)]


def test_a_coroutine_does_not_hold_up_its_loop(emulator: Emulator) -> None:
    """While one handler waits for its values the loop goes on."""
    emulator.inject(faults.Latency(0.3))
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.01)

    async def both() -> str:
        ticking = asyncio.create_task(tick())
        try:
            return await Orders().coroutine("e", None)
        finally:
            ticking.cancel()

    assert asyncio.run(both()) == "orders k e"
    assert len(ticks) > 2


class LoginError(Exception):
    """The handler was not let in."""


def test_a_coroutine_runs_once_more(agent: Emulator, store: MemoryStore) -> None:
    """`retry_on` works for coroutines: once more with new values, or the error goes on."""
    tried: list[str] = []

    @inject_secrets(retry_on=[LoginError])
    async def handler(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        tried.append(key)
        if key != "new":
            raise LoginError
        return key

    with pytest.raises(LoginError):
        asyncio.run(handler({}, None))
    store.put_secret("key", "new")
    assert asyncio.run(handler({}, None)) == "new"
    assert tried == ["k", "k", "new"]


@pytest.fixture
def agent(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand in for the agent, whose cache holds values for 300 s."""
    with Emulator(store, profile="agent", secrets_ttl=300.0) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


# --- retry_on -----------------------------------------------------------------------------------------------------


def handler_that_fails(tried: list[str], **options: Any) -> Any:
    """Make a handler that is let in with the new value only."""

    @inject_secrets(**options)
    def handler(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> str:
        tried.append(key)
        if key != "new":
            raise LoginError
        return key

    return handler


@pytest.mark.parametrize("how", ["option", "variable"])
def test_runs_once_more_with_new_values(
    agent: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The exceptions come from the option or from LAMBDASECRETS_RETRY_ON."""
    if how == "variable":
        monkeypatch.setenv("LAMBDASECRETS_RETRY_ON", f"builtins.KeyError, {__name__}.LoginError")
    tried: list[str] = []
    handler = handler_that_fails(tried, **({"retry_on": (LoginError,)} if how == "option" else {}))
    resolve(Secret("key"), str)
    store.put_secret("key", "new")
    assert (handler({}, None), tried) == ("new", ["k", "new"])


def test_the_option_wins_over_the_variable(
    agent: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option, even an empty one, is not mixed with the environment's."""
    monkeypatch.setenv("LAMBDASECRETS_RETRY_ON", f"{__name__}.LoginError")
    tried: list[str] = []
    with pytest.raises(LoginError):
        handler_that_fails(tried, retry_on=())({}, None)
    assert (tried, len(agent.requests)) == (["k"], 1)


def test_another_exception_goes_on(agent: Emulator) -> None:
    """An exception that is not listed costs nothing."""
    with pytest.raises(LoginError):
        handler_that_fails([], retry_on=(KeyError,))({}, None)
    assert len(agent.requests) == 1


def test_what_the_caller_gave_is_not_fetched_anew(agent: Emulator) -> None:
    """With every argument given there is nothing to fetch, and the error goes on."""
    tried: list[str] = []
    with pytest.raises(LoginError):
        handler_that_fails(tried, retry_on=(LoginError,))({}, None, key="mine")
    assert (tried, agent.requests) == (["mine"], [])


def test_a_bad_variable_is_refused_before_the_handler_runs(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """LAMBDASECRETS_RETRY_ON is read first: what it holds is not found out in the middle of another failure."""
    monkeypatch.setenv("LAMBDASECRETS_RETRY_ON", "no.such.Error")
    tried: list[str] = []
    with pytest.raises(SettingError, match=r"^Cannot use LAMBDASECRETS_RETRY_ON as it is set"):
        handler_that_fails(tried)({}, None)
    assert tried == []


# --- Refusals at import -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout as it is set: it takes a number of seconds above 0"),
        ({"max_age": -1}, "max_age as it is set: it takes a number of seconds, 0 or more"),
        ({"stale_if_error": float("nan")}, "stale_if_error as it is set: it takes a number of seconds, 0 or more"),
        ({"retry_on": LookupError}, "retry_on as it is set: it takes a tuple of exception classes"),
        ({"retry_on": ["LoginError"]}, "retry_on as it is set: it takes a tuple of exception classes"),
    ],
)
def test_bad_options_are_refused_at_import(options: dict[str, Any], says: str) -> None:
    """An option that cannot be used fails where it stands, before any handler."""
    with pytest.raises(SettingError) as failure:
        inject_secrets(**options)
    assert str(failure.value) == f"Cannot use {says}. Correct it or leave it out."


def test_a_bad_signature_is_refused_at_import() -> None:
    """A handler that could not be served fails where it is decorated."""
    bad: Any = lambda event, context, *, key: key  # noqa: E731 - it has no annotations
    with pytest.raises(DeclarationError, match=r"parameter 'key' of .* it carries no declaration and has no default"):
        inject_secrets(bad)


def test_nothing_is_read_at_import(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decorating asks no server and looks at no variable, not even at bad ones."""
    for name in ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "LAMBDASECRETS_TIMEOUT", "LAMBDASECRETS_TRANSPORT"):
        monkeypatch.setenv(name, "bad")
    handler_that_fails([])
    assert emulator.requests == []


# --- resolve ------------------------------------------------------------------------------------------------------


def test_resolves_a_declaration_as_a_type(emulator: Emulator) -> None:
    """A declaration and a type give a value of that type."""
    assert resolve(Secret("db"), Database) == Database(host="h")
    assert resolve(Secret("db", key="host"), SecretStr) == SecretStr("h")


def test_resolves_a_config_model(emulator: Emulator, store: MemoryStore) -> None:
    """A config model gives an object of itself, its defaults included, in one wave."""
    assert resolve(AppConfig) == AppConfig.model_construct(database=Database(host="h"), size=50)
    store.put_parameter("/other", "1")
    assert len(emulator.requests) == 2


def test_resolves_an_annotation(emulator: Emulator) -> None:
    """An alias that carries its declaration needs nothing else."""
    alias: Any = Annotated[Database, Secret("db")]
    assert resolve(alias) == Database(host="h")


def test_resolves_an_annotation_that_cannot_be_a_key(emulator: Emulator) -> None:
    """What stands in an annotation can be anything, what has no hash included."""
    alias: Any = Annotated[str, Secret("key"), {"note": "a dict"}]
    assert resolve(alias) == "k"


def test_prepares_an_annotation_once(emulator: Emulator) -> None:
    """The second time a type is resolved its reader is made already."""
    made: list[int] = []

    class Counted(BaseModel):
        host: str

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            made.append(threading.get_ident())
            return handler(source)

    resolve(Secret("db"), Counted)
    first = len(made)
    resolve(Secret("db"), Counted)
    assert len(made) == first


def test_resolve_has_options_too(emulator: Emulator) -> None:
    """The options of `resolve` are those of the decorator."""
    for _ in range(2):
        assert resolve(Secret("key"), str, max_age=60, stale_if_error=60, timeout=3) == "k"
    assert len(emulator.requests) == 1


def test_resolve_refuses_what_carries_no_declaration() -> None:
    """A type without a declaration is refused with what to write."""
    with pytest.raises(
        DeclarationError, match=r"^Cannot use resolve\(Database\): Database has no field that carries a "
    ):
        resolve(Database)


def test_resolve_raises_what_went_wrong() -> None:
    """Outside of Lambda, `resolve` raises like a handler does."""
    with pytest.raises(
        NoTokenError, match=r"^Cannot resolve Secret\('key'\) for resolve\(\): there is no AWS_SESSION_TOKEN"
    ):
        resolve(Secret("key"), str)
