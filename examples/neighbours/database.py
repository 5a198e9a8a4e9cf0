"""What a new connection of a pool logs in with."""

from typing import Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, resolve


class Database(BaseModel, frozen=True):
    host: str
    port: int = 5432
    dbname: str
    username: str
    password: SecretStr


def login(*, refresh: bool = False) -> dict[str, Any]:
    database = resolve(Secret("orders/database"), Database, refresh=refresh)
    return {
        "host": database.host,
        "port": database.port,
        "dbname": database.dbname,
        "user": database.username,
        "password": database.password.get_secret_value(),
    }
