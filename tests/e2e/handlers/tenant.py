"""A handler of a function with tenant isolation."""

from typing import Annotated, Any

from lambdasecrets import Secret, inject_secrets, resolve

KEY = Secret("tenants/{context.tenant_id}/key")


@inject_secrets
def handler(event: Any, context: Any, *, key: Annotated[str, KEY]) -> list[str]:
    """Give the key of the invocation's tenant, injected and resolved."""
    return [key, resolve(KEY, str)]
