"""CONTRIBUTING.md is true: the way of one value is the way that it goes, and every target of the Makefile is there."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated, Any

import pytest

from lambdasecrets import Secret, inject_secrets
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def steps() -> list[str]:
    """List the functions and classes of the drawing, from the top down."""
    drawing = PAGE.partition("## The way of one value")[2].partition("\n## ")[0]
    return re.findall(r"^\|.*\| `(_[\w.]+)` \|$", drawing, re.MULTILINE)


def find_code(step: str) -> CodeType:
    """Find the code that runs where a step is taken; a class begins with its `__init__`."""
    names = step.split(".")
    length = max(
        n for n in range(1, len(names)) if (ROOT / "lambdasecrets" / "/".join(names[:n])).with_suffix(".py").exists()
    )
    found: Any = importlib.import_module(f"lambdasecrets.{'.'.join(names[:length])}")
    for name in names[length:]:
        found = getattr(found, name)
    function = vars(found)["__init__"] if isinstance(found, type) else found
    code: CodeType = function.__code__
    return code


@contextmanager
def recording(codes: list[CodeType]) -> Iterator[Callable[[], list[CodeType]]]:
    """Take note of which of these begin to run, and in which order they do so first."""
    begun: dict[CodeType, None] = {}

    def record(frame: FrameType, event: str, _: object) -> None:  # pragma: no cover - a profiler is not measured
        if event == "call" and frame.f_code in codes:
            begun.setdefault(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        yield lambda: list(begun)
    finally:
        sys.setprofile(before)


def test_the_way_of_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value goes through every step of the drawing, in its order."""
    store = MemoryStore()
    store.put_secret("orders/database", "text")
    codes = {find_code(step): step for step in steps()}
    with Emulator(store) as emulator, recording(list(codes)) as list_begun:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)

        @inject_secrets
        def handler(event: object, context: object, database: Annotated[str, Secret("orders/database")]) -> str:
            return database

        assert handler({}, None) == "text"
        begun = list_begun()
    assert [codes[code] for code in begun] == steps()
    assert len(begun) > 12


def test_every_target_is_listed() -> None:
    """Whoever reads CONTRIBUTING.md knows every target of the Makefile, and no other."""
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    table = PAGE.partition("## The way of one value")[0]
    assert sorted(set(re.findall(r"`make ([a-z0-9-]+)`", table))) == sorted(targets)


def test_every_file_is_there() -> None:
    """What CONTRIBUTING.md names in the package exists."""
    named = set(re.findall(r"`((?:_|dev/|tests/|docs/|benchmarks/|errors)[\w./-]*?(?:\.py|\.md|/))`", PAGE))
    found = {name for name in named if (ROOT / name).exists() or (ROOT / "lambdasecrets" / name).exists()}
    assert named == found
    assert len(named) > 12
