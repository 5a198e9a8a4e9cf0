"""How long a resolve may take, and how old a value is."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVE_SECONDS = 0.1
"""What an invocation keeps of its time, so that an error still reaches the log before Lambda ends the function."""


class Deadline(NamedTuple):
    """The end of a resolve.

    Attributes:
        ends: when, on the monotonic clock.
        seconds: how long it was at the start.
        bound: what set it: `timeout` or `invocation`.
    """

    ends: float
    seconds: float
    bound: str

    def left(self) -> float:
        """Give the seconds that are left, 0 at the least."""
        return max(self.ends - monotonic(), 0.0)


def deadline(timeout: float, context: Any = None) -> Deadline:
    """Set the end of a resolve: the timeout, or what the invocation has left less a reserve, if that is less.

    Args:
        timeout: seconds.
        context: the invocation's context; anything without `get_remaining_time_in_millis` sets no bound.
    """
    remaining: Callable[[], float] | None = getattr(context, "get_remaining_time_in_millis", None)
    left = remaining() / 1000 - RESERVE_SECONDS if remaining else timeout
    seconds, bound = (timeout, "timeout") if timeout <= left else (max(left, 0.0), "invocation")
    return Deadline(monotonic() + seconds, seconds, bound)


class Moment(NamedTuple):
    """When something was.

    Attributes:
        monotonic: on the clock that no one sets, but that can stand still while an execution environment is frozen.
        wall: on the clock that goes on meanwhile, but that can be set.
    """

    monotonic: float
    wall: float

    def since(self, earlier: Moment) -> float:
        """Give the seconds since then: the larger of the two clocks' answers, so that nothing passes for fresh."""
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)

    def age(self) -> float:
        """Give the seconds that have passed."""
        return now().since(self)


def now() -> Moment:
    """Take the present moment."""
    return Moment(monotonic(), time())
