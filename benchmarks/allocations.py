"""What an invocation allocates: the most at one time, and what stays."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

from benchmarks import contestants as ways
from benchmarks.inprocess import written_size
from benchmarks.measuring import Contestant, closing_all
from benchmarks.results import Part
from benchmarks.servers import VALUE_BYTES, serving

SIZES = (VALUE_BYTES, 64 * 1024)
FULL = 100
QUICK = 10

_WARM_UP_RUNS = 20
_MAX_AGE_SECONDS = 3600.0
_KIBIBYTE = 1024


def measure(runs: int) -> Part:
    """Measure one name, of a small and of the largest size; what stays is the mean of so many runs."""
    part = Part("allocations")
    with ways.restored(), serving(sizes=SIZES) as servers:
        for size, port in servers.ports.items():
            with closing_all(_asking(port)) as contestants:
                found = {item.name: _memory(item, runs) for item in contestants}
            table = f"one name of {written_size(size)}"
            part.add(table, "peak, KiB", {name: [peak / _KIBIBYTE] for name, (peak, _) in found.items()}, "")
            part.add(table, "kept, bytes", {name: [kept] for name, (_, kept) in found.items()}, "")
    return part


def _asking(port: int) -> Iterator[Contestant]:
    yield ways.ours(ways.LEAN, port, 1)
    yield ways.ours(ways.REQUESTS, port, 1, transport="requests")
    yield ways.ours(ways.MAX_AGE, port, 1, max_age=_MAX_AGE_SECONDS)
    yield ways.http_serial(port, 1)
    yield ways.send(port, 1)
    yield ways.get(port, 1)


def _memory(contestant: Contestant, runs: int) -> tuple[float, float]:
    """Give the bytes of an invocation at its peak, and those that it leaves behind."""
    contestant.prepare()
    for _ in range(_WARM_UP_RUNS):
        contestant.run()
    tracemalloc.start()
    try:
        contestant.run()
        before = _traced()
        tracemalloc.reset_peak()
        contestant.run()
        _, peak = tracemalloc.get_traced_memory()
        for _ in range(runs):
            contestant.run()
        return peak - before, max(_traced() - before, 0) / runs
    finally:
        tracemalloc.stop()


def _traced() -> int:
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    return traced
