"""A handler that survives the rotation of its database's password without a failed invocation."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Database(BaseModel, frozen=True):
    host: str
    port: int = 5432
    dbname: str
    username: str
    password: SecretStr


@lru_cache(maxsize=1)
def connection(database: Database) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=database.host,
        port=database.port,
        dbname=database.dbname,
        user=database.username,
        password=database.password.get_secret_value(),
        connect_timeout=2,
        autocommit=True,
    )


def open_connection(database: Database) -> psycopg.Connection[Any]:
    if connection(database).closed:  # the server ended it, and an invocation has found that out
        connection.cache_clear()
    return connection(database)


# --8<-- [start:handler]
@inject_secrets(retry_on=(psycopg.OperationalError,))
def handler(
    event: dict[str, Any], context: "LambdaContext", *, database: Annotated[Database, Secret("orders/database")]
) -> dict[str, Any]:
    order_id = event["order_id"]
    # A handler may run twice, by `retry_on` as by Lambda's own retries: the same order is no second row.
    open_connection(database).execute("INSERT INTO orders (id) VALUES (%s) ON CONFLICT DO NOTHING", (order_id,))
    return {"order_id": order_id}


# --8<-- [end:handler]
