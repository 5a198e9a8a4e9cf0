"""Routes of an API whose secrets come by injection; every resolve is in the log, the metrics and the trace."""

from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets, resolve
from lambdasecrets.powertools import observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="orders")
metrics = Metrics(service="orders", namespace="shop")
tracer = Tracer(service="orders")
report = observe(logger=logger, metrics=metrics, tracer=tracer)
app = APIGatewayRestResolver()


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@app.get("/orders/<order_id>")
def order(order_id: str) -> dict[str, Any]:
    database: Database = app.context["database"]
    metrics.add_metric(name="OrdersRead", unit="Count", value=1)
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def regions() -> dict[str, Any]:
    found = resolve(Parameter("/orders/regions"), list[str], on_resolve=report)  # asked for by this route only
    metrics.add_metric(name="RegionsRead", unit="Count", value=1)
    return {"regions": found}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
@inject_secrets(on_resolve=report)
def handler(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    database: Annotated[Database, Secret("orders/database")],
) -> dict[str, Any]:
    app.append_context(database=database)
    return app.resolve(event, context)
