from __future__ import annotations

import logging
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets.dev import emulator as module
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator, RequestRecord
from lambdasecrets.dev.stores import MemoryStore, SecretsFileError, load_secrets_file
from tests.dev.asking import SECONDS, ask, ask_on, connected, say
from tests.golden import golden, golden_store

SECRET = "/secretsmanager/get?secretId=s"


def test_it_can_be_reached_as_soon_as_it_has_started() -> None:
    """A started emulator answers at the port and with the token that its environment names."""
    with Emulator(golden_store()) as emulator:
        heard = ask(emulator, SECRET)

        assert (heard.status, heard.body) == (200, golden("extension_secret.json"))
        assert emulator.url == f"http://127.0.0.1:{emulator.port}"
        assert emulator.environment() == {
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": emulator.url,
            "AWS_ENDPOINT_URL_SSM": emulator.url,
            "AWS_ENDPOINT_URL_STS": emulator.url,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_SESSION_TOKEN": emulator.token,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(emulator.port),
        }


def test_tokens_are_random_unless_given() -> None:
    """Each emulator makes a token of its own; a given one is used, and can be rotated while it runs."""
    with Emulator(golden_store(), token="first") as emulator:
        before = ask(emulator, SECRET, token="first").status
        emulator.token = "second"
        after = [ask(emulator, SECRET, token=token).status for token in ("first", "second")]

    assert [before, *after] == [200, 401, 200]
    assert Emulator(MemoryStore()).token != Emulator(MemoryStore()).token


def test_stopping_frees_the_port_and_the_threads() -> None:
    """Stopping ends idle kept-alive connections and every thread, and may be done twice or before the start."""
    emulator = Emulator(golden_store())
    emulator.stop()
    emulator.start()
    with connected(emulator) as connection:
        ask_on(connection, emulator, SECRET)
        emulator.stop()
        emulator.stop()

    assert [thread for thread in threading.enumerate() if thread.name.startswith("emulator")] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", emulator.port), timeout=SECONDS)


def test_the_port_can_be_chosen() -> None:
    """A given port is used, and can be used again after a stop."""
    with Emulator(golden_store()) as first:
        pass
    with Emulator(golden_store(), port=first.port) as second:
        assert (second.port, ask(second, SECRET).status) == (first.port, 200)


def test_faults_can_be_cleared_before_the_start() -> None:
    """Faults may be injected and cleared while nothing listens yet."""
    emulator = Emulator(golden_store())
    emulator.inject(faults.Reply(500, b""), times=None)
    emulator.clear_faults()
    with emulator:
        assert ask(emulator, SECRET).status == 200


def test_it_starts_once() -> None:
    """A second start is refused, and so is a question for the port before the first."""
    emulator = Emulator(golden_store())
    with pytest.raises(RuntimeError, match=r"^The emulator has no port yet: use `with` or call start\(\)\.$"):
        _ = emulator.port
    with emulator, pytest.raises(RuntimeError, match=r"^Cannot start an emulator twice: make another one\.$"):
        emulator.start()


