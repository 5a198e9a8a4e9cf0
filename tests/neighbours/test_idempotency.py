"""Powertools' idempotency, with moto's DynamoDB beside the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.neighbours._payments import Payments
from tests.neighbours.conftest import Load

KEY = "canary-4e1d"
TABLE = "idempotency"


@pytest.fixture
def dynamodb(extension: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give DynamoDB with the table that the records are in."""
    monkeypatch.setenv("IDEMPOTENCY_TABLE", TABLE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.fixture
def handler(dynamodb: Any, store: MemoryStore, payments: Payments, load: Load) -> Any:
    """Give the example's handler, with a key that is valid."""
    payments.key = KEY
    store.put_secret("orders/payments", {"api_key": KEY})
    return load("neighbours/idempotent").handler


def test_a_repeated_event_asks_for_nothing(handler: Any, extension: Emulator, payments: Payments) -> None:
    """The second time the record answers: nothing is resolved, and nothing charged."""
    first = handler({"order_id": 7}, lambda_context())
    asked = len(extension.requests)
    second = handler({"order_id": 7}, lambda_context())

    assert (first, second) == ({"receipt": "receipt-1"},) * 2
    assert (payments.charges, len(extension.requests)) == ([7], asked)


def test_no_secret_is_in_the_record(handler: Any, dynamodb: Any) -> None:
    """What is kept is the answer and a digest of the event, and not what was injected."""
    handler({"order_id": 7}, lambda_context())
    (record,) = dynamodb.scan(TableName=TABLE)["Items"]

    assert ("receipt-1" in str(record), KEY in str(record)) == (True, False)


def test_a_rotation_inside(handler: Any, store: MemoryStore, payments: Payments, dynamodb: Any) -> None:
    """The second run of `retry_on` is inside: one record, one charge, while AWS is the stand-in beside moto."""
    handler({"order_id": 7}, lambda_context(20))
    payments.key = "second"
    store.put_secret("orders/payments", {"api_key": "second"})
    answer = handler({"order_id": 8}, lambda_context(20))

    assert (answer, payments.charges, payments.refused) == ({"receipt": "receipt-2"}, [7, 8], 1)
    assert len(dynamodb.scan(TableName=TABLE)["Items"]) == 2


def test_an_event_that_failed_is_not_done(handler: Any, extension: Emulator, store: MemoryStore, dynamodb: Any) -> None:
    """Where a secret is not to be had there is no record: the event may come again."""
    extension.clear_cache()
    store.deny("orders/payments")
    with pytest.raises(Exception, match="orders/payments"):
        handler({"order_id": 7}, lambda_context())

    assert dynamodb.scan(TableName=TABLE)["Items"] == []
