"""From a plan to values: what to ask for and where, what to use again, what to make of failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from lambdasecrets import _log, _settings, _wire
from lambdasecrets._clock import read_moment
from lambdasecrets._compiled import ABSENT, Batch, CompiledPlan
from lambdasecrets._memory import TRANSIENT, Fingerprint, Memory, SourcedValue
from lambdasecrets._signature import is_nullable
from lambdasecrets._sources.answers import make_late_error
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.local import LocalSource, Server
from lambdasecrets._transports import Address, sockets
from lambdasecrets.errors import (
    NotFoundError,
    RefreshUnavailableError,
    ResolutionError,
    SettingError,
    UnresolvedError,
    UnsupportedByAgentError,
    UnsupportedByExtensionError,
    combine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from requests import Session

    from lambdasecrets._clock import Deadline, Moment
    from lambdasecrets._declarations import Declaration
    from lambdasecrets._settings import Limits
    from lambdasecrets._sources.request import Fetched, Request
    from lambdasecrets._transports import Transport

_Outcomes = dict[str, SourcedValue | ResolutionError]
_Gather = Callable[["Sequence[Request]", "Lookup", "Moment"], _Outcomes]

_SERVER_SHARE = 0.5
"""How much of the deadline the server on this machine may use where AWS can be asked after it."""
_PROBE_SECONDS = 0.05
"""How long a server that failed is asked, until it answers again."""
_PROBE_PAUSE_SECONDS = 30.0
"""How long a server that failed is left alone."""

_REPLACEABLE = (*TRANSIENT, UnsupportedByAgentError, UnsupportedByExtensionError)
"""What AWS is asked for in the place of the server: what the server could not serve."""
_OUT_OF_ORDER = tuple(kind for kind in TRANSIENT if kind is not UnresolvedError)
"""What says that the server itself does not work, and not that it could not have one value."""


class ResolvedValue(NamedTuple):
    """What became of one declaration.

    Attributes:
        parameter: the parameter, or the way to a config model's field.
        declaration: what was asked for.
        version: the secret's VersionId or the parameter's Version; None for a default.
        source: `server`, `aws` (AWS itself: see `fallback` and `retry_on`), `memory` (younger than `max_age`), `stale`
            (see `stale_if_error`) or `default`.
        changed: whether it is another value than the last time.
        age: seconds since the value was asked for; 0 for a fresh one and for a default.
    """

    parameter: str
    declaration: Declaration
    version: str | None
    source: str
    changed: bool
    age: float = 0.0


class ResolveEvent(NamedTuple):
    """What a resolve did. Holds no value.

    Attributes:
        owner: the handler as `module.qualname`, or `resolve()`.
        milliseconds: how long it took, parsing included.
        values: one for each declaration that got a value or a default.
        error: what failed, or None.
    """

    owner: str
    milliseconds: float
    values: tuple[ResolvedValue, ...]
    error: ResolutionError | None


_MAYBE_ABSENT = frozenset({NotFoundError, UnresolvedError})
_NO_DEFAULT = "If it need not exist, give it a default, `= None`: that its type allows None does not make it optional."

OnResolve = Callable[[ResolveEvent], None]

OBSERVERS: list[OnResolve] = []
"""Told of every resolve of this process, after its own `on_resolve`: the tools put themselves in."""


class Arguments:
    """Values for a handler's arguments, and what they were made of.

    Neither a tuple nor a dataclass: collectors that show the locals of a traceback's frames print what is in those.

    Args:
        values: by the parameter's name.
        fingerprints: by the path of what they were made of.
    """

    __slots__ = ("fingerprints", "values")

    def __init__(self, values: dict[str, Any], fingerprints: dict[str, Fingerprint]) -> None:
        self.values, self.fingerprints = values, fingerprints

    def __repr__(self) -> str:
        """Show what they are for, not what they are."""
        return f"Arguments({', '.join(self.values)})"


class Lookup:
    """One resolve to be done.

    Args:
        compiled: what to resolve.
        limits: the options in force.
        deadline: when to be done.
        on_resolve: told what happened.
        skip: parameters that the caller gave.
        tenant_id: the tenant of the invocation.

    Attributes:
        is_given_up: whether nobody waits for it any more.
    """

    __slots__ = ("compiled", "deadline", "is_given_up", "limits", "on_resolve", "skip", "tenant_id")

    def __init__(
        self,
        compiled: CompiledPlan,
        limits: Limits,
        deadline: Deadline,
        *,
        on_resolve: OnResolve | None = None,
        skip: frozenset[str] = frozenset(),
        tenant_id: str | None = None,
    ) -> None:
        self.compiled, self.limits, self.deadline = compiled, limits, deadline
        self.on_resolve, self.skip, self.tenant_id, self.is_given_up = on_resolve, skip, tenant_id, False

    def renew(self, deadline: Deadline) -> Lookup:
        """Give the same resolve with another deadline."""
        on_resolve, skip, tenant_id = self.on_resolve, self.skip, self.tenant_id
        return Lookup(self.compiled, self.limits, deadline, on_resolve=on_resolve, skip=skip, tenant_id=tenant_id)

    def make_batch(self) -> Batch | ResolutionError:
        """Give what is to be asked for."""
        return self.compiled.make_batch(self.skip, self.tenant_id)


class _KnownServer:
    """A server, what is known of its values, and how it does."""

    def __init__(self, address: Address) -> None:
        self.server, self.memory = Server(address), Memory()
        self.failed_at: Moment | None = None

    def limit(self, deadline: Deadline, moment: Moment) -> Deadline | None:
        """Say how long the server may be asked where AWS can be asked after it. None: not at all, for now."""
        if self.failed_at is None:
            return deadline.share(_SERVER_SHARE)
        if moment.is_within(_PROBE_PAUSE_SECONDS, self.failed_at):
            return None
        self.failed_at = moment
        return deadline.within(_PROBE_SECONDS)


class Resolver:
    """Resolves plans, and remembers what it was told.

    Args:
        source: speaks with the server on this machine.
    """

    def __init__(self, source: LocalSource) -> None:
        self.source = source
        # By port: tests, and `lambdasecrets invoke`, start several servers in one process.
        self._servers: dict[int, _KnownServer] = {}
        self._has_warned_of_fallback = False

    def resolve(self, lookup: Lookup) -> Arguments | ResolutionError:
        """Resolve what a plan declares; give the values, or the error."""
        return self._resolve(lookup, self._gather)

    def refresh(self, lookup: Lookup) -> Arguments | ResolutionError:
        """Resolve what a plan declares past every cache; give the values, or the error."""
        return self._resolve(lookup, self._gather_anew)

    def resolve_with(self, lookup: Lookup, pending: Mapping[str, RawValue]) -> Arguments | ResolutionError:
        """Resolve what a plan declares, with some values on trial, of which nothing is remembered."""
        return self._resolve(lookup, partial(self._gather_beside, pending))

    def conclude(self, lookup: Lookup) -> Arguments | ResolutionError:
        """Give what a resolve comes to whose time passed before it had an outcome: it is given up, and not told of."""
        lookup.is_given_up = True
        return self._resolve(lookup.renew(lookup.deadline), self._gather_late)

    def _resolve(self, lookup: Lookup, gather: _Gather) -> Arguments | ResolutionError:
        began = read_moment()
        batch = lookup.make_batch()
        if isinstance(batch, ResolutionError):
            return _report(lookup, Batch((), ()), {}, batch, began)
        outcomes = gather(batch.requests, lookup, began)
        return _report(lookup, batch, outcomes, self._make_arguments(lookup, batch, outcomes), began)

    def find_changes(self, lookup: Lookup, before: Mapping[str, Fingerprint]) -> bool:
        """Fetch a plan's values past every cache, and remember them.

        Args:
            lookup: the resolve that gave the values.
            before: what those were.

        Returns:
            Whether one of them is another now. What could not be fetched is logged, each with its cause.
        """
        batch = lookup.make_batch()
        if isinstance(batch, ResolutionError):
            _warn_of_refresh(batch)
            return False
        began = read_moment()
        outcomes = self._gather_anew(batch.requests, lookup, began)
        memory = self._find_server().memory
        # Where nothing passes the cache of the extension, it may have a newer value by itself by now.
        behind = [one for one in batch.requests if isinstance(outcomes[one.path], RefreshUnavailableError)]
        if behind:
            _warn_of_refresh(combine([one for one in outcomes.values() if isinstance(one, RefreshUnavailableError)]))
            outcomes |= self._gather(behind, lookup, began)
        changed = False
        for path, outcome in outcomes.items():
            if isinstance(outcome, ResolutionError):
                _warn_of_refresh(outcome)
            elif outcome.raw is not None:
                changed = changed or memory.make_fingerprint(outcome.raw) != before.get(path)
        return changed

    def fetch_pending(self, lookup: Lookup, before: Mapping[str, Fingerprint]) -> dict[str, RawValue]:
        """Fetch the versions on trial (AWSPENDING) of the secrets that are declared without version or stage.

        Returns:
            By the path of the declared secret, those that exist and differ from what was used before.
        """
        batch = lookup.make_batch()
        if isinstance(batch, ResolutionError):
            return {}
        pending = {request.path: pending for request in batch.requests if (pending := batch.make_pending(request))}
        fetched = self._fetch_anew(list(pending.values()), lookup)
        memory = self._find_server().memory
        found: dict[str, RawValue] = {}
        for path, request in pending.items():
            raw = fetched[request.path]
            if isinstance(raw, RawValue) and path in before and memory.make_fingerprint(raw) != before[path]:
                found[path] = raw
        return found

    def adopt(self, lookup: Lookup, pending: Mapping[str, RawValue]) -> None:
        """Remember values that were on trial: they take the place of those before."""
        batch = lookup.make_batch()
        if not isinstance(batch, ResolutionError):
            memory, moment = self._find_server().memory, read_moment()
            for request in batch.requests:
                if request.path in pending:
                    memory.record_newer(request, pending[request.path], lookup.limits.ages, moment, "aws")

    def close(self) -> None:
        """Close the connections, and forget every value."""
        self._servers.clear()
        self.source.transport.close()

    def forget(self) -> None:
        """Forget every value, absence and habit. The connections stay."""
        self._servers.clear()

    def _find_server(self) -> _KnownServer:
        port = _settings.read_port()
        try:
            return self._servers[port]
        except KeyError:
            return self._servers.setdefault(port, _KnownServer(Address(_wire.HOST, port)))

    # --- From memory, the server, AWS ---------------------------------------------------------------------------

    def _gather(self, requests: Sequence[Request], lookup: Lookup, began: Moment) -> _Outcomes:
        known, limits = self._find_server(), lookup.limits
        outcomes: _Outcomes = {**known.memory.look_up(requests, limits.ages.fresh, began, from_aws=limits.fallback)}
        asked = [request for request in requests if request.path not in outcomes] if outcomes else requests
        if not asked:
            return outcomes
        if limits.fallback:
            fetched, from_aws = self._fetch_with_fallback(known, asked, lookup, began)
        else:
            fetched, from_aws = self._fetch_locally(known, asked, lookup.deadline, began), frozenset[str]()
        for request in asked:
            answer = fetched[request.path]
            if request.path in from_aws and isinstance(answer, RawValue):
                outcomes[request.path] = known.memory.record_from_aws(request, answer, limits.ages, began)
            else:
                outcomes[request.path] = known.memory.record(request, answer, limits.ages, began)
        return outcomes

    def _gather_beside(
        self, pending: Mapping[str, RawValue], requests: Sequence[Request], lookup: Lookup, began: Moment
    ) -> _Outcomes:
        """Gather what is not on trial, and put what is beside it."""
        others = [request for request in requests if request.path not in pending]
        outcomes = self._gather(others, lookup, began) if others else {}
        return outcomes | {path: SourcedValue(raw, "aws", changed=True) for path, raw in pending.items()}

    def _gather_late(self, requests: Sequence[Request], lookup: Lookup, began: Moment) -> _Outcomes:
        """Take from memory what it has. What would have to be asked for is late: the last good value may serve."""
        memory, ages = self._find_server().memory, lookup.limits.ages
        outcomes: _Outcomes = {**memory.look_up(requests, ages.fresh, began, from_aws=lookup.limits.fallback)}
        for request in requests:
            if request.path not in outcomes:
                late = make_late_error(request, lookup.deadline)
                outcomes[request.path] = memory.record(request, late, ages, began)
        return outcomes

    def _fetch_locally(
        self, known: _KnownServer, asked: Sequence[Request], deadline: Deadline, began: Moment
    ) -> dict[str, Fetched]:
        memory = known.memory
        likely_cached = len(asked) == 1 or memory.are_likely_cached(asked, began)
        has_seen = partial(memory.has_seen, moment=began)
        return self.source.fetch(known.server, asked, deadline, likely_cached=likely_cached, has_seen=has_seen)

    def _fetch_with_fallback(
        self, known: _KnownServer, asked: Sequence[Request], lookup: Lookup, began: Moment
    ) -> tuple[dict[str, Fetched], frozenset[str]]:
        """Ask the server, and AWS for what it cannot serve; give the answers, and the paths that AWS was asked for."""
        from lambdasecrets._sources import direct  # noqa: PLC0415 - few need it

        if not direct.is_installed():
            raise SettingError(
                "fallback", "boto3 to be installed, by which AWS is asked: pip install 'lambdasecrets[aws]'"
            )
        limit = known.limit(lookup.deadline, began)
        fetched = {} if limit is None else self._fetch_locally(known, asked, limit, began)
        failures = [request for request in asked if isinstance(fetched.get(request.path), _OUT_OF_ORDER)]
        if limit is not None:
            known.failed_at = began if failures else None
        missing = [
            request
            for request in asked
            if request.path not in fetched or isinstance(fetched[request.path], _REPLACEABLE)
        ]
        if not missing:
            return fetched, frozenset()
        self._warn_of_fallback(fetched.get(missing[0].path))
        fetched |= direct.fetch(missing, lookup.deadline)
        return fetched, frozenset(request.path for request in missing)

    def _warn_of_fallback(self, cause: object) -> None:
        if not self._has_warned_of_fallback:
            self._has_warned_of_fallback = True
            _log.warn("Asking AWS itself, because the server on this machine cannot serve: %s", cause)

    # --- Past every cache ---------------------------------------------------------------------------------------

    def _gather_anew(self, requests: Sequence[Request], lookup: Lookup, began: Moment) -> _Outcomes:
        memory, ages = self._find_server().memory, lookup.limits.ages
        fetched = self._fetch_anew(requests, lookup)
        return {
            request.path: memory.record_newer(request, answer, ages, began, "server" if answer.from_agent else "aws")
            if isinstance(answer := fetched[request.path], RawValue)
            else memory.record(request, answer, ages, began)
            for request in requests
        }

    def _fetch_anew(self, requests: Sequence[Request], lookup: Lookup) -> dict[str, Fetched]:
        """Ask who passes every cache: the agent for its secrets, AWS for all else."""
        from lambdasecrets._sources import direct  # noqa: PLC0415 - after a failure only

        known = self._find_server()
        known_to_agent = [request for request in requests if request.form.is_known_to_agent]
        by_agent = known_to_agent if known_to_agent and self._is_agent(known, lookup.deadline) else []
        others = [request for request in requests if request not in by_agent]
        fetched: dict[str, Fetched] = {}
        if by_agent:
            fetched |= self.source.fetch(known.server, by_agent, lookup.deadline, refresh=True)
        if others and direct.is_installed():
            fetched |= direct.fetch(others, lookup.deadline)
        elif others:
            fetched |= {request.path: RefreshUnavailableError(request.subject) for request in others}
        return fetched

    def _is_agent(self, known: _KnownServer, deadline: Deadline) -> bool:
        """Tell whether the agent serves here: its values say so, or, before the first one, its `/ping`."""
        if known.server.answers_as_agent is not None:
            return known.server.answers_as_agent
        return self.source.is_agent(known.server, deadline.within(_PROBE_SECONDS)) is True

    # --- Arguments ----------------------------------------------------------------------------------------------

    def _make_arguments(self, lookup: Lookup, batch: Batch, outcomes: _Outcomes) -> Arguments | ResolutionError:
        """Read what was gathered, and put the arguments together."""
        memory = self._find_server().memory if lookup.limits.retry_on else None
        read: dict[tuple[str, ...], Any] = {}
        fingerprints: dict[str, Fingerprint] = {}
        failed: dict[int, ResolutionError] = {}
        nullable: set[int] = set()
        for item in batch.slots:
            value: Any = outcomes[item.path]
            if isinstance(value, SourcedValue):
                raw = value.raw
                if raw is None:
                    value = ABSENT
                else:
                    if memory is not None and item.path not in fingerprints:
                        fingerprints[item.path] = memory.make_fingerprint(raw)
                    value = item.reader.read(raw, item.key, item.subject)
            read[item.slot.path] = value
            if isinstance(value, ResolutionError):
                # By identity: one failed request stands for every declaration that wanted it.
                failed[id(value)] = value
                if type(value) in _MAYBE_ABSENT and not item.slot.optional and is_nullable(item.slot.type):
                    nullable.add(id(value))
        if failed:
            return combine(
                [error.add_remedy(_NO_DEFAULT) if mark in nullable else error for mark, error in failed.items()]
            )
        arguments, misfits = lookup.compiled.make_arguments(read, lookup.skip)
        return combine(misfits) if misfits else Arguments(arguments, fingerprints)


def _warn_of_refresh(error: ResolutionError) -> None:
    """Say why a value could not be fetched anew: what the handler raises next does not."""
    _log.warn("Could not fetch a newer value after the handler failed. %s", error)


def _report(
    lookup: Lookup, batch: Batch, outcomes: _Outcomes, outcome: Arguments | ResolutionError, began: Moment
) -> Arguments | ResolutionError:
    """Give the outcome, after who wants to know of it was told."""
    if (lookup.on_resolve is not None or OBSERVERS or _log.is_debugging()) and not lookup.is_given_up:
        error = outcome if isinstance(outcome, ResolutionError) else None
        milliseconds = (monotonic() - began.monotonic) * 1000
        owner = lookup.compiled.plan.owner
        event = ResolveEvent(owner, milliseconds, _list_values(batch, outcomes), error)
        _log_event(event)
        for observe in (lookup.on_resolve, *OBSERVERS):
            if observe is not None:
                call_observer(observe, event)
    return outcome


def _log_event(event: ResolveEvent) -> None:
    _log.debug(
        "resolved %d values for %s in %.1f ms",
        len(event.values),
        event.owner,
        event.milliseconds,
        owner=event.owner,
        values=len(event.values),
        milliseconds=event.milliseconds,
        error=type(event.error).__name__ if event.error else "",
    )


def call_observer(observe: OnResolve, event: ResolveEvent) -> None:
    """Report what happened. What the observer raises is logged, and goes no further."""
    try:
        observe(event)
    except Exception as error:  # noqa: BLE001 - watching an invocation must not break it
        _log.warn("on_resolve of %s raised %s", event.owner, type(error).__name__)


def _list_values(batch: Batch, outcomes: _Outcomes) -> tuple[ResolvedValue, ...]:
    return tuple(
        ResolvedValue(
            ".".join(item.slot.path),
            item.declaration,
            sourced.raw.version if sourced.raw else None,
            sourced.source,
            sourced.changed,
            sourced.age,
        )
        for item in batch.slots
        if isinstance(sourced := outcomes.get(item.path), SourcedValue)
    )


_PROCESS: dict[str, Resolver] = {}


def find_resolver() -> Resolver:
    """Give this process's resolver: one pool of connections for all of its handlers."""
    try:
        return _PROCESS["resolver"]
    except KeyError:
        # One step, so that threads that come here together get the same one.
        return _PROCESS.setdefault("resolver", Resolver(LocalSource(_make_transport())))


