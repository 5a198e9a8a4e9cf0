"""JSON, as pydantic reads it. `pydantic_core` enters here, and through `_parsing` and `_members`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pydantic_core import from_json

Json = dict[str, Any] | list[Any] | str | float | bool | None


class Fault(NamedTuple):
    """What keeps a text from being JSON. Quotes nothing of it.

    Attributes:
        cause: in the parser's own words.
        line: counted from 1.
        column: in bytes of UTF-8, counted from 1; 0 for the line break before the line.
    """

    cause: str
    line: int
    column: int


def parse_json(text: str | bytes) -> Json:
    """Parse JSON. A document that is none reads as None, as `null` does; `find_fault` tells them apart."""
    try:
        # Without pydantic's cache of short strings: it would keep values for as long as the process lives.
        parsed: Json = from_json(text, cache_strings="none")
    except (ValueError, TypeError):  # a TypeError: a lone surrogate, which Python's own JSON lets through
        return None
    return parsed


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object. What is none reads as an object without members."""
    content = parse_json(text)
    return content if isinstance(content, dict) else {}


def find_fault(text: str | bytes) -> Fault | None:
    """Say what keeps a text from being JSON, and where. None: it is JSON."""
    try:
        from_json(text, cache_strings="none")
    except (ValueError, TypeError) as error:
        found = re.fullmatch(r"(.*) at line (\d+) column (\d+)", str(error))
        return Fault(found[1], int(found[2]), int(found[3])) if found else Fault("", 1, 1)
    return None
