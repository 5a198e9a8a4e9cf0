"""No value and no token shows: not in an error, a traceback, a log record, nor in what the library hands out.

The canary is any eight consecutive characters of a secret or of the token, as they are or as Python or JSON escapes
them. Every scene plays over real sockets; the answers of the server itself are full of canaries.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    RootModel,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

import lambdasecrets
from lambdasecrets import (
    Parameter,
    ResolvedValue,
    ResolveEvent,
    Secret,
    _resolver,
    errors,
    inject_secrets,
    resolve,
    use_session,
)
from lambdasecrets._clock import make_deadline
from lambdasecrets._decorator import PLAN
from lambdasecrets._handler_call import HandlerCall
from lambdasecrets._sources.forms import RawValue
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.properties import bounded
from tests.reliability.canary import at_debug
from tests.serving import repeating, serving

PACKAGE = Path(lambdasecrets.__file__).parent
VALUE = "c~4~n~4~r~y~of~the~value~'\"\\\n~Zoë"
TOKEN = "c~4~n~4~r~y~of~the~token"
WIDTH = 8


class Watch:
    """Knows the canaries, and where each has been seen."""

    def __init__(self, *secrets: str) -> None:
        written = [form for secret in secrets for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])]
        written += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
        self._canaries = {form[at : at + WIDTH] for form in written for at in range(len(form) - WIDTH + 1)}

    def seen_in(self, text: str) -> bool:
        """Tell whether a canary is in a text."""
        return any(canary in text for canary in self._canaries)


def shown(thing: Any, above: tuple[int, ...] = ()) -> Iterator[str]:
    """Give every text that a thing shows: its own, and those of what it holds, errors with all that hangs on them."""
    if id(thing) in above:  # pragma: no cover - what is in a circle would be shown without end
        return
    yield f"{thing!s} {thing!r}"
    for inner in _held_by(thing):
        yield from shown(inner, (*above, id(thing)))


def _held_by(thing: Any) -> Iterator[Any]:
    if isinstance(thing, dict):
        yield from thing
        yield from thing.values()
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from thing
    elif isinstance(thing, BaseException):
        yield from (thing.args, vars(thing), thing.__cause__, thing.__context__, getattr(thing, "__notes__", ()))
        yield from _locals(thing.__traceback__)
        yield traceback.format_exception(thing)


def _locals(trace: TracebackType | None) -> Iterator[Any]:
    """Give the locals of this library's frames, as what shows tracebacks does: containers taken apart."""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if PACKAGE in path.parents and PACKAGE / "dev" not in path.parents:
            yield from list(trace.tb_frame.f_locals.values())
        trace = trace.tb_next


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what every logger says at DEBUG: formatted, and all that its records carry."""
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.extend((self.format(record), *shown(record.__dict__)))

    with at_debug(Listening()):
        yield said


def check(watch: Watch, *things: Any) -> None:
    """Expect that no canary shows in any of these."""
    leaked = [text for thing in things for text in shown(thing) if watch.seen_in(text)]
    assert not leaked


# --- Every error of a handler -------------------------------------------------------------------------------------


class LoginError(Exception):
    """The handler was not let in."""


class Quoting(BaseModel):
    """A model whose validators quote what they refuse."""

    password: str

    @model_validator(mode="before")
    @classmethod
    def _check(cls, values: Any) -> Any:
        raise ValueError(f"not {values!r}")


Around = AbstractContextManager[Any]


@dataclass(frozen=True)
class Scene:
    """What goes wrong.

    Attributes:
        kind: the error that comes of it.
        profile: the server.
        kind_declared: the type of the secret `s`.
        declaration: of what is asked.
        fault: what the server plays at every request.
        variables: environment variables; None takes one away.
        around: something that has to run meanwhile, and gives further variables.
    """

    kind: type[Exception]
    profile: Literal["extension", "agent"] = "extension"
    kind_declared: Any = str
    declaration: Secret | Parameter = Secret("s")  # noqa: RUF009 - it is frozen
    fault: faults.Fault | faults.Refuse | None = None
    variables: tuple[tuple[str, str | None], ...] = ()
    around: Callable[[], Around] = nullcontext


def said(status: int, **members: str) -> faults.Reply:
    """Let the server answer with canaries."""
    return faults.Reply(status, json.dumps({"message": VALUE, "echo": TOKEN, **members}).encode())


@contextmanager
def listening(answered: bytes, variable: str, pattern: str) -> Iterator[tuple[str, str]]:
    """Answer every request with these bytes, and give the variable that leads there."""
    with serving(repeating(answered)) as server:
        yield variable, pattern.format(server.port)


PORT = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
SCENES = {
    "no number": Scene(errors.InvalidValueError, kind_declared=int),
    "no JSON": Scene(errors.InvalidValueError, kind_declared=dict[str, int]),
    "a quoting model": Scene(errors.InvalidValueError, kind_declared=Quoting, declaration=Secret("m")),
    "no member": Scene(errors.InvalidValueError, declaration=Secret("s", key="k")),
    "not there": Scene(errors.UnresolvedError, declaration=Secret("missing")),
    "no variable": Scene(errors.MissingVariableError, declaration=Secret("{STAGE}/s")),
    "no token": Scene(errors.NoTokenError, variables=(("AWS_SESSION_TOKEN", None),)),
    "nothing listens": Scene(errors.ExtensionUnavailableError, fault=faults.Refuse()),
    "reset": Scene(errors.ExtensionUnavailableError, fault=faults.ResetBeforeAnswer()),
    "not ready": Scene(
        errors.ExtensionNotReadyError, fault=faults.Reply(400, f"not ready to serve traffic {VALUE}{TOKEN}".encode())
    ),
    "token rejected": Scene(
        errors.TokenRejectedError, fault=faults.Reply(401, f"bad session token {VALUE}{TOKEN}".encode())
    ),
    "token forbidden": Scene(errors.TokenRejectedError, profile="agent", fault=faults.EVERY_FAULT["bad-token"]),
    "unauthorized": Scene(errors.ProtocolError, fault=said(401)),
    "hangs": Scene(errors.DeadlineExceededError, fault=faults.Hang()),
    "drips": Scene(errors.DeadlineExceededError, fault=faults.SlowDrip("body", size=20, interval=0.05)),
    "overloaded": Scene(errors.ServerError, fault=said(429)),
    "failing": Scene(errors.ServerError, fault=said(500)),
    "cut": Scene(errors.ServerError, fault=faults.Truncated()),
    "torn": Scene(errors.ServerError, fault=faults.ResetInsideAnswer()),
    "refused": Scene(errors.UnresolvedError, fault=faults.Reply(400, f"{VALUE}{TOKEN}".encode())),
    "refused by another": Scene(errors.ProtocolError, fault=said(400)),
    "other text": Scene(errors.ProtocolError, fault=faults.Reply(200, f"{VALUE}{TOKEN}".encode())),
    "other fields": Scene(errors.ProtocolError, fault=said(200)),
    "other status": Scene(errors.ProtocolError, fault=said(418)),
    "redirected": Scene(errors.ProtocolError, fault=faults.Redirect(f"http://127.0.0.1:9/{TOKEN}")),
    "too large": Scene(errors.ProtocolError, fault=faults.HugeBody()),
    "no HTTP": Scene(errors.ProtocolError, around=lambda: listening(f"{TOKEN}{VALUE}\r\n\r\n".encode(), PORT, "{}")),
    "a header of its own": Scene(
        errors.ServerError,
        around=lambda: listening(
            f"HTTP/1.1 200 OK\r\n{TOKEN}\r\nX-{TOKEN}: {VALUE[:8]}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
            PORT,
            "{}",
        ),
    ),
    "a coding of its own": Scene(
        errors.ServerError,
        around=lambda: listening(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {TOKEN}\r\n\r\n".encode(), PORT, "{}"),
    ),
    "chunks of its own": Scene(
        errors.ServerError,
        around=lambda: listening(
            f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n".encode(), PORT, "{}"
        ),
    ),
    "no parameters": Scene(errors.UnsupportedByAgentError, profile="agent", declaration=Parameter("/p")),
    "not found": Scene(errors.NotFoundError, profile="agent", fault=said(400, __type="ResourceNotFoundException")),
    "denied": Scene(errors.AccessDeniedError, profile="agent", fault=said(400, __type="AccessDeniedException")),
    "not decrypted": Scene(errors.DecryptionError, profile="agent", fault=said(400, __type="DecryptionFailure")),
    "another error": Scene(errors.AnswerError, profile="agent", fault=said(400, __type=VALUE)),
    "a bad timeout": Scene(errors.SettingError, variables=(("LAMBDASECRETS_TIMEOUT", VALUE),)),
    "a bad age": Scene(errors.SettingError, variables=(("LAMBDASECRETS_MAX_AGE", TOKEN),)),
    "a bad class": Scene(errors.SettingError, variables=(("LAMBDASECRETS_RETRY_ON", f"{TOKEN}.Error"),)),
    "a bad transport": Scene(errors.SettingError, variables=(("LAMBDASECRETS_TRANSPORT", VALUE),)),
    "a bad port": Scene(errors.SettingError, variables=((PORT, TOKEN),)),
    "a bad token": Scene(errors.SettingError, variables=(("AWS_SESSION_TOKEN", f"{TOKEN}\n"),)),
    "a bad file": Scene(errors.SettingError, variables=(("AWS_TOKEN", f"file:///no/such/{VALUE}"),)),
    "a bad endpoint": Scene(
        errors.SettingError,
        variables=(
            ("AWS_SESSION_TOKEN", None),
            (ENDPOINT, "http://example.com/"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN),
        ),
    ),
    "a bad authorization": Scene(
        errors.SettingError,
        variables=(
            ("AWS_SESSION_TOKEN", None),
            (ENDPOINT, "http://127.0.0.1:1/"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", f"{TOKEN}\n"),
        ),
    ),
    "bad credentials": Scene(
        errors.CredentialsUnavailableError,
        variables=(("AWS_SESSION_TOKEN", None), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)),
        around=lambda: listening(f"HTTP/1.1 500 {TOKEN}\r\n\r\n{TOKEN}".encode(), ENDPOINT, "http://127.0.0.1:{}/"),
    ),
}


@pytest.fixture(params=["lean", "requests"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each transport carry the requests in turn."""
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", request.param)
    use_session(None)
    yield
    use_session(None)


