"""What strikes the process itself while it waits for a value: a signal, or a fork."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Mapping

from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from tests.reliability.machine import Context
from tests.reliability.ways import Asking, Interrupted, InterruptedRead

_STRIKE_SECONDS = 0.2
_CHILD_SECONDS = 10.0
_ANSWER_BYTES = 1000

Strike = Callable[[Asking, Context, Emulator], tuple[str, bool]]
"""Asks while something strikes, and once more after it. Gives both outcomes, and whether an error showed a value."""


def _raising(error: type[BaseException]) -> Strike:
    """Make a strike by a signal, whose handler raises while the server does not answer."""

    def interrupt(asking: Asking, context: Context, emulator: Emulator) -> tuple[str, bool]:
        def strike(*_: object) -> None:
            raise error

        emulator.inject(faults.Hang(), match="middle")
        before = signal.signal(signal.SIGALRM, strike)
        signal.setitimer(signal.ITIMER_REAL, _STRIKE_SECONDS)
        try:
            struck = asking.ask(context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
        return _join(struck, asking.ask(Context(context.seconds)))

    return interrupt


def _fork(asking: Asking, context: Context, _emulator: Emulator) -> tuple[str, bool]:
    """Ask in a child of this process, which has inherited its connections, then in this process."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - measured here, not in the child
        try:
            outcome, leaks = asking.ask(context)
            os.write(sending, f"{outcome}{' that shows a value' if leaks else ''}".encode())
        finally:
            os._exit(0)
    os.close(sending)
    has_ended, _, _ = select.select([receiving], [], [], _CHILD_SECONDS)
    if not has_ended:  # pragma: no cover - a child that hangs is what is to be seen
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    said = os.read(receiving, _ANSWER_BYTES).decode() or "no outcome"
    os.close(receiving)
    return _join((said, False), asking.ask(Context(context.seconds)))


def _join(first: tuple[str, bool], second: tuple[str, bool]) -> tuple[str, bool]:
    return f"{first[0]}, then {second[0]}", first[1] or second[1]


STRIKES: Mapping[str, Strike] = {
    "interrupt": _raising(Interrupted),
    "interrupt by an OSError": _raising(InterruptedRead),
    "fork": _fork,
}
