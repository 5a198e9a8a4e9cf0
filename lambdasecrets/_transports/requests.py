"""The transport that `requests` carries. `requests`, and the urllib3 below it, enter here."""

from __future__ import annotations

import http.client
import os
import re
import socket
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from queue import Empty, SimpleQueue
from threading import Condition, Lock, RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import requests
import urllib3
from requests import hooks as requests_hooks
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from lambdasecrets._hiding import Token
from lambdasecrets._transports import (
    CONNECTION_LIMIT_STATUS,
    NO_DESCRIPTOR_LEFT,
    REMEMBERED,
    REQUEST_TIMEOUT_STATUS,
    Address,
    Answer,
    NoAnswer,
    is_raised_by,
    is_sendable,
)
from lambdasecrets._wire import MAX_BODY_BYTES
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from io import BufferedReader
    from queue import LifoQueue

    from _typeshed import ReadableBuffer, WriteableBuffer

_POOLED_CONNECTIONS = 32
_MOST_LATE_THREADS = 32
"""So many threads may wait for a server, in an adapter of the user's, beyond their time."""
_LOCK_SECONDS = 0.1
"""Nobody holds the lock of a pool for longer, save who was interrupted and does not come back."""
_SHORTEST_WAIT_SECONDS = 1e-6
"""Not 0, which would mean "do not wait"."""

_INFORMATIONAL = range(102, 200)
"""Answers that another follows. 101 is none of them: what follows it is another protocol."""

_CAN_ACKNOWLEDGE = hasattr(socket, "TCP_QUICKACK")
_PLACE = f"token.{os.urandom(8).hex()}."
_PLACES = re.compile(rf"{re.escape(_PLACE)}(\d+)\.".encode())
"""What stands for a token in what the libraries below build. No path and no header has it: nobody knows it before."""

_PACKAGES = frozenset(
    {"lambdasecrets", "requests", "urllib3", "http", "email", "socket", "select", "selectors", "gevent", "eventlet"}
)
"""Where the errors of a connection are raised: here, in the libraries below, or in what takes the sockets' place."""
_HTTP_PACKAGES = frozenset({"urllib3", "http"})
"""Where an answer is taken apart."""


class RequestsTransport:
    """Sends prepared requests through one Session.

    Args:
        session: one of your own, with adapters or hooks; None for one that keeps to itself.
    """

    def __init__(self, session: requests.Session | None = None) -> None:
        self._is_own = session is None
        self._session = _own_session() if session is None else session
        self._has_forked = False
        self._late: list[Thread] = []

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
        if not is_sendable(address.host):
            return {path: NoAnswer.UNSENDABLE for paths in lanes for path in paths}
        if self._has_forked:
            self._renew(address)
        kind = _Exchange if self._is_own else _GivenExchange
        exchange = kind(self._session, address, headers, ends, anew=anew)
        try:
            if self._is_own and len(lanes) == 1:
                exchange.serve(lanes)
            elif anew and not self._is_own:
                # One after the other: of a Session of the user's this is all that can be known of its connections.
                self._serve_in_threads(exchange, [lanes])
            else:
                self._serve_in_threads(exchange, [[paths] for paths in lanes])
        except BaseException:
            if _is_stuck(self._session):
                _renew_pools(self._session)
            raise
        return exchange.outcomes(lanes)

    def close(self) -> None:
        """See `Transport.close`."""
        self._session.close()

    def forget_parent(self) -> None:
        """See `Transport.forget_parent`."""
        self._has_forked = True
        self._late = []

    def _renew(self, address: Address) -> None:
        """Take the parent's connections and locks out of the Session.

        Raises:
            SettingError: it has an adapter of another kind, which may hold some of its own.
        """
        if not isinstance(_adapter(self._session, address), HTTPAdapter | None):
            expected = "in a child process an HTTPAdapter for http://, or a Session that was made there"
            raise SettingError("the Session of use_session", expected)
        vars(self._session.cookies)["_cookies_lock"] = RLock()
        _renew_pools(self._session)
        self._has_forked = False

    def _serve_in_threads(self, exchange: _Exchange, shares: Sequence[Sequence[Sequence[str]]]) -> None:
        """Serve lanes in threads, and wait for them no longer than there is time.

        Args:
            exchange: what they are a part of.
            shares: the lanes of each thread.

        Raises:
            BaseException: what a hook or an adapter of the user's raised.
        """
        self._wait_for_late(exchange.ends)
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        # Threads of this exchange alone: they see the caller's context, and none waits idle for a next one. One that
        # an adapter keeps beyond its time does not keep the process.
        threads = [
            Thread(
                target=copy_context().run, args=(_work, exchange, lanes, done), name="lambdasecrets-lane", daemon=True
            )
            for lanes in shares
        ]
        try:
            for thread in threads:
                thread.start()
            with suppress(Empty):
                for _ in threads:
                    failure = done.get(timeout=_left(exchange.ends))
                    if failure is not None:
                        raise failure
        finally:
            exchange.end()
            self._late += [thread for thread in threads if thread.is_alive()]

    def _wait_for_late(self, ends: float) -> None:
        """Wait until few enough threads are left over from exchanges whose time was over first."""
        self._late = [thread for thread in self._late if thread.is_alive()]
        for thread in self._late[: max(len(self._late) - _MOST_LATE_THREADS, 0)]:
            thread.join(_left(ends))


