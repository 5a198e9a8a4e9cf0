"""`lambdasecrets layer`: each form is read by what it is for, or by what stands for it."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import hcl2
import pytest
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.layer import ARCHITECTURES, FORMATS, describe_layer, name_parameter
from lambdasecrets.dev.template import check_template
from tests.pages import ROOT

SECONDS = 60.0
X86 = "/aws/service/aws-parameters-and-secrets-lambda-extension/x86/latest"
ARM = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"
APP = """
from typing import Annotated
from lambdasecrets import Secret, inject_secrets

@inject_secrets
def handler(event, context, *, db: Annotated[str, Secret("db")]): ...
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
"""
AWS = """#!{python}
import json, pathlib, sys
with pathlib.Path("calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
print("arn:of:the:layer")
"""


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["layer", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_parameter() -> None:
    """AWS publishes the layer's ARN under a name for each architecture."""
    assert [name_parameter(architecture) for architecture in ARCHITECTURES] == [X86, ARM]


@pytest.mark.parametrize(("options", "region"), [((), []), (("--region", "eu-west-1"), ["--region", "eu-west-1"])])
def test_commands(options: tuple[str, ...], region: list[str], tmp_path: Path) -> None:
    """AWS's command line is asked for the ARN, and attaches it."""
    code, out, err = run(*options)
    program = tmp_path / "aws"
    program.write_text(AWS.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    subprocess.run(
        ["sh", "-euc", out],  # noqa: S607 - any shell
        cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True, timeout=SECONDS, capture_output=True,
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert list(map(json.loads, (tmp_path / "calls").read_text(encoding="utf-8").splitlines())) == [
        ["ssm", "get-parameter", *region, "--name", X86, "--query", "Parameter.Value", "--output", "text"],
        [
            "lambda", "update-function-configuration", *region,
            "--function-name", "FUNCTION", "--layers", "arn:of:the:layer",
        ],
    ]  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_template(architecture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its lines a SAM template has the layer for the function's architecture, as `check --template` sees it."""
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(APP, encoding="utf-8")
    code, out, _ = run("--format", "sam", "--architecture", architecture)
    lines = "".join(f"      {line}\n" for line in out.splitlines())
    verdicts = {}
    for name, text in (("without", TEMPLATE), ("with", TEMPLATE + lines)):
        Path("template.yaml").write_text(text, encoding="utf-8")
        rows = check_template(Path("template.yaml"), {})
        verdicts[name] = [row.verdict for row in rows if row.check == "layer"]

    assert (code, verdicts) == (0, {"without": ["finding"], "with": ["ok"]})


@pytest.mark.parametrize("example", ["quickstart", "api"])
def test_the_examples_do_as_it_says(example: str) -> None:
    """The templates of the examples, which `make deploy-check` judges, attach the layer in the same way."""
    folder = ROOT / "examples" / example
    sam = describe_layer("arm64", "sam").splitlines()[-1].strip()
    terraform = describe_layer("arm64", "terraform").splitlines()[1]

    assert sam in (folder / "template.yaml").read_text(encoding="utf-8")
    assert terraform in (folder / "terraform" / "main.tf").read_text(encoding="utf-8")


def test_the_cdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module attaches a layer whose ARN the deployment reads from the parameter."""
    calls: list[tuple[str, tuple[Any, ...]]] = []

    def record(name: str) -> Any:
        def called(*arguments: Any) -> str:
            calls.append((name, arguments))
            return name

        return called

    cdk: Any = types.ModuleType("aws_cdk")
    cdk.aws_ssm = types.SimpleNamespace(StringParameter=types.SimpleNamespace(value_for_string_parameter=record("arn")))
    versions = types.SimpleNamespace(from_layer_version_arn=record("layer"))
    cdk.aws_lambda = types.SimpleNamespace(LayerVersion=versions, Function=object)
    constructs: Any = types.ModuleType("constructs")
    constructs.Construct = object
    monkeypatch.setitem(sys.modules, "aws_cdk", cdk)
    monkeypatch.setitem(sys.modules, "constructs", constructs)
    namespace: dict[str, Any] = {}
    exec(describe_layer("arm64", "cdk"), namespace)  # noqa: S102 - what we have written
    function = types.SimpleNamespace(add_layers=record("added"))
    namespace["attach_extension"]("scope", function)

    assert calls == [("arn", ("scope", ARM)), ("layer", ("scope", "SecretsExtension", "arn")), ("added", ("layer",))]


def test_terraform() -> None:
    """The data source reads the parameter of the architecture."""
    text = describe_layer("arm64", "terraform")
    (source,) = hcl2.loads(text)["data"]
    ((_, named),) = source.items()
    ((_, settings),) = named.items()

    assert settings["name"].strip('"') == ARM
    assert text.startswith('data "aws_ssm_parameter" "secrets_extension" {')


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_architecture(form: Any) -> None:
    """The parameter is that of the architecture, and no ARN of a layer stands in it."""
    text = describe_layer("arm64", form)

    assert (ARM in text, X86 in text, "arn:" in text) == (True, False, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--region", "here"], "Error: cannot use the Region 'here': give its code, such as eu-west-1.\n"),
        (
            ["--region", "eu-west-1", "--format", "sam"],
            "Error: a template takes the layer of the Region that it is deployed to: leave out --region.\n",
        ),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    assert run(*arguments) == (2, "", says)
