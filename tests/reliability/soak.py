"""The long run: many threads, rotating values, random faults, and a judgement of every single value.

`make soak` runs every leg. The server is a process of its own; what is measured is the client's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import pkgutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import import_module
from itertools import count
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Annotated, Any

from pydantic import BaseModel, SecretStr
from typing_extensions import Self

import lambdasecrets
from lambdasecrets import LambdaSecretsError, Parameter, Secret, aresolve, inject_secrets, invocation, resolve
from lambdasecrets._sources.direct import SHARED_SECONDS
from lambdasecrets._threads import IDLE_SECONDS
from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import StoredParameter, StoredSecret
from tests.reliability.canary import CANARY, LogWatch, is_shown, watched_logs
from tests.reliability.credentials import CREDENTIALS_FAULTS, CredentialsEndpoint
from tests.reliability.faults import ServerName, Transport
from tests.reliability.hostile import AnothersAnswer, Informational, SurplusAnswer
from tests.reliability.machine import PAGE, Context, client_of, say, stamp, table, write_section
from tests.reliability.ways import PasswordRefused

ROTATION_SECONDS = 0.05
TTL_SECONDS = 1
"""A whole number: the extension's variables take no other."""
_CONNECTION_AGE_SECONDS = 2.0
_FAULT_EVERY_SECONDS = 0.02
_ELSEWHERE_EVERY = 20
_REFUSE_SECONDS = 0.1
_REFUSE_PER_MILLE = 5
_REMAINING_SECONDS = (0.35, 0.6, 1.0)
_REJECTED_PER_CENT = 10
_WARM_UP = 0.6
_TICK_SECONDS = 0.005
_LATE_SECONDS = 0.010
_LOOK_SECONDS = 0.1
_STOP_SECONDS = 30.0
_MIB = 1024 * 1024


def number_at(moment: float) -> int:
    """Give the number of the value that is current at a moment of the monotonic clock, which processes share."""
    return int(moment / ROTATION_SECONDS)


def password(name: str, number: int) -> str:
    """Give the password that a secret has while its number is current."""
    return f"{CANARY}-{name}-{number}"


class RotatingStore:
    """Has every secret and every parameter, each with the value of the moment."""

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        number = number_at(time.monotonic())
        arn = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{secret_id}-AbCdEf"
        text = self._text(secret_id, number)
        return StoredSecret(arn, secret_id, str(number), ("AWSCURRENT",), _now(), text, None)

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        number = number_at(time.monotonic())
        arn = f"arn:aws:ssm:us-east-1:123456789012:parameter{name}"
        return StoredParameter(arn, name, "SecureString", self._text(name, number), number, "text", _now(), None)

    @staticmethod
    def _text(name: str, number: int) -> str:
        return json.dumps({"name": name, "number": number, "password": password(name, number)})


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the run.

    Attributes:
        invocations: how many.
        seconds: for how long at most; then it has failed.
        growth: bytes that the process may grow by after its warm-up.
        threads: how many invoke at the same time.
        asks_aws: whether AWS itself is asked, by `retry_on`, `refresh` and `fallback`.
    """

    server: ServerName
    transport: Transport
    invocations: int
    seconds: float
    growth: int = 4 * _MIB
    threads: int = 16
    asks_aws: bool = False

    @property
    def title(self) -> str:
        """What it is, as a heading says it."""
        also = ", and AWS itself" if self.asks_aws else ""
        server = "extension with SnapStart's endpoint" if self.server == "snapstart" else self.server
        return f"The {server}, over the {self.transport} transport{also}"


@dataclass(frozen=True, slots=True)
class Played:
    """What the server's process did.

    Attributes:
        faults: how many of them it injected.
        leaks: how many of its log records show a canary.
    """

    faults: int
    leaks: int


def serve(link: Connection, leg: Leg, seed: int) -> None:
    """Serve rotating values and inject random faults, until the other end of the link says that it is enough.

    Sends the environment that leads here, and at the end what was `Played`.
    """
    dice, token = Random(seed), f"{CANARY}-token"  # noqa: S311 - chance, not secrecy
    with (
        watched_logs() as log,
        Emulator(
            RotatingStore(),
            profile="agent" if leg.server == "agent" else "extension",
            token=token,
            secrets_ttl=TTL_SECONDS,
            parameters_ttl=TTL_SECONDS,
            max_connection_age=_CONNECTION_AGE_SECONDS,
        ) as emulator,
        CredentialsEndpoint(token) as endpoint,
    ):
        environment = emulator.environment()
        link.send(endpoint.lead(environment) if leg.server == "snapstart" else environment)
        injected = 0
        while not link.poll(_FAULT_EVERY_SECONDS):
            emulator.inject(draw_fault(dice))
            injected += 1
            if injected % _ELSEWHERE_EVERY == 0:
                injected += _strike_elsewhere(leg, dice, emulator, endpoint)
    link.send(Played(injected, log.leaks))


def _strike_elsewhere(leg: Leg, dice: Random, emulator: Emulator, endpoint: CredentialsEndpoint) -> int:
    """Let something go wrong with AWS itself, or with the endpoint that gives out the token; say how often it was."""
    if leg.server == "snapstart":
        endpoint.inject(dice.choice(list(CREDENTIALS_FAULTS.values())), 1)
        return 1
    if leg.asks_aws:
        emulator.inject(dice.choice(_LIKELY_FAULTS), match="secretsmanager:GetSecretValue")
        return 1
    return 0


_LIKELY_FAULTS: Sequence[faults.Fault] = (
    *(fault for fault in faults.EVERY_FAULT.values() if not isinstance(fault, faults.Refuse)),
    # Of every secret and parameter: another one that does not exist.
    AnothersAnswer("soak/", "soot/"),
    SurplusAnswer("soak/", "soot/"),
    Informational(),
    faults.Chunked(size=1),
)


def draw_fault(dice: Random) -> faults.Fault | faults.Refuse:
    """Draw a fault."""
    # Rarely: this one strikes every connection at once.
    return faults.Refuse(_REFUSE_SECONDS) if dice.randrange(1000) < _REFUSE_PER_MILLE else dice.choice(_LIKELY_FAULTS)


@contextmanager
def server(leg: Leg, seed: int) -> Iterator[tuple[Mapping[str, str], Callable[[], Played]]]:
    """Run `serve` in a process of its own: give the environment that leads there, and what ends it."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, leg, seed), daemon=True)
    process.start()

    def stop() -> Played:
        ours.send(None)
        played: Played = received(ours)
        return played

    try:
        yield received(ours), stop
    finally:
        ours.close()
        theirs.close()
        process.join(_STOP_SECONDS)


