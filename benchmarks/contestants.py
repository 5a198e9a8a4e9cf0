"""The ways to get n secrets from the extension: ours, and what one would write by hand."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Protocol

import requests
from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic_core import from_json

from benchmarks.measuring import Contestant
from benchmarks.servers import answer, body, value
from lambdasecrets import Secret, _resolver, _wire, inject_secrets, use_session

BARE = "bare sockets, overlapped"
HTTP_OVERLAPPED = "http.client, overlapped"
HTTP_SERIAL = "http.client"
SEND = "Session.send"
SEND_THREADS = "Session.send, threads"
GET = "requests.get"
LEAN = "lambdasecrets"
REQUESTS = "lambdasecrets, requests"
MAX_AGE = "lambdasecrets, max_age"
PARSE = "parse alone"
MODEL = "parse of the model alone"

TOKEN = "t" * 1000  # as long as Lambda's
_HEADERS = {_wire.TOKEN_HEADER: TOKEN}
_RECEIVED_BYTES = 65536
_SECONDS = 60.0


class Database(BaseModel):
    host: str
    password: SecretStr


def plain_handler(names: int) -> Callable[..., Any]:
    """Write a handler that declares so many secrets."""
    scope: dict[str, Any] = {"Annotated": Annotated, "Database": Database, "Secret": Secret}
    parameters = ", ".join(f"s{n}: Annotated[Database, Secret('s{n}')]" for n in range(names))
    exec(f"def handler(event, context, *, {parameters}): return None", scope)  # noqa: S102 - the number is the parameter
    written: Callable[..., Any] = scope["handler"]
    return written


def handler(names: int, **options: Any) -> Callable[[Any, Any], Any]:
    """Write a handler that declares so many secrets, and decorate it."""
    return inject_secrets(**options)(plain_handler(names))


def ours(name: str, port: int, names: int, *, transport: str = "lean", **options: Any) -> Contestant:
    """Give a decorated handler, with a resolver and connections of its own."""
    decorated = handler(names, timeout=_SECONDS, **options)
    os.environ["LAMBDASECRETS_TRANSPORT"] = transport
    use_session(None)
    resolver = _resolver.find_resolver()

    def prepare() -> None:
        os.environ.update(AWS_SESSION_TOKEN=TOKEN, PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port))
        _resolver._PROCESS["resolver"] = resolver  # noqa: SLF001 - several in one process, to compare them

    return Contestant(name, lambda: decorated({}, None), prepare, resolver.close)


@contextmanager
def restored() -> Iterator[None]:
    """Leave the environment, and the process's resolver, as they were."""
    environ, process = dict(os.environ), dict(_resolver._PROCESS)  # noqa: SLF001 - see `ours`
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        _resolver._PROCESS.clear()  # noqa: SLF001
        _resolver._PROCESS.update(process)  # noqa: SLF001


def cold(contestant: Contestant) -> Contestant:
    """Let a decorated handler forget all that it knows, and its connections, before each invocation."""

    def run() -> None:
        _resolver.find_resolver().close()
        contestant.run()

    return replace(contestant, run=run)


def bare(port: int, names: int, size: int, name: str = BARE) -> Contestant:
    """Send every request before the first answer is read, on a socket each: nobody can be faster."""
    sockets = [socket.create_connection(("127.0.0.1", port), _SECONDS) for _ in range(names)]
    sent = _requests(port, names)
    expected = len(answer(size))

    def run() -> None:
        for connection, request in zip(sockets, sent, strict=True):
            connection.sendall(request)
        for connection in sockets:
            received = connection.recv(_RECEIVED_BYTES)
            while len(received) < expected:
                received += connection.recv(_RECEIVED_BYTES)

    return Contestant(name, run, close=lambda: close_all(sockets))


def requests_for(port: int, names: int) -> bytes:
    """Write the requests for so many secrets, one after the other."""
    return b"".join(_requests(port, names))


def _requests(port: int, names: int) -> list[bytes]:
    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{_wire.TOKEN_HEADER}: {TOKEN}\r\n\r\n"
    return [f"GET {path} {head}".encode() for path in _paths(names)]


def http_overlapped(port: int, names: int) -> Contestant:
    """Send with http.client before the first answer is read, on a connection each."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS) for _ in range(names)]
    paths = _paths(names)

    def run() -> None:
        for connection, path in zip(connections, paths, strict=True):
            connection.request("GET", path, headers=_HEADERS)
        for connection in connections:
            connection.getresponse().read()

    return Contestant(HTTP_OVERLAPPED, run, close=lambda: close_all(connections))


def http_serial(port: int, names: int) -> Contestant:
    """Ask with http.client one after the other, on one connection."""
    run, connection = http_asking(port, names)
    return Contestant(HTTP_SERIAL, run, close=connection.close)


def http_asking(port: int, names: int) -> tuple[Callable[[], None], http.client.HTTPConnection]:
    """Make a connection of http.client, and what asks on it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    paths = _paths(names)

    def run() -> None:
        for path in paths:
            connection.request("GET", path, headers=_HEADERS)
            connection.getresponse().read()

    return run, connection


def send(port: int, names: int) -> Contestant:
    """Send prepared requests one after the other."""
    session, prepared = _prepared(port, names)

    def run() -> None:
        for request in prepared:
            _ = session.send(request, timeout=_SECONDS).content

    return Contestant(SEND, run, close=session.close)


def send_threads(port: int, names: int) -> Contestant:
    """Send prepared requests from a thread each."""
    session, prepared = _prepared(port, names)
    pool = ThreadPoolExecutor(names)

    def content(request: requests.PreparedRequest) -> bytes:
        return session.send(request, timeout=_SECONDS).content

    def close() -> None:
        pool.shutdown()
        session.close()

    return Contestant(SEND_THREADS, lambda: list(pool.map(content, prepared)), close=close)


def get(port: int, names: int) -> Contestant:
    """Do what most code does: `requests.get` for each name."""
    urls = [f"http://127.0.0.1:{port}{path}" for path in _paths(names)]

    def run() -> None:
        for url in urls:
            _ = requests.get(url, headers=_HEADERS, timeout=_SECONDS).content

    return Contestant(GET, run)


def parse(names: int, size: int) -> Contestant:
    """Read answers that are there: the envelope, and the model in it."""
    content, adapter = body(size), TypeAdapter(Database)

    def run() -> None:
        for _ in range(names):
            adapter.validate_json(from_json(content)["SecretString"])

    return Contestant(PARSE, run)


def model(names: int, size: int) -> Contestant:
    """Read values that are there."""
    text, adapter = value(size), TypeAdapter(Database)

    def run() -> None:
        for _ in range(names):
            adapter.validate_json(text)

    return Contestant(MODEL, run)


class _Closes(Protocol):
    def close(self) -> None: ...


def close_all(connections: Iterable[_Closes]) -> None:
    """Close connections."""
    for connection in connections:
        connection.close()


def _prepared(port: int, names: int) -> tuple[requests.Session, list[requests.PreparedRequest]]:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=names))
    urls = [f"http://127.0.0.1:{port}{path}" for path in _paths(names)]
    return session, [session.prepare_request(requests.Request("GET", url, headers=_HEADERS)) for url in urls]


def _paths(names: int) -> list[str]:
    return [_wire.secret_path(f"s{number}") for number in range(names)]
