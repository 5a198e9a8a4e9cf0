"""A batch with a message that fails, and batches around a rotation of the key."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from app import handler, processor, sign
from pydantic import SecretStr

from lambdasecrets.testing import SecretsExtension, lambda_context, secrets_extension


def message(order_id: int, key: str) -> dict[str, Any]:
    body = json.dumps({"order_id": order_id})
    signature = {"dataType": "String", "stringValue": sign(body, SecretStr(key))}
    return {
        "messageId": f"message-{order_id}",
        "body": body,
        "messageAttributes": {"signature": signature},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:orders",
    }


def handle(*messages: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Give the messages that are done, and those that the queue sends again."""
    answer = handler({"Records": list(messages)}, lambda_context())
    done = [record["messageId"] for record in processor.success_messages]
    return done, [item["itemIdentifier"] for item in answer["batchItemFailures"]]


@pytest.fixture
def extension() -> Iterator[SecretsExtension]:
    with secrets_extension("secrets.toml") as extension:
        yield extension


def test_a_message_that_fails(extension: SecretsExtension) -> None:
    valid, forged, valid_too = message(1, "second-made-up-key"), message(2, "forged"), message(3, "second-made-up-key")

    assert handle(valid, forged, valid_too) == (["message-1", "message-3"], ["message-2"])


def test_a_message_without_a_signature(extension: SecretsExtension) -> None:
    unsigned = {**message(2, ""), "messageAttributes": {}}

    assert handle(message(1, "second-made-up-key"), unsigned) == (["message-1"], ["message-2"])


def test_a_rotated_key(extension: SecretsExtension) -> None:
    handle(message(1, "second-made-up-key"))  # `max_age` keeps this key
    extension.secrets["dev/orders/signing-key"] = "third-made-up-key"

    # Once with the key that was kept, then once more with the newer one.
    assert handle(message(2, "third-made-up-key"), message(3, "third-made-up-key")) == (["message-2", "message-3"], [])


def test_a_message_from_before_the_rotation(extension: SecretsExtension) -> None:
    assert handle(message(1, "first-made-up-key")) == (["message-1"], [])
