"""What the transport that plain sockets carry does beyond the contract of tests/transports/test_exchange.py."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from time import monotonic, sleep
from typing import Any, cast

import pytest

from lambdasecrets._hiding import Token
from lambdasecrets._transports import Address, Answer, NoAnswer, Transport, sockets
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets.dev._emulator.http_server import Connection
from tests.serving import answer, echo, repeating, serving

SECONDS = 10.0
SHORT_SECONDS = 0.2
LATE_SECONDS = 2.0
DELAYED_ACK_SECONDS = 0.04


class Recording:
    """A transport that answers everything with 599, and remembers what it was asked."""

    def __init__(self) -> None:
        self.lanes: list[list[str]] = []
        self.calls: list[str] = []

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        seconds: float,
        *,
        anew: bool = False,
    ) -> dict[str, Answer | NoAnswer]:
        self.lanes += [list(lane) for lane in lanes]
        return {path: Answer(599, b"") for lane in lanes for path in lane}

    def close(self) -> None:
        self.calls.append("close")

    def forget_parent(self) -> None:
        self.calls.append("forget_parent")


def exchange(
    transport: Transport, port: int, *lanes: list[str], seconds: float = SECONDS
) -> dict[str, tuple[int, bytes] | NoAnswer]:
    """Ask a server of the test; give statuses and bodies."""
    got = transport.exchange(Address("127.0.0.1", port), lanes, {}, seconds)
    return {path: (it.status, it.body) if isinstance(it, Answer) else it for path, it in got.items()}


# --- What is left to the fallback -------------------------------------------------------------------------------


FOREIGN = [
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n folded\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ntwo\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("data", FOREIGN)
def test_what_is_left_to_the_fallback(data: bytes) -> None:
    """What is written in another way is asked of the transport that knows more ways."""
    other = Recording()
    with serving(repeating(data)) as server:
        got = exchange(LeanTransport(lambda: other), server.port, ["/"])
    assert (got, other.lanes) == ({"/": (599, b"")}, [["/"]])


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a=b\r\n{}\r\n0\r\nX: y\r\nZ: \r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n" + answer(b"{}"),
    ],
)
def test_what_needs_no_fallback(data: bytes) -> None:
    """What HTTP/1 allows, and simple servers send, is read here: nothing else has to be loaded."""
    other = Recording()
    with serving(repeating(data)) as server:
        got = exchange(LeanTransport(lambda: other), server.port, ["/1", "/2"])
    assert (got, other.lanes) == ({"/1": (200, b"{}"), "/2": (200, b"{}")}, [])


@pytest.mark.parametrize("data", [FOREIGN[0], FOREIGN[1], FOREIGN[2]])
def test_requests_grow_with_the_values(data: bytes) -> None:
    """Forty values whose answers are left to the fallback cost eighty requests at most."""
    asked: list[str] = []

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            asked.append(request.target)
            connection.send(data)

    paths = [f"/{number}" for number in range(40)]
    transport = LeanTransport(RequestsTransport)
    with serving(serve) as server:
        got = exchange(transport, server.port, paths[::3], paths[1::3], paths[2::3])
        transport.close()
    assert got == dict.fromkeys(paths, (200, b"{}"))
    assert len(asked) <= 2 * len(paths)


@pytest.mark.parametrize(
    "data",
    [answer(b"{}", "Connection: close"), answer(b"x" * (1 << 21)), answer(b"{}")[:-1]],
    ids=["last", "huge", "cut"],
)
def test_what_was_in_flight_is_sent_again_once(data: bytes) -> None:
    """Where each answer ends its connection, twenty values cost forty requests at most."""
    heads: list[int] = []

    def serve(connection: Connection) -> None:
        sleep(0.02)  # until all that is sent together is here
        heads.append(connection._socket.recv(1 << 20).count(b"GET "))
        connection.send(data)

    paths = [f"/{number}" for number in range(20)]
    with serving(serve) as server:
        exchange(LeanTransport(Recording), server.port, paths)
    assert heads[0] == len(paths)
    assert sum(heads) <= 2 * len(paths)


def test_numbers_of_the_fallback_are_others() -> None:
    """A connection of the fallback has no number that one of the sockets' has."""

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            connection.send(FOREIGN[0] if request.target == "/other" else answer(b"{}"))

    transport = LeanTransport(RequestsTransport)
    with serving(serve) as server:
        got = transport.exchange(Address("127.0.0.1", server.port), [["/1"], ["/2", "/other"]], {}, SECONDS)
        transport.close()
    assert len({it.connection for it in got.values() if isinstance(it, Answer)}) == 3


