"""Amazon's agent as a Lambda extension, under Amazon's emulator, started by the example's launcher."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tests.agent._agent import configuration
from tests.agent.conftest import ACTIONS
from tests.dev.aws_double import AwsDouble
from tests.e2e._binary import NoBinaryError, rie_binary
from tests.e2e._rie import (
    EXTENSIONS,
    Function,
    accepts,
    free_port,
    installed_extension,
    running_function,
    wait_until,
)
from tests.pages import ROOT

LAUNCHER = ROOT / "examples/agent/agent-extension"
STOP_SECONDS = 10.0

RunFunction = Callable[..., AbstractContextManager[tuple[Function, int]]]
"""Takes a handler as `module.function`; gives the function and the agent's port."""


@pytest.fixture(scope="session")
def emulator() -> Path:
    """Give Amazon's emulator of Lambda, where it can run."""
    nearest = next(folder for folder in (EXTENSIONS, *EXTENSIONS.parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        pytest.skip(f"{EXTENSIONS} is where Lambda looks for extensions, and this user cannot write there")
    try:
        return rie_binary()
    except NoBinaryError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def run_function(emulator: Path, binary: Path, aws: AwsDouble, tmp_path: Path) -> Iterator[RunFunction]:
    """Run a handler of tests/e2e with the agent as its extension."""
    started = tmp_path / "started"

    @contextmanager
    def run(handler: str) -> Iterator[tuple[Function, int]]:
        port = free_port()
        (tmp_path / "agent.toml").write_text(configuration(port))
        noting = tmp_path / "agent"
        noting.write_text(f'#!/bin/sh\necho $$ >> "{started}"\nexec "{binary}" "$@"\n')
        noting.chmod(0o755)
        environ = {
            **aws.environment(*ACTIONS),
            "AGENT_BINARY": str(noting),
            "AGENT_CONFIG": str(tmp_path / "agent.toml"),
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
        }
        with (
            installed_extension(LAUNCHER),
            running_function(emulator, handler, environ, tmp_path, python=Path(sys.executable)) as function,
        ):
            yield function, port

    yield run
    # Where the emulator is killed it leaves the agent behind.
    for process in started.read_text().split() if started.exists() else []:
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


def test_the_first_invocation_waits_for_the_agent(run_function: RunFunction, aws: AwsDouble, tmp_path: Path) -> None:
    """The agent starts with the first invocation, which waits and gets its values; so do those that follow."""
    aws.client("secretsmanager").create_secret(Name="rotating", SecretString="made up")
    with run_function("rotating.plain") as (function, port):
        was_open = accepts(port)
        answers = [function.invoke() for _ in range(5)]
        is_open = accepts(port)

    assert (was_open, is_open) == (False, True)
    assert answers == ["made up"] * 5
    assert len((tmp_path / "started").read_text().split()) == 1


def test_a_rotation(run_function: RunFunction, aws: AwsDouble) -> None:
    """After a failed login the handler gets the new value through the agent, past its cache."""
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="rotating", SecretString="first")
    with run_function("rotating.retrying") as (function, _):
        before = function.invoke("first")
        secrets.put_secret_value(SecretId="rotating", SecretString="second")
        after = [function.invoke("second") for _ in range(3)]

    assert (before, after) == ("connected with first", ["connected with second"] * 3)


def test_shutdown(run_function: RunFunction, aws: AwsDouble) -> None:
    """The agent ends with its environment, and its port is free."""
    aws.client("secretsmanager").create_secret(Name="rotating", SecretString="made up")
    with run_function("rotating.plain") as (function, port):
        function.invoke()
        assert accepts(port)
    wait_until(lambda: not accepts(port), STOP_SECONDS, "the agent's port is free")

    assert "Reset initiated: SandboxTerminated" in function.log
