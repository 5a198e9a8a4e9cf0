"""Look at a secrets file while it is served."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from lambdasecrets.dev.stores import SecretsFileError, WatchedFile

_INTERVAL_SECONDS = 0.25
_STOP_SECONDS = 5.0
_logger = logging.getLogger("lambdasecrets.emulator")


@contextmanager
def watching(store: WatchedFile, on_change: Callable[[], None]) -> Generator[None]:
    """Reload a file whenever it changes, until the end of the `with`.

    Args:
        store: the file.
        on_change: called when it was reloaded. A SecretsFileError from it is told as one of the file.
    """
    ending = threading.Event()
    thread = threading.Thread(target=_watch, args=(store, on_change, ending), name="secrets-file", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(_STOP_SECONDS)


def _watch(store: WatchedFile, on_change: Callable[[], None], ending: threading.Event) -> None:
    while not ending.wait(_INTERVAL_SECONDS):
        try:
            if store.reload():
                on_change()
                _logger.info("The secrets file has changed: its new content is served from now on.")
        except SecretsFileError as error:
            _logger.warning("%s The last good content is served further on.", error)
