import errno
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lambdasecrets.dev._emulator.http_server import Answer, Connection, Request, Server
from tests.dev.asking import SECONDS


def echo(connection: Connection) -> None:
    """Answer each request with its method, target, headers and body."""
    while (request := connection.read_request()) is not None:
        if request.body:
            connection.send(Answer(200, request.body).encode(request))
            continue
        body = f"{request.method} {request.path} {request.query} {sorted(request.headers.items())}"
        connection.send(Answer(200, body.encode()).encode(request))


def refusal(status: int) -> Answer:
    """Make the answer to what is no request."""
    return Answer(status, b"refused")


@contextmanager
def serving(
    serve: Callable[[Connection], None] = echo,
    *,
    delays: bool = False,
    refuse: Callable[[int], Answer] | None = None,
) -> Iterator[Server]:
    """Run a server."""
    server = Server("127.0.0.1", 0, serve, delays=delays, refuse=refuse)
    server.listen()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def plain(server: Server) -> Iterator[socket.socket]:
    """Connect a bare socket."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
        yield connection


def head(target: str = "/a?b=c", *lines: str, version: str = "HTTP/1.1") -> bytes:
    """Write the head of a request."""
    return "\r\n".join([f"GET {target} {version}", *lines, "", ""]).encode()


def read_until_closed(connection: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_request_in_pieces() -> None:
    """A request may arrive byte by byte, and two may arrive at once."""
    with serving() as server, plain(server) as connection:
        for byte in head("/a?b=c", "X-One:  1 "):
            connection.sendall(bytes([byte]))
        connection.sendall(head("/d") + head("/e"))
        connection.shutdown(socket.SHUT_WR)
        heard = read_until_closed(connection)

    assert re.findall(rb"\r\n\r\n(GET .*?\])", heard) == [b"GET /a b=c [('x-one', '1')]", b"GET /d  []", b"GET /e  []"]


def test_a_body() -> None:
    """A body of an announced length is read, in one piece or in many, and the request after it is another one."""
    with serving() as server, plain(server) as connection:
        connection.sendall(head("/", "Content-Length: 5") + b"hello" + head("/", "Content-Length: 3"))
        for byte in b"you":
            connection.sendall(bytes([byte]))
        connection.sendall(head("/d"))
        connection.shutdown(socket.SHUT_WR)
        heard = read_until_closed(connection)

    assert re.findall(rb"\r\n\r\n(hello|you|GET .*?\])", heard) == [b"hello", b"you", b"GET /d  []"]


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"GET / HT", head()[:-2], head("/", "Content-Length: 5") + b"1234"], ids=repr
)
def test_a_client_that_leaves_in_the_middle(sent: bytes) -> None:
    """A client that ends before its request does gets no answer."""
    with serving(refuse=refusal) as server, plain(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        heard = read_until_closed(connection)

    assert heard == b""


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"garbage\r\n\r\n"),
        (400, b"\x16\x03\x01 a TLS handshake, whose client waits"),
        (400, b"GET /a HTTP/1.1\rHost: a"),
        (400, b"GET /\r\n\r\n"),
        (400, head(version="HTTP/2.0")),
        (400, head(version="FTP/1.1")),
        (400, head("a")),
        (400, head("/a b")),
        (400, head('/"')),
        (400, b"GET /\xe9 HTTP/1.1\r\n\r\n"),
        (400, head("/", "X-Folded: a", " b")),
        (400, head("/", "no colon")),
        (400, head("/", "X : a")),
        (400, head("/", "X: a\x00b")),
        (400, head("/", "Content-Length: five")),
        (400, head("/", "Content-Length: 5", "Content-Length: 6")),
        (400, head("/", "Transfer-Encoding: gzip")),
        (400, head("/", "Transfer-Encoding: chunked", version="HTTP/1.0")),
        (400, head("/", "Transfer-Encoding: chunked") + b"five\r\n"),
        (400, head("/", "Transfer-Encoding: chunked") + b"1\r\nab\r\n"),
        (414, head("/" * 65535)),
        (431, head("/", *(f"X-{number}: a" for number in range(101)))),
        (431, b"GET / HTTP/1.1\r\nX: " + b"x" * 600_000),
        (431, head("/", "Transfer-Encoding: chunked") + b"1" * 600_000),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_request_is_refused(status: int, sent: bytes) -> None:
    """What cannot be a request, or ends where nobody can tell, gets an answer at once and is the connection's last."""
    with serving(refuse=refusal) as server, plain(server) as connection:
        connection.sendall(sent)
        lines = connection.recv(65536).split(b"\r\n")

    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    assert lines[-4:] == [b"Content-Length: 7", b"Connection: close", b"", b"refused"]


