"""JSON, as pydantic reads it. `pydantic_core` enters here, and through `_parsing` and `_members`."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

from lambdasecrets._record import Record

Json = dict[str, Any] | list[Any] | str | float | bool | None


class JsonFault(Record):
    """What keeps a text from being JSON. Quotes nothing of it.

    Attributes:
        cause: in the parser's own words.
        line: counted from 1.
        column: in bytes of UTF-8, counted from 1; 0 for the line break before the line.
    """

    __slots__ = ("cause", "column", "line")

    def __init__(self, cause: str, line: int, column: int) -> None:
        self.cause, self.line, self.column = cause, line, column


def parse_json(text: str | bytes) -> Json:
    """Parse JSON of a value. What is no JSON reads as None, as `null` does; `find_fault` tells them apart."""
    try:
        # Without pydantic's cache of short strings: it would keep values for as long as the process lives.
        parsed: Json = from_json(text, cache_strings="none")
    except _NO_JSON:
        return None
    return parsed


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object of a server. What is none reads as an object without members."""
    try:
        # The names are the protocol's own: the same at every invocation, and no secret.
        content: Json = from_json(text, cache_strings="keys")
    except _NO_JSON:
        return {}
    return content if isinstance(content, dict) else {}


_NO_JSON = (ValueError, TypeError)
"""What pydantic raises. A TypeError: for a lone surrogate, which Python's own JSON lets through."""


def find_fault(text: str | bytes) -> JsonFault | None:
    """Say what keeps a text from being JSON, and where. None: it is JSON."""
    try:
        from_json(text, cache_strings="none")
    except _NO_JSON as error:
        found = re.fullmatch(r"(.*) at line (\d+) column (\d+)", str(error))
        return JsonFault(found[1], int(found[2]), int(found[3])) if found else JsonFault("", 1, 1)
    return None
