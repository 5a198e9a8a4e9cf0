"""The emulator as a real Lambda extension over AWS: a local stand-in for the layer, in containers and under the RIE.

Lambda, and its Runtime Interface Emulator (RIE), start whatever stands in /opt/extensions. The file
`lambdasecrets-extension` beside this one goes there. The environment variables are those of the AWS Parameters and
Secrets Lambda Extension.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from json import dumps, loads
from typing import TYPE_CHECKING, Any, TypeVar

from lambdasecrets import _settings, _wire
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPMessage

    from lambdasecrets.dev.aws import AwsStore

__all__ = ["Settings", "main", "run"]

_T = TypeVar("_T")

_PREFIX = "PARAMETERS_SECRETS_EXTENSION_"
_HIGHEST_PORT = 65535
_MOST_ENTRIES = 1000
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "NONE": logging.CRITICAL + 1,
}

_API_PATH = "/2020-01-01/extension/"
_NAME = "Lambda-Extension-Name"
_IDENTIFIER = "Lambda-Extension-Identifier"
_REGISTER_SECONDS = 10.0  # Lambda lets INIT take no longer
_OK = 200


@dataclass(frozen=True, slots=True)
class Settings:
    """What the extension's environment variables say. Times in seconds.

    Attributes:
        port: PARAMETERS_SECRETS_EXTENSION_HTTP_PORT.
        level: PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL, as a level of `logging`.
        cache_size: PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE, or 0 where PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED
            is FALSE.
        max_connections: PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS.
        secrets_ttl: SECRETS_MANAGER_TTL.
        parameters_ttl: SSM_PARAMETER_STORE_TTL.
        secrets_timeout: SECRETS_MANAGER_TIMEOUT_MILLIS; 0 for none.
        parameters_timeout: SSM_PARAMETER_STORE_TIMEOUT_MILLIS; 0 for none.
    """

    port: int
    level: int
    cache_size: int
    max_connections: int
    secrets_ttl: float
    parameters_ttl: float
    secrets_timeout: float
    parameters_timeout: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read the variables.

        Raises:
            SettingError: one of them has a value that it cannot have.
        """
        is_cached = _chosen(environ, f"{_PREFIX}CACHE_ENABLED", {"TRUE": True, "FALSE": False}, "TRUE")
        size = _whole(environ, f"{_PREFIX}CACHE_SIZE", _MOST_ENTRIES, most=_MOST_ENTRIES)
        return cls(
            port=_whole(environ, _settings.PORT, _wire.DEFAULT_PORT, least=1, most=_HIGHEST_PORT),
            level=_chosen(environ, f"{_PREFIX}LOG_LEVEL", _LEVELS, "INFO"),
            cache_size=size if is_cached else 0,
            max_connections=_whole(environ, _settings.MAX_CONNECTIONS, _settings.DEFAULT_MAX_CONNECTIONS, least=1),
            # More than the extension's limit is clamped by the emulator, as the extension does it.
            secrets_ttl=_whole(environ, _settings.SECRETS_TTL, 300),
            parameters_ttl=_whole(environ, _settings.PARAMETERS_TTL, 300),
            secrets_timeout=_whole(environ, "SECRETS_MANAGER_TIMEOUT_MILLIS", 0) / 1000,
            parameters_timeout=_whole(environ, "SSM_PARAMETER_STORE_TIMEOUT_MILLIS", 0) / 1000,
        )


def main() -> None:
    """Run as Lambda starts it: the launcher gives its own name as the one argument."""
    run(sys.argv[1], os.environ)