def test_loading_the_fallback_takes_no_longer_than_there_is_time() -> None:
    """An exchange ends when its time is over, whatever the fallback's import takes; the next one has it."""
    made = threading.Event()

    def load() -> Recording:
        sleep(3 * SHORT_SECONDS)
        made.set()
        return Recording()

    transport = LeanTransport(load)
    with serving(repeating(FOREIGN[0])) as server:
        began = monotonic()
        first = [exchange(transport, server.port, ["/"], seconds=SHORT_SECONDS)["/"] for _ in range(2)]
        lasted = monotonic() - began
        assert made.wait(SECONDS)
        second = exchange(transport, server.port, ["/"])["/"]
    assert (first, second) == ([NoAnswer.TIMED_OUT, NoAnswer.TIMED_OUT], (599, b""))
    assert lasted < LATE_SECONDS


def test_a_fallback_that_cannot_be_loaded() -> None:
    """What its import raises comes out of the exchange, each time anew."""
    failures = iter([ImportError("no requests"), MemoryError()])

    def load() -> Recording:
        raise next(failures)

    transport = LeanTransport(load)
    with serving(repeating(FOREIGN[0])) as server:
        with pytest.raises(ImportError, match="no requests"):
            exchange(transport, server.port, ["/"])
        with pytest.raises(MemoryError):
            exchange(transport, server.port, ["/"])


def test_the_fallback_is_closed_too() -> None:
    """What is closed, or forgets its parent after a fork, does the same with its fallback, once that is made."""
    other = Recording()
    transport = LeanTransport(lambda: other)
    transport.close()
    transport.forget_parent()
    with serving(repeating(FOREIGN[0])) as server:
        exchange(transport, server.port, ["/"])
    transport.close()
    transport.forget_parent()
    assert other.calls == ["close", "forget_parent"]


# --- Heads ------------------------------------------------------------------------------------------------------


def head_of(size: int) -> bytes:
    """Write a head of so many bytes, which no one match can take."""
    start, end = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\nX: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize(("excess", "expected"), [(0, (200, b"{}")), (1, (599, b""))])
def test_the_bound_of_a_head(excess: int, expected: tuple[int, bytes]) -> None:
    """A head of 64 KiB is read, one byte more is left to the fallback."""
    with serving(repeating(head_of(65536 + excess) + b"{}")) as server:
        assert exchange(LeanTransport(Recording), server.port, ["/"]) == {"/": expected}


@pytest.mark.parametrize("data", [head_of(65537)[:-1], b"x" * 65536], ids=["lines", "one line"])
def test_the_bound_of_a_head_without_an_end(data: bytes) -> None:
    """A head that has not ended at its bound is left to the fallback then, and not waited for."""
    may_close = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)
        may_close.wait(SECONDS)

    with serving(serve) as server:
        got = exchange(LeanTransport(Recording), server.port, ["/"])
        may_close.set()
    assert got == {"/": (599, b"")}


