"""A decorated function is called with (event, context), and gives what it gave."""

from typing import Annotated, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from typing_extensions import assert_type

from lambdasecrets import Secret, inject_secrets
from typing_tests.models import Answer, AppConfig, Database, Order, OrdersDatabase, PageSize


@inject_secrets
def handler(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    database: Annotated[Database, Secret("orders/database")],
    page_size: PageSize = 50,
) -> dict[str, int]:
    return {database.host: page_size}


@inject_secrets
def order_handler(event: Order, context: LambdaContext, *, config: AppConfig) -> Answer:
    return Answer(total=config.page_size)


@inject_secrets
def any_handler(event: Any, context: Any, *, database: OrdersDatabase) -> str:
    return database.host


@inject_secrets
def silent_handler(event: list[str], context: object, *, database: OrdersDatabase) -> None: ...


def accepted(context: LambdaContext, fake: Database, config: AppConfig) -> None:
    assert_type(handler({}, context), dict[str, int])
    assert_type(handler({"order_id": 7}, context, database=fake), dict[str, int])
    assert_type(handler({}, context, database=fake, page_size=10), dict[str, int])
    assert_type(order_handler(Order(order_id=7), context), Answer)
    assert_type(order_handler(Order(order_id=7), context, config=config), Answer)
    assert_type(any_handler(7, None), str)
    silent_handler([], context)


def rejected(context: LambdaContext) -> None:
    handler()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    handler({})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    handler("text", context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handler({}, "context")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handler({}, context, 7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    order_handler({"order_id": 7}, context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong: str = handler({}, context)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(wrong)  # noqa: T201 - used, so that only its type is wrong
