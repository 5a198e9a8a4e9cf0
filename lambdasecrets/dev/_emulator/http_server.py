"""A small HTTP/1.1 server that can also misbehave: its connections are bare sockets in the hands of the emulator.

`http.server` is not used: it parses headers with the `email` package, which takes longer than the rest of an answer
and would be measured as the cost of the client; and it has no way to reset, drip or cut an answer.
"""

from __future__ import annotations

import contextlib
import math
import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus

_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
_BACKLOG = 1024
_SEND_SECONDS = 30.0  # a client that does not read has left
_STOP_SECONDS = 5.0
_HEAD_END = b"\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time at all


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was received.

    Attributes:
        target: the path and the query, still percent-encoded.
        headers: by their names in lower case; the last of equal ones.
        body: what came after the head; empty where its length was not announced, or is more than 64 KiB.
    """

    method: str
    target: str
    version: str
    headers: Mapping[str, str] = field(repr=False)  # the token is among them
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, still percent-encoded."""
        return self.target.partition("?")[2]

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with the answer: the client says so, or there is a body that is not read."""
        connection = self.headers.get("connection", "").lower()
        is_unread = self.body_bytes is None
        return is_unread or "close" in connection or (self.version == "HTTP/1.0" and "keep-alive" not in connection)

    @property
    def body_bytes(self) -> int | None:
        """How long the body is; None where it is not read, for its length is not announced or is too much."""
        length = self.headers.get("content-length", "0")
        is_known = re.fullmatch("[0-9]{1,9}", length) is not None and "transfer-encoding" not in self.headers
        return int(length) if is_known and int(length) <= _MAX_BODY_BYTES else None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is bytes.

    Attributes:
        content_type: the Content-Type header, or None for none.
        headers: further headers.
    """

    status: int
    body: bytes = field(repr=False)
    content_type: str | None = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def head(self, *, version: str = "HTTP/1.1", length: int | None = None, **more: str) -> bytes:
        """Return the status line and the headers.

        Args:
            version: the version in the status line.
            length: the Content-Length header, or None for none.
            more: further headers, with `_` for `-`.
        """
        lines = [f"{version} {self.status} {_phrase(self.status)}", f"Date: {formatdate(usegmt=True)}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        return "\r\n".join(lines).encode("latin-1") + _HEAD_END

    def encode(self, *, is_last: bool = False) -> bytes:
        """Return the whole answer as a well-behaved server sends it."""
        more = {"Connection": "close"} if is_last else {}
        return self.head(length=len(self.body), **more) + self.body


class Connection:
    """One client's connection, used by the one thread that serves it.

    Args:
        accepted: the socket.
        number: its number since the server was made, from 1.
    """

    def __init__(self, accepted: socket.socket, number: int) -> None:
        accepted.settimeout(None)  # not every system lets it differ from the listening socket
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = accepted
        self._buffer = b""
        self._accepted = time.monotonic()
        self.number = number
        self.is_open = True

    def read_request(self, max_age: float = math.inf) -> Request | None:
        """Wait for the next request; None when the client left or sent what is no request.

        Args:
            max_age: seconds after it was accepted at which the connection ends, whether it is used or not.

        Raises:
            TimeoutError: the connection reached that age.
            OSError: the connection broke.
        """
        while _HEAD_END not in self._buffer:
            if len(self._buffer) > _MAX_HEAD_BYTES or not self._receive(max_age):
                return None
        head, _, self._buffer = self._buffer.partition(_HEAD_END)
        request = _parsed(head.decode("latin-1"))
        return request and self._read_body(request, max_age)

    def _read_body(self, request: Request, max_age: float) -> Request | None:
        length = request.body_bytes or 0
        while len(self._buffer) < length:
            if not self._receive(max_age):
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return replace(request, body=body)

    def _receive(self, max_age: float) -> bool:
        """Wait for more; False when the client left."""
        self._socket.settimeout(self._seconds_left(max_age))
        received = self._socket.recv(_RECEIVE_BYTES)
        self._buffer += received
        return bool(received)

    def send(self, data: bytes) -> None:
        """Send all of the data in one call.

        Raises:
            OSError: the client left or does not read.
        """
        self._socket.settimeout(_SEND_SECONDS)
        self._socket.sendall(data)

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the client does.

        Raises:
            ConnectionError: the client left.
        """
        self._socket.settimeout(max(seconds, 0.001))  # 0 would mean not to wait for an answer from the kernel
        try:
            arrived = self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        if not arrived:
            raise ConnectionAbortedError

    def close(self) -> None:
        """End the connection in good order."""
        self.is_open = False
        self._socket.close()

    def reset(self) -> None:
        """End the connection with a reset, as a process that dies does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def interrupt(self) -> None:
        """Make the thread that serves the connection notice that it has to end; called from other threads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _seconds_left(self, max_age: float) -> float | None:
        if math.isinf(max_age):
            return None
        left = self._accepted + max_age - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Server:
    """Listen on a port and serve each connection in a thread of its own.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        serve: serves one connection to its end. An OSError from it ends the connection too.

    Attributes:
        port: the port it has.
    """

    def __init__(self, host: str, port: int, serve: Callable[[Connection], None]) -> None:
        self._host = host
        self._serve = serve
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._accepted = 0
        self._switch = threading.Lock()
        self._accepting: tuple[threading.Thread, socket.socket] | None = None
        self._is_closed = False
        self._socket = self._bound(port)
        self.port: int = self._socket.getsockname()[1]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def listen(self) -> None:
        """Accept connections from now on: when this returns, a client can connect. Once closed, do nothing."""
        with self._switch:
            if self._is_closed or self._accepting is not None:
                return
            self._socket.listen(_BACKLOG)
            self._socket.settimeout(0)
            woken, wakes = socket.socketpair()
            thread = threading.Thread(target=self._accept, args=(woken,), name="emulator-accept", daemon=True)
            self._accepting = (thread, wakes)
            thread.start()

    def refuse(self) -> None:
        """Refuse connections from now on and end those that are open; the port stays reserved."""
        with self._switch:
            self._end_accepting()
            self._socket.close()
            self._socket = self._bound(self.port)  # bound but not listening: the kernel refuses
            self._end_connections()

    def close(self) -> None:
        """End everything, within a few seconds."""
        with self._switch:
            self._is_closed = True
            self._end_accepting()
            self._socket.close()
            self._end_connections()

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, port))
        except OSError:
            bound.close()
            raise
        return bound

    def _accept(self, woken: socket.socket) -> None:
        with woken, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while all(key.fileobj is not woken for key, _ in selector.select()):
                with contextlib.suppress(OSError):  # the client is gone again
                    self._admit(self._socket.accept()[0])

    def _admit(self, accepted: socket.socket) -> None:
        self._accepted += 1
        connection = Connection(accepted, self._accepted)
        thread = threading.Thread(target=self._attend, args=(connection,), name="emulator-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        thread.start()

    def _attend(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _end_accepting(self) -> None:
        if self._accepting is None:
            return
        thread, wakes = self._accepting
        self._accepting = None
        wakes.close()
        thread.join(_STOP_SECONDS)

    def _end_connections(self) -> None:
        with self._lock:
            threads = list(self._connections.values())
            for connection in self._connections:
                connection.interrupt()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _parsed(head: str) -> Request | None:
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
        return None
    fields = (line.partition(":") for line in lines)
    return Request(words[0], words[1], words[2], {name.strip().lower(): value.strip() for name, _, value in fields})
