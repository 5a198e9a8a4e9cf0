"""What a part of the benchmark found."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measuring import Spread
from tests.reliability.machine import stamp

FOLDER = Path("build/bench")


def _stamp() -> str:
    """Say when and on what. No host name, no path."""
    listed = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return f"{stamp()}, {listed[1]}" if listed else stamp()


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


@dataclass(frozen=True)
class Figure:
    """What was measured of one contestant in one case.

    Attributes:
        table: the table it stands in.
        case: the table's column.
        contestant: the table's row.
        unit: such as `us`.
        spread: what was measured.
    """

    table: str
    case: str
    contestant: str
    unit: str
    spread: Spread


@dataclass(frozen=True)
class Target:
    """A figure and what it must be.

    Attributes:
        what: what is compared with what.
        found: what was found; its median is judged.
        limit: what it must be at most.
        unit: such as `x`, `us`.
        at_least: the limit is the least that it must be.
    """

    what: str
    found: Spread
    limit: float
    unit: str = "x"
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is what it must be."""
        figure = self.found.median
        return figure >= self.limit if self.at_least else figure <= self.limit


@dataclass
class Part:
    """A part of the benchmark.

    Attributes:
        name: as the command line calls it.
        figures: what was measured.
        targets: what was to be.
        notes: what was left out, and why.
        stamp: when and on what it was measured.
    """

    name: str
    figures: list[Figure] = field(default_factory=list[Figure])
    targets: list[Target] = field(default_factory=list[Target])
    notes: list[str] = field(default_factory=list[str])
    stamp: str = field(default_factory=_stamp)

    def add(self, table: str, case: str, measured: Mapping[str, Sequence[float]], unit: str) -> None:
        """Add a column: for each contestant what was measured of it."""
        self.figures += [Figure(table, case, name, unit, Spread.of(item)) for name, item in measured.items()]

    def median(self, table: str, case: str, contestant: str, unit: str) -> float:
        """Give a figure."""
        wanted = (table, case, contestant, unit)
        return next(
            figure.spread.median
            for figure in self.figures
            if (figure.table, figure.case, figure.contestant, figure.unit) == wanted
        )

    def curve(self, table: str, contestant: str, unit: str) -> list[float]:
        """Give a contestant's figures in a table, in the order of the cases."""
        wanted = (table, contestant, unit)
        return [
            figure.spread.median for figure in self.figures if (figure.table, figure.contestant, figure.unit) == wanted
        ]

    def save(self, folder: Path = FOLDER) -> None:
        """Write it as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1))


def load(name: str, folder: Path = FOLDER) -> Part:
    """Read what was saved.

    Raises:
        FileNotFoundError: it was not measured yet.
    """
    content = json.loads((folder / f"{name}.json").read_text())
    figures = [Figure(**{**item, "spread": Spread(**item["spread"])}) for item in content["figures"]]
    targets = [Target(**{**item, "found": Spread(**item["found"])}) for item in content["targets"]]
    return Part(name, figures, targets, content["notes"], content["stamp"])
