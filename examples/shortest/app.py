from typing import Annotated, Any

from lambdasecrets import Secret, inject_secrets


@inject_secrets
def handler(event: Any, context: Any, *, password: Annotated[str, Secret("prod/db", key="password")]) -> int:
    return len(password)
