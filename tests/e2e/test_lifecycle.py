from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets.errors import ExtensionNotReadyError, Subject
from tests.dev.aws_double import AwsDouble
from tests.e2e._credentials import credentials_endpoint
from tests.e2e._interpreters import NoInterpreterError, interpreter
from tests.e2e._rie import accepts, free_port
from tests.e2e.conftest import ACTIONS, Run

SHORT_TIMEOUTS = ("1", "2", "3")
"""Seconds, less than a resolve may take. The emulator counts INIT in: on a busy machine the shortest may not do."""
READY = "INFO ready to serve traffic"
ANSWER = {"address": "app@db.internal:5432", "password": "made up", "page_size": 7}


@pytest.fixture(autouse=True)
def _orders(aws: AwsDouble) -> None:
    aws.client("secretsmanager").create_secret(
        Name="test/orders/database", SecretString='{"host": "db.internal", "username": "app", "password": "made up"}'
    )
    aws.client("ssm").put_parameter(Name="/orders/page-size", Value="7", Type="String")


def test_cold_start(run: Run) -> None:
    """The first invocation of a new environment gets its values, typed."""
    with run("orders.handler") as function:
        answer = function.invoke()

    assert answer == ANSWER
    assert (len(function.init_milliseconds), function.log.count(READY)) == (1, 1)


def test_warm_invocations(run: Run) -> None:
    """Later invocations get the same values in the same environment."""
    with run("orders.handler") as function:
        answers = [function.invoke() for _ in range(20)]

    assert answers == [ANSWER] * 20
    assert (len(function.init_milliseconds), len(function.invoke_milliseconds)) == (1, 20)


def test_not_ready_race(run: Run, tmp_path: Path) -> None:
    """A handler that runs before the extension has heard of the first invocation waits for it."""
    late = tmp_path / "lambdasecrets-extension"
    late.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.e2e.late_extension "${{0##*/}}"\n')
    late.chmod(0o755)

    with run("orders.handler", launcher=late, PYTHONPATH=str(Path(__file__).parents[2])) as function:
        answer = function.invoke()

    assert answer == ANSWER
    assert function.log.index("INVOKE START") < function.log.index(READY) < function.log.index("INVOKE RTDONE")
    assert function.invoke_milliseconds[0] > 300


def test_resolve_at_import(run: Run) -> None:
    """A value that is wanted while the module is imported fails INIT with the reason."""
    with run("at_import.handler") as function:
        error = function.invoke()

    subject = Subject("resolve()", (), ("Secret('failing/present')",))
    assert (error["errorType"], error["errorMessage"]) == (
        "ExtensionNotReadyError",
        str(ExtensionNotReadyError(subject, 1.0)),
    )


def test_shutdown(run: Run) -> None:
    """The extension leaves on SHUTDOWN by itself: Lambda need not kill it, and its port is free."""
    port = free_port()

    with run("orders.handler", PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port)) as function:
        function.invoke()
        was_open = accepts(port)

    assert (was_open, accepts(port)) == (True, False)
    assert "Reset initiated: SandboxTerminated" in function.log
    assert "SIGKILL" not in function.log


def test_snapstart_credentials(run: Run, aws: AwsDouble) -> None:
    """Without AWS_SESSION_TOKEN, function and extension both take the token of the credentials endpoint."""
    role = aws.environment(*ACTIONS)

    with credentials_endpoint(role) as changes, run("orders.handler", **changes) as function, aws.enforcing_iam():
        answer = function.invoke()

    assert answer == ANSWER


def test_function_timeout(run: Run) -> None:
    """With a backend that hangs, the handler's error arrives before Lambda ends the function."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        errors = (_error_when_warm(run, endpoint, timeout) for timeout in SHORT_TIMEOUTS)
        error = next(filter(None, errors))

    assert error["errorType"] == "DeadlineExceededError"
    assert "what the invocation had left, less a reserve" in error["errorMessage"]


def _error_when_warm(run: Run, endpoint: str, timeout: str) -> dict[str, Any] | None:
    """Give the error of an invocation behind a warm one; None where no invocation got through INIT in time."""
    with run("failing.warm_or_present", AWS_ENDPOINT_URL=endpoint, AWS_LAMBDA_FUNCTION_TIMEOUT=timeout) as function:
        if not any(function.invoke("warm") == "warm" for _ in range(5)):
            return None
        error: dict[str, Any] = function.invoke("present")
        return error


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_python_versions(run: Run, version: str) -> None:
    """The same handler runs on every supported Python."""
    try:
        python = interpreter(version)
    except NoInterpreterError as reason:
        pytest.skip(str(reason))

    with run("orders.handler", python=python) as function:
        answers = [function.invoke() for _ in range(2)]

    assert answers == [ANSWER] * 2
