from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.dev.aws_double import AwsDouble
from tests.dev.extensions_api import serving
from tests.e2e._rie import HANDLERS, LAUNCHER, free_port
from tests.e2e._runtime_api import RuntimeApi, started
from tests.e2e.conftest import ACTIONS

WORKERS = 3


def test_concurrent_invocations(aws: AwsDouble, tmp_path: Path) -> None:
    """On managed instances concurrent invocations, a process for each, share one extension."""
    aws.client("secretsmanager").create_secret(Name="shared", SecretString="made up")
    here = tmp_path / "invocations"
    here.mkdir()
    api = RuntimeApi()
    with serving(api):
        environ = {
            **aws.environment(*ACTIONS),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
            "AWS_LAMBDA_MAX_CONCURRENCY": str(WORKERS),
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(free_port()),
        }
        runtime = [sys.executable, "-m", "awslambdaric", "shared.handler"]
        with started([str(LAUNCHER)], environ, HANDLERS, tmp_path / "extension.log"):
            api.wait_for_next()
            with started(runtime, environ, HANDLERS, tmp_path / "runtime.log"):
                begun = [api.begin({"folder": str(here), "invocations": WORKERS}) for _ in range(WORKERS)]
                answers = [api.answer(request_id) for request_id in begun]

    assert [(answer["key"], answer["together"]) for answer in answers] == [("made up", WORKERS)] * WORKERS
    assert len({answer["process"] for answer in answers}) == WORKERS
    assert api.registrations == [("lambdasecrets-extension", ["SHUTDOWN"])]
