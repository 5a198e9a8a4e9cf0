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
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainValidator, RootModel, SecretStr, model_validator
from pydantic_core import PydanticCustomError

import lambdasecrets
from lambdasecrets import Parameter, ResolvedValue, ResolveEvent, Secret, _resolver, errors, inject_secrets, resolve, use_session
from lambdasecrets._decorator import PLAN
from lambdasecrets._parsing import Raw
from lambdasecrets._settings import credentials_endpoint
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.properties import bounded
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
    if id(thing) in above:
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
    elif is_dataclass(thing) and not isinstance(thing, (type, Raw)):
        yield from (getattr(thing, field.name) for field in fields(thing))


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

    root, listening = logging.getLogger(), Listening()
    level = root.level
    root.addHandler(listening)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.setLevel(level)
        root.removeHandler(listening)


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


Inject = Callable[[Emulator], object]
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
    "a quoting model": Scene(errors.InvalidValueError, kind_declared=Quoting),
    "no member": Scene(errors.InvalidValueError, declaration=Secret("s", key="k")),
    "not there": Scene(errors.UnresolvedError, declaration=Secret("missing")),
    "no variable": Scene(errors.MissingVariableError, declaration=Secret("{STAGE}/s")),
    "no token": Scene(errors.NoTokenError, variables=(("AWS_SESSION_TOKEN", None),)),
    "nothing listens": Scene(errors.ExtensionUnavailableError, fault=faults.Refuse()),
    "reset": Scene(errors.ExtensionUnavailableError, fault=faults.ResetBeforeAnswer()),
    "not ready": Scene(
        errors.ExtensionNotReadyError, fault=faults.Reply(400, f"not ready to serve traffic {VALUE}{TOKEN}".encode())
    ),
    "token rejected": Scene(errors.TokenRejectedError, fault=said(401)),
    "token forbidden": Scene(errors.TokenRejectedError, profile="agent", fault=said(403)),
    "hangs": Scene(errors.DeadlineExceededError, fault=faults.Hang()),
    "drips": Scene(errors.DeadlineExceededError, fault=faults.SlowDrip("body", size=20, interval=0.05)),
    "overloaded": Scene(errors.ServerError, fault=said(429)),
    "failing": Scene(errors.ServerError, fault=said(500)),
    "cut": Scene(errors.ServerError, fault=faults.Truncated()),
    "torn": Scene(errors.ServerError, fault=faults.ResetInsideAnswer()),
    "refused": Scene(errors.UnresolvedError, fault=said(400)),
    "other text": Scene(errors.ProtocolError, fault=faults.Reply(200, f"{VALUE}{TOKEN}".encode())),
    "other fields": Scene(errors.ProtocolError, fault=said(200)),
    "other status": Scene(errors.ProtocolError, fault=said(418)),
    "redirected": Scene(errors.ProtocolError, fault=faults.Redirect(f"http://127.0.0.1:9/{TOKEN}")),
    "too large": Scene(errors.ProtocolError, fault=faults.HugeBody()),
    "no HTTP": Scene(
        errors.ProtocolError, around=lambda: listening(f"{TOKEN}{VALUE}\r\n\r\n".encode(), PORT, "{}")
    ),
    "no header": Scene(
        errors.ProtocolError,
        around=lambda: listening(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {TOKEN}\r\n{TOKEN}\r\n\r\n{TOKEN}".encode(), PORT, "{}"),
    ),
    "no parameters": Scene(errors.UnsupportedByAgentError, profile="agent", declaration=Parameter("/p")),
    "not found": Scene(errors.NotFoundError, profile="agent", fault=said(400, __type="ResourceNotFoundException")),
    "denied": Scene(errors.AccessDeniedError, profile="agent", fault=said(400, __type="AccessDeniedException")),
    "not decrypted": Scene(errors.DecryptionError, profile="agent", fault=said(400, __type="DecryptionFailure")),
    "another error": Scene(errors.AnswerError, profile="agent", fault=said(400, __type=VALUE)),
    "a bad timeout": Scene(errors.SettingError, variables=(("LAMBDASECRETS_TIMEOUT", VALUE),)),
    "a bad age": Scene(errors.SettingError, variables=(("LAMBDASECRETS_MAX_AGE", TOKEN),)),
    "a bad class": Scene(errors.SettingError, variables=(("LAMBDASECRETS_RETRY_ON", f"{TOKEN}.Error"),)),
    "a bad port": Scene(errors.SettingError, variables=((PORT, TOKEN),)),
    "a bad token": Scene(errors.SettingError, variables=(("AWS_SESSION_TOKEN", f"{TOKEN}\n"),)),
    "a bad file": Scene(errors.SettingError, variables=(("AWS_TOKEN", f"file:///no/such/{VALUE}"),)),
    "a bad endpoint": Scene(
        errors.SettingError,
        variables=(("AWS_SESSION_TOKEN", None), (ENDPOINT, f"http://example.com/{TOKEN}")),
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
        errors.NoTokenError,
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

    @inject_secrets(on_resolve=events.append, **options)
    def handler(event: Any, context: Any, *, value: Any) -> None: ...

    def undecorated(event: Any, context: Any, *, value: Any) -> None: ...

    undecorated.__annotations__["value"] = Annotated[scene.kind_declared, scene.declaration]
    return inject_secrets(on_resolve=events.append, **options)(undecorated)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("name", SCENES)
def test_no_failure_shows_a_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, nothing that comes of it shows eight characters of the value or of the token."""
    scene, events, watch = SCENES[name], list[ResolveEvent](), Watch(VALUE, TOKEN)
    timeout = {} if any(variable == "LAMBDASECRETS_TIMEOUT" for variable, _ in scene.variables) else {"timeout": 0.3}
    with played(scene, monkeypatch), logged() as log:
        handler = handler_of(scene, events, **timeout)
        with pytest.raises(scene.kind) as failure:
            handler({}, None)
    assert type(failure.value) is scene.kind
    check(watch, failure.value, log, events, handler, getattr(handler, PLAN))
    for clone in (copy.copy(failure.value), copy.deepcopy(failure.value), pickle.loads(pickle.dumps(failure.value))):  # noqa: S301
        assert (type(clone), str(clone)) == (scene.kind, str(failure.value))
        check(watch, clone)
