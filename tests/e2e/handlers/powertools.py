"""Handlers with all of Powertools around them, in both orders, observed, and an API behind its resolver."""

from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, inject_secrets, resolve
from lambdasecrets.powertools import observe

logger = Logger(service="orders")
tracer = Tracer(service="orders")
metrics = Metrics(namespace="orders", service="orders")
report = observe(logger=logger, metrics=metrics, tracer=tracer)
app = APIGatewayRestResolver()

ApiKey = Annotated[SecretStr, Secret("powertools/key", key="api_key")]


class Order(BaseModel):
    order_id: int


def _placed(order: Order, key: SecretStr) -> dict[str, Any]:
    logger.info("order placed", order_id=order.order_id, key=key)
    metrics.add_metric("Orders", MetricUnit.Count, 1)
    return {"order_id": order.order_id, "key": key.get_secret_value()}


@logger.inject_lambda_context(log_event=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
@event_parser(model=Order)
@inject_secrets(on_resolve=report)
def inside(event: Order, context: LambdaContext, *, key: ApiKey) -> dict[str, Any]:
    """Injected under Powertools."""
    return _placed(event, key)


@inject_secrets(on_resolve=report)
@logger.inject_lambda_context(log_event=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
@event_parser(model=Order)  # type: ignore[arg-type]  # it knows of no third argument, but hands it on
def outside(event: Order, context: LambdaContext, *, key: ApiKey) -> dict[str, Any]:
    """Injected over Powertools."""
    return _placed(event, key)


@app.get("/orders/<order_id>")
def get_order(order_id: str) -> dict[str, Any]:
    """Use the handler's value and one of the route's own."""
    key: SecretStr = app.context["key"]
    own = resolve(Secret("powertools/key", key="route_key"), SecretStr)
    return {"order_id": order_id, "keys": [key.get_secret_value(), own.get_secret_value()]}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@inject_secrets
def api(event: dict[str, Any], context: LambdaContext, *, key: ApiKey) -> dict[str, Any]:
    """Hand the event to the resolver."""
    app.append_context(key=key)
    return app.resolve(event, context)
