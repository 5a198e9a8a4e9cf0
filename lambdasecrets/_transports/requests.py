"""The transport that `requests` carries. `requests`, and the urllib3 below it, enter here."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from lambdasecrets._transports.base import NO_DESCRIPTOR_LEFT, Address, Answer, Fault, Token, is_sendable
from lambdasecrets._wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_POOLED_CONNECTIONS = 32


class RequestsTransport:
    """Sends prepared requests through one Session.

    Args:
        session: one of your own, with adapters or hooks; None for one that keeps to itself.
    """

    def __init__(self, session: requests.Session | None = None) -> None:
        self._session = _own_session() if session is None else session

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        seconds: float,
        *,
        anew: bool = False,
    ) -> dict[str, Answer | Fault]:
        """See `Transport.exchange`."""
        ends = monotonic() + seconds
        if not is_sendable(address.host):
            return {path: Fault.UNSENDABLE for paths in lanes for path in paths}
        if anew:
            self._session.close()
        if len(lanes) == 1:
            return self._lane(address, lanes[0], headers, ends)
        # A pool for one batch: batches with several lanes are rare (the values are new to the extension), idle threads
        # would live for ever, and every thread here ends by itself when the time is over.
        with ThreadPoolExecutor(len(lanes), thread_name_prefix="lambdasecrets") as pool:
            answered = [pool.submit(self._lane, address, lane, headers, ends) for lane in lanes]
            return {
                path: answer._replace(connection=number) if isinstance(answer, Answer) else answer
                for number, lane in enumerate(answered)
                for path, answer in lane.result().items()
            }

    def close(self) -> None:
        """See `Transport.close`."""
        self._session.close()

    def forget_parent(self) -> None:
        """See `Transport.forget_parent`."""
        self._session = _own_session()

    def _lane(
        self, address: Address, paths: Sequence[str], headers: Mapping[str, str | Token], ends: float
    ) -> dict[str, Answer | Fault]:
        return {path: self._answer(address, path, headers, ends - monotonic()) for path in paths}

    def _answer(
        self, address: Address, path: str, headers: Mapping[str, str | Token], seconds: float
    ) -> Answer | Fault:
        if not is_sendable(path):
            return Fault.UNSENDABLE
        if seconds <= 0:
            return Fault.TIMED_OUT
        began = False
        try:
            prepared = _prepared(address, path).copy()
            prepared.headers.update(
                {name: value.reveal() if isinstance(value, Token) else value for name, value in headers.items()}
            )
            prepared.hooks = self._session.hooks
            with self._session.send(
                prepared,
                # Every one of these is said, not left to the Session: its defaults read the environment.
                timeout=cast("Any", urllib3.Timeout(total=seconds)),  # requests passes it on as it is
                allow_redirects=False,
                stream=True,
                proxies={},
                verify=False,
                cert=None,
            ) as response:
                began = True
                body = response.raw.read(MAX_BODY_BYTES + 1, decode_content=False)
                if len(body) > MAX_BODY_BYTES:
                    return Fault.TOO_LARGE
                # The end itself: where it is not there the answer was cut, and with it the connection is free again.
                response.raw.read(1, decode_content=False)
                is_cut = not (body or response.raw.chunked) and response.raw.length_remaining is None
                # http.client reads a head that was cut like one without a length.
                return Fault.LOST if is_cut else Answer(response.status_code, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            fault = fault_of(error)
        return Fault.LOST if began and fault is Fault.RESET else fault


class _Socket(socket.socket):
    """A socket whose timeout is a total: it counts from when it was set, however many calls it takes.

    The timeout of an ordinary socket begins anew with every byte that a slow server sends.
    """

    _ends = 0.0

    def settimeout(self, value: float | None) -> None:
        # None would be a wait without a bound: here it is no time at all.
        self._ends = monotonic() + (value or 0.0)
        super().settimeout(value)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        # Not 0: that would mean "do not wait" and raise another error.
        super().settimeout(max(self._ends - monotonic(), 1e-6))
        return super().recv_into(buffer, nbytes, flags)


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        """Take a head with a line that is no header for one that was cut: urllib3 would log that line and go on."""
        super().begin()
        if self.msg.defects:
            raise http.client.IncompleteRead(b"")


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        plain = super()._new_conn()
        sock = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        sock.settimeout(self.timeout)
        return sock


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _Connection)  # declared by a protocol whose attributes no subclass can narrow


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        super().init_poolmanager(*args, **settings)
        self.poolmanager.pool_classes_by_scheme = {"http": cast("Any", _Pool)}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Know no redirect: even with `allow_redirects=False` a Session would read the whole body of one."""


def _own_session() -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.mount("http://", _Adapter(pool_connections=1, pool_maxsize=_POOLED_CONNECTIONS, max_retries=0))
    return session


@lru_cache(maxsize=256)
def _prepared(address: Address, path: str) -> requests.PreparedRequest:
    host = f"[{address.host}]" if ":" in address.host else address.host
    request = requests.Request("GET", f"http://{host}:{address.port}/", headers={"Accept-Encoding": "identity"})
    prepared = request.prepare()
    # As it is: requests would decode what is encoded and encode it in its own way.
    prepared.url = f"http://{host}:{address.port}{path}"
    return prepared


_FAULTS: dict[type[BaseException], Fault] = {
    TimeoutError: Fault.TIMED_OUT,
    requests.Timeout: Fault.TIMED_OUT,
    requests.ConnectTimeout: Fault.TIMED_OUT,
    urllib3.exceptions.TimeoutError: Fault.TIMED_OUT,
    ConnectionRefusedError: Fault.REFUSED,
    urllib3.exceptions.NewConnectionError: Fault.REFUSED,
    http.client.RemoteDisconnected: Fault.RESET,
    OSError: Fault.RESET,
    requests.ConnectionError: Fault.RESET,
    urllib3.exceptions.ProtocolError: Fault.RESET,
    urllib3.exceptions.PoolError: Fault.RESET,
    http.client.IncompleteRead: Fault.LOST,
    urllib3.exceptions.IncompleteRead: Fault.LOST,
    urllib3.exceptions.InvalidChunkLength: Fault.LOST,
    requests.exceptions.ChunkedEncodingError: Fault.LOST,
    requests.RequestException: Fault.GARBLED,
    urllib3.exceptions.HTTPError: Fault.GARBLED,
    http.client.HTTPException: Fault.GARBLED,
}
"""The one map of foreign exceptions: each stands for itself and for those derived from it that are not listed."""

_MAPPED = tuple(_FAULTS)


def fault_of(error: BaseException) -> Fault:
    """Say what an exception of requests, urllib3, http.client or the socket means. The innermost one decides."""
    innermost = list(_layers(error))[-1]
    if isinstance(innermost, OSError) and innermost.errno in NO_DESCRIPTOR_LEFT:
        return Fault.EXHAUSTED
    return next(_FAULTS[kind] for kind in type(innermost).__mro__ if kind in _FAULTS)


def _layers(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and those that it wraps: as its reason, among its arguments, or as its cause."""
    yield error
    wrapped = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
    for inner in wrapped:
        if isinstance(inner, _MAPPED):
            yield from _layers(inner)
            return