def test_a_server_that_refuses_without_a_word() -> None:
    """A server that was not told what to answer to garbage ends the connection."""
    with serving() as server, plain(server) as connection:
        connection.sendall(b"garbage\r\n\r\n")
        heard = read_until_closed(connection)

    assert heard == b""


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\r\n\n" + head("/a"), b"GET /a  []"),
        (b"GET /a HTTP/1.1\nX-One: 1\n\n", b"GET /a  [('x-one', '1')]"),
        (b"GET /a HTTP/1.1\r\nX-One: \xe9\t1\t\r\n\r\n", "GET /a  [('x-one', 'é\\t1')]".encode()),
        (head("/a", "X-One: 1", "x-one: 2"), b"GET /a  [('x-one', '1')]"),
        (head("/a", f"X: {'x' * 400_000}"), b"GET /a  [('x', 'xxx"),
        (head("http://localhost/a?b#c"), b"GET /a b#c []"),
        (head("HTTPS://localhost:1"), b"GET /  []"),
        (head("*"), b"GET *  []"),
        (b"CONNECT localhost:1 HTTP/1.1\r\n\r\n", b"CONNECT localhost:1  []"),
        ("GET /é HTTP/1.1\r\n\r\n".encode(), "GET /é  []".encode()),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_read_though_it_is_unusual(sent: bytes, expected: bytes) -> None:
    """Bare line feeds, blank lines first, an absolute target, a header of 400 KB and its like are understood."""
    with serving() as server, plain(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        body = read_until_closed(connection).partition(b"\r\n\r\n")[2]

    assert body[: len(expected)] == expected


@pytest.mark.parametrize(
    "sent",
    [
        head("/", "Content-Length: 5") + b"12345",
        head("/", "Content-Length: 5", "Content-Length: 5") + b"12345",
        head("/", "Transfer-Encoding: Chunked") + b"2;x=1\r\n12\r\n3\r\n345\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=["length", "the same length twice", "chunks"],
)
def test_a_request_with_a_body(sent: bytes) -> None:
    """A body is read whole, in pieces too, and the next request on the connection is answered."""
    bodies: list[bytes] = []

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            bodies.append(request.body)
            connection.send(Answer(200, b"").encode(request))

    with serving(serve) as server, plain(server) as connection:
        for byte in sent:
            connection.sendall(bytes([byte]))
        connection.sendall(head())
        connection.shutdown(socket.SHUT_WR)
        read_until_closed(connection)

    assert bodies == [b"12345", b""]


@pytest.mark.parametrize(
    "sent",
    [head("/", "Content-Length: 65537"), head("/", "Transfer-Encoding: chunked") + b"10001\r\n"],
    ids=["length", "chunks"],
)
def test_a_body_that_is_too_large(sent: bytes) -> None:
    """A body of more than 64 KiB is not read, and the connection ends with the answer."""

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        assert request is not None
        connection.send(Answer(200, request.body).encode(request))

    with serving(serve) as server, plain(server) as connection:
        connection.sendall(sent)
        heard = read_until_closed(connection)

    assert heard.endswith(b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        ("HTTP/1.1", {}, False),
        ("HTTP/1.1", {"connection": "keep-alive", "content-length": "0"}, False),
        ("HTTP/1.1", {"connection": "Close"}, True),
        ("HTTP/1.1", {"content-length": "5"}, False),
        ("HTTP/1.1", {"transfer-encoding": "chunked"}, False),
        ("HTTP/1.1", {"transfer-encoding": "chunked", "content-length": "5"}, True),
        ("HTTP/1.0", {}, True),
        ("HTTP/1.0", {"connection": "Keep-Alive"}, False),
    ],
)
def test_which_request_is_the_last(version: str, headers: dict[str, str], expected: bool) -> None:
    """The connection ends when the client says so, when it is of HTTP/1.0, and when the request's end is not sure."""
    assert expected == Request("GET", "/", version, headers).is_last


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request("GET", "/", "HTTP/1.1", {}), [b"HTTP/1.1 302 Found", b"body"]),
        (
            Request("GET", "/", "HTTP/1.1", {"connection": "close"}),
            [b"HTTP/1.1 302 Found", b"Connection: close", b"body"],
        ),
        (Request("GET", "/", "HTTP/1.0", {}), [b"HTTP/1.0 302 Found", b"body"]),
        (
            Request("GET", "/", "HTTP/1.0", {"connection": "keep-alive"}),
            [b"HTTP/1.0 302 Found", b"Connection: keep-alive", b"body"],
        ),
        (Request("HEAD", "/", "HTTP/1.1", {}), [b"HTTP/1.1 302 Found", b""]),
    ],
    ids=["plain", "last", "old", "old and kept", "HEAD"],
)
def test_an_answer_as_bytes(request_: Request, expected: list[bytes]) -> None:
    """An answer is of its request's version, ends the connection when it has to, and has no body for HEAD."""
    fields = [b"Content-Type: text/plain; charset=utf-8", b"Content-Length: 4", b"Location: /"]
    answer = Answer(302, b"body", headers={"Location": "/"})
    lines = [line for line in answer.encode(request_).split(b"\r\n") if not line.startswith(b"Date: ")]

    assert lines == [expected[0], *fields, *expected[1:-1], b"", expected[-1]]


