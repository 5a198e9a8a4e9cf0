"""The transport that plain sockets carry: it reads HTTP/1.1 as the extension and the agent write it, and no more.

All lanes are sent before the first answer is read, and a lane is a pipeline on one connection: a wave costs little
more than its slowest request, and needs no threads. What this file does not understand it leaves to another
transport, which is loaded then.
"""

from __future__ import annotations

import re
import select
import socket
from time import monotonic
from typing import TYPE_CHECKING

from lambdasecrets._transports.base import Answer, Fault
from lambdasecrets._wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lambdasecrets._transports.base import Address, Transport

IS_SUPPORTED = hasattr(select, "poll")
"""Whether this system can wait for a socket as this file does: all can but Windows."""

_MILLISECONDS = 1000
_RECEIVED_BYTES = 16384
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
_HEAD = rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [^\r\n]*)?\r\n(?:[\w!#$%&'*+.^`|~-]+:[^\r\n]*\r\n)*\r\n"
_FRAMING = rb"\r\n(connection|content-encoding|content-length|transfer-encoding):[ \t]*([^\r\n]*)"
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
        wave = _Wave(address, self._idle.setdefault(address, []), _head(address, headers), monotonic() + seconds)
        unfinished = [_Lane(wave, list(paths)) for paths in lanes]
        while unfinished:
            # In turns: all lanes send before the first answer is read, and one that has more to send than fits at
            # once does not wait for the end of another.
            unfinished = [lane for lane in unfinished if lane.step()]
        if wave.foreign:
            seconds = max(wave.ends - monotonic(), 0.0)
            wave.answers |= self._other().exchange(address, [wave.foreign], headers, seconds)
        return wave.answers

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


class _Wave:
    """What the lanes of one exchange share.

    Args:
        address: where to.
        idle: connections that are open and free.
        head: what follows the first line of each request.
        ends: when to be done, on the monotonic clock.

    Attributes:
        answers: where the answers go.
        foreign: where the paths go whose answers this file does not understand.
    """

    def __init__(self, address: Address, idle: list[_Connection], head: bytes, ends: float) -> None:
        self.address, self.idle, self.head, self.ends = address, idle, head, ends
        self.answers: dict[str, Answer | Fault] = {}
        self.foreign: list[str] = []


class _Lane:
    """Requests that are sent and answered one after the other.

    Args:
        wave: what it is a part of.
        paths: what to ask for; those that have their answers are taken out.
    """

    def __init__(self, wave: _Wave, paths: list[str]) -> None:
        self._wave, self._todo = wave, paths
        self._in_flight = 0
        self._connection: _Connection | None = None

    def step(self) -> bool:
        """Read one answer, or send what can be sent now. What fails is settled; the rest goes on.

        Returns:
            Whether there is more to do.
        """
        connection = self._connection
        try:
            if connection is None or not self._in_flight:
                connection = self._connection = connection or self._connected()
                self._send(connection)
            else:
                answer, stays_open = connection.receive(self._wave.ends)
                self._wave.answers[self._todo.pop(0)] = answer
                self._in_flight -= 1
                if not stays_open:
                    self._disconnect()
        except ConnectionRefusedError:
            self._settle_all(Fault.REFUSED)
        except TimeoutError:
            self._settle_all(Fault.TIMED_OUT)
        except _TooLarge:
            self._settle(Fault.TOO_LARGE)
        except _Foreign:
            self._wave.foreign.append(self._todo.pop(0))
        except OSError:
            self._lose(connection)
        else:
            return bool(self._todo) or self._end()
        self._disconnect()
        return bool(self._todo)

    def _connected(self) -> _Connection:
        try:
            return self._wave.idle.pop()
        except IndexError:
            connected = socket.create_connection(self._wave.address, _left(self._wave.ends))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Connection(connected)

    def _send(self, connection: _Connection) -> None:
        """Send as many requests as may wait for their answers."""
        batch = b""
        for path in self._todo:
            batch += b"GET %b HTTP/1.1\r\n%b" % (path.encode(), self._wave.head)
            self._in_flight += 1
            if len(batch) >= _PIPELINED_BYTES:
                break
        connection.send(batch, self._wave.ends)

    def _end(self) -> bool:
        """Give the connection to whoever comes next."""
        connection = self._connection
        # One that was told more than it asked for would give that as the answer to the next request.
        if connection is not None and not connection.received and len(self._wave.idle) < _IDLE_CONNECTIONS:
            self._wave.idle.append(connection)
        else:
            self._disconnect()
        return False

    def _lose(self, connection: _Connection | None) -> None:
        """Settle a lost connection. One that was idle, or has given an answer, is only replaced."""
        if connection is None or not (connection.is_used or connection.received):
            self._settle_all(Fault.RESET)
        elif connection.received:
            self._settle(Fault.LOST)

    def _settle(self, outcome: Answer | Fault) -> None:
        self._wave.answers[self._todo.pop(0)] = outcome

    def _settle_all(self, fault: Fault) -> None:
        while self._todo:
            self._settle(fault)

    def _disconnect(self) -> None:
        self._in_flight = 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _head(address: Address, headers: Mapping[str, str]) -> bytes:
    host = f"[{address.host}]" if ":" in address.host else address.host
    head = f"Host: {host}:{address.port}\r\n"
    for name, value in headers.items():
        head += f"{name}: {value}\r\n"
    return f"{head}\r\n".encode()


class _Foreign(Exception):  # noqa: N818 - a signal within this file
    """The answer is not written in the way that this file reads."""


class _TooLarge(Exception):  # noqa: N818 - a signal within this file
    """The answer is larger than any value can be."""


class _Connection:
    """A connection that stays open.

    Args:
        connected: its socket.

    Attributes:
        received: what has come beyond the answers that were read.
        is_used: whether it has given an answer.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.received = b""
        self.is_used = False
        self._socket = connected
        # A socket with a timeout asks the system three times for every send and receive: to set the timeout, whether
        # it may go on, and to go on.
        self._socket.settimeout(0.0)
        self._incoming = select.poll()
        self._incoming.register(self._socket, select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, ends: float) -> None:
        sent = self._socket.send(data)
        if sent < len(data):
            self._socket.settimeout(_left(ends))
            self._socket.sendall(data[sent:])
            self._socket.settimeout(0.0)

    def receive(self, ends: float) -> tuple[Answer, bool]:
        """Read one answer.

        Returns:
            The answer, and whether the connection stays open.

        Raises:
            OSError: there is none; TimeoutError: or not in time.
            _Foreign: it is written in another way.
            _TooLarge: it is too large.
        """
        if not self.received:
            self._receive_more(ends)
        plain = _PLAIN_HEAD.match(self.received)
        if plain is None:
            answer, stays_open, end = self._unusual(ends)
        else:
            status, size, start = int(plain[1]), int(plain[2]), plain.end()
            del plain  # it holds what it was matched with, while more is received
            body, end = self._sized(start, size, ends)
            answer, stays_open = Answer(status, body), True
        self.received = self.received[end:]
        self.is_used = True
        return answer, stays_open

    def _unusual(self, ends: float) -> tuple[Answer, bool, int]:
        """Read an answer whose head says more than a length, or has not come as a whole; and say where it ends."""
        head = self._until(b"\r\n\r\n", 0, ends)
        status, size, stays_open = _framing(self.received[:head])
        body, end = self._chunked(head, ends) if size is None else self._sized(head, size, ends)
        return Answer(status, body), stays_open, end

    def _sized(self, start: int, size: int, ends: float) -> tuple[bytes, int]:
        if size > MAX_BODY_BYTES:
            raise _TooLarge
        end = start + size
        while (missing := end - len(self.received)) > 0:
            self._receive_more(ends, missing)
        return self.received[start:end], end

    def _chunked(self, start: int, ends: float) -> tuple[bytes, int]:
        """Read a body that comes in chunks: as Go's server sends what outgrows its buffer."""
        chunks: list[bytes] = []
        total = 0
        while True:
            line = self._until(b"\r\n", start, ends)
            size = _chunk_size(self.received[start : line - 2])
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
        while (found := self.received.find(mark, start)) < 0:
            if len(self.received) - start > _MAX_HEAD_BYTES:
                raise _Foreign
            self._receive_more(ends)
        return found + len(mark)

    def _receive_more(self, ends: float, missing: int = 0) -> None:
        if not self._incoming.poll(max(ends - monotonic(), 0.0) * _MILLISECONDS):
            raise TimeoutError
        received = self._socket.recv(max(missing, _RECEIVED_BYTES))
        if not received:
            raise ConnectionResetError
        self.received += received


def _left(ends: float) -> float:
    return max(ends - monotonic(), _SHORTEST_WAIT_SECONDS)


def _framing(head: bytes) -> tuple[int, int | None, bool]:
    """Read the status, the size of the body (None: chunked), and whether the connection stays open."""
    status = re.fullmatch(_HEAD, head)
    found = [(name.lower(), value.strip().lower()) for name, value in re.findall(_FRAMING, head, re.IGNORECASE)]
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
    # Python takes long for thousands of digits.
    if len(digits) > _LONGEST_SIZE_DIGITS:
        raise _TooLarge
    return int(digits, base)


_LONGEST_SIZE_DIGITS = len(str(MAX_BODY_BYTES))
