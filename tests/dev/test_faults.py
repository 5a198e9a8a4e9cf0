"""Faults are heard by `http.client` and bare sockets: what a client of any kind would see."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, is_dataclass

import pytest

from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from tests.dev.asking import SECONDS, ask, ask_on, connected, say, until
from tests.golden import golden, golden_store

SECRET = "/secretsmanager/get?secretId=s"
OTHER = "/secretsmanager/get?secretId=b"
GOLDEN = golden("extension_secret.json")


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Start an extension."""
    with Emulator(golden_store()) as emulator:
        yield emulator


def raw(emulator: Emulator) -> bytes:
    """Ask on a bare socket and read until the connection ends."""
    lines = [f"GET {SECRET} HTTP/1.1", "Connection: close", f"X-Aws-Parameters-Secrets-Token: {emulator.token}", "", ""]
    return say(emulator, "\r\n".join(lines).encode())


def is_open(emulator: Emulator) -> bool:
    """Tell whether a connection is accepted."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", emulator.port)) == 0


@pytest.mark.parametrize("name", faults.EVERY_FAULT)
def test_every_fault_is_frozen_data(name: str) -> None:
    """A fault is a frozen dataclass that compares by its settings, so that a matrix can be made of them."""
    fault = faults.EVERY_FAULT[name]

    assert is_dataclass(fault)
    with pytest.raises(FrozenInstanceError):
        fault.seconds = 1.0  # type: ignore[misc]


def test_every_fault_is_listed() -> None:
    """Each class of fault has a name in `EVERY_FAULT`, and everything visible is public."""
    listed = {type(fault).__name__ for fault in faults.EVERY_FAULT.values()}

    assert listed | {"EVERY_FAULT", "Exchange", "Fault"} == set(faults.__all__)
    assert sorted(faults.__all__, key=lambda name: (not name.isupper(), name)) == faults.__all__


@pytest.mark.parametrize(
    "fault",
    [
        faults.Latency(seconds=0.01),
        faults.SlowDrip("head", size=64, interval=0.001),
        faults.SlowDrip("body", size=64, interval=0.001),
        faults.Chunked(),
        faults.NoLength(),
    ],
    ids=repr,
)
def test_faults_that_still_answer(emulator: Emulator, fault: faults.Fault) -> None:
    """An answer that is late, slow or oddly framed is right all the same, and so is the next one."""
    emulator.inject(fault)
    heard = [ask(emulator, SECRET) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in heard] == [(200, GOLDEN)] * 2


@pytest.mark.parametrize("fault", [faults.Latency(seconds=0.2), faults.SlowDrip("body", size=1000, interval=0.1)])
def test_faults_that_take_time(emulator: Emulator, fault: faults.Fault) -> None:
    """Latency and drops take at least the time that they say."""
    emulator.inject(fault)
    started = time.monotonic()
    ask(emulator, SECRET)

    assert time.monotonic() - started >= 0.2


def test_a_late_answer_is_in_the_journal_at_once(emulator: Emulator) -> None:
    """A request that a client gives up is counted without waiting for the fault's end, and only once."""
    emulator.inject(faults.Latency(seconds=3600))
    with connected(emulator) as connection:
        connection.request("GET", SECRET, headers={"X-Aws-Parameters-Secrets-Token": emulator.token})
        until(lambda: emulator.requests)

    assert [record.status for record in emulator.requests] == [200]


def test_a_kept_alive_connection_survives_faults_that_answer(emulator: Emulator) -> None:
    """After an answer in drops or chunks the same connection goes on."""
    emulator.inject(faults.SlowDrip(size=100, interval=0.001))
    emulator.inject(faults.Chunked(size=1000))
    with connected(emulator) as connection:
        heard = [ask_on(connection, emulator, SECRET).body for _ in range(3)]

    assert heard == [GOLDEN] * 3
    assert [record.connection for record in emulator.requests] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("not-ready", 400, golden("extension_not_ready.txt")),
        ("bad-session-token", 401, golden("extension_bad_token.txt")),
        ("bad-token", 403, golden("agent_bad_token.txt")),
        ("unresolved", 400, golden("extension_unresolved.txt")),
        ("crowded", 429, golden("agent_crowded.txt")),
        ("internal-error", 500, b"Internal Server Error"),
        ("bad-gateway", 502, b"Bad Gateway"),
        ("unavailable", 503, b"Service Unavailable"),
        ("not-json", 200, b"<html>It works!</html>"),
        ("no-fields", 200, b"{}"),
    ],
)
def test_other_answers(emulator: Emulator, name: str, status: int, body: bytes) -> None:
    """A fault can be another answer, a given number of times."""
    emulator.inject(faults.EVERY_FAULT[name], times=2)
    heard = [ask(emulator, SECRET) for _ in range(3)]

    assert [(status, body), (status, body), (200, GOLDEN)] == [(answer.status, answer.body) for answer in heard]


def test_a_redirect(emulator: Emulator) -> None:
    """A redirect points where it is told to."""
    emulator.inject(faults.Redirect("http://127.0.0.1:1/decoy", status=307))
    heard = ask(emulator, SECRET)

    assert (heard.status, heard.headers["Location"]) == (307, "http://127.0.0.1:1/decoy")


@pytest.mark.parametrize("fault", [faults.ResetBeforeAnswer(), faults.ResetInsideAnswer()], ids=repr)
def test_resets(emulator: Emulator, fault: faults.Fault) -> None:
    """A reset connection fails with the system's reset, before the answer or inside it."""
    emulator.inject(fault)

    with pytest.raises(ConnectionResetError):
        ask(emulator, SECRET)


