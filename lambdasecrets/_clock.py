"""How long a resolve may take, and how old a value is."""

from __future__ import annotations

from math import inf
from time import monotonic, time

from lambdasecrets._record import Record


class Deadline(Record):
    """The end of a resolve.

    Attributes:
        ends: when, on the monotonic clock.
        seconds: how long it was at the start.
        bound: what set it: `timeout` or `invocation`.
        function_arn: of the function whose invocation it is, for the errors; None where that is not known.
    """

    __slots__ = ("bound", "ends", "function_arn", "seconds")

    def __init__(self, ends: float, seconds: float, bound: str, function_arn: str | None = None) -> None:
        self.ends, self.seconds, self.bound, self.function_arn = ends, seconds, bound, function_arn

    def left(self) -> float:
        """Give the seconds that are left, 0 at the least."""
        return max(self.ends - monotonic(), 0.0)

    def share(self, part: float) -> Deadline:
        """Give the deadline of a step that may use a part of what is left."""
        now = monotonic()
        seconds = max(self.ends - now, 0.0) * part
        return Deadline(now + seconds, seconds, self.bound, self.function_arn)

    def within(self, seconds: float) -> Deadline:
        """Give the deadline of a step that may take some seconds at most."""
        now = monotonic()
        if now + seconds >= self.ends:
            return self
        return Deadline(now + seconds, seconds, self.bound, self.function_arn)


def make_deadline(timeout: float, ends: float = inf, function_arn: str | None = None) -> Deadline:
    """Set the end of a resolve: its timeout, or the invocation's end if that is earlier.

    Args:
        timeout: seconds.
        ends: when the invocation should be done, on the monotonic clock.
        function_arn: of the function whose invocation it is.
    """
    now = monotonic()
    left = ends - now
    seconds, bound = (timeout, "timeout") if timeout <= left else (max(left, 0.0), "invocation")
    return Deadline(now + seconds, seconds, bound, function_arn)


class Moment(Record):
    """When something was.

    Attributes:
        monotonic: on the clock that no one sets, but that can stand still while an execution environment is frozen.
        wall: on the clock that goes on meanwhile, but that can be set.
    """

    __slots__ = ("monotonic", "wall")

    def __init__(self, monotonic: float, wall: float) -> None:
        self.monotonic, self.wall = monotonic, wall

    def since(self, earlier: Moment) -> float:
        """Give the seconds since then: the larger of the two clocks' answers, so that nothing passes for fresh."""
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)

    def is_within(self, seconds: float, earlier: Moment) -> bool:
        """Tell whether no more than some seconds have passed since then. Before then is not within."""
        return 0.0 <= self.since(earlier) <= seconds

    def age(self) -> float:
        """Give the seconds that have passed."""
        return read_moment().since(self)


def read_moment() -> Moment:
    """Take the present moment."""
    return Moment(monotonic(), time())
