"""What a plan comes down to: distinct requests, and arguments made of their values."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings

from lambdasecrets import (
    DeclarationError,
    InvalidValueError,
    InvalidVariableError,
    MissingVariableError,
    Parameter,
    Secret,
)
from lambdasecrets._compiled import ABSENT, Batch, CompiledPlan
from lambdasecrets._signature import handler_plan, value_plan
from lambdasecrets._sources.forms import RawValue

NONE: frozenset[str] = frozenset()


class Login(BaseModel):
    user: str
    password: str


class Limits(BaseModel):
    rate: Annotated[int, Parameter("/rate")] = 10
    burst: Annotated[int, Parameter("/burst")]


class App(BaseModel):
    login: Annotated[Login, Secret("{STAGE}/login")]
    user: Annotated[str, Secret("{STAGE}/login", key="user")]
    limits: Limits
    debug: bool = False


def prepared(handler: Any) -> CompiledPlan:
    """Prepare a handler."""
    return CompiledPlan(handler_plan(handler))


def wave(plan: CompiledPlan, *skip: str) -> Batch:
    """Expect a wave."""
    made = plan.make_batch(frozenset(skip))
    assert isinstance(made, Batch)
    return made


def test_one_request_for_each_distinct_name() -> None:
    """Declarations that differ in their key or type only share one request, whose subject names them all."""

    def handler(
        event: Any,
        context: Any,
        *,
        login: Annotated[Login, Secret("login")],
        user: Annotated[str, Secret("login", key="user")] = "",
        old: Annotated[Login, Secret("login", version_stage="AWSPREVIOUS")],
        secret: Annotated[str, Parameter("/login")],
        sealed: Annotated[str, Parameter("/login", decrypt=False)],
    ) -> None: ...

    requests = wave(prepared(handler)).requests
    assert [request.path for request in requests] == [
        "/secretsmanager/get?secretId=login",
        "/secretsmanager/get?secretId=login&versionStage=AWSPREVIOUS",
        "/systemsmanager/parameters/get?name=%2Flogin&withDecryption=true",
        "/systemsmanager/parameters/get?name=%2Flogin",
    ]
    assert str(requests[0].subject) == (
        f"'login' and 'user' of {__name__}.test_one_request_for_each_distinct_name.<locals>.handler, Secret('login')"
    )
    assert [request.is_optional for request in requests] == [False, False, False, False]


def test_is_optional_where_every_declaration_is() -> None:
    """A request is optional when all that share it have defaults."""

    def handler(
        event: Any,
        context: Any,
        *,
        one: Annotated[str, Secret("a", key="1")] = "",
        two: Annotated[str, Secret("a", key="2")] = "",
    ) -> None: ...

    assert [request.is_optional for request in wave(prepared(handler)).requests] == [True]


def test_selects_versions_and_labels() -> None:
    """Versions, stages and labels are part of what is asked for."""

    def handler(
        event: Any,
        context: Any,
        *,
        one: Annotated[str, Secret("a", version_id="v")],
        two: Annotated[str, Parameter("/b", version=2)],
        three: Annotated[str, Parameter("/b", label="Dev")],
    ) -> None: ...

    assert [request.path for request in wave(prepared(handler)).requests] == [
        "/secretsmanager/get?secretId=a&versionId=v",
        "/systemsmanager/parameters/get?name=%2Fb&version=2&withDecryption=true",
        "/systemsmanager/parameters/get?name=%2Fb&label=Dev&withDecryption=true",
    ]


def test_fills_in_variables_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A placeholder is read when the wave is made, and anew when it has changed."""
    plan = CompiledPlan(value_plan(str, Secret("{STAGE}/a")))
    paths = []
    for stage in ("dev", "prod", "dev"):
        monkeypatch.setenv("STAGE", stage)
        paths.append(wave(plan).requests[0].path)
    assert paths == [f"/secretsmanager/get?secretId={stage}%2Fa" for stage in ("dev", "prod", "dev")]


def test_makes_a_wave_once() -> None:
    """The same names and the same overrides give the wave that was made before."""
    plan = CompiledPlan(value_plan(str, Secret("a")))
    assert wave(plan) is wave(plan)