def test_the_bound_of_trailers() -> None:
    """Trailers of more than 64 KiB are left to the fallback."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 11_000 + b"\r\n"
    with serving(repeating(chunks)) as server:
        assert exchange(LeanTransport(Recording), server.port, ["/"]) == {"/": (599, b"")}


@pytest.mark.parametrize("size", [b"100001", b"F" * 10_000, b"0" * 20 + b"1"])
def test_the_bound_of_a_chunk(size: bytes) -> None:
    """A chunk that is larger than any value, or whose size is a huge number, is too large, and is not waited for."""
    with serving(repeating(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n")) as server:
        assert exchange(LeanTransport(Recording), server.port, ["/"]) == {"/": NoAnswer.TOO_LARGE}


# --- Waits ------------------------------------------------------------------------------------------------------


def serve_in_small_parts(connection: Connection) -> None:
    """Answer as the agent and Java's server do: head and body apart, with Nagle's algorithm on."""
    connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    while (request := connection.read_request()) is not None:
        whole = answer(request.target.encode())
        cut = whole.index(b"\r\n\r\n") + 4
        connection.send(whole[:cut])
        connection.send(whole[cut:])


@pytest.mark.skipif(not sockets.CAN_ACKNOWLEDGE, reason="Linux alone has the option")
@pytest.mark.parametrize("names", [1, 3, 10])
def test_a_server_that_sends_in_small_parts_is_not_kept_waiting(names: int) -> None:
    """What the server has sent is acknowledged at once: no batch waits the 40 ms for which Linux would delay that."""
    transport = LeanTransport(Recording)
    paths = [f"/{number}" for number in range(names)]
    lasted: list[float] = []
    with serving(serve_in_small_parts) as server:
        for _ in range(10):
            began = monotonic()
            assert exchange(transport, server.port, paths) == {path: (200, path.encode()) for path in paths}
            lasted.append(monotonic() - began)
        transport.close()
    assert median(lasted) < DELAYED_ACK_SECONDS / 2  # the first may be quick in any case


class Acknowledging(socket.socket):
    """A socket that counts how often it was told to acknowledge at once."""

    acknowledged = 0

    def setsockopt(self, level: int, option: int, value: Any) -> None:  # type: ignore[override]
        if option == socket.TCP_QUICKACK:
            type(self).acknowledged += 1
        super().setsockopt(level, option, value)


@pytest.mark.skipif(not sockets.CAN_ACKNOWLEDGE, reason="Linux alone has the option")
def test_an_answer_that_comes_whole_costs_no_acknowledgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged before the first wait of a batch: one value of a server that writes well pays nothing."""
    monkeypatch.setattr(Acknowledging, "acknowledged", 0)

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        opened = Acknowledging(socket.AF_INET, socket.SOCK_STREAM)
        opened.settimeout(timeout)
        opened.connect(address)
        return opened

    monkeypatch.setattr(socket, "create_connection", connect)
    counts: list[int] = []
    transport = LeanTransport(Recording)
    for serve in (echo, serve_in_small_parts):
        with serving(serve) as server:
            for _ in range(3):
                exchange(transport, server.port, ["/1"])
            counts.append(Acknowledging.acknowledged)
            transport.close()

    assert counts[0] == 0 < counts[1]


@pytest.mark.parametrize(("can", "most"), [(True, 3), (False, 1)])
def test_requests_wait_for_each_other_where_nothing_can_be_acknowledged(
    monkeypatch: pytest.MonkeyPatch, can: bool, most: int
) -> None:
    """Three requests of a lane are on their way together; one, where a system has no way to acknowledge at once."""
    monkeypatch.setattr(sockets, "CAN_ACKNOWLEDGE", can)
    together: list[int] = []

    def serve(connection: Connection) -> None:
        left = 3
        while left:
            sleep(0.05)  # until all that is sent together is here
            together.append(connection._socket.recv(65536).count(b"GET "))
            connection.send(together[-1] * answer(b"{}"))
            left -= together[-1]

    transport = LeanTransport(Recording)
    with serving(serve) as server:
        got = exchange(transport, server.port, ["/1", "/2", "/3"])
        transport.close()
    assert got == dict.fromkeys(("/1", "/2", "/3"), (200, b"{}"))
    assert together[0] == most


