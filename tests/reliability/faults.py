"""The matrix of faults: each fault, at each moment, of each server, over each transport, against the answer table.

`make faults` runs all of it over real sockets. A cell is off the table when its outcome, the number of times the
server was asked, or its time is not what the table says, or when an error shows a value.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, SecretStr

from lambdasecrets import (
    ResolutionError,
    ResolveEvent,
    Secret,
    SeveralErrors,
    aresolve,
    inject_secrets,
    invocation,
    resolve,
)
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.reliability.canary import CANARY, is_shown, watched_logs
from tests.reliability.machine import PAGE, Context, client_of, say, stamp, table, token_of, write_section

Profile = Literal["extension", "agent"]
ServerName = Literal["extension", "agent", "snapstart"]
Transport = Literal["lean", "requests", "session"]
Way = Literal["handler", "async handler", "resolve inside", "aresolve"]
SERVERS: tuple[ServerName, ...] = ("extension", "agent", "snapstart")
"""The third is the extension, in an environment that has its token from a credentials endpoint."""
TRANSPORTS: tuple[Transport, ...] = ("lean", "requests", "session")
"""The third is a Session of the user's."""
WAYS: tuple[Way, ...] = ("handler", "async handler", "resolve inside", "aresolve")

REMAINING_SECONDS = 1.5
PROMPT_SECONDS = 0.75
"""What waits for nothing is over long before this, on a busy machine too."""
_SHORT_SECONDS = 0.3
_CELL_SECONDS = 30.0
_WORKERS = 6


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix.

    Attributes:
        fault: its name in `EVERY_FAULT`.
        lasts: whether it goes on for ever, or happens once.
        moment: a name in `MOMENTS`.
        way: how values are asked for.
        falls_back: whether AWS is asked for what the server cannot serve.
    """

    fault: str
    lasts: bool
    moment: str
    server: ServerName
    transport: Transport
    way: Way = "handler"
    falls_back: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a cell.

    Attributes:
        outcome: `value`, `stale`, or the names of the errors' classes.
        attempts: how often the server was asked for the value at fault, once the fault was there.
        seconds: how long the invocation took.
        leaks: whether the error or the log shows a value or the token.
    """

    outcome: str
    attempts: int
    seconds: float
    leaks: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a cell has to come to.

    Attributes:
        outcome: see `Seen`.
        attempts: see `Seen`.
        seconds: the most that it may take.
        is_transient: whether `stale_if_error` serves the last good value in its place.
    """

    outcome: str
    attempts: range
    seconds: float
    is_transient: bool = False


def _value(least: int = 1, most: int = 1, seconds: float = PROMPT_SECONDS) -> Expected:
    return Expected("value", range(least, most + 1), seconds)


def _at_once(error: str, attempts: int, *, is_transient: bool = False) -> Expected:
    return Expected(error, range(attempts, attempts + 1), PROMPT_SECONDS, is_transient)


def _in_time(error: str, least: int, most: int = 1000) -> Expected:
    return Expected(error, range(least, most + 1), REMAINING_SECONDS, is_transient=True)


_UNAVAILABLE = _in_time("ExtensionUnavailableError", 2)
_LATE = _in_time("DeadlineExceededError", 1, 1)
_REJECTED = _at_once("TokenRejectedError", 2)
_FAILING = _in_time("ServerError", 2)
_NONSENSE = _at_once("ProtocolError", 1)

ANSWER_TABLE: Mapping[str, tuple[Expected, Expected]] = {
    # fault: (where it happens once, where it lasts)
    "latency": (_value(), _value()),
    "refuse": (_value(), _in_time("ExtensionUnavailableError", 0, 0)),
    "reset-before-answer": (_value(2, 2), _UNAVAILABLE),
    "reset-inside-answer": (_value(2, 2), _FAILING),
    "hang": (_LATE, _LATE),
    "slow-head": (_LATE, _LATE),
    "slow-body": (_LATE, _LATE),
    "not-ready": (_value(2, 2), _in_time("ExtensionNotReadyError", 2)),
    "bad-session-token": (_value(2, 2), _REJECTED),
    "bad-token": (_value(2, 2), _REJECTED),
    "unresolved": (_value(2, 2), _at_once("UnresolvedError", 2, is_transient=True)),
    "crowded": (_value(2, 2), _FAILING),
    "internal-error": (_value(2, 2), _FAILING),
    "bad-gateway": (_value(2, 2), _FAILING),
    "unavailable": (_value(2, 2), _FAILING),
    "truncated": (_value(2, 2), _FAILING),
    "not-json": (_NONSENSE, _NONSENSE),
    "no-fields": (_NONSENSE, _NONSENSE),
    "huge-body": (_NONSENSE, _NONSENSE),
    "endless-body": (_NONSENSE, _NONSENSE),
    "redirect": (_NONSENSE, _NONSENSE),
    "chunked": (_value(), _value()),
    "no-length": (_value(), _value()),
    # At most once for each connection that was kept alive, then over a new one.
    "drop-kept-alive": (_value(1, 2), _value(1, 4)),
}
"""DESIGN's table of answers, for every fault of the emulator."""

