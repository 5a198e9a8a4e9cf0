"""Threads of one's own: each is told which invocation it works for."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pydantic import SecretStr

from lambdasecrets import Secret, resolve


def read_key(shop: str, *, context: Any) -> SecretStr:
    return resolve(Secret(f"shops/{shop}/key", literal=True), SecretStr, context=context)


def handler(event: dict[str, Any], context: Any) -> dict[str, bool]:
    with ThreadPoolExecutor() as threads:
        keys = threads.map(partial(read_key, context=context), event["shops"])
        return {shop: bool(key) for shop, key in zip(event["shops"], keys, strict=True)}
