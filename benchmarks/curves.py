"""Cost as the work grows: threads that invoke at the same time, and handlers in a module."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pydantic import TypeAdapter

from benchmarks import contestants as ways
from benchmarks.measuring import Contestant, Rounds, closing_all, pinned, timed
from benchmarks.results import Part
from benchmarks.servers import VALUE_BYTES, serving

THREADS = "threads at the same time, each invocation"
HANDLERS = "handlers in a module, their definition"
DECORATED = "lambdasecrets"
UNDECORATED = "without inject_secrets"
ADAPTER = "pydantic's TypeAdapter alone"

_CALLS = 64
_TURN_SECONDS = 0.01
_MAX_AGE_SECONDS = 3600.0


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        threads: numbers of threads.
        handlers: numbers of handlers.
        rounds: turns of each contestant.
    """

    threads: tuple[int, ...]
    handlers: tuple[int, ...]
    rounds: int


FULL = Scale((1, 2, 4, 8, 16, 32), (1, 3, 10, 30, 100), rounds=9)
QUICK = Scale((1, 8), (1, 10), rounds=3)


def measure(scale: Scale) -> Part:
    """Measure both curves. Those of names and sizes are in the part `inprocess`."""
    part = Part("curves")
    with ways.restored(), pinned(0), serving(sizes=[VALUE_BYTES], core=1) as servers:
        for threads in scale.threads:
            with closing_all(_invoking(servers.ports[VALUE_BYTES], threads)) as contestants:
                rounds = timed(contestants, rounds=scale.rounds, turn_seconds=_TURN_SECONDS)
            part.add(THREADS, str(threads), _for_each(rounds, _CALLS), "us")
        for handlers in scale.handlers:
            rounds = timed(list(_defining(handlers)), rounds=scale.rounds, turn_seconds=_TURN_SECONDS)
            part.add(HANDLERS, str(handlers), rounds.wall, "us")
    return part


def _for_each(rounds: Rounds, calls: int) -> dict[str, list[float]]:
    return {name: [took / calls for took in figures] for name, figures in rounds.wall.items()}


def _invoking(port: int, threads: int) -> Iterator[Contestant]:
    for contestant in (
        ways.ours(ways.LEAN, port, 1),
        ways.ours(ways.MAX_AGE, port, 1, max_age=_MAX_AGE_SECONDS),
        ways.ours(ways.REQUESTS, port, 1, transport="requests"),
        _http_client(port),
        ways.get(port, 1),
    ):
        yield _threaded(contestant, threads)


def _http_client(port: int) -> Contestant:
    """Give each thread a connection: they cannot share one."""
    own = threading.local()
    made: list[http.client.HTTPConnection] = []

    def run() -> None:
        if not hasattr(own, "asking"):
            own.asking, connection = ways.http_asking(port, 1)
            made.append(connection)
        own.asking()

    return Contestant(ways.HTTP_SERIAL, run, close=lambda: ways.close_all(made))


def _threaded(contestant: Contestant, threads: int) -> Contestant:
    """Let so many threads share the work."""
    pool = ThreadPoolExecutor(threads)

    def repeat(_: int) -> None:
        for _ in range(_CALLS // threads):
            contestant.run()

    def close() -> None:
        pool.shutdown()
        contestant.close()

    return replace(contestant, run=lambda: list(pool.map(repeat, range(threads))), close=close)


def _defining(handlers: int) -> Iterator[Contestant]:
    yield Contestant(DECORATED, partial(_repeat, handlers, partial(ways.handler, 1)))
    yield Contestant(UNDECORATED, partial(_repeat, handlers, partial(ways.plain_handler, 1)))
    yield Contestant(ADAPTER, partial(_repeat, handlers, partial(TypeAdapter[ways.Database], ways.Database)))


def _repeat(times: int, action: Callable[[], object]) -> list[object]:
    return [action() for _ in range(times)]
