"""The only reader of the environment. Nothing here runs at import: values are read when an invocation needs them."""

from __future__ import annotations

import math
import os
import stat
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeGuard, TypeVar

from lambdasecrets import _log, _wire
from lambdasecrets._hiding import Token
from lambdasecrets._record import Record
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
FALLBACK = "LAMBDASECRETS_FALLBACK"
TRANSPORT = "LAMBDASECRETS_TRANSPORT"

_Number = TypeVar("_Number", int, float)
_FALLBACKS = frozenset({"", "aws"})
_MOST_CREDENTIAL_BYTES = 65536
_HIGHEST_PORT = 65535
_TRANSPORTS = {"": "lean", "lean": "lean", "requests": "requests"}
_TOKEN_VARIABLES = ("AWS_TOKEN", "AWS_SESSION_TOKEN")
ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AUTHORIZATION = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
_FILE_SCHEME = "file://"
EXPECTED_KINDS = "a tuple of exception classes"


class Options(NamedTuple):
    """The options of `inject_secrets` and `resolve`, as they were given. None: the environment's, else the default.

    Attributes:
        timeout: seconds that the whole resolve may take; default 5.
        max_age: seconds for which a value is used again without asking; default 0.
        stale_if_error: seconds for which the last good value serves after a transient failure; default 0.
        retry_on: exceptions of the handler after which values are fetched anew; default none.
        fallback: `aws`: to ask AWS itself for what the local server cannot serve; empty, the default: not to.
    """

    timeout: float | None = None
    max_age: float | None = None
    stale_if_error: float | None = None
    retry_on: tuple[type[Exception], ...] | None = None
    fallback: str | None = None

    def check(self) -> Options:
        """Refuse at import what could only fail at an invocation; give the options themselves.

        Raises:
            SettingError: an option cannot be used.
        """
        for name, (is_usable, expected) in _SECONDS_OPTIONS.items():
            value = getattr(self, name)
            if value is not None and not is_usable(value):
                raise SettingError(name, expected)
        if self.retry_on is not None and not all(_is_exception(kind) for kind in self.retry_on):
            raise SettingError("retry_on", EXPECTED_KINDS)
        if self.fallback is not None and self.fallback not in _FALLBACKS:
            raise SettingError("fallback", _EXPECTED_FALLBACK)
        return self


class Ages(Record):
    """How old a value may be, in seconds.

    Attributes:
        fresh: to be used without asking.
        stale: to be used after a transient failure; 0: never.
    """

    __slots__ = ("fresh", "stale")

    def __init__(self, fresh: float, stale: float) -> None:
        self.fresh, self.stale = fresh, stale


class Limits(Record):
    """The options as they are in force: what was given, else the environment's, else the defaults. See `Options`."""

    __slots__ = ("ages", "fallback", "retry_on", "timeout")

    def __init__(self, timeout: float, ages: Ages, retry_on: tuple[type[Exception], ...], *, fallback: bool) -> None:
        self.timeout, self.ages, self.retry_on, self.fallback = timeout, ages, retry_on, fallback


def read_limits(options: Options) -> Limits:
    """Settle the options. The environment is read at every call, and each of its texts parsed once.

    Raises:
        SettingError: the environment has a value that cannot be used; it names the variable.
    """
    texts = (
        _read(TIMEOUT) if options.timeout is None else None,
        _read(MAX_AGE) if options.max_age is None else None,
        _read(STALE_IF_ERROR) if options.stale_if_error is None else None,
        _read(RETRY_ON) if options.retry_on is None else None,
        _read(FALLBACK) if options.fallback is None else None,
    )
    return _parse_limits(options, texts)


