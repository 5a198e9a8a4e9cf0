from __future__ import annotations

import asyncio
import gc
import inspect
import json
import time
import weakref
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import pytest
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.depends import DependencyResolutionError, Depends
from pydantic import BaseModel, SecretStr

from lambdasecrets import (
    DeadlineExceededError,
    DeclarationError,
    LambdaSecretsError,
    Parameter,
    ResolveEvent,
    Secret,
    SettingError,
    inject_secrets,
    invocation,
)
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.discovery import discover
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.entries import read_entries
from lambdasecrets.dev.faults import Hang
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.powertools import adependency, dependency


class Database(BaseModel, frozen=True):
    host: str
    password: SecretStr


class Config(BaseModel):
    database: Annotated[Database, Secret("database")]
    size: Annotated[int, Parameter("/size")] = 25


@pytest.fixture(autouse=True)
def values(store: MemoryStore) -> None:
    """Put in what the dependencies declare."""
    store.put_secret("database", {"host": "db.internal", "password": "hunter2"})


def event(path: str) -> dict[str, Any]:
    """Make what API Gateway sends."""
    return {"resource": path, "path": path, "httpMethod": "GET", "headers": {}, "requestContext": {}}


# --- The callables ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
def test_gives_the_value() -> None:
    """It gives what `resolve` would, a fresh object each time."""
    get_database = dependency(Secret("database"), Database)
    first, second = get_database(), get_database()

    assert first == second == Database(host="db.internal", password=SecretStr("hunter2"))
    assert first is not second
    assert dependency(Config)().size == 25


@pytest.mark.usefixtures("emulator")
def test_gives_the_value_to_a_coroutine() -> None:
    """The async one gives it to who awaits."""

    async def read() -> tuple[str, int]:
        return (await adependency(Secret("database"), Database)()).host, (await adependency(Config)()).size

    assert asyncio.run(read()) == ("db.internal", 25)


def test_the_same_for_equal_declarations() -> None:
    """Equal declarations give the same object; another type, option or kind of function another."""
    made = dependency(Secret("database"), Database, max_age=30)

    assert dependency(Secret("database"), Database, max_age=30) is made
    others = [
        dependency(Secret("database"), Database),
        dependency(Secret("database", version_stage="AWSPREVIOUS"), Database, max_age=30),
        dependency(Secret("database"), dict[str, str], max_age=30),
        adependency(Secret("database"), Database, max_age=30),
    ]
    assert all(other is not made for other in others)
    first = adependency(Config)
    assert adependency(Config) is first


def test_what_is_not_used_any_more_goes() -> None:
    """A dependency made for one request does not stay for ever."""
    gone = weakref.ref(dependency(Secret("database"), str))
    gc.collect()

    assert gone() is None


def test_what_cannot_be_a_key() -> None:
    """An annotation with metadata that is not hashable works, too: it is made anew each time."""
    declared: Any = Annotated[str, Secret("database"), ["not hashable"]]

    assert dependency(declared) is not dependency(declared)


def test_its_shape() -> None:
    """It takes nothing, so that nothing of it becomes a parameter of a route; it has a name, and evaluates."""
    get_database, read_config = dependency(Secret("database"), Database), adependency(Config)

    assert list(inspect.signature(get_database).parameters) == []
    assert [inspect.iscoroutinefunction(one) for one in (get_database, read_config)] == [False, True]
    assert (get_database.__name__, read_config.__name__) == ("Secret('database')", "Config")
    assert get_type_hints(get_database) == {"return": Any}


@pytest.mark.usefixtures("emulator")
def test_is_reported() -> None:
    """`on_resolve` is told of it."""
    events: list[ResolveEvent] = []
    dependency(Secret("database"), Database, on_resolve=events.append)()

    assert [value.source for event in events for value in event.values] == ["server"]


@pytest.mark.parametrize("make", [dependency, adependency])
def test_refuses_at_once_what_could_only_fail_later(make: Any) -> None:
    """What cannot be declared, and an option that cannot be used, are refused when the route is defined."""
    with pytest.raises(DeclarationError):
        make(Database)
    with pytest.raises(DeclarationError):
        make(Secret("database"))
    with pytest.raises(SettingError, match="max_age"):
        make(Config, max_age=-1)
    with pytest.raises(SettingError, match="on_resolve"):
        make(Config, on_resolve=asyncio.sleep)


