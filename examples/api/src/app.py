"""An HTTP API with Powertools: what every route needs is injected, what one route needs is resolved there."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError
from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets, resolve

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="orders-api")
app = APIGatewayHttpResolver()


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


class Shipping(BaseModel, frozen=True):  # a config model, so that `policy` and `check` see what a route resolves
    regions: Annotated[list[str], Parameter("/orders-api/regions")]


def require_key(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    expected: SecretStr = app.context["api_key"]
    given = app.current_event.headers.get("x-api-key", "")
    if not compare_digest(given.encode(), expected.get_secret_value().encode()):
        raise UnauthorizedError("x-api-key is missing or wrong")
    return next_middleware(app)


app.use([require_key])


@app.get("/orders/<order_id>")
def read_order(order_id: str) -> dict[str, Any]:
    database: Database = app.context["database"]
    logger.info("read an order", order_id=order_id)
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def list_regions() -> dict[str, Any]:
    return {"regions": resolve(Shipping, max_age=30).regions}  # asked for by this route only


@logger.inject_lambda_context
@inject_secrets(max_age=30)
def handler(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    database: Annotated[Database, Secret("{STAGE}/orders-api/database")],
    api_key: Annotated[SecretStr, Secret("{STAGE}/orders-api/key")],
) -> dict[str, Any]:
    app.append_context(database=database, api_key=api_key)
    return app.resolve(event, context)
