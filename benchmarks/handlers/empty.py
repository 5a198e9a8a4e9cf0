"""What Lambda's runtime costs by itself."""

from __future__ import annotations

from typing import Any


def handler(event: Any, context: Any) -> None:
    return None
