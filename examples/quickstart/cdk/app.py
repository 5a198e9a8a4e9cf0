"""Deploys the function whose zip `package.py` has made."""

from pathlib import Path

from aws_cdk import App, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ssm as ssm
from constructs import Construct
from policy import make_statements  # as `lambdasecrets policy src/app.py:handler --format cdk` writes it

EXTENSION = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"


class OrdersStack(Stack):
    """The function, the extension's layer, and what it may read."""

    def __init__(self, scope: Construct, name: str, *, stage: str, package: Path) -> None:
        super().__init__(scope, name)
        # ParamsAndSecretsLayerVersion knows old versions of the layer only: the public parameter has the newest.
        arn = ssm.StringParameter.value_for_string_parameter(self, EXTENSION)
        orders = lambda_.Function(
            self,
            "Orders",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler="app.handler",
            code=lambda_.Code.from_asset(str(package)),
            memory_size=512,
            timeout=Duration.seconds(10),
            layers=[lambda_.LayerVersion.from_layer_version_arn(self, "Extension", arn)],
            environment={"STAGE": stage},
        )
        for statement in make_statements(stage=stage):
            orders.add_to_role_policy(statement)


if __name__ == "__main__":
    app = App()
    stage = app.node.try_get_context("stage") or "prod"
    OrdersStack(app, "orders", stage=stage, package=Path(__file__).parents[1] / "build" / "function-arm64.zip")
    app.synth()
