"""What every transport does: one contract, and each transport is held to it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from lambdasecrets._transports.base import Address, Answer, Fault, Transport
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets._wire import MAX_BODY_BYTES, TOKEN_HEADER, secret_path
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Connection, Request
from lambdasecrets.dev._stores.contract import StoredSecret
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.dev.asking import ask, until
from tests.serving import answer, repeating, serving

SECONDS = 10.0  # long enough for a busy machine: no test waits for it
SHORT_SECONDS = 0.2
LATE_SECONDS = 4.0  # a bound that a busy machine keeps, and that a drip of bytes would miss by far
PATH = secret_path("s")
LONG = "t" * (32 * 1024 * 1024)  # more than the kernel takes at once


@pytest.fixture(
    params=[
        pytest.param(RequestsTransport, id="requests"),
        pytest.param(lambda: LeanTransport(RequestsTransport), id="lean"),
    ]
)
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """Give each transport in turn."""
    made: Transport = request.param()
    yield made
    made.close()


@pytest.fixture
def expected(emulator: Emulator, store: MemoryStore) -> Answer:
    """Give the answer to PATH."""
    store.put_secret("s", "a value", version_id="1")
    heard = ask(emulator, PATH)
    emulator.clear_requests()
    return Answer(heard.status, heard.body)


def get(transport: Transport, emulator: Emulator, path: str = PATH, seconds: float = SECONDS) -> Answer | Fault:
    """Ask for one path."""
    return transport.exchange(address(emulator.port), [[path]], {TOKEN_HEADER: emulator.token}, seconds)[path]


def get_from(transport: Transport, port: int, *, seconds: float = SECONDS, **headers: str) -> Answer | Fault:
    """Ask a server of the test."""
    return transport.exchange(address(port), [["/"]], headers, seconds)["/"]


def address(port: int) -> Address:
    """Give the address of a server of the test."""
    return Address("127.0.0.1", port)


def test_gives_the_answer(transport: Transport, emulator: Emulator, expected: Answer) -> None:
    """The status and the body come as the server sent them."""
    assert get(transport, emulator) == expected


@pytest.mark.parametrize("status", [201, 400, 401, 404, 429, 500, 504])
def test_an_error_is_an_answer(transport: Transport, emulator: Emulator, status: int) -> None:
    """A status that speaks of an error is handed on like any other."""
    emulator.inject(faults.Reply(status, b"what happened"))
    assert get(transport, emulator) == Answer(status, b"what happened")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_reads_no_body_where_there_is_none(transport: Transport, status: str) -> None:
    """A status that has no body is an answer with an empty one."""
    with serving(repeating(f"HTTP/1.1 {status}\r\n\r\n".encode())) as server:
        assert get_from(transport, server.port) == Answer(int(status[:3]), b"")


def test_sends_the_path_as_it_is(transport: Transport, emulator: Emulator) -> None:
    """Every character of a name arrives encoded as it was given."""
    path = secret_path("a/b+c#d&e%f?g h:Zoë😀/../.")
    get(transport, emulator, path)
    assert [path] == [record.target for record in emulator.requests]


def test_sends_no_headers_of_its_own_making(transport: Transport) -> None:
    """A request carries what it is given: no cookie that a server set, no authorization."""
    heard: list[Request | None] = []

    def serve(connection: Connection) -> None:
        for _ in range(2):
            heard.append(connection.read_request())
            connection.send(answer(b"{}", "Set-Cookie: session=1; Path=/"))

    with serving(serve) as server:
        get_from(transport, server.port, token="t")
        get_from(transport, server.port, token="t")
        sent = [dict(request.headers) for request in heard if request is not None]
        harmless = {"accept-encoding": "identity", "user-agent": sent[0].get("user-agent")}
        wanted = {"host": f"127.0.0.1:{server.port}", "token": "t"}
        assert [wanted] * 2 == [{k: v for k, v in each.items() if harmless.get(k) != v} for each in sent]


def test_nothing_listens(transport: Transport, emulator: Emulator) -> None:
    """A closed port is a refusal."""
    emulator.inject(faults.Refuse(), times=None)
    assert get(transport, emulator) is Fault.REFUSED


def test_reset_before_the_answer(transport: Transport, emulator: Emulator) -> None:
    """A connection that breaks before an answer began is a reset, and its request is sent once."""
    emulator.inject(faults.ResetBeforeAnswer())
    assert (get(transport, emulator), len(emulator.requests)) == (Fault.RESET, 1)


def test_closed_before_the_answer(transport: Transport) -> None:
    """A connection that ends in good order before an answer began is a reset too."""
    with serving(repeating(b"")) as server:
        assert get_from(transport, server.port) is Fault.RESET


@pytest.mark.parametrize("fault", [faults.ResetInsideAnswer(), faults.Truncated()])
def test_lost_inside_the_answer(
    transport: Transport, emulator: Emulator, expected: Answer, fault: faults.Fault
) -> None:
    """A connection that ends in the middle of an answer has lost it."""
    emulator.inject(fault)
    assert [Fault.LOST, expected] == [get(transport, emulator), get(transport, emulator)]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\na: b\r\n"]
)
def test_lost_inside_the_head(transport: Transport, head: bytes) -> None:
    """A head without its end is a lost answer too, and not one that is empty."""
    with serving(repeating(head)) as server:
        assert get_from(transport, server.port) is Fault.LOST


@pytest.mark.parametrize("chunks", [b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n3"])
def test_lost_inside_a_chunked_answer(transport: Transport, chunks: bytes) -> None:
    """Chunks without their end are a lost answer, never a short one."""
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with serving(repeating(cut)) as server:
        assert get_from(transport, server.port) is Fault.LOST


def test_no_answer_in_time(transport: Transport, emulator: Emulator) -> None:
    """A server that does not answer costs the time that there is, and no more."""
    emulator.inject(faults.Hang())
    began = monotonic()
    assert get(transport, emulator, seconds=SHORT_SECONDS) is Fault.TIMED_OUT
    assert SHORT_SECONDS / 2 < monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize("part", ["head", "body"])
def test_no_end_of_a_drip_in_time(transport: Transport, emulator: Emulator, expected: Answer, part: Any) -> None:
    """A server that sends byte after byte costs the same: the time is a total, not one that starts with every byte."""
    emulator.inject(faults.SlowDrip(part, interval=0.1))
    began = monotonic()
    assert get(transport, emulator, seconds=SHORT_SECONDS) is Fault.TIMED_OUT
    assert monotonic() - began < LATE_SECONDS < 0.1 * len(expected.body)


def test_no_end_of_chunks_in_time(transport: Transport) -> None:
    """The same holds for chunks that never end."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.wait(0.05)
            connection.send(b"1\r\nx\r\n")

    with serving(serve) as server:
        began = monotonic()
        assert get_from(transport, server.port, seconds=SHORT_SECONDS) is Fault.TIMED_OUT
        assert monotonic() - began < LATE_SECONDS


