"""Values and the token go to this machine's extension and nowhere else, whatever the environment says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lambdasecrets import CredentialsUnavailableError, InvalidVariableError, ProtocolError, Secret, resolve, use_session
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Connection, Request, Server
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.serving import answer, repeating, serving

SECONDS = 10.0
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
SECRET = answer(json.dumps({"VersionId": "1", "SecretString": "a value", "SecretBinary": None}).encode())


class Decoy:
    """A server that nobody should come to: it knows who did."""

    def __init__(self, server: Server, came: list[Request | None]) -> None:
        self.url = f"http://127.0.0.1:{server.port}"
        self.came = came


@pytest.fixture
def decoy() -> Iterator[Decoy]:
    """Listen."""
    came: list[Request | None] = []

    def serve(connection: Connection) -> None:
        came.append(connection.read_request())
        connection.send(SECRET)

    with serving(serve) as server:
        yield Decoy(server, came)


@pytest.fixture(params=["lean", "requests", "session"], autouse=True)
def carrier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each transport carry the requests in turn, a Session of the user's that trusts the environment included."""
    with requests.Session() as session:
        if request.param == "session":
            use_session(session)
        else:
            monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", request.param)
            use_session(None)
        yield
        use_session(None)


@pytest.fixture
def value(store: MemoryStore, emulator: Emulator) -> Callable[[], str]:
    """Give a function that resolves a value, which is there."""
    store.put_secret("s", "a value")
    return lambda: resolve(Secret("s"), str)


def test_the_trap_works(decoy: Decoy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain requests would send the URL and the token to a proxy: what these tests look for can happen."""
    monkeypatch.setenv("HTTP_PROXY", decoy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    requests.get("http://127.0.0.1:2773/secretsmanager/get", headers={"X-Token": "the token"}, timeout=SECONDS)
    assert [(request.target, request.headers["x-token"]) for request in decoy.came if request] == [
        ("http://127.0.0.1:2773/secretsmanager/get", "the token")
    ]


@pytest.mark.parametrize("excepted", [None, "", "example.com", "*"], ids=lambda item: f"NO_PROXY={item}")
def test_uses_no_proxy(
    decoy: Decoy, value: Callable[[], str], monkeypatch: pytest.MonkeyPatch, excepted: str | None
) -> None:
    """No variable that names a proxy, or an exception from one, is heeded."""
    for name in PROXIES:
        monkeypatch.setenv(name, decoy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False) if excepted is None else monkeypatch.setenv(name, excepted)
    assert (value(), decoy.came) == ("a value", [])


def test_reads_no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a .netrc says of this machine is not sent."""
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text("default login user password pass\n", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    heard: list[Request | None] = []

    def serve(connection: Connection) -> None:
        heard.append(connection.read_request())
        connection.send(SECRET)

    with serving(serve) as server:
        for name, text in {
            "HOME": str(tmp_path),
            "NETRC": str(tmp_path / ".netrc"),
            "AWS_SESSION_TOKEN": "the token",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(server.port),
        }.items():
            monkeypatch.setenv(name, text)
        assert resolve(Secret("s"), str) == "a value"
    assert [
        [request.headers.get(name) for name in ("x-aws-parameters-secrets-token", "authorization", "cookie")]
        for request in heard
        if request
    ] == [["the token", None, None]]


@pytest.mark.parametrize("name", CERTIFICATES)
def test_reads_no_certificates(value: Callable[[], str], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What names certificates that are not there breaks nothing: none are read."""
    monkeypatch.setenv(name, "/no/such/file.pem")
    assert value() == "a value"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_no_redirect(decoy: Decoy, emulator: Emulator, status: int) -> None:
    """A redirect is an error, and nobody comes to where it leads."""
    emulator.inject(faults.Redirect(f"{decoy.url}/secretsmanager/get?secretId=s", status))
    with pytest.raises(ProtocolError):
        resolve(Secret("s"), str)
    assert (decoy.came, len(emulator.requests)) == ([], 1)


def test_follows_no_redirect_of_the_credentials(
    decoy: Decoy, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials endpoint leads nowhere else either, and no proxy stands before it."""
    redirect = answer(b"", f"Location: {decoy.url}/", status="302 Found")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "an authorization")
    for name in PROXIES:
        monkeypatch.setenv(name, decoy.url)
    with serving(repeating(redirect)) as endpoint:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{endpoint.port}/")
        with pytest.raises(CredentialsUnavailableError, match="answered 302"):
            resolve(Secret("s"), str)
    assert (decoy.came, emulator.requests) == ([], [])


def test_looks_up_no_name(decoy: Decoy, value: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is an address: what a file of hosts makes of a name is nothing to it."""
    asked: list[Any] = []
    with requests.Session() as session:
        session.hooks["response"].append(lambda response, **_: asked.append(response.url))
        use_session(session)
        assert value() == "a value"
    assert [url.startswith("http://127.0.0.1:") for url in asked] == [True]


@pytest.mark.parametrize(
    "text",
    ['"s3cr€t"', "s3cr€t\n", "{{resolve:secretsmanager:s3cr€t}}", "x" * 513, b"\xff".decode(errors="surrogateescape")],
)
def test_sends_no_text_that_is_no_name(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What a variable brings is sent where it is a name; else the error names the variable and shows no text of it."""
    monkeypatch.setenv("DATABASE", text)
    with pytest.raises(InvalidVariableError) as caught:
        resolve(Secret("{DATABASE}"), str)
    assert (caught.value.variable, emulator.requests) == ("DATABASE", [])
    assert "s3cr" not in str(caught.value)
    assert text not in str(caught.value)
