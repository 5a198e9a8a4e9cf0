"""From a plan to values: what to ask for, what to use again, what to make of failures.

Errors are returned, not raised, and results hide their values: the frames that raise, and those below a handler that
raises, stand in tracebacks, and must hold nothing that a traceback should not show.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from lambdasecrets import _settings, _wire
from lambdasecrets._clock import deadline, now
from lambdasecrets._compiled import NO_VALUE, Prepared, Wave
from lambdasecrets._memory import Got, Memory, logger
from lambdasecrets._sources.local import Client
from lambdasecrets._transports import sockets
from lambdasecrets._transports.base import Address
from lambdasecrets.errors import ResolutionError, combined

if TYPE_CHECKING:
    from requests import Session

    from lambdasecrets._clock import Moment
    from lambdasecrets._declarations import Declaration
    from lambdasecrets._settings import Limits
    from lambdasecrets._transports.base import Transport

_Outcomes = dict[str, Got | ResolutionError]


class ResolvedValue(NamedTuple):
    """What became of one declaration.

    Attributes:
        parameter: the parameter, or the way to a config model's field.
        declaration: what was asked for.
        version: the secret's VersionId or the parameter's Version; None for a default.
        source: `server`, `memory` (younger than `max_age`), `stale` (see `stale_if_error`) or `default`.
        changed: whether the version is another than the last time.
    """

    parameter: str
    declaration: Declaration
    version: str | None
    source: str
    changed: bool


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


OnResolve = Callable[[ResolveEvent], None]

OBSERVERS: list[OnResolve] = []
"""Told of every resolve of this process, after its own `on_resolve`: the tools for tests put themselves in."""


class Resolved:
    """Values for a handler's arguments.

    Not a tuple and no dataclass: what shows the locals of a traceback's frames takes those apart.

    Args:
        arguments: by the parameter's name.
        versions: what they were made of, by path.
    """

    __slots__ = ("arguments", "versions")

    def __init__(self, arguments: dict[str, Any], versions: dict[str, str]) -> None:
        self.arguments, self.versions = arguments, versions

    def __repr__(self) -> str:
        """Show which versions they are, not what they are."""
        return f"Resolved(versions={self.versions!r})"


class Call:
    """One resolve to be done.

    Args:
        prepared: what to resolve.
        limits: the options in force.
        on_resolve: told what happened.
        context: the invocation's context, for its remaining time.
        skip: parameters that the caller gave.
    """

    def __init__(
        self,
        prepared: Prepared,
        limits: Limits,
        on_resolve: OnResolve | None = None,
        context: Any = None,
        skip: frozenset[str] = frozenset(),
    ) -> None:
        self.prepared, self.limits, self.on_resolve = prepared, limits, on_resolve
        self.context, self.skip = context, skip


class Resolver:
    """Resolves plans through one client, and remembers what it was told.

    Args:
        client: speaks with the server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        # By port: tests, and `lambdasecrets invoke`, start several servers in one process.
        self._servers: dict[int, tuple[Address, Memory]] = {}

    def resolve(self, call: Call) -> Resolved | ResolutionError:
        """Resolve what a plan declares; give the values, or the error."""
        began = now()
        wave = call.prepared.wave(call.skip)
        if isinstance(wave, ResolutionError):
            return _told(call, Wave((), ()), {}, wave, began)
        got = self._gathered(wave, call, began)
        return _told(call, wave, got, _outcome(call, wave, got), began)

    def renew(self, call: Call, before: Resolved) -> Resolved | None:
        """Fetch a plan's values past every cache.

        Args:
            call: the resolve that gave the values.
            before: the values that failed.

        Returns:
            The values where a version changed; None where none did, or where they could not be fetched.
        """
        began = now()
        wave = call.prepared.wave(call.skip)
        if isinstance(wave, ResolutionError):
            return None
        got = self._gathered_anew(wave, call, began)
        after = _told(call, wave, got, _outcome(call, wave, got), began)
        return after if isinstance(after, Resolved) and after.versions != before.versions else None

    def close(self) -> None:
        """Close the connections, and forget every value."""
        self._servers.clear()
        self._client.transport.close()

    def _server(self) -> tuple[Address, Memory]:
        port = _settings.port()
        try:
            return self._servers[port]
        except KeyError:
            return self._servers.setdefault(port, (Address(_wire.HOST, port), Memory()))

    def _gathered(self, wave: Wave, call: Call, began: Moment) -> _Outcomes:
        address, memory = self._server()
        ages = call.limits.ages
        got: _Outcomes = {**memory.known(wave.requests, ages.fresh, began)}
        asked = [request for request in wave.requests if request.path not in got] if got else wave.requests
        if asked:
            limit = deadline(call.limits.timeout, call.context)
            likely_cached = len(asked) == 1 or memory.are_likely_cached(asked, began)
            fetched = self._client.fetch(address, asked, limit, likely_cached=likely_cached)
            for request in asked:
                got[request.path] = memory.judged(request, fetched[request.path], ages, began)
        return got

    def _gathered_anew(self, wave: Wave, call: Call, began: Moment) -> _Outcomes:
        # Only after a handler's error: what it loads need not be loaded before.
        from lambdasecrets._sources import direct  # noqa: PLC0415

        address, memory = self._server()
        limit = deadline(call.limits.timeout, call.context)
        by_agent = any(map(memory.is_from_agent, wave.requests))
        if by_agent or not direct.is_installed():
            fetched = self._client.fetch(address, wave.requests, limit, refresh=by_agent)
        else:
            fetched = direct.fetch(wave.requests, limit)
            for request in wave.requests:
                memory.supersede(request, fetched[request.path], now())
        return {
            request.path: memory.judged(request, fetched[request.path], call.limits.ages, began)
            for request in wave.requests
        }


