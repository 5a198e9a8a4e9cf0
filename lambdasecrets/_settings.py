"""The only reader of the environment. Nothing here runs at import: values are read when an invocation needs them."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard, TypeVar

from lambdasecrets import _wire
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_TIMEOUT_SECONDS = 5.0
DEFAULT_MAX_CONNECTIONS = 3
DEFAULT_TTL_SECONDS = 300.0
LONGEST_TTL_SECONDS = 300.0
LONGEST_INVOCATION_SECONDS = 900.0

PORT = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
MAX_CONNECTIONS = "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS"
SECRETS_TTL = "SECRETS_MANAGER_TTL"
PARAMETERS_TTL = "SSM_PARAMETER_STORE_TTL"
TIMEOUT = "LAMBDASECRETS_TIMEOUT"
MAX_AGE = "LAMBDASECRETS_MAX_AGE"
STALE_IF_ERROR = "LAMBDASECRETS_STALE_IF_ERROR"
RETRY_ON = "LAMBDASECRETS_RETRY_ON"
TRANSPORT = "LAMBDASECRETS_TRANSPORT"

_Number = TypeVar("_Number", int, float)
_ABOVE_ZERO = math.ulp(0.0)
_HIGHEST_PORT = 65535
_TRANSPORTS = {"": "lean", "lean": "lean", "requests": "requests"}
_TOKEN_VARIABLES = ("AWS_TOKEN", "AWS_SESSION_TOKEN")
ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AUTHORIZATION = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
_FILE_SCHEME = "file://"


class Options(NamedTuple):
    """The options of `inject_secrets` and `resolve` that a number of seconds or exception classes express.

    Attributes:
        timeout: seconds that the whole resolve may take; None: the environment's, else 5.
        max_age: seconds for which a value is used again without asking; None: the environment's, else 0.
        stale_if_error: seconds for which the last good value serves after a transient failure; None: the
            environment's, else 0.
        retry_on: exceptions of the handler after which values are fetched anew; None: the environment's, else none.
    """

    timeout: float | None = None
    max_age: float | None = None
    stale_if_error: float | None = None
    retry_on: tuple[type[Exception], ...] | None = None

    def checked(self) -> Options:
        """Refuse at import what could only fail at an invocation.

        Raises:
            SettingError: an option cannot be used.
        """
        for name, least in (("timeout", _ABOVE_ZERO), ("max_age", 0.0), ("stale_if_error", 0.0)):
            value = getattr(self, name)
            if value is not None and not _is_seconds(value, least):
                raise SettingError(name, _expected_seconds(least))
        if self.retry_on is not None and not all(_is_exception(kind) for kind in self.retry_on):
            raise SettingError("retry_on", "exception classes")
        return self


class Ages(NamedTuple):
    """How old a value may be, in seconds.

    Attributes:
        fresh: to be used without asking.
        stale: to be used after a transient failure; 0: never.
    """

    fresh: float
    stale: float


class Limits(NamedTuple):
    """The options as they are in force: what was given, else the environment's, else the defaults. See `Options`."""

    timeout: float
    ages: Ages
    retry_on: tuple[type[Exception], ...]


def limits(options: Options) -> Limits:
    """Settle the options.

    Raises:
        SettingError: the environment has a value that cannot be used; it names the variable.
    """
    fresh, stale = max_age(options), stale_if_error(options)
    ages = Ages(fresh, fresh + stale if stale else 0.0)
    return Limits(min(timeout(options), LONGEST_INVOCATION_SECONDS), ages, retry_on(options))


def timeout(options: Options) -> float:
    """Seconds that a whole resolve may take."""
    return _seconds_option(options.timeout, TIMEOUT, DEFAULT_TIMEOUT_SECONDS, _ABOVE_ZERO)


def max_age(options: Options) -> float:
    """Seconds for which a value is used again without asking."""
    return _seconds_option(options.max_age, MAX_AGE, 0.0, 0.0)


def stale_if_error(options: Options) -> float:
    """Seconds for which the last good value serves after a transient failure."""
    return _seconds_option(options.stale_if_error, STALE_IF_ERROR, 0.0, 0.0)


def retry_on(options: Options) -> tuple[type[Exception], ...]:
    """Exceptions of a handler after which values are fetched anew."""
    if options.retry_on is not None:
        return options.retry_on
    kinds = _exceptions(os.environ.get(RETRY_ON, ""))
    if kinds is None:
        raise SettingError(RETRY_ON, "importable exception classes, as `package.module.Class`, separated by commas")
    return kinds


def transport() -> str:
    """Which transport carries the requests: `lean` or `requests`."""
    name = _TRANSPORTS.get(os.environ.get(TRANSPORT, ""))
    if name is None:
        raise SettingError(TRANSPORT, "lean or requests")
    return name


