"""Powertools' own functions, with other providers behind them."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import get_parameter, get_secret
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS

from lambdasecrets.powertools import ExtensionSecretsProvider, ExtensionSSMProvider

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

DEFAULT_PROVIDERS["secrets"] = ExtensionSecretsProvider()
DEFAULT_PROVIDERS["ssm"] = ExtensionSSMProvider()


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    login = get_secret("orders/database", transform="json")
    return {"database": login["host"], "regions": get_parameter("/orders/regions").split(",")}