@lru_cache(maxsize=256)
def _parse_limits(options: Options, texts: tuple[str | None, ...]) -> Limits:
    """Settle the options, with the environment's texts where they are left to it."""
    timeout, max_age, stale_if_error, retry_on, fallback = texts
    seconds = _choose_seconds("timeout", options, timeout, DEFAULT_TIMEOUT_SECONDS)
    fresh = _choose_seconds("max_age", options, max_age, 0.0)
    stale = _choose_seconds("stale_if_error", options, stale_if_error, 0.0)
    kinds = options.retry_on if options.retry_on is not None else _import_exceptions(retry_on or "")
    if kinds is None:
        raise SettingError(RETRY_ON, "importable exception classes, as `package.module.Class`, separated by commas")
    wanted = (fallback or "") if options.fallback is None else options.fallback
    if wanted not in _FALLBACKS:
        raise SettingError(FALLBACK, _EXPECTED_FALLBACK)
    ages = Ages(fresh, fresh + stale if stale else 0.0)
    return Limits(min(seconds, LONGEST_INVOCATION_SECONDS), ages, kinds, fallback=bool(wanted))


def read_transport() -> str:
    """Which transport carries the requests: `lean` or `requests`."""
    name = _TRANSPORTS.get(_read(TRANSPORT) or "")
    if name is None:
        raise SettingError(TRANSPORT, "lean or requests")
    return name


def read_port() -> int:
    """Where the extension listens on loopback."""
    return _read_whole(PORT, _wire.DEFAULT_PORT, _HIGHEST_PORT)


def read_max_connections() -> int:
    """How many requests the extension serves at once, for each of its two backends."""
    return _read_whole(MAX_CONNECTIONS, DEFAULT_MAX_CONNECTIONS, None)


def read_extension_ttl(variable: str) -> float:
    """Seconds for which the extension keeps values: `SECRETS_TTL` or `PARAMETERS_TTL`.

    The variable is the extension's, which uses its default for what it cannot read. So does this, with a warning.
    """
    text = _read(variable)
    return DEFAULT_TTL_SECONDS if not text else _parse_ttl(variable, text)


@lru_cache(maxsize=32)
def _parse_ttl(variable: str, text: str) -> float:
    number = _parse_number(text, float)
    if number is not None and _is_seconds(number):
        return min(number, LONGEST_TTL_SECONDS)
    # Once for each text, because the outcome is kept. The text stays out: variables get mixed up.
    _log.warn(
        "%s is no number of seconds: the extension uses its default of %g s, and so does lambdasecrets.",
        variable,
        DEFAULT_TTL_SECONDS,
    )
    return DEFAULT_TTL_SECONDS


def read_variable(name: str) -> str | None:
    """Read the variable that a placeholder names. None where it is not set or empty."""
    return _read(name) or None


def find_token_variable() -> str | None:
    """Say which variable has the session token. None where none has it.

    The variables are the agent's, in its order; the extension knows AWS_SESSION_TOKEN only. The agent's last one
    means something else where there is an endpoint: there it opens the endpoint and is no token for the extension.
    """
    names = _TOKEN_VARIABLES if _read(ENDPOINT) else (*_TOKEN_VARIABLES, AUTHORIZATION)
    return next((name for name in names if read_credential(name)), None)


def read_credential(name: str) -> Token | None:
    """Read a credential from its variable, or from the file that it names. None where it is not there.

    Raises:
        SettingError: it cannot be sent, or the file cannot be read.
    """
    text = _read(name)
    if not text:
        return None
    content = _read_credential_file(text.removeprefix(_FILE_SCHEME)) if text.startswith(_FILE_SCHEME) else text
    if content is None or not _wire.is_header_value(content):
        del text, content  # a frame that raises stands in the traceback
        raise SettingError(name, "a token, or file:// and the path of a readable file that holds one")
    return Token(content) if content else None


_OPEN_FLAGS = os.O_RDONLY if os.name == "nt" else os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def _read_credential_file(path: str) -> str | None:
    """Read a small regular file. None for any other: a pipe or a device can keep its reader waiting for ever."""
    try:
        # Not blocking, so that opening a pipe does not wait for somebody to write.
        file = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        content = os.read(file, _MOST_CREDENTIAL_BYTES + 1)
        return None if len(content) > _MOST_CREDENTIAL_BYTES else content.decode().strip()
    except (OSError, ValueError):
        return None
    finally:
        os.close(file)