def received(link: Connection) -> Any:
    """Give what the other end of a link sends.

    Raises:
        TimeoutError: it sends nothing.
    """
    if not link.poll(_STOP_SECONDS):
        raise TimeoutError("The server's process says nothing.")
    return link.recv()


class Login(BaseModel, frozen=True):
    """What the secrets and parameters hold."""

    name: str
    number: int
    password: SecretStr


Got = dict[str, Login]


class Batch(BaseModel):
    """Four secrets."""

    first: Annotated[Login, Secret("soak/1")]
    second: Annotated[Login, Secret("soak/2")]
    third: Annotated[Login, Secret("soak/3")]
    fourth: Annotated[Login, Secret("soak/4")]


@inject_secrets
def _plain(event: dict[str, bool], context: object, *, login: Annotated[Login, Secret("soak/plain")]) -> Got:
    return {"soak/plain": login}


@inject_secrets
def _batch(event: dict[str, bool], context: object, *, config: Batch) -> Got:
    return {f"soak/{number}": login for number, (_, login) in enumerate(config, 1)}


@inject_secrets
def _parameters(
    event: dict[str, bool],
    context: object,
    *,
    secret: Annotated[Login, Secret("soak/both")],
    one: Annotated[Login, Parameter("/soak/one")],
    two: Annotated[Login, Parameter("/soak/two")],
) -> Got:
    return {"soak/both": secret, "/soak/one": one, "/soak/two": two}


@inject_secrets(max_age=0.4)
def _aged(
    event: dict[str, bool],
    context: object,
    *,
    one: Annotated[Login, Secret("soak/aged-1")],
    two: Annotated[Login, Secret("soak/aged-2")],
) -> Got:
    return {"soak/aged-1": one, "soak/aged-2": two}


@inject_secrets(stale_if_error=1.0)
def _tolerant(event: dict[str, bool], context: object, *, login: Annotated[Login, Secret("soak/tolerant")]) -> Got:
    return {"soak/tolerant": login}


@inject_secrets(retry_on=(PasswordRefused,))
def _retried(event: dict[str, bool], context: object, *, login: Annotated[Login, Secret("soak/retried")]) -> Got:
    if event.pop("is_refused", False):
        raise PasswordRefused
    return {"soak/retried": login}