LEAN_TABLE = {
    **ANSWER_TABLE,
    # What the lean transport does not understand it asks again, of `requests`.
    "endless-body": (_value(2, 2), _at_once("ProtocolError", 2)),
    "no-length": (_value(2, 2), _value(2, 2)),
}


def expected(cell: Cell) -> Expected:
    """Say what a cell has to come to."""
    answers = LEAN_TABLE if cell.transport == "lean" else ANSWER_TABLE
    row = answers[cell.fault][cell.lasts]
    if cell.falls_back and row.is_transient:
        # The server has half of the time; what it was asked in it is at most what it would be asked in all.
        return Expected("value", range(row.attempts.stop), row.seconds)
    is_stale = row.is_transient and MOMENTS[cell.moment].serves_stale
    return Expected("stale", row.attempts, row.seconds) if is_stale else row


def off_the_table(cell: Cell, seen: Seen) -> str:
    """Say what is wrong with a cell; nothing where it is as expected."""
    row = expected(cell)
    wrong = [
        f"{name} {found}, not {wanted}"
        for name, found, wanted, is_right in (
            ("outcome", seen.outcome, row.outcome, seen.outcome == row.outcome),
            ("attempts", seen.attempts, f"in {row.attempts}", seen.attempts in row.attempts),
            ("seconds", f"{seen.seconds:.3f}", f"at most {row.seconds}", seen.seconds <= row.seconds),
            ("leaks", seen.leaks, False, not seen.leaks),
        )
        if not is_right
    ]
    return f"{cell}: {'; '.join(wrong)}" if wrong else ""


class Database(BaseModel, frozen=True):
    """What the secrets hold."""

    name: str
    password: SecretStr


_NAMES = ("before", "middle", "after")
_Before = Annotated[Database, Secret("before")]
_Middle = Annotated[Database, Secret("middle")]
_After = Annotated[Database, Secret("after")]
_events: list[ResolveEvent] = []


class One(BaseModel):
    """One value."""

    middle: _Middle


