"""What a process knows of one server's values, and what that makes of the next answers."""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from lambdasecrets import _log, _settings
from lambdasecrets._clock import Moment
from lambdasecrets._record import Record
from lambdasecrets._sources.forms import RawValue
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
    from collections.abc import Sequence

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


class SourcedValue(Record):
    """A raw value and where it is from; or None in its place, for a default.

    Attributes:
        raw: the value.
        source: `server`, `aws`, `memory`, `stale` or `default`.
        changed: whether it is another than the last time.
        age: seconds since it was asked for; 0 for a default.
    """

    __slots__ = ("age", "changed", "raw", "source")

    def __init__(self, raw: RawValue | None, source: str, *, changed: bool = False, age: float = 0.0) -> None:
        self.raw, self.source, self.changed, self.age = raw, source, changed, age


Fingerprint = tuple[str, bytes]
"""What tells one value from another without holding it: its version, and a digest of its content, keyed with random
bytes of this process. A version can stay the same under another text."""


class _NewerValue:
    """A value fetched past a cache, which goes on answering with what this one replaced."""

    def __init__(self, raw: RawValue, fingerprint: Fingerprint, replaced: frozenset[Fingerprint], at: Moment) -> None:
        self.raw, self.fingerprint, self.replaced, self.at = raw, fingerprint, replaced, at


class _KeptValue(Record):
    """The value that was served last: itself only where an age allows to use it again.

    Attributes:
        at: when it was asked for.
        fingerprint: what tells it from another.
        raw: the value; None where nobody may use it again.
        seconds: for how long somebody may.
    """

    __slots__ = ("at", "fingerprint", "raw", "seconds")

    def __init__(self, at: Moment, fingerprint: Fingerprint, raw: RawValue | None, seconds: float) -> None:
        self.at, self.fingerprint, self.raw, self.seconds = at, fingerprint, raw, seconds


class _CacheEntry:
    """What is known of one path. Each part is changed in one step, so that no thread sees half of a change.

    Args:
        owner: whose version it is: the service, the name, the role.
    """

    __slots__ = ("absent_at", "from_aws", "has_warned", "kept", "newer", "owner", "ttl")

    def __init__(self, owner: tuple[str, str, str | None]) -> None:
        self.owner = owner
        self.ttl = 0.0
        self.kept: _KeptValue | None = None
        self.newer: _NewerValue | None = None
        self.from_aws: tuple[RawValue, Moment] | None = None
        self.absent_at: Moment | None = None
        self.has_warned = False

    def forget_expired(self, moment: Moment) -> float:
        """Let go of raw values whose time is over; give the seconds until the next one's is."""
        kept, newer, from_aws = self.kept, self.newer, self.from_aws
        left = inf
        if kept is not None and kept.raw is not None:
            rest = kept.seconds - moment.since(kept.at)
            if rest < 0.0:
                self.kept = _KeptValue(kept.at, kept.fingerprint, None, 0.0)
            else:
                left = rest
        if newer is not None:
            rest = self.ttl - moment.since(newer.at)
            if rest < 0.0:
                self.newer = None
            else:
                left = min(left, rest)
        if from_aws is not None:
            rest = self.ttl - moment.since(from_aws[1])
            if rest < 0.0:
                self.from_aws = None
            else:
                left = min(left, rest)
        return left


