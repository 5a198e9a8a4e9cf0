"""The application behind Mangum, over the values of the secrets file, and with a value in the place of a dependency."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app import Database, app, get_database, handler
from pydantic import SecretStr

from lambdasecrets.testing import SecretsExtension, lambda_context, secrets_extension


def get(path: str) -> Any:
    """Send what an HTTP API sends; give the status and the body."""
    event = json.loads(Path("event.json").read_text(encoding="utf-8"))
    http = {**event["requestContext"]["http"], "path": path}
    event.update(rawPath=path, requestContext={**event["requestContext"], "http": http})
    answer = handler(event, lambda_context())
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def extension() -> Iterator[SecretsExtension]:
    with secrets_extension("secrets.toml") as extension:
        yield extension


def test_an_order(extension: SecretsExtension) -> None:
    assert get("/orders/7") == (200, {"order_id": 7, "read_from": "db.internal"})


def test_regions(extension: SecretsExtension) -> None:
    extension.parameters["/orders/regions"] = ["eu-north-1"]

    assert get("/regions") == (200, ["eu-north-1"])


def test_another_database(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = Database(host="test.internal", username="test", password=SecretStr("made up"))
    monkeypatch.setitem(app.dependency_overrides, get_database, lambda: made_up)

    assert get("/orders/7") == (200, {"order_id": 7, "read_from": "test.internal"})
