"""Pays an order."""

from typing import Any

from lambdasecrets import inject_secrets
from orders.needs import Database, StripeKey


@inject_secrets
def handler(event: dict[str, Any], context: object, *, database: Database, stripe: StripeKey) -> str:
    return f"order {event['order_id']} of {database.host} paid" if stripe else "no key"
