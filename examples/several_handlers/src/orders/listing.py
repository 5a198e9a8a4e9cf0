"""Lists orders: needs the database alone, so that is what its role may read."""

from typing import Any

from lambdasecrets import inject_secrets
from orders.needs import Database, PageSize


@inject_secrets
def handler(event: dict[str, Any], context: object, *, database: Database, page_size: PageSize = 50) -> str:
    return f"{page_size} orders from {database.host}"
