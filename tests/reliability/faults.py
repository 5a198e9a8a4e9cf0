"""The matrix of faults: each fault, at each moment, of each server, over each transport, against the answer table.

`make faults` runs all of it over real sockets. A cell is off the table when its outcome, the number of times the
server was asked, or its time is not what the table says, or when an error shows a value.
"""

from __future__ import annotations

import http.client
import logging
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from lambdasecrets import resolve
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.reliability.canary import CANARY, watched_logs
from tests.reliability.credentials import CREDENTIALS_FAULTS, CredentialsEndpoint
from tests.reliability.hostile import HOSTILE_FAULTS
from tests.reliability.machine import PAGE, Context, client_of, say, stamp, table, write_section
from tests.reliability.strikes import STRIKES
from tests.reliability.ways import NAMES, WAYS, Asking, Batch, One, PasswordRefused, Way, password

Profile = Literal["extension", "agent"]
ServerName = Literal["extension", "agent", "snapstart"]
Transport = Literal["lean", "requests", "session"]
Place = Literal["server", "credentials", "aws", "process"]
Reason = Literal["", "fallback", "retry_on", "refresh"]
SERVERS: tuple[ServerName, ...] = ("extension", "agent", "snapstart")
"""The third is the extension, in an environment that has its token from a credentials endpoint."""
TRANSPORTS: tuple[Transport, ...] = ("lean", "requests", "session")
"""The third is a Session of the user's."""
WAYS_TO_AWS: tuple[tuple[Reason, Way], ...] = (
    ("refresh", "resolve inside"),
    ("refresh", "aresolve"),
    ("retry_on", "handler"),
    ("retry_on", "async handler"),
    *(("fallback", way) for way in WAYS),
)
"""Why AWS itself is asked, and how."""

REMAINING_SECONDS = 1.5
PROMPT_SECONDS = 0.75
"""What waits for nothing is over long before this, on a busy machine too."""
_SHORT_SECONDS = 0.3
_CELL_SECONDS = 30.0
_WORKERS = 6
_TTL_SECONDS = 300.0
_AWS_CALL = "secretsmanager:GetSecretValue middle"


SERVER_FAULTS: Mapping[str, faults.Fault | faults.Refuse] = {**faults.EVERY_FAULT, **HOSTILE_FAULTS}


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix.

    Attributes:
        fault: its name in `SERVER_FAULTS`, `CREDENTIALS_FAULTS` or `STRIKES`.
        lasts: whether it goes on for ever, or happens once.
        moment: a name in `MOMENTS`.
        way: how values are asked for.
        aws: why AWS itself is asked, beside the server; empty where it is not.
        place: what goes wrong: the server, the endpoint that gives out its token, AWS itself, or this process.
    """

    fault: str
    lasts: bool
    moment: str
    server: ServerName
    transport: Transport
    way: Way = "handler"
    aws: Reason = ""
    place: Place = "server"


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
_HAS_LIMITS = hasattr(http.client, "_MAXINTERIMRESPONSES")
"""The newest Pythons read a hundred informational answers, and as many trailers, at the most."""
_FLOODED = _NONSENSE if _HAS_LIMITS else _LATE

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
    # Asked again, alone, on a new connection.
    "anothers-answer": (_value(2, 2), _at_once("ProtocolError", 2)),
    "surplus-answer": (_value(), _value()),
    "informational": (_value(), _value()),
    "tiny-chunks": (_value(), _value()),
    "informational-flood": (_FLOODED, _FLOODED),
    "chunk-flood": (_LATE, _LATE),
    "trailer-flood": (_FLOODED, _FLOODED),
}
"""DESIGN's table of answers, for every fault of the server."""

LEAN_TABLE: Mapping[str, tuple[Expected, Expected]] = {
    **ANSWER_TABLE,
    "informational-flood": (_LATE, _LATE),
    # What the lean transport does not understand it asks again, of `requests`.
    "trailer-flood": (
        _value(2, 2, REMAINING_SECONDS),
        _at_once("ProtocolError", 2) if _HAS_LIMITS else _in_time("DeadlineExceededError", 2, 2),
    ),
}

_NO_TOKEN = _in_time("CredentialsUnavailableError", 0, 0)
CREDENTIALS_TABLE: Mapping[str, tuple[Expected, Expected]] = {
    "internal-error": (_value(), _NO_TOKEN),
    "crowded": (_value(), _NO_TOKEN),
    "no-token": (_value(), _NO_TOKEN),
    "reset": (_value(), _NO_TOKEN),
    "truncated": (_value(), _NO_TOKEN),
    "latency": (_value(), _value()),
    "hang": (_value(seconds=REMAINING_SECONDS), _NO_TOKEN),
}
"""The same for the endpoint that gives out the token under SnapStart."""

