"""Run a handler on an event as Lambda would, with the emulator in the extension's place."""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import time
import traceback
import uuid
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lambdasecrets import _resolver
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.discovery import InputError, Target, importable
from lambdasecrets.dev.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping

    from lambdasecrets import ResolveEvent
    from lambdasecrets.dev.stores import SecretsFile

__all__ = [
    "InputError",
    "LambdaContext",
    "ResultError",
    "Target",
    "handler_traceback",
    "invoke",
    "read_event",
    "read_variables",
]

DEFAULT_TIMEOUT_SECONDS = 3.0
"""How long a function may run unless it is configured otherwise."""

_DEFAULT_REGION = "us-east-1"
_logger = logging.getLogger("lambdasecrets")
_SILENT = logging.CRITICAL + 1

# The first would be taken for the session token; the others win over the made-up keys, and lead to a real account.
_NOT_IN_LAMBDA = ("AWS_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")

_PACKAGE = str(Path(__file__).parent.parent)
_STANDARD_LIBRARY = Path(os.__file__).parent
_MACHINERY = (_PACKAGE, str(_STANDARD_LIBRARY / "asyncio"), str(_STANDARD_LIBRARY / "importlib"), "<frozen importlib")


class ResultError(Exception):
    """The handler returned what Lambda could not send.

    Args:
        why: what is wrong with it, without any part of it.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(
            f"Cannot send what the handler returned as JSON: {why}. Lambda fails here too, with Runtime.MarshalError. "
            'Return plain data, such as `model.model_dump(mode="json")` or `dataclasses.asdict(item)`.'
        )


def read_event(text: str) -> Any:
    """Read an event: JSON, `@` and the path of a JSON file, or `-` for standard input.

    Raises:
        InputError: it cannot be read or is not JSON; the text says where.
    """
    if text == "-":
        return _event("standard input", sys.stdin.buffer.read())
    if text.startswith("@"):
        return _event(text[1:], _content(Path(text[1:])))
    return _event("the event", text)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the file: {error.strerror}.") from None


def _event(place: str, content: str | bytes) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        why = f"{place}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}."
    except UnicodeDecodeError as error:
        why = f"{place}: not UTF-8 at byte {error.start}."
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number with thousands of digits
        why = f"{place}: cannot read it: {type(error).__name__}."
    raise InputError(why)


def read_variables(texts: Iterable[str]) -> dict[str, str]:
    """Read environment variables, each written as NAME=VALUE.

    Raises:
        InputError: one has no name or no `=`.
    """
    variables: dict[str, str] = {}
    for number, text in enumerate(texts, 1):
        name, equals, value = text.partition("=")
        if not name or not equals:  # it stays out of the text: it may be a value whose name was forgotten
            raise InputError(f"cannot read environment variable {number}: write NAME=VALUE.")
        variables[name] = value
    return variables


def invoke(
    target: Target,
    secrets: SecretsFile,
    event: Any,
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    variables: Mapping[str, str] | None = None,
    profile: Literal["extension", "agent"] = "extension",
    on_resolve: Callable[[ResolveEvent], None] = lambda _: None,
) -> str:
    """Import a handler and call it, as a Lambda execution environment does at its first invocation.

    The emulator runs meanwhile, and serves from when the module is imported. The environment, Python's path and the
    file's place among the modules are as before afterwards.

    Args:
        target: the handler. It may be async.
        secrets: what the emulator serves, and variables for the environment.
        event: what the handler gets.
        timeout: seconds from which the context counts down. A handler that takes longer is not ended, but a warning
            is logged.
        variables: further environment variables. They win over the file's, and these over Lambda's.
        profile: which server the emulator is.
        on_resolve: told what is resolved in the invocation.

    Returns:
        What the handler returned, as JSON.

    Raises:
        InputError: the handler is not to be found, or a variable cannot be set.
        ResultError: the handler returned what is not JSON.
        Exception: whatever the handler or its module raises.
    """
    with Emulator(secrets.store, profile=profile, ready=False) as emulator:
        given = {**_lambda_environment(target), **emulator.environment(), **secrets.environment, **(variables or {})}
        with _environment(given), importable(target), closing(_resolver.shared()):
            handler = target.load()
            emulator.open_gate()
            with _watched(on_resolve):
                return _as_json(_called(handler, event, timeout))


def _called(handler: Callable[[Any, Any], Any], event: Any, timeout: float) -> Any:
    context = LambdaContext.from_environment(timeout)
    result = handler(event, context)
    if inspect.isawaitable(result):
        import asyncio  # noqa: PLC0415 - most handlers do not need it

        result = asyncio.run(_awaited(result))
    if not context.get_remaining_time_in_millis():
        _logger.warning("The handler took longer than its timeout of %g s: Lambda would have ended it.", timeout)
    return result


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _lambda_environment(target: Target) -> dict[str, str]:
    name = target.module.rpartition(".")[2]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
    return {
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(timezone.utc):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_REGION": region,
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "LAMBDA_TASK_ROOT": str(target.folder),
        "_HANDLER": f"{target.module}.{target.attribute}",
        "_X_AMZN_TRACE_ID": _trace_id(),
    }


def _trace_id() -> str:
    """Make a trace that is not sampled: a tracer finds its segment, as in Lambda, and has nothing to send."""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    before = dict(os.environ)
    try:
        for name in _NOT_IN_LAMBDA:
            os.environ.pop(name, None)
        for name, value in variables.items():
            _set_variable(name, value)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _set_variable(name: str, value: str) -> None:
    try:
        os.environ[name] = value
    except (OSError, ValueError):
        raise InputError(f"cannot set the environment variable {name!r}: no system takes this name or value.") from None


class _Watch(logging.Filter):
    """Takes the resolve events out of the library's log, and lets pass what would have passed without it."""

    def __init__(self, on_resolve: Callable[[ResolveEvent], None]) -> None:
        super().__init__()
        self._on_resolve = on_resolve
        self._level = _SILENT if _logger.disabled else _logger.getEffectiveLevel()

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "resolve_event", None)
        if event is not None:
            self._on_resolve(event)
        return record.levelno >= self._level


@contextmanager
def _watched(on_resolve: Callable[[ResolveEvent], None]) -> Generator[None]:
    watch, level, is_disabled = _Watch(on_resolve), _logger.level, _logger.disabled
    _logger.addFilter(watch)
    _logger.setLevel(logging.DEBUG)
    _logger.disabled = False
    try:
        yield
    finally:
        _logger.removeFilter(watch)
        _logger.setLevel(level)
        _logger.disabled = is_disabled


def _as_json(result: Any) -> str:
    try:
        return json.dumps(result, ensure_ascii=False, default=_encodable)
    except (RecursionError, TypeError, ValueError) as error:  # their texts name types, not values
        raise ResultError(str(error)) from None


def _encodable(item: object) -> float:
    if isinstance(item, Decimal):  # Lambda's own encoder takes it
        return int(item) if item.as_tuple().exponent == 0 else float(item)
    raise TypeError(f"an object of type {type(item).__name__} has no JSON")


def handler_traceback(error: BaseException) -> str:
    """Format an error with the frames of the handler's code: without this library's, and without locals."""
    report = traceback.TracebackException.from_exception(error)
    _hide_machinery(report)
    return "".join(report.format()).rstrip()


def _hide_machinery(report: traceback.TracebackException) -> None:
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in report.stack if not frame.filename.startswith(_MACHINERY)]
    )
    for other in (report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ())):
        if other is not None:
            _hide_machinery(other)
