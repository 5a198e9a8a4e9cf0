"""What a process knows of one server's values, and what that makes of the next answers."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets import _log, _settings
from lambdasecrets._clock import Moment
from lambdasecrets._sources.request import RawValue
from lambdasecrets.errors import (
    AwsUnavailableError,
    CredentialsUnavailableError,
    DeadlineExceededError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    NotFoundError,
    ResolutionError,
    ServerError,
    TooManyOpenFilesError,
    UnresolvedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lambdasecrets._settings import Ages
    from lambdasecrets._sources.request import Fetched, Request

ABSENCE_SECONDS = 60.0
"""How long the absence of an optional value is remembered: asking costs a call to AWS, which is never cached."""

SEEN_SECONDS = 300.0
"""How long after an optional value was there a refusal that may mean its absence is an error all the same."""

MOST_NAMES = 1000
"""As many as the extension's own cache holds."""

_DIGEST_BYTES = 16
_KEY_BYTES = 32

TRANSIENT = (
    ExtensionUnavailableError,
    ExtensionNotReadyError,
    DeadlineExceededError,
    ServerError,
    CredentialsUnavailableError,
    AwsUnavailableError,
    # Not certainly transient: but when AWS cannot be reached, this is all that the extension says.
    UnresolvedError,
)
"""The failures of the server on this machine that may pass."""

_SPARED = (*TRANSIENT, AwsUnavailableError, TooManyOpenFilesError)
"""The failures after which the last good value may serve."""


class SourcedValue(NamedTuple):
    """A raw value and where it is from; or None in its place, for a default.

    Attributes:
        raw: the value.
        source: `server`, `aws`, `memory`, `stale` or `default`.
        changed: whether it is another than the last time.
        age: seconds since it was asked for; 0 for a default.
    """

    raw: RawValue | None
    source: str
    changed: bool = False
    age: float = 0.0


class _Warning:
    """A line for the log, to be written when no lock is held."""

    def __init__(self, text: str, *args: object) -> None:
        self.text, self.args = text, args


class Fingerprint(NamedTuple):
    """What tells one value from another without holding it: a version can stay the same under another text.

    Attributes:
        version: the value's own.
        digest: of its content, keyed with random bytes of this process.
    """

    version: str
    digest: bytes


class _NewerValue:
    """A value fetched past a cache, which goes on answering with what this one replaced."""

    def __init__(self, raw: RawValue, fingerprint: Fingerprint, replaced: frozenset[Fingerprint], at: Moment) -> None:
        self.raw, self.fingerprint, self.replaced, self.at = raw, fingerprint, replaced, at


class _CacheEntry:
    """What is known of one path. The value itself only where an age allows to use it again."""

    __slots__ = (
        "absent_at",
        "at",
        "aws_at",
        "aws_raw",
        "fingerprint",
        "has_warned",
        "keep_seconds",
        "newer",
        "raw",
        "secret",
        "ttl",
    )

    def __init__(self, secret: tuple[str, str | None] | None) -> None:
        self.secret = secret
        self.ttl = 0.0
        self.at: Moment | None = None
        self.fingerprint: Fingerprint | None = None
        self.raw: RawValue | None = None
        self.keep_seconds = 0.0
        self.has_warned = False
        self.newer: _NewerValue | None = None
        self.absent_at: Moment | None = None
        self.aws_raw: RawValue | None = None
        self.aws_at: Moment | None = None

    def forget_expired(self, moment: Moment) -> float:
        """Let go of raw values whose time is over; give the seconds until the next one's is."""
        left = inf
        if self.raw is not None and self.at is not None:
            left = self.keep_seconds - moment.since(self.at)
            if left < 0.0:
                self.raw, self.keep_seconds, left = None, 0.0, inf
        if self.newer is not None:
            rest = self.ttl - moment.since(self.newer.at)
            self.newer, left = (None, left) if rest < 0.0 else (self.newer, min(left, rest))
        if self.aws_at is not None:
            rest = self.ttl - moment.since(self.aws_at)
            if rest < 0.0:
                self.aws_raw = self.aws_at = None
            else:
                left = min(left, rest)
        return left