def port() -> int:
    """Where the extension listens on loopback."""
    return _whole_setting(PORT, _wire.DEFAULT_PORT, _HIGHEST_PORT)


def max_connections() -> int:
    """How many requests the extension serves at once, for each of its two backends."""
    return _whole_setting(MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS, None)


def extension_ttl(variable: str) -> float:
    """Seconds for which the extension keeps values: `SECRETS_TTL` or `PARAMETERS_TTL`."""
    return min(_seconds_option(None, variable, DEFAULT_TTL_SECONDS, 0.0), LONGEST_TTL_SECONDS)


def variable(name: str) -> str | None:
    """Read the variable that a placeholder names. None where it is not set or empty."""
    return os.environ.get(name) or None


def token_variable() -> str | None:
    """Say which variable has the session token. None where none has it.

    The variables are the agent's, in its order; the extension knows AWS_SESSION_TOKEN only. The agent's last one
    means something else where there is an endpoint: there it opens the endpoint and is no token for the extension.
    """
    names = _TOKEN_VARIABLES if os.environ.get(ENDPOINT) else (*_TOKEN_VARIABLES, AUTHORIZATION)
    return next((name for name in names if credential(name)), None)


def credential(name: str) -> str | None:
    """Read a credential from its variable, or from the file that it names. None where it is not there.

    Raises:
        SettingError: it cannot be sent, or the file cannot be read.
    """
    found = _credential(name)
    # A frame that raises stands in the traceback: here it holds no credential.
    if found is None:
        raise SettingError(name, "a token, or file:// and the path of a readable file that holds one")
    return found or None


def credentials_uri() -> str | None:
    """Say where an execution environment restored by SnapStart gets its credentials. None outside SnapStart."""
    return os.environ.get(ENDPOINT) or None


def _credential(name: str) -> str | None:
    """Give a credential; "" where there is none, None where what there is cannot be used."""
    try:
        text = os.environ[name]
    except KeyError:
        return ""
    content = _file_content(text.removeprefix(_FILE_SCHEME)) if text.startswith(_FILE_SCHEME) else text
    return content if content is not None and _wire.is_header_value(content) else None


def _file_content(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None


# Below, what a variable holds is no local of a frame that raises: tracebacks show locals, and variables get mixed up.


def _seconds_option(given: float | None, name: str, default: float, least: float) -> float:
    if given is not None:
        return given
    number = _seconds(os.environ.get(name) or repr(default), least)
    if number is None:
        raise SettingError(name, _expected_seconds(least))
    return number


@lru_cache(maxsize=32)
def _seconds(text: str, least: float) -> float | None:
    number = _number(text, float)
    return number if number is not None and _is_seconds(number, least) else None


def _whole_setting(name: str, default: int, most: int | None) -> int:
    number = _whole(os.environ.get(name) or repr(default), most)
    if number is None:
        raise SettingError(name, "a whole number from 1" + (f" to {most}" if most else ""))
    return number


@lru_cache(maxsize=32)
def _whole(text: str, most: int | None) -> int | None:
    number = _number(text, int)
    return number if number is not None and 1 <= number <= (most or number) else None


def _number(text: str, kind: Callable[[str], _Number]) -> _Number | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _is_seconds(value: object, least: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < math.inf


def _expected_seconds(least: float) -> str:
    return "a number of seconds above 0" if least else "a number of seconds, 0 or more"


@lru_cache(maxsize=4)
def _exceptions(text: str) -> tuple[type[Exception], ...] | None:
    named = text.split(",") if text else []
    found = tuple(kind for name in named if _is_exception(kind := _imported(name.strip())))
    return found if len(found) == len(named) else None


def _imported(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute, None)
    except (ImportError, TypeError, ValueError):  # the last two: what begins with a dot, what has none
        return None


def _is_exception(kind: object) -> TypeGuard[type[Exception]]:
    return isinstance(kind, type) and issubclass(kind, Exception)


# --- Where this runs: for the remedies of errors --------------------------------------------------------------------

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
FUNCTION_NAME = "AWS_LAMBDA_FUNCTION_NAME"
LOG_LEVEL = "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL"


def read_region() -> str | None:
    """Say in which Region the function runs. None where that is not known."""
    return next((region for region in map(os.environ.get, REGIONS) if region), None)


def is_lambda() -> bool:
    """Tell whether this is a Lambda execution environment, or plays one."""
    return bool(os.environ.get(FUNCTION_NAME))


def is_extension_silent() -> bool:
    """Tell whether the extension is configured to write nothing to the function's log."""
    return os.environ.get(LOG_LEVEL, "").upper() == "NONE"
