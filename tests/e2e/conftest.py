from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.dev.aws_double import AwsDouble, running_aws
from tests.e2e._binary import NoBinaryError, rie_binary
from tests.e2e._rie import EXTENSIONS, LAUNCHER, Function, free_port, installed_extension, running_function

Run = Callable[..., AbstractContextManager[Function]]
"""Takes a handler as `module.function`, the launcher or None for no extension, and variables (None removes one)."""

ACTIONS = ("secretsmanager:GetSecretValue", "ssm:GetParameter", "kms:Decrypt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def binary() -> Path:
    """Give the emulator, where it can run."""
    nearest = next(folder for folder in (EXTENSIONS, *EXTENSIONS.parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        pytest.skip(f"{EXTENSIONS} is where Lambda looks for extensions, and this user cannot write there")
    try:
        return rie_binary()
    except NoBinaryError as reason:
        pytest.skip(str(reason))


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
def run(binary: Path, aws: AwsDouble, tmp_path: Path) -> Run:
    """Run a handler under the emulator, with the extension and a role that may read everything."""

    @contextmanager
    def run(
        handler: str,
        *,
        launcher: Path | None = LAUNCHER,
        python: Path = Path(sys.executable),
        **variables: str | None,
    ) -> Iterator[Function]:
        defaults = {
            **aws.environment(*ACTIONS),
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(free_port()),
            "STAGE": "test",
        }
        environ = {name: value for name, value in {**defaults, **variables}.items() if value is not None}
        with ExitStack() as stack:
            if launcher is not None:
                stack.enter_context(installed_extension(launcher))
            yield stack.enter_context(running_function(binary, handler, environ, tmp_path, python=python))

    return run