STRIKES_TABLE: Mapping[str, Expected] = {
    "interrupt": Expected("Interrupted, then value", range(2, 3), REMAINING_SECONDS),
    "interrupt by an OSError": Expected("InterruptedRead, then value", range(2, 3), REMAINING_SECONDS),
    "fork": Expected("value, then value", range(2, 3), PROMPT_SECONDS),
}
"""The same for what strikes the process: what comes of the invocation that is struck, and of the one after it."""


def _from_aws(outcome: str, attempts: int = 1) -> Expected:
    """Loading boto3's clients is in the time, on a busy machine too."""
    return Expected(outcome, range(attempts, attempts + 1), REMAINING_SECONDS)


_RIGHT, _RIGHT_AGAIN = _from_aws("value"), _from_aws("value", 2)
_NO_AWS, _AWS_FAILS = _from_aws("AwsUnavailableError", 3), _from_aws("ServerError", 3)
_AWS_LATE, _AWS_REFUSES, _AWS_NONSENSE = map(_from_aws, ("DeadlineExceededError", "AnswerError", "ProtocolError"))

AWS_TABLE: Mapping[str, tuple[Expected, Expected]] = {
    "latency": (_RIGHT, _RIGHT),
    "reset-before-answer": (_RIGHT_AGAIN, _NO_AWS),
    "reset-inside-answer": (_RIGHT_AGAIN, _NO_AWS),
    "hang": (_AWS_LATE, _AWS_LATE),
    "slow-head": (_AWS_LATE, _AWS_LATE),
    "slow-body": (_AWS_LATE, _AWS_LATE),
    "not-ready": (_AWS_REFUSES, _AWS_REFUSES),
    "bad-session-token": (_AWS_REFUSES, _AWS_REFUSES),
    "bad-token": (_AWS_REFUSES, _AWS_REFUSES),
    "unresolved": (_AWS_REFUSES, _AWS_REFUSES),
    "crowded": (_RIGHT_AGAIN, _AWS_FAILS),
    "internal-error": (_RIGHT_AGAIN, _AWS_FAILS),
    "bad-gateway": (_RIGHT_AGAIN, _AWS_FAILS),
    "unavailable": (_RIGHT_AGAIN, _AWS_FAILS),
    "truncated": (_RIGHT_AGAIN, _NO_AWS),
    "not-json": (_AWS_NONSENSE, _AWS_NONSENSE),
    "no-fields": (_AWS_NONSENSE, _AWS_NONSENSE),
    "huge-body": (_AWS_NONSENSE, _AWS_NONSENSE),
    "endless-body": (_AWS_NONSENSE, _AWS_NONSENSE),
    "redirect": (_AWS_REFUSES, _AWS_REFUSES),
    "chunked": (_RIGHT, _RIGHT),
    "no-length": (_RIGHT, _RIGHT),
    "drop-kept-alive": (_RIGHT, _RIGHT),
}
"""The same for AWS itself, which boto3 asks."""


def expected(cell: Cell) -> Expected:
    """Say what a cell has to come to."""
    if cell.place == "process":
        return STRIKES_TABLE[cell.fault]
    if cell.place == "aws":
        return _expect_of_aws(cell)
    answers = LEAN_TABLE if cell.transport == "lean" else ANSWER_TABLE
    row = (answers if cell.place == "server" else CREDENTIALS_TABLE)[cell.fault][cell.lasts]
    if cell.aws and row.is_transient:
        # The server has half of the time; what it was asked in it is at most what it would be asked in all.
        return Expected("value", range(row.attempts.stop), row.seconds)
    is_stale = row.is_transient and MOMENTS[cell.moment].serves_stale
    return Expected("stale", row.attempts, row.seconds) if is_stale else row


