"""A service that reads its secrets through AWS's agent: on ECS, EKS or EC2; or a function in Lambda."""

from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets, resolve


# --8<-- [start:service]
class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


class Settings(BaseModel, frozen=True):
    database: Annotated[Database, Secret("{STAGE}/orders/database")]
    # Another account's secret, read with a role of that account.
    partner_key: Annotated[SecretStr, Secret("partner/api-key", role_arn="arn:aws:iam::111122223333:role/orders")]


def connect() -> dict[str, Any]:
    settings = resolve(Settings, max_age=30)
    return {"database": settings.database.host, "partner_key_configured": bool(settings.partner_key)}


# --8<-- [end:service]


# --8<-- [start:function]
@inject_secrets
def handler(event: dict[str, Any], context: Any, *, settings: Settings) -> str:
    return f"{settings.database.username}@{settings.database.host}"


# --8<-- [end:function]
