"""Under Lambda's own parts: the Runtime Interface Emulator (RIE) and the runtime client, at shares of a core."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import shares
from benchmarks.measuring import Rounds, Spread
from benchmarks.results import Part, Target
from benchmarks.servers import VALUE_BYTES, serving, value
from tests.dev.aws_double import AwsDouble, running_aws
from tests.e2e._binary import NoBinaryError, rie_binary
from tests.e2e._rie import EXTENSIONS, Function, _locked, running_function

EMPTY = "empty"
FLOOR = "bare socket + pydantic"
BY_HAND = "http.client + pydantic"
OURS = "lambdasecrets"

WAYS: dict[str, tuple[str, Mapping[str, str]]] = {
    EMPTY: ("empty", {}),
    FLOOR: ("by_sockets", {}),
    BY_HAND: ("by_http_client", {}),
    OURS: ("by_lambdasecrets", {}),
    "lambdasecrets, requests": ("by_lambdasecrets", {"LAMBDASECRETS_TRANSPORT": "requests"}),
    "lambdasecrets, max_age": ("by_lambdasecrets", {"LAMBDASECRETS_MAX_AGE": "3600"}),
    "requests.get": ("by_requests", {}),
    "boto3": ("by_boto3", {}),
    "Powertools, from memory": ("by_powertools", {}),
    "aws-secretsmanager-caching, from memory": ("by_caching", {}),
}
"""By name: the module in `handlers`, and variables."""

Measured = dict[str, list[float]]
"""Milliseconds by the contestant's name."""

START = "start, ms"
WARM = "warm, above the empty handler, ms"
FULL_CORE = "a core"

_ROOT = Path(__file__).parents[1]
_SETTLE_SECONDS = 0.05  # two periods of a share: what the one before has used up is over
_FULL_INVOCATIONS = 12
_SHARE_INVOCATIONS = 24  # a share lets a process wait in steps of 20 ms: only the mean of many says what it needs
_INIT_OVER = 1.1
_OVER_BY_HAND = {FULL_CORE: 0.8, "128 MB": 0.6}


@dataclass(frozen=True)
class Scale:
    """How much to measure.

    Attributes:
        rounds: how often every function is started.
        turns: how often in a round each function has its turn, at each share.
        megabytes: the shares.
    """

    rounds: int
    turns: int
    megabytes: tuple[int, ...]


FULL = Scale(rounds=5, turns=3, megabytes=(1024, 512, 256, 128))
QUICK = Scale(rounds=1, turns=1, megabytes=(128,))


def measure(scale: Scale) -> Part:
    """Measure INIT, first and warm invocations."""
    part = Part("runtime")
    try:
        binary = rie_binary()
    except NoBinaryError as reason:
        part.notes.append(f"Not measured: {reason}.")
        return part
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(serving(sizes=[VALUE_BYTES]))
        aws = stack.enter_context(running_aws(folder))
        aws.client("secretsmanager").create_secret(Name="s0", SecretString=value(VALUE_BYTES))
        environ = _environment(aws, server.ports[VALUE_BYTES])
        group = _group(stack, part)
        _Measuring(part, scale, binary, folder, environ, server.process, group).run()
    return part


def _group(stack: ExitStack, part: Part) -> shares.Group | None:
    try:
        return stack.enter_context(shares.group())
    except OSError as error:
        part.notes.append(f"Shares of a core were not measured: control groups cannot be written ({error.strerror}).")
        return None


def _environment(aws: AwsDouble, port: int) -> dict[str, str]:
    return {
        **aws.environment("secretsmanager:GetSecretValue"),
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
        "PYTHONPATH": str(_ROOT),
    }


@dataclass(frozen=True)
class _Running:
    function: Function
    processes: set[int]


def _lists() -> Measured:
    return {name: [] for name in WAYS}


