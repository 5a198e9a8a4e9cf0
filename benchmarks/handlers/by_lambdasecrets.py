"""Ours."""

from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets


class Database(BaseModel):
    host: str
    password: SecretStr


@inject_secrets
def handler(event: Any, context: Any, *, database: Annotated[Database, Secret("s0")]) -> None:
    return None