def use_session(session: Session | None) -> None:
    """Let a `requests` Session of your own carry the requests of this process.

    Redirects, proxies and certificates are decided by this library all the same: values go to this machine only.

    Args:
        session: with the adapters or hooks that you need; None to go back to the transport that LAMBDASECRETS_TRANSPORT
            names.
    """
    replaced = _PROCESS.pop("resolver", None)
    if replaced is not None:
        replaced.close()
    _forget_aws()
    if session is not None:
        _PROCESS["resolver"] = Resolver(LocalSource(_make_requests_transport(session)))


def forget() -> None:
    """Forget every value and absence that this process remembers, and the last answers of AWS. Connections stay."""
    resolver = _PROCESS.get("resolver")
    if resolver is not None:
        resolver.forget()
    _forget_aws()


def _forget_aws() -> None:
    direct = sys.modules.get("lambdasecrets._sources.direct")
    if direct is not None:  # loaded when AWS was asked
        direct.forget()


def _make_transport() -> Transport:
    is_lean = _settings.read_transport() == "lean" and sockets.IS_SUPPORTED
    return sockets.LeanTransport(_make_requests_transport) if is_lean else _make_requests_transport()


def _make_requests_transport(session: Session | None = None) -> Transport:
    from lambdasecrets._transports.requests import RequestsTransport  # noqa: PLC0415 - slow to load, seldom needed

    return RequestsTransport(session)


def _start_anew_in_child() -> None:
    """Keep nothing of the parent's but a Session of the user's: a child must not use its connections or locks."""
    resolver = _PROCESS.pop("resolver", None)
    if resolver is not None:
        resolver.source.transport.forget_parent()
        _PROCESS["resolver"] = Resolver(LocalSource(resolver.source.transport))


if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows is without it, and without forks
    os.register_at_fork(after_in_child=_start_anew_in_child)
