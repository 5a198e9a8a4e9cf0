"""Servers for what no emulator does: each connection is in the hands of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lambdasecrets.dev._emulator.http_server import Connection, Server


@contextmanager
def serving(serve: Callable[[Connection], None]) -> Iterator[Server]:
    """Serve connections on a free port, each in a thread of its own."""
    server = Server("127.0.0.1", 0, serve)
    server.listen()
    try:
        yield server
    finally:
        server.close()


def repeating(data: bytes) -> Callable[[Connection], None]:
    """Give a function that answers one request on every connection with these bytes, then closes."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)

    return serve


def echo(connection: Connection) -> None:
    """Answer each request with its own target: who gets another's answer sees it."""
    while (request := connection.read_request()) is not None:
        connection.send(answer(request.target.encode()))


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Write an answer as a well-behaved server sends it."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