@dataclass
class _Measuring:
    part: Part
    scale: Scale
    binary: Path
    folder: Path
    environ: Mapping[str, str]
    server: int
    group: shares.Group | None
    init: Measured = field(default_factory=_lists)
    first: Measured = field(default_factory=_lists)
    warm: dict[str, Measured] = field(default_factory=lambda: defaultdict(_lists))

    def run(self) -> None:
        self._started_once()
        for _ in range(self.scale.rounds):
            self._round()
        for case, measured in {"INIT": self.init, "first": self.first, "warm": self.warm[FULL_CORE]}.items():
            self.part.add(START, case, measured, "")
        for case, measured in self.warm.items():
            self.part.add(WARM, case, _above(measured), "")
        self.part.targets += _targets(Rounds(self.init, {}), self.warm)

    def _round(self) -> None:
        with ExitStack() as stack:
            with _no_extension():
                running = {name: self._started(stack, name) for name in WAYS}
            for name, item in running.items():
                self.init[name] += item.function.init_milliseconds
                self.first[name] += item.function.invoke_milliseconds
            for _ in range(self.scale.turns):
                self._turns(FULL_CORE, running)
            for megabytes in self.scale.megabytes if self.group else ():
                self._share(running, megabytes)
                for _ in range(self.scale.turns):
                    self._turns(f"{megabytes} MB", running)

    def _turns(self, case: str, running: Mapping[str, _Running]) -> None:
        for name, item in running.items():
            took = (
                statistics.median(_turn(item.function, _FULL_INVOCATIONS))
                if case == FULL_CORE
                else statistics.fmean(_turn(item.function, _SHARE_INVOCATIONS))
            )
            self.warm[case][name].append(took)

    def _started_once(self) -> None:
        """Have the .pyc files written."""
        with ExitStack() as stack, _no_extension():
            for name in WAYS:
                self._started(stack, name)

    def _started(self, stack: ExitStack, name: str) -> _Running:
        module, variables = WAYS[name]
        environ = {**self.environ, **variables}
        before = shares.descendants(os.getpid())
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        running = running_function(
            self.binary, f"benchmarks.handlers.{module}.handler", environ, folder, python=Path(sys.executable)
        )
        function = stack.enter_context(running)
        answer = function.invoke()
        if answer is not None:
            raise RuntimeError(f"The handler {name} failed: {answer}")
        return _Running(function, shares.descendants(os.getpid()) - before)

    def _share(self, running: Mapping[str, _Running], megabytes: int) -> None:
        if self.group:
            self.group.limit(megabytes)
            self.group.add({self.server}.union(*(item.processes for item in running.values())))


def _turn(function: Function, invocations: int) -> list[float]:
    """Invoke a function a few times; give the milliseconds of all but the first."""
    time.sleep(_SETTLE_SECONDS)
    before = len(function.invoke_milliseconds)
    for _ in range(1 + invocations):
        function.invoke()
    function.wait_for_log("INVOKE RTDONE(", before + 1 + invocations)
    return function.invoke_milliseconds[before + 1 :]


@contextmanager
def _no_extension() -> Iterator[None]:
    """Keep extensions of other runs on this machine out of the functions that start meanwhile."""
    with _locked(EXTENSIONS) if EXTENSIONS.exists() else nullcontext():
        yield


def _above(measured: Measured) -> Measured:
    """Take the empty handler, in each turn, from each of the others."""
    empty = measured[EMPTY]
    return {
        name: [took - nothing for took, nothing in zip(figures, empty, strict=True)]
        for name, figures in measured.items()
        if name != EMPTY
    }


def _targets(init: Rounds, warm: Mapping[str, Measured]) -> Iterator[Target]:
    yield Target(f"INIT: {OURS} / {BY_HAND}", init.ratio(OURS, BY_HAND), _INIT_OVER)
    for case, limit in _OVER_BY_HAND.items():
        if case in warm:
            yield Target(f"warm above empty, {case}: {OURS} / {BY_HAND}", _compared(warm[case]), limit)


def _compared(measured: Measured) -> Spread:
    """Compare what ours adds to the empty handler with what the code by hand adds, at its middle and at its best."""
    above = _above(measured)
    ours, by_hand, empty = (min(measured[name]) for name in (OURS, BY_HAND, EMPTY))
    over = Spread.of(above[OURS]).scaled(1 / Spread.of(above[BY_HAND]).median)
    return replace(over, least=(ours - empty) / (by_hand - empty))