def test_says_which_variables_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every missing variable is named, for the parameters that need it, and an empty one counts as missing."""

    def handler(
        event: Any,
        context: Any,
        *,
        one: Annotated[str, Secret("{STAGE}/{TEAM}/a")],
        two: Annotated[str, Secret("{STAGE}/b")],
        three: Annotated[str, Secret("{TEAM}/c")],
    ) -> None: ...

    monkeypatch.setenv("STAGE", "dev")
    monkeypatch.setenv("TEAM", "")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made up")
    error = prepared(handler).make_batch(NONE)
    assert isinstance(error, MissingVariableError)
    owner = f"{__name__}.test_says_which_variables_are_missing.<locals>.handler"
    assert str(error) == (
        f"Cannot resolve 2 values of {owner}: the environment variable TEAM is not set, or empty. Set it in the "
        "function's configuration (locally: in the [environment] table of the secrets file).\n"
        "Not resolved:\n"
        "  - 'one', Secret('{STAGE}/{TEAM}/a')\n"
        "  - 'three', Secret('{TEAM}/c')"
    )


@pytest.mark.parametrize(
    ("name", "is_local"),
    [
        ("AWS_SESSION_TOKEN", False),
        ("AWS_TOKEN", False),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", False),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", False),
        ("UNRELATED", True),
    ],
)
def test_a_missing_variable_outside_a_lambda(monkeypatch: pytest.MonkeyPatch, name: str, *, is_local: bool) -> None:
    """Where nothing says where a token is, this is no Lambda, and that comes first."""
    monkeypatch.setenv(name, "made up")
    error = CompiledPlan(value_plan(str, Secret("{STAGE}/a"))).make_batch(NONE)
    assert isinstance(error, MissingVariableError)
    assert (error.is_local, error.why.startswith("this is not a Lambda execution environment, and ")) == (
        is_local,
        is_local,
    )


def test_says_which_variables_make_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that makes no name is told without its text, in a new error each time."""
    plan = CompiledPlan(value_plan(str, Secret("{STAGE}/a")))
    monkeypatch.setenv("STAGE", "dev\n")
    errors = [plan.make_batch(NONE) for _ in range(2)]
    assert errors[0] is not errors[1]
    assert isinstance(errors[0], InvalidVariableError)
    assert str(errors[0]) == (
        "Cannot resolve Secret('{STAGE}/a') for resolve(): with STAGE filled in, its name has a line break. Take it "
        "out. Correct what STAGE holds, or the declaration."
    )


def test_a_tenant_needs_an_invocation() -> None:
    """A name with a tenant in it cannot be asked for where no invocation has brought one."""
    error = CompiledPlan(value_plan(str, Secret("{context.tenant_id}/a"))).make_batch(NONE)
    assert isinstance(error, InvalidVariableError)
    assert error.variable == "context.tenant_id"


def test_shows_what_was_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject of a request has the declaration as it stands in the code, and what was filled in."""
    monkeypatch.setenv("STAGE", "dev")
    (request,) = wave(CompiledPlan(value_plan(str, Secret("{STAGE}/a")))).requests
    assert str(request.subject) == "Secret('{STAGE}/a') (filled in as 'dev/a') for resolve()"


def test_a_role_is_part_of_the_request() -> None:
    """The same secret read with two roles is two requests."""
    roles = ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"]
    paths = [wave(CompiledPlan(value_plan(str, Secret("s", role_arn=role)))).requests[0].path for role in roles]
    assert paths == [
        f"/secretsmanager/get?secretId=s&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F{x}" for x in "ab"
    ]


def test_a_variable_of_what_is_skipped_may_be_missing() -> None:
    """What the caller gives needs no environment."""

    def handler(
        event: Any, context: Any, *, one: Annotated[str, Secret("{STAGE}/a")], two: Annotated[str, Secret("b")]
    ) -> None: ...

    assert [request.path for request in wave(prepared(handler), "one").requests] == ["/secretsmanager/get?secretId=b"]


# --- Arguments ----------------------------------------------------------------------------------------------------


def app_plan(monkeypatch: pytest.MonkeyPatch) -> CompiledPlan:
    """Prepare a handler with a config model in a config model."""

    def handler(event: Any, context: Any, *, app: App, name: Annotated[str, Secret("name")] = "default") -> None: ...

    monkeypatch.setenv("STAGE", "dev")
    return prepared(handler)


def found(plan: CompiledPlan, texts: dict[str, str]) -> dict[tuple[str, ...], Any]:
    """Read these texts, by the way to their declaration; what has none has no value."""
    read: dict[tuple[str, ...], Any] = {}
    for item in wave(plan).slots:
        text = texts.get(".".join(item.slot.path))
        raw = RawValue(text, None, "1")
        read[item.slot.path] = ABSENT if text is None else item.reader.read(raw, item.declaration.key, item.subject)
    return read


LOGIN = '{"user": "u", "password": "p"}'


def test_puts_config_models_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A config model is made of its fields' values; what has no value keeps its default."""
    plan = app_plan(monkeypatch)
    texts = {"app.login": LOGIN, "app.user": LOGIN, "app.limits.burst": "5"}
    app = App(login=Login(user="u", password="p"), user="u", limits=Limits(rate=10, burst=5), debug=False)
    assert plan.make_arguments(found(plan, texts), NONE) == ({"app": app}, [])


