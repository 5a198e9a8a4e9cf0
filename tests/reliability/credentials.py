"""SnapStart's credentials endpoint, and what can go wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType

from typing_extensions import Self

from lambdasecrets.dev._emulator.http_server import Connection
from tests.serving import answer, serving

_LATE_SECONDS = 0.2
_HANG_SECONDS = 60.0

CredentialsFault = Callable[[Connection, bytes], None]
"""Plays a fault on a connection whose right answer is given."""


def _reply(status: str, body: bytes = b"") -> CredentialsFault:
    return lambda connection, _right: connection.send(answer(body, status=status))


def _cut(connection: Connection, right: bytes) -> None:
    connection.send(right[: len(right) - 5])
    connection.close()


def _send_late(connection: Connection, right: bytes) -> None:
    connection.wait(_LATE_SECONDS)
    connection.send(right)  # pragma: no cover - the wait ends with the client's, if that goes first


def _hang(connection: Connection, _right: bytes) -> None:
    connection.wait(_HANG_SECONDS)
    connection.close()  # pragma: no cover - the wait ends with the client's


CREDENTIALS_FAULTS: Mapping[str, CredentialsFault] = {
    "internal-error": _reply("500 Internal Server Error"),
    "crowded": _reply("429 Too Many Requests"),
    "no-token": _reply("200 OK", b"{}"),
    "reset": lambda connection, _right: connection.reset(),
    "truncated": _cut,
    "latency": _send_late,
    "hang": _hang,
}
"""One of each kind."""


class CredentialsEndpoint:
    """Gives out a token, as Lambda does where the environment has none.

    Args:
        token: which.
    """

    def __init__(self, token: str) -> None:
        keys = {"AccessKeyId": "made-up", "SecretAccessKey": "made-up", "Token": token}
        self._right = answer(json.dumps(keys).encode())
        self._fault: CredentialsFault | None = None
        self._times: int | None = None
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._server = self._exit.enter_context(serving(self._serve))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    def inject(self, fault: CredentialsFault, times: int | None) -> None:
        """Let something go wrong with the next answers, or with all (None)."""
        self._fault, self._times = fault, times

    def lead(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Give an environment without a token in which this endpoint has it."""
        return {name: value for name, value in environment.items() if name != "AWS_SESSION_TOKEN"} | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self._server.port}/credentials"
        }

    def _serve(self, connection: Connection) -> None:
        while connection.is_open and connection.read_request() is not None:
            fault = self._take_fault()
            if fault is None:
                connection.send(self._right)
            else:
                fault(connection, self._right)

    def _take_fault(self) -> CredentialsFault | None:
        if self._times is not None:
            if not self._times:
                return None
            self._times -= 1
        return self._fault
