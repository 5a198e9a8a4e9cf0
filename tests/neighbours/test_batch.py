"""Powertools' batch processors, which keep the errors of the messages to themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    async_process_partial_response,
    process_partial_response,
)

from lambdasecrets import Secret, aresolve, inject_secrets
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.neighbours._payments import Payments
from tests.neighbours.conftest import Load

ORDERS = range(1, 11)
NAME = "orders/payments"


class LoginError(Exception):
    """The message was not let in."""


def sqs_event(orders: Any = ORDERS) -> dict[str, Any]:
    """Make what SQS sends."""
    return {
        "Records": [
            {
                "messageId": f"message-{order_id}",
                "receiptHandle": "handle",
                "body": json.dumps({"order_id": order_id}),
                "attributes": {},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders",
                "awsRegion": "eu-west-1",
            }
            for order_id in orders
        ]
    }


def failures_in(answer: dict[str, Any]) -> list[str]:
    """List the messages that SQS will send again."""
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


def count_calls(extension: Emulator) -> int:
    """Count how often AWS itself was asked."""
    return sum(request.api is not None for request in extension.requests)


@pytest.fixture
def rotate(extension: Emulator, store: MemoryStore, payments: Payments) -> Callable[[Callable[[], object]], None]:
    """Give what invokes once with the first key, so that the extension has it, and rotates the key then."""

    def rotate(invoke: Callable[[], object]) -> None:
        payments.key = "first"
        store.put_secret(NAME, {"api_key": "first"})
        invoke()
        payments.charges.clear()
        payments.key = "second"
        store.put_secret(NAME, {"api_key": "second"})

    return rotate


Rotate = Callable[[Callable[[], object]], None]


def test_the_decorated_inner_function(extension: Emulator, payments: Payments, load: Load, rotate: Rotate) -> None:
    """A rotated key is met at the first message, fetched once, and no message fails."""
    handler = load("neighbours/batch").handler
    rotate(lambda: handler(sqs_event([0]), lambda_context()))
    answer = handler(sqs_event(), lambda_context(10))

    assert (failures_in(answer), payments.charges) == ([], list(ORDERS))
    assert (payments.refused, count_calls(extension)) == (1, 1)


def test_refresh_by_hand(extension: Emulator, payments: Payments, load: Load, rotate: Rotate) -> None:
    """With values for the whole batch each message is refused and asks anew, and no message fails."""
    handler = load("neighbours/batch").handler_by_hand
    rotate(lambda: handler(sqs_event([0]), lambda_context()))
    answer = handler(sqs_event(), lambda_context(10))

    assert (failures_in(answer), payments.charges) == ([], list(ORDERS))
    assert payments.refused == len(ORDERS)
    assert 1 <= count_calls(extension) < len(ORDERS)


def test_outside_of_the_processor(extension: Emulator, payments: Payments, load: Load, rotate: Rotate) -> None:
    """Around the processor `retry_on` sees no error of a message: the batch fails, also the next one."""
    module = load("neighbours/batch")
    module.processor.raise_on_entire_batch_failure = False
    handler = module.handler_that_sees_nothing
    rotate(lambda: handler(sqs_event([0]), lambda_context()))
    failed = [failures_in(handler(sqs_event(), lambda_context(10))) for _ in range(2)]

    assert failed == [[f"message-{order_id}" for order_id in ORDERS]] * 2
    assert (payments.charges, count_calls(extension)) == ([], 0)


def test_messages_at_the_same_time(extension: Emulator, store: MemoryStore) -> None:
    """Messages that an async processor runs at the same time share one call to AWS."""
    processor = AsyncBatchProcessor(event_type=EventType.SQS)
    valid = ["first"]
    tried: list[str] = []

    @inject_secrets(retry_on=(LoginError,), timeout=20)
    async def pay(record: Any, lambda_context: Any, *, key: Annotated[str, Secret(NAME)]) -> None:
        tried.append(key)
        await asyncio.sleep(0)
        if key != valid[0]:
            raise LoginError

    def handler() -> dict[str, Any]:
        context: Any = lambda_context(20)
        return dict(async_process_partial_response(sqs_event(), pay, processor, context))

    store.put_secret(NAME, "first")
    handler()
    valid[0] = "second"
    store.put_secret(NAME, "second")
    tried.clear()

    assert (failures_in(handler()), sorted(tried)) == ([], ["first"] * len(ORDERS) + ["second"] * len(ORDERS))
    assert count_calls(extension) == 1


def test_aresolve_in_a_message(extension: Emulator, store: MemoryStore) -> None:
    """A coroutine for a message can refresh by hand too."""
    processor = AsyncBatchProcessor(event_type=EventType.SQS)
    found: list[list[str]] = []

    async def read(record: Any) -> None:
        found.append([await aresolve(Secret(NAME), str), await aresolve(Secret(NAME), str, refresh=True)])

    store.put_secret(NAME, "first")
    asyncio.run(aresolve(Secret(NAME), str))
    store.put_secret(NAME, "second")
    async_process_partial_response(sqs_event([1]), read, processor)

    assert found == [["first", "second"]]


def test_a_queue_in_order(extension: Emulator, payments: Payments, load: Load, rotate: Rotate) -> None:
    """A FIFO queue's processor stops at the first failure: with the inner function there is none."""
    pay = load("neighbours/batch").pay

    def handler(orders: Any) -> list[str]:
        context: Any = lambda_context(10)
        return failures_in(dict(process_partial_response(sqs_event(orders), pay, SqsFifoPartialProcessor(), context)))

    rotate(lambda: handler([0]))

    assert (handler(ORDERS), payments.charges) == ([], list(ORDERS))
