"""A handler as teams write it: one secret as a model, one parameter as a number."""

from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr
    port: int = 5432


@inject_secrets
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    database: Annotated[Database, Secret("{STAGE}/orders/database")],
    page_size: Annotated[int, Parameter("/orders/page-size")] = 50,
) -> dict[str, Any]:
    """Show what arrived; the secrets of these tests are made up."""
    return {
        "address": f"{database.username}@{database.host}:{database.port}",
        "password": database.password.get_secret_value(),
        "page_size": page_size,
    }
