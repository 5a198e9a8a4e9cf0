from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets import use_session
from tests.agent._agent import Agent, running_agent
from tests.agent._binary import CRATE, MissingToolError, agent_binary
from tests.dev.aws_double import AwsDouble, running_aws

Run = Callable[..., AbstractContextManager[Agent]]
"""Takes variables of the agent's environment as `environ`, a `port`, and settings of its configuration."""

ACTIONS = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "sts:GetCallerIdentity")
TOKEN = "made-up-token"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.agent)


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> Path:
    """Give Amazon's agent. Where a tool to build it is missing the tests are skipped; in CI that is a failure."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # a build takes minutes: say so, and what cargo says
            return agent_binary()
    except MissingToolError as reason:
        if os.environ.get("CI") == "true":
            pytest.exit(str(reason), returncode=1)
        pytest.skip(str(reason))
    except subprocess.SubprocessError as reason:
        pytest.exit(f"Cannot build {CRATE}: {reason}", returncode=1)


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Give one server to all tests."""
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(aws_server: AwsDouble) -> AwsDouble:
    """Give it empty."""
    aws_server.reset()
    return aws_server


@pytest.fixture
def run(binary: Path, aws: AwsDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the agent, with a role that may do what the agent does, and lead the library to it."""
    role = {**aws.environment(*ACTIONS), "AWS_TOKEN": TOKEN}

    @contextmanager
    def run(*, environ: dict[str, str] | None = None, **settings: object) -> Iterator[Agent]:
        environ = {**role, **(environ or {})}
        with running_agent(binary, environ, tmp_path / "agent", **settings) as agent:  # type: ignore[arg-type]
            monkeypatch.setenv("AWS_TOKEN", TOKEN)
            monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(agent.port))
            yield agent

    return run


@pytest.fixture(params=["lean", "requests"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the library ask over one transport, then over the other."""
    name: str = request.param
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", name)
    use_session(None)
    return name
