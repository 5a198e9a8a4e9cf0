"""The library's log: one logger, and ways to write to it that cannot break an invocation."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

_NAME = "lambdasecrets"
_DEBUG, _WARNING = 10, 30
"""As in `logging`, which is loaded when there is something to say: Lambda's runtime has it, a script may not."""


def warn(text: str, *args: object, **facts: str | float) -> None:
    """Write a record at WARNING.

    Args:
        text: with the places for `args`. Neither holds a value or a token.
        args: for the text.
        facts: extras of the record, as `lambdasecrets_<name>`: texts and numbers only, because formatters that write
            JSON take nothing else.
    """
    _write(_WARNING, text, args, facts)


def debug(text: str, *args: object, **facts: str | float) -> None:
    """Write a record at DEBUG. See `warn`."""
    _write(_DEBUG, text, args, facts)


def is_debugging() -> bool:
    """Tell whether records at DEBUG are wanted. Where `logging` is not loaded nobody can want them."""
    return "logging" in sys.modules and _find_logger().isEnabledFor(_DEBUG)


@lru_cache(maxsize=1)
def _find_logger() -> Logger:
    import logging  # noqa: PLC0415 - see above

    return logging.getLogger(_NAME)


def _write(level: int, text: str, args: tuple[object, ...], facts: dict[str, str | float]) -> None:
    # What a handler, a filter or a formatter of the user's raises breaks no invocation.
    with suppress(Exception):
        extra = {f"{_NAME}_{name}": fact for name, fact in facts.items()}
        _find_logger().log(level, text, *args, extra=extra, stacklevel=3)
