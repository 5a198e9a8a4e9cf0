"""What the transport that requests carries does beyond the contract of tests/transports/test_exchange.py."""

from __future__ import annotations

import errno
import http.client
import inspect
import io
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from statistics import median
from time import monotonic
from types import ModuleType
from typing import Any, cast

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from lambdasecrets._hiding import Token
from lambdasecrets._transports import Address, Answer, NoAnswer
from lambdasecrets._transports.requests import (
    _FAULTS,
    RequestsTransport,
    _Pool,
    _prepare_request,
    _shut,
    _Socket,
    fault_of,
)
from lambdasecrets._wire import TOKEN_HEADER, secret_path
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import SettingError
from tests.dev.asking import until
from tests.serving import answer, echo, repeating, serving

SECONDS = 10.0
SHORT_SECONDS = 0.2
LATE_SECONDS = 2.0
PATH = secret_path("s")
ROOTS = {requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException}

# What only a mistake of this library or a server that speaks another language can raise: each reads as "is no HTTP".
GARBLED = """
    http.client: BadStatusLine CannotSendHeader CannotSendRequest HTTPException ImproperConnectionState InvalidURL
        LineTooLong NotConnected ResponseNotReady UnimplementedFileMode UnknownProtocol UnknownTransferEncoding
    requests.exceptions: ContentDecodingError HTTPError InvalidHeader InvalidJSONError InvalidProxyURL InvalidSchema
        InvalidURL JSONDecodeError MissingSchema RequestException RetryError StreamConsumedError TooManyRedirects
        URLRequired UnrewindableBodyError
    urllib3.exceptions: BodyNotHttplibCompatible DecodeError HTTPError HeaderParsingError InvalidHeader
        LocationParseError LocationValueError ProxyError ProxySchemeUnknown ResponseError SSLError TimeoutStateError
        URLSchemeUnknown UnrewindableBodyError
"""
# A ValueError of urllib3's own that is none of its HTTPErrors: raised when a proxy is chosen, and none ever is.
UNREACHABLE = {"urllib3.exceptions.ProxySchemeUnsupported"}


def exceptions_of(module: ModuleType) -> Iterator[type[BaseException]]:
    """List the exceptions that a module defines, warnings apart."""
    for kind in vars(module).values():
        is_its_own = inspect.isclass(kind) and kind.__module__ == module.__name__
        if is_its_own and issubclass(kind, BaseException) and not issubclass(kind, Warning):
            yield kind


def garbled() -> set[str]:
    """Read the list above."""
    module, names = "", set()
    for word in GARBLED.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            names.add(f"{module}.{word}")
    return names


FOREIGN = [
    pytest.param(kind, id=f"{kind.__module__}.{kind.__name__}")
    for module in (requests.exceptions, urllib3.exceptions, http.client)
    for kind in dict.fromkeys(exceptions_of(module))
    if f"{kind.__module__}.{kind.__name__}" not in UNREACHABLE
]


@pytest.mark.parametrize("kind", FOREIGN)
def test_maps_every_foreign_exception(kind: type[BaseException]) -> None:
    """Each exception of requests, urllib3 and http.client stands in the map, or in the list of the garbled."""
    mapped_by = next(base for base in kind.__mro__ if base in _FAULTS)
    assert (mapped_by in ROOTS) == (f"{kind.__module__}.{kind.__name__}" in garbled())


def test_the_list_of_the_garbled_is_true() -> None:
    """No name stays in the list that stands in the map, or that those libraries no longer have."""
    assert garbled() <= {param.id for param in FOREIGN}


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TimeoutError(), NoAnswer.TIMED_OUT),
        (requests.ConnectTimeout(), NoAnswer.TIMED_OUT),
        (requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/", "late")), NoAnswer.TIMED_OUT),  # type: ignore[arg-type]
        (ConnectionRefusedError(), NoAnswer.REFUSED),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError())), NoAnswer.RESET),
        (requests.ConnectionError("closed"), NoAnswer.RESET),
        (requests.exceptions.ChunkedEncodingError(http.client.IncompleteRead(b"")), NoAnswer.LOST),
        (urllib3.exceptions.ProtocolError("broken", http.client.BadStatusLine("x")), NoAnswer.GARBLED),
        (http.client.LineTooLong("header line"), NoAnswer.GARBLED),
    ],
    ids=repr,
)
def test_the_innermost_exception_decides(error: BaseException, fault: NoAnswer) -> None:
    """What an exception wraps says more than the exception itself."""
    assert fault_of(error) is fault