@inject_secrets
async def _in_a_loop(event: dict[str, bool], context: object, *, login: Annotated[Login, Secret("soak/loop")]) -> Got:
    return {"soak/loop": login}


def _async(event: dict[str, bool], context: object) -> Got:
    return asyncio.run(_in_a_loop(event, context))


def _inside(event: dict[str, bool], context: object) -> Got:
    with invocation(context):
        return {"soak/inside": resolve(Secret("soak/inside"), Login)}


def _in_coroutine(event: dict[str, bool], context: object) -> Got:
    return {"soak/coroutine": asyncio.run(aresolve(Secret("soak/coroutine"), Login, context=context))}


_tenants = count()


def _tenant(event: dict[str, bool], context: object) -> Got:
    """Ask for a name that is made at run time, another one each time."""
    name = f"soak/tenant-{next(_tenants)}"
    return {name: resolve(Secret(name), Login, context=context)}


@inject_secrets(fallback="aws")
def _falling_back(event: dict[str, bool], context: object, *, login: Annotated[Login, Secret("soak/fallback")]) -> Got:
    return {"soak/fallback": login}


def _refreshed(event: dict[str, bool], context: object) -> Got:
    return {"soak/refreshed": resolve(Secret("soak/refreshed"), Login, context=context, refresh=True)}


def _refreshed_in_coroutine(event: dict[str, bool], context: object) -> Got:
    name = "soak/coroutine-refreshed"
    return {name: asyncio.run(aresolve(Secret(name), Login, context=context, refresh=True))}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of invocation.

    Attributes:
        handler: what is invoked.
        age: seconds that a value may be old, beside the server's own cache.
    """

    handler: Callable[..., Got]
    age: float = 0.0


_KINDS = (
    Kind(_plain),
    Kind(_batch),
    Kind(_aged, 0.4),
    Kind(_tolerant, 1.0),
    Kind(_async),
    Kind(_inside),
    Kind(_in_coroutine),
    Kind(_tenant),
)
KINDS: Mapping[str, Sequence[Kind]] = {
    "extension": (*_KINDS, Kind(_parameters)),
    # The agent has no parameters; but it can pass its cache, which the extension cannot.
    "agent": (*_KINDS, Kind(_retried)),
    "snapstart": (*_KINDS, Kind(_parameters)),
}
_SHARED_AGE = SHARED_SECONDS + max(_REMAINING_SECONDS)
"""An answer of AWS is given to others for a second after it came, which may have taken as long as there was time."""
KINDS_OF_AWS = tuple(
    Kind(handler, _SHARED_AGE) for handler in (_retried, _falling_back, _refreshed, _refreshed_in_coroutine)
)


@dataclass(slots=True)
class Tally:
    """What a thread saw.

    Attributes:
        outcomes: how many invocations ended as what: `value`, or an exception's class.
        values: how many values were judged.
        wrong: how many of them were not right.
        foreign: how many exceptions were neither this library's nor the handler's.
        leaks: how many errors showed a canary.
        overruns: of each invocation that took longer than it had: its begin, its end, and what it had.
        closest: the seconds that the latest invocation was over its time; negative where none was.
    """

    outcomes: Counter[str] = field(default_factory=Counter[str])
    values: int = 0
    wrong: int = 0
    foreign: int = 0
    leaks: int = 0
    overruns: list[tuple[float, float, float]] = field(default_factory=list[tuple[float, float, float]])
    closest: float = -inf

    def add(self, other: Tally) -> None:
        """Take in what another thread saw."""
        self.outcomes.update(other.outcomes)
        self.values += other.values
        self.wrong += other.wrong
        self.foreign += other.foreign
        self.leaks += other.leaks
        self.overruns += other.overruns
        self.closest = max(self.closest, other.closest)

    def invoke(self, kind: Kind, event: dict[str, bool], seconds: float) -> None:
        """Invoke a handler with so many seconds left, and judge what comes of it."""
        context = Context(seconds)
        got: Got = {}
        outcome = "value"
        try:
            got = kind.handler(event, context)
        except Exception as error:  # noqa: BLE001 - that there is no other is what is to be seen
            outcome = type(error).__name__
            self.foreign += not isinstance(error, (LambdaSecretsError, PasswordRefused))
            self.leaks += is_shown(error)
        ended = time.monotonic()
        self.outcomes[outcome] += 1
        self.values += len(got)
        oldest = context.began - TTL_SECONDS - kind.age
        self.wrong += sum(not is_right(name, login, oldest, ended) for name, login in got.items())
        over = ended - context.began - seconds
        self.closest = max(self.closest, over)
        if over > 0:
            self.overruns.append((context.began, ended, seconds))


def is_right(name: str, login: Login, oldest: float, latest: float) -> bool:
    """Tell whether a value is the secret's that was asked for, whole, and was current within a span of time."""
    is_whole = login.name == name and login.password.get_secret_value() == password(name, login.number)
    return is_whole and number_at(oldest) <= login.number <= number_at(latest)


