"""Tables of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Figure, Part, Target
from tests.reliability.machine import table

_DIGITS = 3


def printed(part: Part) -> str:
    """Write a part for the terminal: its tables, then each target."""
    tables = dict.fromkeys((figure.table, figure.unit) for figure in part.figures)
    lines = [line for name, unit in tables for line in ("", _titled(name, unit), "", *table_of(part, name, unit))]
    return "\n".join([part.stamp, *lines, "", *targets_of(part.targets), *part.notes, ""])


def table_of(part: Part, name: str, unit: str) -> list[str]:
    """Write a table as Markdown: a row for each contestant, a column for each case, medians and quartiles."""
    figures = [figure for figure in part.figures if (figure.table, figure.unit) == (name, unit)]
    cases = list(dict.fromkeys(figure.case for figure in figures))
    rows = {figure.contestant: dict.fromkeys(cases, "") for figure in figures}
    for figure in figures:
        rows[figure.contestant][figure.case] = _with_quartiles(figure)
    return aligned([unit, *cases], ([contestant, *cells.values()] for contestant, cells in rows.items()))


def targets_of(targets: Sequence[Target]) -> list[str]:
    """Write targets as a table."""
    return aligned(["target", "found", "best rounds", "must be", ""], map(_target_row, targets)) if targets else []


def _target_row(target: Target) -> list[str]:
    found, best = f"{rounded(target.found.median)} {target.unit}", rounded(target.found.least)
    bound = f"at least {target.limit:g}" if target.at_least else f"at most {target.limit:g}"
    return [target.what, found, best, bound, "met" if target.is_met else "**not met**"]


def _with_quartiles(figure: Figure) -> str:
    spread = figure.spread
    middle, low, high = map(rounded, (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def rounded(figure: float) -> str:
    """Write a figure with three digits that mean something."""
    return f"{figure:,.0f}" if abs(figure) >= 10 ** (_DIGITS - 1) else f"{figure:.{_DIGITS}g}"


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a Markdown table whose columns stand below each other."""
    cells = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return table(padded[0], padded[1:])


def _titled(name: str, unit: str) -> str:
    return f"{name}, {unit}" if unit else name