def test_a_connection_is_kept_alive() -> None:
    """Requests on one connection are answered on it, until the client asks to close it."""
    with Emulator(golden_store()) as emulator:
        with connected(emulator) as connection:
            statuses = [ask_on(connection, emulator, SECRET).status for _ in range(3)]
        farewell = say(emulator, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        connections = [record.connection for record in emulator.requests]

    assert (statuses, connections) == ([200, 200, 200], [1, 1, 1, 2])
    assert b"\r\nConnection: close\r\n" in farewell


def test_an_answer_is_one_segment() -> None:
    """The head and the body leave in one piece, so that no client waits for the second of two."""
    with Emulator(golden_store()) as emulator, socket.create_connection(("127.0.0.1", emulator.port)) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(
            f"GET {SECRET} HTTP/1.1\r\nX-Aws-Parameters-Secrets-Token: {emulator.token}\r\n\r\n".encode()
        )

        assert connection.recv(65536).endswith(golden("extension_secret.json"))


def test_the_journal_holds_requests_and_no_token() -> None:
    """Each request is recorded as it was received, before its answer is sent."""
    with Emulator(golden_store()) as emulator:
        ask(emulator, "/secretsmanager/get?secretId=%73")
        first = emulator.requests
        ask(emulator, "/x", token="wrong")
        records = emulator.requests
        emulator.clear_requests()

        assert emulator.requests == []
    assert first == records[:1]
    assert records == [
        RequestRecord(
            "GET",
            "/secretsmanager/get?secretId=%73",
            "/secretsmanager/get",
            200,
            records[0].milliseconds,
            token_ok=True,
            connection=1,
        ),
        RequestRecord("GET", "/x", "/x", 401, records[1].milliseconds, token_ok=False, connection=2),
    ]
    assert 0 < records[0].milliseconds < SECONDS * 1000


def test_the_journal_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many requests the latest are kept."""
    monkeypatch.setattr(module, "_JOURNAL_RECORDS", 2)
    with Emulator(golden_store()) as emulator, connected(emulator) as connection:
        for number in range(3):
            ask_on(connection, emulator, f"/{number}")

        assert [record.path for record in emulator.requests] == ["/1", "/2"]


def test_who_has_no_token_does_not_fill_the_memory() -> None:
    """Of a long target little is kept where the token is wrong, and enough for every name where it is right."""
    target = f"/{'x' * 50_000}"
    with Emulator(golden_store()) as emulator, connected(emulator) as connection:
        ask_on(connection, emulator, target, token="wrong")
        ask_on(connection, emulator, target)
        say(emulator, f"{'M' * 60_000} / HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        lengths = [(len(record.method), len(record.target), len(record.path)) for record in emulator.requests]

    assert lengths == [(3, 259, 259), (3, 2051, 2051), (259, 1, 1)]


def test_many_requests_without_a_token_cost_little() -> None:
    """Hundreds of requests without a token, each as long as they are taken, leave few bytes behind."""
    target = f"/secretsmanager/get?secretId={'x' * 60_000}"
    with Emulator(golden_store()) as emulator, connected(emulator) as connection:
        ask_on(connection, emulator, target, token="wrong")
        tracemalloc.start()
        try:
            for _ in range(300):
                ask_on(connection, emulator, target, token="wrong")
            grown = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert grown < 1024 * 1024


@pytest.mark.parametrize("profile", ["extension", "agent"])
@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b"GET /\xc2\x85GET HTTP/1.1", [r"GET /\x85GET: 403"]),
        (b"GET /\xc2\x9b2J\xc2\xa0x HTTP/1.1", [r"GET /\x9b2J\xa0x: 403"]),
        (b"GET /\xe2\x80\xa8\xe2\x80\xaex\xc3\xbc HTTP/1.1", ["GET /\\u2028\\u202exü: 403"]),
        (b"GET /\x85 HTTP/1.1", []),
        (b"GET /\nGET HTTP/1.1", []),
        (b"GET /a\rb HTTP/1.1", []),
        (b"G\x1b[2JET /\x07 HTTP/1.1", []),
    ],
)
def test_a_request_forges_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture, profile: Any, sent: bytes, logged: list[str]
) -> None:
    """Whoever asks: a request is one line of the log, and its control characters are escaped."""
    caplog.set_level(logging.DEBUG, logger="lambdasecrets.emulator")
    with Emulator(golden_store(), profile=profile) as emulator:
        say(emulator, sent + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert [message.replace("401", "403") for message in caplog.messages[1:]] == logged


def test_it_logs_as_the_extension_does(caplog: pytest.LogCaptureFixture) -> None:
    """Starting, a time to live over the limit and the first invocation leave the extension's lines in the log."""
    caplog.set_level(logging.INFO, logger="lambdasecrets.emulator")
    with Emulator(golden_store(), ready=False, secrets_ttl=301) as emulator:
        emulator.open_gate()
    prefix = "[AWS Parameters and Secrets Lambda Extension]"
    lines = [line.replace(line[len(prefix) + 1 : len(prefix) + 20], "<date>") for line in caplog.messages]

    assert lines == [
        f"{prefix} <date> WARN TTL 301 is more than 300 seconds, using 300",
        f"{prefix} <date> INFO Serving on port {emulator.port}",
        f"{prefix} <date> INFO ready to serve traffic",
    ]


def test_values_are_cached_for_their_time_to_live() -> None:
    """With a time to live an answer is kept; without one every request reads the store."""
    heard: dict[float, bytes] = {}
    for ttl in (0.0, 300.0):
        store = golden_store()
        with Emulator(store, secrets_ttl=ttl) as emulator:
            ask(emulator, SECRET)
            store.delete("s")
            heard[ttl] = ask(emulator, SECRET).body

    assert heard == {0.0: golden("extension_unresolved.txt"), 300.0: golden("extension_secret.json")}


def test_the_cache_can_be_cleared() -> None:
    """After the cache is cleared the store is asked again, before the time to live is over."""
    store = MemoryStore()
    store.put_secret("s", "old")
    with Emulator(store, secrets_ttl=300) as emulator:
        before = ask(emulator, SECRET).body
        store.put_secret("s", "new")
        kept = ask(emulator, SECRET).body
        emulator.clear_cache()
        after = ask(emulator, SECRET).body

    assert (before == kept, b'"SecretString":"new"' in after) == (True, True)


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_its_health_needs_no_token(profile: Any) -> None:
    """The health answers without a token, past every fault, on a connection that goes on, and leaves no record."""
    with Emulator(golden_store(), profile=profile, ready=False) as emulator, connected(emulator) as connection:
        emulator.inject(faults.Reply(500, b""), times=None)
        heard = [
            ask_on(connection, emulator, module.HEALTH_PATH, method=method, token="") for method in ("GET", "HEAD")
        ]
        emulator.open_gate()
        last = say(emulator, f"GET {module.HEALTH_PATH} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        seen = emulator.requests

    assert [(answer.status, answer.body) for answer in heard] == [
        (200, f'{{"status": "healthy", "profile": "{profile}", "ready": false}}'.encode()),
        (200, b""),
    ]
    assert last.endswith(b'"ready": true}')
    assert seen == []


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:"), ("::", "http://[::1]:"), ("::1", "http://[::1]:")]
)
def test_its_url_is_where_it_can_be_found(host: str, url: str) -> None:
    """An address that means every address is none to connect to: the URL has that of this machine."""
    with Emulator(golden_store(), host=host) as emulator:
        assert emulator.url == f"{url}{emulator.port}"
        assert emulator.environment()["AWS_ENDPOINT_URL_STS"] == emulator.url


def test_the_faults_of_a_file(tmp_path: Path) -> None:
    """What a secrets file wants to go wrong goes wrong, and a mistake in it is one of the file."""
    path = tmp_path / "secrets.toml"
    path.write_text('[[faults]]\nname = "bad-gateway"\ntimes = 1\n[[faults]]\nname = "latency"\nseconds = "x"', "utf-8")
    with Emulator(golden_store()) as emulator:
        with pytest.raises(SecretsFileError) as raised:
            emulator.inject_faults_of(load_secrets_file(path))
        statuses = [ask(emulator, SECRET).status for _ in range(2)]

    assert str(raised.value) == f"{path}, [[faults]] 1: the fault 'latency' wants a number for 'seconds'."
    assert statuses == [502, 200]


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_a_connection_can_have_an_age(profile: str) -> None:
    """A connection is dropped at its age though nobody uses it, and the next one is served."""
    with Emulator(golden_store(), profile=profile, max_connection_age=0.2) as emulator:  # type: ignore[arg-type]
        with connected(emulator) as connection:
            ask_on(connection, emulator, SECRET)
            assert connection.sock.recv(1) == b""

        assert ask(emulator, SECRET).status == 200


def test_many_clients_at_once() -> None:
    """Connections are served side by side: each of many clients hears its own answer."""
    store = MemoryStore()
    for number in range(16):
        store.put_secret(f"s{number}", f"value {number}")

    def ask_often(number: int) -> set[bytes]:
        with connected(emulator) as connection:
            target = f"/secretsmanager/get?secretId=s{number}"
            return {ask_on(connection, emulator, target).body for _ in range(20)}

    with Emulator(store, secrets_ttl=300) as emulator, ThreadPoolExecutor(16) as pool:
        heard = list(pool.map(ask_often, range(16)))

    assert [len(bodies) for bodies in heard] == [1] * 16
    assert [f'"value {number}"'.encode() in bodies.pop() for number, bodies in enumerate(heard)] == [True] * 16
