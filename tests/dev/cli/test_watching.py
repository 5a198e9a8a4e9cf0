import logging
import threading
from pathlib import Path

import pytest

from lambdasecrets.dev._cli import watching as module
from lambdasecrets.dev.stores import WatchedFile
from tests.dev.cli.running import until


def replace(path: Path, text: str) -> None:
    """Change a file in one step: who looks meanwhile sees no half of it."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def test_a_file_is_looked_at_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each change is told once, a broken file with its reason, and afterwards nobody looks any more."""
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", 0.01)
    caplog.set_level(logging.INFO, logger="lambdasecrets.emulator")
    path = tmp_path / "secrets.toml"
    path.write_text("[secrets]\nx = 1", encoding="utf-8")
    looks, changes = threading.Semaphore(0), list[str | None]()

    class Counted(WatchedFile):
        def reload(self) -> bool:
            looks.release()
            return super().reload()

    store = Counted(path)
    with module.watching(store, lambda: changes.append(store.secret("x").string)):
        for _ in range(2):
            assert looks.acquire(timeout=60)
        replace(path, "[secrets]\nx = 22")
        until(lambda: changes)
        replace(path, "[secrets")
        until(lambda: len(caplog.messages) > 1)

    assert changes == ["22"]
    problem = f"{path}, end of the file: not TOML: Expected ']' at the end of a table declaration."
    assert caplog.messages == [
        "The secrets file has changed: its new content is served from now on.",
        f"{problem} The last good content is served further on.",
    ]
    assert [thread for thread in threading.enumerate() if thread.name == "secrets-file"] == []
