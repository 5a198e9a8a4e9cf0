"""What the agent and the stand-in ask of AWS, for the same requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator
from tests.agent._gate import Gate, opened_gate
from tests.agent._questions import ROLE, request
from tests.agent._raw import say
from tests.agent.conftest import TOKEN, Run
from tests.dev.aws_double import AwsDouble

SECRET = "/secretsmanager/get?secretId=calls"
TTL_SECONDS = 1


@contextmanager
def serving(server: str, gate: Gate, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Run the agent or the stand-in behind the gate; give its port."""
    with ExitStack() as stack:
        if server == "agent":
            settings = {"cache": {"ttl_seconds": TTL_SECONDS}}
            agent = stack.enter_context(run(environ={"AWS_ENDPOINT_URL": gate.url}, **settings))
            yield agent.port
        else:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, "made-up")
            monkeypatch.setenv("AWS_REGION", "eu-west-1")
            monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
            monkeypatch.setenv("AWS_ENDPOINT_URL", gate.url)
            emulator = Emulator(AwsStore(), profile="agent", token=TOKEN, secrets_ttl=TTL_SECONDS)
            yield stack.enter_context(emulator).port


def ask(port: int, target: str) -> int:
    """Ask once; give the status."""
    (said,) = say(port, request(target).replace(b"$TOKEN", TOKEN.encode()), 1).answers
    return int(said.line.split()[1])


def asked(gate: Gate, port: int, target: str) -> list[str]:
    """List what one request makes a server ask of AWS; its status is the last."""
    gate.calls.clear()
    status = ask(port, target)
    return [*gate.calls, str(status)]


def calls(gate: Gate, port: int, secrets: Any) -> dict[str, list[str]]:
    """Play a secret's life; list what is asked of AWS for each request."""
    seen = {
        "first": asked(gate, port, SECRET),
        "fresh": asked(gate, port, SECRET),
        "a stage": asked(gate, port, f"{SECRET}&versionStage=AWSCURRENT"),
        "refresh": asked(gate, port, f"{SECRET}&refreshNow=true"),
        "missing": asked(gate, port, f"{SECRET}-missing"),
        "missing again": asked(gate, port, f"{SECRET}-missing"),
    }
    time.sleep(TTL_SECONDS + 0.1)
    seen["due"] = asked(gate, port, SECRET)
    secrets.put_secret_value(SecretId="calls", SecretString="rotated")
    time.sleep(TTL_SECONDS + 0.1)
    seen["rotated"] = asked(gate, port, SECRET)
    gate.errors["DescribeSecret"] = (
        "AccessDeniedException",
        "not authorized to perform: secretsmanager:DescribeSecret",
    )
    time.sleep(TTL_SECONDS + 0.1)
    seen["denied"] = asked(gate, port, SECRET)
    seen["denied, refresh"] = asked(gate, port, f"{SECRET}&refreshNow=1")
    gate.errors.clear()
    seen["denied no more"] = asked(gate, port, SECRET)
    gate.errors["AssumeRole"] = ("AccessDenied", "not authorized to perform: sts:AssumeRole")
    status = ask(port, f"{SECRET}&roleArn={ROLE}")
    return {**seen, "a role that is refused": [str(status)]}


EXPECTED = {
    "first": ["GetSecretValue", "200"],
    "fresh": ["200"],
    "a stage": ["GetSecretValue", "200"],
    "refresh": ["GetSecretValue", "200"],
    "missing": ["GetSecretValue", "404"],
    "missing again": ["GetSecretValue", "404"],
    "due": ["DescribeSecret", "200"],
    "rotated": ["DescribeSecret", "GetSecretValue", "200"],
    "denied": ["DescribeSecret", "400"],
    "denied, refresh": ["GetSecretValue", "200"],
    "denied no more": ["200"],
    "a role that is refused": ["403"],
}


@pytest.mark.parametrize("server", ["agent", "stand-in"])
def test_what_is_asked_of_aws(server: str, run: Run, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read at first, describe what is due, read what has rotated, and keep no refusal."""
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="calls", SecretString="made up")
    with opened_gate(aws.url) as gate, serving(server, gate, run, monkeypatch) as port:
        found = calls(gate, port, secrets)

    assert found == EXPECTED
