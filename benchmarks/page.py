"""`python -m benchmarks.page [section ...]`: write what was measured into docs/performance.md, as tables and plots.

Where sections are named, they alone are written, from the parts that they need.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from benchmarks import agent, curves, imports, inprocess, layers, plots, runtime
from benchmarks import contestants as ways
from benchmarks.report import rounded, table_of, targets_of
from benchmarks.results import Part, load
from benchmarks.servers import VALUE_BYTES
from tests.reliability.machine import write_section

DOCS = Path(__file__).parents[1] / "docs"
PARTS = ("runtime", "inprocess", "layers", "imports", "allocations", "curves")
"""Those whose targets the page counts; the agent's stand in its own section: not everybody can build it."""

Parts = Mapping[str, Part]


class _Measured(dict[str, Part]):
    """Parts, by name, each loaded when a section needs it."""

    def __missing__(self, name: str) -> Part:
        return self.setdefault(name, load(name))


_OURS = frozenset({ways.LEAN, ways.REQUESTS, ways.MAX_AGE})
_HITS = (ways.BARE, ways.PARSE, ways.MAX_AGE, ways.LEAN, ways.REQUESTS, ways.HTTP_SERIAL, ways.GET)
_MISSES = (ways.BARE, ways.LEAN, ways.REQUESTS, ways.GET)
_LEAST_MEGABYTES = "128 MB"
_REMEMBERED = ", from memory"
_PLOTTED_DELAY = 30
_KIBIBYTE = 1024


def write(sections: Sequence[str] = (), docs: Path = DOCS) -> None:
    """Write the page's tables, and the plots beside it; or some sections' tables alone."""
    parts = _Measured()
    for name in sections or SECTIONS:
        write_section(docs / "performance.md", name, SECTIONS[name](parts))
    for name, plot in () if sections else PLOTS.items():
        plots.write(plot(parts), f"performance-{name}", docs / "assets")


def _targets(parts: Parts) -> list[str]:
    counted = [parts[name] for name in PARTS]
    targets = list(chain.from_iterable(part.targets for part in counted))
    met = sum(target.is_met for target in targets)
    measured = "; ".join(sorted({part.stamp for part in counted}))
    return [f"Measured {measured}: **{met} of {len(targets)} met.**", "", *targets_of(targets)]


def _whole(part: Part) -> list[str]:
    tables = dict.fromkeys((figure.table, figure.unit) for figure in part.figures)
    return [*_tables(part, list(tables)), *part.notes]


def _hits(part: Part) -> list[str]:
    one_core = inprocess.hit_table(VALUE_BYTES, inprocess.ONE_CORE)
    sizes = [(inprocess.hit_table(size), "us") for size in inprocess.FULL.sizes]
    return _tables(part, [sizes[0], (one_core, "us"), (one_core, inprocess.PROCESSOR), *sizes[1:]])


def _misses(part: Part) -> list[str]:
    return _tables(part, [(inprocess.miss_table(delay), "us") for delay in inprocess.FULL.delays])


def _agent(part: Part) -> list[str]:
    if not part.figures:
        return part.notes
    tables = _tables(part, [(agent.TABLE, "us"), (agent.TABLE, inprocess.PROCESSOR)])
    return [f"Measured {part.stamp}.", "", *targets_of(part.targets), "", *tables, *part.notes]


def _tables(part: Part, wanted: Sequence[tuple[str, str]]) -> list[str]:
    lines: list[str] = []
    for name, unit in wanted:
        separator = [""] if lines else []
        lines += [*separator, f"**{name[0].upper()}{name[1:]}**", "", *table_of(part, name, unit)]
    return lines


def _profile(part: Part) -> list[str]:
    adds = {layer: part.median(layers.TABLE, inprocess.written_names(1), layer, "us") for layer in layers.LAYERS}
    whole = sum(adds.values())
    shares = ", ".join(f"{layer.partition(':')[0]} {figure / whole:.0%}" for layer, figure in adds.items())
    return [f"Of a hit of one name: {shares}.", "", *table_of(part, layers.TABLE, "us")]