class Metronome:
    """Measures how late this machine, this process and Python's lock wake a thread that sleeps.

    Attributes:
        stalls: when it was due and when it woke, each time that this was late.
    """

    def __init__(self) -> None:
        self.stalls: list[tuple[float, float]] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._tick, name="metronome", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join(_STOP_SECONDS)

    def _tick(self) -> None:
        while not self._is_over:
            due = time.monotonic() + _TICK_SECONDS
            time.sleep(_TICK_SECONDS)
            self.woke(due, time.monotonic())

    def woke(self, due: float, now: float) -> None:
        """Take note of a wake-up."""
        if now - due > _LATE_SECONDS:
            self.stalls.append((due, now))

    def stalled(self, began: float, ended: float) -> float:
        """Give the seconds of a span of time in which nothing was woken."""
        return sum(max(0.0, min(ended, end) - max(began, begin)) for begin, end in self.stalls)

    @property
    def longest(self) -> float:
        """The longest stall, in seconds."""
        return max((end - begin for begin, end in self.stalls), default=0.0)


@dataclass(frozen=True, slots=True)
class Size:
    """What this process holds.

    Attributes:
        memory: resident bytes.
        threads: how many are alive.
        files: open file descriptors, sockets among them.
    """

    memory: int
    threads: int
    files: int


def size() -> Size:
    """Measure this process. Linux only."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    files = list(Path("/proc/self/fd").iterdir())
    return Size(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), len(files))


LEGS = (
    Leg("extension", "lean", 100_000, 240.0),
    # With more threads they wait for Python's lock more than for the server: each lane of a batch is one beside.
    Leg("agent", "requests", 25_000, 240.0, threads=8),
    Leg("snapstart", "session", 10_000, 180.0),
    # boto3 makes its clients anew for every batch: some 30 ms each.
    Leg("extension", "lean", 1_500, 150.0, threads=4, asks_aws=True),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a leg came to.

    Attributes:
        seconds: how long it took.
        missed: overruns that the machine's own stalls do not explain.
        sizes: before the first invocation, after the warm-up, at the end, and once the connections are closed.
    """

    leg: Leg
    seconds: float
    tally: Tally
    missed: int
    longest_stall: float
    played: Played
    log: LogWatch
    sizes: tuple[Size, Size, Size, Size]

    @property
    def invocations(self) -> int:
        """How many there were."""
        return self.tally.outcomes.total()

    @property
    def leaks(self) -> int:
        """In errors, in this process's log, in the server's."""
        return self.tally.leaks + self.log.leaks + self.played.leaks

    @property
    def growth(self) -> int:
        """Bytes by which the process grew from the end of its warm-up on."""
        return self.sizes[2].memory - self.sizes[1].memory

    def problems(self) -> list[str]:
        """List what is not as it has to be."""
        before, _, _, closed = self.sizes
        found = {
            "invocations short": max(0, self.leg.invocations - self.invocations),
            "wrong values": self.tally.wrong,
            "foreign exceptions": self.tally.foreign,
            "leaks": self.leaks,
            "deadlines missed": self.missed,
            "bytes grown too much": max(0, self.growth - self.leg.growth),
            "threads left": max(0, closed.threads - before.threads),
            "files left open": max(0, closed.files - before.files),
        }
        return [f"{number} {what}" for what, number in found.items() if number]

    def rows(self) -> list[tuple[str, str]]:
        """Write the figures as rows of a table."""
        before, warm, end, closed = self.sizes
        errors = {name: number for name, number in self.tally.outcomes.most_common() if name != "value"}
        return [
            ("invocations, threads, time", f"{self.invocations:,}, {self.leg.threads}, {self.seconds:.0f} s"),
            ("faults injected", f"{self.played.faults:,}"),
            ("invocations that got their values", f"{self.tally.outcomes['value']:,}"),
            ("invocations that ended in an error", ", ".join(f"{name} {number}" for name, number in errors.items())),
            ("values judged, **wrong**", f"{self.tally.values:,}, **{self.tally.wrong}**"),
            ("log records searched, **leaks** (errors, both logs)", f"{self.log.records:,}, **{self.leaks}**"),
            ("exceptions of other libraries", f"**{self.tally.foreign}**"),
            ("latest end, against what the invocation had left", f"{self.tally.closest * 1000:+.0f} ms"),
            ("invocations over their time, longest stall of the machine", self._lateness()),
            ("**deadlines missed**", f"**{self.missed}**"),
            ("memory after the warm-up, at the end", f"{warm.memory / _MIB:.1f}, {end.memory / _MIB:.1f} MiB"),
            ("threads before, at the end", f"{before.threads}, {closed.threads}"),
            ("open files before, while warm, closed", f"{before.files}, {warm.files}, {closed.files}"),
        ]

    def _lateness(self) -> str:
        return f"{len(self.tally.overruns)}, {self.longest_stall * 1000:.0f} ms"


