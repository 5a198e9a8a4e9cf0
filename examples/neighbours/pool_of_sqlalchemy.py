"""A pool of SQLAlchemy's, whose connections log in with the password that is valid now."""

from typing import Any

from database import login
from sqlalchemy import create_engine, event, text

from lambdasecrets import invocation

engine = create_engine("postgresql+psycopg://", pool_size=4, max_overflow=0, pool_pre_ping=True)


@event.listens_for(engine, "do_connect")
def connect(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> Any:
    try:
        return dialect.connect(*arguments, connect_timeout=2, **login())
    except dialect.loaded_dbapi.OperationalError:
        return dialect.connect(*arguments, connect_timeout=2, **login(refresh=True))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context), engine.begin() as connection:
        connection.execute(
            text("INSERT INTO orders (id) VALUES (:id) ON CONFLICT DO NOTHING"), {"id": event["order_id"]}
        )
    return {"order_id": event["order_id"]}
