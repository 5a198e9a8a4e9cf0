"""What was written for Powertools' parameters, asked of the extension."""

from typing import TYPE_CHECKING, Any

from lambdasecrets.powertools import parameters

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ssm = parameters.SSMProvider()


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    login = parameters.get_secret("orders/database", transform="json", max_age=60)
    regions = ssm.get("/orders/regions").split(",")
    try:
        theme = parameters.get_parameter("/orders/theme")
    except parameters.exceptions.GetParameterError:
        theme = "plain"
    return {"database": login["host"], "regions": regions, "theme": theme}
