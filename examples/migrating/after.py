"""The same handler with its secret as a typed argument."""

from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@inject_secrets
def handler(
    event: dict[str, Any], context: object, *, database: Annotated[Database, Secret("{STAGE}/orders/database")]
) -> str:
    return f"{database.username}@{database.host}"