def _names(part: Part) -> list[str]:
    table = inprocess.hit_table(VALUE_BYTES)
    each = {name: _slope(part.curve(table, name, "us"), inprocess.FULL.names) for name in _HITS}
    slope = (
        f"Each further name costs {each[ways.LEAN]} us, of which {each[ways.PARSE]} us are its parse; bare sockets pay "
        f"{each[ways.BARE]} us, because each name has one of its own, while a wave of hits shares a connection. With "
        f"`max_age` it is {each[ways.MAX_AGE]} us, over `requests` {each[ways.REQUESTS]} us, by hand "
        f"{each[ways.HTTP_SERIAL]} us with `http.client` and {each[ways.GET]} us with `requests.get`."
    )
    return [slope]


def _sizes(part: Part) -> list[str]:
    kibibytes = [size / _KIBIBYTE for size in inprocess.FULL.sizes]
    each = {name: _slope(_by_size(part, name), kibibytes) for name in _HITS}
    slope = (
        f"Each further KiB costs {each[ways.LEAN]} us, of which {each[ways.PARSE]} us are its parse and "
        f"{each[ways.BARE]} us what bare sockets need; with `max_age` {each[ways.MAX_AGE]} us."
    )
    return [slope]


def _handlers(part: Part) -> list[str]:
    names = (curves.DECORATED, curves.UNDECORATED, curves.ADAPTER)
    each = {name: _slope(part.curve(curves.HANDLERS, name, "us"), curves.FULL.handlers) for name in names}
    slope = (
        f"Each further handler with one secret costs {each[curves.DECORATED]} us, once: {each[curves.UNDECORATED]} us "
        f"for the function itself, {each[curves.ADAPTER]} us for pydantic's adapter of a model that exists, the rest "
        "for reading its signature."
    )
    return [slope, "", *table_of(part, curves.HANDLERS, "us")]


def _threads(part: Part) -> list[str]:
    growth = {
        name: rounded(figures[-1] / figures[0])
        for name in (ways.LEAN, ways.HTTP_SERIAL, ways.GET)
        for figures in [part.curve(curves.THREADS, name, "us")]
    }
    slope = (
        f"With {curves.FULL.threads[-1]} threads an invocation takes {growth[ways.LEAN]} times what it takes with one "
        f"(`http.client`: {growth[ways.HTTP_SERIAL]}, `requests.get`: {growth[ways.GET]}): the interpreter runs one "
        "thread at a time, so more threads give no more than the time in which one of them waits."
    )
    return [slope, "", *table_of(part, curves.THREADS, "us")]


def _slope(figures: Sequence[float], steps: Sequence[float]) -> str:
    return rounded((figures[-1] - figures[0]) / (steps[-1] - steps[0]))


SECTIONS: dict[str, Callable[[Parts], list[str]]] = {
    "targets": _targets,
    "runtime": lambda parts: _whole(parts["runtime"]),
    "profile": lambda parts: _profile(parts["layers"]),
    "hits": lambda parts: _hits(parts["inprocess"]),
    "names": lambda parts: _names(parts["inprocess"]),
    "sizes": lambda parts: _sizes(parts["inprocess"]),
    "agent": lambda parts: _agent(parts["agent"]),
    "misses": lambda parts: _misses(parts["inprocess"]),
    "imports": lambda parts: _whole(parts["imports"]),
    "allocations": lambda parts: _whole(parts["allocations"]),
    "handlers": lambda parts: _handlers(parts["curves"]),
    "threads": lambda parts: _threads(parts["curves"]),
}
"""By the name of their markers in the page."""


