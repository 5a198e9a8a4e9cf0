"""What every transport does: one contract, and each transport is held to it."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from lambdasecrets._hiding import Token
from lambdasecrets._transports import Address, Answer, NoAnswer, Transport
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets._wire import MAX_BODY_BYTES, TOKEN_HEADER, secret_path
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Connection, Request
from lambdasecrets.dev._stores.contract import StoredSecret
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.dev.asking import ask, until
from tests.serving import answer, echo, repeating, serving
from tests.transports.interrupts import Strike, shown_texts

SECONDS = 10.0  # long enough for a busy machine: no test waits for it
SHORT_SECONDS = 0.2
LATE_SECONDS = 4.0  # a bound that a busy machine keeps, and that a drip of bytes would miss by far
PATH = secret_path("s")
LONG = "t" * (32 * 1024 * 1024)  # more than the kernel takes at once


OWN = [
    pytest.param(RequestsTransport, id="requests"),
    pytest.param(lambda: LeanTransport(RequestsTransport), id="lean"),
]


@pytest.fixture(params=[*OWN, pytest.param(lambda: RequestsTransport(requests.Session()), id="given")])
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """Give each transport in turn, one with a Session of the user's among them."""
    made: Transport = request.param()
    yield made
    made.close()


@pytest.fixture(params=OWN)
def own(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """Give each transport in turn whose connections are the library's own, for what can be known of no others."""
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


def get(transport: Transport, emulator: Emulator, path: str = PATH, seconds: float = SECONDS) -> Answer | NoAnswer:
    """Ask for one path."""
    return transport.exchange(address(emulator.port), [[path]], {TOKEN_HEADER: emulator.token}, seconds)[path]


def get_from(transport: Transport, port: int, *, seconds: float = SECONDS, **headers: str) -> Answer | NoAnswer:
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
    assert get(transport, emulator) is NoAnswer.REFUSED


def test_reset_before_the_answer(transport: Transport, emulator: Emulator) -> None:
    """A connection that breaks before an answer began is a reset, and its request is sent once."""
    emulator.inject(faults.ResetBeforeAnswer())
    assert (get(transport, emulator), len(emulator.requests)) == (NoAnswer.RESET, 1)


def test_closed_before_the_answer(transport: Transport) -> None:
    """A connection that ends in good order before an answer began is a reset too."""
    with serving(repeating(b"")) as server:
        assert get_from(transport, server.port) is NoAnswer.RESET


@pytest.mark.parametrize("fault", [faults.ResetInsideAnswer(), faults.Truncated()])
def test_lost_inside_the_answer(
    transport: Transport, emulator: Emulator, expected: Answer, fault: faults.Fault
) -> None:
    """A connection that ends in the middle of an answer has lost it."""
    emulator.inject(fault)
    assert [NoAnswer.LOST, expected] == [get(transport, emulator), get(transport, emulator)]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\na: b\r\n"]
)
def test_lost_inside_the_head(transport: Transport, head: bytes) -> None:
    """A head without its end is a lost answer too, and not one that is empty."""
    with serving(repeating(head)) as server:
        assert get_from(transport, server.port) is NoAnswer.LOST


