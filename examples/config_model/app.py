"""One pydantic model that declares everything a function needs."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets, resolve

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# --8<-- [start:model]
class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


class Payments(BaseModel, frozen=True):
    api_key: Annotated[SecretStr, Secret("{STAGE}/orders/stripe", key="api_key")]
    webhook: Annotated[SecretStr, Secret("{STAGE}/orders/stripe", key="webhook")]


class AppConfig(BaseModel, frozen=True):
    database: Annotated[Database, Secret("{STAGE}/orders/database")]
    payments: Payments  # a config model itself: its fields carry declarations
    page_size: Annotated[int, Field(gt=0), Parameter("/orders/page-size")] = 50
    attempts: int = 3  # carries no declaration: it keeps its default


@inject_secrets
def handler(event: dict[str, Any], context: "LambdaContext", *, config: AppConfig) -> dict[str, Any]:
    return {
        "database": f"{config.database.username}@{config.database.host}",
        "payments_configured": bool(config.payments.api_key),
        "page_size": config.page_size,
        "attempts": config.attempts,
    }


# --8<-- [end:model]


# --8<-- [start:resolve]
def report() -> str:
    """Say where the orders are: outside a handler, so by `resolve`."""
    config = resolve(AppConfig)
    previous = resolve(Secret("{STAGE}/orders/database", version_stage="AWSPREVIOUS"), Database)
    return f"{config.database.host}, before the last rotation {previous.host}"


# --8<-- [end:resolve]
