"""A canary in every value and token, and the places where it must not show: errors, tracebacks, logs."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

CANARY = "canary-8e1f"


_format_lock = threading.Lock()
"""Python 3.11 formats tracebacks by way of `ast`, which fails there in several threads at once (SystemError)."""


def is_shown(error: BaseException) -> bool:
    """Tell whether an error shows a canary: its text, its attributes, its traceback with the locals of every frame."""
    with _format_lock:
        formatted = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    return CANARY in f"{formatted}{error!r}{error.args!r}{vars(error)!r}"


class LogWatch(logging.Handler):
    """Looks for canaries in log records, and prints none.

    Attributes:
        records: how many it has seen.
        leaks: how many of them show a canary, in their text or in what they carry.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records = self.leaks = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        self.leaks += CANARY in f"{record.getMessage()}{record.__dict__!r}"


@contextmanager
def at_debug(handler: logging.Handler) -> Iterator[None]:
    """Give a handler, and no other, what every logger of this process says at DEBUG, urllib3's and requests' too.

    No other: those of pytest keep the frames of an exception that is logged, and with them its connections, and they
    format it in whichever thread it was logged.
    """
    root = logging.getLogger()
    level, handlers = root.level, root.handlers
    root.handlers = [handler]
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers = handlers


@contextmanager
def watched_logs() -> Iterator[LogWatch]:
    """Watch every logger of this process at DEBUG."""
    watch = LogWatch()
    with at_debug(watch):
        yield watch
