"""Run the command line: in this process where that is enough, in one of its own where signals are needed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app

SECONDS = 60.0  # long enough for a busy machine: no test waits for it


def run(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process and return its exit code, standard output and standard error."""
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, done.stderr


@dataclass
class Served:
    """A running `serve`.

    Attributes:
        printed: its standard output so far: the first line.
    """

    process: subprocess.Popen[str]
    printed: str

    @property
    def variables(self) -> dict[str, str]:
        """What it printed, with `--format json`."""
        variables: dict[str, str] = json.loads(self.printed)
        return variables

    def ask(self, target: str, token: str | None = None, host: str = "127.0.0.1") -> tuple[int, str]:
        """Ask by plain HTTP and return the status and the body."""
        port = int(self.variables["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"])
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
        right = self.variables.get("AWS_SESSION_TOKEN", "") if token is None else token
        connection.request("GET", target, headers={"X-Aws-Parameters-Secrets-Token": right})
        answer = connection.getresponse()
        status, body = answer.status, answer.read().decode()
        connection.close()
        return status, body

    def end(self) -> str:
        """End it, and return its standard error."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=SECONDS)[1]


@contextmanager
def serving(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Run `serve` on a free port in a folder; give it when it listens."""
    command = [sys.executable, "-m", "lambdasecrets", "serve", "--port", "0", "--format", "json", *options]
    inherited = {name: value for name, value in os.environ.items() if name != "AWS_SESSION_TOKEN"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        too_late = threading.Timer(SECONDS, process.kill)
        too_late.start()
        try:
            assert process.stdout is not None
            yield Served(process, process.stdout.readline())
        finally:
            too_late.cancel()
            process.kill()


def until(happened: Callable[[], object], seconds: float = SECONDS) -> float:
    """Wait for something that another process is about to do, and return how long it took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, "It did not happen."
        time.sleep(0.02)
    return time.monotonic() - began