def _expect_of_aws(cell: Cell) -> Expected:
    """Where AWS gives no newer value the handler's own exception goes on, after the version on trial was asked for."""
    row = AWS_TABLE[cell.fault][cell.lasts]
    if cell.aws != "retry_on" or row.outcome == "value":
        return row
    return Expected("PasswordRefused", range(row.attempts.start, 2 * row.attempts.start + 1), row.seconds)


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

    The ways take turns, so that each meets every fault, moment, server and transport. Where AWS is asked there is one
    server and one transport: the others differ in nothing that this adds.
    """
    return [*_list_server_cells(), *_list_credentials_cells(), *_list_strikes(), *_list_fallback_cells(), *_list_aws()]


def _list_server_cells() -> Iterator[Cell]:
    squares = product(SERVER_FAULTS, (False, True), MOMENTS, SERVERS, TRANSPORTS)
    for number, (fault, lasts, moment, server, transport) in enumerate(squares):
        yield Cell(fault, lasts, moment, server, transport, WAYS[(number + number // len(WAYS)) % len(WAYS)])


def _list_credentials_cells() -> Iterator[Cell]:
    squares = product(CREDENTIALS_FAULTS, (False, True), ("first", "after stale"), TRANSPORTS)
    for number, (fault, lasts, moment, transport) in enumerate(squares):
        way = WAYS[(number + number // len(WAYS)) % len(WAYS)]
        yield Cell(fault, lasts, moment, "snapstart", transport, way, place="credentials")


def _list_strikes() -> Iterator[Cell]:
    for fault, moment, server, transport, way in product(STRIKES, ("first", "warm"), SERVERS, TRANSPORTS, WAYS):
        if fault != "fork" or moment == "warm":  # before the first exchange there is nothing to inherit
            yield Cell(fault, False, moment, server, transport, way, place="process")


def _list_fallback_cells() -> Iterator[Cell]:
    # A port that refuses is the stand-in's whole: AWS is behind it too.
    for fault, moment, way in product(SERVER_FAULTS, ("first", "in a first batch"), WAYS):
        if fault != "refuse":
            yield Cell(fault, True, moment, "extension", "lean", way, aws="fallback")


def _list_aws() -> Iterator[Cell]:
    for fault, lasts, (aws, way) in product(faults.EVERY_FAULT, (False, True), WAYS_TO_AWS):
        if fault != "refuse":
            yield Cell(fault, lasts, "first", "extension", "lean", way, aws=aws, place="aws")


def run(cell: Cell, remaining: float = REMAINING_SECONDS) -> Seen:
    """Play a cell: a server and connections of its own, the prelude, the fault, one invocation."""
    store, token = MemoryStore(), f"{CANARY}-token"
    with (
        Emulator(
            store, profile="agent" if cell.server == "agent" else "extension", token=token, secrets_ttl=_ttl(cell)
        ) as emulator,
        CredentialsEndpoint(token) as endpoint,
        client_of(_environment(cell, emulator, endpoint), cell.transport),
    ):
        moment = MOMENTS[cell.moment]
        asking = Asking(cell.way, moment.model, _options(cell))
        _fill(store, cell)
        moment.prelude(asking, emulator)
        emulator.clear_requests()
        _inject(cell, emulator, endpoint)
        context = Context(remaining)
        with watched_logs() as log:
            if cell.place == "process":
                outcome, leaks = STRIKES[cell.fault](asking, context, emulator)
            else:
                outcome, leaks = asking.ask(context)
        seconds = time.monotonic() - context.began
        return Seen(outcome, _count_attempts(cell, emulator), seconds, leaks or log.leaks > 0)


def _is_behind(cell: Cell) -> bool:
    """Tell whether the server has an old value, so that there is something to get from AWS."""
    return cell.aws in {"retry_on", "refresh"}


def _ttl(cell: Cell) -> float:
    return _TTL_SECONDS if _is_behind(cell) else 0.0


def _environment(cell: Cell, emulator: Emulator, endpoint: CredentialsEndpoint) -> dict[str, str]:
    environment = emulator.environment()
    return endpoint.lead(environment) if cell.server == "snapstart" else environment


def _options(cell: Cell) -> dict[str, Any]:
    options: dict[Reason, dict[str, Any]] = {
        "": {"stale_if_error": 60} if MOMENTS[cell.moment].serves_stale else {},
        "fallback": {"fallback": "aws"},
        "retry_on": {"retry_on": (PasswordRefused,)},
        "refresh": {"refresh": True},
    }
    return options[cell.aws]


def _fill(store: MemoryStore, cell: Cell) -> None:
    """Put the secrets into the store; before them, where the server is to be behind, old ones into its cache."""
    if _is_behind(cell):
        _put(store, "-old")
        resolve(Batch)
    _put(store)


def _put(store: MemoryStore, suffix: str = "") -> None:
    for name in NAMES:
        store.put_secret(name, {"name": name, "password": f"{password(name)}{suffix}"})


def _inject(cell: Cell, emulator: Emulator, endpoint: CredentialsEndpoint) -> None:
    times = None if cell.lasts else 1
    if cell.place == "credentials":
        endpoint.inject(CREDENTIALS_FAULTS[cell.fault], times)
    elif cell.place == "aws":
        if cell.aws == "fallback":
            emulator.inject(faults.EVERY_FAULT["unavailable"], times=None, match="/secretsmanager/get")
        emulator.inject(faults.EVERY_FAULT[cell.fault], times=times, match=_AWS_CALL)
    elif cell.place == "server":
        fault = SERVER_FAULTS[cell.fault]
        emulator.inject(fault, times=times, match="" if isinstance(fault, faults.Refuse) else "middle")


def _count_attempts(cell: Cell, emulator: Emulator) -> int:
    if cell.place == "aws":
        return sum(record.name == "middle" for record in emulator.requests)
    return sum("middle" in record.target for record in emulator.requests)


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
    """Load `requests` and boto3, of which a cold start's cost is measured elsewhere; log nothing."""
    RequestsTransport().close()
    logging.getLogger("lambdasecrets").addHandler(logging.NullHandler())
    cell = Cell("latency", lasts=True, moment="first", server="extension", transport="lean", way="aresolve")
    run(replace(cell, aws="refresh"), _CELL_SECONDS)


