from typing import Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets


class Database(BaseModel):
    host: str
    password: SecretStr


OrdersDatabase = Annotated[Database, Secret("prod/orders/database")]


@inject_secrets
def handler(event: Any, context: Any, *, database: OrdersDatabase) -> str:
    return f"connects to {database.host}"
