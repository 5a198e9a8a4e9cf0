"""A value in the place of a dependency: it is found by an equal declaration, and no server is asked."""

import json

from app import Database, app, handler
from pydantic import SecretStr

from lambdasecrets import Secret
from lambdasecrets.powertools import dependency
from lambdasecrets.testing import lambda_context


def test_order() -> None:
    made_up = Database(host="test.internal", username="test", password=SecretStr("made up"))
    app.dependency_overrides[dependency(Secret("orders/database"), Database)] = lambda: made_up
    event = {"path": "/orders/7", "httpMethod": "GET", "headers": {}, "requestContext": {}}

    answer = handler(event, lambda_context())

    assert json.loads(answer["body"]) == {"order_id": "7", "read_from": "test.internal"}