def test_leaves_out_what_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller gives is not made."""
    plan = app_plan(monkeypatch)
    assert plan.make_arguments({("name",): "n"}, frozenset({"app"})) == ({"name": "n"}, [])


class Port(BaseModel):
    number: Annotated[int, Parameter("/port")]

    @field_validator("number")
    @classmethod
    def _check(cls, number: int) -> int:
        if number > 65535:
            raise ValueError(f"{number} is no port")
        return number


class Server(BaseModel):
    port: Port
    name: Annotated[str, Parameter("/name")]


def test_a_config_model_that_does_not_fit() -> None:
    """What a validator of a config model refuses is an error about that model, in whatever model it stands."""

    def handler(event: Any, context: Any, *, server: Server) -> None: ...

    plan = prepared(handler)
    fits = plan.make_arguments(found(plan, {"server.port.number": "80", "server.name": "n"}), NONE)
    assert fits == ({"server": Server(port=Port(number=80), name="n")}, [])
    made, [error] = plan.make_arguments(found(plan, {"server.port.number": "70000", "server.name": "n"}), NONE)
    assert made == {}
    assert isinstance(error, InvalidValueError)
    assert str(error) == (
        f"Cannot resolve 'server.port' of {__name__}.test_a_config_model_that_does_not_fit.<locals>.handler, Port: the "
        "value does not fit Port\n  - number: value_error (refused by a validator)\nThe value itself is not shown. "
        "Correct the value in AWS, or the declared type."
    )


# --- Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "where"),
    [
        (Annotated[Any, Secret("a")], "resolve()"),
        (Annotated[int | list[int], Secret("a")], "resolve()"),
    ],
)
def test_refuses_what_cannot_be_read(annotation: Any, where: str) -> None:
    """A type that does not decide how it is read is refused when the plan is prepared."""
    with pytest.raises(DeclarationError) as failure:
        CompiledPlan(value_plan(annotation))
    assert failure.value.where == where


def test_refuses_a_field_that_cannot_be_read() -> None:
    """The same for a field of a config model, which is named by the way to it."""

    class Bad(BaseModel):
        anything: Annotated[Any, Secret("a"), Field(description="d")]

    with pytest.raises(DeclarationError) as failure:
        CompiledPlan(value_plan(Bad))
    assert failure.value.where == "'Bad.anything' of resolve()"


def test_shows_its_owner() -> None:
    """A plan shows what it is for."""
    assert repr(CompiledPlan(value_plan(str, Secret("a")))) == "CompiledPlan(resolve())"


class Environment(BaseSettings):
    key: Annotated[str, Secret("key")]
    size: Annotated[int, Parameter("/size")] = Field(3, alias="pageSize")
    host: str
    port: int = 5432


def test_a_settings_class_finds_the_rest_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What carries no declaration comes from where the settings class has it from; what does, from AWS."""
    monkeypatch.setenv("HOST", "db.internal")
    monkeypatch.setenv("KEY", "not this one")
    plan = CompiledPlan(value_plan(Environment))
    found: dict[tuple[str, ...], Any] = {("Environment", "key"): "k", ("Environment", "size"): 7}
    arguments, misfits = plan.make_arguments(found, NONE)
    assert misfits == []
    assert arguments[""].model_dump() == {"key": "k", "size": 7, "host": "db.internal", "port": 5432}


def test_what_a_settings_class_did_not_find_is_not_in_aws() -> None:
    """What carries no declaration is not looked for in AWS, so that nothing is to be corrected there."""
    plan = CompiledPlan(value_plan(Environment))
    key, size = ("Environment", "key"), ("Environment", "size")
    (error,) = plan.make_arguments({key: "k", size: 7}, NONE)[1]
    assert error.remedy == "host carries no declaration: it is for Environment to find, as in the environment."
    (both,) = plan.make_arguments({key: "k", size: "many"}, NONE)[1]
    assert both.remedy == "Correct the value in AWS, or the declared type."