def test_an_answer_without_a_type_or_a_known_status() -> None:
    """A header that is None is not sent, and a status may be any number."""
    lines = [line for line in Answer(599, b"", None).head().split(b"\r\n") if not line.startswith(b"Date: ")]

    assert lines == [b"HTTP/1.1 599 Unknown", b"", b""]


def test_an_answer_in_small_letters() -> None:
    """The names of headers are in lower case where the server writes them so."""
    answer = Answer(200, b"", "a/b", {"X-One": "Two"}, lowers_names=True).head(length=0, Connection="close")
    names = [line.partition(b":")[0] for line in answer.split(b"\r\n")[1:-2]]

    assert names == [b"date", b"content-type", b"content-length", b"x-one", b"connection"]


@pytest.mark.parametrize(("delays", "expected"), [(False, True), (True, False)])
def test_whether_small_writes_are_delayed(delays: bool, expected: bool) -> None:
    """Nagle's algorithm is off, or on where a server is to write as one does that leaves it on."""
    seen: list[bool] = []

    def serve(connection: Connection) -> None:
        seen.append(bool(connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))

    with serving(serve, delays=delays) as server, plain(server) as connection:
        read_until_closed(connection)

    assert seen == [expected]


def test_a_connection_knows_its_crowd() -> None:
    """A connection knows how many were open when it was accepted, however many are open later."""
    crowds: list[int] = []

    def serve(connection: Connection) -> None:
        while connection.read_request() is not None:
            crowds.append(connection.crowd)
            connection.send(b"x")

    with serving(serve) as server, plain(server) as second:
        with plain(server) as first:
            for connection in (second, first):
                connection.sendall(head())
                assert connection.recv(1) == b"x"
        second.sendall(head())
        assert second.recv(1) == b"x"

    assert sorted(crowds) == [1, 1, 2]


def test_no_descriptor_is_left() -> None:
    """With no file descriptor for a client the server waits before it tries again; a client that left is forgotten."""
    tries: list[float] = []
    failures = [errno.ECONNABORTED, errno.EMFILE, errno.ENFILE]

    class Full(socket.socket):
        """A listening socket whose client has left, in a process that may then open nothing more; twice."""

        def accept(self) -> tuple[socket.socket, object]:
            tries.append(time.monotonic())
            if failures:
                raise OSError(failures.pop(0), "made up")
            return super().accept()

    server = Server("127.0.0.1", 0, echo)
    server._socket = Full(fileno=server._socket.detach())
    server.listen()
    try:
        with plain(server) as connection:
            connection.sendall(head())
            heard = connection.recv(4)
    finally:
        server.close()

    assert (heard, len(tries)) == (b"HTTP", 4)
    assert tries[3] - tries[1] > 0.09


