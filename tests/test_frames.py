"""What a real collector finds in what is raised through the library: no value and no token, wherever it looks."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any, cast

import pytest
import rich.console
import rich.traceback
import stackprinter
from loguru import logger as loguru_logger
from pydantic import BaseModel, SecretStr
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import event_from_exception
from stack_data.core import FrameInfo

import lambdasecrets
from lambdasecrets import DeadlineExceededError, Parameter, Secret, aresolve, inject_secrets, resolve, use_session
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.reliability.canary import watched_logs

PACKAGE = Path(lambdasecrets.__file__).parent


# Where no collector looks: what it finds has come through the library.
def hide(text: str) -> Callable[[], str]:
    """Hold a text in a closure."""
    return lambda: text


CANARY = hide("canary-8e1f")
VALUE = hide(f"{CANARY()}-of-the-value")
TOKEN = hide(f"{CANARY()}-of-the-token")
SECONDS = 5.0


class Interrupt(BaseException):
    """What a signal's handler raises."""


class LoginError(Exception):
    """The handler was not let in."""


class Login(BaseModel):
    password: SecretStr


@pytest.fixture(autouse=True)
def lit(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Put canaries in, and have the token be one."""
    emulator.token = TOKEN()
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN())
    store.put_secret("s", VALUE())
    store.put_secret("m", {"password": VALUE()})
    store.put_parameter("/p", VALUE())
    return emulator


@inject_secrets(retry_on=(LoginError,), max_age=60)
def handler(
    event: Any,
    context: Any,
    *,
    text: Annotated[str, Secret("s")],
    login: Annotated[Login, Secret("m")],
    more: Annotated[str, Parameter("/p")],
) -> None:
    """Fail with nothing of the values in sight."""
    del text, login, more
    raise LookupError


@inject_secrets
async def handler_in_a_loop(event: Any, context: Any, *, text: Annotated[str, Secret("s")]) -> None:
    """Fail in a coroutine."""
    del text
    raise LookupError


@inject_secrets
def handler_that_works(event: Any, context: Any, *, text: Annotated[str, Secret("s")]) -> bool:
    """Say whether the value is right."""
    return text == VALUE()


def caught(call: Callable[[], object]) -> BaseException:
    """Call, and give what is raised."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError  # pragma: no cover - every call here raises


# --- What collectors show -----------------------------------------------------------------------------------------


def by_traceback(error: BaseException) -> str:
    """Format as Python does, with locals."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def by_rich(error: BaseException) -> str:
    """Format as rich does."""
    console = rich.console.Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    shown = rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    console.print(shown)
    console.file.close()
    return console.export_text()


def by_loguru(error: BaseException) -> str:
    """Format as loguru does, which evaluates what stands on a line."""
    lines: list[str] = []
    number = loguru_logger.add(lines.append, diagnose=True, backtrace=True)
    loguru_logger.opt(exception=error).error("it failed")
    loguru_logger.remove(number)
    return "".join(lines)


def by_stackprinter(error: BaseException) -> str:
    """Format as stackprinter does, which shows attributes too."""
    return str(stackprinter.format(error, show_vals="all", suppressed_paths=[]))


def by_stack_data(error: BaseException) -> str:
    """Evaluate what can be evaluated on each line, as Sentry's pure_eval integration and IPython do."""
    shown: list[str] = []
    for info in FrameInfo.stack_data(cast("TracebackType", error.__traceback__)):
        if isinstance(info, FrameInfo):  # pragma: no branch - or a number of frames that repeat
            variables: Any = getattr(info, "variables")  # noqa: B009 - its stubs do not know it
            shown += [f"{variable.name} = {variable.value!r}" for variable in variables]
            for variable in variables:
                shown += list(take_apart(variable.value))
    return "\n".join(shown)


def take_apart(thing: Any, depth: int = 3) -> Iterator[str]:
    """Show an object's attributes and theirs, as debuggers and exception replay do."""
    yield repr(thing)
    if depth and type(thing).__module__.startswith("lambdasecrets"):
        names = [
            *getattr(thing, "__dict__", {}),
            *(slot for kind in type(thing).__mro__ for slot in vars(kind).get("__slots__", ())),
        ]
        for name in names:
            yield from take_apart(getattr(thing, name, None), depth - 1)


def by_sentry(error: BaseException) -> str:
    """Serialize as Sentry's client does."""
    event, _ = event_from_exception(error)
    return repr(serialize(dict(event)))


def by_gc(error: BaseException) -> str:
    """Walk from an error to what it refers to: its frames, their locals, what those hold."""
    waiting: list[Any] = [error.__traceback__, error.args, vars(error)]
    seen: set[int] = set()
    shown: list[str] = []
    while waiting and len(seen) < 3000:
        thing = waiting.pop()
        if id(thing) in seen or (isinstance(thing, (type, FrameType)) and "pytest" in str(thing)):
            continue
        seen.add(id(thing))
        if isinstance(thing, FrameType):
            if PACKAGE in Path(thing.f_code.co_filename).parents:
                waiting += thing.f_locals.values()
        elif isinstance(thing, (list, tuple, dict, set)) or type(thing).__name__ == "traceback":
            waiting += gc.get_referents(thing)
        elif isinstance(thing, str):
            shown.append(thing)
    return "\n".join(shown)


COLLECTORS = (by_traceback, by_rich, by_loguru, by_stackprinter, by_stack_data, by_sentry, by_gc)
FAILURES: dict[str, Callable[[], object]] = {
    "handler": lambda: handler({}, None),
    "handler in a loop": lambda: asyncio.run(handler_in_a_loop({}, None)),
    "resolve": lambda: resolve(Secret("s"), int),
    "aresolve": lambda: asyncio.run(aresolve(Secret("s"), int)),
}


@pytest.mark.parametrize("collector", COLLECTORS)
@pytest.mark.parametrize("failure", FAILURES)
def test_no_collector_finds_a_value(failure: str, collector: Callable[[BaseException], str]) -> None:
    """While only the handler, or the reading of a value, fails, no collector shows a value or the token."""
    with watched_logs() as log:
        error = caught(FAILURES[failure])
        shown = collector(error)
    found = [line for line in shown.splitlines() if CANARY() in line]
    assert (found, log.leaks) == ([], 0)


@pytest.mark.parametrize("collector", COLLECTORS)
def test_collectors_find_what_is_there(collector: Callable[[BaseException], str]) -> None:
    """A value in a local of the handler itself is found: these tests can fail."""

    def fail() -> None:
        value = VALUE()
        raise LookupError(len(value))

    error = caught(fail)
    assert CANARY() in collector(error) or collector is by_gc


# --- Interrupts ---------------------------------------------------------------------------------------------------


def interrupt(call: Callable[[], object], at: int) -> BaseException | None:  # pragma: no cover - it traces by itself
    """Call, and raise at the so many-th line that the library runs. None: it has fewer lines."""
    before, lines = sys.gettrace(), [0]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = Path(frame.f_code.co_filename)
        if PACKAGE not in file.parents or PACKAGE / "dev" in file.parents:
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == at:
                raise Interrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except Interrupt as error:
        return error
    finally:
        sys.settrace(before)
    return None


@pytest.mark.parametrize("by", ["lean", "requests"])
def test_an_interrupt_at_any_line(monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """An interrupt at any line shows nothing, and the next invocation gets its value in time."""
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", by)
    use_session(None)
    at = 1
    while (error := interrupt(lambda: handler_that_works({}, None), at)) is not None:
        assert CANARY() not in by_traceback(error), at
        codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        ours = {code.co_name for code in codes if PACKAGE in Path(code.co_filename).parents}
        assert ours <= {"wrapper", "clean_error"}, at
        began = time.monotonic()
        assert handler_that_works({}, None), at
        assert time.monotonic() - began < SECONDS, at
        at += 3
    assert at > 100


def resolve_in_a_loop() -> None:  # pragma: no cover - it is called while it is traced
    """Resolve in a coroutine. An interrupt in a callback stays with asyncio, and the deadline ends the wait."""
    try:
        asyncio.run(aresolve(Secret("s"), str, timeout=2.0))
    except DeadlineExceededError:
        raise Interrupt from None


def test_an_interrupt_in_a_coroutine() -> None:
    """An interrupt in a loop leaves nothing locked: the next coroutine gets its value in time."""
    at = 1
    while (error := interrupt(resolve_in_a_loop, at)) is not None:
        assert CANARY() not in by_traceback(error), at
        assert asyncio.run(aresolve(Secret("s"), str, timeout=SECONDS)) == VALUE(), at
        at += 5
    assert at > 20
