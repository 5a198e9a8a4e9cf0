"""Deploys the API whose zip `package.py` has made, with the secrets and the parameter that it reads."""

from pathlib import Path

from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct
from policy import make_statements  # as `lambdasecrets policy src/app.py --format cdk` writes it

EXTENSION = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"


class ApiStack(Stack):
    """The API, its function, the extension's layer, and what the function reads."""

    def __init__(self, scope: Construct, name: str, *, stage: str, package: Path) -> None:
        super().__init__(scope, name)
        self.make_values(stage)
        # ParamsAndSecretsLayerVersion knows old versions of the layer only: the public parameter has the newest.
        arn = ssm.StringParameter.value_for_string_parameter(self, EXTENSION)
        function = lambda_.Function(
            self,
            "Function",
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
            function.add_to_role_policy(statement)
        apigateway.HttpApi(self, "Api", default_integration=HttpLambdaIntegration("Every", function))

    def make_values(self, stage: str) -> None:
        """AWS makes the passwords up: no value stands in the template."""
        database = secretsmanager.SecretStringGenerator(
            secret_string_template='{"host": "db.internal", "username": "orders"}', generate_string_key="password"
        )
        key = secretsmanager.SecretStringGenerator(exclude_punctuation=True)  # it is sent in a header
        for name, generator in (("database", database), ("key", key)):
            secretsmanager.Secret(
                self,
                name.title(),
                secret_name=f"{stage}/orders-api/{name}",
                generate_secret_string=generator,
                removal_policy=RemovalPolicy.DESTROY,
            )
        ssm.StringListParameter(
            self, "Regions", parameter_name="/orders-api/regions", string_list_value=["eu-central-1", "eu-west-1"]
        )


if __name__ == "__main__":
    app = App()
    stage = app.node.try_get_context("stage") or "prod"
    ApiStack(app, "orders-api", stage=stage, package=Path(__file__).parents[1] / "build" / "function-arm64.zip")
    app.synth()
