"""Against AWS's own agent, over a double of AWS: what a warm batch costs beside bare sockets with the same option."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants as ways
from benchmarks.inprocess import PROCESSOR, written_names
from benchmarks.measuring import Contestant, closing_all, pinned, timed
from benchmarks.results import Part, Target
from benchmarks.servers import VALUE_BYTES, value
from tests.agent._agent import running_agent
from tests.agent._binary import VERSION, MissingToolError, agent_binary
from tests.dev.aws_double import running_aws

TABLE = f"{VALUE_BYTES} B, from the agent {VERSION}"
BARE = "bare sockets, pipelined"

_GOALS = {1: 1.6, 3: 2.2, 10: 2.5}
_TURN_SECONDS = 0.004
_SECONDS = 60.0
_RECEIVED_BYTES = 65536
_ACTIONS = ("secretsmanager:GetSecretValue", "sts:GetCallerIdentity")


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        names: numbers of secrets.
        rounds: turns of each contestant.
    """

    names: tuple[int, ...]
    rounds: int


FULL = Scale((1, 3, 10), rounds=31)
QUICK = Scale((1, 3), rounds=5)


def measure(scale: Scale) -> Part:
    """Measure hits."""
    part = Part("agent")
    try:
        binary = agent_binary()
    except (MissingToolError, subprocess.SubprocessError) as reason:
        part.notes.append(f"Not measured: {reason}")
        return part
    with tempfile.TemporaryDirectory() as folder, running_aws(Path(folder)) as aws, ways.restored():
        secrets = aws.client("secretsmanager")
        for number in range(max(scale.names)):
            secrets.create_secret(Name=f"s{number}", SecretString=value(VALUE_BYTES))
        environ = {**aws.environment(*_ACTIONS), "AWS_TOKEN": ways.TOKEN}
        with pinned(1), running_agent(binary, environ, Path(folder) / "agent") as agent, pinned(0):
            # The library takes the agent's token from where the agent takes it.
            os.environ["AWS_TOKEN"] = ways.TOKEN
            for names in scale.names:
                _hits(part, agent.port, names, scale.rounds)
    return part


def _hits(part: Part, port: int, names: int, rounds: int) -> None:
    with closing_all(_asking(port, names)) as contestants:
        found = timed(contestants, rounds=rounds, turn_seconds=_TURN_SECONDS)
    case = written_names(names)
    part.add(TABLE, case, found.wall, "us")
    part.add(TABLE, case, found.processor, PROCESSOR)
    over = found.ratio(ways.LEAN, BARE)
    part.targets.append(Target(f"{case} from the agent: {ways.LEAN} / {BARE}", over, _GOALS[names]))


def _asking(port: int, names: int) -> Iterator[Contestant]:
    yield bare(port, names)
    yield ways.ours(ways.LEAN, port, names)
    yield ways.ours(ways.REQUESTS, port, names, transport="requests")
    yield ways.http_serial(port, names)


def bare(port: int, names: int) -> Contestant:
    """Send all requests at once on one socket, and acknowledge each answer at once where the system can."""
    plain = socket.create_connection(("127.0.0.1", port), _SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent = ways.requests_for(port, names)
    expected = 0

    def run() -> None:
        nonlocal expected
        plain.sendall(sent)
        received = plain.recv(_RECEIVED_BYTES)
        while len(received) < expected or (not expected and received.count(b'"CreatedDate"') < names):
            if hasattr(socket, "TCP_QUICKACK"):
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            received += plain.recv(_RECEIVED_BYTES)
        expected = len(received)

    run()
    return Contestant(BARE, run, close=plain.close)
