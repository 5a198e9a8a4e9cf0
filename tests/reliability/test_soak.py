from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from lambdasecrets.dev.faults import Refuse
from tests.reliability import soak
from tests.reliability.canary import CANARY, LogWatch
from tests.reliability.machine import Context
from tests.reliability.soak import Figures, Kind, Leg, Login, Metronome, Played, Size, Tally

linux_only = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a process is measured in /proc")
MIB = 1024 * 1024
GENEROUS_BYTES = 64 * MIB  # the first thousands of invocations are all warm-up
LONG_SECONDS = 60.0
SHORT = (
    Leg("extension", "lean", 1500, LONG_SECONDS, GENEROUS_BYTES),
    Leg("agent", "requests", 500, LONG_SECONDS, GENEROUS_BYTES),
    Leg("snapstart", "session", 300, LONG_SECONDS, GENEROUS_BYTES),
    Leg("extension", "lean", 40, LONG_SECONDS, GENEROUS_BYTES, threads=4, asks_aws=True),
)
SIZE = Size(10 * MIB, 1, 5)
FIGURES = Figures(
    Leg("agent", "lean", 3, 10.0, MIB),
    2.0,
    Tally(Counter(value=2, ServerError=1), values=2, closest=-0.05),
    missed=0,
    longest_stall=0.012,
    played=Played(4, 0),
    log=LogWatch(),
    sizes=(SIZE, replace(SIZE, memory=12 * MIB, threads=17, files=9), replace(SIZE, memory=12 * MIB), SIZE),
)


@linux_only
@pytest.mark.parametrize("leg", SHORT, ids=lambda leg: f"{leg.server} over {leg.transport}")
def test_every_value_is_right(leg: Leg, capsys: pytest.CaptureFixture[str]) -> None:
    """Threads under random faults get right values only, show none, and leave no thread and no socket."""
    figures = soak.run(leg)
    # A deadline is missed by the library, or by a machine that does other things beside: `make soak` tells them apart.
    assert replace(figures, missed=0).problems() == []
    assert figures.invocations == leg.invocations
    assert f"{leg.server} over {leg.transport}: " in capsys.readouterr().out


@linux_only
def test_the_time_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A leg whose time is over before its invocations has failed, and its figures are written all the same."""
    page = tmp_path / "page.md"
    page.write_text("<!-- soak -->\n<!-- /soak -->\n", encoding="utf-8")

    assert soak.main(page, [Leg("agent", "lean", 10**9, 0.2, GENEROUS_BYTES)]) == 1
    assert "The agent, over the lean transport: " in capsys.readouterr().out
    assert "### The agent, over the lean transport\n\n|  | measured |\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("leg", soak.LEGS, ids=lambda leg: leg.title)
def test_the_server_plays_faults_until_it_is_told(leg: Leg) -> None:
    """The server's process sends where it is, injects faults until the link speaks, and says how many."""
    ours, theirs = multiprocessing.Pipe()
    threading.Timer(0.2, ours.send, ["enough"]).start()
    soak.serve(theirs, leg, seed=1)
    environment, played = ours.recv(), ours.recv()
    assert ("AWS_SESSION_TOKEN" in environment) is (leg.server != "snapstart")
    assert played.faults > 0
    assert played.leaks == 0


def test_every_fault_is_drawn() -> None:
    """Chance draws every fault of the emulator, and rarely the one that strikes every connection."""
    dice = Random(1)  # noqa: S311 - chance, not secrecy
    drawn = Counter(type(soak.draw_fault(dice)).__name__ for _ in range(5000))
    assert 0 < drawn[Refuse.__name__] < min(number for name, number in drawn.items() if name != Refuse.__name__)


def test_a_silent_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's process that says nothing is not waited for without end."""
    monkeypatch.setattr(soak, "_STOP_SECONDS", 0.01)
    ours, _theirs = multiprocessing.Pipe()
    with pytest.raises(TimeoutError, match="The server's process says nothing"):
        soak.received(ours)


NOW = 1000.0
NUMBER = soak.number_at(NOW)


def login(name: str = "a", number: int = NUMBER, password: str | None = None) -> Login:
    """Make a value as the store does, or one with another password."""
    return Login(name=name, number=number, password=SecretStr(password or soak.password(name, number)))


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        (login(), True),
        (login(number=NUMBER - 1), True),
        (login(number=NUMBER - 2), False),
        (login(number=NUMBER + 1), False),
        (login("b"), False),
        (login(password=soak.password("b", NUMBER)), False),
    ],
)
def test_values_are_judged(value: Login, is_right: bool) -> None:
    """A value is right if it is the secret's, whole, and was current at some time of the span."""
    assert soak.is_right("a", value, NOW - soak.ROTATION_SECONDS, NOW) is is_right


