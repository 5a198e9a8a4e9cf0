"""In one process against one server: what a resolve costs between the handler and the socket."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import contestants as ways
from benchmarks.measuring import Contestant, Rounds, Spread, closing_all, pinned, timed, timed_once
from benchmarks.results import Part, Target
from benchmarks.servers import SERVED_AT_ONCE, VALUE_BYTES, serving

TWO_CORES = "server on another core"
ONE_CORE = "server on the same core"
"""On one core nothing overlaps, and neither wakes the other by an interrupt: the floor is lower."""

PROCESSOR = "us of processor"

_CORES = {TWO_CORES: 1, ONE_CORE: 0}
_TURN_SECONDS = 0.004
_MAX_AGE_SECONDS = 3600.0

_OVER_BARE = {1: 1.6, 3: 2.2, 10: 2.5}
_OVER_SEND = 1.15
_UNDER_GET = 2.0
_MAX_AGE_MICROSECONDS = 10.0
_OVER_WAITING = 1.2


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        names: numbers of secrets.
        sizes: bytes of a value.
        delays: milliseconds that AWS takes for a miss.
        rounds: turns of each contestant for hits.
        miss_rounds: the same for misses.
    """

    names: tuple[int, ...]
    sizes: tuple[int, ...]
    delays: tuple[int, ...]
    rounds: int
    miss_rounds: int


FULL = Scale((1, 3, 10, 50), (VALUE_BYTES, 1024, 16 * 1024, 64 * 1024), (0, 30, 300), rounds=31, miss_rounds=3)
QUICK = Scale((1, 3, 10), (VALUE_BYTES,), (30,), rounds=15, miss_rounds=3)


def measure(scale: Scale) -> Part:
    """Measure hits, for names and sizes, and misses, for names and latencies."""
    part = Part("inprocess")
    with ways.restored(), pinned(0):
        for where, core in _CORES.items():
            with serving(sizes=scale.sizes[:1], core=core) as servers:
                _hits(part, servers.ports, scale, where)
        if scale.sizes[1:]:
            with serving(sizes=scale.sizes[1:], core=1) as servers:
                _hits(part, servers.ports, scale, TWO_CORES)
        with serving(delays=scale.delays, core=1) as servers:
            _misses(part, servers.ports, scale)
    return part


def hit_table(size: int, where: str = TWO_CORES) -> str:
    """Name the table of hits for a size."""
    return f"{written_size(size)}, {where}"


def miss_table(delay: int) -> str:
    """Name the table of misses for a latency."""
    return f"cold, AWS answers in {delay} ms"


def _hits(part: Part, ports: dict[int, int], scale: Scale, where: str) -> None:
    for (size, port), names in itertools.product(ports.items(), scale.names):
        with closing_all(_asking(port, names, size)) as contestants:
            rounds = timed(contestants, rounds=scale.rounds, turn_seconds=_TURN_SECONDS)
        _add(part, hit_table(size, where), names, rounds)
        if size == VALUE_BYTES and where == TWO_CORES:
            part.targets += _hit_targets(rounds, names)


def _add(part: Part, table: str, names: int, rounds: Rounds) -> None:
    part.add(table, written_names(names), rounds.wall, "us")
    part.add(table, written_names(names), rounds.processor, PROCESSOR)


def _asking(port: int, names: int, size: int) -> Iterator[Contestant]:
    yield ways.bare(port, names, size)
    yield ways.ours(ways.LEAN, port, names)
    yield ways.ours(ways.REQUESTS, port, names, transport="requests")
    yield ways.ours(ways.MAX_AGE, port, names, max_age=_MAX_AGE_SECONDS)
    yield ways.http_overlapped(port, names)
    yield ways.http_serial(port, names)
    yield ways.send(port, names)
    yield ways.send_threads(port, names)
    yield ways.get(port, names)
    yield ways.parse(names, size)
    yield ways.model(names, size)


def _hit_targets(rounds: Rounds, names: int) -> Iterator[Target]:
    case = written_names(names)
    if names in _OVER_BARE:
        over = rounds.ratio(ways.LEAN, ways.BARE)
        yield Target(f"{case}: {ways.LEAN} / {ways.BARE}", over, _OVER_BARE[names])
    if names == 1:
        over = rounds.ratio(ways.REQUESTS, ways.SEND)
        yield Target(f"{case}: {ways.REQUESTS} / {ways.SEND}", over, _OVER_SEND)
        under = rounds.ratio(ways.GET, ways.REQUESTS)
        yield Target(f"{case}: {ways.GET} / {ways.REQUESTS}", under, _UNDER_GET, at_least=True)
    above = rounds.difference(ways.MAX_AGE, ways.MODEL).scaled(1 / names)
    yield Target(f"{case}: {ways.MAX_AGE}, less {ways.MODEL}, for each", above, _MAX_AGE_MICROSECONDS, "us")


def _misses(part: Part, ports: dict[int, int], scale: Scale) -> None:
    for (delay, port), names in itertools.product(ports.items(), scale.names):
        with closing_all(_asking_cold(port, names)) as contestants:
            rounds = timed_once(contestants, rounds=scale.miss_rounds)
        _add(part, miss_table(delay), names, rounds)
        if delay:
            part.targets += _miss_targets(rounds, names, delay)


def _miss_targets(rounds: Rounds, names: int, delay: int) -> Iterator[Target]:
    waits = math.ceil(names / SERVED_AT_ONCE) * delay * 1000
    for name in (ways.LEAN, ways.REQUESTS):
        over = Spread.of(rounds.wall[name]).scaled(1 / waits)
        yield Target(f"{written_names(names)}, {delay} ms: {name} / the waits for AWS", over, _OVER_WAITING)


def _asking_cold(port: int, names: int) -> Iterator[Contestant]:
    yield ways.bare(port, names, VALUE_BYTES)
    yield ways.cold(ways.ours(ways.LEAN, port, names))
    yield ways.cold(ways.ours(ways.REQUESTS, port, names, transport="requests"))
    yield ways.get(port, names)


def written_names(names: int) -> str:
    """Write a number of names."""
    return f"{names} name" if names == 1 else f"{names} names"


def written_size(size: int) -> str:
    """Write a number of bytes."""
    return f"{size // _KIBIBYTE} KiB" if size >= _KIBIBYTE else f"{size} B"


_KIBIBYTE = 1024
