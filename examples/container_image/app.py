"""A function in a container image: its code is as in any other."""

from typing import Annotated, Any

from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets


@inject_secrets
def handler(
    event: dict[str, Any], context: object, *, api_key: Annotated[SecretStr, Secret("{STAGE}/orders/stripe")]
) -> dict[str, Any]:
    return {"order_id": event["order_id"], "api_key_configured": bool(api_key)}
