"""Plots as SVG: bars and curves, each for a light page and for a dark one. No library draws so little so plainly."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from benchmarks.report import rounded

WIDTH = 760
_MARGIN = 16
_TITLE = 34
_ROW = 30
_BAR = 18
_LABELS = 310
_FIGURES = 70
_CURVES_HEIGHT = 380
_CURVE_LABELS = 230
_LEFT = 76
_BOTTOM = 56
_LINE_GAP = 15


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    name: str
    text: str
    muted: str
    grid: str
    ours: str
    others: tuple[str, ...]


THEMES = (
    Theme("light", "#1f2328", "#59636e", "#d8dee4", "#3f51b5", ("#8c959f", "#bc6c25", "#2a9d8f", "#b5446e", "#6b8e23")),
    Theme("dark", "#e6edf3", "#9198a1", "#3d444d", "#8c9eff", ("#7d8590", "#e9a15b", "#5fd0c1", "#f08fb0", "#b5d46b")),
)


@dataclass(frozen=True)
class Bars:
    """Horizontal bars.

    Attributes:
        title: what is shown, with its unit.
        figures: by label.
        ours: the labels to put forward.
        groups: the labels that stand together, by what is written above them; those of no group stand first.
    """

    title: str
    figures: Mapping[str, float]
    ours: frozenset[str]
    groups: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])

    def svg(self, theme: Theme) -> str:
        """Draw them."""
        rows = self._rows()
        height = _TITLE + _ROW * len(rows) + _MARGIN
        drawn = (part for row, label in enumerate(rows) for part in self._row(label, _TITLE + _ROW * row, theme))
        return _document(self.title, height, theme, drawn)

    def _rows(self) -> list[str]:
        """List the labels, and the headings of groups, from top to bottom."""
        grouped = {label for labels in self.groups.values() for label in labels}
        rows = [label for label in self.figures if label not in grouped]
        for heading, labels in self.groups.items():
            rows += [heading, *(label for label in self.figures if label in labels)]
        return rows

    def _row(self, label: str, top: int, theme: Theme) -> Iterator[str]:
        middle = top + _BAR - 4
        if label not in self.figures:
            yield _text(_MARGIN, middle, label, theme.muted)
            return
        figure = self.figures[label]
        width = max((WIDTH - _LABELS - _FIGURES) * figure / max(self.figures.values()), 1.0)
        colour, weight = (theme.ours, "bold") if label in self.ours else (theme.others[0], "normal")
        yield _text(_LABELS - 10, middle, label, theme.text, anchor="end", weight=weight)
        yield f'<rect x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
        yield _text(_LABELS + width + 8, middle, rounded(figure), theme.text, weight=weight)


@dataclass(frozen=True)
class Curves:
    """Curves on two logarithmic axes.

    Attributes:
        title: what is shown, with its unit.
        x_title: what grows.
        x: how much of it.
        x_labels: as they are written below the axis.
        curves: for each label as many figures.
        ours: the labels to put forward.
    """

    title: str
    x_title: str
    x: Sequence[float]
    x_labels: Sequence[str]
    curves: Mapping[str, Sequence[float]]
    ours: frozenset[str]

    def svg(self, theme: Theme) -> str:
        """Draw them."""
        return _document(self.title, _CURVES_HEIGHT, theme, [*self._grid(theme), *self._drawn(theme)])

    def _left(self, x: float) -> float:
        return _between(x, self.x[0], self.x[-1], _LEFT, WIDTH - _CURVE_LABELS)

    def _top(self, y: float) -> float:
        return _between(y, self._decades()[0], self._decades()[-1], _CURVES_HEIGHT - _BOTTOM, _TITLE + 8)

    def _decades(self) -> list[float]:
        figures = [figure for curve in self.curves.values() for figure in curve]
        return [
            10.0**power
            for power in range(math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures))) + 1)
        ]

    def _grid(self, theme: Theme) -> Iterator[str]:
        left, right, bottom = self._left(self.x[0]), self._left(self.x[-1]), _CURVES_HEIGHT - _BOTTOM
        for decade in self._decades():
            top = self._top(decade)
            yield f'<path d="M{left:.1f} {top:.1f}H{right:.1f}" stroke="{theme.grid}"/>'
            yield _text(
                left - 8, top + 4, f"{decade:,.{max(0, -round(math.log10(decade)))}f}", theme.muted, anchor="end"
            )
        for x, label in zip(self.x, self.x_labels, strict=True):
            yield _text(self._left(x), bottom + 20, label, theme.muted, anchor="middle")
        yield _text((left + right) / 2, bottom + 42, self.x_title, theme.muted, anchor="middle")

    def _drawn(self, theme: Theme) -> Iterator[str]:
        tops = self._label_tops()
        others = iter(theme.others * len(self.curves))
        for label, curve in self.curves.items():
            is_ours = label in self.ours
            colour, width, weight = (theme.ours, 3, "bold") if is_ours else (next(others), 1.5, "normal")
            points = " ".join(f"{self._left(x):.1f},{self._top(y):.1f}" for x, y in zip(self.x, curve, strict=True))
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
            yield _text(WIDTH - _CURVE_LABELS + 8, tops[label] + 4, label, colour, weight=weight)

    def _label_tops(self) -> dict[str, float]:
        """Put labels beside the ends of their curves, and apart."""
        tops: dict[str, float] = {}
        lowest = -math.inf
        for label, curve in sorted(self.curves.items(), key=lambda item: -item[1][-1]):
            lowest = max(self._top(curve[-1]), lowest + _LINE_GAP)
            tops[label] = lowest
        return tops


def write(plot: Bars | Curves, name: str, folder: Path) -> None:
    """Write a plot for each theme, as `name-light.svg` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        (folder / f"{name}-{theme.name}.svg").write_text(plot.svg(theme), encoding="utf-8")


def _between(figure: float, least: float, most: float, start: float, end: float) -> float:
    part = math.log(figure / least) / math.log(most / least) if most > least else 0.0
    return start + (end - start) * part


def _document(title: str, height: int, theme: Theme, parts: Iterator[str] | Sequence[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13"><title>{escape(title)}</title>'
    )
    return "\n".join([opening, _text(_MARGIN, 20, title, theme.text, weight="bold"), *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, colour: str, *, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-weight="{weight}">{escape(text)}</text>'
