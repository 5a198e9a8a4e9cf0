"""The way in: what every invocation sets first, and the boundary for everything that is raised under it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from math import inf, isfinite
from time import monotonic
from typing import TYPE_CHECKING

from lambdasecrets import _log
from lambdasecrets._clock import make_deadline
from lambdasecrets._hiding import clean, register_boundary
from lambdasecrets.errors import LambdaSecretsError

if TYPE_CHECKING:
    from collections.abc import Generator

    from lambdasecrets._clock import Deadline

RESERVE_SECONDS = 0.1
"""What an invocation keeps of its time, so that an error still reaches the log before Lambda ends the function."""

_WRAPPER = "lambda_context"
"""Where a context that wraps Lambda's own has it, as that of a durable function."""
_MOST_WRAPPERS = 3
"""How deep to look: an object made up for a test can have every attribute."""


class Invocation:
    """What an invocation's context says, read once: how long there is, and for whom.

    Args:
        context: Lambda's, or one that wraps it; anything else sets no bound.

    Attributes:
        ends: when to be done, on the monotonic clock; infinite where nothing bounds it.
        tenant_id: the tenant, in a function with tenant isolation.
        function_arn: of the function, for the errors.
        is_stateful: whether the context is of a function that keeps its steps and replays them.
        has_ended: whether the invocation is over: a task that outlives it has its own time.
    """

    __slots__ = ("ends", "function_arn", "has_ended", "is_stateful", "tenant_id")

    def __init__(self, context: object) -> None:
        self.ends = inf
        self.tenant_id: str | None = None
        self.function_arn: str | None = None
        self.is_stateful = self.has_ended = False
        for depth in range(_MOST_WRAPPERS):
            if context is None:
                break
            self._read(context, depth)
            context = getattr(context, _WRAPPER, None)

    def _read(self, context: object, depth: int) -> None:
        if self.ends == inf and (seconds := _read_remaining_seconds(context)) is not None:
            self.ends = monotonic() + seconds - RESERVE_SECONDS
            self.is_stateful = depth > 0
        if self.tenant_id is None:
            tenant_id = getattr(context, "tenant_id", None)
            self.tenant_id = tenant_id if isinstance(tenant_id, str) else None
        if self.function_arn is None:
            function_arn = getattr(context, "invoked_function_arn", None)
            self.function_arn = function_arn if isinstance(function_arn, str) else None

    def inherit(self, outer: Invocation) -> None:
        """Take from the invocation around this one what the own context does not say."""
        if self.ends == inf and not outer.has_ended:
            self.ends = outer.ends
        if self.tenant_id is None:
            self.tenant_id = outer.tenant_id
        if self.function_arn is None:
            self.function_arn = outer.function_arn

    def make_deadline(self, timeout: float) -> Deadline:
        """Set the end of a resolve in this invocation."""
        return make_deadline(timeout, inf if self.has_ended else self.ends, self.function_arn)


def _read_remaining_seconds(context: object) -> float | None:
    """Ask a context how long the invocation has. None: it does not say it with a number."""
    ask = getattr(context, "get_remaining_time_in_millis", None)
    if not callable(ask):
        return None
    milliseconds: object = ask()
    # By the type itself: a bool is an int, too.
    if (type(milliseconds) is int or type(milliseconds) is float) and isfinite(milliseconds):
        return milliseconds / 1000
    return None


_CURRENT: ContextVar[Invocation | None] = ContextVar("lambdasecrets_invocation", default=None)


def find_invocation(context: object = None) -> Invocation:
    """Give the invocation that a context belongs to; without a context, the one that runs here."""
    outer = _CURRENT.get()
    if context is None and outer is not None:
        return outer
    found = Invocation(context)
    if outer is not None:
        found.inherit(outer)
    return found


class Scope:
    """Makes an invocation the current one, until it is left: then it has ended.

    Args:
        context: see `Invocation`.
    """

    __slots__ = ("_tokens", "invocation")

    def __init__(self, context: object) -> None:
        self.invocation = Invocation(context)
        outer = _CURRENT.get()
        if outer is not None:
            self.invocation.inherit(outer)
        self._tokens: list[Token[Invocation | None]] = [_CURRENT.set(self.invocation)]

    def enter(self) -> None:
        """Make the invocation the current one here."""
        self._tokens.append(_CURRENT.set(self.invocation))

    def step_out(self) -> None:
        """Make the invocation around this one current again. This one goes on elsewhere."""
        while self._tokens:
            try:  # noqa: SIM105 - at every invocation, where `suppress` is three calls
                _CURRENT.reset(self._tokens.pop())
            except ValueError:  # left in another context than it was entered in, it has nothing to take back there
                pass

    def leave(self) -> None:
        """End the invocation."""
        self.invocation.has_ended = True
        self.step_out()


@contextmanager
def invocation(context: object) -> Generator[None, None, None]:
    """Say which invocation runs, where no decorator sees its context: behind Mangum, in routers, in classes.

    Every `resolve` inside ends before the invocation does, and knows its tenant.

    Args:
        context: Lambda's, or one that wraps it.
    """
    scope = Scope(context)
    try:
        yield
    finally:
        scope.leave()


def clean_error(error: BaseException) -> None:
    """Take the library's frames out of what is raised through a boundary.

    An error that the library means to raise says what there is to know. Of any other, the log at DEBUG says where the
    removed frames were: it may be a fault of the library's own.
    """
    try:
        removed = clean(error)
        if removed and not isinstance(error, LambdaSecretsError) and _log.is_debugging():
            _log.debug("%s was raised in the library at %s", type(error).__name__, removed[-1])
    except BaseException as interrupt:  # a signal's, in the midst of this: what it carries is cleaned with it
        clean(interrupt)
        raise


register_boundary(clean_error)
