"""The handler, over the values of the secrets file."""

from app import handler

from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.testing import SecretsExtension


def test_an_order(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    result = handler({"order_id": 7}, lambda_context)

    assert result["database"] == "orders@db.internal:5432"
    assert result["page_size"] == 25


def test_without_a_page_size(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    del secrets_extension.parameters["/orders/page-size"]

    assert handler({"order_id": 7}, lambda_context)["page_size"] == 50


def test_after_a_rotation(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    rotated = {"host": "db.internal", "username": "orders_2", "password": "another made-up password"}
    secrets_extension.secrets["dev/orders/database"] = rotated

    assert handler({"order_id": 7}, lambda_context)["database"] == "orders_2@db.internal:5432"
