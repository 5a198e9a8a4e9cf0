from typing import Annotated
from pydantic import BaseModel, SecretStr
from lambdasecrets import Secret, inject_secrets

class Database(BaseModel):
    host: str
    password: SecretStr

@inject_secrets
def handler(event: object, context: object, *, database: Annotated[Database, Secret("prod/orders/database")]) -> str:
    return f"connects to {database.host}"
