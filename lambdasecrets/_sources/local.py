"""Fetches a wave of values: the token, the answers and what each means, the retries, all inside one deadline.

Errors are returned, never raised: a wave that fails for one value has values for the others in its hands.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lambdasecrets import _settings, _wire
from lambdasecrets._declarations import Secret
from lambdasecrets._sources.answers import (
    PendingRequest,
    Reason,
    Retry,
    explain_failures,
    make_late_error,
    read_answer,
)
from lambdasecrets.errors import (
    NoTokenError,
    ResolutionError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lambdasecrets._clock import Deadline
    from lambdasecrets._sources.request import Fetched, Request
    from lambdasecrets._transports.base import Address, Answer, Fault, Transport


class Client:
    """Speaks with the extension, or the agent, on this machine.

    Args:
        transport: what carries the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._token_variable: str | None = None

    def fetch(
        self,
        address: Address,
        requests: Sequence[Request],
        deadline: Deadline,
        *,
        likely_cached: bool = False,
        refresh: bool = False,
    ) -> dict[str, Fetched]:
        """Ask for values, all in one wave.

        Args:
            address: the server.
            requests: distinct ones.
            deadline: when to be done.
            likely_cached: the server has them at hand, so that asking in parallel would cost more than it gives.
            refresh: ask the agent to pass its cache.

        Returns:
            For each path its value or its error.
        """
        began = time.monotonic()
        done: dict[str, Fetched] = {}
        waiting: dict[str, PendingRequest] = {}
        due = requests
        while due:
            answers = self._send(address, due, deadline, likely_cached=likely_cached, refresh=refresh)
            for request in due:
                path = request.path
                outcome: Fetched | None
                verdict = read_answer(request, answers[path], deadline)
                if isinstance(verdict, Retry):
                    if verdict.reason is Reason.TOKEN:
                        self._token_variable = None  # the token may stand in another one by now
                    waits = waiting.setdefault(path, PendingRequest(request, address.port, began))
                    outcome = waits.schedule(verdict, deadline)
                else:
                    outcome = waiting[path].conclude(verdict) if path in waiting else verdict
                if outcome is not None:
                    done[path] = outcome
                    waiting.pop(path, None)
            due = _next_due(waiting.values()) if waiting else ()
        return explain_failures(requests, done, _settings.max_connections())

    def _send(
        self, address: Address, due: Sequence[Request], deadline: Deadline, *, likely_cached: bool, refresh: bool
    ) -> Mapping[str, Answer | Fault | ResolutionError]:
        """Send what is due once; give each answer, or why it was not sent."""
        lanes = _split_into_lanes(due, likely_cached=likely_cached)
        token = self._read_token(deadline)
        seconds = deadline.left()
        if not seconds:
            return {request.path: make_late_error(request, deadline) for request in due}
        if token is None:
            return {request.path: NoTokenError(request.subject) for request in due}
        send = self._exchange_refreshing if refresh else self.transport.exchange
        return send(address, lanes, {_wire.TOKEN_HEADER: token}, seconds)

    def _exchange_refreshing(
        self, address: Address, lanes: list[list[str]], headers: Mapping[str, str], seconds: float
    ) -> dict[str, Answer | Fault]:
        sent = {path: _wire.refreshing(path) for lane in lanes for path in lane}
        answers = self.transport.exchange(address, [[sent[path] for path in lane] for lane in lanes], headers, seconds)
        return {path: answers[refreshing] for path, refreshing in sent.items()}

    def _read_token(self, deadline: Deadline) -> str | None:
        # Read anew for every wave; but looked for only where it is not in the variable that had it before.
        token = _settings.credential(self._token_variable) if self._token_variable else None
        if token is None:
            self._token_variable = _settings.token_variable()
            found = _settings.credential(self._token_variable) if self._token_variable else None
            token = found or self._fetch_snapstart_token(deadline)
        return token

    def _fetch_snapstart_token(self, deadline: Deadline) -> str | None:
        from lambdasecrets._sources.credentials import fetch_snapstart_token  # noqa: PLC0415 - seldom needed

        return fetch_snapstart_token(self.transport, deadline.left())


def _next_due(waiting: Collection[PendingRequest]) -> list[Request]:
    """Wait for the request that is due first; give it and those that are due with it."""
    earliest = min(waits.due for waits in waiting)
    time.sleep(max(earliest - time.monotonic(), 0.0))
    now = max(time.monotonic(), earliest)
    return [waits.request for waits in waiting if waits.due <= now]


def _split_into_lanes(requests: Sequence[Request], *, likely_cached: bool) -> list[list[str]]:
    """Part requests into lanes: one for what is at hand; else, for each backend, as many as the extension serves."""
    if likely_cached or len(requests) == 1:
        return [[request.path for request in requests]]
    most = _settings.max_connections()
    backends = (
        [request.path for request in requests if isinstance(request.declaration, Secret) is secrets]
        for secrets in (True, False)
    )
    return [paths[start::most] for paths in backends for start in range(min(most, len(paths)))]
