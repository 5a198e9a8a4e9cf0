"""What docs/agent.md shows, run: its files by Amazon's agent, its commands by a shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from lambdasecrets import Secret, resolve
from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.invoke import Target
from tests.agent import test_lambda
from tests.agent._agent import is_healthy, running_agent
from tests.agent._binary import CRATE, VERSION
from tests.agent._gate import opened_gate
from tests.agent.conftest import ACTIONS, TOKEN, Run
from tests.dev.aws_double import REGION, AwsDouble
from tests.e2e._rie import free_port, wait_until
from tests.pages import EVERY_BLOCK, ROOT

EXAMPLE = ROOT / "examples/agent"
ROLE = "arn:aws:iam::111122223333:role/orders"
SECONDS = 20.0
BLOCKS = [block for block in EVERY_BLOCK if block.page == "agent.md"]
RUN_HERE = {"agent.toml", "task-definition.json", "Dockerfile", "agent.service", "secrets.toml", "app.py"}


@pytest.fixture
def secrets(aws: AwsDouble) -> Any:
    """Put what the example reads into two accounts; give a client of our own."""
    client = aws.client("secretsmanager")
    database = {"host": "db.internal", "username": "orders", "password": "made up"}
    client.create_secret(Name="prod/orders/database", SecretString=json.dumps(database))
    issued = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="setup")["Credentials"]
    other: Any = boto3.Session(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    partner = other.client("secretsmanager", region_name=REGION, endpoint_url=aws.url)
    partner.create_secret(Name="partner/api-key", SecretString="made up too")
    return client


def connect() -> Any:
    """Call the example's service."""
    service: Callable[..., Any] = Target.parse(f"{EXAMPLE}/app.py:connect").load()
    return service()


def on_port(name: str, port: int, folder: Path) -> Path:
    """Copy the example's configuration of the agent, with another port."""
    text = (EXAMPLE / name).read_text(encoding="utf-8")
    assert text.count("http_port = 2773") == 1
    copy = folder / name
    copy.write_text(text.replace("http_port = 2773", f"http_port = {port}"), encoding="utf-8")
    return copy


@contextmanager
def started(command: list[str] | str, environ: dict[str, str], folder: Path) -> Iterator[None]:
    """Run what becomes an agent, until the end of the block."""
    process = subprocess.Popen(
        command, cwd=folder, env=environ, shell=isinstance(command, str), start_new_session=True
    )  # the page's own
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)


@pytest.fixture
def environ(aws: AwsDouble, binary: Path, tmp_path: Path) -> dict[str, str]:
    """Give what a process of the page has: a role, AWS, and the agent on its PATH."""
    path = f"{binary.parent}:{os.environ['PATH']}"
    return {**aws.environment(*ACTIONS, "secretsmanager:BatchGetSecretValue", "sts:AssumeRole"), "PATH": path}


def lead(monkeypatch: pytest.MonkeyPatch, port: int, token: str) -> None:
    """Lead the library to an agent."""
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("AWS_TOKEN", token)
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(port))


EXPECTED = {"database": "db.internal", "partner_key_configured": True}