def test_where_poll_was_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eventlet takes `poll` away, perhaps after this library was imported: then `select` waits."""
    monkeypatch.delattr(select, "poll")
    transport = LeanTransport(Recording)
    with serving(echo) as server:
        got = [exchange(transport, server.port, ["/1", "/2"]) for _ in range(2)]
        transport.close()
    assert got == [{"/1": (200, b"/1"), "/2": (200, b"/2")}] * 2


# --- Heads that are like the one before -----------------------------------------------------------------------------

HEADS = [
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 2\r\nX: y\r\n\r\n{}",
    b'HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 10\r\nX: y\r\n\r\n{"a": "b"}',
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 0000002\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 00000002\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length:  2 \r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: +2\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: \r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 9999999\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Tue\r\nContent-Length: 2\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 2\r\nX: z\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 2\r\nX: y\r\nContent-Length: 3\r\n\r\n{} ",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 2\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: Mon\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    b"HTTP/1.1 400 Bad Request\r\nDate: Mon\r\nContent-Length: 2\r\nX: y\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"\0002\0",
]


def read_one(connection: sockets._Connection) -> object:
    """Read an answer; give it, or the kind of the exception."""
    try:
        return connection.receive(monotonic() + SECONDS)
    except (OSError, sockets._Foreign, sockets._TooLarge) as error:
        return type(error)


def read_all(*answers: bytes) -> list[object]:
    """Read answers that come on one connection, which ends then."""
    mine, server = socket.socketpair()
    connection = sockets._Connection(mine)
    got: list[object] = []
    with server:
        for number, data in enumerate(answers, start=1):
            server.sendall(data)
            if number == len(answers):
                server.shutdown(socket.SHUT_WR)
            got.append(read_one(connection))
    connection.close()
    return got


@pytest.mark.parametrize("second", HEADS)
@pytest.mark.parametrize("first", HEADS[:2] + HEADS[13:15])
def test_a_head_is_read_alike_whatever_came_before(first: bytes, second: bytes) -> None:
    """What is kept of the last head decides nothing: each is read as on a connection of its own."""
    assert read_all(first, second)[1] == read_all(second)[0]


class Counted:
    """A pattern that counts how often it is matched."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern, self.count = pattern, 0

    def match(self, data: bytes) -> re.Match[bytes] | None:
        self.count += 1
        return self.pattern.match(data)