class Memory:
    """What is known of the values of one server. Many threads may use it.

    There is no lock: an interrupt at the wrong moment would leave it locked for ever. Each step on the entries is one
    that Python does not interrupt.
    """

    def __init__(self) -> None:
        from hashlib import blake2b  # noqa: PLC0415 - half a millisecond that an import of the library need not pay

        self._entries: OrderedDict[str, _CacheEntry] = OrderedDict()
        # Its key is in it: each digest begins as a copy, which takes less than to begin with the key.
        self._keyed = blake2b(digest_size=_DIGEST_BYTES, key=os.urandom(_KEY_BYTES))
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
        due = self._next_expiry
        if due is not None and (moment.monotonic > due.monotonic or moment.wall > due.wall):
            self._forget_expired(moment)
        for request in requests:
            entry = self._entries.get(request.path)
            if entry is None or not (fresh or from_aws or entry.absent_at):
                continue
            sourced = _use_again(entry, request, fresh, moment, from_aws=from_aws)
            if sourced is not None:
                found[request.path] = sourced
                self._mark_used(request.path)
        return found

    def has_seen(self, request: Request, moment: Moment) -> bool:
        """Tell whether an optional value was there a moment ago."""
        return request.is_optional and _was_seen(self._entries.get(request.path), moment)

    def are_likely_cached(self, requests: Sequence[Request], moment: Moment) -> bool:
        """Tell whether the server was asked for each of them within its own TTL."""
        ttls: dict[str, float] = {}
        at, age = moment, 0.0
        for request in requests:
            entry = self._entries.get(request.path)
            kept = None if entry is None else entry.kept
            if kept is None:
                return False
            if kept.at is not at:  # what came together has the same moment
                at, age = kept.at, moment.since(kept.at)
            variable = request.form.ttl_variable
            if variable not in ttls:
                ttls[variable] = _settings.read_extension_ttl(variable)
            if age >= ttls[variable]:
                return False
        return True

    def make_fingerprint(self, raw: RawValue) -> Fingerprint:
        """Make what tells a value from another one."""
        content = raw.binary if raw.text is None else raw.text.encode()
        digest = self._keyed.copy()
        digest.update(content or b"")
        return raw.version, digest.digest()

    def record(self, request: Request, fetched: Fetched, ages: Ages, moment: Moment) -> SourcedValue | ResolutionError:
        """Take note of the server's answer; give what it comes to: a value, the last good one, the default, an error.

        Args:
            request: what was asked for.
            fetched: the answer.
            ages: how old a value may be.
            moment: when it was asked for: the value counts as that old, however long the whole batch took.
        """
        entry = self._touch(request)
        if not isinstance(fetched, RawValue):
            return self._record_failure(entry, request, fetched, ages, moment)
        newest, fingerprint = fetched, self.make_fingerprint(fetched)
        if entry.newer is not None:
            newest, fingerprint = _choose_newest(entry, entry.newer, fetched, fingerprint, moment)
        entry.from_aws = None
        return self._keep(entry, newest, fingerprint, ages=ages, moment=moment, source="server")

    def record_from_aws(self, request: Request, raw: RawValue, ages: Ages, moment: Moment) -> SourcedValue:
        """Take note of a value that AWS gave in the place of the server. It is kept for the TTL of the extension."""
        entry = self._touch(request)
        entry.ttl = _settings.read_extension_ttl(request.form.ttl_variable)
        if entry.ttl:
            entry.from_aws = raw, moment
            self._plan_expiry(moment, entry.ttl)
        return self._keep(entry, raw, self.make_fingerprint(raw), ages=ages, moment=moment, source="aws")

    def record_newer(self, request: Request, raw: RawValue, ages: Ages, moment: Moment, source: str) -> SourcedValue:
        """Take note of a value that was fetched past every cache: whatever a cache had before is replaced by it."""
        entry = self._touch(request)
        entry.ttl = _settings.read_extension_ttl(request.form.ttl_variable)
        fingerprint, before = self.make_fingerprint(raw), entry.newer
        replaced = {self.find_fingerprint(request.path), *((*before.replaced, before.fingerprint) if before else ())}
        others = frozenset(one for one in replaced if one is not None and one != fingerprint)
        entry.newer = _NewerValue(raw, fingerprint, others, moment) if others and entry.ttl else None
        if entry.newer:
            self._plan_expiry(moment, entry.ttl)
        return self._keep(entry, raw, fingerprint, ages=ages, moment=moment, source=source)

    def find_fingerprint(self, path: str) -> Fingerprint | None:
        """Give the fingerprint of the value that was served last."""
        entry = self._entries.get(path)
        kept = None if entry is None else entry.kept
        return None if kept is None else kept.fingerprint

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
        before = entry.kept
        # Also for another handler, whose ages allow what this one's do not.
        seconds = max(ages.fresh, ages.stale, before.seconds if before is not None else 0.0)
        entry.absent_at, entry.has_warned = None, False
        changed = before is not None and before.fingerprint != fingerprint
        if before is None or changed or seconds:
            entry.kept = _KeptValue(moment, fingerprint, raw if seconds else None, seconds)
        else:  # nearly every answer
            before.at = moment
        if seconds:
            self._plan_expiry(moment, seconds)
        if changed:
            self._forget_absences(entry)
        return SourcedValue(raw, source, changed=changed)

    def _record_failure(
        self, entry: _CacheEntry, request: Request, error: ResolutionError, ages: Ages, moment: Moment
    ) -> SourcedValue | ResolutionError:
        """Give what a failure comes to."""
        kept = entry.kept
        if ages.stale and isinstance(error, _SPARED) and kept is not None and kept.raw is not None:
            age = moment.since(kept.at)
            if 0.0 <= age <= ages.stale:
                _log.warn("%s Serving the last good value, %.0f s old.", error, age)
                return SourcedValue(kept.raw, "stale", age=age)
        if not request.is_optional or not isinstance(error, (NotFoundError, UnresolvedError)):
            return error
        if isinstance(error, UnresolvedError) and _was_seen(entry, moment):
            return error
        entry.absent_at = moment
        if isinstance(error, UnresolvedError) and not entry.has_warned:
            entry.has_warned = True
            _log.warn(_DEFAULT_USED, request.subject)
        return SourcedValue(None, "default")

    def _forget_absences(self, changed: _CacheEntry) -> None:
        """When a version changes, the labels of that secret or parameter move: what had no value may have one now."""
        for entry in tuple(self._entries.values()):
            if entry.owner == changed.owner:
                entry.absent_at = None

    def _mark_used(self, path: str) -> None:
        """Make the entry of a path the one used last."""
        with suppress(KeyError):  # let go by another thread
            self._entries.move_to_end(path)

    def _touch(self, request: Request) -> _CacheEntry:
        """Give the entry of a path, as the one used last; a new one may take the place of the one used longest ago."""
        path = request.path
        try:
            entry = self._entries[path]
            self._entries.move_to_end(path)
        except KeyError:  # unknown, or let go by another thread
            form = request.form
            entry = self._entries.setdefault(path, _CacheEntry((form.service, form.name, form.role_arn)))
            if len(self._entries) > MOST_NAMES:
                with suppress(KeyError):
                    self._entries.popitem(last=False)
        return entry

    def _plan_expiry(self, moment: Moment, seconds: float) -> None:
        due = Moment(moment.monotonic + seconds, moment.wall + seconds)
        planned = self._next_expiry or due
        self._next_expiry = Moment(min(due.monotonic, planned.monotonic), min(due.wall, planned.wall))

    def _forget_expired(self, moment: Moment) -> None:
        """Let go of what is too old to be used: a frozen process does nothing by itself, so that a resolve does it."""
        self._next_expiry = None
        left = min((entry.forget_expired(moment) for entry in tuple(self._entries.values())), default=inf)
        if left < inf:
            self._plan_expiry(moment, left)


