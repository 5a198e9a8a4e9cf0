"""Run Amazon's agent as its documentation says: `sm start` with a configuration file, credentials and a token."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.dev.aws_double import REGION

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
_PORTS_TRIED = 5
_HEALTHY = (200, b"healthy")


class AgentError(Exception):
    """The agent did not start; the text has what it wrote."""


@dataclass(frozen=True)
class Agent:
    """A running agent.

    Attributes:
        port: where it listens, on 127.0.0.1.
        pid: its process.
        output: the file with all that it wrote, its log included.
    """

    port: int
    pid: int
    output: Path

    @property
    def log(self) -> str:
        """All that it wrote so far."""
        return self.output.read_text(errors="replace")


def configuration(port: int, **settings: object) -> str:
    """Write the smallest configuration; settings are those of Secrets Manager, `cache` and `prefetch` are tables."""
    tables = {name: settings.pop(name) for name in ("cache", "prefetch") if name in settings}
    lines = ["[logging]", "log_to_file = false", 'log_level = "INFO"', "[capabilities.secrets_manager]"]
    lines += _entries({"http_port": port, "region": REGION, **settings})
    for name, table in tables.items():
        lines += [f"[capabilities.secrets_manager.{name}]", *_entries(table)]
    return "\n".join([*lines, ""])


def _entries(table: object) -> list[str]:
    assert isinstance(table, Mapping)
    return [f"{name} = {value if isinstance(value, str) and value[:1] in '[{' else json.dumps(value)}"
            for name, value in table.items()]  # fmt: skip


@contextmanager
def running_agent(
    binary: Path, environ: Mapping[str, str], folder: Path, *, port: int | None = None, **settings: object
) -> Iterator[Agent]:
    """Run the agent until the end of the block.

    Args:
        binary: the agent.
        environ: its environment: credentials, the Region, the endpoint and the token; PATH is added.
        folder: for its configuration and its output.
        port: where to listen; None for any free one.
        settings: see `configuration`.

    Raises:
        AgentError: it ended, or did not answer in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in reversed(range(_PORTS_TRIED)):
        wanted = _free_port() if port is None else port
        process = _started(binary, environ, folder, configuration(wanted, **settings))
        agent = Agent(wanted, process.pid, folder / "agent.log")
        try:
            if _is_up(process, wanted):
                yield agent
                return
            if port is not None or not left or "Address already in use" not in agent.log:
                raise AgentError(agent.log)
        finally:
            process.kill()  # it has nothing to put in order
            process.wait(_STOP_SECONDS)


def _started(binary: Path, environ: Mapping[str, str], folder: Path, text: str) -> subprocess.Popen[bytes]:
    (folder / "agent.toml").write_text(text)
    with (folder / "agent.log").open("ab") as output:
        return subprocess.Popen(
            [str(binary), "sm", "start", "--config", "agent.toml"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if is_healthy(port):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def is_healthy(port: int) -> bool:
    """Tell whether an agent on this port says that it is healthy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_STOP_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/ping")
            response = connection.getresponse()
            return (response.status, response.read()) == _HEALTHY
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