def test_heads_that_differ_in_their_lengths_are_read_at_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a batch nothing but the first head is taken apart."""
    counted = Counted(sockets._PLAIN_HEAD)
    monkeypatch.setattr(sockets, "_PLAIN_HEAD", counted)

    assert read_all(*HEADS[:3]) == [(200, b"{}", True), (200, b'{"a": "b"}', True), (200, b"{}", True)]
    assert counted.count == 1


# --- Waiting awake --------------------------------------------------------------------------------------------------


class Clock:
    """A clock that goes on by itself each time that it is read, by so many seconds."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1000.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Waiting:
    """A connection to a server of the test, that notes how it waits: 0 for a look, else the milliseconds.

    Args:
        monkeypatch: puts the clock in.
        step: of the clock.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
        self.clock = Clock(step)
        monkeypatch.setattr(sockets, "monotonic", self.clock)
        mine, self.server = socket.socketpair()
        self.connection = sockets._Connection(mine)
        self.waits: list[float] = []
        self.answer_at = 0  # the wait at which the server answers
        self._poll = self.connection.poll
        self.connection.poll = self.poll

    def poll(self, milliseconds: float) -> object:
        self.waits.append(milliseconds)
        if len(self.waits) == self.answer_at:
            self.server.sendall(answer(b"{}"))
        return self._poll(min(milliseconds, 1.0))

    def send(self, names: int) -> None:
        """Send requests, which the server does not look at."""
        self.connection.send([b"x"] * names, lambda: b"", names, self.clock.now + SECONDS)

    def receive(self, answer_at: int, names: int = 3, seconds: float = SECONDS) -> list[float]:
        """Send requests, and receive an answer that comes at a wait; give all waits."""
        self.send(names)
        self.waits, self.answer_at = [], answer_at
        assert self.connection.receive(self.clock.now + seconds) == (200, b"{}", True)
        return self.waits

    def close(self) -> None:
        self.connection.close()
        self.server.close()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Waiting]:
    """Give a connection whose clock takes the steps that a test names."""
    made = Waiting(monkeypatch, getattr(request, "param", 1e-6))
    yield made
    made.close()


def test_a_quick_answer_is_waited_for_awake(waiting: Waiting) -> None:
    """The first wait is asleep; where it was short, the next looks again and again, and sleeps no more."""
    first = waiting.receive(1)
    second = waiting.receive(7)

    assert len(first) == 1
    assert first[0] > 0
    assert second == [0] * 7


def test_one_answer_is_waited_for_asleep(waiting: Waiting) -> None:
    """The server may run on the processor that its only client leaves."""
    waits = [waiting.receive(1), waiting.receive(1), waiting.receive(1, names=1), waiting.receive(1, names=1)]

    assert [len(one) for one in waits] == [1, 1, 1, 1]
    assert waits[1] == [0]
    assert waits[2][0] > 0 < waits[3][0]


def test_a_slow_answer_is_looked_for_once_in_vain(waiting: Waiting) -> None:
    """A server that is slow is waited for asleep, and a quick one behind it awake again."""
    waiting.receive(1)
    looks = int(sockets._AWAKE_SECONDS / waiting.clock.step)
    slow = waiting.receive(looks + 2)
    waiting.clock.step = sockets._AWAKE_SECONDS
    asleep = [waiting.receive(1) for _ in range(3)]
    waiting.clock.step = 1e-6
    again = [waiting.receive(1), waiting.receive(3)]

    assert slow[-1] > 0
    assert looks - 3 <= slow.count(0) <= looks + 3
    assert [len(waits) for waits in asleep] == [1, 1, 1]
    assert all(waits[0] > 0 for waits in asleep)
    assert again[1] == [0] * 3


@pytest.mark.parametrize("waiting", [0.0], indirect=True)
def test_looks_are_counted_where_the_clock_stands_still(waiting: Waiting) -> None:
    """A frozen clock does not keep a connection awake for ever."""
    waiting.receive(1)
    waits = waiting.receive(sockets._MOST_LOOKS + 1)

    assert waits[:-1] == [0] * sockets._MOST_LOOKS
    assert waits[-1] > 0


def test_waiting_awake_ends_with_the_time(waiting: Waiting) -> None:
    """No look is taken when the time is over, however much comes, and none but the last reaches its end."""
    waiting.receive(1)
    waiting.waits, waiting.answer_at = [], 0
    with pytest.raises(TimeoutError):
        waiting.connection.receive(waiting.clock.now + 50e-6)
    assert 40 <= waiting.waits.count(0) <= 50
    assert len(waiting.waits) == waiting.waits.count(0) + 1
    waiting.server.sendall(answer(b"{}"))
    waiting.waits = []
    with pytest.raises(TimeoutError):
        waiting.connection.receive(waiting.clock.now)
    assert waiting.waits == []


def test_no_time_is_left_for_what_has_come() -> None:
    """An exchange without time gives no answer, even where one is there."""
    transport = LeanTransport(Recording)
    with serving(echo) as server:
        exchange(transport, server.port, ["/1"])
        assert exchange(transport, server.port, ["/1"], seconds=0.0) == {"/1": NoAnswer.TIMED_OUT}
        assert exchange(transport, server.port, ["/2"]) == {"/2": (200, b"/2")}
        transport.close()


def test_a_child_uses_no_connection_of_its_parent() -> None:
    """After a fork every connection is a new one."""
    numbers: list[int] = []

    def serve(connection: Connection) -> None:
        while connection.read_request() is not None:
            numbers.append(connection.number)
            connection.send(answer(b"{}"))

    transport = LeanTransport(Recording)
    with serving(serve) as server:
        exchange(transport, server.port, ["/1"])
        transport.forget_parent()
        exchange(transport, server.port, ["/1"])
        transport.close()
    assert numbers == [1, 2]


def test_nothing_to_ask_for() -> None:
    """A lane without paths opens no connection."""
    with serving(echo) as server:
        assert exchange(LeanTransport(Recording), server.port, []) == {}
        assert server.connections == 0


# --- Several batches on a connection ------------------------------------------------------------------------------


LONG_PATHS = [f"/{number}-" + "x" * 9000 for number in range(4)]
"""Two of them are as much as is sent before answers are read."""


@pytest.mark.parametrize(("extra", "certain"), [(answer(b"another's"), [False, False, True, True]), (b"", [True] * 4)])
def test_a_batch_goes_over_another_connection_where_one_has_a_surplus(extra: bytes, certain: list[bool]) -> None:
    """What came unasked between two batches of a lane answers nothing in the second; an end does no harm."""

    def serve(connection: Connection) -> None:
        count = 0
        while (request := connection.read_request()) is not None:
            count += 1
            is_spoilt = count == 2 and connection.number == 1
            connection.send(answer(request.target[:2].encode()) + (extra if is_spoilt else b""))
            if is_spoilt and not extra:
                return

    transport = LeanTransport(Recording)
    with serving(serve) as server:
        got = transport.exchange(Address("127.0.0.1", server.port), [LONG_PATHS], {}, SECONDS)
        transport.close()
    answers = [got[path] for path in LONG_PATHS]
    assert [it.body for it in answers if isinstance(it, Answer)] == [b"/0", b"/1", b"/2", b"/3"]
    assert [it.certain for it in answers if isinstance(it, Answer)] == certain


def test_a_batch_leaves_a_connection_over_the_limit() -> None:
    """A lane whose connection answers 429 sends its next batch over another."""

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            status = "429 Too Many Requests" if connection.number == 1 else "200 OK"
            connection.send(answer(request.target[:2].encode(), status=status))

    transport = LeanTransport(Recording)
    with serving(serve) as server:
        got = exchange(transport, server.port, LONG_PATHS)
        transport.close()
    assert list(got.values()) == [(429, b"/0"), (429, b"/1"), (200, b"/2"), (200, b"/3")]


def test_a_surplus_behind_the_last_answer() -> None:
    """What comes behind an answer that ends its connection makes it doubtful too."""
    with serving(repeating(answer(b"{}", "Connection: close") + answer(b"{}"))) as server:
        got = LeanTransport(Recording).exchange(Address("127.0.0.1", server.port), [["/"]], {}, SECONDS)
    assert got == {"/": Answer(200, b"{}", certain=False)}


def test_a_body_that_ends_with_its_connection_is_bounded() -> None:
    """A body without a length is read up to the limit, and no further."""
    with serving(repeating(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * ((1 << 20) + 1))) as server:
        assert exchange(LeanTransport(Recording), server.port, ["/"]) == {"/": NoAnswer.TOO_LARGE}


def test_no_body_where_nothing_says_how_long_it_is() -> None:
    """A head without a length and without a body behind it is one that was cut, for all that can be known."""
    with serving(repeating(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        assert exchange(LeanTransport(Recording), server.port, ["/"]) == {"/": NoAnswer.LOST}


# --- Whose exception it is ----------------------------------------------------------------------------------------


class Ringing:
    """A socket, and a list of connections, during whose calls a signal handler raises."""

    family = socket.AF_UNIX

    def __init__(self, error: Exception) -> None:
        self._error = error

    def recv(self, *_: object) -> bytes:
        raise self._error

    def pop(self) -> None:
        raise self._error

    def fileno(self) -> int:
        return 0

    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...


def test_a_surplus_that_cannot_be_looked_for() -> None:
    """A connection that breaks while it is looked at has no surplus; an exception of a signal handler's goes on."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = sockets._Connection(ours)
        assert not connection.has_surplus()  # nothing has come, and it does not wait
    ringing = sockets._Connection(cast("socket.socket", Ringing(OSError("mine"))))
    with pytest.raises(OSError, match="mine"):
        ringing.has_surplus()


def test_an_exception_while_a_connection_is_taken() -> None:
    """An IndexError that is not the empty pool's goes on."""
    transport = LeanTransport(Recording)
    transport._idle[Address("127.0.0.1", 1)] = cast("list[sockets._Connection]", Ringing(IndexError("mine")))
    with pytest.raises(IndexError, match="mine"):
        exchange(transport, 1, ["/"])
