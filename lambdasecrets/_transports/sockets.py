"""The transport that plain sockets carry: it reads HTTP/1 as servers on this machine write it, and no more.

All lanes are sent before the first answer is read, and a lane is a pipeline on one connection: a batch costs little
more than its slowest request, and needs no threads. What this file does not understand it leaves to another
transport, which is loaded then.
"""

from __future__ import annotations

import os
import re
import select
import socket
from contextlib import suppress
from functools import lru_cache
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from lambdasecrets._hiding import Token
from lambdasecrets._transports import (
    CONNECTION_LIMIT_STATUS,
    NO_DESCRIPTOR_LEFT,
    REMEMBERED,
    REQUEST_TIMEOUT_STATUS,
    Answer,
    NoAnswer,
    is_raised_by,
    is_sendable,
)
from lambdasecrets._wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lambdasecrets._transports import Address, Transport

    _Sealed = tuple[Callable[[], bytes], int]

IS_SUPPORTED = hasattr(select, "poll")
"""Whether this system can wait for a socket as this file does: all can but Windows."""

CAN_ACKNOWLEDGE = hasattr(socket, "TCP_QUICKACK")
"""Whether this system can be told to acknowledge at once what it has received: Linux can."""

_MILLISECONDS = 1000
_RECEIVED_BYTES = 16384
_MAX_HEAD_BYTES = 65536
_IDLE_CONNECTIONS = 32
_PIPELINED_BYTES = 16384
"""How much is sent before answers are read. A server that waits for its answers to be read does not read: with more
than the kernel holds for it, both sides would wait for each other."""
_SHORTEST_WAIT_SECONDS = 1e-6
"""Not 0, which would mean "do not wait"."""

_AWAKE_SECONDS = 0.000_2
"""How long the answers of a batch are waited for awake, where the last ones came as soon as that: to wake up again
takes as long as a server on this machine needs for several values. One value is waited for asleep: the system then
lets the server run on the processor that its client leaves, where that takes no time."""
_MOST_LOOKS = 500
"""What ends that where the clock stands still, as in a test that freezes it."""

_SOCKET_PACKAGES = frozenset({"lambdasecrets", "socket", "gevent", "eventlet"})
"""Where the errors of a connection are raised: here, in Python's sockets, or in what takes their place."""