_DEFAULT_USED = (
    "Using the default of %s: the extension does not tell a value that does not exist from one that the role may not "
    "read."
)


def _use_again(
    entry: _CacheEntry, request: Request, fresh: float, moment: Moment, *, from_aws: bool
) -> SourcedValue | None:
    kept, spare = entry.kept, entry.from_aws
    if fresh and kept is not None and kept.raw is not None and moment.is_within(fresh, kept.at):
        return SourcedValue(kept.raw, "memory", age=moment.since(kept.at))
    if from_aws and spare is not None and moment.is_within(entry.ttl, spare[1]):
        return SourcedValue(spare[0], "aws", age=moment.since(spare[1]))
    absent_at = entry.absent_at
    if request.is_optional and absent_at is not None and moment.is_within(ABSENCE_SECONDS, absent_at):
        return SourcedValue(None, "default")
    return None


def _choose_newest(
    entry: _CacheEntry, newer: _NewerValue, raw: RawValue, fingerprint: Fingerprint, moment: Moment
) -> tuple[RawValue, Fingerprint]:
    """Overrule a cache's answer that is known to be replaced. Anything else ends what overruled it."""
    if not moment.is_within(entry.ttl, newer.at):
        entry.newer = None
    elif fingerprint in newer.replaced:
        return newer.raw, newer.fingerprint
    elif fingerprint != newer.fingerprint:
        entry.newer = None
    return raw, fingerprint


def _was_seen(entry: _CacheEntry | None, moment: Moment) -> bool:
    kept = None if entry is None else entry.kept
    return kept is not None and moment.is_within(SEEN_SECONDS, kept.at)
