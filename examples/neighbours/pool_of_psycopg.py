"""A pool of psycopg's, whose connections log in with the password that is valid now."""

from typing import Any

import psycopg
from database import login
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from lambdasecrets import invocation


class Connection(psycopg.Connection[TupleRow]):
    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> "Connection":
        try:
            return super().connect(conninfo, **options, **login())
        except psycopg.OperationalError:  # on a thread of the pool's: no `retry_on` sees it
            return super().connect(conninfo, **options, **login(refresh=True))


pool = ConnectionPool(
    connection_class=Connection,
    kwargs={"connect_timeout": 2},
    min_size=1,
    max_size=4,
    check=ConnectionPool.check_connection,  # the server may have ended it while the function was frozen
    open=False,  # it connects when it is opened, and the extension serves during invocations only
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    pool.open()
    with invocation(context), pool.connection(timeout=10) as connection:
        connection.execute("INSERT INTO orders (id) VALUES (%s) ON CONFLICT DO NOTHING", (event["order_id"],))
    return {"order_id": event["order_id"]}