def report(seen: Mapping[Cell, Seen]) -> list[str]:
    """Write the matrix as lines of Markdown: a row for each fault, the worst of the servers, transports and ways."""
    return [
        *table(["asked by", *(f"{server}, {transport}" for server, transport in _PAIRS)], _count_combinations(seen)),
        *_part(seen, "The server", "server", [*MOMENTS, "fallback"], lambda cell: cell.aws or cell.moment),
        *_part(seen, "The credentials endpoint", "credentials", ["first", "after stale"], lambda cell: cell.moment),
        *_part(seen, "AWS itself", "aws", ["fallback", "retry_on", "refresh"], lambda cell: cell.aws),
        *_part(seen, "The process", "process", ["first", "warm"], lambda cell: cell.moment),
    ]


_PAIRS = tuple(product(SERVERS, TRANSPORTS))


def _count_combinations(seen: Iterable[Cell]) -> Iterator[list[object]]:
    """Say how many cells each way of asking has, of each server, over each transport."""
    met = Counter((cell.way, cell.aws, cell.server, cell.transport) for cell in seen)
    for way, aws in sorted({(way, aws) for way, aws, _, _ in met}, key=lambda one: (one[1], WAYS.index(one[0]))):
        name = f"{way}, `{aws}`" if aws else way
        yield [name, *(met[way, aws, server, transport] or "" for server, transport in _PAIRS)]


def _part(
    seen: Mapping[Cell, Seen], title: str, place: Place, columns: Sequence[str], column_of: Callable[[Cell], str]
) -> list[str]:
    squares: dict[tuple[str, bool], dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for cell, found in seen.items():
        if cell.place == place:
            squares[cell.fault, cell.lasts][column_of(cell)].append(found)
    rows = [
        [f"`{fault}`", "lasts" if lasts else "once", *(_square(row.get(column, [])) for column in columns)]
        for (fault, lasts), row in squares.items()
    ]
    return ["", f"### {title}", "", *table(["fault", "", *columns], rows)] if rows else []


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
    disturbed: list[Cell] = []
    for cell, found in run_all(wanted, workers):
        seen[cell] = found
        if may_be_disturbed(cell, found):
            disturbed.append(cell)
            say(f"Once more, alone: {off_the_table(cell, found)}")
        if len(seen) % 48 == 0 or len(seen) == len(wanted):
            say(f"{len(seen)} of {len(wanted)} cells, {time.monotonic() - began:.0f} s")
    seen.update(run_all(disturbed, 1))
    wrong = list(filter(None, (off_the_table(cell, found) for cell, found in seen.items())))
    lines = report(seen)
    summary = (
        f"{len(seen)} cells in {time.monotonic() - began:.0f} s, {len(disturbed)} of them once more, alone: "
        f"{len(wrong)} cells off the table."
    )
    for line in [*lines, *wrong, summary]:
        say(line)
    write_section(page, "faults", [f"Measured {stamp()}: **{summary}**", "", *lines])
    return 1 if wrong else 0


def may_be_disturbed(cell: Cell, seen: Seen) -> bool:
    """Tell whether a cell is off the table by something that other cells at the same time can cause: time."""
    return bool(off_the_table(cell, seen)) and not seen.leaks and seen.outcome != "wrong value"


if __name__ == "__main__":
    sys.exit(main())