def _work(exchange: _Exchange, lanes: Sequence[Sequence[str]], done: SimpleQueue[BaseException | None]) -> None:
    """Serve lanes in a thread; say that it is done, or what was raised."""
    try:
        exchange.serve(lanes)
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        done.put(error)
    else:
        done.put(None)


class _Exchange:
    """What the lanes of one exchange share.

    Args:
        session: what sends.
        address: where to.
        headers: what to send.
        ends: when to be done, on the monotonic clock.
        anew: whether each lane goes over a new connection.

    Attributes:
        connections: the numbers of those that were used.
        open: answers over a Session of the user's whose bodies are being read.
        is_over: whether nobody waits for answers any more.
    """

    def __init__(
        self,
        session: requests.Session,
        address: Address,
        headers: Mapping[str, str | Token],
        ends: float,
        *,
        anew: bool,
    ) -> None:
        self.address, self.headers, self.ends = address, headers, ends
        self.connections: dict[object, int] = {}
        self.open: list[requests.Response] = []
        self.is_over = False
        self._session, self._anew = session, anew
        self._answers: dict[str, Answer | NoAnswer] = {}

    def serve(self, lanes: Sequence[Sequence[str]]) -> None:
        """Ask for the paths of some lanes.

        Raises:
            BaseException: what is somebody else's: a signal handler's, a hook's.
        """
        for paths in lanes:
            session = self._renew_session() if self._anew else self._session
            for path in paths:
                outcome = self._ask(session, path)
                if self.is_over:
                    return  # what came of it is the doing of `end`
                if isinstance(outcome, BaseException):
                    # Raised here, where no exception of a library below becomes its context.
                    raise outcome
                self._answers[path] = outcome

    def outcomes(self, lanes: Sequence[Sequence[str]]) -> dict[str, Answer | NoAnswer]:
        """Give what has come for each path."""
        soiled = [number for used, number in self.connections.items() if getattr(used, "is_soiled", False)]
        answers = {path: self._answers.get(path, NoAnswer.TIMED_OUT) for paths in lanes for path in paths}
        return {path: _mark_doubtful(answer, soiled) for path, answer in answers.items()} if soiled else answers

    def end(self) -> None:
        """Let threads that are still at it come to their end."""
        self.is_over = True

    def request(self, path: str) -> _Request:
        """Give a request to be sent."""
        return _Request(self, path)

    def _renew_session(self) -> requests.Session:
        """Give a Session without connections."""
        return _own_session()

    def _ask(self, session: requests.Session, path: str) -> Answer | NoAnswer | BaseException:
        if not is_sendable(path):
            return NoAnswer.UNSENDABLE
        while (seconds := self.ends - monotonic()) > 0:
            request = self.request(path)
            outcome = request.send(session, seconds)
            if not request.is_stale:
                return outcome
        return NoAnswer.TIMED_OUT


class _GivenExchange(_Exchange):
    """An exchange over a Session of the user's."""

    def end(self) -> None:
        """Let threads that wait for the end of a body have it."""
        super().end()
        for response in [*self.open]:
            used = getattr(getattr(response.raw, "connection", None), "sock", None)
            if isinstance(used, socket.socket):
                _shut(used)

    def request(self, path: str) -> _Request:
        return _GivenRequest(self, path, self._session.hooks)

    def _renew_session(self) -> requests.Session:
        # By what every adapter has. Connections in use are not given back after that.
        adapter = _adapter(self._session, self.address)
        if adapter is not None:
            adapter.close()
        return self._session