def test_a_server_of_another_kind_is_garbled() -> None:
    """A banner of another protocol is no HTTP."""
    with serving(repeating(b"SSH-2.0-OpenSSH_9.6\r\n")) as server:
        answers = RequestsTransport().exchange(Address("127.0.0.1", server.port), [["/"]], {}, SECONDS)
        assert answers == {"/": NoAnswer.GARBLED}


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    """The URL of an IPv6 address is a URL."""
    assert (
        _prepare_request(Address("fd00:ec2::23", 80), "/v1/credentials").url
        == "http://[fd00:ec2::23]:80/v1/credentials"
    )


def test_an_address_that_makes_no_url_is_garbled() -> None:
    """An address that requests refuses is a fault like any other, and nothing is raised."""
    answers = RequestsTransport().exchange(Address("fe80::1%eth0%", 80), [["/"]], {}, SECONDS)
    assert answers == {"/": NoAnswer.GARBLED}


class Counting(HTTPAdapter):
    """An adapter of the user's, which counts."""

    sent = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent += 1
        return super().send(*args, **kwargs)


def test_a_session_of_ones_own(emulator: Emulator, store: MemoryStore) -> None:
    """A given Session is used with its adapters and its hooks, and it still follows no redirect."""
    store.put_secret("s", "a value")
    heard: list[int] = []
    with requests.Session() as session:
        session.mount("http://", adapter := Counting())
        session.hooks["response"].append(lambda response, **_: heard.append(response.status_code))
        transport = RequestsTransport(session)
        headers = {TOKEN_HEADER: emulator.token}
        answers = transport.exchange(Address("127.0.0.1", emulator.port), [[PATH]], headers, SECONDS)
        assert isinstance(answers[PATH], Answer)
        assert (adapter.sent, heard) == (1, [200])


# --- A Session of the user's: anything can be in it ---------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Give a Session of the user's."""
    with requests.Session() as given:
        yield given


def exchange(
    transport: RequestsTransport, port: int, *lanes: list[str], seconds: float = SECONDS, **headers: str | Token
) -> dict[str, tuple[int, bytes] | NoAnswer]:
    """Ask a server of the test; give statuses and bodies."""
    got = transport.exchange(Address("127.0.0.1", port), lanes, headers, seconds)
    return {path: (it.status, it.body) if isinstance(it, Answer) else it for path, it in got.items()}


def drip(begins: bytes) -> Callable[[Connection], None]:
    """Begin an answer, and go on with a byte each 50 ms."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(begins)
        while True:
            connection.send(b"x")
            connection.wait(0.05)

    return serve


@pytest.mark.parametrize(
    "begins", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["head", "body"]
)
def test_the_time_of_any_session_is_bounded(session: requests.Session, begins: bytes) -> None:
    """A drip over a Session of one's own costs the time that there is; its thread ends with the connection."""
    transport = RequestsTransport(session)
    with serving(drip(begins)) as server:
        began = monotonic()
        got = exchange(transport, server.port, ["/1", "/2"], seconds=SHORT_SECONDS)
        assert got == {"/1": NoAnswer.TIMED_OUT, "/2": NoAnswer.TIMED_OUT}
        assert monotonic() - began < LATE_SECONDS
    until(lambda: not own_threads())


