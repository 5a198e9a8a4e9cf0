from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator
from tests.agent._agent import running_agent
from tests.agent._questions import QUESTIONS, ROLE, Question
from tests.agent._raw import Heard, say
from tests.agent.conftest import ACTIONS, TOKEN
from tests.dev.aws_double import REGION, AwsDouble

NAMED_DIFFERENCES = 7
EVERY_KIND = 'é "\\/\n\r\t\x01\x1f\x7f\u2028💥</script>'


@dataclass(frozen=True)
class Both:
    """The agent and the stand-in, over one AWS.

    Attributes:
        agent: the binary's port.
        stand_in: the stand-in's port.
        values: what the questions have to be filled with.
        environ: the variables of both.
    """

    agent: int
    stand_in: int
    values: Mapping[str, str]
    environ: Mapping[str, str]


def _filled_aws(aws: AwsDouble) -> dict[str, str]:
    """Put secrets into AWS; give what the questions need to know of them."""
    secrets = aws.client("secretsmanager")
    arn = secrets.create_secret(Name="text", SecretString="made up")["ARN"]
    secrets.create_secret(Name="binary", SecretBinary=b"\x00\xff")
    secrets.create_secret(Name="json", SecretString='{"a": 1}')
    secrets.create_secret(Name="characters", SecretString=EVERY_KIND)
    secrets.create_secret(Name="large", SecretString="x" * 60_000)
    secrets.create_secret(Name="path/of/name", SecretString="path")
    secrets.create_secret(Name="odd_+=.@-name", SecretString="odd")
    secrets.create_secret(Name="deleted", SecretString="gone")
    secrets.delete_secret(SecretId="deleted")
    old = secrets.create_secret(Name="versions", SecretString="one")["VersionId"]
    blue = secrets.put_secret_value(SecretId="versions", SecretString="two", VersionStages=["blue"])["VersionId"]
    secrets.put_secret_value(SecretId="versions", SecretString="three")
    _other_account(aws).create_secret(Name="shared", SecretString="another account's")
    # The longest name first: each is replaced wherever it stands.
    return {
        "PARTIAL_ARN": arn[:-7],
        "BLUE_VERSION": blue,
        "OLD_VERSION": old,
        "UPPER_TOKEN": TOKEN.upper(),
        "QUOTED_ARN": quote(arn, safe=""),
        "TOKEN": TOKEN,
        "UTF8": "é",
        "ARN": arn,
    }


def _other_account(aws: AwsDouble) -> Any:
    issued = aws.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="setup")["Credentials"]
    session: Any = boto3.Session(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    return session.client("secretsmanager", region_name=REGION, endpoint_url=aws.url)


@pytest.fixture(scope="module")
def both(binary: Path, aws_server: AwsDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Run both, over one AWS."""
    aws_server.reset()
    values = _filled_aws(aws_server)
    environ = {**aws_server.environment(*ACTIONS), "AWS_TOKEN": TOKEN}
    with (
        pytest.MonkeyPatch.context() as patch,
        running_agent(binary, environ, tmp_path_factory.mktemp("agent")) as agent,
    ):
        for name, value in environ.items():
            patch.setenv(name, value)
        with Emulator(AwsStore(), profile="agent", token=TOKEN) as stand_in:
            yield Both(agent.port, stand_in.port, values, environ)


@pytest.fixture(autouse=True)
def _environment(both: Both, bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-in find AWS in every test: the fixture of all tests takes its variables away."""
    for name, value in both.environ.items():
        monkeypatch.setenv(name, value)


def ask(port: int, question: Question, values: Mapping[str, str]) -> Heard:
    """Put a question to a server."""
    sent = question.filled(values)
    return say(port, sent, question.answers, is_head=question.is_head, ends=question.ends)


@pytest.mark.parametrize("question", [one for one in QUESTIONS if not one.differs], ids=lambda one: one.name)
def test_the_stand_in_says_what_the_agent_says(both: Both, question: Question) -> None:
    """The same status, body, names of headers and state of the connection, for every question."""
    assert ask(both.agent, question, both.values) == ask(both.stand_in, question, both.values)


@pytest.mark.parametrize("question", [one for one in QUESTIONS if one.differs], ids=lambda one: one.name)
def test_what_is_named_as_a_difference_is_one(both: Both, question: Question) -> None:
    """A difference that the table names, with the reason why no client minds, is still there."""
    assert ask(both.agent, question, both.values) != ask(both.stand_in, question, both.values)


def test_the_table() -> None:
    """There are more than a hundred questions, each with a name of its own, and few differences."""
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS) > 200
    assert len([question for question in QUESTIONS if question.differs]) == NAMED_DIFFERENCES
    assert os.environ["AWS_TOKEN"] == TOKEN
