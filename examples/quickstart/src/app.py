"""An orders handler: its secrets and parameters are typed arguments."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr
    port: int = 5432


@inject_secrets
def handler(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    database: Annotated[Database, Secret("{STAGE}/orders/database")],
    api_key: Annotated[SecretStr, Secret("{STAGE}/orders/stripe", key="api_key")],
    page_size: Annotated[int, Parameter("/orders/page-size")] = 50,
    regions: Annotated[list[str], Parameter("/orders/regions")],
) -> dict[str, Any]:
    return {
        "order_id": event["order_id"],
        "database": f"{database.username}@{database.host}:{database.port}",
        "api_key_configured": bool(api_key),
        "page_size": page_size,
        "regions": regions,
    }