class Batch(BaseModel):
    """A batch of values, the one at fault in the middle."""

    before: _Before
    middle: _Middle
    after: _After


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked for, and how.

    Attributes:
        way: see `WAYS`.
        model: what is wanted.
        options: of the decorator, or of `resolve`.
    """

    way: Way
    model: type[One | Batch]
    options: Mapping[str, Any]

    def ask(self, context: Context) -> list[Database]:
        """Ask in an invocation; give what came."""
        found = _BY_WAY[self.way](self.model, context, {**self.options, "on_resolve": _events.append})
        return [getattr(found, name) for name in type(found).model_fields]


def _ask_handler(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    def handler(event: object, context: object, *, wanted: Any) -> Any:
        return wanted

    handler.__annotations__["wanted"] = model
    return inject_secrets(**options)(handler)(None, context)


def _ask_async_handler(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    async def handler(event: object, context: object, *, wanted: Any) -> Any:
        return wanted

    handler.__annotations__["wanted"] = model
    return asyncio.run(inject_secrets(**options)(handler)(None, context))


def _ask_inside(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    with invocation(context):
        return resolve(model, **options)


def _ask_in_coroutine(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    return asyncio.run(aresolve(model, context=context, **options))


_BY_WAY: Mapping[Way, Callable[[Any, Context, Mapping[str, Any]], Any]] = {
    "handler": _ask_handler,
    "async handler": _ask_async_handler,
    "resolve inside": _ask_inside,
    "aresolve": _ask_in_coroutine,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fault comes.

    Attributes:
        model: what is asked for.
        prelude: what is done before, so that it is this moment.
        serves_stale: whether there is a last good value that may serve.
    """

    model: type[One | Batch]
    prelude: Callable[[Asking, Emulator], object] = lambda _asking, _emulator: None
    serves_stale: bool = False


def _warm_up(asking: Asking, _emulator: Emulator) -> None:
    asking.ask(Context(REMAINING_SECONDS))


def _serve_stale(asking: Asking, emulator: Emulator) -> None:
    asking.ask(Context(REMAINING_SECONDS))
    emulator.inject(faults.Hang())
    asking.ask(Context(_SHORT_SECONDS))


MOMENTS: Mapping[str, Moment] = {
    "first": Moment(One),
    "warm": Moment(One, _warm_up),
    "after stale": Moment(One, _serve_stale, serves_stale=True),
    # Nothing is at hand yet: each value has a lane of its own.
    "in a first batch": Moment(Batch),
    # All of it is likely at hand: one lane, on one connection.
    "in a warm batch": Moment(Batch, _warm_up),
}


