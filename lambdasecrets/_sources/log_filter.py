"""Keeps boto3's records out of the log while this library asks AWS: at DEBUG they hold tokens and answers.

Only the records of threads of ours: what a handler asks with boto3 meanwhile is logged as it always was.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

_PACKAGES = ("boto3", "botocore", "s3transfer", "urllib3")


class LogFilter(logging.Filter):
    """Drops what boto3, and the packages below it, log in threads that are asking AWS for this library."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._uses = 0
        self._here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - whatever it is, it may hold the token
        """Pass what other threads log."""
        return not getattr(self._here, "is_asking", False)

    @contextmanager
    def drop_records(self) -> Generator[None]:
        """Drop the records of this thread for a while."""
        before, self._here.is_asking = getattr(self._here, "is_asking", False), True
        with self._lock:
            self._uses += 1
        try:
            self.cover()
            yield
        finally:
            with self._lock:
                self._uses -= 1
                if not self._uses:
                    self._uncover()
            self._here.is_asking = before

    def cover(self) -> None:
        """Filter the loggers that there are by now: each module makes its own when it is imported."""
        with self._lock:
            for logger in _list_loggers():
                logger.addFilter(self)

    def _uncover(self) -> None:
        for logger in _list_loggers():
            # A new list, rather than a shorter one: another thread that walks the old one must not miss a filter.
            logger.filters = [one for one in logger.filters if one is not self]


def _list_loggers() -> list[logging.Logger]:
    # A copy in one step: other threads make loggers meanwhile.
    known = logging.root.manager.loggerDict.copy()
    named = (logger for name, logger in known.items() if name.partition(".")[0] in _PACKAGES)
    return [logger for logger in named if isinstance(logger, logging.Logger)]