class _Request:
    """One request, to be sent once.

    Args:
        exchange: what it is a part of.
        path: what to ask for.

    Attributes:
        is_stale: whether the answer was said before the request came, on an idle connection.
    """

    def __init__(self, exchange: _Exchange, path: str) -> None:
        self._exchange, self._path = exchange, path
        self._outcome: Answer | NoAnswer | None = None
        self._has_begun = False
        self.is_stale = False

    def send(self, session: requests.Session, seconds: float) -> Answer | NoAnswer | BaseException:
        """Send it.

        Returns:
            The answer, why there is none, or what somebody else has raised meanwhile.
        """
        try:
            with session.send(
                self._prepare(),
                # Every one of these is said, not left to the Session: its defaults read the environment.
                timeout=cast("Any", urllib3.Timeout(total=seconds)),  # requests passes it on as it is
                allow_redirects=False,
                stream=True,
                proxies={},
                verify=False,
                cert=None,
            ) as response:
                return self._outcome or self._read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            foreign = self._foreign(error)
            fault = fault_of(error)
        except (ValueError, OverflowError) as error:
            # http.client takes a negative size of a chunk for a number, and fails when it reads so much.
            if not is_raised_by(error, _HTTP_PACKAGES):
                raise
            foreign, fault = self._foreign(error), NoAnswer.GARBLED
        return foreign or (NoAnswer.LOST if self._has_begun and fault is NoAnswer.RESET else fault)

    def _prepare(self) -> requests.PreparedRequest:
        prepared = _prepare_request(self._exchange.address, self._path).copy()
        prepared.headers.update(cast("Mapping[str, str]", self._exchange.headers))
        return prepared

    def _foreign(self, error: BaseException) -> BaseException | None:
        """Give what was raised first, where it was not by the libraries below: by a signal handler."""
        innermost = list(_layers(error))[-1]
        return None if is_raised_by(innermost, _PACKAGES) else innermost

    def _read(self, response: requests.Response) -> Answer | NoAnswer:
        """Read an answer, no more of it than is allowed."""
        self._has_begun = True
        used = _socket_of(response.raw)
        connections = self._exchange.connections
        is_first = used not in connections
        number = connections.setdefault(used, len(connections))
        if isinstance(used, _Socket):
            used.has_given = not is_first
            self.is_stale = response.status_code == REQUEST_TIMEOUT_STATUS and used.requests > 1
        if self.is_stale or response.status_code == CONNECTION_LIMIT_STATUS:
            _retire(response.raw)
        body = self._read_body(response)
        return body if isinstance(body, NoAnswer) else Answer(response.status_code, body, number)

    def _read_body(self, response: requests.Response) -> bytes | NoAnswer:
        raw = response.raw
        body = bytes(raw.read(MAX_BODY_BYTES + 1, decode_content=False))
        if len(body) > MAX_BODY_BYTES:
            return NoAnswer.TOO_LARGE
        # The end itself: where it is not there the answer was cut, and with it the connection is free again.
        raw.read(1, decode_content=False)
        is_cut = not (body or raw.chunked) and raw.length_remaining is None
        # http.client reads a head that was cut like one without a length.
        return NoAnswer.LOST if is_cut else body


