"""A handler that asks the extension at most every 30 s, and works on for 10 minutes when it cannot be asked."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@inject_secrets(max_age=30, stale_if_error=600)
def handler(
    event: dict[str, Any], context: "LambdaContext", *, api_key: Annotated[SecretStr, Secret("orders/stripe")]
) -> dict[str, Any]:
    return {"api_key_configured": bool(api_key)}
