"""Where the session token comes from: the environment, a file, SnapStart's endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets import CredentialsUnavailableError, Secret, SettingError, _settings, resolve
from lambdasecrets._clock import make_deadline
from lambdasecrets._hiding import Token
from lambdasecrets._sources.credentials import fetch_snapstart_token
from lambdasecrets._sources.local import LocalSource
from lambdasecrets._transports import Answer
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets.dev._emulator.http_server import Connection, Request
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.serving import answer, repeating, serving

ENDPOINT = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AUTHORIZATION = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
SECONDS = 10.0
NOT_NEAR = (
    "Cannot use AWS_CONTAINER_CREDENTIALS_FULL_URI as it is set: it takes an http:// URL of a loopback or link-local "
    "address. Correct it or leave it out."
)


def token(seconds: float = SECONDS) -> str | None:
    """Find the token as the source does, with a transport that nothing else uses; or what the endpoint did."""
    transport = RequestsTransport()
    try:
        found = LocalSource(transport).read_token(make_deadline(seconds))
        return found.reveal() if isinstance(found, Token) else found
    finally:
        transport.close()


def credentials(**members: Any) -> bytes:
    """Write the endpoint's answer."""
    keys = {"AccessKeyId": "A", "SecretAccessKey": "S", "Expiration": "2026-01-01T00:00:00Z"}
    return answer(json.dumps(keys | members).encode(), "Content-Type: application/json")


def test_there_is_none() -> None:
    """Without any variable there is no token."""
    assert token() is None


def test_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_SESSION_TOKEN is the token, and the endpoint is not asked."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the function")
    monkeypatch.setenv(ENDPOINT, "http://192.0.2.1/not/asked")
    assert token() == "of the function"


def test_snapstart_asks_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is asked with its own authorization, at its path, and gives the token."""
    heard: list[Request | None] = []

    def serve(connection: Connection) -> None:
        heard.append(connection.read_request())
        connection.send(credentials(Token="fresh"))

    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://localhost:{server.port}/2021-04-23/credentials?a=b")
        monkeypatch.setenv(AUTHORIZATION, "let me in")
        assert token() == "fresh"
    assert [(request.method, request.target, request.headers["authorization"]) for request in heard if request] == [
        ("GET", "/2021-04-23/credentials?a=b", "let me in")
    ]


def test_the_authorization_can_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An authorization that names a file is that file's content, read for every request."""
    heard: list[str] = []

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        assert request is not None
        heard.append(request.headers["authorization"])
        connection.send(credentials(Token="fresh"))

    file = tmp_path / "authorization"
    monkeypatch.setenv(AUTHORIZATION, f"file://{file}")
    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}")
        for content in ("first", "second\n"):
            file.write_text(content, encoding="utf-8")
            token()
    assert heard == ["first", "second"]