class _GivenRequest(_Request):
    """A request over a Session of the user's, whose adapters and hooks can be anything.

    Args:
        exchange: what it is a part of.
        path: what to ask for.
        hooks: the Session's.
    """

    def __init__(self, exchange: _Exchange, path: str, hooks: object) -> None:
        super().__init__(exchange, path)
        self._open, self._hooks = exchange.open, hooks
        self._sent: requests.PreparedRequest | None = None
        self._failure: BaseException | None = None

    def send(self, session: requests.Session, seconds: float) -> Answer | NoAnswer | BaseException:
        """Send it, with tokens as texts for as long as that takes."""
        try:
            return super().send(session, seconds)
        finally:
            # A hook may have kept it: then it keeps no token, and no other answer of this exchange.
            if self._sent is not None:
                self._sent.headers, self._sent.hooks = CaseInsensitiveDict(), requests_hooks.default_hooks()

    def _prepare(self) -> requests.PreparedRequest:
        prepared = self._sent = super()._prepare()
        prepared.hooks = {"response": [self._call_hooks]}
        for name, value in self._exchange.headers.items():
            if isinstance(value, Token):
                prepared.headers[name] = value.reveal()
        return prepared

    def _call_hooks(self, response: requests.Response, **settings: object) -> requests.Response:
        """Read the answer within its limits, before a hook of the user's or the Session itself reads all of it."""
        self._outcome = self._read(response)
        try:
            given: requests.Response = cast("Any", requests_hooks).dispatch_hook(
                "response", self._hooks, response, **settings
            )
        except BaseException as error:
            self._failure = error
            raise
        if given is not response:
            self._outcome = self._read(given)
        given.headers.pop("Location", None)  # the Session would look where it leads, and for a password in .netrc
        return given

    def _foreign(self, error: BaseException) -> BaseException | None:
        """Give what a hook has raised. An adapter says by exceptions why there is no answer."""
        return error if error is self._failure else None

    def _read_body(self, response: requests.Response) -> bytes | NoAnswer:
        kept = vars(response).get("_content")
        if isinstance(kept, bytes):
            return kept if len(kept) <= MAX_BODY_BYTES else NoAnswer.TOO_LARGE
        self._open.append(response)
        body: bytes | NoAnswer = NoAnswer.LOST
        try:
            # Looked at once it is in the list: what `end` did not see there is seen here.
            body = NoAnswer.TIMED_OUT if self._exchange.is_over else self._read_raw(response)
        finally:
            self._open.remove(response)
            if isinstance(body, NoAnswer):
                response.close()
        # From now on whoever asks for the content gets this, and reads no more.
        vars(response).update(_content=b"" if isinstance(body, NoAnswer) else body, _content_consumed=True)
        return body

    def _read_raw(self, response: requests.Response) -> bytes | NoAnswer:
        if isinstance(response.raw, urllib3.BaseHTTPResponse):
            return super()._read_body(response)
        body = bytes(response.raw.read(MAX_BODY_BYTES + 1))
        return body if len(body) <= MAX_BODY_BYTES else NoAnswer.TOO_LARGE


def _mark_doubtful(answer: Answer | NoAnswer, soiled: Sequence[int]) -> Answer | NoAnswer:
    """Mark an answer that came on a connection on which something else came too."""
    is_doubted = isinstance(answer, Answer) and answer.connection in soiled
    return answer.replace(certain=False) if isinstance(answer, Answer) and is_doubted else answer


def _socket_of(raw: object) -> object:
    """Give the socket that an answer came on; where that cannot be known, an object that stands for it."""
    from_own = getattr(getattr(raw, "_original_response", None), "used", None)
    return from_own or getattr(getattr(raw, "connection", None), "sock", None) or object()


def _shut(used: socket.socket) -> None:
    """End a connection for the thread that waits for more on it."""
    try:
        used.shutdown(socket.SHUT_RD)
    except OSError as error:
        if not is_raised_by(error, _PACKAGES):
            raise


def _retire(raw: object) -> None:
    """Let a connection end with the answer that is read from it."""
    connection = getattr(raw, "connection", None)
    used = getattr(connection, "sock", None)
    if connection is not None and used is not None:
        connection.sock = None
        used.close()  # the system closes it when the answer's own file on it is closed


