"""The cache of the extension: ages, a size, and a limit on calls to AWS, in front of any store."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lambdasecrets.dev._stores.contract import Store, StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    Describe = Callable[..., Mapping[str, tuple[str, ...]]]

_T = TypeVar("_T")
_FIRST_TRANSIENT_STATUS = 500
_CURRENT = "AWSCURRENT"


@dataclass(frozen=True, slots=True)
class _Backend:
    """One of the two services behind the cache, with its age limit in seconds and its places for calls."""

    ttl: float
    places: threading.Semaphore


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    expires: float


class CachedStore:
    """Keep what a store answered for a while, the least recently used of it first to go. Errors are not kept.

    Equal requests that meet while the store is being asked share its one answer. That, too, is a cache of a
    moment, so a time to live of 0 turns both off.

    Args:
        store: where the values come from.
        secrets_ttl: seconds for which a secret is kept; 0 turns its cache off.
        parameters_ttl: seconds for which a parameter is kept; 0 turns its cache off.
        size: entries kept at most, secrets and parameters together; 0 turns the cache off.
        max_connections: calls into the store at the same time, for secrets and for parameters each.
        stale_on_error: serve an entry past its time when the store fails with a status of 500 or more, as the
            agent does; never to a refresh.
        describes: ask of a secret past its time which version is current, where the store can say so, and read it
            again only if it is another, as the agent does; never for a refresh.
        clock: tells the seconds, never going back.
    """

    def __init__(
        self,
        store: Store,
        *,
        secrets_ttl: float = 300.0,
        parameters_ttl: float = 300.0,
        size: int = 1000,
        max_connections: int = 3,
        stale_on_error: bool = False,
        describes: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._secrets = _Backend(secrets_ttl if size else 0.0, threading.Semaphore(max_connections))
        self._parameters = _Backend(parameters_ttl if size else 0.0, threading.Semaphore(max_connections))
        self._size = size
        self._stale_on_error = stale_on_error
        self._describe: Describe | None = getattr(store, "describe", None) if describes else None
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._flights: dict[Hashable, Future[Any]] = {}

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
        refresh: bool = False,
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`. With `refresh` the store is asked whatever is kept."""
        role = {} if role_arn is None else {"role_arn": role_arn}  # a store need not know of roles
        key = ("secret", secret_id, version_id, version_stage, role_arn)

        def ask() -> StoredSecret:
            due = None if refresh else self._due_secret(key)
            if due is not None and self._is_current(due, version_id, version_stage, role):
                return due
            return self._store.secret(secret_id, version_id=version_id, version_stage=version_stage, **role)

        return self._get(self._secrets, key, ask, refresh=refresh)

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""

        def ask() -> StoredParameter:
            return self._store.parameter(name, version=version, label=label, decrypt=decrypt)

        return self._get(self._parameters, ("parameter", name, version, label, decrypt), ask, refresh=False)

    def clear(self) -> None:
        """Forget everything: whoever asks from now on gets what the store says from now on."""
        with self._lock:
            self._entries.clear()
            self._flights.clear()

    def _due_secret(self, key: Hashable) -> StoredSecret | None:
        with self._lock:
            entry = self._entries.get(key)
        secret: StoredSecret | None = None if entry is None else entry.value
        return secret

    def _is_current(
        self, secret: StoredSecret, version_id: str | None, version_stage: str | None, role: Mapping[str, str]
    ) -> bool:
        if self._describe is None:
            return False
        stages = self._describe(secret.arn, **role)
        if version_id is not None and version_stage is None:
            return version_id in stages
        return (version_stage or _CURRENT) in stages.get(version_id or secret.version_id, ())

    def _get(self, backend: _Backend, key: Hashable, ask: Callable[[], _T], *, refresh: bool) -> _T:
        if not backend.ttl:
            with backend.places:
                return ask()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and self._clock() < entry.expires and not refresh:
                self._entries.move_to_end(key)
                kept: _T = entry.value
                return kept
            flight: Future[_T] | None = self._flights.get(key)
            # A refresh does not join: the call under way may have read the value before it changed.
            leads = flight is None or refresh
            if flight is None or leads:
                flight = self._flights[key] = Future()
        if leads:
            self._fetch_for_all(backend, key, ask, flight, may_be_stale=self._stale_on_error and not refresh)
        return flight.result()

    def _fetch_for_all(
        self, backend: _Backend, key: Hashable, ask: Callable[[], _T], flight: Future[_T], *, may_be_stale: bool
    ) -> None:
        try:
            with backend.places:
                expires = self._clock() + backend.ttl  # counted from before the call: never served older than that
                value = ask()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._fail_for_all(key, flight, error, may_be_stale=may_be_stale)
        else:
            self._keep(key, flight, _Entry(value, expires))
            self._close(key, flight)
            flight.set_result(value)

    def _fail_for_all(self, key: Hashable, flight: Future[_T], error: BaseException, *, may_be_stale: bool) -> None:
        self._close(key, flight)
        transient = isinstance(error, StoreError) and error.status >= _FIRST_TRANSIENT_STATUS
        with self._lock:
            entry = self._entries.get(key)
        if transient and may_be_stale and entry is not None:
            flight.set_result(entry.value)
        else:
            flight.set_exception(error)

    def _keep(self, key: Hashable, flight: Future[Any], entry: _Entry) -> None:
        with self._lock:
            if self._flights.get(key) is not flight:
                return  # a later call, or a clearing, has overtaken this one: its value may be the old one
            self._entries[key] = entry
            self._entries.move_to_end(key)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def _close(self, key: Hashable, flight: Future[_T]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
