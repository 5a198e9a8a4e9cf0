"""Routes of an API whose secrets come by injection, and a structured log line for every resolve."""

from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, ResolveEvent, Secret, inject_secrets, resolve

logger = Logger(service="orders")
app = APIGatewayRestResolver()


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@app.get("/orders/<order_id>")
def order(order_id: str) -> dict[str, Any]:
    database: Database = app.context["database"]
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def regions() -> dict[str, Any]:
    found = resolve(Parameter("/orders/regions"), list[str])  # asked for by this route only
    return {"regions": found}


def note(event: ResolveEvent) -> None:
    logger.info(
        "resolved",
        milliseconds=round(event.milliseconds, 1),
        sources={value.parameter: value.source for value in event.values},
        error=type(event.error).__name__ if event.error else None,
    )


@logger.inject_lambda_context
@inject_secrets(on_resolve=note)
def handler(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    database: Annotated[Database, Secret("orders/database")],
) -> dict[str, Any]:
    app.append_context(database=database)
    return app.resolve(event, context)