def read_credentials_uri() -> str | None:
    """Say where an execution environment restored by SnapStart gets its credentials. None outside SnapStart."""
    return _read(ENDPOINT) or None


def _choose_seconds(option: str, options: Options, text: str | None, default: float) -> float:
    given: float | None = getattr(options, option)
    if given is not None:
        return given
    if not text:
        return default
    number = _parse_number(text, float)
    is_usable, expected = _SECONDS_OPTIONS[option]
    if number is None or not is_usable(number):
        raise SettingError(f"LAMBDASECRETS_{option.upper()}", expected)
    return number


def _read_whole(name: str, default: int, most: int | None) -> int:
    text = _read(name)
    if not text:
        return default
    number = _parse_whole(text, most)
    if number is None:
        raise SettingError(name, "a whole number from 1" + (f" to {most}" if most else ""))
    return number


@lru_cache(maxsize=32)
def _parse_whole(text: str, most: int | None) -> int | None:
    number = _parse_number(text, int)
    return number if number is not None and 1 <= number <= (most or number) else None


def _parse_number(text: str, kind: Callable[[str], _Number]) -> _Number | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value < math.inf


def _is_time(value: object) -> bool:
    """Tell whether a value is a number of seconds in which something can be done."""
    return _is_seconds(value) and value != 0


_SECONDS_OPTIONS: dict[str, tuple[Callable[[object], bool], str]] = {
    "timeout": (_is_time, "a number of seconds above 0"),
    "max_age": (_is_seconds, "a number of seconds, 0 or more"),
    "stale_if_error": (_is_seconds, "a number of seconds, 0 or more"),
}
_EXPECTED_FALLBACK = "aws"


@lru_cache(maxsize=4)
def _import_exceptions(text: str) -> tuple[type[Exception], ...] | None:
    named = text.split(",") if text else []
    found = tuple(kind for name in named if _is_exception(kind := _import(name.strip())))
    return found if len(found) == len(named) else None


def _import(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute, None)
    except (Exception, SystemExit):  # noqa: BLE001 - a module runs what it likes when it is imported
        return None


def _is_exception(kind: object) -> TypeGuard[type[Exception]]:
    return isinstance(kind, type) and issubclass(kind, Exception)


# --- The environment ------------------------------------------------------------------------------------------------


def _read(name: str) -> str | None:
    """Read a variable. None where it is not set.

    Most settings are not set, and to say so takes `os.environ.get` two exceptions: with a cold processor cache, at
    every invocation, a tenth of what a resolve computes. A look at the dictionary that it keeps takes none.
    """
    environ = os.environ
    kept = vars(environ).get("_data") if hasattr(environ, "encodekey") else None
    if kept is None:  # something else stands in its place, such as a test's dictionary
        return environ.get(name)
    text = kept.get(_encode_name(name))
    return None if text is None else environ.decodevalue(text)


@lru_cache(maxsize=256)
def _encode_name(name: str) -> object:
    return os.environ.encodekey(name)


# --- Where this runs: for the remedies of errors --------------------------------------------------------------------

REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
FUNCTION_NAME = "AWS_LAMBDA_FUNCTION_NAME"
LOG_LEVEL = "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL"


def read_region() -> str | None:
    """Say in which Region the function runs. None where that is not known."""
    return next((region for region in map(_read, REGIONS) if region), None)


def is_lambda() -> bool:
    """Tell whether this is a Lambda execution environment, or plays one."""
    return bool(_read(FUNCTION_NAME))


def has_token() -> bool:
    """Tell whether something says where the session token is, whether or not it can be used."""
    return any(map(_read, (*_TOKEN_VARIABLES, AUTHORIZATION, ENDPOINT)))


def is_extension_silent() -> bool:
    """Tell whether the extension is configured to write nothing to the function's log."""
    return (_read(LOG_LEVEL) or "").upper() == "NONE"