def test_is_found_by_the_commands(tmp_path: Path) -> None:
    """What a module has by a name is found by `policy`, `check` and the others, with what it declares."""
    file = tmp_path / "app.py"
    file.write_text(
        "from lambdasecrets import Parameter, Secret\nfrom lambdasecrets.powertools import adependency, dependency\n"
        "get_key = dependency(Secret('key'), str, timeout=2)\nget_size = adependency(Parameter('/size'), int)\n",
        encoding="utf-8",
    )
    found = discover([str(file)]).found

    assert [(one.target.rpartition(":")[2], str(one.declarations[0]), one.timeout) for one in found] == [
        ("get_key", "Secret('key')", 2),
        ("get_size", "Parameter('/size')", None),
    ]
    assert [use.place for entry in read_entries(found, {}).entries for use in entry.uses] == [
        one.target for one in found
    ]


# --- The running invocation -------------------------------------------------------------------------------------------


def seconds_until_late(call: Any) -> float:
    """Say after how many seconds a call gives up."""
    began = time.monotonic()
    with pytest.raises((DeadlineExceededError, DependencyResolutionError)):
        call()
    return time.monotonic() - began


def test_ends_before_the_invocation(emulator: Emulator) -> None:
    """Its deadline is that of the running invocation, which `invocation` or a decorator has seen the context of."""
    emulator.inject(Hang(), times=None)
    get_database = dependency(Secret("database"), Database)

    @inject_secrets
    def handler(event: Any, context: Any, *, size: Annotated[int, Parameter("/size")] = 25) -> Database:
        return get_database()

    def run() -> None:
        with invocation(LambdaContext.from_environment(0.6)):
            get_database()

    assert seconds_until_late(run) < 2
    assert seconds_until_late(lambda: handler({}, LambdaContext.from_environment(0.6), size=1)) < 2


# --- Powertools' own Depends ------------------------------------------------------------------------------------------


def make_app(*, enable_validation: bool) -> APIGatewayRestResolver:
    """Make an app whose routes depend on values."""
    app = APIGatewayRestResolver(enable_validation=enable_validation)

    @app.get("/host")
    def host(database: Annotated[Database, Depends(dependency(Secret("database"), Database))]) -> dict[str, str]:
        return {"host": database.host}

    @app.get("/missing")
    def missing(text: Annotated[str, Depends(dependency(Secret("missing"), str))]) -> None: ...

    return app


def ask(app: APIGatewayRestResolver, path: str) -> Any:
    """Send a request through an app; give the body of its answer."""
    context: Any = LambdaContext.from_environment(5)
    with invocation(context):
        return json.loads(app.resolve(event(path), context)["body"])


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("enable_validation", [False, True])
def test_in_a_route(*, enable_validation: bool) -> None:
    """A route gets the value, with and without Powertools' validation."""
    assert ask(make_app(enable_validation=enable_validation), "/host") == {"host": "db.internal"}


@pytest.mark.usefixtures("emulator")
def test_in_a_coroutine_of_a_route() -> None:
    """A route that is a coroutine gets the value from the plain callable: Powertools awaits no dependency."""
    app, context = APIGatewayRestResolver(), LambdaContext.from_environment(5)

    @app.get("/host")
    async def host(database: Annotated[Database, Depends(dependency(Secret("database"), Database))]) -> dict[str, str]:
        return {"host": database.host}

    answer = asyncio.run(app.resolve_async(event("/host"), cast("Any", context)))

    assert json.loads(answer["body"]) == {"host": "db.internal"}


@pytest.mark.parametrize("enable_validation", [False, True])
def test_overridden(*, enable_validation: bool) -> None:
    """`dependency_overrides` finds it by an equal declaration: no server is asked."""
    app = make_app(enable_validation=enable_validation)
    given = Database(host="of the test", password=SecretStr(""))
    app.dependency_overrides[dependency(Secret("database"), Database)] = lambda: given

    assert ask(app, "/host") == {"host": "of the test"}


@pytest.mark.usefixtures("emulator")
def test_what_fails_in_a_route() -> None:
    """Powertools names the dependency by its declaration; the cause is this library's error."""
    with pytest.raises(
        DependencyResolutionError, match=r"dependency 'Secret\('missing'\)' for parameter 'text'"
    ) as raised:
        ask(make_app(enable_validation=False), "/missing")

    assert isinstance(raised.value.__cause__, LambdaSecretsError)