def run(leg: Leg, seed: int = 1) -> Figures:
    """Run a leg."""
    _load_runtime()
    began, turns = time.monotonic(), count()
    ends = began + leg.seconds
    tallies = [Tally() for _ in range(leg.threads)]

    def work(tally: Tally, dice: Random) -> None:
        kinds = KINDS_OF_AWS if leg.asks_aws else KINDS[leg.server]
        while next(turns) < leg.invocations and time.monotonic() < ends:
            event = {"is_refused": dice.randrange(100) < _REJECTED_PER_CENT}
            tally.invoke(dice.choice(kinds), event, dice.choice(_REMAINING_SECONDS))

    with server(leg, seed) as (environment, stop):
        before = size()
        # The client knows the server's TTL from the environment, as in Lambda: it decides how a wave is sent.
        ttl = dict.fromkeys(("SECRETS_MANAGER_TTL", "SSM_PARAMETER_STORE_TTL"), str(TTL_SECONDS))
        # To the very end: a thread that is late logs, too.
        with watched_logs() as log:
            with (
                Metronome() as metronome,
                client_of({**environment, **ttl}, leg.transport),
                ThreadPoolExecutor(leg.threads) as pool,
            ):
                done = [pool.submit(work, tally, Random(seed + at)) for at, tally in enumerate(tallies)]  # noqa: S311
                warm = _watched(leg, tallies, lambda: all(future.done() for future in done))
                end = size()
                for future in done:
                    future.result()
            time.sleep(IDLE_SECONDS + _LOOK_SECONDS)  # the library's own threads end when there is nothing to do
            closed = size()
        played = stop()
    total = Tally()
    for tally in tallies:
        total.add(tally)
    missed = sum(end - start - metronome.stalled(start, end) > had for start, end, had in total.overruns)
    seconds = time.monotonic() - began
    return Figures(leg, seconds, total, missed, metronome.longest, played, log, (before, warm, end, closed))


def _load_runtime() -> None:
    """Load what an invocation would load: a cold start's cost.

    Within pytest more than that: it parses every module that it loads, and Python 3.11 cannot do so in several threads
    at once (SystemError).
    """
    for module in pkgutil.walk_packages(lambdasecrets.__path__, "lambdasecrets."):
        if module.name.startswith("lambdasecrets._"):
            import_module(module.name)


def _watched(leg: Leg, tallies: Sequence[Tally], is_over: Callable[[], bool]) -> Size:
    """Show the progress until a leg is over; give the size that the process had after its warm-up."""
    warm: Size | None = None
    shown = 0
    while not is_over():
        time.sleep(_LOOK_SECONDS)
        done = sum(tally.outcomes.total() for tally in tallies)
        if warm is None and done >= leg.invocations * _WARM_UP:
            warm = size()
        if done * 20 // leg.invocations > shown:
            shown = done * 20 // leg.invocations
            wrong = sum(tally.wrong + tally.foreign + tally.leaks for tally in tallies)
            say(f"{leg.server} over {leg.transport}: {done} of {leg.invocations} invocations, {wrong} wrong")
    return warm or size()


def main(page: Path = PAGE, legs: Sequence[Leg] = LEGS) -> int:
    """Run every leg and write the figures into the documentation. Give 1 if one of them is not as it has to be."""
    lines: list[str] = []
    wrong: list[str] = []
    for leg in legs:
        figures = run(leg)
        lines += ["", f"### {leg.title}", "", *table(["", "measured"], figures.rows())]
        wrong += [f"{leg.title}: {problem}" for problem in figures.problems()]
    for line in [*lines, *wrong]:
        say(line)
    write_section(page, "soak", [f"Measured {stamp()}.", *lines])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
