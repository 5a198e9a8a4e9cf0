import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lambdasecrets.dev._emulator.http_server import Answer, Connection, Request, Server
from tests.dev.asking import SECONDS


def echo(connection: Connection) -> None:
    """Answer each request with its method, target, headers and body."""
    while (request := connection.read_request()) is not None:
        if request.body:
            connection.send(Answer(200, request.body).encode())
            continue
        body = f"{request.method} {request.path} {request.query} {sorted(request.headers.items())}"
        connection.send(Answer(200, body.encode()).encode())


@contextmanager
def serving(serve: Callable[[Connection], None] = echo) -> Iterator[Server]:
    """Run a server."""
    server = Server("127.0.0.1", 0, serve)
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
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET /\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"x" * (64 * 1024 + 1),
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell",
    ],
    ids=["nothing", "half a request", "two words", "another protocol", "too much", "half a body"],
)
def test_what_is_no_request_ends_the_connection(sent: bytes) -> None:
    """A client that sends no request gets no answer."""
    with serving() as server, plain(server) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        heard = read_until_closed(connection)

    assert heard == b""


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        ("HTTP/1.1", {}, False),
        ("HTTP/1.1", {"connection": "keep-alive", "content-length": "0"}, False),
        ("HTTP/1.1", {"connection": "Close"}, True),
        ("HTTP/1.1", {"content-length": "5"}, False),
        ("HTTP/1.1", {"content-length": "65536"}, False),
        ("HTTP/1.1", {"content-length": "65537"}, True),
        ("HTTP/1.1", {"content-length": "-1"}, True),
        ("HTTP/1.1", {"content-length": "five"}, True),
        ("HTTP/1.1", {"content-length": "9" * 5000}, True),
        ("HTTP/1.1", {"transfer-encoding": "chunked"}, True),
        ("HTTP/1.0", {}, True),
        ("HTTP/1.0", {"connection": "Keep-Alive"}, False),
    ],
)
def test_which_request_is_the_last(version: str, headers: dict[str, str], expected: bool) -> None:
    """The connection ends when the client says so, in HTTP/1.0, and when there is a body that is not read."""
    assert expected == Request("GET", "/", version, headers).is_last


def test_an_answer_as_bytes() -> None:
    """An answer has a status line, a date, its headers and its length, and ends the connection when it has to."""
    answer = Answer(302, b"body", headers={"Location": "/"})
    lines = [line for line in answer.encode(is_last=True).split(b"\r\n") if not line.startswith(b"Date: ")]

    assert lines == [
        b"HTTP/1.1 302 Found",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: 4",
        b"Location: /",
        b"Connection: close",
        b"",
        b"body",
    ]


def test_an_answer_without_a_type_or_a_known_status() -> None:
    """A header that is None is not sent, and a status may be any number."""
    lines = [line for line in Answer(599, b"", None).head().split(b"\r\n") if not line.startswith(b"Date: ")]

    assert lines == [b"HTTP/1.1 599 Unknown", b"", b""]


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
    with (
        serving(lambda connection: connection.reset()) as server,
        plain(server) as connection,
        pytest.raises(ConnectionResetError),
    ):
        read_until_closed(connection)