def test_a_reset_inside_an_answer_comes_after_half_of_it(emulator: Emulator) -> None:
    """The head and half of the body arrive before the reset."""
    emulator.inject(faults.ResetInsideAnswer())
    with connected(emulator) as connection:
        connection.request("GET", SECRET, headers={"X-Aws-Parameters-Secrets-Token": emulator.token})
        response = connection.getresponse()

        assert (response.status, response.read(len(GOLDEN) // 2)) == (200, GOLDEN[: len(GOLDEN) // 2])
        with pytest.raises(ConnectionResetError):
            response.read()


def test_a_truncated_body(emulator: Emulator) -> None:
    """A truncated body ends in good order before its announced length."""
    emulator.inject(faults.Truncated())

    with pytest.raises(http.client.IncompleteRead) as raised:
        ask(emulator, SECRET)

    assert raised.value.partial == GOLDEN[: len(GOLDEN) // 2]


def test_an_answer_of_http_1_0(emulator: Emulator) -> None:
    """An answer without a length ends with its connection."""
    emulator.inject(faults.NoLength())
    head, _, body = raw(emulator).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Content-Length" not in head
    assert body == GOLDEN


def test_chunks(emulator: Emulator) -> None:
    """A chunked answer is valid: sizes in hexadecimal, and an empty chunk at the end."""
    emulator.inject(faults.Chunked(size=200))
    _, _, body = raw(emulator).partition(b"\r\n\r\n")

    assert body == b"c8\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (GOLDEN[:200], len(GOLDEN) - 200, GOLDEN[200:])


@pytest.mark.parametrize("declared", [True, False])
def test_a_huge_body(emulator: Emulator, declared: bool) -> None:
    """A huge body has the size that it should, announced or not, and ends the connection."""
    emulator.inject(faults.HugeBody(size=1_000_000, declared=declared))
    head, _, body = raw(emulator).partition(b"\r\n\r\n")

    assert (b"Content-Length: 1000000" in head) is declared
    assert (len(body), body[:20]) == (1_000_000, b'{"SecretString":"xxx')


def test_a_hang_ends_when_the_client_leaves(emulator: Emulator) -> None:
    """A request that hangs gets no answer, and its thread ends with the client's patience."""
    emulator.inject(faults.Hang())
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=SECONDS) as connection:
        connection.sendall(f"GET {SECRET} HTTP/1.1\r\n\r\n".encode())
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    until(lambda: "emulator-connection" not in {thread.name for thread in threading.enumerate()})

    assert [record.status for record in emulator.requests] == [None]


def test_a_hang_can_have_an_end(emulator: Emulator) -> None:
    """After its seconds a hanging connection is closed without an answer."""
    emulator.inject(faults.Hang(seconds=0.01))

    assert raw(emulator) == b""


def test_stopping_ends_a_hang(emulator: Emulator) -> None:
    """A server that stops does not wait for the requests that it lets hang."""
    emulator.inject(faults.Hang(seconds=3600))
    with connected(emulator) as connection:
        connection.request("GET", SECRET)
        until(lambda: emulator.requests)
        emulator.stop()

        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()


def test_a_kept_alive_connection_is_dropped(emulator: Emulator) -> None:
    """Only a request on a reused connection is dropped: one on a fresh connection leaves the fault waiting."""
    emulator.inject(faults.DropKeptAlive())
    with connected(emulator) as connection:
        assert ask_on(connection, emulator, SECRET).status == 200
        with pytest.raises(http.client.RemoteDisconnected):
            ask_on(connection, emulator, SECRET)

        assert ask_on(connection, emulator, SECRET).status == 200
    assert [record.status for record in emulator.requests] == [200, None, 200]


def test_refusing_for_a_while(emulator: Emulator) -> None:
    """Connections are refused for as long as the fault says, and then accepted again."""
    emulator.inject(faults.Refuse(seconds=0.2), times=2)
    with pytest.raises(ConnectionRefusedError):
        ask(emulator, SECRET)
    until(lambda: is_open(emulator))

    assert ask(emulator, SECRET).status == 200


def test_refusing_until_told_otherwise(emulator: Emulator) -> None:
    """Without a number of times the port stays closed until the faults are cleared, whatever was injected before."""
    emulator.inject(faults.Refuse(seconds=0.05))
    emulator.inject(faults.Refuse(), times=None)
    time.sleep(0.1)  # the first would be over by now
    with pytest.raises(ConnectionRefusedError):
        ask(emulator, SECRET)
    emulator.clear_faults()

    assert ask(emulator, SECRET).status == 200


def test_faults_come_in_order_and_for_their_targets(emulator: Emulator) -> None:
    """The first injected of the faults that match a request is played; others wait for theirs."""
    emulator.inject(faults.Reply(500, b"first"))
    emulator.inject(faults.Reply(500, b"for b"), times=None, match="secretId=b")
    emulator.inject(faults.Reply(500, b"second"))
    heard = [ask(emulator, target).body for target in (SECRET, OTHER, SECRET, OTHER, SECRET)]
    emulator.clear_faults()

    assert heard == [b"first", b"for b", b"second", b"for b", GOLDEN]
    assert ask(emulator, OTHER).status == 200


def test_a_fault_that_cannot_be(emulator: Emulator) -> None:
    """A fault for no request, and a closed port that should look at targets, are refused."""
    with pytest.raises(ValueError, match=r"^Cannot inject a fault for less than 1 time\.$"):
        emulator.inject(faults.Hang(), times=0)
    with pytest.raises(ValueError, match=r"^Cannot match a target with Refuse: a closed port sees none\.$"):
        emulator.inject(faults.Refuse(), match="x")
