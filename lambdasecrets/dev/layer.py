"""How to attach the layer of the real extension: its newest version in a Region, which AWS publishes as a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.regions import check_region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ARCHITECTURES", "FORMATS", "Architecture", "Format", "describe_layer", "name_parameter"]

Architecture = Literal["x86_64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = ("x86_64", "arm64")
Format = Literal["aws", "sam", "cdk", "terraform"]
FORMATS: tuple[Format, ...] = ("aws", "sam", "cdk", "terraform")

_PARAMETER = "/aws/service/aws-parameters-and-secrets-lambda-extension/{}/latest"


def name_parameter(architecture: Architecture) -> str:
    """Name the public parameter that has the ARN of the layer's newest version, in each Region that Region's.

    There is no table of ARNs here: a new version comes every few weeks.
    """
    return _PARAMETER.format("x86" if architecture == "x86_64" else architecture)


def describe_layer(architecture: Architecture, form: Format, region: str | None = None) -> str:
    """Write how the layer is attached.

    Args:
        architecture: the function's.
        form: `aws` for commands of AWS's command line; `sam` for the properties of a function, in CloudFormation too;
            `cdk` for a Python module; `terraform` for a data source.
        region: such as `eu-west-1`, for the commands; templates are deployed to a Region of their own.

    Returns:
        Lines to be run, or to be put in, without a line end.

    Raises:
        InputError: no Region's code, or one beside a template.
    """
    check_region(region)
    if region is not None and form != "aws":
        raise InputError("a template takes the layer of the Region that it is deployed to: leave out --region.")
    return _WRITERS[form](architecture, region)


def _write_commands(architecture: Architecture, region: str | None) -> str:
    option = "" if region is None else f" --region {region}"
    return "\n".join(
        [
            f"LAYER=$(aws ssm get-parameter{option} --name {name_parameter(architecture)} \\",
            "  --query Parameter.Value --output text)",
            "# All layers of the function are to be named: those that are not are taken off.",
            f'aws lambda update-function-configuration{option} --function-name FUNCTION --layers "$LAYER"',
        ]
    )


def _write_sam(architecture: Architecture, _: str | None) -> str:
    return "\n".join(
        [
            f"Architectures: [{architecture}]",
            "Layers:",
            f'  - "{{{{resolve:ssm:{name_parameter(architecture)}}}}}"',
        ]
    )


def _write_cdk(architecture: Architecture, _: str | None) -> str:
    return "\n".join(
        [
            "from aws_cdk import aws_lambda as lambda_",
            "from aws_cdk import aws_ssm as ssm",
            "from constructs import Construct",
            "",
            f'PARAMETER = "{name_parameter(architecture)}"',
            "",
            "",
            "def attach_extension(scope: Construct, function: lambda_.Function) -> None:",
            f'    """Attach the newest layer that the deployment finds; the function runs on {architecture}."""',
            "    arn = ssm.StringParameter.value_for_string_parameter(scope, PARAMETER)",
            '    layer = lambda_.LayerVersion.from_layer_version_arn(scope, "SecretsExtension", arn)',
            "    function.add_layers(layer)",
        ]
    )


def _write_terraform(architecture: Architecture, _: str | None) -> str:
    return "\n".join(
        [
            'data "aws_ssm_parameter" "secrets_extension" {',
            f'  name = "{name_parameter(architecture)}"',
            "}",
            "",
            "# In the resource aws_lambda_function:",
            f'#   architectures = ["{architecture}"]',
            "#   layers        = [data.aws_ssm_parameter.secrets_extension.value]",
        ]
    )


_WRITERS: Mapping[Format, Callable[[Architecture, str | None], str]] = {
    "aws": _write_commands,
    "sam": _write_sam,
    "cdk": _write_cdk,
    "terraform": _write_terraform,
}
