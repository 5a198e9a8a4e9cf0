"""A decorated method binds as any method does."""

from aws_lambda_powertools.utilities.typing import LambdaContext
from typing_extensions import assert_type

from lambdasecrets import inject_secrets
from typing_tests.models import Answer, Database, Order, OrdersDatabase


class Service:
    @inject_secrets
    def handler(self, event: Order, context: LambdaContext, *, database: OrdersDatabase) -> Answer:
        return Answer(total=event.order_id)

    @inject_secrets(max_age=30)
    def cached(self, event: Order, context: LambdaContext, *, database: OrdersDatabase) -> Answer:
        return Answer(total=event.order_id)

    @inject_secrets
    async def coroutine(self, event: Order, context: LambdaContext, *, database: OrdersDatabase) -> Answer:
        return Answer(total=event.order_id)


def accepted(service: Service, order: Order, context: LambdaContext, fake: Database) -> None:
    assert_type(service.handler(order, context), Answer)
    assert_type(service.handler(order, context, database=fake), Answer)
    assert_type(service.cached(order, context), Answer)


async def accepted_awaited(service: Service, order: Order, context: LambdaContext) -> None:
    assert_type(await service.coroutine(order, context), Answer)


def rejected(service: Service, order: Order, context: LambdaContext) -> None:
    service.handler(order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    service.handler("text", context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    service.handler(service, order, context)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
