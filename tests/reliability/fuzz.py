"""What reads what others wrote: fed with anything, it gives a value or one of the library's errors.

The judges here serve hypothesis, in the tests, and atheris, which `make fuzz` runs in processes of its own.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lambdasecrets import Parameter, ResolutionError, Secret, Subject
from lambdasecrets._clock import Deadline
from lambdasecrets._hiding import Token
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.local import LocalSource, Server
from lambdasecrets._sources.request import Request
from lambdasecrets._transports import Address, Answer, NoAnswer, Transport
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport, _Connection
from lambdasecrets.dev._emulator.http_server import Connection
from tests.reliability.canary import CANARY, is_shown, watched_logs
from tests.reliability.machine import PAGE, say, stamp, table, write_section
from tests.serving import answer, serving

SECONDS = 60
_SPARE_SECONDS = 60
_EXCHANGE_SECONDS = 5.0
_NO_RETRY_SECONDS = 0.005
"""Long enough for an answer that is there, too short for any retry that waits."""
_HERE = Path(__file__).parents[2]
_GOLDEN = _HERE / "tests" / "golden"
_ENGINE = (sys.executable, "-m", "tests.reliability.engine")
_SAID_CHARACTERS = 3000
_FOREIGN = 599
_NOWHERE = Address("127.0.0.1", 9)
_CONNECTIONS = 3

_SUBJECT = Subject("fuzz", ("value",), ("declared",))
REQUESTS = (
    Request("/secret", Secret("s"), _SUBJECT),
    Request("/parameter", Parameter("/p"), _SUBJECT, is_optional=True),
)


class _Fixed:
    """A transport with one answer to everything."""

    def __init__(self, told: Answer) -> None:
        self._told = told

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        seconds: float,
        *,
        anew: bool = False,
    ) -> dict[str, Answer | NoAnswer]:
        return {path: self._told for lane in lanes for path in lane}

    def close(self) -> None: ...

    def forget_parent(self) -> None: ...


def judge_envelope(request: Request, status: int, body: bytes) -> RawValue | ResolutionError:
    """Read an answer as the client does. A `$` in the body becomes a canary, which no error may show.

    Raises:
        AssertionError: what came of it is neither a value nor an error of the tree, or shows the body.
    """
    client = LocalSource(_Fixed(Answer(status, body.replace(b"$", CANARY.encode()))))
    limit = Deadline(time.monotonic() + _NO_RETRY_SECONDS, _NO_RETRY_SECONDS, "timeout")
    outcome = client.fetch(Server(_NOWHERE), [request], limit)[request.path]
    if isinstance(outcome, RawValue):
        assert CANARY not in repr(outcome.replace(version="")), "A value shows itself."
    else:
        assert isinstance(outcome, ResolutionError), "What came of it is of no known kind."
        assert not is_shown(outcome), "An error shows the body."
    return outcome


def envelope(data: bytes) -> None:
    """Judge an answer made of bytes: one for what was asked, two for the status, the rest for the body."""
    if len(data) > 3:
        status = 200 + int.from_bytes(data[1:3], "big") % 400
        # Half of the inputs go where most of the code is.
        judge_envelope(REQUESTS[data[0] & 1], 200 if data[0] & 2 else status, data[3:])


class Scripted:
    """A server that answers the first request of every connection with the same bytes, then closes.

    Attributes:
        script: the bytes.
    """

    def __init__(self, script: bytes = b"") -> None:
        self.script = script

    @contextmanager
    def listening(self) -> Iterator[Address]:
        """Listen on a free port."""
        with serving(self._serve) as server:
            yield Address("127.0.0.1", server.port)

    def _serve(self, connection: Connection) -> None:
        connection.read_request()
        connection.send(self.script)


def judge_transports(server: Scripted, address: Address, data: bytes) -> Answer | NoAnswer:
    """Read bytes as the lean transport does, and hold it against `requests`. A `$` becomes a canary for the logs.

    Raises:
        AssertionError: there is no outcome, the two read different answers, or a log shows what was sent.
    """
    server.script = data.replace(b"$", CANARY.encode())
    lanes = [["/1", "/2"], ["/3"]]
    with watched_logs() as log:
        several = _exchanged(LeanTransport(RequestsTransport), address, lanes)
        lean = _exchanged(LeanTransport(RequestsTransport), address, [["/"]])["/"]
        other = _exchanged(RequestsTransport(), address, [["/"]])["/"] if isinstance(lean, Answer) else NoAnswer.GARBLED
    assert several.keys() == {"/1", "/2", "/3"}, "A path has no outcome."
    assert lean is not NoAnswer.REFUSED, "The bytes were not read."
    assert isinstance(other, NoAnswer) or (
        isinstance(lean, Answer) and (lean.status, lean.body) == (other.status, other.body)
    ), "The two transports read different answers."
    assert not log.leaks, "A log shows what was sent."
    return lean


def _exchanged(transport: Transport, address: Address, lanes: Sequence[Sequence[str]]) -> dict[str, Answer | NoAnswer]:
    try:
        return transport.exchange(address, lanes, {"token": "t"}, _EXCHANGE_SECONDS)
    finally:
        transport.close()


def transports(data: bytes) -> None:
    """Judge bytes on a real connection."""
    server = Scripted()
    with server.listening() as address:
        judge_transports(server, address, data)


def http(data: bytes) -> None:
    """Judge bytes in the place of an answer, for the lean transport alone: no server, no thread, so many more inputs.

    Raises:
        AssertionError: a path has no outcome.
    """
    with ExitStack() as open_sockets:
        transport = LeanTransport(lambda: _Fixed(Answer(_FOREIGN, b"")))
        # It takes idle connections first, so it connects to nothing.
        transport._idle[_NOWHERE] = [open_sockets.enter_context(_told(data)) for _ in range(_CONNECTIONS)]
        outcomes = _exchanged(transport, _NOWHERE, [["/1", "/2"]])
    assert outcomes.keys() == {"/1", "/2"}, "A path has no outcome."


@contextmanager
def _told(data: bytes) -> Iterator[_Connection]:
    """Give a connection whose other side has sent these bytes and will send no more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield _Connection(ours)


