"""The pages of the documentation, taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))

_PARTS = re.compile(
    r"(^<!-- (?P<marker>[^\n]*?) -->\n)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$|^#+ (?P<heading>[^\n]*)$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: the file's name.
        number: how many blocks stand above it.
        heading: the one that it stands under.
        marker: the text of the comment right before it; how the block's text comes about.
        language: such as `python`.
        text: its lines.
    """

    page: str
    number: int
    heading: str
    marker: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.heading}: {self.marker or self.language}"


def blocks(path: Path) -> Iterator[Block]:
    """List the blocks of a page."""
    heading = ""
    number = 0
    for part in _PARTS.finditer(path.read_text(encoding="utf-8")):
        if part["heading"] is not None:
            heading = part["heading"]
        else:
            yield Block(path.name, number, heading, part["marker"] or "", part["language"], part["text"])
            number += 1


def headings(path: Path) -> list[str]:
    """List the headings of a page, and the names that it has documented under headings of their own."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    return [part["heading"] for part in _PARTS.finditer(text) if part["heading"] is not None] + named


EVERY_BLOCK = [block for path in PAGES for block in blocks(path)]
EVERY_HEADING = {heading for path in PAGES for heading in headings(path)}
