"""A queue's messages, some of which fail: what one message raises never reaches the handler around them."""

from typing import Annotated, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from payments import KeyRefusedError, charge
from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets, resolve

ApiKey = Annotated[SecretStr, Secret("orders/payments", key="api_key")]

processor = BatchProcessor(event_type=EventType.SQS)


# --8<-- [start:inner]
@inject_secrets(retry_on=(KeyRefusedError,), max_age=10)
def pay(record: SQSRecord, lambda_context: LambdaContext, *, api_key: ApiKey) -> str:
    return charge(record.json_body["order_id"], api_key)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event, pay, processor, context)


# --8<-- [end:inner]


# --8<-- [start:by_hand]
@inject_secrets
def handler_by_hand(event: dict[str, Any], context: LambdaContext, *, api_key: ApiKey) -> Any:
    def pay(record: SQSRecord) -> str:
        order_id = record.json_body["order_id"]
        try:
            return charge(order_id, api_key)
        except KeyRefusedError:
            return charge(order_id, resolve(ApiKey, refresh=True))

    return process_partial_response(event, pay, processor, context)


# --8<-- [end:by_hand]


# --8<-- [start:outside]
@inject_secrets(retry_on=(KeyRefusedError,))  # never sees one: the processor has it
def handler_that_sees_nothing(event: dict[str, Any], context: LambdaContext, *, api_key: ApiKey) -> Any:
    def pay(record: SQSRecord) -> str:
        return charge(record.json_body["order_id"], api_key)

    return process_partial_response(event, pay, processor, context)


# --8<-- [end:outside]
