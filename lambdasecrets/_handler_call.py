"""One call of a decorated handler, from its values to its end: resolve, and run once more where that can help."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, overload

from lambdasecrets import _log
from lambdasecrets._hiding import Hidden, list_carried
from lambdasecrets._invocation import Invocation, Scope
from lambdasecrets._resolver import Arguments, Lookup, find_resolver
from lambdasecrets._settings import Options, read_limits
from lambdasecrets.errors import EventLoopError, ResolutionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from lambdasecrets._compiled import CompiledPlan
    from lambdasecrets._memory import Fingerprint
    from lambdasecrets._resolver import OnResolve
    from lambdasecrets._sources.forms import RawValue
    from lambdasecrets._threads import Crew

_T = TypeVar("_T")

_NOTHING: frozenset[str] = frozenset()
_PLAIN_RESULTS = frozenset({bool, bytes, dict, int, list, str, type(None)})
"""What most handlers return: `inspect.isawaitable` takes longer than a look."""
_NOTHING_TO_RESOLVE = Arguments({}, {})


class Injection:
    """What a decorated handler brings to each of its calls.

    Args:
        compiled: what to resolve.
        options: as they were given.
        on_resolve: told of every resolve.
    """

    def __init__(self, compiled: CompiledPlan, options: Options, on_resolve: OnResolve | None) -> None:
        self.compiled, self.options, self.on_resolve = compiled, options, on_resolve
        self._last = len(compiled.plan.given) - 1

    def find_context(self, args: tuple[object, ...], overrides: Mapping[str, object]) -> object:
        """Give the context: Lambda gives it last, a test may name it."""
        return args[self._last] if len(args) > self._last else overrides.get(self.compiled.plan.given[self._last])


class HandlerCall:
    """One call of a decorated handler. It stands in a frame of tracebacks, and shows no value there.

    Args:
        injection: of the handler.
    """

    __slots__ = (
        "_before",
        "_first",
        "_given",
        "_injection",
        "_lookup",
        "_next",
        "_pending",
        "_running",
        "_scope",
    )

    def __init__(self, injection: Injection) -> None:
        self._injection = injection
        self._scope: Scope | None = None
        self._lookup: Lookup | None = None
        self._before: dict[str, Fingerprint] = {}
        self._given: dict[str, object] = {}
        self._next: Hidden[dict[str, object]] | None = None
        self._pending: Hidden[dict[str, RawValue]] | None = None
        self._first: Hidden[BaseException] | None = None
        self._running: Hidden[Awaitable[object]] | None = None

    # --- The first run --------------------------------------------------------------------------------------------

    def resolve(self, args: tuple[object, ...], overrides: dict[str, object]) -> dict[str, object]:
        """Begin the invocation, and give the values."""
        lookup = self._begin(args, overrides)
        return self._use(find_resolver().resolve(lookup) if lookup else _NOTHING_TO_RESOLVE)

    async def aresolve(self, args: tuple[object, ...], overrides: dict[str, object]) -> dict[str, object]:
        """Begin the invocation, and give the values without holding up the loop."""
        lookup = self._begin(args, overrides)
        return self._use(await run_in_thread(find_resolver().resolve, lookup) if lookup else _NOTHING_TO_RESOLVE)

    def _begin(self, args: tuple[object, ...], overrides: dict[str, object]) -> Lookup | None:
        """Set the deadline, before anything else and before any thread. None: the caller gives every value."""
        injection = self._injection
        self._scope = Scope(injection.find_context(args, overrides))
        plan = injection.compiled.plan
        skip = _NOTHING
        if overrides or injection.compiled.overrides:
            plan.check_keywords(overrides)
            # What a test gives in the place of what would be resolved, the caller's own arguments apart.
            given = injection.compiled.overrides
            self._given = {name: value for name, value in given.items() if name not in overrides}
            skip = frozenset(name for name in (*given, *overrides) if name in plan.nodes)
        limits = read_limits(injection.options)
        if len(skip) == len(plan.nodes):
            return None
        deadline = self._scope.invocation.make_deadline(limits.timeout)
        tenant_id = self._scope.invocation.tenant_id
        self._lookup = Lookup(
            injection.compiled, limits, deadline, on_resolve=injection.on_resolve, skip=skip, tenant_id=tenant_id
        )
        return self._lookup

    def _use(self, outcome: Arguments | ResolutionError) -> dict[str, object]:
        if isinstance(outcome, ResolutionError):
            raise outcome
        self._before = outcome.fingerprints
        return {**self._given, **outcome.values} if self._given else outcome.values

    def hold_awaitable(self, result: object) -> bool:
        """Keep what a handler returned, if it is to be awaited: the invocation goes on with it."""
        if type(result) in _PLAIN_RESULTS or not inspect.isawaitable(result):
            return False
        self._running = Hidden(result)
        return True

    def take_running(self) -> Awaitable[object]:
        """Give the awaitable that the handler returned, once."""
        running, self._running = self._running, None
        assert running is not None  # noqa: S101 - `hold_awaitable` has put it there
        return running.reveal()

    def enter_again(self) -> None:
        """Make the invocation current where its awaitable is awaited, which may be another task."""
        assert self._scope is not None  # noqa: S101 - the handler has run in it
        self._scope.enter()

    def leave(self) -> None:
        """End the invocation, unless the handler's awaitable goes on with it."""
        if self._scope is not None:
            if self._running is not None:
                self._scope.step_out()
            else:
                self._scope.leave()

    # --- The second run -------------------------------------------------------------------------------------------

    def plan_retry(self, error: BaseException) -> bool:
        """Fetch newer values after a failure that a rotation explains. True: there are some, for another run."""
        return self._may_retry(error) and self._find_newer(error, self._renew_lookup())

    async def aplan_retry(self, error: BaseException) -> bool:
        """See `plan_retry`."""
        if not self._may_retry(error):
            return False
        return bool(await run_in_thread(partial(self._find_newer, error), self._renew_lookup(), or_late=False))

    def _may_retry(self, error: BaseException) -> bool:
        # Not before the handler had its values: what failed then is not its own.
        kinds = self._lookup.limits.retry_on if self._lookup is not None and self._before else ()
        return bool(kinds) and isinstance(error, Exception) and is_caused_by(error, kinds)

    def _renew_lookup(self) -> Lookup:
        lookup, scope = self._lookup, self._scope
        assert lookup is not None and scope is not None  # noqa: S101, PT018 - `_may_retry` has looked
        deadline = scope.invocation.make_deadline(lookup.limits.timeout)
        return lookup.renew(deadline)

    def _find_newer(self, error: BaseException, lookup: Lookup) -> bool:
        resolver = find_resolver()
        has_changed = resolver.find_changes(lookup, self._before)
        if self._scope is not None and self._scope.invocation.is_stateful:
            # A durable function replays its steps: a second run in one invocation would do finished ones again. The
            # newer value is remembered for the execution's own retry.
            return False
        # A rotation for a single user sets the database's password before the label moves to the new version.
        pending = {} if has_changed else resolver.fetch_pending(lookup, self._before)
        if not (has_changed or pending):
            return False
        outcome = resolver.resolve_with(lookup, pending) if pending else resolver.resolve(lookup)
        if isinstance(outcome, ResolutionError):
            _log.warn("Could not run the handler once more with newer values. %s", outcome)
            return False
        self._pending = Hidden(pending) if pending else None
        self._next, self._first = Hidden(outcome.values), Hidden(error)
        return True

    def take(self) -> dict[str, object]:
        """Give the newer values, once."""
        taken, self._next = self._next, None
        return {} if taken is None else {**self._given, **taken.reveal()}

    def accept(self, result: object) -> object:
        """Give the result of the second run, and keep the values that it was made with."""
        self._keep_pending()
        return result

    def is_own_failure(self, error: BaseException) -> bool:
        """Tell whether a failure of the second run is to be raised, and not the first one.

        Values on trial that do not help are dropped: before a rotation has set them they are not valid, and it may
        be cancelled.
        """
        kinds = self._lookup.limits.retry_on if self._lookup is not None else ()
        if self._pending is not None and isinstance(error, Exception) and is_caused_by(error, kinds):
            self._pending = None
            return False
        self._keep_pending()
        return True

    def _keep_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and self._lookup is not None:
            find_resolver().adopt(self._lookup, pending.reveal())

    def raise_first(self) -> NoReturn:
        """Raise the failure of the first run."""
        first, self._first = self._first, None
        assert first is not None  # noqa: S101 - `_find_newer` has put it there
        error = first.reveal()
        # Raised again it gets the frame of the wrapper again.
        raise error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def is_caused_by(error: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    """Tell whether an exception, a member of its group, or a cause of either, is of one of these kinds."""
    return any(isinstance(one, kinds) for one in list_carried(error, with_context=False))


# --- Threads for coroutines -----------------------------------------------------------------------------------------

_CREWS: dict[str, Crew] = {}


def _find_crew() -> Crew:
    from lambdasecrets._threads import Crew  # noqa: PLC0415 - only coroutines need threads

    return _CREWS.setdefault("crew", Crew()) if "crew" not in _CREWS else _CREWS["crew"]


@overload
async def run_in_thread(
    resolve: Callable[[Lookup], Arguments | ResolutionError], lookup: Lookup
) -> Arguments | ResolutionError: ...
@overload
async def run_in_thread(resolve: Callable[[Lookup], _T], lookup: Lookup, *, or_late: Literal[False]) -> _T | None: ...
async def run_in_thread(resolve: Callable[[Lookup], object], lookup: Lookup, *, or_late: bool = True) -> object:
    """Run a resolve in a thread of the library's own, and wait for it no longer than its deadline.

    Raises:
        EventLoopError: no asyncio loop runs the coroutine.
    """
    import asyncio  # noqa: PLC0415 - whoever awaits has it loaded; others need not

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise EventLoopError from None
    outcome = await _find_crew().run(partial(resolve, lookup), lookup.deadline)
    return find_resolver().conclude(lookup) if outcome is None and or_late else outcome


def plan_lookup(
    compiled: CompiledPlan, options: Options, invocation: Invocation, on_resolve: OnResolve | None
) -> Lookup:
    """Make the lookup of a `resolve` in an invocation."""
    limits = read_limits(options)
    deadline = invocation.make_deadline(limits.timeout)
    return Lookup(compiled, limits, deadline, on_resolve=on_resolve, tenant_id=invocation.tenant_id)


if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows is without it, and without forks
    os.register_at_fork(after_in_child=_CREWS.clear)