def test_a_connection_outlives_a_time_that_is_over(transport: Transport, emulator: Emulator, expected: Answer) -> None:
    """What was left of one exchange's time is no limit for the next one on its connection."""
    assert isinstance(get(transport, emulator, seconds=SHORT_SECONDS), Answer)
    emulator.inject(faults.Latency(2 * SHORT_SECONDS))
    assert get(transport, emulator) == expected


@pytest.mark.parametrize(
    "fault",
    [faults.Latency(0.0), faults.Chunked(), faults.Reply(400, b"no"), faults.Reply(503, b"no"), faults.Redirect()],
)
def test_keeps_its_connection(transport: Transport, emulator: Emulator, expected: Answer, fault: faults.Fault) -> None:
    """One connection carries one exchange after the other, whatever its answers are."""
    emulator.inject(fault, times=2)
    for _ in range(4):
        last = get(transport, emulator)
    assert (expected, [1, 1, 1, 1]) == (last, [record.connection - 1 for record in emulator.requests])


def test_a_dropped_connection_is_invisible(transport: Transport) -> None:
    """A connection that the server ended between two exchanges is replaced without a word."""
    numbers: list[int] = []

    def serve(connection: Connection) -> None:
        numbers.append(connection.number)
        repeating(answer(b"{}"))(connection)

    with serving(serve) as server:
        first = get_from(transport, server.port)
        until(lambda: server.connections == 0)
        assert [first, get_from(transport, server.port)] == [Answer(200, b"{}")] * 2
    assert numbers == [1, 2]