@contextmanager
def played(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Set a scene up."""
    store = MemoryStore()
    store.put_secret("s", VALUE)
    store.put_secret("m", {"password": VALUE})
    with Emulator(store, profile=scene.profile, token=TOKEN) as emulator, scene.around() as further:
        for name, text in emulator.environment().items():
            monkeypatch.setenv(name, text)
        for name, value in (*scene.variables, *([further] if further else [])):
            monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
        if scene.fault is not None:
            emulator.inject(scene.fault, times=None)
        yield emulator


def handler_of(scene: Scene, events: list[ResolveEvent], **options: Any) -> Any:
    """Make a handler that asks for what the scene is about."""

    def undecorated(event: Any, context: Any, *, value: Any) -> None: ...

    # As a whole: where annotations wait to be evaluated, a change of what came of them is not seen.
    kinds = {"event": Any, "context": Any, "value": Annotated[scene.kind_declared, scene.declaration]}
    undecorated.__annotations__ = kinds
    return inject_secrets(on_resolve=events.append, **options)(undecorated)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("name", SCENES)
def test_no_failure_shows_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, nothing that comes of it shows eight characters of the value or of the token."""
    scene, events, watch = SCENES[name], list[ResolveEvent](), Watch(VALUE, TOKEN)
    timeout = {} if any(variable == "LAMBDASECRETS_TIMEOUT" for variable, _ in scene.variables) else {"timeout": 0.3}
    with played(scene, monkeypatch), logged() as log:
        handler = handler_of(scene, events, **timeout)
        # On a busy machine the last try may end with the time: that, too, is an error to look at.
        with pytest.raises((scene.kind, errors.DeadlineExceededError)) as failure:
            handler({}, None)
    kind = type(failure.value)
    assert kind in {scene.kind, errors.DeadlineExceededError}
    check(watch, failure.value, log, events, handler, getattr(handler, PLAN))
    for clone in (copy.copy(failure.value), copy.deepcopy(failure.value), pickle.loads(pickle.dumps(failure.value))):  # noqa: S301
        assert (type(clone), str(clone)) == (kind, str(failure.value))
        check(watch, clone)


@pytest.mark.usefixtures("transport")
def test_no_setting_of_the_extension_shows_its_value(lit: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for the extension's own variable, which is read where more than one value is asked for."""
    variable = "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS"

    @inject_secrets
    def handler(
        event: Any, context: Any, *, text: Annotated[str, Secret("s")], login: Annotated[str, Secret("m")]
    ) -> None: ...

    with logged() as log:
        monkeypatch.setenv(variable, TOKEN)
        with pytest.raises(errors.SettingError, match=f"^Cannot use {variable} ") as failure:
            handler({}, None)
    check(Watch(VALUE, TOKEN), failure.value, log)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_several_failures_show_no_value(
    profile: Literal["extension", "agent"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an error that is made of several."""

    @inject_secrets(timeout=0.3)
    def handler(
        event: Any,
        context: Any,
        *,
        number: Annotated[int, Secret("s")],
        model: Annotated[Quoting, Secret("s")],
        other: Annotated[str, Secret("other")],
        config: Config,
    ) -> None: ...

    with played(Scene(errors.SeveralErrors, profile=profile), monkeypatch) as emulator, logged() as log:
        emulator.inject(said(500), times=None, match="secretId=m")
        with pytest.raises(errors.SeveralErrors) as failure:
            handler({}, None)
    kinds = {"extension": errors.UnresolvedError, "agent": errors.NotFoundError}
    assert {kinds[profile], errors.InvalidValueError} < {type(error) for error in failure.value.errors}
    check(Watch(VALUE, TOKEN), failure.value, log, pickle.loads(pickle.dumps(failure.value)))  # noqa: S301 - made here


# --- A handler's own error ----------------------------------------------------------------------------------------


@pytest.fixture
def lit(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Stand in for the extension with canaries in the value and the token."""
    emulator.token = TOKEN
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    store.put_secret("s", VALUE)
    store.put_secret("m", {"password": VALUE})
    return emulator


class Login(BaseModel):
    password: str


class Config(BaseModel):
    login: Annotated[Login, Secret("m")]
    text: Annotated[str, Secret("s")]


@inject_secrets(retry_on=(LoginError,))
def failing(event: Any, context: Any, *, text: Annotated[str, Secret("s")], config: Config, times: int = 2) -> None:
    """Fail."""
    raise (LoginError if times == 2 else KeyError)


@inject_secrets(retry_on=(LoginError,))
async def failing_later(event: Any, context: Any, *, text: Annotated[str, Secret("s")], config: Config) -> None:
    """Fail, in a coroutine."""
    await asyncio.sleep(0)
    raise LoginError


def test_the_frames_below_a_handler_show_nothing(lit: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the handler itself fails, the library's frames in its traceback hold no value to show."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with logged() as log:
        calls: list[Callable[[], object]] = [
            lambda: failing({}, None),
            lambda: failing({}, None, times=1),
            lambda: asyncio.run(failing_later({}, None)),
        ]
        for call in calls:
            with pytest.raises((LoginError, KeyError)) as failure:
                call()
            assert any(isinstance(item, HandlerCall) for item in _locals(failure.value.__traceback__))
            check(Watch(VALUE, TOKEN), failure.value)
    check(Watch(VALUE, TOKEN), log)


def test_the_frames_of_a_second_run_show_nothing(
    lit: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds where the handler fails again, with newer values."""
    newer = f"{VALUE}~newer"
    monkeypatch.setitem(sys.modules, "boto3", None)

    @inject_secrets(retry_on=(LoginError,))
    def handler(event: Any, context: Any, *, text: Annotated[str, Secret("s")]) -> None:
        if text == VALUE:
            store.put_secret("s", newer)
        raise LoginError

    with logged() as log, pytest.raises(LoginError) as failure:
        handler({}, None)
    assert len([item for item in _locals(failure.value.__traceback__) if isinstance(item, HandlerCall)]) == 1
    check(Watch(newer, TOKEN), failure.value, log)


def test_no_warning_shows_a_value(lit: Emulator, store: MemoryStore) -> None:
    """Nothing shows when a stale value serves, a default is used, or whoever is told fails and quotes the event."""

    def watching(event: ResolveEvent) -> None:
        raise RuntimeError(repr(event))

    @inject_secrets(stale_if_error=60, timeout=0.3, on_resolve=watching)
    def handler(
        event: Any, context: Any, *, text: Annotated[str, Secret("s")], other: Annotated[str, Secret("o")] = ""
    ) -> str:
        return text

    with logged() as log:
        handler({}, None)
        lit.inject(said(500), times=None, match="secretId=s")
        assert handler({}, None) == VALUE
    assert any(line.startswith("on_resolve of ") for line in log)
    assert any("Serving the last good value" in line for line in log)
    assert any(line.startswith("Using the default of ") for line in log)
    check(Watch(VALUE, TOKEN), log)


# --- What is handed out -------------------------------------------------------------------------------------------


def test_nothing_that_is_handed_out_shows_a_value(lit: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, plans, handlers, and what this process keeps between invocations, show names and versions only."""
    events: list[ResolveEvent] = []

    @inject_secrets(max_age=60, on_resolve=events.append)
    def handler(event: Any, context: Any, *, text: Annotated[SecretStr, Secret("s")], config: Config) -> Any:
        return text, config

    with logged() as log:
        handler({}, None)
        assert resolve(Config, on_resolve=events.append).login.password == VALUE
    assert [len(event.values) for event in events] == [3, 2]
    assert isinstance(events[0].values[0], ResolvedValue)
    memory = next(iter(_resolver.find_resolver()._servers.values())).memory
    raws = [entry.kept and entry.kept.raw for entry in memory._entries.values()]
    assert [isinstance(raw, RawValue) for raw in raws] == [True, True]
    handed = (events, handler, getattr(handler, PLAN), vars(getattr(handler, PLAN)), log)
    kept = (
        _resolver.find_resolver(),
        vars(_resolver.find_resolver()),
        raws,
        _resolver.Arguments({"x": VALUE}, {}),
    )
    check(Watch(VALUE, TOKEN), *map(repr, (*handed, *kept)), *handed)


# --- Any value, any type ------------------------------------------------------------------------------------------


class Color(Enum):
    RED = "red"


class Typed(TypedDict):
    user: str
    port: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Nested(BaseModel, extra="forbid"):
    inner: Typed
    several: list[dict[str, int]]


def quoting(raising: Callable[[Any], BaseException]) -> Callable[[Any], Any]:
    """Make a validator that refuses everything, and quotes it."""

    def validate(value: Any) -> Any:
        raise raising(value)

    return validate


VALIDATORS = [
    quoting(lambda value: ValueError(f"{value} is wrong")),
    quoting(AssertionError),
    quoting(RuntimeError),
    quoting(lambda value: PydanticCustomError(str(value), "{value} is wrong", {"value": str(value)})),
    quoting(lambda value: type(str(value), (Exception,), {})(value)),
]
TYPES: list[Any] = [
    int,
    bool,
    float,
    date,
    UUID,
    Color,
    Literal["a", "b"],
    Typed,
    Nested,
    RootModel[int],
    dict[str, int],
    dict[int, str],
    list[int],
    tuple[int, bool],
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Cat | Dog,
    Annotated[str, Field(max_length=3)],
    Annotated[str, Field(pattern="^a$")],
    Quoting,
    *[Annotated[int | None, BeforeValidator(validator)] for validator in VALIDATORS],
    *[Annotated[str, AfterValidator(validator)] for validator in VALIDATORS],
    *[Annotated[Any, PlainValidator(validator)] for validator in VALIDATORS],
]
# Joined by a sign, so that no eight characters of it stand anywhere by chance.
WORDS = st.lists(st.characters(codec="utf-8"), min_size=WIDTH, max_size=20).map("~".join)
SHAPES: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda word: json.dumps({word: word}),
    lambda word: json.dumps({"user": word, "port": word, "k": word, "password": word}),
    lambda word: json.dumps({"kind": word, "lives": 9}),
    lambda word: json.dumps({"kind": "cat", "lives": word, word: 1}),
    lambda word: json.dumps(
        {"inner": {"user": word, "port": word, word: word}, "several": [{word: word}], word: [word]}
    ),
    lambda word: json.dumps([word, {word: word}]),
    lambda word: f'{{"{word}',
]


@bounded
@given(
    word=WORDS,
    shape=st.sampled_from(SHAPES),
    kind=st.sampled_from(TYPES),
    key=st.sampled_from([None, "k", "user", "no"]),
)
def test_no_misfit_shows_a_value(
    emulator: Emulator, store: MemoryStore, *, word: str, shape: Callable[[str], str], kind: Any, key: str | None
) -> None:
    """Whatever a value is, and whatever it is declared to be, an error about it shows nothing of it."""
    store.put_secret("any", shape(word))
    with logged() as log:
        error = misfit(Secret("any", key=key), kind)
    check(Watch(word), error, log)


def misfit(declaration: Secret, kind: Any) -> list[Exception]:
    """Resolve a value; give the error, if it is one."""
    caught: list[Exception] = []
    try:
        resolve(declaration, kind)
    except errors.InvalidValueError as error:
        caught.append(error)
    return caught


@bounded
@given(word=WORDS)
def test_no_config_model_shows_a_value(emulator: Emulator, store: MemoryStore, *, word: str) -> None:
    """What a config model's own validators refuse, and quote, shows nothing of it either."""

    class Refusing(BaseModel):
        text: Annotated[str, Secret("any")]

        @model_validator(mode="after")
        def _check(self) -> Any:
            raise ValueError(f"{self.text} is wrong")

    store.put_secret("any", word)
    with logged() as log, pytest.raises(errors.InvalidValueError) as failure:
        resolve(Refusing)
    check(Watch(word), failure.value, log)


# --- The canary itself --------------------------------------------------------------------------------------------


def leaking(where: str) -> BaseException:
    """Make an error with a canary in some place."""
    part = VALUE[3 : 3 + WIDTH]
    error = errors.ResolutionError(errors.Subject("o", (), ()), part if where == "text" else "why", "remedy")
    if where == "attribute":
        error.subject = errors.Subject("o", (f"{part}!",), ())
    if where == "cause":
        error.__cause__ = ValueError({"deep": [part]})
    if where == "context":
        error.__context__ = KeyError(part)
    if where == "note":
        error.__notes__ = [part]  # type: ignore[attr-defined]  # 3.11 has add_note; the attribute works everywhere
    return error


@pytest.mark.parametrize("where", ["text", "attribute", "cause", "context", "note"])
def test_the_canary_sings(where: str) -> None:
    """A part of a value in any place of an error is found: these tests can fail."""
    with pytest.raises(AssertionError):
        check(Watch(VALUE), leaking(where))
    check(Watch(VALUE), leaking("nowhere"))


def test_the_canary_sings_in_frames_and_logs() -> None:
    """A value in a local of the library's frames, or in a log record, is found."""
    unfit: Any = VALUE
    with pytest.raises(TypeError) as failure:
        make_deadline(unfit)
    with logged() as log:
        logging.getLogger("a").debug("a line", extra={"further": {"deep": VALUE}})
    for thing in (failure.value, log):
        with pytest.raises(AssertionError):
            check(Watch(VALUE), thing)