def test_the_configuration(
    secrets: Any, aws: AwsDouble, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the page's configuration the agent has both secrets before anybody asks."""
    port = free_port()
    config = on_port("agent.toml", port, tmp_path)
    with opened_gate(aws.url) as gate:
        variables = {**environ, "AWS_ENDPOINT_URL": gate.url, "AWS_TOKEN": TOKEN}
        command = ["aws-workload-credentials-provider", "sm", "start", "--config", str(config)]
        with started([shutil.which(command[0], path=environ["PATH"]) or "", *command[1:]], variables, tmp_path):
            wait_until(lambda: is_healthy(port), SECONDS, "the agent is healthy")
            wait_until(lambda: gate.calls.count("BatchGetSecretValue") == 2, SECONDS, "both are prefetched")
            threading.Event().wait(0.3)  # AWS's answers have to arrive
            lead(monkeypatch, port, TOKEN)
            answer = connect()

    assert answer == EXPECTED
    assert gate.calls.count("GetSecretValue") == 0


@pytest.mark.parametrize("is_prefetched", [True, False])
def test_the_configuration_of_the_declarations(
    *,
    is_prefetched: bool,
    secrets: Any,
    aws: AwsDouble,
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With what `agent-config` writes the first invocation asks nothing of AWS; without the prefetch each secret."""
    port, config = free_port(), tmp_path / "own.toml"
    options = ["--set", "STAGE=prod", "--port", str(port), "--region", REGION, "--output", str(config)]
    done = CliRunner().invoke(app, ["agent-config", f"{EXAMPLE}/app.py", *options])
    assert (done.exit_code, done.stderr) == (0, f"Wrote {config}.\n")
    if not is_prefetched:
        settings, header, _ = config.read_text(encoding="utf-8").partition("[capabilities.secrets_manager.prefetch]")
        assert header
        config.write_text(settings, encoding="utf-8")
    with opened_gate(aws.url) as gate:
        variables = {**environ, "AWS_ENDPOINT_URL": gate.url, "AWS_TOKEN": TOKEN}
        command = ["aws-workload-credentials-provider", "sm", "start", "--config", str(config)]
        with started([shutil.which(command[0], path=environ["PATH"]) or "", *command[1:]], variables, tmp_path):
            wait_until(lambda: is_healthy(port), SECONDS, "the agent is healthy")
            if is_prefetched:
                wait_until(lambda: gate.calls.count("BatchGetSecretValue") == 2, SECONDS, "both are prefetched")
                threading.Event().wait(0.3)  # AWS's answers have to arrive
            gate.calls.clear()
            lead(monkeypatch, port, TOKEN)
            answer = connect()
            asked = list(gate.calls)

    assert answer == EXPECTED
    assert (asked == []) == is_prefetched
    assert asked.count("GetSecretValue") == (0 if is_prefetched else 2)


def test_the_task_definition(
    secrets: Any, aws: AwsDouble, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS takes the task definition; its agent starts, is healthy by its own check, and lets the service in."""
    text = (EXAMPLE / "task-definition.json").read_text(encoding="utf-8")
    ecs: Any = boto3.Session("setup", "setup").client("ecs", region_name=REGION, endpoint_url=aws.url)
    registered = ecs.register_task_definition(**json.loads(text))["taskDefinition"]
    port = free_port()
    config = on_port("agent.toml", port, tmp_path)
    here = text.replace("/var/run/agent", str(tmp_path)).replace("/etc/agent.toml", str(config))
    agent, orders = json.loads(here.replace("127.0.0.1:2773", f"127.0.0.1:{port}"))["containerDefinitions"]
    variables = {one["name"]: one["value"] for one in agent["environment"]}
    with started([*agent["entryPoint"], *agent["command"]], {**environ, **variables}, tmp_path):
        wait_until(lambda: is_healthy(port), SECONDS, "the agent is healthy")
        check = subprocess.run(["/bin/sh", "-c", agent["healthCheck"]["command"][1]], check=False, capture_output=True)
        given = {one["name"]: one["value"] for one in orders["environment"]}
        lead(monkeypatch, port, given["AWS_TOKEN"])
        answer = connect()

    assert [one["name"] for one in registered["containerDefinitions"]] == ["agent", "orders"]
    assert (check.returncode, check.stdout) == (0, b"healthy")
    assert (answer, given["STAGE"]) == (EXPECTED, "prod")
    assert len((tmp_path / "token").read_text()) > 40


def test_the_service_of_the_system(
    secrets: Any, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit's commands make a token and start an agent that takes it."""
    port = free_port()
    config = on_port("agent.toml", port, tmp_path)
    unit = (EXAMPLE / "agent.service").read_text(encoding="utf-8").replace("/etc/agent.toml", str(config))
    lines = dict(re.findall(r"^(\w+)=(.*)$", unit.replace("/run/agent", str(tmp_path)), re.MULTILINE))
    subprocess.run(shlex.split(lines["ExecStartPre"]), check=True, timeout=SECONDS)
    name, token = lines["Environment"].split("=", 1)
    command = lines["ExecStart"].replace("/usr/local/bin/", "")
    with started(f"exec {command}", {**environ, name: token}, tmp_path):
        wait_until(lambda: is_healthy(port), SECONDS, "the agent is healthy")
        lead(monkeypatch, port, token)
        answer = connect()

    assert answer == EXPECTED


def test_the_image() -> None:
    """The image is built from the crate and the version that these tests run, and starts it by its name."""
    text = (EXAMPLE / "Dockerfile").read_text(encoding="utf-8")
    assert f"cargo install {CRATE} --version {VERSION} --locked" in text
    assert '["aws-workload-credentials-provider", "sm", "start", "--config", "/etc/agent.toml"]' in text
    assert "COPY agent.toml /etc/agent.toml" in text


def test_the_handler(run: Run, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decorated function gets the same settings."""
    monkeypatch.setenv("STAGE", "prod")
    with run():
        answer = Target.parse(f"{EXAMPLE}/app.py:handler").load()({}, None)

    assert answer == "orders@db.internal"


def _ping(command: str, run: Run) -> str:
    with run() as agent:
        here = command.replace(":2773", f":{agent.port}")
        return subprocess.run(shlex.split(here), check=True, capture_output=True, text=True).stdout + "\n"


def _invoke(command: str, _: Run) -> str:
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=EXAMPLE, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


COMMANDS: dict[str, Callable[[str, Run], str]] = {"curl": _ping, "lambdasecrets invoke": _invoke}


@pytest.mark.parametrize("begins", COMMANDS)
def test_the_commands(begins: str, run: Run) -> None:
    """A command in a block prints what the page says."""
    (block,) = [one for one in BLOCKS if one.text.startswith(f"$ {begins}")]
    command, _, expected = block.text.removeprefix("$ ").partition("\n")

    assert COMMANDS[begins](command, run) == expected


def test_every_block_is_run() -> None:
    """Each block of the page is run: here, by the tests of Lambda, or by the test of its marker."""
    run_here = {f'--8<-- "examples/agent/{name}' for name in (*RUN_HERE, test_lambda.LAUNCHER.name)}
    by_marker = ("lambdasecrets policy", "lambdasecrets agent-config")  # their output has one
    left = [
        str(block)
        for block in BLOCKS
        if not block.marker
        and not any(block.text.startswith(begins) for begins in run_here)
        and not any(block.text.startswith(f"$ {begins}") for begins in (*COMMANDS, *by_marker))
    ]

    assert left == []


def test_an_empty_variable(binary: Path, aws: AwsDouble, tmp_path: Path) -> None:
    """For the agent a variable that is set to nothing is set: its token is nothing, and lets nobody in."""
    environ = {**aws.environment(*ACTIONS), "AWS_TOKEN": ""}
    with running_agent(binary, environ, tmp_path) as agent, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SESSION_TOKEN", environ["AWS_SESSION_TOKEN"])
        patch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(agent.port))
        with pytest.raises(Exception, match="403"):
            resolve(Secret("any"), str)