def _plot_warm(part: Part) -> plots.Bars:
    has_shares = any(figure.case == _LEAST_MEGABYTES for figure in part.figures)
    share = _LEAST_MEGABYTES if has_shares else runtime.FULL_CORE
    bars = _bars(part, f"A warm invocation at {share}: ms above an empty handler", runtime.WARM, share)
    figures = {label.removesuffix(_REMEMBERED): figure for label, figure in bars.figures.items()}
    remembered = {ways.MAX_AGE} | (figures.keys() - bars.figures.keys())
    groups = {"asked every time": figures.keys() - remembered, "from memory": remembered}
    return replace(bars, figures=figures, groups=groups)


def _bars(part: Part, title: str, table: str, case: str) -> plots.Bars:
    figures = {
        figure.contestant: figure.spread.median
        for figure in part.figures
        if (figure.table, figure.case) == (table, case)
    }
    return plots.Bars(title, dict(sorted(figures.items(), key=lambda item: item[1])), _OURS)


def _plot_names(part: Part) -> plots.Curves:
    table = inprocess.hit_table(VALUE_BYTES)
    return _curves("A hit: us", "names", inprocess.FULL.names, _chosen(part, table, _HITS))


def _plot_sizes(part: Part) -> plots.Curves:
    sizes = inprocess.FULL.sizes
    labels = [inprocess.written_size(size) for size in sizes]
    figures = {name: _by_size(part, name) for name in _HITS}
    return plots.Curves("A hit of one name: us", "size of its value", sizes, labels, figures, _OURS)


def _plot_cold(part: Part) -> plots.Curves:
    figures = _milliseconds(_chosen(part, inprocess.miss_table(_PLOTTED_DELAY), _MISSES))
    return _curves(f"Cold, while AWS answers in {_PLOTTED_DELAY} ms: ms", "names", inprocess.FULL.names, figures)


def _plot_threads(part: Part) -> plots.Curves:
    return _curves("An invocation: us", "threads", curves.FULL.threads, _chosen(part, curves.THREADS))


def _plot_handlers(part: Part) -> plots.Curves:
    figures = _milliseconds(_chosen(part, curves.HANDLERS))
    return _curves("Defining handlers: ms", "handlers", curves.FULL.handlers, figures)


def _milliseconds(figures: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [figure / 1000 for figure in curve] for name, curve in figures.items()}


def _curves(title: str, x_title: str, x: Sequence[float], figures: Mapping[str, Sequence[float]]) -> plots.Curves:
    return plots.Curves(title, x_title, x, [f"{item:g}" for item in x], figures, _OURS)


def _chosen(part: Part, table: str, names: Sequence[str] = ()) -> dict[str, list[float]]:
    every = dict.fromkeys(figure.contestant for figure in part.figures if figure.table == table)
    return {name: part.curve(table, name, "us") for name in names or every}


def _by_size(part: Part, contestant: str) -> list[float]:
    case = inprocess.written_names(1)
    return [part.median(inprocess.hit_table(size), case, contestant, "us") for size in inprocess.FULL.sizes]


PLOTS: dict[str, Callable[[Parts], plots.Bars | plots.Curves]] = {
    "warm": lambda parts: _plot_warm(parts["runtime"]),
    "init": lambda parts: _bars(parts["runtime"], "INIT with a whole core: ms", runtime.START, "INIT"),
    "names": lambda parts: _plot_names(parts["inprocess"]),
    "sizes": lambda parts: _plot_sizes(parts["inprocess"]),
    "cold": lambda parts: _plot_cold(parts["inprocess"]),
    "imports": lambda parts: _bars(parts["imports"], "Imports: ms of processor", imports.TABLE, imports.MILLISECONDS),
    "threads": lambda parts: _plot_threads(parts["curves"]),
    "handlers": lambda parts: _plot_handlers(parts["curves"]),
}
"""By the name of their files, `performance-NAME-light.svg` and so on."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description="Write docs/performance.md.")
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; by default all of them"
    )
    wanted = parser.parse_args().sections
    if unknown := set(wanted) - SECTIONS.keys():
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    write(wanted)
