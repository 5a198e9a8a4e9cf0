"""What a process knows of one server's values, and what that makes of the next answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets import _settings
from lambdasecrets._declarations import Secret
from lambdasecrets._sources.request import RawValue
from lambdasecrets.errors import (
    DeadlineExceededError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    NotFoundError,
    ResolutionError,
    ServerError,
    UnresolvedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambdasecrets._clock import Moment
    from lambdasecrets._settings import Ages
    from lambdasecrets._sources.request import Fetched, Request

logger = logging.getLogger("lambdasecrets")

ABSENCE_SECONDS = 60.0
"""How long the absence of an optional value is remembered: asking costs a call to AWS, which is never cached."""

_TRANSIENT = (
    ExtensionUnavailableError,
    ExtensionNotReadyError,
    DeadlineExceededError,
    ServerError,
    # Not certainly transient: but when AWS cannot be reached, this is all that the extension says.
    UnresolvedError,
)
_ABSENT = (NotFoundError, UnresolvedError)


class Got(NamedTuple):
    """A raw value and where it is from; or None, for a default."""

    raw: RawValue | None
    source: str
    changed: bool = False


class _Held:
    """The last good answer. The value itself only where an age allows to use it again."""

    def __init__(self, version: str, at: Moment, raw: RawValue | None, *, from_agent: bool) -> None:
        self.version, self.at, self.from_agent, self.raw = version, at, from_agent, raw


class _Newer:
    """A value fetched past the extension, which goes on answering with a version that this one replaced."""

    def __init__(self, replaced: frozenset[str], at: Moment, raw: RawValue) -> None:
        self.replaced, self.at, self.raw = replaced, at, raw


class Memory:
    """What is known of the values of one server."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._newer: dict[str, _Newer] = {}
        self._absent: dict[str, Moment] = {}
        self._warned: set[str] = set()
        self._ttls: dict[str, float] = {}

    def known(self, requests: Sequence[Request], fresh: float, moment: Moment) -> dict[str, Got]:
        """Say what needs no asking.

        Args:
            requests: what is wanted.
            fresh: seconds that a value may be old.
            moment: the present one.

        Returns:
            By path, a value that is fresh, or None for an optional one whose absence is remembered.
        """
        known: dict[str, Got] = {}
        for request in requests:
            held = self._held.get(request.path) if fresh else None
            if held is not None and held.raw is not None and moment.since(held.at) <= fresh:
                known[request.path] = Got(held.raw, "memory")
            elif request.is_optional and self._absent:
                absent = self._absent.get(request.path)
                if absent is not None and moment.since(absent) <= ABSENCE_SECONDS:
                    known[request.path] = Got(None, "default")
        return known

    def are_likely_cached(self, requests: Sequence[Request], moment: Moment) -> bool:
        """Tell whether the extension was asked for each of them within its own TTL."""
        for request in requests:
            held = self._held.get(request.path)
            if held is None or moment.since(held.at) >= self._ttl(request):
                return False
        return True

    def _ttl(self, request: Request) -> float:
        """Seconds for which the extension keeps a value: its setting cannot change while it runs."""
        variable = _settings.SECRETS_TTL if isinstance(request.declaration, Secret) else _settings.PARAMETERS_TTL
        ttl = self._ttls.get(variable)
        if ttl is None:
            ttl = self._ttls[variable] = _settings.extension_ttl(variable)
        return ttl

    def is_from_agent(self, request: Request) -> bool:
        """Tell whether the agent, not the extension, answered last."""
        held = self._held.get(request.path)
        return held is not None and held.from_agent

    def judged(self, request: Request, fetched: Fetched, ages: Ages, moment: Moment) -> Got | ResolutionError:
        """Say what an answer comes to: a value, the last good value, the default, or an error.

        Args:
            request: what was asked for.
            fetched: the answer.
            ages: how old a value may be.
            moment: when it was asked for: the value counts as that old, however long the whole wave took.
        """
        held = self._held.get(request.path)
        if not isinstance(fetched, RawValue):
            return self._missed(request, fetched, held, ages, moment)
        newest = self._newest(request.path, fetched) if self._newer else fetched
        # Also for another handler, whose ages allow what this one's do not.
        keeps = ages.fresh or ages.stale or (held is not None and held.raw is not None)
        kept = newest if keeps else None
        self._held[request.path] = _Held(newest.version, moment, kept, from_agent=fetched.from_agent)
        if self._absent:
            self._absent.pop(request.path, None)
        return Got(newest, "server", held is not None and held.version != newest.version)

    def _missed(
        self, request: Request, fetched: ResolutionError, held: _Held | None, ages: Ages, moment: Moment
    ) -> Got | ResolutionError:
        if ages.stale and isinstance(fetched, _TRANSIENT) and held and held.raw and held.at.age() <= ages.stale:
            logger.warning("%s Serving the last good value, %.0f s old.", fetched, held.at.age())
            return Got(held.raw, "stale")
        if request.is_optional and isinstance(fetched, _ABSENT):
            self._note_absence(request, fetched, moment)
            return Got(None, "default")
        return fetched

    def supersede(self, request: Request, fetched: Fetched, moment: Moment) -> None:
        """Take note of a value that was fetched past the extension."""
        held = self._held.get(request.path)
        if isinstance(fetched, RawValue) and held is not None and held.version != fetched.version:
            before = self._newer.get(request.path)
            # Secrets may rotate again while the extension still answers with the version before both.
            replaced = before.replaced | {held.version} if before else frozenset({held.version})
            self._newer[request.path] = _Newer(replaced, moment, fetched)

    def _newest(self, path: str, raw: RawValue) -> RawValue:
        newer = self._newer.get(path)
        if newer is None:
            return raw
        if newer.at.age() > _settings.LONGEST_TTL_SECONDS:
            self._newer.pop(path, None)
            return raw
        return newer.raw if raw.version in newer.replaced else raw

    def _note_absence(self, request: Request, error: ResolutionError, moment: Moment) -> None:
        self._absent[request.path] = moment
        if isinstance(error, UnresolvedError) and request.path not in self._warned:
            self._warned.add(request.path)
            logger.warning(
                "Using the default of %s: the extension does not tell a value that does not exist from one that "
                "the role may not read.",
                request.subject,
            )