TARGETS: Mapping[str, Callable[[bytes], None]] = {"envelope": envelope, "http": http, "transports": transports}


def seeds(target: str) -> list[bytes]:
    """Give inputs to begin with: the servers' own answers."""
    bodies = [path.read_bytes() for path in sorted(_GOLDEN.glob("[ae]*.*"))]
    if target == "envelope":
        heads = (b"\x02\x00\x00", b"\x03\x00\x00", b"\x00\x00\xc8", b"\x01\x00\xc8")
        return [head + body for head in heads for body in bodies]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    until_closed = b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello"
    return [chunked, until_closed, *map(answer, bodies)]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of fuzzing a target.

    Attributes:
        tried: how many inputs.
        edges: how many branches of the code they reached.
        crashed: whether one of them broke it.
        said: the end of what the fuzzer said.
    """

    target: str
    tried: int
    edges: int
    crashed: bool
    said: str


def fuzzed(target: str, seconds: int, engine: Sequence[str] = _ENGINE) -> Run:
    """Fuzz a target in a process of its own.

    Raises:
        subprocess.TimeoutExpired: it does not end.
    """
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds(target)):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        bounds = (f"-max_total_time={seconds}", "-timeout=20", "-print_final_stats=1", f"-artifact_prefix={folder}/")
        ended = subprocess.run(
            [*engine, target, *bounds, folder],
            cwd=_HERE,
            env={**os.environ, "AWS_SESSION_TOKEN": "t"},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=seconds + _SPARE_SECONDS,
            check=False,
        )
    said = ended.stderr
    tried = _last_number(r"stat::number_of_executed_units: +(\d+)", said)
    return Run(target, tried, _last_number(r" cov: (\d+)", said), ended.returncode != 0, said[-_SAID_CHARACTERS:])


def _last_number(pattern: str, text: str) -> int:
    return int(([0, *re.findall(pattern, text)])[-1])


def main(page: Path = PAGE, seconds: int = SECONDS, engine: Sequence[str] = _ENGINE) -> int:
    """Fuzz every target and write the figures into the documentation. Give 1 if one of them crashed."""
    runs: list[Run] = []
    for target in TARGETS:
        say(f"Fuzzing {target} for {seconds} s ...")
        run = fuzzed(target, seconds, engine)
        runs.append(run)
        say(f"{run.tried:,} inputs, {run.edges} edges, {'crashed' if run.crashed else 'no crash'}")
        if run.crashed:
            say(run.said)
    head = ("target", "inputs tried", "edges reached", "**crashes and foreign exceptions**")
    rows = [[run.target, f"{run.tried:,}", run.edges, f"**{int(run.crashed)}**"] for run in runs]
    write_section(page, "fuzz", [f"Measured {stamp()}, {seconds} s each.", "", *table(head, rows)])
    return int(any(run.crashed for run in runs))


if __name__ == "__main__":
    sys.exit(main())