def test_no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client for whom the system has no thread is let go, and the next one is served."""
    start, failed = threading.Thread.start, threading.Event()

    def start_unless_first(thread: threading.Thread) -> None:
        if thread.name == "emulator-connection" and not failed.is_set():
            failed.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    with serving(echo) as server:
        monkeypatch.setattr(threading.Thread, "start", start_unless_first)
        with plain(server) as refused:
            first = refused.recv(1)
        with plain(server) as connection:
            connection.sendall(head())
            heard = connection.recv(4)
        left = server.connections

    assert (first, heard) == (b"", b"HTTP")
    assert left <= 1


def test_a_server_on_ipv6() -> None:
    """A host with colons is an address of IPv6."""
    server = Server("::1", 0, echo)
    server.listen()
    try:
        with socket.create_connection(("::1", server.port), timeout=SECONDS) as connection:
            connection.sendall(head())
            heard = connection.recv(4)
    finally:
        server.close()

    assert heard == b"HTTP"


def test_a_port_that_is_taken() -> None:
    """A second server on the same port is refused by the system, and leaves no socket open."""
    with serving() as server, pytest.raises(OSError, match="Address already in use"):
        Server("127.0.0.1", server.port, echo)


def test_closing_ends_idle_connections() -> None:
    """Closing ends the connections and threads that wait for a request, and may happen twice."""
    with serving() as server, plain(server) as connection:
        connection.sendall(head())
        assert connection.recv(1)
        assert server.connections == 1
        server.close()
        server.close()
        read_until_closed(connection)

    assert server.connections == 0
    assert [thread for thread in threading.enumerate() if thread.name.startswith("emulator")] == []


def test_refusing_and_listening_again() -> None:
    """A refusing server ends its connections, keeps its port, and accepts again; listening twice does no harm."""
    with serving() as server:
        with plain(server) as connection:
            connection.sendall(head())
            assert connection.recv(1)
            server.refuse()
            server.refuse()
            read_until_closed(connection)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
        server.listen()
        server.listen()
        with plain(server) as connection:
            connection.sendall(head())
            assert connection.recv(4) == b"HTTP"


def test_a_closed_server_stays_closed() -> None:
    """A late wish to listen, from a timer, changes nothing."""
    with serving() as server:
        pass
    server.listen()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)


def test_a_connection_has_an_age() -> None:
    """A connection ends at its age, whether it waits for its first request or for its next."""
    ages = iter([0.05, 0.0])

    def serve(connection: Connection) -> None:
        with pytest.raises(TimeoutError):
            connection.read_request(next(ages))

    with serving(serve) as server:
        for _ in range(2):
            with plain(server) as connection:
                assert read_until_closed(connection) == b""


def test_waiting_ends_when_the_client_leaves() -> None:
    """A wait lasts as long as it should while the client waits too, and ends at once when it leaves."""
    seen = threading.Event()

    def serve(connection: Connection) -> None:
        connection.wait(0)
        connection.send(b"waited")
        with pytest.raises(ConnectionAbortedError):
            connection.wait(3600)
        seen.set()

    with serving(serve) as server:
        with plain(server) as connection:
            assert connection.recv(6) == b"waited"
        assert seen.wait(SECONDS)


def test_a_client_that_sends_ends_a_wait() -> None:
    """A wait is also over when the client sends more, which is kept for later."""

    def serve(connection: Connection) -> None:
        connection.wait(3600)
        echo(connection)

    with serving(serve) as server, plain(server) as connection:
        connection.sendall(head())
        assert connection.recv(4) == b"HTTP"


def test_a_reset() -> None:
    """A reset connection fails at the client's side rather than end."""

    def serve(connection: Connection) -> None:
        connection.read_request()  # the client's connect has returned
        connection.reset()

    with serving(serve) as server, plain(server) as connection:
        connection.sendall(head())
        with pytest.raises(ConnectionResetError):
            read_until_closed(connection)
