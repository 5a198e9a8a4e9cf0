"""Three lines before a deployment: they pass for what works, and fail for each thing that is missing or wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from tests.dev.aws_double import AwsDouble, running_aws
from tests.pages import EVERY_BLOCK, ROOT

SECONDS = 120.0
EXAMPLE = ROOT / "examples" / "quickstart"
DATABASE = {"host": "db.internal", "username": "orders", "password": "hunter2-canary"}
READS = ("secretsmanager:GetSecretValue", "ssm:GetParameter")


@pytest.fixture(scope="module")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Run AWS, as moto plays it."""
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(aws_server: AwsDouble) -> AwsDouble:
    """Put in what the handler needs."""
    aws_server.reset()
    secrets, parameters = aws_server.client("secretsmanager"), aws_server.client("ssm")
    secrets.create_secret(Name="prod/orders/database", SecretString=json.dumps(DATABASE))
    secrets.create_secret(Name="prod/orders/stripe", SecretString='{"api_key": "hunter2-canary"}')
    parameters.put_parameter(Name="/orders/regions", Type="StringList", Value="eu-west-1")
    return aws_server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the example, with the command on the PATH."""
    program = tmp_path / "bin" / "lambdasecrets"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lambdasecrets "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project"))


def run(project: Path, aws: AwsDouble) -> tuple[int, str]:
    """Run the pipeline; give its exit code and all that it says."""
    done = subprocess.run(
        ["sh", "-e", "pipeline.sh"],  # noqa: S607 - any shell
        cwd=project,
        env={**os.environ, **aws.environment(*READS), "PATH": f"{project.parent / 'bin'}:{os.environ['PATH']}"},
        capture_output=True, check=False, encoding="utf-8", timeout=SECONDS,
    )  # fmt: skip
    assert "hunter2" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as they are written."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: {suffix: loader.construct_scalar(node)})


def read_template(project: Path) -> dict[str, Any]:
    """Read the template."""
    template: dict[str, Any] = yaml.load((project / "template.yaml").read_text(encoding="utf-8"), Loader)  # noqa: S506
    return template


def save_template(project: Path, template: dict[str, Any]) -> None:
    """Write it, with the long forms of its functions."""
    text = json.dumps(template).replace('{"Sub":', '{"Fn::Sub":')
    (project / "template.yaml").write_text(text, encoding="utf-8")


def test_it_passes(project: Path, aws: AwsDouble) -> None:
    """Where all is there the pipeline ends well: an optional parameter need not exist."""
    code, said = run(project, aws)

    assert (code, "0 findings, 0 unknown." in said) == (0, True)
    assert "4 declarations checked, 0 findings." in said


def test_a_template_that_is_written_anew_passes(project: Path, aws: AwsDouble) -> None:
    """Reading and writing the template, as the tests below do, changes nothing."""
    save_template(project, read_template(project))

    assert run(project, aws)[0] == 0


def test_a_missing_secret(project: Path, aws: AwsDouble) -> None:
    """A secret that is not in AWS ends it, with its name."""
    aws.client("secretsmanager").delete_secret(SecretId="prod/orders/stripe", ForceDeleteWithoutRecovery=True)
    code, said = run(project, aws)

    assert code != 0
    assert re.search(r"api_key +secret +prod/orders/stripe +SecretStr +- +not found", said)


def test_a_wrong_shape(project: Path, aws: AwsDouble) -> None:
    """A secret that does not fit its type ends it, with the place."""
    aws.client("secretsmanager").put_secret_value(SecretId="prod/orders/database", SecretString='{"host": "a"}')
    code, said = run(project, aws)

    assert code != 0
    assert "wrong shape  username: missing (has no member 'username')" in said


def test_a_policy_that_is_not_written_anew(project: Path, aws: AwsDouble) -> None:
    """A policy that is kept, and is no longer what the handlers need, ends it."""
    policy = project / "cdk" / "policy.py"
    policy.write_text(policy.read_text(encoding="utf-8").replace("/orders/regions", "/orders/region"), encoding="utf-8")
    code, said = run(project, aws)

    assert code != 0
    assert re.search(r"^> .*parameter/orders/regions", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("statement", "finding  permission  ssm:GetParameter on arn:*:ssm:*:*:parameter/orders/page-size is missing"),
        ("layer", "finding  layer       AWS-Parameters-and-Secrets-Lambda-Extension is not attached"),
        ("variable", "finding  variable    STAGE is not set."),
    ],
)
def test_what_is_missing_in_the_template(project: Path, aws: AwsDouble, missing: str, says: str) -> None:
    """A statement, the layer or a variable that the template has not ends it, and is named."""
    template = read_template(project)
    properties = template["Resources"]["Orders"]["Properties"]
    if missing == "statement":
        properties["Policies"][0]["Statement"].pop()
    else:
        del properties[{"layer": "Layers", "variable": "Environment"}[missing]]
    save_template(project, template)
    code, said = run(project, aws)

    assert code != 0
    assert says in said


def test_the_page_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has the three lines, in a shell and in CI; the hook is the repository's, and passes for the example."""
    lines = (EXAMPLE / "pipeline.sh").read_text(encoding="utf-8").splitlines()
    blocks = {block.heading: block.text for block in EVERY_BLOCK if block.page == "pipeline.md"}
    workflow = yaml.safe_load(blocks["In CI"])
    steps = [step.get("run") for step in workflow["jobs"]["deploy"]["steps"] if "run" in step]
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    (used,) = yaml.safe_load(blocks["Before a commit"])["repos"][0]["hooks"]

    monkeypatch.chdir(EXAMPLE)
    hooked = CliRunner().invoke(app, [*hook["entry"].split()[1:], *used["args"]])

    assert (hooked.exit_code, len(lines)) == (0, 3)
    assert [line for line in lines if line in steps] == lines
    assert (used["id"], hook["entry"]) == (hook["id"], "lambdasecrets check")
