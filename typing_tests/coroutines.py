"""A decorated `async def` stays one."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from typing_extensions import assert_type

from lambdasecrets import inject_secrets
from typing_tests.models import Database, OrdersDatabase


@inject_secrets
async def handler(event: dict[str, Any], context: LambdaContext, *, database: OrdersDatabase) -> dict[str, int]:
    return {database.host: 1}


@inject_secrets(timeout=2.5)
async def bounded(event: dict[str, Any], context: LambdaContext, *, database: OrdersDatabase) -> str:
    return database.host


async def accepted(context: LambdaContext, fake: Database) -> None:
    assert_type(await handler({}, context), dict[str, int])
    assert_type(await handler({}, context, database=fake), dict[str, int])
    assert_type(await bounded({}, context), str)


async def rejected(context: LambdaContext) -> None:
    await handler({})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await handler("text", context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wrong: dict[str, int] = handler({}, context)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(wrong)  # noqa: T201 - used, so that only its type is wrong
