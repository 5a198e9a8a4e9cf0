"""A handler that fails with secrets in its frame, for whoever collects errors."""

from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets


class Database(BaseModel, frozen=True):
    host: str
    password: SecretStr


def connect(host: str, password: str) -> None:
    raise ConnectionError(f"{host} does not answer")


@inject_secrets
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    database: Annotated[Database, Secret("orders/database")],
    partner: Annotated[SecretStr, Secret("orders/partner")],
    webhook: Annotated[str, Secret("orders/webhook")],  # a plain text, for comparison
) -> None:
    connect(database.host, database.password.get_secret_value())
