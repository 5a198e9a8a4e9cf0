"""Orders from a queue, which the shop signs: a message that fails is sent again, the others are done."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

NAME = "{STAGE}/orders/signing-key"

logger = Logger(service="orders-queue")
processor = BatchProcessor(event_type=EventType.SQS)


class SignatureError(Exception):
    """None of the keys has made the signature."""


def sign(body: str, key: SecretStr) -> str:
    return hmac.digest(key.get_secret_value().encode(), body.encode(), "sha256").hex()


def verify(record: SQSRecord, *keys: SecretStr | None) -> None:
    signature = record.message_attributes["signature"]
    given = (signature and signature.string_value) or ""
    if not any(hmac.compare_digest(given.encode(), sign(record.body, key).encode()) for key in keys if key):
        raise SignatureError


# Decorated itself, because the processor keeps the error of a message. The name `lambda_context` gets the context.
@inject_secrets(retry_on=[SignatureError], max_age=30)
def take_order(
    record: SQSRecord,
    lambda_context: LambdaContext,
    *,
    key: Annotated[SecretStr, Secret(NAME)],
    previous: Annotated[SecretStr | None, Secret(NAME, version_stage="AWSPREVIOUS")] = None,  # signed before a rotation
) -> None:
    verify(record, key, previous)
    logger.info("took an order", order_id=record.json_body["order_id"])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, take_order, processor, context)
