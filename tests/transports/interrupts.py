"""Exceptions that strike at a given line of the transports, as a signal handler's can, and what frames show then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

_ROOM = "lambdasecrets._transports."
_SEALING = frozenset({"_seal", "<lambda>", "__init__"})
"""Where a text becomes a closure's, or comes out of it: those frames hold it, for that moment."""


class Strike:  # pragma: no cover - what traces is not traced itself
    """Raises an exception at a line of the transports, counted from the start of a call.

    Args:
        line: which one.
        kind: what to raise.

    Attributes:
        has_struck: whether the call came to that line.
    """

    def __init__(self, line: int, kind: type[BaseException]) -> None:
        self._left, self._kind = line, kind
        self.has_struck = False

    def run(self, call: Callable[[], object]) -> BaseException | None:
        """Call it; give the exception if that comes out."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            call()
        except self._kind as error:
            return error
        finally:
            sys.settrace(before)
        return None

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return self._count if str(frame.f_globals.get("__name__")).startswith(_ROOM) else None

    def _count(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        # What is raised while an object is deleted goes nowhere, in any Python code.
        if event == "line" and not self.has_struck and not _is_deleting(frame):
            self._left -= 1
            if self._left < 0:
                self.has_struck = True
                raise self._kind
        return self._count


def _is_deleting(frame: FrameType | None) -> bool:  # pragma: no cover - called while tracing
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def shown_texts(error: BaseException) -> Iterator[str]:
    """Give what a collector sees of an exception: the locals of its frames, and their attributes."""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        frame = step.tb_frame
        if str(frame.f_globals.get("__name__")) != "tests.transports.test_exchange" and not (
            frame.f_code.co_name in _SEALING and str(frame.f_globals.get("__name__")).startswith(_ROOM)
        ):
            for name, value in list(frame.f_locals.items()):
                yield f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else ''}: {name}={value!r}"
                yield from (f"{name}.{key}={item!r}" for key, item in _attributes(value))
        step = step.tb_next


def _attributes(value: object) -> list[tuple[str, object]]:
    return [
        (name, getattr(value, name)) for name in (*getattr(value, "__slots__", ()), *getattr(value, "__dict__", ()))
    ]