def test_closing_ends_the_connections(transport: Transport, emulator: Emulator, expected: Answer) -> None:
    """What is closed has no connection, and opens one when it is used again."""
    get(transport, emulator)
    transport.close()
    until(lambda: emulator._started().connections == 0)
    assert get(transport, emulator) == expected


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_no_redirect(transport: Transport, emulator: Emulator, status: int) -> None:
    """A redirect is an answer: nobody goes where it leads."""
    came: list[Connection] = []
    with serving(came.append) as elsewhere:
        emulator.inject(faults.Redirect(f"http://127.0.0.1:{elsewhere.port}/", status))
        assert [Answer(status, b""), []] == [get(transport, emulator), came]


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "500 Internal Server Error"])
def test_reads_no_body_that_is_too_large(transport: Transport, status: str) -> None:
    """Of a body that is larger than any value, a redirect's included, no more is read than the limit."""
    sent: list[int] = []

    def serve(connection: Connection) -> None:
        connection.read_request()
        head = f"HTTP/1.1 {status}\r\nLocation: /\r\nContent-Length: {1 << 40}\r\n\r\n"
        connection.send(head.encode())
        while True:
            connection.send(b"x" * MAX_BODY_BYTES)
            sent.append(MAX_BODY_BYTES)

    with serving(serve) as server:
        assert get_from(transport, server.port) is Fault.TOO_LARGE
        until(lambda: server.connections == 0)
    assert sum(sent) < 32 * MAX_BODY_BYTES  # most of it is what the kernel holds


def test_an_endless_body_is_too_large(transport: Transport, emulator: Emulator) -> None:
    """A body whose length is not told is cut at the same limit."""
    emulator.inject(faults.HugeBody(declared=False), times=None)
    assert get(transport, emulator) is Fault.TOO_LARGE


