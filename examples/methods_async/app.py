"""Handlers that are methods or coroutines."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ApiKey = Annotated[SecretStr, Secret("orders/stripe", key="api_key")]


# --8<-- [start:method]
class Orders:
    def __init__(self, currency: str) -> None:
        self.currency = currency

    @inject_secrets
    def handle(self, event: dict[str, Any], context: "LambdaContext", *, api_key: ApiKey) -> dict[str, Any]:
        return {"currency": self.currency, "api_key_configured": bool(api_key)}


handler = Orders("EUR").handle
# --8<-- [end:method]


# --8<-- [start:coroutine]
@inject_secrets
async def collect(event: dict[str, Any], context: "LambdaContext", *, api_key: ApiKey) -> list[str]:
    prices = await asyncio.gather(*(price(item, api_key) for item in event["items"]))
    return list(prices)


def async_handler(event: dict[str, Any], context: "LambdaContext") -> list[str]:
    return asyncio.run(collect(event, context))  # Lambda itself calls plain functions only


# --8<-- [end:coroutine]


async def price(item: str, api_key: SecretStr) -> str:
    await asyncio.sleep(0)
    return f"{item}: 5 EUR" if api_key else "no key"
