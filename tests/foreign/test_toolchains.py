from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign import _toolchains
from tests.foreign._toolchains import MissingToolError, built, require


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A language that is not found is named."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        require("go", "java")

    assert str(caught.value) == "Cannot build what is foreign: go, java not found."


def test_what_is_built_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source is built once, and again when it has changed."""
    monkeypatch.setattr(_toolchains, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(_toolchains, "ROOT", tmp_path)
    (tmp_path / "sources").mkdir()
    source = tmp_path / "sources/a.txt"
    found = []
    for text in ("one", "one", "two"):
        source.write_text(text)
        found.append(built(source, ["sh", "-c", "cp a.txt built.txt"], "sh"))

    assert found[0] == found[1] != found[2]
    assert [(folder / "built.txt").read_text() for folder in found] == ["one", "one", "two"]
