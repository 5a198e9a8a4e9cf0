"""The transport that plain sockets carry: it reads HTTP/1.1 as the extension and the agent write it, and no more.

All lanes are sent before the first answer is read, and a lane is a pipeline on one connection: a wave costs little
more than its slowest request, and needs no threads. What this file does not understand it leaves to another
transport, which is loaded then.
"""

from __future__ import annotations

import re
import socket
from time import monotonic
from typing import TYPE_CHECKING

from lambdasecrets._transport import Answer, Fault
from lambdasecrets._wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lambdasecrets._transport import Address, Transport

_RECEIVED_BYTES = 65536
_MAX_HEAD_BYTES = 65536
_IDLE_CONNECTIONS = 32
_PIPELINED_BYTES = 16384
"""How much is sent before answers are read. A server that waits for its answers to be read does not read: with more
than the kernel holds for it, both sides would wait for each other."""
_SHORTEST_WAIT_SECONDS = 1e-6
"""Not 0, which would mean "do not wait"."""

_FRAMING_NAMES = rb"(?:connection|content-encoding|content-length|transfer-encoding):"
_OTHER_LINES = rb"(?:(?!%b)[\w!#$%%&'*+.^`|~-]+:[^\r\n]*\r\n)*" % _FRAMING_NAMES
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 ((?!204|304)[2-5][0-9][0-9])(?: [^\r\n]*)?\r\n"
    rb"%bcontent-length:[ \t]*([0-9]{1,7})[ \t]*\r\n%b\r\n" % (_OTHER_LINES, _OTHER_LINES),
    re.IGNORECASE,
)
"""The head that nearly every answer has: nothing but its length says where it ends. One match costs less than a look
at each line."""
# Whole: a line that is no header ends the headers for some readers, and for others not.
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [^\r\n]*)?\r\n(?:[\w!#$%&'*+.^`|~-]+:[^\r\n]*\r\n)*\r\n")
_FRAMING = re.compile(
    rb"\r\n(connection|content-encoding|content-length|transfer-encoding):[ \t]*([^\r\n]*)", re.IGNORECASE
)
_BODILESS = frozenset({204, 304})


class LeanTransport:
    """Sends requests over plain sockets that stay open.

    Args:
        fallback: makes the transport for what this one does not understand.
    """

    def __init__(self, fallback: Callable[[], Transport]) -> None:
        self._make_fallback = fallback
        self._fallback: Transport | None = None
        self._idle: dict[Address, list[_Connection]] = {}

    def exchange(
        self, address: Address, lanes: Sequence[Sequence[str]], headers: Mapping[str, str], seconds: float
    ) -> dict[str, Answer | Fault]:
        """See `Transport.exchange`."""
        ends = monotonic() + seconds
        idle = self._idle.setdefault(address, [])
        begun = [_Lane(address, idle, paths, headers, ends) for paths in lanes]
        waiting = begun
        while waiting:
            # In turns: a lane that has more to send than fits at once must not wait for the end of another.
            for lane in waiting:
                lane.step()
            waiting = [lane for lane in waiting if lane.todo]
        answers: dict[str, Answer | Fault] = {}
        for lane in begun:
            answers |= lane.end()
        foreign = [path for lane in begun for path in lane.foreign]
        if foreign:
            answers |= self._other().exchange(address, [foreign], headers, max(ends - monotonic(), 0.0))
        return answers

    def close(self) -> None:
        """See `Transport.close`."""
        while self._idle:
            _, connections = self._idle.popitem()
            for connection in connections:
                connection.close()
        if self._fallback is not None:
            self._fallback.close()

    def _other(self) -> Transport:
        if self._fallback is None:
            self._fallback = self._make_fallback()
        return self._fallback


class _Lane:
    """Requests that are sent and answered one after the other. The first are sent at once."""

    def __init__(
        self,
        address: Address,
        idle: list[_Connection],
        paths: Sequence[str],
        headers: Mapping[str, str],
        ends: float,
    ) -> None:
        self.foreign: list[str] = []
        self._answers: dict[str, Answer | Fault] = {}
        self._address, self._idle, self._ends = address, idle, ends
        self._head = _head(address, headers)
        self.todo = list(paths)
        self._in_flight = 0
        self._connection: _Connection | None = None
        self._guarded(self._send)

    def step(self) -> None:
        """Read one answer, or send what can be sent now."""
        if self.todo:
            self._guarded(self._receive if self._in_flight else self._send)

    def end(self) -> dict[str, Answer | Fault]:
        """Give the answers, and the connection to whoever comes next."""
        connection = self._connection
        # One that was told more than it asked for would give that as the answer to the next request.
        if connection is not None and not connection.has_begun and len(self._idle) < _IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            self._disconnect()
        return self._answers

    def _send(self) -> None:
        """Send as many requests as may wait for their answers."""
        if self._connection is None:
            self._connection = _taken(self._idle) or _Connection(self._address, self._ends)
        batch = b""
        while self._in_flight < len(self.todo) and len(batch) < _PIPELINED_BYTES:
            batch += b"GET %b HTTP/1.1\r\n%b" % (self.todo[self._in_flight].encode(), self._head)
            self._in_flight += 1
        self._connection.send(batch, self._ends)

    def _receive(self) -> None:
        """Read the answer to the first request that has none."""
        assert self._connection is not None  # noqa: S101 - tells the type checker what being in flight means
        answer, stays_open = self._connection.receive(self._ends)
        self._settle(answer)
        if stays_open:
            self._in_flight -= 1
        else:
            self._disconnect()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do a step; where it fails, settle what that means, and go on with the rest over a new connection."""
        connection = self._connection
        try:
            step()
        except ConnectionRefusedError:
            self._settle_all(Fault.REFUSED)
        except TimeoutError:
            self._settle_all(Fault.TIMED_OUT)
        except _TooLarge:
            self._settle(Fault.TOO_LARGE)
        except _Foreign:
            self.foreign.append(self.todo.pop(0))
        except OSError:
            self._lose(self._connection or connection)
        else:
            return
        self._disconnect()

    def _lose(self, connection: _Connection | None) -> None:
        """Settle a lost connection. One that was idle, or has given an answer, is only replaced."""
        if connection is None or not (connection.is_used or connection.has_begun):
            self._settle_all(Fault.RESET)
        elif connection.has_begun:
            self._settle(Fault.LOST)

    def _settle(self, outcome: Answer | Fault) -> None:
        self._answers[self.todo.pop(0)] = outcome

    def _settle_all(self, fault: Fault) -> None:
        while self.todo:
            self._settle(fault)

    def _disconnect(self) -> None:
        self._in_flight = 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _head(address: Address, headers: Mapping[str, str]) -> bytes:
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"Host: {host}:{address.port}\r\n{lines}\r\n".encode()


def _taken(idle: list[_Connection]) -> _Connection | None:
    try:
        return idle.pop()
    except IndexError:
        return None


class _Foreign(Exception):  # noqa: N818 - a signal within this file
    """The answer is not written in the way that this file reads."""


class _TooLarge(Exception):  # noqa: N818 - a signal within this file
    """The answer is larger than any value can be."""


class _Connection:
    """A socket, and what it has received beyond the answers that were read.

    Attributes:
        is_used: whether it has given an answer.
    """

    def __init__(self, address: Address, ends: float) -> None:
        self.is_used = False
        self._received = b""
        self._socket = socket.create_connection((address.host, address.port), _left(ends))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def has_begun(self) -> bool:
        """Whether a part of an answer has come."""
        return bool(self._received)

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, ends: float) -> None:
        self._socket.settimeout(_left(ends))
        self._socket.sendall(data)

    def receive(self, ends: float) -> tuple[Answer, bool]:
        """Read one answer.

        Returns:
            The answer, and whether the connection stays open.

        Raises:
            OSError: there is none; TimeoutError: or not in time.
            _Foreign: it is written in another way.
            _TooLarge: it is too large.
        """
        head = self._until(b"\r\n\r\n", 0, ends)
        status, size, stays_open = _framing(self._received[:head])
        body, end = self._chunked(head, ends) if size is None else self._sized(head, size, ends)
        self._received = self._received[end:]
        self.is_used = True
        return Answer(status, body), stays_open

    def _sized(self, start: int, size: int, ends: float) -> tuple[bytes, int]:
        end = start + size
        self._fill(end, ends)
        return self._received[start:end], end

    def _chunked(self, start: int, ends: float) -> tuple[bytes, int]:
        """Read a body that comes in chunks: as Go's server sends what outgrows its buffer."""
        chunks: list[bytes] = []
        total = 0
        while True:
            line = self._until(b"\r\n", start, ends)
            size = _chunk_size(self._received[start : line - 2])
            total += size
            if total > MAX_BODY_BYTES:
                raise _TooLarge
            chunk, end = self._sized(line, size, ends)
            start = self._until(b"\r\n", end, ends)
            if start != end + 2:  # trailers, or no end where the chunk should have one
                raise _Foreign
            if size == 0:
                return b"".join(chunks), start
            chunks.append(chunk)

    def _until(self, mark: bytes, start: int, ends: float) -> int:
        """Receive up to a mark; give where it ends."""
        while (found := self._received.find(mark, start)) < 0:
            if len(self._received) - start > _MAX_HEAD_BYTES:
                raise _Foreign
            self._fill(len(self._received) + 1, ends)
        return found + len(mark)

    def _fill(self, size: int, ends: float) -> None:
        while len(self._received) < size:
            # Anew for every call: a timeout that began again with every byte would be no bound.
            self._socket.settimeout(_left(ends))
            received = self._socket.recv(_RECEIVED_BYTES)
            if not received:
                raise ConnectionResetError
            self._received += received


def _left(ends: float) -> float:
    return max(ends - monotonic(), _SHORTEST_WAIT_SECONDS)


def _framing(head: bytes) -> tuple[int, int | None, bool]:
    """Read the status, the size of the body (None: chunked), and whether the connection stays open."""
    plain = _PLAIN_HEAD.fullmatch(head)
    if plain is not None:
        return int(plain[1]), _size(plain[2], 10), True
    status = _HEAD.fullmatch(head)
    found = [(name.lower(), value.strip().lower()) for name, value in _FRAMING.findall(head)]
    framing = dict(found)
    if status is None or len(framing) < len(found) or b"content-encoding" in framing or int(status[1]) in _BODILESS:
        raise _Foreign
    stays_open = framing.pop(b"connection", b"keep-alive") == b"keep-alive"
    if framing == {b"transfer-encoding": b"chunked"}:
        return int(status[1]), None, stays_open
    if framing.keys() != {b"content-length"} or not framing[b"content-length"].isdigit():
        raise _Foreign
    return int(status[1]), _size(framing[b"content-length"], 10), stays_open


def _chunk_size(text: bytes) -> int:
    if not text or text.strip(b"0123456789abcdefABCDEF"):
        raise _Foreign
    return _size(text, 16)


def _size(digits: bytes, base: int) -> int:
    size = int(digits[:_LONGEST_SIZE_DIGITS], base)
    if len(digits) > _LONGEST_SIZE_DIGITS or size > MAX_BODY_BYTES:
        raise _TooLarge
    return size


_LONGEST_SIZE_DIGITS = len(str(MAX_BODY_BYTES))