def test_endless_chunks_are_too_large(transport: Transport) -> None:
    """Chunks are counted together."""
    chunk = b"%x\r\n%b\r\n" % (MAX_BODY_BYTES // 2, b"x" * (MAX_BODY_BYTES // 2))
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk
    with serving(repeating(body)) as server:
        assert get_from(transport, server.port) is Fault.TOO_LARGE


@pytest.mark.parametrize(
    ("excess", "expected"), [(0, Answer(200, b"x" * MAX_BODY_BYTES)), (1, Fault.TOO_LARGE)], ids=["at", "over"]
)
def test_the_limit_itself(transport: Transport, excess: int, expected: Answer | Fault) -> None:
    """A body of exactly the limit is read, one byte more is too large."""
    with serving(repeating(answer(b"x" * (MAX_BODY_BYTES + excess)))) as server:
        assert get_from(transport, server.port) == expected


@pytest.mark.parametrize("fault", [faults.Chunked(), faults.Chunked(size=1), faults.NoLength()])
def test_reads_every_framing(transport: Transport, emulator: Emulator, expected: Answer, fault: faults.Fault) -> None:
    """Chunks, and HTTP/1.0 whose body ends with the connection, give the same answer."""
    emulator.inject(fault, times=None)
    assert get(transport, emulator) == expected


def test_reads_trailers(transport: Transport) -> None:
    """Headers behind the last chunk, which no value needs, do no harm."""
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n"
    with serving(repeating(body)) as server:
        assert get_from(transport, server.port) == Answer(200, b"{}")


def test_heeds_that_a_connection_ends(transport: Transport) -> None:
    """After an answer that ends its connection the next request goes over another one."""
    with serving(repeating(answer(b"{}", "Connection: close"))) as server:
        got = transport.exchange(address(server.port), [["/1", "/2"]], {}, SECONDS)
        assert contents(got) == {"/1": (200, b"{}"), "/2": (200, b"{}")}


def test_serves_a_lane_of_any_length(transport: Transport, emulator: Emulator, expected: Answer) -> None:
    """A hundred long requests on one lane are a hundred answers, on one connection."""
    paths = [f"{PATH}&n={number:01000}" for number in range(100)]
    got = transport.exchange(address(emulator.port), [paths], {TOKEN_HEADER: emulator.token}, SECONDS)
    assert got == dict.fromkeys(paths, expected)
    assert len({record.connection for record in emulator.requests}) == 1


def test_sends_more_than_fits_at_once(transport: Transport) -> None:
    """A request that the kernel takes in parts arrives whole."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as other:
        listening.settimeout(SECONDS)
        arrived = other.submit(_answer_one, listening)
        assert get_from(transport, listening.getsockname()[1], Token=LONG) == Answer(200, b"{}")
        assert arrived.result() > len(LONG)


def _answer_one(listening: socket.socket) -> int:
    """Answer one request; give how long it was."""
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(SECONDS)
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += connection.recv(1024 * 1024)
        connection.sendall(answer(b"{}"))
    return len(data)


def test_what_is_not_taken_in_time(transport: Transport) -> None:
    """A server that takes only a part of a request has the time of any answer, and no more."""
    began = monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        got = get_from(transport, listening.getsockname()[1], seconds=SHORT_SECONDS, Token=LONG)
    assert got is Fault.TIMED_OUT
    assert monotonic() - began < LATE_SECONDS


def test_shows_no_body(emulator: Emulator, expected: Answer) -> None:
    """An answer shows its status only."""
    assert repr(expected) == "Answer(status=200)"


def test_decodes_nothing(transport: Transport) -> None:
    """A compressed body, which nobody asked for, is handed on as it is: a small one cannot become a huge one."""
    packed = answer(gzip.compress(b"x" * 1000, mtime=0), "Content-Encoding: gzip")
    with serving(repeating(packed)) as server:
        assert get_from(transport, server.port) == Answer(200, gzip.compress(b"x" * 1000, mtime=0))


@pytest.mark.parametrize(
    "answered",
    [
        b"220 smtp.example.com ESMTP\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"Transfer-Encoding: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000,
    ],
    ids=["smtp", "tls", "status", "headers", "header", "endless header"],
)
def test_what_is_no_http(transport: Transport, answered: bytes) -> None:
    """Bytes that are no answer, or a head beyond measure, are garbled."""
    with serving(repeating(answered)) as server:
        assert get_from(transport, server.port) is Fault.GARBLED


class Meeting(MemoryStore):
    """A store whose calls wait until enough of them are under way, and that knows how many were at most."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(size)
        self._counting = threading.Lock()
        self._now_inside = 0
        self.most = 0

    def secret(self, secret_id: str, **wanted: Any) -> StoredSecret:
        with self._counting:
            self._now_inside += 1
            self.most = max(self.most, self._now_inside)
        self._barrier.wait(SECONDS)
        with self._counting:
            self._now_inside -= 1
        return super().secret(secret_id, **wanted)


def meeting(size: int) -> Meeting:
    """Make a store of four secrets, of which so many have to be asked for at the same time."""
    store = Meeting(size)
    for name in "abcd":
        store.put_secret(name, name)
    return store


def test_serves_lanes_at_the_same_time(transport: Transport) -> None:
    """Lanes do not wait for each other: here none is answered before all are under way."""
    lanes = [[secret_path(name)] for name in "abc"]
    with Emulator(meeting(3)) as emulator:
        answers = transport.exchange(address(emulator.port), lanes, {TOKEN_HEADER: emulator.token}, SECONDS)
        assert {secret_path(name): 200 for name in "abc"} == statuses(answers)


def test_serves_a_lane_in_its_order(transport: Transport) -> None:
    """The paths of one lane go one after the other, on one connection."""
    paths = [secret_path(name) for name in "abcd"]
    with Emulator(store := meeting(1)) as emulator:
        answers = transport.exchange(address(emulator.port), [paths], {TOKEN_HEADER: emulator.token}, SECONDS)
        assert dict.fromkeys(paths, 200) == statuses(answers)
        assert ([(path, 1) for path in paths], 1) == (
            [(record.target, record.connection) for record in emulator.requests],
            store.most,
        )


def contents(answers: dict[str, Answer | Fault]) -> dict[str, Any]:
    """Give the status and the body of each answer."""
    return {path: answer[:2] if isinstance(answer, Answer) else answer for path, answer in answers.items()}


def statuses(answers: dict[str, Answer | Fault]) -> dict[str, Any]:
    """Give the status of each answer."""
    return {path: answer.status if isinstance(answer, Answer) else answer for path, answer in answers.items()}


def test_the_time_is_for_all_lanes_together(transport: Transport, emulator: Emulator) -> None:
    """However many paths hang, the whole takes the time that it was given."""
    emulator.inject(faults.Hang(), times=None)
    lanes = [["/1", "/2"], ["/3", "/4"]]
    began = monotonic()
    answers = transport.exchange(address(emulator.port), lanes, {}, SHORT_SECONDS)
    assert answers == dict.fromkeys(("/1", "/2", "/3", "/4"), Fault.TIMED_OUT)
    assert monotonic() - began < LATE_SECONDS


def test_serves_many_threads(transport: Transport, emulator: Emulator, store: MemoryStore) -> None:
    """Threads get their own answers, over no more connections than there are threads."""
    names = [f"secret-{number}" for number in range(8)]
    for name in names:
        store.put_secret(name, f"value of {name}")
    got: list[bool] = []

    def ask_often(name: str) -> None:
        for _ in range(20):
            heard = get(transport, emulator, secret_path(name))
            got.append(isinstance(heard, Answer) and f'"SecretString":"value of {name}"'.encode() in heard.body)

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(ask_often, names))
    assert got == [True] * 160
    assert max(record.connection for record in emulator.requests) <= len(names)
