"""What strikes the process itself while it waits for a value: a signal, or a fork."""

from __future__ import annotations

import os
import select
import signal
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdasecrets.dev import faults
from lambdasecrets.dev.emulator import Emulator
from tests.reliability.machine import Context
from tests.reliability.ways import Asking, Interrupted, InterruptedRead

_STRIKE_SECONDS = 0.05
_HANG_SECONDS = 60.0
_CHILD_SECONDS = 10.0
_ANSWER_BYTES = 1000

Strike = Callable[[Asking, Context, Emulator], tuple[str, bool]]
"""Asks while something strikes, and once more after it. Gives both outcomes, and whether an error showed a value."""


@dataclass(frozen=True)
class _Signal:
    """A fault that answers with a signal to this process, while the client waits."""

    def applies(self, exchange: faults.Exchange) -> bool:
        return True

    def play(self, exchange: faults.Exchange) -> None:
        exchange.begin(None)
        exchange.wait(_STRIKE_SECONDS)
        os.kill(os.getpid(), signal.SIGALRM)
        exchange.wait(_HANG_SECONDS)


def _raising(error: type[BaseException]) -> Strike:
    """Make a strike by a signal, whose handler raises while the server does not answer."""

    def interrupt(asking: Asking, context: Context, emulator: Emulator) -> tuple[str, bool]:
        def strike(*_: object) -> None:
            raise error

        emulator.inject(_Signal(), match="middle")
        before = signal.signal(signal.SIGALRM, strike)
        try:
            struck = asking.ask(context)
        except error:  # pragma: no cover - on a machine that does much else it comes after the invocation
            struck = "struck too late", False
        finally:
            signal.signal(signal.SIGALRM, before)
        return _join(struck, asking.ask(Context(context.seconds)))

    return interrupt


def _fork(asking: Asking, context: Context, _emulator: Emulator) -> tuple[str, bool]:
    """Ask in a child of this process, which has inherited its connections, then in this process."""
    receiving, sending = os.pipe()
    with warnings.catch_warnings():
        # Of a fork beside threads, the emulator's here: that it goes well is what is to be seen.
        warnings.simplefilter("ignore", DeprecationWarning)
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
