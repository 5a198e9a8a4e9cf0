import os
from pathlib import Path

import pytest

from lambdasecrets.dev.stores import SecretsFileError, WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a secrets file."""
    path = tmp_path / "secrets.toml"
    path.write_text('[aws]\nregion = "eu-west-1"\n[secrets]\nx = "a"\n[parameters]\ny = 1', encoding="utf-8")
    return path


def test_it_serves_the_file(path: Path) -> None:
    """It has what the file says, and is at home where the file says."""
    store = WatchedFile(path)

    assert (store.secret("x").string, store.parameter("y").value) == ("a", "1")
    assert (store.region, store.account) == ("eu-west-1", "123456789012")


def test_a_change_is_seen_once(path: Path) -> None:
    """A file that has changed, though not in its size, is read again when it is looked at, and only then."""
    store = WatchedFile(path)
    first = store.reload()
    path.write_text(path.read_text(encoding="utf-8").replace('"a"', '"b"'), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    before = store.secret("x").string

    assert (first, before, store.reload(), store.reload()) == (False, "a", True, False)
    assert store.secret("x").string == "b"


@pytest.mark.parametrize("content", ["[secrets", None])
def test_a_broken_file_keeps_the_last_good(path: Path, content: str | None) -> None:
    """A file that cannot be used any more, or is gone, is told once, and what it said before is served."""
    store = WatchedFile(path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(SecretsFileError):
        store.reload()
    assert (store.reload(), store.secret("x").string) == (False, "a")


def test_it_begins_with_a_good_file(tmp_path: Path) -> None:
    """A file that cannot be used to begin with is refused."""
    with pytest.raises(SecretsFileError):
        WatchedFile(tmp_path / "none.toml")
