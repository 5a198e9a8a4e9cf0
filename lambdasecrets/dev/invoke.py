"""Run a handler on an event as Lambda would, with the emulator in the extension's place."""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import sys
import time
import traceback
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lambdasecrets import _resolver
from lambdasecrets.dev._stores.arns import OWN_REGION
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.discovery import InputError, Target, importable
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.environment import HIDDEN_FILES, PROFILE_VARIABLES, find_credential_variables
from lambdasecrets.dev.stores import MemoryStore, SecretsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from lambdasecrets import ResolveEvent
    from lambdasecrets.dev.stores import Store

__all__ = [
    "HandlerArgumentsError",
    "InputError",
    "Invocation",
    "LambdaContext",
    "ResultError",
    "Target",
    "handler_traceback",
    "invoke",
    "read_env_file",
    "read_event",
    "read_variables",
]

DEFAULT_TIMEOUT_SECONDS = 3.0
"""How long a function may run unless it is configured otherwise."""

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a variable's name
_logger = logging.getLogger("lambdasecrets")

_PACKAGE = str(Path(__file__).parent.parent)
_STANDARD_LIBRARY = Path(os.__file__).parent
_MACHINERY = (_PACKAGE, str(_STANDARD_LIBRARY / "asyncio"), str(_STANDARD_LIBRARY / "importlib"), "<frozen importlib")


_PLAIN_DATA = 'Return plain data, such as `model.model_dump(mode="json")` or `dataclasses.asdict(item)`.'
_PLAIN_FUNCTION = (
    "Lambda calls plain functions and awaits nothing: keep the async function, with its declarations, under another "
    "name, and make the handler `def handler(event, context): return asyncio.run(main(event, context))`."
)
_DECORATOR_MISSING = (
    "Lambda gives a handler the event and the context only. Is @inject_secrets missing, or above a decorator that "
    "hides the arguments from it?"
)


class ResultError(Exception):
    """The handler returned what Lambda could not send.

    Args:
        why: what is wrong with it, without any part of it.
        remedy: what to do.
    """

    def __init__(self, why: str, remedy: str = _PLAIN_DATA) -> None:
        self.why = why
        super().__init__(
            f"Cannot send what the handler returned as JSON: {why}. Lambda fails here too, with Runtime.MarshalError. "
            f"{remedy}"
        )


class HandlerArgumentsError(TypeError):
    """The handler cannot be called with the event and the context alone."""


def read_event(text: str) -> Any:
    """Read an event: JSON, `@` and the path of a JSON file, or `-` for standard input.

    Raises:
        InputError: it cannot be read or is not JSON; the text says where.
    """
    if text == "-":
        return _event("standard input", sys.stdin.buffer.read())
    if text.startswith("@"):
        return _event(text[1:], _content(Path(text[1:])))
    return _event("the event", text.removeprefix("\ufeff"), _file_hint(text))


def _file_hint(text: str) -> str:
    """Advise the `@` where an event's text is a file's name."""
    try:
        is_file = text.endswith(".json") or Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte in it
        return ""
    return f" To read it from the file, write @{text}." if is_file and text.isprintable() else ""


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the file: {error.strerror}.") from None


def _event(place: str, content: str | bytes, hint: str = "") -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        why = f"{place}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}.{hint}"
    except UnicodeDecodeError as error:
        why = f"{place}: not UTF-8 at byte {error.start}."
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number with thousands of digits
        why = f"{place}: cannot read it: {type(error).__name__}."
    raise InputError(why)


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file of environment variables: NAME=VALUE on each line, perhaps quoted, after `export`, or a comment.

    Raises:
        InputError: it cannot be read, or a line is none of these; the text names the line and never a value.
    """
    try:
        lines = _content(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}.") from None
    variables: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not _VARIABLE_NAME.fullmatch(name.strip()) or not equals:
            raise InputError(f"{path}, line {number}: cannot read an environment variable: write NAME=VALUE.")
        variables[name.strip()] = _unquote(value.strip())
    return variables


def _unquote(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


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


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation that returned.

    Attributes:
        result: what the handler returned, as JSON.
        milliseconds: what the handler took.
        import_milliseconds: what the import of its module took, of the first one; None of the others.
    """

    result: str = field(repr=False)
    milliseconds: float
    import_milliseconds: float | None


