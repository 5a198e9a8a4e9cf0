"""`inject_secrets` takes its options by keyword, and with them gives the same types as bare."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from typing_extensions import assert_type

from lambdasecrets import ResolveEvent, inject_secrets
from typing_tests.models import Database, OrdersDatabase


def watch(event: ResolveEvent) -> None: ...


@inject_secrets(max_age=30, stale_if_error=300.0, timeout=2.5, retry_on=(ConnectionError,), on_resolve=watch)
def handler(event: dict[str, Any], context: LambdaContext, *, database: OrdersDatabase) -> str:
    return database.host


@inject_secrets()
def without_any(event: dict[str, Any], context: LambdaContext, *, database: OrdersDatabase) -> str:
    return database.host


def accepted(context: LambdaContext, fake: Database) -> None:
    assert_type(handler({}, context), str)
    assert_type(handler({}, context, database=fake), str)
    assert_type(without_any({}, context), str)


def rejected(context: LambdaContext) -> None:
    inject_secrets(30)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    inject_secrets(max_age="30")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    inject_secrets(age=30)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    inject_secrets(retry_on=("OSError",))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    inject_secrets(on_resolve=handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    handler({})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    handler("text", context)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
