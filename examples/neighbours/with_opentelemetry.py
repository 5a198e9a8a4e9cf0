"""A span that says what was resolved in it."""

from typing import Annotated, Any

from opentelemetry import trace
from pydantic import SecretStr

from lambdasecrets import ResolveEvent, Secret, inject_secrets

tracer = trace.get_tracer("orders")


def note(event: ResolveEvent) -> None:
    facts = {
        "milliseconds": round(event.milliseconds, 1),
        "sources": [value.source for value in event.values],
        "error": type(event.error).__name__ if event.error else "",
    }
    trace.get_current_span().add_event("secrets resolved", facts)


@tracer.start_as_current_span("order")
@inject_secrets(on_resolve=note)
def handler(
    event: dict[str, Any], context: Any, *, api_key: Annotated[SecretStr, Secret("orders/payments", key="api_key")]
) -> bool:
    return bool(api_key)
