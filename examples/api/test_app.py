"""The API, over the values of the secrets file and through Powertools' own resolver."""

import json
from typing import Any

import pytest
from app import handler

from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.testing import SecretsExtension

ORDER = {"order_id": "7", "read_from": "db.internal"}


def request(path: str, key: str = "made-up-key") -> dict[str, Any]:
    http = {"method": "GET", "path": path}
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {"x-api-key": key},
        "requestContext": {"http": http, "stage": "$default"},
    }


@pytest.mark.parametrize(
    ("path", "body"), [("/orders/7", ORDER), ("/regions", {"regions": ["eu-central-1", "eu-west-1"]})]
)
def test_the_routes(
    secrets_extension: SecretsExtension, lambda_context: LambdaContext, path: str, body: dict[str, Any]
) -> None:
    answer = handler(request(path), lambda_context)

    assert (answer["statusCode"], json.loads(answer["body"])) == (200, body)


def test_a_wrong_key(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    assert handler(request("/orders/7", "another-key"), lambda_context)["statusCode"] == 401