class _Socket(socket.socket):
    """A socket whose timeout is a total: it counts from when it was set, however many calls it takes.

    The timeout of an ordinary socket begins anew with every byte that a slow server sends.

    Attributes:
        requests: how many it has sent.
        tokens: those of the request that is being sent; see `_Connection.putheader`.
        has_given: whether it has given another answer to the same exchange.
        is_soiled: whether something has come that was not asked for.
    """

    requests = 0
    has_given = False
    tokens: list[Token]
    is_soiled = False
    _ends = 0.0
    _has_waited = False
    _is_looking = False

    def __del__(self) -> None:
        """Close what was left by an exception that nobody foresees, a signal handler's: Python would warn of it."""
        descriptor = self.detach()
        if descriptor >= 0:
            os.close(descriptor)

    def settimeout(self, value: float | None) -> None:
        # None would be a wait without a bound: here it is no time at all.
        self._ends = monotonic() + (value or 0.0)
        super().settimeout(value)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self.requests += 1
        self._has_waited = False
        # The token is bytes in this expression only, and in no local of a frame above.
        super().sendall(_PLACES.sub(self._reveal, data) if self.tokens else data, flags)
        self.tokens.clear()

    def _reveal(self, place: re.Match[bytes]) -> bytes:
        return self.tokens[int(place[1])].reveal().encode()

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        if self._is_looking:
            return 0
        left = self._ends - monotonic()
        if left <= 0.0:
            raise TimeoutError
        if self._has_waited and _CAN_ACKNOWLEDGE:
            # A server that sends in small parts waits for each to be acknowledged, and the system delays that by 40 ms.
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._has_waited = True
        super().settimeout(left)
        return super().recv_into(buffer, nbytes, flags)

    def look_into(self, file: BufferedReader) -> None:
        """See whether an answer's file has received more than was read from it."""
        self._is_looking = True
        self._note_surplus(lambda: file.peek(1))
        self._is_looking = False

    def look(self) -> None:
        """See whether something has come that nobody has received: more than the end."""
        self._note_surplus(self._peek)

    def _peek(self) -> bytes:
        super().settimeout(0.0)
        return self.recv(1, socket.MSG_PEEK)

    def _note_surplus(self, peek: Callable[[], bytes]) -> None:
        try:
            self.is_soiled = bool(peek()) or self.is_soiled
        except OSError as error:
            # Nothing has come, or it is closed.
            if not is_raised_by(error, _PACKAGES):
                raise


class _Response(http.client.HTTPResponse):
    # What an interrupt left half made is closed all the same (Python 3.14 reports what its finalizer meets).
    fp: Any = None

    def __init__(self, sock: _Socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.used = sock

    def begin(self) -> None:
        """Take a head with a line that is no header for one that was cut: urllib3 would log that line and go on."""
        super().begin()
        while self.status in _INFORMATIONAL:  # it passes over 100 only
            self.headers = cast("Any", None)
            super().begin()
        if self.msg.defects or self.msg.get_payload():
            raise http.client.IncompleteRead(b"")

    def _close_conn(self) -> None:
        """See whether the answer's end is the end of what has come: what is behind it is lost with its buffer.

        Here, because the connection goes back with the end: then it can be another thread's already.
        """
        if self.length == 0 or (self.chunked and not self.chunk_left):
            self.used.look_into(self.fp)
            if self.used.has_given:
                self.used.look()  # several answers can have changed places
        cast("Any", super())._close_conn()  # noqa: SLF001 - there is no other place that knows where an answer ends


class _Connection(HTTPConnection):
    response_class = _Response

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._tokens: list[Token] = []

    def putheader(self, header: Any, *values: Any) -> None:
        """Keep tokens out of what the libraries below build: that has their places, which are filled in at last."""
        token = values[0]
        if isinstance(token, Token):
            values = (f"{_PLACE}{len(self._tokens)}.",)
            self._tokens.append(token)
        super().putheader(header, *values)

    @property
    def is_connected(self) -> bool:
        """Whether it can carry a request: also that nothing has come on it that was not asked for."""
        return super().is_connected and not cast("_Socket", self.sock).is_soiled

    def _new_conn(self) -> socket.socket:
        with super()._new_conn() as plain:  # closed if an exception passes
            sock = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        sock.settimeout(self.timeout)
        sock.tokens = self._tokens
        return sock


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _Connection)  # declared by a protocol whose attributes no subclass can narrow


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool}


class _NoCookies(RequestsCookieJar):
    def extract_cookies(self, response: object, request: object) -> None:
        """Keep none: the jar has a lock, and nobody sends what is in it."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know no redirect: even with `allow_redirects=False` a Session would read the whole body of one."""


def _own_session() -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.cookies = _NoCookies()
    session.mount("http://", _Adapter(pool_connections=1, pool_maxsize=_POOLED_CONNECTIONS, max_retries=0))
    return session


def _is_stuck(session: requests.Session) -> bool:
    """Tell whether a lock of the Session's pools is held by somebody who was interrupted and does not come back."""
    for manager in _managers(session):
        if not _is_free(manager.pools.lock):
            return True
        if not all(_is_free(queue.mutex) for queue in _queues(manager)):
            return True
    return False


