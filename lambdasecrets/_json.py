"""JSON, as pydantic reads it. `pydantic_core` enters here and through `_parsing`."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

Json = dict[str, Any] | list[Any] | str | float | bool | None


def parse_json(text: str | bytes) -> Json:
    """Parse JSON. A document that is none reads as None, as `null` does: no caller has a use for either."""
    try:
        # Without pydantic's cache of short strings: it would keep values for as long as the process lives.
        parsed: Json = from_json(text, cache_strings="keys")
    except ValueError:
        return None
    return parsed


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. What is none reads as an object without members."""
    content = parse_json(text)
    return content if isinstance(content, dict) else {}
