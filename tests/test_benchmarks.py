from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import contestants, inprocess, page
from benchmarks.inprocess import ONE_CORE, TWO_CORES, hit_table, miss_table
from benchmarks.measuring import Contestant, Rounds, Spread, timed
from benchmarks.plots import THEMES, Bars, Curves, write
from benchmarks.report import printed
from benchmarks.results import Figure, Part, Target, load
from benchmarks.servers import VALUE_BYTES

TINY = inprocess.Scale(names=(1, 2), sizes=(VALUE_BYTES,), delays=(5,), rounds=1, miss_rounds=1)
HITS = (
    contestants.BARE,
    contestants.LEAN,
    contestants.REQUESTS,
    contestants.MAX_AGE,
    contestants.HTTP_OVERLAPPED,
    contestants.HTTP_SERIAL,
    contestants.SEND,
    contestants.SEND_THREADS,
    contestants.GET,
    contestants.PARSE,
    contestants.MODEL,
)
MISSES = (contestants.BARE, contestants.LEAN, contestants.REQUESTS, contestants.GET)


def test_measures_in_process() -> None:
    """Every contestant is measured in every case, and the environment is left as it was."""
    environ = dict(os.environ)
    part = inprocess.measure(TINY)
    hits = {(hit_table(VALUE_BYTES, where), name) for where in (TWO_CORES, ONE_CORE) for name in HITS}
    asked = hits | {(miss_table(5), name) for name in MISSES}

    assert {(table, case, name) for table, name in asked for case in ("1 name", "2 names")} == {
        (figure.table, figure.case, figure.contestant) for figure in part.figures
    }
    assert all(figure.spread.median > 0 for figure in part.figures)
    assert [target.limit for target in part.targets] == [1.6, 1.15, 2.0, 10.0, 10.0, 1.2, 1.2, 1.2, 1.2]
    assert environ == dict(os.environ)


def test_takes_turns() -> None:
    """Contestants take turns, and each turn is prepared."""
    turns: list[str] = []
    contestants = [Contestant(name, run=bool, prepare=lambda name=name: turns.append(name)) for name in "ab"]  # type: ignore[misc]
    rounds = timed(contestants, rounds=2, turn_seconds=0)

    assert ["a", "b", *"abab"] == turns
    assert {name: len(figures) for name, figures in rounds.wall.items()} == {"a": 2, "b": 2}


def test_compares_within_a_round() -> None:
    """What slows down a whole round changes no ratio."""
    rounds = Rounds({"ours": [3.0, 30.0, 6.0], "floor": [1.0, 10.0, 2.0]}, {})

    assert Spread(3.0, 3.0, 3.0, 3.0) == rounds.ratio("ours", "floor")
    assert Spread(4.0, 3.0, 12.0, 2.0) == rounds.difference("ours", "floor")


@pytest.mark.parametrize(("found", "at_least", "is_met"), [(2.0, False, True), (2.1, False, False), (2.1, True, True)])
def test_judges(found: float, at_least: bool, is_met: bool) -> None:
    """A target is judged by the median, against the most or the least that it may be."""
    assert is_met == Target("a / b", Spread.of([found]), 2.0, at_least=at_least).is_met


def test_keeps_what_it_found(tmp_path: Path) -> None:
    """What was saved is what is loaded."""
    part = Part("some", [FIGURE], [Target("a / b", Spread.of([1.0]), 2.0)], ["a note"])
    part.save(tmp_path)

    assert part == load("some", tmp_path)


def test_prints() -> None:
    """A part is printed as tables of medians and quartiles, and each target with its verdict."""
    part = Part("some", [FIGURE], [Target("a / b", Spread.of([1.0]), 0.5)], ["a note"], "today")

    assert printed(part) == (
        "today\n\ntable, us\n\n"
        "| us | case       |\n| --- | --- |\n| a  | 2 (1 to 3) |\n\n"
        "| target | found | best rounds | must be     |             |\n| --- | --- | --- | --- | --- |\n"
        "| a / b  | 1 x   | 1           | at most 0.5 | **not met** |\na note\n"
    )


FIGURE = Figure("table", "case", "a", "us", Spread(2.0, 1.0, 3.0, 1.0))
PLOTS = (
    Bars("<Bars>", {"ours": 1.0, "theirs": 2.0}, frozenset({"ours"})),
    Bars("Grouped", {"ours": 1.0, "theirs": 2.0}, frozenset({"ours"}), {"asked": {"theirs"}}),
    Curves("Curves", "names", (1, 10), ("1", "10"), {"ours": (1, 5), "theirs": (1, 5)}, frozenset({"ours"})),
)


@pytest.mark.parametrize("plot", PLOTS, ids=["bars", "groups", "curves"])
def test_draws(plot: Bars | Curves, tmp_path: Path) -> None:
    """A plot is well-formed SVG for each theme, in its colours, with a title and its labels."""
    write(plot, "plot", tmp_path)

    for theme in THEMES:
        drawn = ET.parse(tmp_path / f"plot-{theme.name}.svg").getroot()  # noqa: S314 - our own
        texts = {element.text: element.get("fill") for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
        assert {plot.title, "ours", "theirs"} <= texts.keys()
        assert theme.text == texts[plot.title]
    assert {f"plot-{theme.name}.svg" for theme in THEMES} == {path.name for path in tmp_path.iterdir()}


def test_the_page_has_its_sections() -> None:
    """The page has a place for every table, and shows every plot in both themes."""
    text = (page.DOCS / "performance.md").read_text(encoding="utf-8")

    assert [name for name in page.SECTIONS if f"<!-- {name} -->" not in text] == []
    assert [name for name in page.PLOTS for theme in THEMES if f"{name}-{theme.name}.svg" not in text] == []