def _told(
    call: Call, wave: Wave, got: _Outcomes, outcome: Resolved | ResolutionError, began: Moment
) -> Resolved | ResolutionError:
    """Give the outcome, after who wants to know of it was told."""
    if call.on_resolve is not None or OBSERVERS or logger.isEnabledFor(logging.DEBUG):
        error = outcome if isinstance(outcome, ResolutionError) else None
        milliseconds = (monotonic() - began.monotonic) * 1000
        _tell(ResolveEvent(call.prepared.plan.owner, milliseconds, _resolved_values(wave, got), error), call.on_resolve)
    return outcome


def _tell(event: ResolveEvent, on_resolve: OnResolve | None) -> None:
    """Tell the log at DEBUG, and the caller's function."""
    text = "resolved %d values for %s in %.1f ms"
    logger.debug(text, len(event.values), event.owner, event.milliseconds, extra={"resolve_event": event})
    for tell in (on_resolve, *OBSERVERS):
        if tell is not None:
            _tell_one(event, tell)


def _tell_one(event: ResolveEvent, tell: OnResolve) -> None:
    try:
        tell(event)
    except Exception as error:  # noqa: BLE001 - watching an invocation must not break it
        logger.warning("on_resolve of %s raised %s", event.owner, type(error).__name__)


def _outcome(call: Call, wave: Wave, got: _Outcomes) -> Resolved | ResolutionError:
    """Read what was got, and put the arguments together."""
    found: dict[tuple[str, ...], Any] = {}
    versions: dict[str, str] = {}
    failed: dict[int, ResolutionError] = {}
    for item in wave.wanted:
        value: Any = got[item.path]
        if isinstance(value, Got):
            raw = value.raw
            if raw is None:
                value = NO_VALUE
            else:
                versions[item.path] = raw.version
                value = item.reader.read(raw, item.declaration.key, item.subject)
        found[item.slot.path] = value
        if isinstance(value, ResolutionError):
            # By identity: one failed request stands for every declaration that wanted it.
            failed[id(value)] = value
    if failed:
        return combined(list(failed.values()))
    arguments, misfits = call.prepared.arguments(found, call.skip)
    return combined(misfits) if misfits else Resolved(arguments, versions)


def _resolved_values(wave: Wave, got: _Outcomes) -> tuple[ResolvedValue, ...]:
    return tuple(
        ResolvedValue(
            ".".join(item.slot.path),
            item.declaration,
            source.raw.version if source.raw else None,
            source.source,
            source.changed,
        )
        for item in wave.wanted
        if isinstance(source := got[item.path], Got)
    )


_PROCESS: dict[str, Resolver] = {}


def shared() -> Resolver:
    """Give this process's resolver: one pool of connections for all of its handlers."""
    try:
        return _PROCESS["resolver"]
    except KeyError:
        # One step, so that threads that come here together get the same one.
        return _PROCESS.setdefault("resolver", Resolver(Client(_transport())))


def forget() -> None:
    """Forget every value and absence of this process, and close its connections. The transport stays as it is."""
    resolver = _PROCESS.get("resolver")
    if resolver is not None:
        resolver.close()


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
    if session is not None:
        _PROCESS["resolver"] = Resolver(Client(_requests_transport(session)))


def _transport() -> Transport:
    is_lean = _settings.transport() == "lean" and sockets.IS_SUPPORTED
    return sockets.LeanTransport(_requests_transport) if is_lean else _requests_transport()


def _requests_transport(session: Session | None = None) -> Transport:
    from lambdasecrets._transports.requests import RequestsTransport  # noqa: PLC0415 - slow to load, seldom needed

    return RequestsTransport(session)


if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows is without it, and without forks
    # A child must not speak on its parent's connections.
    os.register_at_fork(after_in_child=_PROCESS.clear)