def test_a_body_that_begins_too_late(session: requests.Session) -> None:
    """A body that begins when the time is over is not read: its thread ends though the server goes on."""
    is_over = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nX: ")
        while not is_over.wait(0.05):
            connection.send(b"x")
        connection.send(b"\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.send(b"x")
            connection.wait(0.05)

    with serving(serve) as server:
        assert exchange(RequestsTransport(session), server.port, ["/"], seconds=SHORT_SECONDS) == {
            "/": NoAnswer.TIMED_OUT
        }
        is_over.set()
        until(lambda: not own_threads())


@pytest.mark.parametrize(
    "cut", [b"A: b\r\n\r canary\r\n", b"A: b\r\r\n canary\r\n", b"canary\r\n", b"A: b\r\ncanary\r\n"]
)
def test_no_log_shows_what_is_no_header(caplog: pytest.LogCaptureFixture, cut: bytes) -> None:
    """A head that others would read past is no answer: urllib3 would log what it makes nothing of."""
    caplog.set_level(logging.DEBUG)
    with serving(repeating(b"HTTP/1.1 200 OK\r\n" + cut + b"Content-Length: 2\r\n\r\n{}")) as server:
        assert exchange(RequestsTransport(), server.port, ["/"]) == {"/": NoAnswer.LOST}
    assert "canary" not in caplog.text


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("size", [b"-5", b"-" + b"f" * 40])
def test_a_chunk_of_less_than_nothing(size: bytes, is_own: bool) -> None:
    """A size that `http.client` takes for a number, and fails on with a ValueError, is no HTTP."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(repeating(head + size + b"\r\nhello\r\n0\r\n\r\n")) as server, requests.Session() as session:
        transport = RequestsTransport() if is_own else RequestsTransport(session)
        assert exchange(transport, server.port, ["/"]) == {"/": NoAnswer.GARBLED}


def test_a_connection_is_looked_at_before_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows an answer is looked for while nobody else has the connection: another would wait on it."""
    steps: list[str] = []

    def note(kind: type, name: str) -> None:
        method = getattr(kind, name)

        def step(*args: object) -> object:
            steps.append(name)
            return method(*args)

        monkeypatch.setattr(kind, name, step)

    note(_Socket, "look")
    note(_Pool, "_put_conn")
    with serving(echo) as server:
        exchange(RequestsTransport(), server.port, ["/1", "/2"])
    assert steps == ["_put_conn", "look", "_put_conn"]


def own_threads() -> list[str]:
    """Give the threads that the transport has started."""
    return [thread.name for thread in threading.enumerate() if thread.name == "lambdasecrets-lane"]


class Sleeping(BaseAdapter):
    """An adapter of another kind, which knows no timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.may_answer.wait(SECONDS)
        made = requests.Response()
        made.status_code, made.request, made.url, made.raw = 200, request, str(request.url), io.BytesIO(b"made up")
        return made

    def close(self) -> None: ...


def test_the_time_of_any_adapter_is_bounded(session: requests.Session) -> None:
    """An adapter that heeds no timeout is waited for no longer than there is time, and can answer the next time."""
    session.mount("http://", adapter := Sleeping())
    transport = RequestsTransport(session)
    began = monotonic()
    assert exchange(transport, 1, ["/"], seconds=SHORT_SECONDS) == {"/": NoAnswer.TIMED_OUT}
    assert monotonic() - began < LATE_SECONDS
    adapter.may_answer.set()
    assert exchange(transport, 1, ["/1", "/2"]) == {"/1": (200, b"made up"), "/2": (200, b"made up")}
    until(lambda: not own_threads())


def test_threads_that_are_late_are_few(session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that never comes back does not cost a thread at every exchange for ever."""
    monkeypatch.setattr("lambdasecrets._transports.requests._MOST_LATE_THREADS", 2)
    session.mount("http://", adapter := Sleeping())
    transport = RequestsTransport(session)
    for _ in range(6):
        exchange(transport, 1, ["/"], seconds=0.05)
    assert len(own_threads()) <= 3
    adapter.may_answer.set()
    until(lambda: not own_threads())


@pytest.mark.parametrize("status", [200, 302])
def test_the_size_of_any_session_is_bounded(session: requests.Session, status: int) -> None:
    """Of a huge body, a redirect's too, no more is read than a value can have, and the connection is not used again."""
    sent: list[int] = []
    huge = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: {1 << 40}\r\n\r\n".encode()

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(huge)
        while True:
            connection.send(b"x" * (1 << 20))
            sent.append(1 << 20)

    with serving(serve) as server:
        assert exchange(RequestsTransport(session), server.port, ["/"]) == {"/": NoAnswer.TOO_LARGE}
        until(lambda: server.connections == 0)
    assert sum(sent) < 32 << 20  # most of it is what the kernel holds


@pytest.mark.parametrize("body", [b"x" * (1 << 20), b"x" * ((1 << 20) + 1)], ids=["at", "over"])
def test_the_size_that_an_adapter_of_another_kind_gives(session: requests.Session, body: bytes) -> None:
    """The limit holds for whatever an adapter puts in the place of a connection, and for a content that it has read."""
    expected: tuple[int, bytes] | NoAnswer = (200, body) if len(body) == 1 << 20 else NoAnswer.TOO_LARGE

    class Fixed(Sleeping):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            made = super().send(request, *args, **kwargs)
            made.raw = io.BytesIO(body)
            if str(request.url).endswith("/read"):
                assert made.content == body
            return made

    session.mount("http://", adapter := Fixed())
    adapter.may_answer.set()
    assert exchange(RequestsTransport(session), 1, ["/", "/read"]) == {"/": expected, "/read": expected}


def test_a_hook_that_reads_the_content(session: requests.Session) -> None:
    """A hook may look at the content: it gets what was read, within the limits."""
    heard: list[str] = []
    session.hooks["response"].append(lambda response, **_: heard.append(response.text))
    with serving(echo) as server:
        assert exchange(RequestsTransport(session), server.port, ["/1", "/2"]) == {
            "/1": (200, b"/1"),
            "/2": (200, b"/2"),
        }
    assert heard == ["/1", "/2"]


def test_a_hook_that_gives_another_response(session: requests.Session) -> None:
    """A hook may ask again, as `requests` does for digest authentication: its response counts."""

    def ask_again(response: requests.Response, **settings: Any) -> requests.Response | None:
        request = response.request.copy()
        if str(request.url).endswith("/2"):
            return None
        request.url = str(request.url)[:-1] + "2"
        return session.send(request, **settings)

    session.hooks["response"].append(ask_again)
    with serving(echo) as server:
        assert exchange(RequestsTransport(session), server.port, ["/1"]) == {"/1": (200, b"/2")}


class HookError(BaseException):
    """What a hook of the user's raises."""


@pytest.mark.parametrize(
    "error",
    [
        HookError(),
        RuntimeError("mine"),
        ValueError("mine"),
        OSError("mine"),
        requests.HTTPError("mine"),
        TimeoutError(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("lanes", [1, 2])
def test_what_a_hook_raises_goes_on(session: requests.Session, error: BaseException, lanes: int) -> None:
    """An exception of a hook is the user's, whatever its class: it comes as it is, and the next exchange works."""

    def refuse(response: requests.Response, **_: Any) -> None:
        if response.status_code == 500:
            raise error

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            connection.send(answer(b"{}", status="500 X" if request.target.startswith("/bad") else "200 OK"))

    session.hooks["response"].append(refuse)
    transport = RequestsTransport(session)
    with serving(serve) as server:
        with pytest.raises(type(error)) as caught:
            exchange(transport, server.port, *[[f"/bad{number}"] for number in range(lanes)])
        assert caught.value is error
        assert exchange(transport, server.port, ["/1"]) == {"/1": (200, b"{}")}


@pytest.mark.parametrize("error", [requests.ConnectTimeout(), requests.ConnectionError()], ids=repr)
def test_what_an_adapter_raises_is_a_fault(session: requests.Session, error: Exception) -> None:
    """An adapter says by the exceptions of `requests` why there is no answer."""

    class Failing(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            raise error

    session.mount("http://", Failing())
    assert exchange(RequestsTransport(session), 1, ["/"]) == {"/": fault_of(error)}


def test_what_an_adapter_raises_against_its_contract_goes_on(session: requests.Session) -> None:
    """Any other exception of an adapter is a mistake of its author, who should see it."""

    class Broken(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            raise ZeroDivisionError

    session.mount("http://", Broken())
    with pytest.raises(ZeroDivisionError):
        exchange(RequestsTransport(session), 1, ["/"])


def test_a_session_without_an_adapter_is_garbled(session: requests.Session) -> None:
    """A Session that cannot speak HTTP at all has no answer, not even over a new connection."""
    session.adapters.clear()
    transport = RequestsTransport(session)
    where = Address("127.0.0.1", 1)
    assert [transport.exchange(where, [["/"]], {}, SECONDS, anew=anew)["/"] for anew in (False, True)] == [
        NoAnswer.GARBLED
    ] * 2


def test_a_session_of_ones_own_uses_new_connections(session: requests.Session) -> None:
    """With `anew` no lane goes over an idle connection of the Session's, nor over that of another lane."""
    numbers: list[int] = []

    def serve(connection: Connection) -> None:
        while connection.read_request() is not None:
            numbers.append(connection.number)
            connection.send(answer(b"{}"))

    transport = RequestsTransport(session)
    with serving(serve) as server:
        where = Address("127.0.0.1", server.port)
        for anew in (False, False, True):
            got = transport.exchange(where, [["/1"], ["/2"], ["/3"]], {}, SECONDS, anew=anew)
            assert [it.status for it in got.values() if isinstance(it, Answer)] == [200] * 3
    assert len(set(numbers[6:])) == 3
    assert not set(numbers[6:]) & set(numbers[:6])


def test_the_context_of_the_caller_is_seen_by_hooks(session: requests.Session) -> None:
    """Hooks and adapters run in threads of the transport, in a copy of the caller's context."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    heard: list[str] = []
    session.hooks["response"].append(lambda response, **_: heard.append(variable.get()))
    variable.set("the caller's")
    with serving(echo) as server:
        exchange(RequestsTransport(session), server.port, ["/1"], ["/2"])
    assert heard == ["the caller's"] * 2


def test_a_thread_that_cannot_be_started(session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says goes on as it is, and lanes that were started end."""
    start = threading.Thread.start
    started: list[object] = []

    def refuse(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    transport = RequestsTransport(session)
    with serving(echo) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                transport.exchange(Address("127.0.0.1", server.port), [["/1"], ["/2"]], {}, SECONDS)
        until(lambda: not own_threads())
        assert exchange(transport, server.port, ["/3"]) == {"/3": (200, b"/3")}


# --- The token ----------------------------------------------------------------------------------------------------


TOKEN = "canary-of-the-token"


@pytest.mark.parametrize("is_own", [True, False])
def test_the_token_arrives(session: requests.Session, is_own: bool) -> None:
    """A token comes to the server as the text that it is, over one's own Session and over the library's."""
    heard: list[str | None] = []

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            heard.append(request.headers.get("token"))
            connection.send(answer(b"{}"))

    transport = RequestsTransport() if is_own else RequestsTransport(session)
    with serving(serve) as server:
        for _ in range(2):
            exchange(transport, server.port, ["/1", "/2"], token=Token(TOKEN), other="o")
        transport.close()
    assert heard == [TOKEN] * 4


def test_the_libraries_below_have_no_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The token becomes bytes at the socket: http.client, told to print what it sends, does not have it."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    transport = RequestsTransport()
    with serving(echo) as server:
        exchange(transport, server.port, ["/1"], token=Token(TOKEN))
        transport.close()
    printed = capsys.readouterr().out
    assert "send: b'GET /1 HTTP/1.1" in printed
    assert TOKEN not in printed


def test_a_session_of_ones_own_has_the_token_while_it_sends(session: requests.Session) -> None:
    """A hook sees the headers as they are sent; afterwards the request that it may have kept has none."""
    kept: list[requests.PreparedRequest] = []
    seen: list[str | None] = []

    def keep(response: requests.Response, **_: Any) -> None:
        kept.append(response.request)
        seen.append(response.request.headers.get("token"))

    session.hooks["response"].append(keep)
    with serving(echo) as server:
        exchange(RequestsTransport(session), server.port, ["/1"], token=Token(TOKEN))
    assert (seen, dict(kept[0].headers)) == ([TOKEN], {})


# --- Locks and forks ----------------------------------------------------------------------------------------------


def pool_of(session: requests.Session, port: int) -> Any:
    """Give the pool of connections to a port."""
    adapter: Any = session.get_adapter("http://127.0.0.1")
    return adapter.poolmanager.connection_from_host("127.0.0.1", port, "http")


class Interrupted(BaseException):
    """What a signal handler may raise."""


@pytest.mark.parametrize("lock", ["queue", "pools"])
def test_a_lock_that_an_interrupt_leaves(lock: str) -> None:
    """Where an interrupt leaves a lock of the pool held, the next exchange works, and so does the exit."""
    transport = RequestsTransport()

    def hold() -> None:
        pool = pool_of(transport._session, server.port)
        if lock == "queue":
            pool.pool.mutex.acquire()
        else:
            cast("Any", transport._session.get_adapter("http://")).poolmanager.pools.lock.acquire()
        raise Interrupted

    with serving(echo) as server:
        exchange(transport, server.port, ["/1"])
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(transport._session, "send", lambda *_, **__: hold())
            with pytest.raises(Interrupted):
                exchange(transport, server.port, ["/2"])
        with ThreadPoolExecutor(1) as other:
            got = other.submit(exchange, transport, server.port, ["/3"]).result(SECONDS)
        transport.close()
    assert got == {"/3": (200, b"/3")}


def test_a_lock_that_is_free_is_left_alone() -> None:
    """An interrupt that leaves no lock held costs no connection of another thread's."""
    transport = RequestsTransport()
    with serving(echo) as server:
        exchange(transport, server.port, ["/1"])
        pool = pool_of(transport._session, server.port)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(transport._session, "send", interrupt)
            with pytest.raises(Interrupted):
                exchange(transport, server.port, ["/2"])
        assert pool_of(transport._session, server.port) is pool
        transport.close()


def interrupt(*_: object, **__: object) -> None:
    """Raise what a signal handler may raise."""
    raise Interrupted


FORKED = """
import os, sys, threading
import requests
from lambdasecrets._transports import Address, Answer
from lambdasecrets._transports.requests import RequestsTransport
from tests.serving import echo, serving

class Mine(requests.adapters.HTTPAdapter):
    sent = 0
    def send(self, *args, **settings):
        self.sent += 1
        return super().send(*args, **settings)

def ask(path):
    got = transport.exchange(Address("127.0.0.1", server.port), [[path]], {}, 5.0)[path]
    return got.body.decode() if isinstance(got, Answer) else got.name

with serving(echo) as server:
    session = None
    if sys.argv[1] == "given":
        session = requests.Session()
        session.mount("http://", adapter := Mine())
    transport = RequestsTransport(session)
    assert ask("/parent") == "/parent"
    used = transport._session
    manager = used.get_adapter("http://").poolmanager
    queue = manager.connection_from_host("127.0.0.1", server.port, "http").pool
    held = threading.Event()
    release = threading.Event()

    def hold():
        with queue.mutex, manager.pools.lock, used.cookies._cookies_lock:
            held.set()
            release.wait(30)

    threading.Thread(target=hold, daemon=True).start()
    held.wait(10)
    child = os.fork()
    if not child:
        transport.forget_parent()
        said = [ask("/child/1"), ask("/child/2")]
        assert said == ["/child/1", "/child/2"], said
        assert transport._session is used
        assert session is None or adapter.sent == 3, adapter.sent
        sys.exit(0)
    release.set()
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert ask("/parent/again") == "/parent/again"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.parametrize("kind", ["own", "given"])
def test_a_child_uses_its_session_without_its_parents_locks(kind: str) -> None:
    """After a fork a Session is kept, its adapters too; a lock that a thread of the parent held holds up nobody."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, kind], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_child_refuses_an_adapter_of_another_kind(session: requests.Session) -> None:
    """What connections and locks such an adapter has nobody knows: in a child it is refused, with what to do."""
    session.mount("http://", Sleeping())
    transport = RequestsTransport(session)
    transport.forget_parent()
    for _ in range(2):
        with pytest.raises(SettingError) as caught:
            exchange(transport, 1, ["/"])
    assert str(caught.value) == (
        "Cannot use the Session of use_session as it is set: it takes in a child process an HTTPAdapter for http://, "
        "or a Session that was made there. Correct it or leave it out."
    )


def test_no_cookie_is_kept() -> None:
    """The library's own Session has no jar to fill, and no lock of one to wait for."""
    transport = RequestsTransport()
    with serving(repeating(answer(b"{}", "Set-Cookie: session=1; Path=/"))) as server:
        exchange(transport, server.port, ["/"])
        assert list(transport._session.cookies) == []
        transport.close()


# --- Waits --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux alone has the option")
def test_a_server_that_sends_in_small_parts_is_not_kept_waiting() -> None:
    """A head and a body that are sent apart, as by Java's server, do not cost the 40 ms of a delayed ACK."""

    def serve(connection: Connection) -> None:
        connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        while connection.read_request() is not None:
            connection.send(answer(b"{}")[:-2])
            connection.send(b"{}")

    transport = RequestsTransport()
    lasted: list[float] = []
    with serving(serve) as server:
        for _ in range(10):
            began = monotonic()
            assert exchange(transport, server.port, ["/"]) == {"/": (200, b"{}")}
            lasted.append(monotonic() - began)
        transport.close()
    assert median(lasted) < 0.02  # the first may be quick in any case


def test_a_descriptor_that_is_missing() -> None:
    """The system's error for it is found below those that wrap it."""
    cause = OSError(errno.EMFILE, "Too many open files")
    wrapped = urllib3.exceptions.NewConnectionError(cast("Any", None), "failed")
    wrapped.__cause__ = cause
    assert fault_of(requests.ConnectionError(wrapped)) is NoAnswer.EXHAUSTED


# --- Whose exception it is ----------------------------------------------------------------------------------------


class Ringing(_Socket):
    """A socket during whose calls a signal handler raises."""

    def recv(self, *_: object) -> bytes:
        raise OSError("mine")

    def shutdown(self, how: int) -> None:
        raise OSError("mine")


def test_a_surplus_that_cannot_be_looked_for() -> None:
    """A socket on which nothing has come has no surplus; an exception of a signal handler's goes on."""
    with _Socket() as plain, Ringing() as ringing:
        plain.look()
        assert not plain.is_soiled
        with pytest.raises(OSError, match="mine"):
            ringing.look()


def test_a_connection_that_cannot_be_shut() -> None:
    """A connection that has ended by itself needs no end; an exception of a signal handler's goes on."""
    with socket.socket() as unconnected:
        _shut(unconnected)
    with Ringing() as ringing, pytest.raises(OSError, match="mine"):
        _shut(ringing)


class Waiting(io.BytesIO):
    """A body that takes long, of an adapter without connections."""

    def __init__(self, may_end: threading.Event) -> None:
        super().__init__(b"made up")
        self._may_end = may_end

    def read(self, size: int | None = -1) -> bytes:
        self._may_end.wait(SECONDS)
        return super().read(size)


def test_the_time_of_any_body_is_bounded(session: requests.Session) -> None:
    """A body that no connection brings is waited for no longer than there is time."""
    may_end = threading.Event()

    class Slow(Sleeping):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            made = super().send(request, *args, **kwargs)
            made.raw = Waiting(may_end)
            return made

    session.mount("http://", adapter := Slow())
    adapter.may_answer.set()
    assert exchange(RequestsTransport(session), 1, ["/"], seconds=SHORT_SECONDS) == {"/": NoAnswer.TIMED_OUT}
    may_end.set()
    until(lambda: not own_threads())


def test_pools_that_need_no_locks(session: requests.Session) -> None:
    """Adapters of other kinds for other schemes, and pools that are closed, are passed over."""
    session.mount("other://", Sleeping())
    transport = RequestsTransport(session)
    with serving(echo) as server:
        exchange(transport, server.port, ["/1"])
        pool_of(session, server.port).close()
        transport.forget_parent()
        assert exchange(transport, server.port, ["/2"]) == {"/2": (200, b"/2")}
