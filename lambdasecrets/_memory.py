"""What a process knows of one server's values, and what that makes of the next answers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets import _settings
from lambdasecrets._parsing import Raw
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

    from lambdasecrets._client import Fetched, Request
    from lambdasecrets._clock import Moment

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

    raw: Raw | None
    source: str
    changed: bool = False


class Ages(NamedTuple):
    """How old a value may be, in seconds.

    Attributes:
        fresh: to be used without asking.
        stale: to be used after a transient failure.
    """

    fresh: float
    stale: float

    @property
    def keeps(self) -> bool:
        """Whether there is any use in keeping a value."""
        return self.fresh > 0 or self.stale > 0


class _Held(NamedTuple):
    """The last good answer. The value itself only where an age allows to use it again."""

    version: str
    at: Moment
    from_agent: bool
    raw: Raw | None


class _Newer(NamedTuple):
    """A value fetched past the extension, which goes on answering with a version that this one replaced."""

    replaced: frozenset[str]
    at: Moment
    raw: Raw


class Memory:
    """What is known of the values of one server."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._newer: dict[str, _Newer] = {}
        self._absent: dict[str, Moment] = {}
        self._warned: set[str] = set()

    def known(self, request: Request, fresh: float) -> Got | None:
        """Say what needs no asking: a value not older than that many seconds, or the absence of an optional one."""
        if fresh > 0:
            held = self._held.get(request.path)
            if held is not None and held.raw is not None and held.at.age() <= fresh:
                return Got(held.raw, "memory")
        if request.is_optional:
            absent = self._absent.get(request.path)
            if absent is not None and absent.age() <= ABSENCE_SECONDS:
                return Got(None, "default")
        return None

    def are_likely_cached(self, requests: Sequence[Request]) -> bool:
        """Tell whether the extension was asked for each of them within its own TTL."""
        found = [(request.is_secret, held) for request in requests if (held := self._held.get(request.path))]
        if len(found) < len(requests):
            return False
        variables = {True: _settings.SECRETS_TTL, False: _settings.PARAMETERS_TTL}
        ttls = {is_secret: _settings.extension_ttl(variables[is_secret]) for is_secret in {kind for kind, _ in found}}
        return all(held.at.age() < ttls[is_secret] for is_secret, held in found)

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
        if isinstance(fetched, Raw):
            return self._hold(request, fetched, ages, moment)
        held = self._held.get(request.path)
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
        if isinstance(fetched, Raw) and held is not None and held.version != fetched.version:
            before = self._newer.get(request.path)
            # Secrets may rotate again while the extension still answers with the version before both.
            replaced = before.replaced | {held.version} if before else frozenset({held.version})
            self._newer[request.path] = _Newer(replaced, moment, fetched)

    def _hold(self, request: Request, raw: Raw, ages: Ages, moment: Moment) -> Got:
        newest = self._newest(request.path, raw) if self._newer else raw
        held = self._held.get(request.path)
        # Also for another handler, whose ages allow what this one's do not.
        keeps = ages.keeps or (held is not None and held.raw is not None)
        self._absent.pop(request.path, None)
        self._held[request.path] = _Held(newest.version, moment, raw.from_agent, newest if keeps else None)
        return Got(newest, "server", held is not None and held.version != newest.version)

    def _newest(self, path: str, raw: Raw) -> Raw:
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
