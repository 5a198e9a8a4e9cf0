"""What deploys an example has the policy, the layer and the settings that its handler needs."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.template import check_template
from tests.pages import ROOT

EXAMPLES = ROOT / "examples"
TARGETS = {"quickstart": "src/app.py:handler", "api": "src/app.py"}
EXTENSION = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"


def write_policy(example: str, form: str) -> str:
    """Give what `lambdasecrets policy` writes for an example."""
    done = CliRunner().invoke(app, ["policy", f"{EXAMPLES}/{example}/{TARGETS[example]}", "--format", form])
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture(params=TARGETS)
def example(request: pytest.FixtureRequest) -> str:
    """Give the name of an example that can be deployed."""
    name: str = request.param
    return name


def test_the_template_is_right(example: str) -> None:
    """`lambdasecrets check --template` finds the handler, the layer, the variables, the permissions and the timeout."""
    rows = check_template(EXAMPLES / example / "template.yaml", {})

    assert [row for row in rows if row.verdict != "ok"] == []
    assert {row.check for row in rows} == {"handler", "layer", "variable", "permission", "timeout"}


@pytest.mark.parametrize(("form", "file"), [("cdk", "cdk/policy.py"), ("terraform", "terraform/policy.tf")])
def test_the_policy_is_the_one_that_is_needed(example: str, form: str, file: str) -> None:
    """The file of the policy is what the command writes."""
    assert write_policy(example, form) == (EXAMPLES / example / file).read_text(encoding="utf-8")


def test_the_templates_policy_is_the_one_that_is_needed(example: str) -> None:
    """The template's policy is what the command writes, under its first line, a comment."""
    text = (EXAMPLES / example / "template.yaml").read_text(encoding="utf-8")
    _, written = write_policy(example, "sam").split("\n", 1)

    assert textwrap.indent(written, " " * 6) in text


def read_terraform(example: str) -> dict[str, Any]:
    """Read the function's resource."""
    content = hcl2.loads((EXAMPLES / example / "terraform" / "main.tf").read_text(encoding="utf-8"))
    (function,) = [body for item in content["resource"] for body in item.get('"aws_lambda_function"', {}).values()]
    (extension,) = [body for item in content["data"] for body in item['"aws_ssm_parameter"'].values()]
    return {**function, "extension": json.loads(extension["name"])}


def test_terraform_says_the_same(example: str) -> None:
    """Terraform's function has the template's layer, processor, variable, timeout and handler."""
    function = read_terraform(example)
    template = (EXAMPLES / example / "template.yaml").read_text(encoding="utf-8")
    (timeout,) = re.findall(r"Timeout: (\d+)", template)

    assert (function["extension"], function["layers"]) == (
        EXTENSION,
        ["${nonsensitive(data.aws_ssm_parameter.extension.value)}"],
    )
    assert (function["architectures"], function["handler"], function["timeout"]) == (
        ['"arm64"'],
        '"app.handler"',
        int(timeout),
    )
    assert function["environment"][0]["variables"] == {"STAGE": "${var.stage}"}


def test_how_to_remove_it_again(example: str) -> None:
    """The page of an example that can be deployed says how to deploy it, and how to remove it again."""
    text = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    commands = ("sam deploy", "sam delete", "cdk deploy", "cdk destroy", "terraform apply", "terraform destroy")

    assert [command for command in commands if command not in text] == []
