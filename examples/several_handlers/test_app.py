"""Both handlers, over the values of the secrets file."""

from orders import listing, paying

from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.testing import SecretsExtension


def test_listing(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    assert listing.handler({}, lambda_context) == "50 orders from db.internal"


def test_paying(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    assert paying.handler({"order_id": 7}, lambda_context) == "order 7 of db.internal paid"