def test_without_an_authorization_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment has no authorization the header is left out."""
    heard: list[bool] = []

    def serve(connection: Connection) -> None:
        request = connection.read_request()
        assert request is not None
        heard.append("authorization" in request.headers)
        connection.send(credentials(Token="fresh"))

    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}")
        assert (token(), heard) == ("fresh", [False])


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (answer(b"{}", status="403 Forbidden"), "answered 403"),
        (answer(b"{}", status="500 Oh"), "answered 500"),
        *(
            (text, "answered without a session token")
            for text in (
                answer(b"no JSON"),
                answer(b"[]"),
                credentials(),
                credentials(Token=None),
                credentials(Token=""),
                credentials(Token=7),
                credentials(Token="line\r\nbreak"),
                credentials(Token="Zoë"),
            )
        ),
        (b"no HTTP\r\n\r\n", "did not answer"),
        (b"", "did not answer"),
    ],
)
def test_an_endpoint_that_gives_no_token(monkeypatch: pytest.MonkeyPatch, answered: bytes, says: str) -> None:
    """An endpoint that has no token that a header could carry is asked a few times; then it is said what it did."""
    with serving(repeating(answered)) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}/")
        assert token() == says


@pytest.mark.parametrize(
    "bad", [answer(b"{}", status="429 Slow"), answer(b"{}", status="500 Oh"), b"", b"HTTP/1.1 200"]
)
def test_a_fault_of_the_endpoint_passes(monkeypatch: pytest.MonkeyPatch, bad: bytes) -> None:
    """One bad answer costs one more question, and no invocation."""
    answers = [bad, credentials(Token="fresh")]

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answers.pop(0))

    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}/")
        assert (token(), answers) == ("fresh", [])


def test_an_endpoint_that_fails_is_an_error_of_its_own(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the endpoint gives no token the error says so, and the last good value may serve."""
    store.put_secret("s", "value")
    working = [True]

    def serve(connection: Connection) -> None:
        connection.read_request()
        good = credentials(Token=emulator.token)
        connection.send(good if working[0] else answer(b"{}", status="500 Oh"))

    monkeypatch.delenv("AWS_SESSION_TOKEN")
    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}/")
        assert resolve(Secret("s"), str, stale_if_error=60) == "value"
        working[0] = False
        assert resolve(Secret("s"), str, stale_if_error=60) == "value"
        with pytest.raises(CredentialsUnavailableError, match="answered 500"):
            resolve(Secret("s"), str)


def test_the_endpoint_gets_little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that does not answer costs no more than the time that there is."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.wait(SECONDS)

    with serving(serve) as server:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.port}/")
        assert token(seconds=0.1) == "did not answer in time"


@pytest.mark.parametrize(
    "uri",
    [
        "http://192.0.2.1/",
        "http://8.8.8.8/",
        "http://example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1@example.com/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://[::ffff:8.8.8.8]/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http:///",
        "localhost",
    ],
)
def test_the_endpoint_must_be_near(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Nothing but an http URL of a loopback or link-local address is asked: its name is not even looked up."""
    monkeypatch.setenv(ENDPOINT, uri)
    with pytest.raises(SettingError) as failure:
        token()
    assert str(failure.value) == NOT_NEAR


@pytest.mark.parametrize(
    ("uri", "reached"),
    [
        ("http://LOCALHOST/a", ("127.0.0.1", 80)),
        ("http://127.0.0.53:81/a", ("127.0.0.53", 81)),
        ("http://169.254.170.23/a", ("169.254.170.23", 80)),
        ("http://[::1]:82/a", ("::1", 82)),
        ("http://[fd00:ec2::23]/a", ("fd00:ec2::23", 80)),
        ("http://user:pass@127.0.0.1/a", ("127.0.0.1", 80)),
    ],
)
def test_what_is_near(monkeypatch: pytest.MonkeyPatch, uri: str, reached: tuple[str, int]) -> None:
    """Loopback, link-local and the address of EKS are near."""
    asked: list[Any] = []

    class Recording(RequestsTransport):
        """A transport that goes nowhere."""

        def exchange(
            self, address: Any, lanes: Any, headers: Any, seconds: float, *, anew: bool = False
        ) -> dict[str, Any]:
            asked.append((address.host, address.port))
            return {lanes[0][0]: credentials_answer()}

    monkeypatch.setenv(ENDPOINT, uri)
    found = fetch_snapstart_token(Recording(), make_deadline(SECONDS))
    assert isinstance(found, Token)
    assert (found.reveal(), asked) == ("fresh", [reached])


def credentials_answer() -> Answer:
    """Give the endpoint's answer as a transport does."""
    return Answer(200, b'{"Token":"fresh"}')


@pytest.mark.parametrize("value", ["with a\nbreak", "Zoë", "del\x7f"])
def test_a_token_that_no_header_can_carry(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Such a token is refused by its variable's name: http.client would quote it in its error."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", value)
    with pytest.raises(SettingError) as failure:
        _settings.find_token_variable()
    assert str(failure.value) == (
        "Cannot use AWS_SESSION_TOKEN as it is set: it takes a token, or file:// and the path of a readable file that "
        "holds one. Correct it or leave it out."
    )
