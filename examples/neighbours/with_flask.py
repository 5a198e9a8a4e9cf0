"""A Flask application behind a WSGI adapter."""

from typing import Any

from apig_wsgi import make_lambda_handler
from flask import Flask
from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, invocation, resolve

app = Flask(__name__)
adapter = make_lambda_handler(app)


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@app.get("/orders/<int:order_id>")
def order(order_id: int) -> dict[str, Any]:
    database = resolve(Secret("orders/database"), Database)
    return {"order_id": order_id, "read_from": database.host}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context):
        return adapter(event, context)
