"""What the transport that requests carries does beyond the contract of tests/transports/test_exchange.py."""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from lambdasecrets._transports.base import Address, Answer, Fault
from lambdasecrets._transports.requests import _FAULTS, RequestsTransport, _prepared, fault_of
from lambdasecrets._wire import TOKEN_HEADER, secret_path
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.serving import repeating, serving

SECONDS = 10.0
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
        (TimeoutError(), Fault.TIMED_OUT),
        (requests.ConnectTimeout(), Fault.TIMED_OUT),
        (requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "/", "late")), Fault.TIMED_OUT),  # type: ignore[arg-type]
        (ConnectionRefusedError(), Fault.REFUSED),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("aborted", ConnectionResetError())), Fault.RESET),
        (requests.ConnectionError("closed"), Fault.RESET),
        (requests.exceptions.ChunkedEncodingError(http.client.IncompleteRead(b"")), Fault.LOST),
        (urllib3.exceptions.ProtocolError("broken", http.client.BadStatusLine("x")), Fault.GARBLED),
        (http.client.LineTooLong("header line"), Fault.GARBLED),
    ],
    ids=repr,
)
def test_the_innermost_exception_decides(error: BaseException, fault: Fault) -> None:
    """What an exception wraps says more than the exception itself."""
    assert fault_of(error) is fault


def test_a_server_of_another_kind_is_garbled() -> None:
    """A banner of another protocol is no HTTP."""
    with serving(repeating(b"SSH-2.0-OpenSSH_9.6\r\n")) as server:
        answers = RequestsTransport().exchange(Address("127.0.0.1", server.port), [["/"]], {}, SECONDS)
        assert answers == {"/": Fault.GARBLED}


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    """The URL of an IPv6 address is a URL."""
    assert _prepared(Address("fd00:ec2::23", 80), "/v1/credentials").url == "http://[fd00:ec2::23]:80/v1/credentials"


def test_an_address_that_makes_no_url_is_garbled() -> None:
    """An address that requests refuses is a fault like any other, and nothing is raised."""
    answers = RequestsTransport().exchange(Address("fe80::1%eth0%", 80), [["/"]], {}, SECONDS)
    assert answers == {"/": Fault.GARBLED}


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
