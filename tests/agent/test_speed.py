"""What a warm batch from Amazon's agent costs beside bare sockets: a report, and one rule that no noise breaks."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from statistics import median
from typing import Annotated, Any

import pytest

from lambdasecrets import Secret, inject_secrets, use_session
from tests.agent.conftest import TOKEN, Run
from tests.dev.aws_double import AwsDouble

NAMES = (1, 3, 10)
ROUNDS = 300
MOST_OVER_ONE = 3.0
GOALS = {1: 1.6, 3: 2.2, 10: 2.5}


def handler(names: int) -> Callable[[Any, Any], Any]:
    """Write a handler that declares so many secrets."""
    scope: dict[str, Any] = {"Annotated": Annotated, "Secret": Secret}
    parameters = ", ".join(f"s{number}: Annotated[str, Secret('speed/{number}')]" for number in range(names))
    exec(f"def handler(event, context, *, {parameters}): return None", scope)  # noqa: S102 - the number is ours
    return inject_secrets(scope["handler"])


@contextmanager
def bare(port: int, names: int) -> Iterator[Callable[[], None]]:
    """Give what asks for as many values over one bare socket: all requests at once, acknowledged at once."""
    paths = (f"/secretsmanager/get?secretId=speed%2F{number}" for number in range(names))
    head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Aws-Parameters-Secrets-Token: {TOKEN}\r\n\r\n"
    requests = "".join(f"GET {path} {head}" for path in paths).encode()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask() -> None:
            plain.sendall(requests)
            received = plain.recv(65536)
            while received.count(b'"CreatedDate"') < names or not received.endswith(b"}"):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                received += plain.recv(65536)

        yield ask


def timed(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Call in turns; give the median of each, in milliseconds."""
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 20):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number >= 20:
                seen[name].append((time.perf_counter() - began) * 1000)
    return {name: median(times) for name, times in seen.items()}


def report(figures: tuple[int, dict[str, float]]) -> str:
    """Write a line about a number of names."""
    names, times = figures
    over = times["ours"] / times["bare"]
    return (
        f"{names} from the agent: {times['ours']:.3f} ms, bare sockets {times['bare']:.3f} ms: "
        f"{over:.2f} x (goal {GOALS[names]})"
    )


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="this system has no TCP_QUICKACK")
def test_a_batch_costs_little_more_than_one(run: Run, aws: AwsDouble, capsys: pytest.CaptureFixture[str]) -> None:
    """No warm batch of three takes more than three times what one value takes, over the default transport."""
    client = aws.client("secretsmanager")
    for number in range(max(NAMES)):
        client.create_secret(Name=f"speed/{number}", SecretString="x" * 100)
    found: dict[int, dict[str, float]] = {}
    with run() as agent:
        use_session(None)
        for names in NAMES:
            ours = handler(names)
            with bare(agent.port, names) as ask:
                found[names] = timed({"ours": lambda ours=ours: ours({}, None), "bare": ask})  # type: ignore[misc]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n  {line}" for line in map(report, found.items())))

    assert found[3]["ours"] < MOST_OVER_ONE * found[1]["ours"]