def run(name: str, environ: Mapping[str, str]) -> None:
    """Serve until SHUTDOWN. When this returns, the process has to end: the emulator still listens.

    It is not stopped in good order because its threads may wait for AWS, and Lambda gives 2 s to leave.

    Args:
        name: the file's name in /opt/extensions, by which Lambda knows the extension.
        environ: the environment that Lambda gave.

    Raises:
        BotoCoreError: boto3 finds no Region, or credentials that cannot be had.
        OSError: the port is taken, or the Extensions API is not there or refuses.
        SettingError: an environment variable has a value that it cannot have.
    """
    settings = Settings.read(environ)
    _log_to_stdout(settings.level)
    # On managed instances invocations overlap, so extensions are not told of them, and nothing opens a gate.
    is_shared = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "lambda-managed-instances"
    api = _ExtensionsApi(environ["AWS_LAMBDA_RUNTIME_API"])
    api.register(name, ["SHUTDOWN"] if is_shared else ["INVOKE", "SHUTDOWN"])
    store = _store(settings)
    emulator = _emulator(store, settings, ready=is_shared)
    emulator.start()
    _follow(api, emulator, store, is_ready=is_shared)


def _store(settings: Settings) -> AwsStore:
    # boto3 loads while Lambda starts the function's runtime, which it does once every extension has registered.
    from lambdasecrets.dev.aws import AwsStore  # noqa: PLC0415

    return AwsStore(
        max_connections=settings.max_connections,
        secrets_timeout=settings.secrets_timeout,
        parameters_timeout=settings.parameters_timeout,
    )


def _emulator(store: AwsStore, settings: Settings, *, ready: bool) -> Emulator:
    return Emulator(
        store,
        port=settings.port,
        token=store.session_token(),
        ready=ready,
        secrets_ttl=settings.secrets_ttl,
        parameters_ttl=settings.parameters_ttl,
        cache_size=settings.cache_size,
        max_connections=settings.max_connections,
    )


def _follow(api: _ExtensionsApi, emulator: Emulator, store: AwsStore, *, is_ready: bool) -> None:
    """Go along with Lambda's events until SHUTDOWN."""
    while api.next_event()["eventType"] != "SHUTDOWN":
        emulator.token = store.session_token() or emulator.token  # under SnapStart credentials are renewed
        if not is_ready:
            emulator.open_gate()
            is_ready = True


def _log_to_stdout(level: int) -> None:
    # Only the emulator's own log: boto3's would show values at DEBUG.
    handler = logging.StreamHandler(sys.stdout)
    log = logging.getLogger("lambdasecrets.emulator")
    log.addHandler(handler)
    log.setLevel(level)


class _ExtensionsApi:
    """The part of Lambda's Extensions API that an extension needs.

    Args:
        address: host and port, as in AWS_LAMBDA_RUNTIME_API.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._identifier = ""

    def register(self, name: str, events: list[str]) -> None:
        """Ask to be told of events. Once every extension has, Lambda starts the function's runtime."""
        body = dumps({"events": events})
        connection = HTTPConnection(self._address, timeout=_REGISTER_SECONDS)
        headers, _ = _exchange(connection, "POST", "register", {_NAME: name}, body)
        self._identifier = headers[_IDENTIFIER]

    def next_event(self) -> dict[str, Any]:
        """Say that all is done that the last event asked for, and wait for the next."""
        # Without a time limit: until then Lambda freezes the environment, for hours if need be.
        connection = HTTPConnection(self._address)
        return _exchange(connection, "GET", "event/next", {_IDENTIFIER: self._identifier})[1]


def _exchange(
    connection: HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> tuple[HTTPMessage, dict[str, Any]]:
    with closing(connection):
        connection.request(method, _API_PATH + path, body, headers)
        response = connection.getresponse()
        content = response.read()
    if response.status != _OK:
        raise OSError(f"Lambda's Extensions API answered {path} with {response.status}: {content.decode()}")
    return response.headers, loads(content)


def _chosen(environ: Mapping[str, str], name: str, choices: Mapping[str, _T], default: str) -> _T:
    text = (environ.get(name) or default).upper()
    if text not in choices:
        raise SettingError(name, f"one of {', '.join(choices)}")
    return choices[text]


def _whole(environ: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) < least or (most is not None and int(text) > most):
        raise SettingError(name, f"a whole number from {least}" + (f" to {most}" if most else ""))
    return int(text)


if __name__ == "__main__":
    main()