def every_cell() -> list[Cell]:
    """List the whole matrix: every fault at every moment of every server over every transport.

    The ways take turns, so that each meets every fault, moment, server and transport. Where AWS stands in for the
    server there is one server and one transport: the others differ in nothing that this adds.
    """
    squares = product(faults.EVERY_FAULT, (False, True), MOMENTS, SERVERS, TRANSPORTS)
    cells = [
        Cell(fault, lasts, moment, server, transport, WAYS[(number + number // len(WAYS)) % len(WAYS)])
        for number, (fault, lasts, moment, server, transport) in enumerate(squares)
    ]
    # A port that refuses is the stand-in's whole: AWS is behind it too.
    falling_back = [
        Cell(fault, lasts=True, moment=moment, server="extension", transport="lean", way=way, falls_back=True)
        for fault, moment, way in product(faults.EVERY_FAULT, ("first", "in a first batch"), WAYS)
        if fault != "refuse"
    ]
    return [*cells, *falling_back]


def run(cell: Cell, remaining: float = REMAINING_SECONDS) -> Seen:
    """Play a cell: a server and connections of its own, the prelude, the fault, one invocation."""
    moment = MOMENTS[cell.moment]
    options: dict[str, Any] = {"stale_if_error": 60} if moment.serves_stale else {}
    asking = Asking(cell.way, moment.model, options | ({"fallback": "aws"} if cell.falls_back else {}))
    profile: Profile = "agent" if cell.server == "agent" else "extension"
    with (
        Emulator(_store(), profile=profile, token=f"{CANARY}-token") as emulator,
        token_of(emulator.environment(), snapstart=cell.server == "snapstart") as environment,
        client_of(environment, cell.transport),
    ):
        moment.prelude(asking, emulator)
        emulator.clear_requests()
        fault = faults.EVERY_FAULT[cell.fault]
        match = "" if isinstance(fault, faults.Refuse) else "middle"
        emulator.inject(fault, times=None if cell.lasts else 1, match=match)
        context = Context(remaining)
        with watched_logs() as log:
            outcome, leaks = _outcome(asking, context)
        seconds = time.monotonic() - context.began
        attempts = sum("middle" in record.target for record in emulator.requests)
        return Seen(outcome, attempts, seconds, leaks or log.leaks > 0)


def _store() -> MemoryStore:
    store = MemoryStore()
    for name in _NAMES:
        store.put_secret(name, {"name": name, "password": f"{CANARY}-{name}"})
    return store


def _outcome(asking: Asking, context: Context) -> tuple[str, bool]:
    """Invoke; say what came of it, and whether an error shows a value."""
    _events.clear()
    try:
        got = asking.ask(context)
    except ResolutionError as error:
        return _classes(error), is_shown(error)
    right = all(item.password.get_secret_value() == f"{CANARY}-{item.name}" for item in got)
    sources = {value.source for value in _events[0].values}
    return ("stale" if "stale" in sources else "value") if right else "wrong value", False


def _classes(error: ResolutionError) -> str:
    """Name the class; of several errors each class once."""
    errors = error.errors if isinstance(error, SeveralErrors) else (error,)
    return " and ".join(sorted({type(item).__name__ for item in errors}))


def run_all(cells: Sequence[Cell], workers: int = _WORKERS) -> Iterator[tuple[Cell, Seen]]:
    """Play cells in processes of their own: the environment, which names the server, is one for a process.

    Raises:
        multiprocessing.TimeoutError: a cell does not end.
    """
    with multiprocessing.get_context("spawn").Pool(workers, prepare_worker) as pool:
        played = pool.imap(run, cells)
        for cell in cells:
            yield cell, played.next(_CELL_SECONDS)


def prepare_worker() -> None:
    """Load what the first fallback to `requests` would load (a cold start's cost, measured elsewhere); log nothing."""
    RequestsTransport().close()
    __import__("boto3")
    logging.getLogger("lambdasecrets").addHandler(logging.NullHandler())


def report(seen: Mapping[Cell, Seen]) -> list[str]:
    """Write the matrix as lines of Markdown: a row for each fault, the worst of the servers, transports and ways."""
    squares: dict[tuple[str, bool], dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for cell, found in seen.items():
        if not cell.falls_back:
            squares[cell.fault, cell.lasts][cell.moment].append(found)
    rows = [
        [f"`{fault}`", "lasts" if lasts else "once", *(_square(row.get(moment, [])) for moment in MOMENTS)]
        for (fault, lasts), row in squares.items()
    ]
    return table(["fault", "", *MOMENTS], rows)


def _square(found: Iterable[Seen]) -> str:
    """Sum a square up: outcomes, attempts, the longest time."""
    all_of_it = list(found)
    if not all_of_it:
        return ""
    outcomes = " or ".join(sorted({item.outcome for item in all_of_it}))
    attempts = sorted({item.attempts for item in all_of_it})
    times = f"{attempts[0]}-{attempts[-1]}" if len(attempts) > 1 else f"{attempts[0]}"
    return f"{outcomes}, asked {times}, {max(item.seconds for item in all_of_it) * 1000:.0f} ms"


def main(page: Path = PAGE, cells: Sequence[Cell] | None = None, workers: int = _WORKERS) -> int:
    """Play the matrix, print it, and write it into the documentation. Give 1 if a cell is off the table."""
    wanted = every_cell() if cells is None else cells
    began = time.monotonic()
    seen: dict[Cell, Seen] = {}
    wrong: list[str] = []
    for cell, found in run_all(wanted, workers):
        seen[cell] = found
        wrong += filter(None, [off_the_table(cell, found)])
        if len(seen) % 48 == 0 or len(seen) == len(wanted):
            say(f"{len(seen)} of {len(wanted)} cells, {len(wrong)} off the table, {time.monotonic() - began:.0f} s")
    lines = report(seen)
    summary = f"{len(seen)} cells in {time.monotonic() - began:.0f} s: {len(wrong)} cells off the table."
    for line in [*lines, *wrong, summary]:
        say(line)
    write_section(page, "faults", [f"Measured {stamp()}: **{summary}**", "", *lines])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