def invoke(
    target: Target,
    secrets: SecretsFile | Store,
    event: Any,
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    variables: Mapping[str, str] | None = None,
    profile: Literal["extension", "agent"] = "extension",
    tenant_id: str | None = None,
    repeat: int = 1,
    on_resolve: Callable[[ResolveEvent], None] = lambda _: None,
    on_end: Callable[[Invocation], None] = lambda _: None,
) -> str:
    """Import a handler and call it, as a Lambda execution environment does at its first invocation.

    The emulator runs meanwhile, and serves from when the module is imported. The environment, Python's path and the
    file's place among the modules are as before afterwards.

    Args:
        target: the handler.
        secrets: what the emulator serves, and variables for the environment; or a store.
        event: what the handler gets.
        timeout: seconds from which the context counts down. A handler that takes longer is not ended, but a warning
            is logged.
        variables: further environment variables. They win over the file's, and these over Lambda's. Credentials
            among them are the handler's; it gets none of this process.
        profile: which server the emulator is.
        tenant_id: the tenant that the invocation is for, as in a function with tenant isolation.
        repeat: how often to invoke the handler: first cold, then warm, in the one environment.
        on_resolve: told what is resolved in the invocations.
        on_end: told of each invocation that returned.

    Returns:
        What the handler returned, at last, as JSON.

    Raises:
        InputError: the handler is not to be found, or a variable cannot be set.
        SecretsFileError: a fault of the file cannot be injected.
        ResultError: the handler returned what is not JSON, such as the coroutine of an async handler.
        Exception: whatever the handler or its module raises.
    """
    file = secrets if isinstance(secrets, SecretsFile) else SecretsFile(MemoryStore(), {})
    store: Store = secrets.store if isinstance(secrets, SecretsFile) else secrets
    given = {**file.environment, **(variables or {})}
    with Emulator(store, profile=profile, token=given.get(_TOKEN), ready=False) as emulator:
        emulator.inject_faults_of(file)
        made_up = {**_lambda_environment(target), **HIDDEN_FILES, **emulator.environment()}
        with _environment(made_up, given), importable(target), closing(_resolver.find_resolver()):
            began = time.perf_counter()
            handler = target.load()
            import_milliseconds = _milliseconds_since(began)
            emulator.open_gate()

            def run(import_milliseconds: float | None) -> str:
                context = LambdaContext.from_environment(timeout, tenant_id=tenant_id, account=file.store.account)
                invocation = _invoke(handler, event, context, timeout, import_milliseconds)
                on_end(invocation)
                return invocation.result

            with _watch(on_resolve):
                result = run(import_milliseconds)
                for _ in range(repeat - 1):
                    result = run(None)
                return result


def _invoke(
    handler: Callable[[Any, Any], Any],
    event: Any,
    context: LambdaContext,
    timeout: float,
    import_milliseconds: float | None,
) -> Invocation:
    began = time.perf_counter()
    result = _call(handler, event, context, timeout)
    milliseconds = _milliseconds_since(began)
    return Invocation(_as_json(result), milliseconds, import_milliseconds)


def _milliseconds_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _call(handler: Callable[[Any, Any], Any], event: Any, context: LambdaContext, timeout: float) -> Any:
    try:
        result = handler(event, context)
    except TypeError as error:
        if not _is_of_the_call(error):
            raise
        reason = str(error)
    else:
        if not context.get_remaining_time_in_millis():
            _logger.warning("The handler took longer than its timeout of %g s: Lambda would have ended it.", timeout)
        return result
    raise HandlerArgumentsError(f"{reason}. {_DECORATOR_MISSING}")


def _is_of_the_call(error: TypeError) -> bool:
    """Tell whether an error is Python's refusal to call the handler, which none of its own code raised."""
    trace = error.__traceback__
    return trace is not None and trace.tb_next is None and "missing" in str(error)


def _lambda_environment(target: Target) -> dict[str, str]:
    name = target.module.rpartition(".")[2]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or OWN_REGION
    return {
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(timezone.utc):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_REGION": region,
        "LAMBDA_TASK_ROOT": str(target.folder),
        "_HANDLER": f"{target.module}.{target.attribute}",
        "_X_AMZN_TRACE_ID": _trace_id(),
    }


def _trace_id() -> str:
    """Make a trace that is not sampled: a tracer finds its segment, as in Lambda, and has nothing to send."""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"


@contextmanager
def _environment(made_up: Mapping[str, str], given: Mapping[str, str]) -> Generator[None]:
    before = dict(os.environ)
    has_profile = any(given.get(name) for name in PROFILE_VARIABLES)
    try:
        for name in find_credential_variables(before):
            # Who gives the handler a profile gives it the files that have it.
            if not (has_profile and name in HIDDEN_FILES):
                del os.environ[name]
        for name, value in made_up.items():
            if not (has_profile and name in (*_KEYS, *HIDDEN_FILES)):
                os.environ[name] = value
        for name, value in given.items():
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


@contextmanager
def _watch(on_resolve: Callable[[ResolveEvent], None]) -> Generator[None]:
    _resolver.OBSERVERS.append(on_resolve)
    try:
        yield
    finally:
        _resolver.OBSERVERS.remove(on_resolve)


def _as_json(result: Any) -> str:
    remedy = _PLAIN_FUNCTION if inspect.isawaitable(result) else _PLAIN_DATA
    if inspect.iscoroutine(result):
        result.close()  # or Python warns that nobody awaited it, in a line that names no way out
    try:
        return json.dumps(result, ensure_ascii=False, default=_encodable)
    except (RecursionError, TypeError, ValueError) as error:  # their texts name types, not values
        raise ResultError(str(error), remedy) from None


def _encodable(item: object) -> float:
    if isinstance(item, Decimal):  # Lambda's own encoder takes it
        return int(item) if item.as_tuple().exponent == 0 else float(item)
    raise TypeError(f"Object of type {type(item).__name__} is not JSON serializable")  # as Lambda's runtime says it


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
