"""How long a resolve may take, and how old a value is."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from lambdasecrets import _clock
from lambdasecrets._clock import Deadline, Moment, make_deadline, read_moment


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Set both clocks by hand."""

    def turn(monotonic: float, wall: float) -> None:
        monkeypatch.setattr(_clock, "monotonic", lambda: monotonic)
        monkeypatch.setattr(_clock, "time", lambda: wall)

    turn(100.0, 1000.0)
    return turn


@pytest.mark.usefixtures("clocks")
@pytest.mark.parametrize(
    ("expected", "ends"),
    [
        (Deadline(105.0, 5.0, "timeout"), inf),
        (Deadline(105.0, 5.0, "timeout"), 105.0),
        (Deadline(102.0, 2.0, "invocation"), 102.0),
        (Deadline(100.0, 0.0, "invocation"), 99.0),
    ],
)
def test_make_deadline(expected: Deadline, ends: float) -> None:
    """A resolve ends with the timeout, or with the invocation if that is earlier."""
    assert expected == make_deadline(5.0, ends)


def test_a_deadline_knows_the_function(clocks: Callable[[float, float], None]) -> None:
    """The function's ARN goes along to each step, for the errors."""
    end = make_deadline(5.0, inf, "arn")
    assert [step.function_arn for step in (end, end.share(0.5), end.within(0.5), end.within(9.0))] == ["arn"] * 4
    assert make_deadline(5.0).function_arn is None


def test_left(clocks: Callable[[float, float], None]) -> None:
    """A deadline counts down to nothing, and no further."""
    end = make_deadline(5.0)
    assert end.left() == 5.0
    clocks(103.0, 1000.0)
    assert end.left() == 2.0
    clocks(106.0, 1000.0)
    assert end.left() == 0.0


def test_a_step_has_a_part_of_the_time(clocks: Callable[[float, float], None]) -> None:
    """A step's deadline is a share of what is left, or some seconds, never more than the whole."""
    end = make_deadline(5.0)
    clocks(101.0, 1000.0)
    assert (Deadline(103.0, 2.0, "timeout"), Deadline(101.5, 0.5, "timeout"), end) == (
        end.share(0.5),
        end.within(0.5),
        end.within(9.0),
    )


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
    moment = read_moment()
    assert Moment(100.0, 1000.0) == moment
    clocks(monotonic, wall)
    assert expected == moment.age()


@pytest.mark.parametrize(("expected", "age"), [(True, 0.0), (True, 5.0), (False, 5.1), (False, -1.0)])
def test_is_within(expected: bool, age: float) -> None:
    """What happened some seconds ago is within them; what has not happened yet is not."""
    assert Moment(100.0 + age, 1000.0 + age).is_within(5.0, Moment(100.0, 1000.0)) is expected