def _tallied(kind: Kind, seconds: float = LONG_SECONDS) -> Tally:
    tally = Tally()
    tally.invoke(kind, {}, seconds)
    return tally


def test_a_wrong_value_is_counted() -> None:
    """A handler that gets an old value counts as one of a wrong value."""
    tally = _tallied(Kind(lambda event, context: {"a": login(number=1)}))
    assert (tally.outcomes, tally.values, tally.wrong) == (Counter(value=1), 1, 1)


def test_a_foreign_exception_that_leaks_is_counted() -> None:
    """An exception of another library is counted, and so is a canary in it."""

    def fail(event: dict[str, bool], context: Context) -> soak.Got:
        raise ValueError(CANARY)

    tally = _tallied(Kind(fail))
    assert (tally.outcomes, tally.foreign, tally.leaks) == (Counter(ValueError=1), 1, 1)


def test_an_overrun_is_counted() -> None:
    """An invocation that takes longer than it has is kept with its begin and its end."""
    tally = _tallied(Kind(lambda event, context: {}), seconds=0.0)
    [(began, ended, had)] = tally.overruns
    assert (ended - began, had) == (tally.closest, 0.0)
    assert _tallied(Kind(lambda event, context: {})).overruns == []


def test_tallies_add_up() -> None:
    """What the threads saw is put together; the latest end is the latest of all."""
    total = Tally(Counter(value=1), 1, 2, 3, 4, [(1.0, 2.0, 0.5)], -0.5)
    total.add(Tally(Counter(value=2), 10, 20, 30, 40, [(3.0, 4.0, 0.5)], -0.1))
    assert total == Tally(Counter(value=3), 11, 22, 33, 44, [(1.0, 2.0, 0.5), (3.0, 4.0, 0.5)], -0.1)


def test_a_stall_explains_an_overrun() -> None:
    """Only time in which the machine woke nobody is taken from an invocation's, and only what falls into it."""
    metronome = Metronome()
    metronome.woke(1.0, 1.005)
    metronome.woke(2.0, 2.5)
    metronome.woke(4.0, 4.1)
    assert metronome.stalls == [(2.0, 2.5), (4.0, 4.1)]
    assert [metronome.stalled(*span) for span in ((0.0, 1.9), (2.25, 3.0), (1.0, 3.0))] == [0.0, 0.25, 0.5]
    assert metronome.longest == 0.5


def test_a_metronome_ticks_until_it_ends() -> None:
    """A metronome measures in a thread of its own, which its end ends."""
    threads = threading.active_count()
    with Metronome() as metronome:
        assert threading.active_count() == threads + 1
        time.sleep(0.02)
    assert threading.active_count() == threads
    assert metronome.longest >= 0.0


def test_figures_without_a_problem() -> None:
    """Figures in which nothing is wrong have no problem, and a row for everything."""
    assert FIGURES.problems() == []
    assert dict(FIGURES.rows()) == {
        "invocations, threads, time": "3, 16, 2 s",
        "faults injected": "4",
        "invocations that got their values": "2",
        "invocations that ended in an error": "ServerError 1",
        "values judged, **wrong**": "2, **0**",
        "log records searched, **leaks** (errors, both logs)": "0, **0**",
        "exceptions of other libraries": "**0**",
        "latest end, against what the invocation had left": "-50 ms",
        "invocations over their time, longest stall of the machine": "0, 12 ms",
        "**deadlines missed**": "**0**",
        "memory after the warm-up, at the end": "12.0, 12.0 MiB",
        "threads before, at the end": "1, 1",
        "open files before, while warm, closed": "5, 9, 5",
    }


def test_every_problem_is_told() -> None:
    """Whatever is not as it has to be is told with its number."""
    bad = replace(
        FIGURES,
        leg=replace(FIGURES.leg, invocations=5),
        tally=replace(FIGURES.tally, wrong=1, foreign=2, leaks=3),
        played=Played(4, 1),
        missed=4,
        sizes=(SIZE, SIZE, replace(SIZE, memory=12 * MIB), Size(12 * MIB, 3, 8)),
    )
    assert bad.problems() == [
        "2 invocations short",
        "1 wrong values",
        "2 foreign exceptions",
        "4 leaks",
        "4 deadlines missed",
        "1048576 bytes grown too much",
        "2 threads left",
        "3 files left open",
    ]
