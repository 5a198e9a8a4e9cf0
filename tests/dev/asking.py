"""Ask the emulator by plain HTTP, without a line of the client's code."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lambdasecrets.dev.emulator import Emulator

SECONDS = 10.0  # long enough for a busy machine: no test waits for it


@dataclass(frozen=True)
class Heard:
    """An answer as it came."""

    status: int
    body: bytes
    headers: dict[str, str]


@contextmanager
def connected(emulator: Emulator) -> Iterator[http.client.HTTPConnection]:
    """Open a connection that is kept alive."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=SECONDS)
    try:
        yield connection
    finally:
        connection.close()


def ask_on(
    connection: http.client.HTTPConnection, emulator: Emulator, target: str, *, method: str = "GET", **headers: str
) -> Heard:
    """Ask on an open connection, with the right token unless `token` is another one."""
    token = headers.pop("token", emulator.token)
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, target, headers={"X-Aws-Parameters-Secrets-Token": token, **more})
    response = connection.getresponse()
    return Heard(response.status, response.read(), dict(response.getheaders()))


def ask(emulator: Emulator, target: str, *, method: str = "GET", **headers: str) -> Heard:
    """Ask on a connection of its own."""
    with connected(emulator) as connection:
        return ask_on(connection, emulator, target, method=method, **headers)


def say(emulator: Emulator, data: bytes) -> bytes:
    """Send bytes as they are and read until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=SECONDS) as plain:
        plain.sendall(data)
        return b"".join(iter(lambda: plain.recv(65536), b""))


def until(happened: Callable[[], object]) -> None:
    """Wait for something that another thread is about to do, but not for ever."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "It did not happen."
        time.sleep(0.001)