def _is_free(lock: Any) -> bool:
    if not lock.acquire(timeout=_LOCK_SECONDS):
        return False
    lock.release()
    # One of a kind that lets its own thread in again can still be held by that.
    return not (hasattr(lock, "_is_owned") and lock._is_owned())  # noqa: SLF001 - Condition asks the same


def _renew_pools(session: requests.Session) -> None:
    """Give the pools of a Session new locks, for they can be held for ever, and new connections.

    Locks first: the old connections are closed when nothing refers to their pool, or at exit, and that takes its lock.
    """
    for manager in _managers(session):
        manager.pools.lock = RLock()
        for queue in _queues(manager):
            queue.mutex = Lock()
            queue.not_empty, queue.not_full = Condition(queue.mutex), Condition(queue.mutex)
            queue.all_tasks_done = Condition(queue.mutex)
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            # As if it came out of a pickle: with its own settings, and `init_poolmanager` of its own class.
            pickled: Any = adapter
            pickled.__setstate__(pickled.__getstate__())


def _managers(session: requests.Session) -> Iterator[urllib3.PoolManager]:
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            yield from (adapter.poolmanager, *adapter.proxy_manager.values())


def _queues(manager: urllib3.PoolManager) -> Iterator[LifoQueue[object]]:
    """Give the queues of idle connections."""
    for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated
        pool = manager.pools.get(key)
        if pool is not None and pool.pool is not None:
            yield pool.pool


def _adapter(session: requests.Session, address: Address) -> BaseAdapter | None:
    try:
        return session.get_adapter(_url(address))
    except requests.exceptions.InvalidSchema:
        return None


def _url(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{address.port}/"


@lru_cache(maxsize=REMEMBERED)
def _prepare_request(address: Address, path: str) -> requests.PreparedRequest:
    prepared = requests.Request("GET", _url(address), headers={"Accept-Encoding": "identity"}).prepare()
    # As it is: requests would decode what is encoded and encode it in its own way.
    prepared.url = _url(address)[:-1] + path
    return prepared


_FAULTS: dict[type[BaseException], NoAnswer] = {
    TimeoutError: NoAnswer.TIMED_OUT,
    requests.Timeout: NoAnswer.TIMED_OUT,
    requests.ConnectTimeout: NoAnswer.TIMED_OUT,
    urllib3.exceptions.TimeoutError: NoAnswer.TIMED_OUT,
    ConnectionRefusedError: NoAnswer.REFUSED,
    urllib3.exceptions.NewConnectionError: NoAnswer.REFUSED,
    http.client.RemoteDisconnected: NoAnswer.RESET,
    OSError: NoAnswer.RESET,
    requests.ConnectionError: NoAnswer.RESET,
    urllib3.exceptions.ProtocolError: NoAnswer.RESET,
    urllib3.exceptions.PoolError: NoAnswer.RESET,
    http.client.IncompleteRead: NoAnswer.LOST,
    urllib3.exceptions.IncompleteRead: NoAnswer.LOST,
    urllib3.exceptions.InvalidChunkLength: NoAnswer.LOST,
    requests.exceptions.ChunkedEncodingError: NoAnswer.LOST,
    requests.RequestException: NoAnswer.GARBLED,
    urllib3.exceptions.HTTPError: NoAnswer.GARBLED,
    http.client.HTTPException: NoAnswer.GARBLED,
}
"""The one map of foreign exceptions: each stands for itself and for those derived from it that are not listed."""

_MAPPED = tuple(_FAULTS)


def fault_of(error: BaseException) -> NoAnswer:
    """Say what an exception of requests, urllib3, http.client or the socket means. The innermost one decides."""
    innermost = list(_layers(error))[-1]
    if isinstance(innermost, OSError) and innermost.errno in NO_DESCRIPTOR_LEFT:
        return NoAnswer.EXHAUSTED
    return next(_FAULTS[kind] for kind in type(innermost).__mro__ if kind in _FAULTS)


def _layers(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and those that it wraps: as its reason, among its arguments, or as its cause."""
    yield error
    wrapped = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
    for inner in wrapped:
        if isinstance(inner, _MAPPED):
            yield from _layers(inner)
            return


def _left(ends: float) -> float:
    return max(ends - monotonic(), _SHORTEST_WAIT_SECONDS)