@pytest.mark.parametrize("chunks", [b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n3"])
def test_lost_inside_a_chunked_answer(transport: Transport, chunks: bytes) -> None:
    """Chunks without their end are a lost answer, never a short one."""
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with serving(repeating(cut)) as server:
        assert get_from(transport, server.port) is NoAnswer.LOST


def test_no_answer_in_time(transport: Transport, emulator: Emulator) -> None:
    """A server that does not answer costs the time that there is, and no more."""
    emulator.inject(faults.Hang())
    began = monotonic()
    assert get(transport, emulator, seconds=SHORT_SECONDS) is NoAnswer.TIMED_OUT
    assert SHORT_SECONDS / 2 < monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize("part", ["head", "body"])
def test_no_end_of_a_drip_in_time(transport: Transport, emulator: Emulator, expected: Answer, part: Any) -> None:
    """A server that sends byte after byte costs the same: the time is a total, not one that starts with every byte."""
    emulator.inject(faults.SlowDrip(part, interval=0.1))
    began = monotonic()
    assert get(transport, emulator, seconds=SHORT_SECONDS) is NoAnswer.TIMED_OUT
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
        assert get_from(transport, server.port, seconds=SHORT_SECONDS) is NoAnswer.TIMED_OUT
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
    until(lambda: emulator._require_server().connections == 0)
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
        assert get_from(transport, server.port) is NoAnswer.TOO_LARGE
        until(lambda: server.connections == 0)
    assert sum(sent) < 32 * MAX_BODY_BYTES  # most of it is what the kernel holds


def test_an_endless_body_is_too_large(transport: Transport, emulator: Emulator) -> None:
    """A body whose length is not told is cut at the same limit."""
    emulator.inject(faults.HugeBody(declared=False), times=None)
    assert get(transport, emulator) is NoAnswer.TOO_LARGE


def test_endless_chunks_are_too_large(transport: Transport) -> None:
    """Chunks are counted together."""
    chunk = b"%x\r\n%b\r\n" % (MAX_BODY_BYTES // 2, b"x" * (MAX_BODY_BYTES // 2))
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk
    with serving(repeating(body)) as server:
        assert get_from(transport, server.port) is NoAnswer.TOO_LARGE


@pytest.mark.parametrize(
    ("excess", "expected"), [(0, Answer(200, b"x" * MAX_BODY_BYTES)), (1, NoAnswer.TOO_LARGE)], ids=["at", "over"]
)
def test_the_limit_itself(transport: Transport, excess: int, expected: Answer | NoAnswer) -> None:
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
    assert got is NoAnswer.TIMED_OUT
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
        assert get_from(transport, server.port) is NoAnswer.GARBLED


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


def contents(answers: dict[str, Answer | NoAnswer]) -> dict[str, Any]:
    """Give the status and the body of each answer."""
    return {
        path: (answer.status, answer.body) if isinstance(answer, Answer) else answer for path, answer in answers.items()
    }


def statuses(answers: dict[str, Answer | NoAnswer]) -> dict[str, Any]:
    """Give the status of each answer."""
    return {path: answer.status if isinstance(answer, Answer) else answer for path, answer in answers.items()}


def test_the_time_is_for_all_lanes_together(transport: Transport, emulator: Emulator) -> None:
    """However many paths hang, the whole takes the time that it was given."""
    emulator.inject(faults.Hang(), times=None)
    lanes = [["/1", "/2"], ["/3", "/4"]]
    began = monotonic()
    answers = transport.exchange(address(emulator.port), lanes, {}, SHORT_SECONDS)
    assert answers == dict.fromkeys(("/1", "/2", "/3", "/4"), NoAnswer.TIMED_OUT)
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


# --- Whose answer it is -------------------------------------------------------------------------------------------


def test_numbers_the_connections_of_an_exchange(transport: Transport) -> None:
    """Answers have equal numbers where they came on the same connection, and others where they did not."""
    has_two = threading.Event()

    def serve(connection: Connection) -> None:
        if connection.number == 2:
            has_two.set()
        while connection.read_request() is not None:
            has_two.wait(SECONDS)  # else one connection may be fast enough for all
            connection.send(
                answer(str(connection.number).encode(), "Connection: close" if connection.number == 2 else "A: b")
            )

    with serving(serve) as server:
        lanes = [["/1", "/2", "/3"], ["/4", "/5"], ["/6"]]
        got = transport.exchange(address(server.port), lanes, {}, SECONDS)
    pairs = {(it.connection, it.body) for it in got.values() if isinstance(it, Answer)}
    assert len(pairs) == len({number for number, _ in pairs}) == len({body for _, body in pairs}) > 1


def test_new_connections_where_they_are_asked_for(transport: Transport) -> None:
    """With `anew` no lane goes over a connection that has carried something, nor over that of another lane."""
    numbers: list[int] = []

    def serve(connection: Connection) -> None:
        while connection.read_request() is not None:
            numbers.append(connection.number)
            connection.send(answer(b"{}"))

    with serving(serve) as server:
        for _ in range(3):
            transport.exchange(address(server.port), [["/1"], ["/2"], ["/3"]], {}, SECONDS)
        used = set(numbers)
        numbers.clear()
        got = transport.exchange(address(server.port), [["/1"], ["/2"], ["/3"]], {}, SECONDS, anew=True)
        assert contents(got) == dict.fromkeys(("/1", "/2", "/3"), (200, b"{}"))
        assert (
            len(set(numbers) - used),
            len({it.connection for it in got.values() if isinstance(it, Answer)}),
        ) == (3, 3)


@pytest.mark.parametrize("extra", [answer(b"another's"), answer(b"", status="408 Request Timeout"), b"HT"])
@pytest.mark.parametrize("ends", [False, True])
def test_what_comes_on_an_idle_connection_answers_nothing(transport: Transport, extra: bytes, ends: bool) -> None:
    """A connection on which something came while nobody had asked is dropped; the next request goes over a new one."""
    spoken = threading.Event()

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        while request is not None:
            connection.send(answer(request.target.encode()))
            if request.target == "/first":
                connection.send(extra)
                spoken.set()
                if ends:
                    return
            request = connection.read_request()

    with serving(serve) as server:
        first = transport.exchange(address(server.port), [["/first"]], {}, SECONDS)
        assert spoken.wait(SECONDS)
        sleep(0.05)  # until the kernel has it
        rest = [transport.exchange(address(server.port), [[path]], {}, SECONDS) for path in ("/2", "/3")]
    bodies = [contents(got) for got in (first, *rest)]
    assert [{path: (200, path.encode())} for path in ("/first", "/2", "/3")] == bodies


@pytest.mark.parametrize("extra", [answer(b"another's"), b"\r\n"])
def test_doubts_the_answers_beside_one_too_many(own: Transport, extra: bytes) -> None:
    """Where something came unasked, every answer of that connection may be another's; those of others are certain."""

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            more = extra if request.target == "/b" else b""
            connection.send(answer(request.target.encode()) + more)

    with serving(serve) as server:
        got = own.exchange(address(server.port), [["/a", "/b"], ["/c", "/d"]], {}, SECONDS)
        after = own.exchange(address(server.port), [["/e"]], {}, SECONDS)
    certain = {path: it.certain for path, it in (got | after).items() if isinstance(it, Answer)}
    assert certain == {"/a": False, "/b": False, "/c": True, "/d": True, "/e": True}
    assert contents(after) == {"/e": (200, b"/e")}


@pytest.mark.parametrize("last", [answer(b"{}"), answer(b"{}", "Connection: close")])
def test_an_end_is_nothing_too_many(transport: Transport, last: bytes) -> None:
    """A server that closes behind its last answer has said nothing unasked."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(b"{}"))
        connection.read_request()
        connection.send(last)

    with serving(serve) as server:
        got = transport.exchange(address(server.port), [["/1", "/2"]], {}, SECONDS)
    assert [it.certain for it in got.values() if isinstance(it, Answer)] == [True, True]


def test_a_request_timeout_that_crosses_the_request(own: Transport) -> None:
    """A 408 on a connection that was idle was said before the request came: that is sent again, on a new one."""

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        while request is not None:
            connection.send(answer(request.target.encode()))
            request = connection.read_request()
            if connection.number == 1 and request is not None:
                connection.send(answer(b"", "Connection: close", status="408 Request Timeout"))
                return

    with serving(serve) as server:
        got = [own.exchange(address(server.port), [[path]], {}, SECONDS) for path in ("/1", "/2")]
    assert [contents(each) for each in got] == [{"/1": (200, b"/1")}, {"/2": (200, b"/2")}]


def test_a_request_timeout_on_a_new_connection(transport: Transport) -> None:
    """A 408 to the first request of a connection is its answer."""
    with serving(repeating(answer(b"", status="408 Request Timeout"))) as server:
        assert get_from(transport, server.port) == Answer(408, b"")


def test_leaves_a_connection_over_the_limit(transport: Transport) -> None:
    """A connection that answered 429 answers it for as long as it lives: it is not used again."""

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            is_over = connection.number == 1
            body = b"Connection limit exceeded" if is_over else request.target.encode()
            connection.send(answer(body, status="429 Too Many Requests" if is_over else "200 OK"))

    with serving(serve) as server:
        first = transport.exchange(address(server.port), [["/1", "/2"]], {}, SECONDS)
        until(lambda: server.connections <= 1)
        second = transport.exchange(address(server.port), [["/1", "/2"]], {}, SECONDS)
    assert 429 in {status for status, _ in contents(first).values()}
    assert contents(second) == {"/1": (200, b"/1"), "/2": (200, b"/2")}


# --- Time, whatever comes ---------------------------------------------------------------------------------------


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED, b"1;extension=y\r\nx\r\n"),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Sum: 1\r\n"),
    ],
    ids=["continue", "chunks", "extensions", "trailers"],
)
def test_the_time_is_over_while_data_comes(transport: Transport, begins: bytes, goes_on: bytes) -> None:
    """A server that never stops to send costs the time that there is, or the size that a value can have."""
    with serving(flooding(begins, goes_on)) as server:
        began = monotonic()
        outcome = get_from(transport, server.port, seconds=SHORT_SECONDS)
        lasted = monotonic() - began
    assert outcome in {NoAnswer.TIMED_OUT, NoAnswer.TOO_LARGE, NoAnswer.GARBLED}
    assert lasted < LATE_SECONDS / 2


def test_the_time_is_over_while_informational_answers_come(own: Transport) -> None:
    """The same holds for a flood of answers that another is to follow."""
    with serving(flooding(b"", b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n")) as server:
        began = monotonic()
        # Newer releases of Python count such answers themselves, and the time may not be over yet at their last one.
        assert get_from(own, server.port, seconds=SHORT_SECONDS) in {NoAnswer.TIMED_OUT, NoAnswer.GARBLED}
        assert monotonic() - began < LATE_SECONDS / 2


def flooding(begins: bytes, goes_on: bytes) -> Callable[[Connection], None]:
    """Give a function that answers with bytes, and goes on with others until the client leaves."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(begins)
        while True:
            connection.send(goes_on * 1000)

    return serve


def test_reads_small_chunks_in_time(transport: Transport) -> None:
    """A body of many chunks of one byte each is read, and the time for it grows with its size only."""
    body = b"x" * 20_000
    data = CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with serving(repeating(data)) as server:
        assert get_from(transport, server.port) == Answer(200, body)


@pytest.mark.parametrize(
    "informational", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"]
)
def test_passes_over_informational_answers(own: Transport, informational: bytes) -> None:
    """What comes before the answer proper is no answer."""
    with serving(repeating(2 * informational + answer(b"{}"))) as server:
        assert get_from(own, server.port) == Answer(200, b"{}")


# --- What cannot be sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/a b", "/a\r\nHost: b", "/Zoë", "/\udcff", ""])
def test_a_path_that_cannot_be_sent(transport: Transport, emulator: Emulator, path: str) -> None:
    """A path that no request can carry is a fault of its own; the others of its lane have their answers."""
    got = transport.exchange(address(emulator.port), [["/1", path, "/2"], [path + "b c"]], {}, SECONDS)
    assert {path: NoAnswer.UNSENDABLE, path + "b c": NoAnswer.UNSENDABLE} == {
        asked: it for asked, it in got.items() if isinstance(it, NoAnswer)
    }
    assert {"/1", "/2"} == {record.target for record in emulator.requests}


@pytest.mark.parametrize("host", ["fe80::1%\udcff", "127.0.0.1\r\n", "müller.example"])
def test_a_host_that_cannot_be_sent(transport: Transport, host: str) -> None:
    """So is the host of an endpoint that came out of an environment which is no UTF-8."""
    got = transport.exchange(Address(host, 80), [["/1"], ["/2"]], {}, SECONDS)
    assert got == {"/1": NoAnswer.UNSENDABLE, "/2": NoAnswer.UNSENDABLE}


def test_no_descriptor_is_left(transport: Transport, emulator: Emulator, expected: Answer) -> None:
    """A process that can open no more files says so; the transport goes on when it can."""
    with no_descriptor_left():
        outcome = get(transport, emulator)
    assert [NoAnswer.EXHAUSTED, expected] == [outcome, get(transport, emulator)]


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.dup(0)  # the lowest that is free: all below are taken
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- Exceptions of others ---------------------------------------------------------------------------------------


class Interrupted(BaseException):
    """What a signal handler may raise."""


def wrong_answers(transport: Transport, port: int) -> list[str]:
    """Ask for four paths over an echo; give those whose answers are not their own."""
    lanes = [["/after/1", "/after/2"], ["/after/3"]]
    got = contents(transport.exchange(address(port), lanes, {}, SECONDS))
    return [path for path, answered in got.items() if answered != (200, path.encode())]


@pytest.mark.parametrize("lanes", [[["/1"]], [["/1", "/2"], ["/3"]]], ids=["one lane", "two lanes"])
@pytest.mark.parametrize(
    "error",
    [TimeoutError("mine"), OSError("mine"), ConnectionRefusedError("mine"), IndexError(), Interrupted()],
    ids=repr,
)
def test_what_a_signal_handler_raises_goes_on(
    transport: Transport, error: BaseException, lanes: list[list[str]]
) -> None:
    """An exception of a signal handler is no failure of the server's, whatever its class, and comes as it is."""

    def ring(*_: object) -> None:
        raise error

    hanging = threading.Event()

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            if hanging.is_set():
                connection.wait(SECONDS)
            connection.send(answer(request.target.encode()))

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with serving(serve) as server:
            transport.exchange(address(server.port), lanes, {}, SECONDS)
            hanging.set()
            signal.setitimer(signal.ITIMER_REAL, SHORT_SECONDS)
            with pytest.raises(type(error)) as caught:
                transport.exchange(address(server.port), lanes, {}, SECONDS)
            hanging.clear()
            assert caught.value is error
            assert wrong_answers(transport, server.port) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("kind", [Interrupted, TimeoutError], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("lanes", [[["/1", "/2"]], [["/1"], ["/2"]]], ids=["one lane", "two lanes"])
def test_an_interrupt_at_any_line(
    transport: Transport, kind: type[BaseException], lanes: list[list[str]], is_warm: bool
) -> None:
    """Wherever an exception strikes, it goes on, no frame shows the token, and no connection gives a wrong answer."""
    headers = {TOKEN_HEADER: Token("canary-of-the-token")}
    lines = 0
    with serving(echo) as server:
        where = address(server.port)
        while True:
            assert wrong_answers(transport, server.port) == []
            if not is_warm:
                transport.close()
            strike = Strike(lines, kind)
            struck = strike.run(lambda: transport.exchange(where, lanes, headers, SECONDS))
            if struck is None:
                break
            assert [text for text in shown_texts(struck) if "canary" in text] == []
            lines += 1
    assert not strike.has_struck
    assert lines > 20
