"""Write TOML: values in one line, and comments."""

from __future__ import annotations

import json
import re
from typing import cast

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def write_key(text: str) -> str:
    """Write a key, in quotes where it needs some."""
    return text if _BARE_KEY.fullmatch(text) else write_value(text)


def write_value(value: object) -> str:
    """Write a value of JSON in one line. TOML has no null: what is None is left out."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        members = [f"{write_key(key)} = {write_value(item)}" for key, item in table.items() if item is not None]
        return f"{{ {', '.join(members)} }}" if members else "{}"
    if isinstance(value, list):
        return f"[{', '.join(write_value(item) for item in cast('list[object]', value) if item is not None)}]"
    # JSON's way, but for the one sign that only TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_comment(text: str) -> str:
    """Write a comment behind a line, in one line and without signs that TOML refuses."""
    return f" # {' '.join(''.join(sign if sign.isprintable() else ' ' for sign in text).split())}"
