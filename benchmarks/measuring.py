"""Measure contestants side by side, and say how they compare.

A machine that does other work as well is slow for a while, then fast again. So contestants take turns, many short ones,
and are compared within each round before the median of the rounds is taken: what they all felt cancels out.
"""

from __future__ import annotations

import gc
import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter, process_time

MICROSECONDS = 1e6
_FEWEST_CALLS = 3
_MOST_CALLS = 50


@dataclass(frozen=True)
class Contestant:
    """One way to do the same work.

    Attributes:
        name: as the tables show it.
        run: does it once.
        prepare: makes what its turn needs, untimed.
        close: frees what it holds.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = bool
    close: Callable[[], object] = bool


@dataclass(frozen=True)
class Spread:
    """The middle of many figures, the quartiles around it, and the least of all."""

    median: float
    low: float
    high: float
    least: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Summarise figures."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0], figures[0])
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high, min(figures))

    def scaled(self, factor: float) -> Spread:
        """Multiply all of it."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.least * factor)


@dataclass(frozen=True)
class Rounds:
    """What was measured, by the contestant's name, in microseconds.

    Attributes:
        wall: in each round the median call.
        processor: in each round the processor time of a call: user and system, of this process only.
    """

    wall: dict[str, list[float]]
    processor: dict[str, list[float]]

    def ratio(self, name: str, base: str) -> Spread:
        """Compare two contestants round by round. The least is the ratio of their best rounds."""
        mine, other = self.wall[name], self.wall[base]
        return replace(_paired(mine, other, lambda one, two: one / two), least=min(mine) / min(other))

    def difference(self, name: str, base: str) -> Spread:
        """Take one contestant from another, round by round. The least is the difference of their best rounds."""
        mine, other = self.wall[name], self.wall[base]
        return replace(_paired(mine, other, lambda one, two: one - two), least=min(mine) - min(other))


def _paired(mine: Sequence[float], other: Sequence[float], combine: Callable[[float, float], float]) -> Spread:
    return Spread.of([combine(one, two) for one, two in zip(mine, other, strict=True)])


@contextmanager
def closing_all(contestants: Iterable[Contestant]) -> Iterator[list[Contestant]]:
    """Have contestants, and free what they hold afterwards."""
    with ExitStack() as stack:
        made: list[Contestant] = []
        for contestant in contestants:
            stack.callback(contestant.close)
            made.append(contestant)
        yield made


def timed(contestants: Sequence[Contestant], *, rounds: int, turn_seconds: float) -> Rounds:
    """Let contestants take turns: A B C, A B C, and so on.

    Args:
        contestants: those to compare.
        rounds: how often each has its turn, after one that does not count.
        turn_seconds: about how long a turn is; it has 3 calls at the least, and 50 at the most.
    """
    calls = {item.name: _calls(item, turn_seconds) for item in contestants}
    return _rounds(contestants, rounds, lambda item: _turn(item, calls[item.name]))


def timed_once(contestants: Sequence[Contestant], *, rounds: int) -> Rounds:
    """Let contestants take turns of one call, without a warm-up."""
    return _rounds(contestants, rounds, lambda item: _turn(item, 1, warm_up=False))


def _rounds(
    contestants: Sequence[Contestant], rounds: int, turn: Callable[[Contestant], tuple[float, float]]
) -> Rounds:
    measured = Rounds({item.name: [] for item in contestants}, {item.name: [] for item in contestants})
    for _ in range(rounds):
        gc.collect()
        for item in contestants:
            wall, processor = turn(item)
            measured.wall[item.name].append(wall)
            measured.processor[item.name].append(processor)
    return measured


def _calls(contestant: Contestant, seconds: float) -> int:
    wall, _ = _turn(contestant, _FEWEST_CALLS)
    return min(max(int(seconds * MICROSECONDS / wall), _FEWEST_CALLS), _MOST_CALLS)


def _turn(contestant: Contestant, calls: int, *, warm_up: bool = True) -> tuple[float, float]:
    """Give the median of a few calls, and the processor time of one, in microseconds."""
    contestant.prepare()
    if warm_up:
        contestant.run()  # what the processor keeps at hand is another contestant's
    began = process_time()
    wall = statistics.median(_once(contestant.run) for _ in range(calls))
    return wall, (process_time() - began) / calls * MICROSECONDS


def _once(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return (perf_counter() - began) * MICROSECONDS


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core: where a scheduler puts two that talk can double what they need."""
    before = _cores()
    pin(core)
    yield
    if before:
        os.sched_setaffinity(0, before)


def pin(core: int, process: int = 0) -> None:
    """Keep a process on one of the machine's cores, where the system can do that."""
    if _cores():
        os.sched_setaffinity(process, {core % (os.cpu_count() or 1)})


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