class Memory:
    """What is known of the values of one server. Many threads may use it."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._lock = threading.Lock()
        self._key = os.urandom(_KEY_BYTES)
        self._next_expiry: Moment | None = None

    def look_up(
        self, requests: Sequence[Request], fresh: float, moment: Moment, *, from_aws: bool = False
    ) -> dict[str, SourcedValue]:
        """Find what needs no asking.

        Args:
            requests: what is wanted.
            fresh: seconds that a value may be old.
            moment: the present one.
            from_aws: whether values serve that AWS gave in the place of the server.

        Returns:
            By path, a value that is fresh, or None for an optional one whose absence is remembered.
        """
        found: dict[str, SourcedValue] = {}
        with self._lock:
            self._forget_expired(moment)
            if not self._entries:
                return found
            for request in requests:
                entry = self._entries.get(request.path)
                if entry is None:
                    continue
                self._entries.move_to_end(request.path)
                sourced = _use_again(entry, request, fresh, moment, from_aws=from_aws)
                if sourced is not None:
                    found[request.path] = sourced
        return found

    def list_seen(self, requests: Iterable[Request], moment: Moment) -> frozenset[str]:
        """List the paths of optional values that were there a moment ago."""
        return frozenset(
            request.path
            for request in requests
            if request.is_optional and self._was_seen(self._entries.get(request.path), moment)
        )

    def are_likely_cached(self, requests: Sequence[Request], moment: Moment) -> bool:
        """Tell whether the server was asked for each of them within its own TTL."""
        ttls = {is_secret: _read_ttl(is_secret=is_secret) for is_secret in (True, False)}
        for request in requests:
            entry = self._entries.get(request.path)
            if entry is None or entry.at is None or moment.since(entry.at) >= ttls[request.is_secret]:
                return False
        return True

    def make_fingerprint(self, raw: RawValue) -> Fingerprint:
        """Make what tells a value from another one."""
        from hashlib import blake2b  # noqa: PLC0415 - half a millisecond that an import of the library need not pay

        content = raw.binary if raw.text is None else raw.text.encode()
        return Fingerprint(raw.version, blake2b(content or b"", digest_size=_DIGEST_BYTES, key=self._key).digest())

    def record(self, request: Request, fetched: Fetched, ages: Ages, moment: Moment) -> SourcedValue | ResolutionError:
        """Take note of the server's answer; give what it comes to: a value, the last good one, the default, an error.

        Args:
            request: what was asked for.
            fetched: the answer.
            ages: how old a value may be.
            moment: when it was asked for: the value counts as that old, however long the whole batch took.
        """
        with self._lock:
            entry = self._touch(request)
            outcome: SourcedValue | ResolutionError
            if not isinstance(fetched, RawValue):
                outcome, warning = self._record_failure(entry, request, fetched, ages, moment)
            else:
                newest, fingerprint = self._choose_newest(entry, fetched, moment)
                outcome, warning = (
                    self._keep(entry, newest, fingerprint, ages=ages, moment=moment, source="server"),
                    None,
                )
                entry.aws_raw = entry.aws_at = None
        if warning is not None:
            _log.warn(warning.text, *warning.args)
        return outcome

    def record_from_aws(self, request: Request, raw: RawValue, ages: Ages, moment: Moment) -> SourcedValue:
        """Take note of a value that AWS gave in the place of the server. It is kept for the TTL of the extension."""
        with self._lock:
            entry = self._touch(request)
            entry.ttl = _read_ttl(is_secret=request.is_secret)
            if entry.ttl:
                entry.aws_raw, entry.aws_at = raw, moment
                self._plan_expiry(moment, entry.ttl)
            return self._keep(entry, raw, self.make_fingerprint(raw), ages=ages, moment=moment, source="aws")

    def record_newer(self, request: Request, raw: RawValue, ages: Ages, moment: Moment, source: str) -> SourcedValue:
        """Take note of a value that was fetched past every cache: whatever a cache had before is replaced by it."""
        with self._lock:
            entry = self._touch(request)
            entry.ttl = _read_ttl(is_secret=request.is_secret)
            fingerprint = self.make_fingerprint(raw)
            before = entry.newer
            replaced = {entry.fingerprint, *(before.replaced if before else ()), before and before.fingerprint}
            others = frozenset(one for one in replaced if one is not None and one != fingerprint)
            entry.newer = _NewerValue(raw, fingerprint, others, moment) if others and entry.ttl else None
            if entry.newer:
                self._plan_expiry(moment, entry.ttl)
            return self._keep(entry, raw, fingerprint, ages=ages, moment=moment, source=source)

    def find_fingerprint(self, path: str) -> Fingerprint | None:
        """Give the fingerprint of the value that was served last."""
        entry = self._entries.get(path)
        return None if entry is None else entry.fingerprint

    def _keep(
        self,
        entry: _CacheEntry,
        raw: RawValue,
        fingerprint: Fingerprint,
        *,
        ages: Ages,
        moment: Moment,
        source: str,
    ) -> SourcedValue:
        """Store a good value: the text itself only where an age may use it again."""
        changed = entry.fingerprint is not None and entry.fingerprint != fingerprint
        # Also for another handler, whose ages allow what this one's do not.
        seconds = max(ages.fresh, ages.stale, entry.keep_seconds if entry.raw is not None else 0.0)
        entry.at, entry.fingerprint, entry.keep_seconds = moment, fingerprint, seconds
        entry.raw = raw if seconds else None
        entry.absent_at, entry.has_warned = None, False
        if seconds:
            self._plan_expiry(moment, seconds)
        if changed:
            self._forget_absences(entry)
        return SourcedValue(raw, source, changed)

    def _record_failure(
        self, entry: _CacheEntry, request: Request, error: ResolutionError, ages: Ages, moment: Moment
    ) -> tuple[SourcedValue | ResolutionError, _Warning | None]:
        """Give what a failure comes to, and what to warn of."""
        if ages.stale and isinstance(error, _SPARED) and entry.raw is not None and entry.at is not None:
            age = moment.since(entry.at)
            if 0.0 <= age <= ages.stale:
                warning = _Warning("%s Serving the last good value, %.0f s old.", error, age)
                return SourcedValue(entry.raw, "stale", age=age), warning
        if not request.is_optional or not isinstance(error, (NotFoundError, UnresolvedError)):
            return error, None
        if isinstance(error, UnresolvedError) and self._was_seen(entry, moment):
            return error, None
        return self._record_absence(entry, request, error, moment)

    def _record_absence(
        self, entry: _CacheEntry, request: Request, error: ResolutionError, moment: Moment
    ) -> tuple[SourcedValue, _Warning | None]:
        entry.absent_at = moment
        is_certain = isinstance(error, NotFoundError) or entry.has_warned
        entry.has_warned = entry.has_warned or not is_certain
        warning = None if is_certain else _Warning(_DEFAULT_USED, request.subject)
        return SourcedValue(None, "default"), warning

    def _choose_newest(self, entry: _CacheEntry, raw: RawValue, moment: Moment) -> tuple[RawValue, Fingerprint]:
        """Overrule a cache's answer that is known to be replaced. Anything else ends what overruled it."""
        fingerprint, newer = self.make_fingerprint(raw), entry.newer
        if newer is None:
            return raw, fingerprint
        if not moment.is_within(entry.ttl, newer.at):
            entry.newer = None
        elif fingerprint in newer.replaced:
            return newer.raw, newer.fingerprint
        elif fingerprint != newer.fingerprint:
            entry.newer = None
        return raw, fingerprint

    def _was_seen(self, entry: _CacheEntry | None, moment: Moment) -> bool:
        return entry is not None and _is_within(SEEN_SECONDS, entry.at, moment)

    def _forget_absences(self, changed: _CacheEntry) -> None:
        """When a secret's version changes, its labels move: what had no value may have one now."""
        if changed.secret is not None:
            for entry in self._entries.values():
                if entry.secret == changed.secret:
                    entry.absent_at = None

    def _touch(self, request: Request) -> _CacheEntry:
        """Give the entry of a path as the one used last; a new one may take the place of the one used longest ago."""
        entry = self._entries.get(request.path)
        if entry is None:
            secret = (request.declaration.name, request.role_arn) if request.is_secret else None
            entry = self._entries[request.path] = _CacheEntry(secret)
            if len(self._entries) > MOST_NAMES:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(request.path)
        return entry

    def _plan_expiry(self, moment: Moment, seconds: float) -> None:
        due = Moment(moment.monotonic + seconds, moment.wall + seconds)
        planned = self._next_expiry or due
        self._next_expiry = Moment(min(due.monotonic, planned.monotonic), min(due.wall, planned.wall))

    def _forget_expired(self, moment: Moment) -> None:
        """Let go of what is too old to be used: a frozen process does nothing by itself, so that a resolve does it."""
        due = self._next_expiry
        if due is None or (moment.monotonic <= due.monotonic and moment.wall <= due.wall):
            return
        self._next_expiry = None
        left = min((entry.forget_expired(moment) for entry in self._entries.values()), default=inf)
        if left < inf:
            self._plan_expiry(moment, left)


_DEFAULT_USED = (
    "Using the default of %s: the extension does not tell a value that does not exist from one that the role may not "
    "read."
)


def _use_again(
    entry: _CacheEntry, request: Request, fresh: float, moment: Moment, *, from_aws: bool
) -> SourcedValue | None:
    if fresh and entry.raw is not None and _is_within(fresh, entry.at, moment):
        return SourcedValue(entry.raw, "memory", age=moment.since(entry.at or moment))
    if from_aws and entry.aws_raw is not None and _is_within(entry.ttl, entry.aws_at, moment):
        return SourcedValue(entry.aws_raw, "aws", age=moment.since(entry.aws_at or moment))
    if request.is_optional and _is_within(ABSENCE_SECONDS, entry.absent_at, moment):
        return SourcedValue(None, "default")
    return None


def _is_within(seconds: float, at: Moment | None, moment: Moment) -> bool:
    return at is not None and moment.is_within(seconds, at)


def _read_ttl(*, is_secret: bool) -> float:
    """Read the seconds for which the extension keeps a value."""
    return _settings.read_extension_ttl(_settings.SECRETS_TTL if is_secret else _settings.PARAMETERS_TTL)
