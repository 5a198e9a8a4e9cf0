"""The library against small servers on other people's HTTP stacks, with the answers of the extension."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import pytest

from lambdasecrets import Secret, inject_secrets, resolve, use_session
from lambdasecrets._transports import Address
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.dev.asking import ask
from tests.foreign._toolchains import HERE, built, running
from tests.foreign.conftest import Found

NAMES = 50
LARGE = "x" * 60_000
ROUNDS = 200
MOST_OVER_ONE = 3.0
SERVERS = HERE / "servers"


def path_of(name: str) -> str:
    """Write the target that asks for a name."""
    return f"/secretsmanager/get?secretId={name}"


def go() -> list[str | Path]:
    """Build the server on Go's net/http."""
    return [built(SERVERS / "go", ["go", "build", "-o", "server", "."], "go") / "server", "json"]


def node() -> list[str | Path]:
    """Find the server on Node's http."""
    return ["node", built(SERVERS / "server.mjs", ["node", "--check", "server.mjs"], "node") / "server.mjs", "json"]


def java() -> list[str | Path]:
    """Compile the server on jdk.httpserver."""
    classes = built(SERVERS / "Server.java", ["javac", "Server.java"], "javac", "java")
    return ["java", "-cp", classes, "Server", "lines"]


def python() -> list[str | Path]:
    """Find the server on Python's http.server."""
    return [sys.executable, SERVERS / "server.py", "json"]


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Write down what the extension answers: as JSON, and line by line for Java."""
    store = MemoryStore()
    for number in range(NAMES):
        store.put_secret(f"s{number}", f"value {number}")
    store.put_secret("large", LARGE)
    with Emulator(store) as emulator:
        targets = [path_of(name) for name in (*(f"s{number}" for number in range(NAMES)), "large")]
        bodies = {target: ask(emulator, target).body for target in targets}
    folder = tmp_path_factory.mktemp("answers")
    (folder / "json").write_text(json.dumps({target: body.decode() for target, body in bodies.items()}))
    lines = (f"{target} {base64.b64encode(body).decode()}\n" for target, body in bodies.items())
    (folder / "lines").write_text("".join(lines))
    return {kind: folder / kind for kind in ("json", "lines")}


@pytest.fixture(scope="module", params=[go, node, java, python], ids=lambda build: build.__name__)
def port(request: pytest.FixtureRequest, found: Found, answers: Mapping[str, Path]) -> Iterator[int]:
    """Run one server after the other; give its port."""
    *command, kind = found(request.param)
    with running(*command, answers[str(kind)]) as port:
        yield port


@pytest.fixture(params=["lean", "requests"])
def asking(request: pytest.FixtureRequest, port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lead the library to the server, over one transport, then over the other."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made-up")
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(port))
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", request.param)
    use_session(None)
    return str(request.param)


def handler(names: int) -> Callable[[Any, Any], list[str]]:
    """Write a handler that gives so many values."""
    scope: dict[str, Any] = {"Annotated": Annotated, "Secret": Secret}
    parameters = ", ".join(f"s{number}: Annotated[str, Secret('s{number}')]" for number in range(names))
    values = ", ".join(f"s{number}" for number in range(names))
    exec(f"def handler(event, context, *, {parameters}): return [{values}]", scope)  # noqa: S102 - the number is ours
    return inject_secrets(scope["handler"])


@pytest.mark.parametrize("names", [1, 3, NAMES])
def test_the_values_are_right(asking: str, names: int) -> None:
    """One, three and fifty values come right, cold and warm."""
    ours = handler(names)

    assert [ours({}, None) for _ in range(5)] == [[f"value {number}" for number in range(names)]] * 5


def test_a_large_value(asking: str) -> None:
    """A secret of 60 KB comes whole, again and again."""
    assert [resolve(Secret("large"), str) for _ in range(5)] == [LARGE] * 5


def one_bare(port: int) -> Callable[[], None]:
    """Give what asks for one value over a bare socket that acknowledges at once."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = f"GET {path_of('s0')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def ask_once() -> None:
        plain.sendall(request)
        received = b""
        while b'"ResultMetadata":{}}' not in received:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            received += plain.recv(65536)

    ask_once.close = plain.close  # type: ignore[attr-defined]
    return ask_once


def milliseconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Call in turns; give the median of each."""
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 10):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number >= 10:
                seen[name].append((time.perf_counter() - began) * 1000)
    return {name: median(times) for name, times in seen.items()}


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="this system has no TCP_QUICKACK")
def test_a_batch_of_three(port: int, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    """Over the default transport three values take at most three times what one takes, acknowledged at once."""
    address, paths = Address("127.0.0.1", port), [path_of(f"s{number}") for number in range(3)]
    lean, other = LeanTransport(RequestsTransport), RequestsTransport()
    bare = one_bare(port)
    with closing(lean), closing(other), closing(bare):  # type: ignore[type-var]
        found = milliseconds(
            {
                "bare": bare,
                "one": lambda: lean.exchange(address, [paths[:1]], {}, 10),
                "three": lambda: lean.exchange(address, [paths], {}, 10),
                "requests, one": lambda: other.exchange(address, [paths[:1]], {}, 10),
                "requests, three": lambda: other.exchange(address, [paths], {}, 10),
            }
        )
    with capsys.disabled():
        figures = ", ".join(f"{name} {time:.3f} ms" for name, time in found.items())
        sys.stdout.write(f"\n  {request.node.name}: {figures}")

    assert found["three"] < MOST_OVER_ONE * found["bare"]