_FRAMING_NAMES = rb"(?:connection|content-length|transfer-encoding):"
_OTHER_LINES = rb"(?:(?!%b)[\w!#$%%&'*+.^`|~-]+:[^\r\n]*\r\n)*" % _FRAMING_NAMES
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 ((?!204|304)[2-5][0-9][0-9])(?: [^\r\n]*)?\r\n"
    rb"%bcontent-length:[ \t]*([0-9]{1,7})[ \t]*\r\n%b\r\n" % (_OTHER_LINES, _OTHER_LINES),
    re.IGNORECASE,
)
"""The head that nearly every answer has: nothing but its length says where it ends. One match costs less than a look
at each line."""
# These are compiled when the first unusual answer comes, by `re`, which keeps them.
# Whole: a line that is no header ends the headers for some readers, and for others not.
_HEAD = rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?\r\n(?:[\w!#$%&'*+.^`|~-]+:[^\r\n]*\r\n)*\r\n"
_HEADER_LINE = rb"[\w!#$%&'*+.^`|~-]+:[^\r\n]*\r\n"
_FRAMING = rb"(?i)\r\n(connection|content-length|transfer-encoding):[ \t]*([^\r\n]*)"
_CHUNK_SIZE = rb"([0-9a-fA-F]+)[ \t]*(?:;[^\r\n]*)?\r\n"
_INFORMATIONAL = range(100, 200)
_SWITCHING_PROTOCOLS = 101
_BODILESS = frozenset({204, 304})
_LONGEST_SIZE_DIGITS = len(str(MAX_BODY_BYTES))


class LeanTransport:
    """Sends requests over plain sockets that stay open.

    Args:
        fallback: makes the transport for what this one does not understand.
    """

    def __init__(self, fallback: Callable[[], Transport]) -> None:
        self._fallback = _Fallback(fallback)
        self._idle: dict[Address, list[_Connection]] = {}

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        seconds: float,
        *,
        anew: bool = False,
    ) -> dict[str, Answer | NoAnswer]:
        """See `Transport.exchange`."""
        ends = monotonic() + seconds
        host = _host_line(address)
        if host is None:
            return {path: NoAnswer.UNSENDABLE for paths in lanes for path in paths}
        idle = self._idle.setdefault(address, [])
        batch = _Batch(address, idle, _seal(_head(host, headers)), ends, anew=anew)
        unfinished = [_Lane(batch, paths) for paths in lanes if paths]
        try:
            while len(unfinished) > 1:
                # In turns: all lanes send before the first answer is read, and one that has more to send than fits at
                # once does not wait for the end of another.
                unfinished = [lane for lane in unfinished if lane.step()]
            for lane in unfinished:
                while lane.step():
                    pass
        except BaseException:
            # Nobody can tell what has come on their connections.
            for lane in unfinished:
                lane.drop()
            raise
        if batch.foreign:
            others = self._fallback.exchange(address, batch.foreign, headers, ends, anew=anew)
            batch.answers.update((path, _shift(answer, len(batch.numbers))) for path, answer in others.items())
        return batch.answers

    def close(self) -> None:
        """See `Transport.close`."""
        while self._idle:
            _, connections = self._idle.popitem()
            for connection in connections:
                connection.close()
        self._fallback.close()

    def forget_parent(self) -> None:
        """See `Transport.forget_parent`."""
        self._idle = {}
        self._fallback.forget_parent()


class _Fallback:
    """A transport that is made when it is needed, in a thread, because nothing else bounds how long an import takes.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self._made: Transport | None = None
        self._starting = Lock()
        self._making: Thread | None = None
        self._failure: BaseException | None = None

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        ends: float,
        *,
        anew: bool,
    ) -> dict[str, Answer | NoAnswer]:
        """Exchange as `Transport` does, but until a moment on the monotonic clock."""
        made = self._made or self._wait(ends)
        if made is None:
            return {path: NoAnswer.TIMED_OUT for paths in lanes for path in paths}
        return made.exchange(address, lanes, headers, max(ends - monotonic(), 0.0), anew=anew)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def forget_parent(self) -> None:
        # A thread of the parent may have been in the middle of it.
        self._starting, self._making = Lock(), None
        if self._made is not None:
            self._made.forget_parent()

    def _wait(self, ends: float) -> Transport | None:
        """Give the transport; None where the time is over first. It is made all the same, for the next exchange."""
        with self._starting:
            making = self._making
            if making is None or not making.is_alive():
                making = self._making = Thread(target=self._run, name="lambdasecrets-load", daemon=True)
                making.start()
        making.join(_left(ends))
        if self._failure is not None:
            raise self._failure
        return self._made

    def _run(self) -> None:
        self._failure = None
        try:
            self._made = self._made or self._make()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._failure = error


class _Batch:
    """What the lanes of one exchange share.

    Args:
        address: where to.
        idle: connections that are open and free.
        sealed: what follows the first line of each request, as `_seal` gives it: the token is in it.
        ends: when to be done, on the monotonic clock.
        anew: whether to use none of the idle connections.

    Attributes:
        answers: where the answers go.
        foreign: where the paths go whose answers this file does not understand, by lane.
        numbers: of the connections that were used.
    """

    def __init__(self, address: Address, idle: list[_Connection], sealed: _Sealed, ends: float, *, anew: bool) -> None:
        self.address, self.idle, self.sealed, self.ends, self.anew = address, idle, sealed, ends, anew
        self.answers: dict[str, Answer | NoAnswer] = {}
        self.foreign: list[list[str]] = []
        self.numbers: dict[_Connection, int] = {}


class _Lane:
    """Requests that are sent and answered one after the other.

    Args:
        batch: what it is a part of.
        paths: what to ask for.
    """

    _in_flight = 0
    _is_pipelining = True
    _opening: socket.socket | None = None
    _connection: _Connection | None = None
    _number = 0  # the connection's

    def __init__(self, batch: _Batch, paths: Sequence[str]) -> None:
        self._batch = batch
        self._todo = list(paths)  # those that have their answers are taken out

    def step(self) -> bool:
        """Read the answers that have come, or send what can be sent now. What fails is settled; the rest goes on.

        Returns:
            Whether there is more to do.
        """
        try:
            connection = self._connection
            if connection is not None and self._in_flight:
                self._receive(connection)
            else:
                self._send(connection)
        except OSError as error:
            if not is_raised_by(error, _SOCKET_PACKAGES):
                raise
            self._settle_failed(error)
        except _TooLarge:
            self._settle(NoAnswer.TOO_LARGE)
        except _Foreign:
            # All that is left: if each were tried here first, requests would grow with the square of the paths.
            self._batch.foreign.append(self._todo)
            self._todo = []
        else:
            return bool(self._todo) or self._end()
        self.drop()
        return bool(self._todo)

    def drop(self) -> None:
        """Close the connection. What was asked for on it, and has no answer, is asked for again on another."""
        # One after the other from now on: what is in flight is lost each time that the server closes.
        self._in_flight, self._is_pipelining = 0, False
        for opened in (self._opening, self._connection):
            if opened is not None:
                opened.close()
        self._opening = self._connection = None

    def _send(self, connection: _Connection | None) -> None:
        """Send as many requests as may wait for their answers."""
        if connection is not None and not self._can_go_on(connection):
            self.drop()
            connection = None
        if connection is None:
            connection = self._take_idle() or self._open()
            self._number = self._batch.numbers.setdefault(connection, len(self._batch.numbers))
        head, head_size = self._batch.sealed
        lines: list[bytes] = []
        size = 0
        for path in self._todo:
            line = _request_line(path)
            if line is None:
                break
            lines.append(line)
            size += len(line) + head_size
            if size >= _PIPELINED_BYTES or not (self._is_pipelining and CAN_ACKNOWLEDGE):
                break
        self._in_flight = len(lines)
        if lines:
            connection.send(lines, head, size, self._batch.ends)
        else:
            self._settle(NoAnswer.UNSENDABLE)

    def _can_go_on(self, connection: _Connection) -> bool:
        """Tell whether a connection whose answers have all come can carry more requests."""
        is_quiet = connection.is_quiet()
        if not is_quiet and connection.has_surplus():
            self._mark_doubtful()
        return is_quiet and not connection.is_spent

    def _take_idle(self) -> _Connection | None:
        """Take a connection out of the pool on which nothing has come: what has come there nobody asked for."""
        while not self._batch.anew:
            try:
                # Into the lane in the same step, so that it is closed if an exception passes.
                connection = self._connection = self._batch.idle.pop()
            except IndexError as error:
                if not is_raised_by(error, _SOCKET_PACKAGES):
                    raise
                break
            if not connection.poll(0):
                return connection
            connection.close()
        self._connection = None
        return None

    def _open(self) -> _Connection:
        batch = self._batch
        self._opening = socket.create_connection(batch.address, _left(batch.ends))
        self._opening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = _Connection(self._opening)
        self._opening = None
        return self._connection

    def _receive(self, connection: _Connection) -> None:
        """Read the answers that have come, the first of them at the least."""
        while True:
            status, body, stays_open = connection.receive(self._batch.ends)
            if status == REQUEST_TIMEOUT_STATUS and connection.answers > 1 and not self._list_answers():
                # Said on the idle connection, just before the request was sent.
                self.drop()
                return
            self._batch.answers[self._todo.pop(0)] = Answer(status, body, self._number)
            self._in_flight -= 1
            if status == CONNECTION_LIMIT_STATUS:
                connection.is_spent = True
            if not stays_open:
                if connection.received and not self._in_flight:
                    self._mark_doubtful()
                self.drop()
                return
            if not (self._in_flight and connection.received):
                return

    def _end(self) -> bool:
        """Give the connection to whoever comes next."""
        # First taken out of the lane: there is no moment at which both the lane and the pool have it.
        connection, self._connection = self._connection, None
        if connection is None:
            return False
        # Several answers can have changed places: there something too much is looked for now. Where it comes later, it
        # is seen before the connection is used again.
        if connection.received or (len(self._batch.answers) > 1 and not connection.is_quiet()):
            if connection.has_surplus():
                self._mark_doubtful()
        elif not connection.is_spent and len(self._batch.idle) < _IDLE_CONNECTIONS:
            self._batch.idle.append(connection)
            return False
        connection.close()
        return False

    def _mark_doubtful(self) -> None:
        """Mark the answers of this connection: something has come on it that was not asked for."""
        for path, answer in self._list_answers().items():
            self._batch.answers[path] = answer.replace(certain=False)

    def _list_answers(self) -> dict[str, Answer]:
        """Give what has come on this connection."""
        answers = self._batch.answers.items()
        return {path: it for path, it in answers if isinstance(it, Answer) and it.connection == self._number}

    def _settle_failed(self, error: OSError) -> None:
        """Settle what a broken connection leaves. One that was idle, or has given an answer, is only replaced."""
        connection = self._connection
        if isinstance(error, ConnectionRefusedError):
            self._settle_all(NoAnswer.REFUSED)
        elif isinstance(error, TimeoutError):
            self._settle_all(NoAnswer.TIMED_OUT)
        elif error.errno in NO_DESCRIPTOR_LEFT:
            self._settle_all(NoAnswer.EXHAUSTED)
        elif connection is None or not (connection.answers or connection.is_inside):
            self._settle_all(NoAnswer.RESET)
        elif connection.is_inside:
            self._settle(NoAnswer.LOST)

    def _settle(self, fault: NoAnswer) -> None:
        self._batch.answers[self._todo.pop(0)] = fault

    def _settle_all(self, fault: NoAnswer) -> None:
        while self._todo:
            self._settle(fault)


@lru_cache(maxsize=REMEMBERED)
def _host_line(address: Address) -> str | None:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"Host: {host}:{address.port}\r\n" if is_sendable(host) else None


@lru_cache(maxsize=REMEMBERED)
def _request_line(path: str) -> bytes | None:
    return b"GET %b HTTP/1.1\r\n" % path.encode() if is_sendable(path) else None


def _head(host: str, headers: Mapping[str, str | Token]) -> bytes:
    # One expression, so that no local holds the token. An error of encoding would quote it: there is none.
    return "".join(
        [
            host,
            *[
                f"{name}: {value.reveal() if isinstance(value, Token) else value}\r\n"
                for name, value in headers.items()
            ],
            "\r\n",
        ]
    ).encode(errors="replace")


def _seal(data: bytes) -> _Sealed:
    """Hide bytes from collectors that show locals, as `Token` does. Give what returns them, and their size."""
    return (lambda: data), len(data)


def _shift(answer: Answer | NoAnswer, by: int) -> Answer | NoAnswer:
    """Give an answer's connection a number that none of the first so many has."""
    return answer.replace(connection=answer.connection + by) if isinstance(answer, Answer) else answer


class _Foreign(Exception):  # noqa: N818 - a signal within this file
    """The answer is not written in the way that this file reads."""


class _TooLarge(Exception):  # noqa: N818 - a signal within this file
    """The answer is larger than any value can be."""


class _Ended(ConnectionResetError):  # noqa: N818 - a signal within this file
    """The server closed the connection in good order."""


class _Connection:
    """A connection that stays open.

    Args:
        connected: its socket.

    Attributes:
        poll: waits so many milliseconds; see `_watch`.
        received: what has come beyond the answers that were read.
        answers: how many it has given.
        is_inside: whether an answer has begun and not ended.
        is_spent: whether it is of no more use than for what is in flight.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.received = b""
        self._last_head: tuple[int, bytes, bytes] | None = None  # its status, what is before its length, what follows
        self.answers = 0
        self.is_inside = self.is_spent = False
        self._has_waited = self._awaits_several = self._is_swift = False
        self._can_acknowledge = CAN_ACKNOWLEDGE and connected.family in {socket.AF_INET, socket.AF_INET6}
        # A socket with a timeout asks the system three times for every send and receive: to set the timeout, whether
        # it may go on, and to go on.
        connected.settimeout(0.0)
        self.poll = _watch(connected)

    def __del__(self) -> None:
        """Close what was left by an exception that nobody foresees, a signal handler's: Python would warn of it."""
        with suppress(AttributeError):  # the exception came before the socket
            self.close()

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Tell whether nothing has come, not even the end."""
        return not (self.received or self.poll(0))

    def has_surplus(self) -> bool:
        """Tell whether what has come is more than the end."""
        try:
            return bool(self.received or self._socket.recv(1, socket.MSG_PEEK))
        except OSError as error:
            if is_raised_by(error, _SOCKET_PACKAGES):
                return False
            raise

    def send(self, lines: list[bytes], head: Callable[[], bytes], size: int, ends: float) -> None:
        """Send requests.

        Args:
            lines: the first line of each.
            head: gives what follows each.
            size: how many bytes that is together.
            ends: when to be done.

        Raises:
            OSError: it was not possible; TimeoutError: or not in time.
        """
        self._has_waited, self._awaits_several = False, len(lines) > 1
        # Made where it is sent, so that no local holds the token.
        sent = self._socket.send(head().join([*lines, b""]))
        if sent < size:
            self._socket.settimeout(_left(ends))
            self._socket.sendall(head().join([*lines, b""])[sent:])
            self._socket.settimeout(0.0)

    def receive(self, ends: float) -> tuple[int, bytes, bool]:
        """Read one answer.

        Returns:
            Its status, its body, and whether the connection stays open.

        Raises:
            OSError: there is none; TimeoutError: or not in time.
            _Foreign: it is written in another way.
            _TooLarge: it is too large.
        """
        if not self.received:
            self._receive_more(ends)
        self.is_inside = True
        plain = self._read_plain_head()
        if plain is None:
            answer = self._receive_unusual(ends)
        else:
            status, size, start = plain
            if size > MAX_BODY_BYTES:
                raise _TooLarge
            answer = status, self._take(size, ends, start), True
        self.is_inside = False
        self.answers += 1
        return answer

    def _read_plain_head(self) -> tuple[int, int, int] | None:
        """Read a head in which nothing but a length says where the body ends.

        Returns:
            Its status, that length, and where the head ends; None where it says more, or has not come as a whole.
        """
        received = self.received
        if self._last_head is not None:
            # Within a batch, the heads differ in their lengths only.
            status, before, after = self._last_head
            start = len(before)
            end = received.find(b"\r", start, start + _LONGEST_SIZE_DIGITS + 1)
            if received.startswith(before) and received.startswith(after, end) and received[start:end].isdigit():
                return status, int(received[start:end]), end + len(after)
        plain = _PLAIN_HEAD.match(received)
        if plain is None:
            return None
        status, end = int(plain[1]), plain.end()
        self._last_head = status, received[: plain.start(2)], received[plain.end(2) : end]
        return status, int(plain[2]), end

    def _receive_unusual(self, ends: float) -> tuple[int, bytes, bool]:
        """Read an answer whose head says more than a length, or has not come as a whole."""
        version, status, fields = self._receive_head(ends)
        while status in _INFORMATIONAL and status != _SWITCHING_PROTOCOLS:
            version, status, fields = self._receive_head(ends)
        framing = dict(fields)
        if len(framing) < len(fields):
            raise _Foreign
        keeps = framing.pop(b"connection", b"keep-alive" if version else b"close") == b"keep-alive"
        if status in _BODILESS and not framing:
            return status, b"", keeps
        if not framing:
            return status, self._receive_rest(ends), False
        if version and framing == {b"transfer-encoding": b"chunked"}:
            return status, self._receive_chunks(ends), keeps
        length = framing.get(b"content-length", b"")
        if status in _BODILESS or len(framing) > 1 or not length.isdigit():
            raise _Foreign
        return status, self._take(_size(length, 10), ends), keeps

    def _receive_head(self, ends: float) -> tuple[int, int, list[tuple[bytes, bytes]]]:
        """Read a head: the minor version, the status, and the headers that say where the body ends."""
        while (end := self.received.find(b"\n")) < 0 and len(self.received) < _MAX_HEAD_BYTES:
            self._receive_more(ends)
        if not self.received[: end + 1].endswith(b"\r\n"):
            raise _Foreign  # lines that end otherwise may never have the end that is looked for
        head = self._take_through(b"\r\n\r\n", ends)
        whole = re.fullmatch(_HEAD, head)
        if whole is None or int(whole[2]) == _SWITCHING_PROTOCOLS:
            raise _Foreign
        fields = [(name.lower(), value.strip().lower()) for name, value in re.findall(_FRAMING, head)]
        return int(whole[1]), int(whole[2]), fields

    def _receive_chunks(self, ends: float) -> bytes:
        """Read a body that comes in chunks: as Go's server sends what outgrows its buffer."""
        chunks: list[bytes] = []
        total = 0
        while size := _chunk_size(self._take_through(b"\r\n", ends)):
            total += size
            if total > MAX_BODY_BYTES:
                raise _TooLarge
            chunk = self._take(size + 2, ends)
            if not chunk.endswith(b"\r\n"):
                raise _Foreign
            chunks.append(chunk[:-2])
        self._skip_trailers(ends)
        return b"".join(chunks)

    def _skip_trailers(self, ends: float) -> None:
        size = 0
        while (line := self._take_through(b"\r\n", ends)) != b"\r\n":
            size += len(line)
            if size > _MAX_HEAD_BYTES or not re.fullmatch(_HEADER_LINE, line):
                raise _Foreign

    def _receive_rest(self, ends: float) -> bytes:
        """Read a body that ends with the connection."""
        try:
            while len(self.received) <= MAX_BODY_BYTES:
                self._receive_more(ends)
        except _Ended:
            if not self.received:
                raise  # a head that was cut looks the same to others
            return self._take(len(self.received), ends)
        raise _TooLarge

    def _take(self, size: int, ends: float, start: int = 0) -> bytes:
        """Receive so many bytes and take them out, with what stands before them."""
        end = start + size
        while (missing := end - len(self.received)) > 0:
            self._receive_more(ends, missing)
        taken, self.received = self.received[start:end], self.received[end:]
        return taken

    def _take_through(self, mark: bytes, ends: float) -> bytes:
        """Receive up to a mark and take it out, with what stands before it."""
        while (found := self.received.find(mark)) < 0 and len(self.received) < _MAX_HEAD_BYTES:
            self._receive_more(ends)
        end = found + len(mark)
        if found < 0 or end > _MAX_HEAD_BYTES:
            raise _Foreign
        taken, self.received = self.received[:end], self.received[end:]
        return taken

    def _receive_more(self, ends: float, missing: int = 0) -> None:
        """Wait for more, until the time is over: whether nothing comes or too much."""
        if self._has_waited and self._can_acknowledge:
            # A server that sends in small parts waits, by Nagle's algorithm, for each to be acknowledged, and the
            # system delays that by 40 ms. It forgets the option. Before the first wait it would only cost.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._has_waited = True
        left = ends - monotonic()
        if left <= 0.0:
            raise TimeoutError
        if not (self._wait_for_several(ends) if self._awaits_several else self.poll(left * _MILLISECONDS)):
            raise TimeoutError
        received = self._socket.recv(max(missing, _RECEIVED_BYTES))
        if not received:
            raise _Ended
        self.received += received

    def _wait_for_several(self, ends: float) -> object:
        """Wait for answers of a batch: at first awake, where the last ones came quickly."""
        until = min(monotonic() + _AWAKE_SECONDS, ends)
        came: object = self._is_swift and self._look(until)
        if not came:
            came = self.poll(_left(ends) * _MILLISECONDS)
            self._is_swift = monotonic() < until
        return came

    def _look(self, until: float) -> bool:
        """Look for more, again and again, until a moment. Tell whether it has come."""
        for _ in range(_MOST_LOOKS):
            if self.poll(0):
                return True
            if monotonic() >= until:
                break
            _give_way()  # to the server, or to another thread, if one waits for this processor
        return False


def _give_way() -> None:
    if hasattr(os, "sched_yield"):  # pragma: no branch - only Windows is without it
        os.sched_yield()


def _watch(connected: socket.socket) -> Callable[[float], object]:
    """Give what waits so many milliseconds for a socket, and says whether something has come."""
    if not hasattr(select, "poll"):
        # eventlet has taken it away after this file was imported, and gives a `select` of its own.
        return lambda milliseconds: select.select([connected], [], [], milliseconds / _MILLISECONDS)[0]
    watching = select.poll()
    watching.register(connected, select.POLLIN)
    return watching.poll


def _left(ends: float) -> float:
    return max(ends - monotonic(), _SHORTEST_WAIT_SECONDS)


def _chunk_size(line: bytes) -> int:
    match = re.fullmatch(_CHUNK_SIZE, line)
    if match is None:
        raise _Foreign
    return _size(match[1], 16)


def _size(digits: bytes, base: int) -> int:
    # Python takes long for thousands of digits.
    if len(digits) > _LONGEST_SIZE_DIGITS or int(digits, base) > MAX_BODY_BYTES:
        raise _TooLarge
    return int(digits, base)
