"""A small HTTP/1.1 server that can also misbehave: its connections are bare sockets in the hands of the emulator.

`http.server` is not used: it parses headers with the `email` package, which takes longer than the rest of an answer
and would be measured as the cost of the client; and it has no way to reset, drip or cut an answer.
"""

from __future__ import annotations

import contextlib
import errno
import math
import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus

_MAX_HEAD_BYTES = 512 * 1024  # the agent takes a header of 400 KB
_MAX_TARGET_BYTES = 65534
_MAX_FIELDS = 100
_MAX_BODY_BYTES = 64 * 1024
_RECEIVE_BYTES = 64 * 1024
_BACKLOG = 1024
_SEND_SECONDS = 30.0  # a client that does not read has left
_STOP_SECONDS = 5.0
_FULL_SECONDS = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time at all

# What a request is made of. A line ends with a line feed, and mostly with a carriage return before it.
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_WORD = rb"[\w!#$%&'*+.^`|~-]+"
_TARGET = rb"(?:/|(?i:https?)://|\*|(?<=^CONNECT ))[!#-;=?-~\x80-\xff]*"
_FIRST_LINE = re.compile(rb"(%b) (%b) HTTP/1\.([01])" % (_WORD, _TARGET), re.ASCII)
_FIELD = re.compile(rb"(%b):[ \t]*([\t -~\x80-\xff]*?)[ \t]*" % _WORD, re.ASCII)
_NO_REQUEST = re.compile(rb"(?!%b[ \r\n]|%b\Z)|[^\r\n]*\r[^\n]" % (_WORD, _WORD), re.ASCII)
"""What cannot become a request, however it goes on: a TLS handshake, say, whose client waits for an answer."""
_LINE = re.compile(rb"([^\r\n]*)\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n")
_ABSOLUTE_FORM = re.compile(r"https?://[^/?#]*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


class BadRequestError(Exception):
    """What came is no request, and no more can be read of its connection.

    Args:
        status: what a server answers to it.
    """

    def __init__(self, status: int = 400) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was received.

    Attributes:
        target: the path and the query, still percent-encoded; perhaps with a scheme and a host before them.
        version: `HTTP/1.1` or `HTTP/1.0`.
        headers: by their names in lower case; the first of equal ones.
        body: what came after the head; empty where it is more than 64 KiB.
        is_read: whether the whole body was read.
    """

    method: str
    target: str
    version: str
    headers: Mapping[str, str] = field(repr=False)  # the token is among them
    body: bytes = field(default=b"", repr=False)
    is_read: bool = True

    @property
    def path(self) -> str:
        """The target's path, still percent-encoded."""
        return self._origin_form.partition("?")[0] or "/"

    @property
    def query(self) -> str:
        """The target's query, still percent-encoded."""
        return self._origin_form.partition("?")[2]

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with the answer: the client says so, or there is a body that is not read."""
        connection = self.headers.get("connection", "").lower()
        is_kept = self.version == "HTTP/1.1" or "keep-alive" in connection
        # Of a length and chunks together the chunks count, and what follows is not sure.
        is_sure = self.is_read and not {"content-length", "transfer-encoding"} <= self.headers.keys()
        return "close" in connection or not (is_kept and is_sure)

    @property
    def _origin_form(self) -> str:
        absolute = _ABSOLUTE_FORM.fullmatch(self.target)
        return absolute["rest"] if absolute else self.target


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is bytes.

    Attributes:
        content_type: the Content-Type header, or None for none.
        headers: further headers.
        lowers_names: whether the headers' names are written in lower case.
    """

    status: int
    body: bytes = field(repr=False)
    content_type: str | None = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    lowers_names: bool = False

    def head(self, *, version: str = "HTTP/1.1", length: int | None = None, **more: str) -> bytes:
        """Return the status line and the headers.

        Args:
            version: the version in the status line.
            length: the Content-Length header, or None for none.
            more: further headers, with `_` for `-`.
        """
        fields = {"Date": formatdate(usegmt=True)}
        if self.content_type is not None:
            fields["Content-Type"] = self.content_type
        if length is not None:
            fields["Content-Length"] = str(length)
        fields |= {**self.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
        lines = [f"{name.lower() if self.lowers_names else name}: {value}" for name, value in fields.items()]
        return "\r\n".join([f"{version} {self.status} {_phrase(self.status)}", *lines, "", ""]).encode("latin-1")

    def encode(self, request: Request) -> bytes:
        """Return the whole answer to a request, as a well-behaved server sends it."""
        is_old = request.version == "HTTP/1.0"
        more: dict[str, str] = {}
        if request.is_last != is_old:  # the other one is what each version takes for granted
            more["Connection"] = "close" if request.is_last else "keep-alive"
        head = self.head(version=request.version, length=len(self.body), **more)
        return head if request.method == "HEAD" else head + self.body

    def encode_refusal(self) -> bytes:
        """Return the whole answer to what is no request."""
        return self.head(length=len(self.body), Connection="close") + self.body


class Connection:
    """One client's connection, used by the one thread that serves it.

    Args:
        accepted: the socket.
        number: its number since the server was made, from 1.
        crowd: how many connections were open when it was accepted, itself included.
        delays: leave Nagle's algorithm on: a small write waits in the kernel until the client has acknowledged
            the one before it.
        refuse: makes the answer to what is no request, from its status; None for none.
    """

    def __init__(
        self,
        accepted: socket.socket,
        number: int,
        crowd: int = 1,
        *,
        delays: bool = False,
        refuse: Callable[[int], Answer] | None = None,
    ) -> None:
        accepted.settimeout(None)  # not every system lets it differ from the listening socket
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not delays)
        self._socket = accepted
        self._refuse = refuse
        self._buffer = b""
        self._ends = math.inf
        self._accepted = time.monotonic()
        self.number = number
        self.crowd = crowd
        self.is_open = True

    def read_request(self, max_age: float = math.inf) -> Request | None:
        """Wait for the next request; None when the client left, or sent what is no request and was told so.

        Args:
            max_age: seconds after it was accepted at which the connection ends, whether it is used or not.

        Raises:
            TimeoutError: the connection reached that age.
            OSError: the connection broke.
        """
        self._ends = self._accepted + max_age
        try:
            return self._read_body(_parse_head(self._read_head()))
        except EOFError:
            return None
        except BadRequestError as error:
            if self._refuse is not None:
                self.send(self._refuse(error.status).encode_refusal())
            return None

    def _read_head(self) -> bytes:
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n")
            end = _HEAD_END.search(self._buffer)
            if end is not None:
                head, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
                return head
            if self._buffer and _NO_REQUEST.match(self._buffer):
                raise BadRequestError
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise BadRequestError(431)
            self._receive()

    def _read_body(self, request: Request) -> Request:
        if "transfer-encoding" in request.headers:
            body = self._read_chunks()
        else:
            length = int(request.headers.get("content-length", "0"))
            body = self._read_bytes(length) if length <= _MAX_BODY_BYTES else None
        return replace(request, body=body or b"", is_read=body is not None)

    def _read_chunks(self) -> bytes | None:
        body = b""
        while size := int(self._read_line(_CHUNK_SIZE)[1], 16):
            if len(body) + size > _MAX_BODY_BYTES:
                return None
            body += self._read_bytes(size)
            self._read_line(_LINE_END)
        while self._read_line(_LINE)[1]:
            pass  # a trailer
        return body

    def _read_line(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise BadRequestError(431)
            self._receive()
        line = pattern.match(self._buffer)
        if line is None:
            raise BadRequestError
        self._buffer = self._buffer[line.end() :]
        return line

    def _read_bytes(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._receive()
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return data

    def _receive(self) -> None:
        """Wait for more.

        Raises:
            EOFError: the client left.
            TimeoutError: the connection reached its age.
        """
        self._socket.settimeout(self._seconds_left())
        received = self._socket.recv(_RECEIVE_BYTES)
        if not received:
            raise EOFError
        self._buffer += received

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

    def _seconds_left(self) -> float | None:
        if math.isinf(self._ends):
            return None
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Server:
    """Listen on a port and serve each connection in a thread of its own.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        serve: serves one connection to its end. An OSError from it ends the connection too.
        delays: see `Connection`.
        refuse: see `Connection`.

    Attributes:
        port: the port it has.
    """

    def __init__(
        self,
        host: str,
        port: int,
        serve: Callable[[Connection], None],
        *,
        delays: bool = False,
        refuse: Callable[[int], Answer] | None = None,
    ) -> None:
        self._host = host
        self._serve = serve
        self._delays = delays
        self._refuse = refuse
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._accepted = 0
        self._switch = threading.Lock()
        self._accepting: tuple[threading.Thread, socket.socket] | None = None
        self._is_closed = False
        self._socket = self._bind(port)
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
            self._socket = self._bind(self.port)  # bound but not listening: the kernel refuses
            self._end_connections()

    def close(self) -> None:
        """End everything, within a few seconds."""
        with self._switch:
            self._is_closed = True
            self._end_accepting()
            self._socket.close()
            self._end_connections()

    def _bind(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
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
                try:
                    accepted = self._socket.accept()[0]
                except OSError as error:
                    # The client is gone again; or there is no descriptor for it, and trying again takes a whole core.
                    if error.errno in {errno.EMFILE, errno.ENFILE}:
                        time.sleep(_FULL_SECONDS)
                else:
                    self._try_to_admit(accepted)

    def _try_to_admit(self, accepted: socket.socket) -> None:
        try:
            self._admit(accepted)
        except (OSError, RuntimeError):
            # The client has reset the connection; or the system has no thread for it, and others end meanwhile.
            accepted.close()
            time.sleep(_FULL_SECONDS)

    def _admit(self, accepted: socket.socket) -> None:
        self._accepted += 1
        crowd = len(self._connections) + 1
        connection = Connection(accepted, self._accepted, crowd, delays=self._delays, refuse=self._refuse)
        thread = threading.Thread(target=self._attend, args=(connection,), name="emulator-connection", daemon=True)
        with self._lock:
            self._connections[connection] = thread
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._connections[connection]
            raise

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


def _parse_head(head: bytes) -> Request:
    first, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    words = _FIRST_LINE.fullmatch(first)
    if words is None:
        raise BadRequestError
    if len(words[2]) > _MAX_TARGET_BYTES:
        raise BadRequestError(414)
    if len(lines) > _MAX_FIELDS:
        raise BadRequestError(431)
    headers = _headers(lines)
    version = f"HTTP/1.{words[3].decode()}"
    _check_framing(headers, version)
    return Request(words[1].decode(), _target(words[2]), version, {name: values[0] for name, values in headers.items()})


def _target(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise BadRequestError from None


def _headers(lines: Sequence[bytes]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        parts = _FIELD.fullmatch(line)
        if parts is None:
            raise BadRequestError
        headers.setdefault(parts[1].decode().lower(), []).append(parts[2].decode("latin-1"))
    return headers


def _check_framing(headers: Mapping[str, list[str]], version: str) -> None:
    """Refuse a request whose end is not sure: what follows it would be read as another one."""
    lengths = headers.get("content-length", ["0"])
    encodings = [encoding.lower() for encoding in headers.get("transfer-encoding", [])]
    is_length = len(set(lengths)) == 1 and re.fullmatch("[0-9]{1,18}", lengths[0]) is not None
    if not is_length or (encodings and (encodings, version) != (["chunked"], "HTTP/1.1")):
        raise BadRequestError
