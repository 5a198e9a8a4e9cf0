from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lambdasecrets import _clock
from lambdasecrets._clock import RESERVE_SECONDS, Deadline, Moment, deadline, now


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Set both clocks by hand."""

    def turn(monotonic: float, wall: float) -> None:
        monkeypatch.setattr(_clock, "monotonic", lambda: monotonic)
        monkeypatch.setattr(_clock, "time", lambda: wall)

    turn(100.0, 1000.0)
    return turn


def _context(milliseconds: int) -> Any:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)


@pytest.mark.parametrize(
    ("expected", "context"),
    [
        (Deadline(105.0, 5.0, "timeout"), None),
        (Deadline(105.0, 5.0, "timeout"), object()),
        (Deadline(105.0, 5.0, "timeout"), SimpleNamespace(get_remaining_time_in_millis=None)),
        (Deadline(105.0, 5.0, "timeout"), _context(60_000)),
        (Deadline(105.0, 5.0, "timeout"), _context(5_100)),
        (Deadline(102.0, 2.0, "invocation"), _context(2_100)),
        (Deadline(100.0, 0.0, "invocation"), _context(40)),
    ],
)
def test_deadline(clocks: object, expected: Deadline, context: Any) -> None:
    """A resolve ends with the timeout, or before the invocation does if that is earlier."""
    assert clocks
    assert expected == deadline(5.0, context)


def test_reserve() -> None:
    """An invocation keeps a tenth of a second for its error to reach the log."""
    assert RESERVE_SECONDS == 0.1


def test_left(clocks: Callable[[float, float], None]) -> None:
    """A deadline counts down to nothing, and no further."""
    end = deadline(5.0)
    assert end.left() == 5.0
    clocks(103.0, 1000.0)
    assert end.left() == 2.0
    clocks(106.0, 1000.0)
    assert end.left() == 0.0


@pytest.mark.parametrize(
    ("expected", "monotonic", "wall"),
    [
        (0.0, 100.0, 1000.0),
        (3.0, 103.0, 1003.0),
        (3.0, 103.0, 500.0),  # somebody set the clock back
        (600.0, 100.0, 1600.0),  # the execution environment was frozen
    ],
)
def test_age(clocks: Callable[[float, float], None], expected: float, monotonic: float, wall: float) -> None:
    """What happened is as old as the clock says that says more."""
    moment = now()
    assert Moment(100.0, 1000.0) == moment
    clocks(monotonic, wall)
    assert expected == moment.age()
