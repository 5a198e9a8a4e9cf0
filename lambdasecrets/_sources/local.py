"""Fetches a batch of values from the server on this machine: the token, the answers, the retries, in one deadline.

Errors are returned, never raised: a batch that fails for one value has values for the others in its hands.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lambdasecrets import _settings, _wire
from lambdasecrets._sources.answers import (
    PendingRequest,
    Reason,
    Retry,
    explain_failures,
    make_late_error,
    read_answer,
)
from lambdasecrets._sources.forms import Match, RawValue
from lambdasecrets._transports import Address, Answer, NoAnswer
from lambdasecrets.errors import (
    CredentialsUnavailableError,
    NoTokenError,
    ProtocolError,
    ResolutionError,
    UnsupportedByExtensionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from lambdasecrets._clock import Deadline
    from lambdasecrets._hiding import Token
    from lambdasecrets._sources.answers import Verdict
    from lambdasecrets._sources.forms import Identity
    from lambdasecrets._sources.request import Fetched, Request
    from lambdasecrets._transports import Transport

_OK = 200
_TOO_MANY = 429
_MOST_HABITS = 1000
_MOST_ALONE = 16
"""How many requests go alone, each over a connection of its own, at the same time."""
_PING_PATH = "/ping"
_PING_PAUSE_SECONDS = 0.02
_HEALTHY = b"healthy"
_ANOTHERS = "is about another secret or parameter, or another version, than was asked for"


def _has_seen_nothing(_: Request) -> bool:
    return False


class Server:
    """What is known of one server on this machine.

    Args:
        address: where it listens.

    Attributes:
        habits: paths whose answers spell the name in another way than the request, also when asked alone.
        is_agent: whether its `/ping` says that it is the Secrets Manager Agent, which knows roles; None: not known.
        answers_as_agent: whether its last value had the shape of the agent's; None: there was none.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.habits: set[str] = set()
        self.is_agent: bool | None = None
        self.answers_as_agent: bool | None = None

    def learn_habit(self, path: str) -> None:
        """Remember that the answers to a path spell its name in another way."""
        if len(self.habits) >= _MOST_HABITS:
            self.habits.clear()
        self.habits.add(path)


class LocalSource:
    """Speaks with the extension, or the agent, on this machine.

    Args:
        transport: what carries the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._token_variable: str | None = None

    def fetch(
        self,
        server: Server,
        requests: Sequence[Request],
        deadline: Deadline,
        *,
        likely_cached: bool = False,
        refresh: bool = False,
        has_seen: Callable[[Request], bool] = _has_seen_nothing,
    ) -> dict[str, Fetched]:
        """Ask for values, all in one batch.

        Args:
            server: the one to ask.
            requests: distinct ones.
            deadline: when to be done.
            likely_cached: the server has them at hand, so that asking in parallel would cost more than it gives.
            refresh: ask the agent to pass its cache.
            has_seen: tells of an optional value whether it was there a moment ago: what cannot be told from its absence
                is asked again then.

        Returns:
            For each path its value or its error.
        """
        exchange = _Exchange(self, server, deadline, refresh=refresh, has_seen=has_seen)
        return exchange.run(requests, likely_cached=likely_cached)

    def is_agent(self, server: Server, deadline: Deadline) -> bool | None:
        """Tell whether a server is the agent: its `/ping` says so. None: it did not say in time."""
        while server.is_agent is None and deadline.left():
            answer = self.transport.exchange(server.address, [[_PING_PATH]], {}, deadline.left())[_PING_PATH]
            if isinstance(answer, Answer) and answer.status != _TOO_MANY:
                server.is_agent = answer.status == _OK and answer.body.strip() == _HEALTHY
            else:
                # What refuses now may be starting: retried as a request for a value would be.
                time.sleep(min(_PING_PAUSE_SECONDS, deadline.left()))
        return server.is_agent

    def read_token(self, deadline: Deadline) -> Token | str | None:
        """Read the token. Anew for every exchange; looked for only where it is not in the variable that had it before.

        Returns:
            The token; None where there is none; where an endpoint should give it and does not, what makes the error.
        """
        token = _settings.read_credential(self._token_variable) if self._token_variable else None
        if token is None:
            self._token_variable = _settings.find_token_variable()
            found = _settings.read_credential(self._token_variable) if self._token_variable else None
            return found or self._fetch_snapstart_token(deadline)
        return token

    def forget_token(self) -> None:
        """Look for the token's variable again: it may be another one by now."""
        self._token_variable = None

    def _fetch_snapstart_token(self, deadline: Deadline) -> Token | str | None:
        from lambdasecrets._sources.credentials import fetch_snapstart_token  # noqa: PLC0415 - seldom needed

        return fetch_snapstart_token(self.transport, deadline)


class _Exchange:
    """One batch on its way: what is done, and what is to be sent once more."""

    def __init__(
        self,
        source: LocalSource,
        server: Server,
        deadline: Deadline,
        *,
        refresh: bool,
        has_seen: Callable[[Request], bool],
    ) -> None:
        self._source, self._server, self._deadline = source, server, deadline
        self._refresh, self._has_seen = refresh, has_seen
        self._began = time.monotonic()
        self._done: dict[str, Fetched] = {}
        self._pending: dict[str, PendingRequest] = {}
        self._has_failed = False
        self._is_crowded = False

    def run(self, requests: Sequence[Request], *, likely_cached: bool) -> dict[str, Fetched]:
        """Send requests until each has its value or its error."""
        due = requests
        while due:
            due = self._refuse_roles(due)
            # Where the server has as many connections as it takes, one that works is enough.
            lanes = _split_into_lanes(due, likely_cached=likely_cached or self._is_crowded)
            answers = self._send(lanes, due, anew=False)
            doubtful = self._read_batch(due, answers)
            for start in range(0, len(doubtful), _MOST_ALONE):
                self._ask_alone(doubtful[start : start + _MOST_ALONE])
            due = _wait_for_next(self._pending.values()) if self._pending else ()
        self._note_server(requests)
        if self._has_failed:
            at_once, is_agent = _settings.read_max_connections(), self._server.is_agent or self._server.answers_as_agent
            return explain_failures(requests, self._done, at_once, server="agent" if is_agent else None)
        return self._done

    def _refuse_roles(self, due: Sequence[Request]) -> Sequence[Request]:
        """Keep what needs a role from a server that would answer with the caller's own secret."""
        with_role = [request for request in due if request.form.role_arn]
        if not with_role or self._source.is_agent(self._server, self._deadline):
            return due
        for request in with_role:
            self._settle(request, self._make_role_error(request))
        return [request for request in due if not request.form.role_arn]

    def _make_role_error(self, request: Request) -> ResolutionError:
        if self._server.is_agent is None:
            return make_late_error(request, self._deadline)
        return UnsupportedByExtensionError(request.subject)

    def _send(
        self, lanes: list[list[str]], due: Sequence[Request], *, anew: bool
    ) -> Mapping[str, Answer | NoAnswer | ResolutionError]:
        """Send what is due once; give each answer, or why it was not sent."""
        token = self._source.read_token(self._deadline)
        seconds = self._deadline.left()
        if token is None:
            return {request.path: NoTokenError(request.subject) for request in due}
        if isinstance(token, str):
            return {request.path: CredentialsUnavailableError(request.subject, token) for request in due}
        if not seconds:
            return {request.path: make_late_error(request, self._deadline) for request in due}
        sent = [[_wire.add_refresh(path) for path in lane] for lane in lanes] if self._refresh else lanes
        headers = {_wire.TOKEN_HEADER: token}
        answers = self._source.transport.exchange(self._server.address, sent, headers, seconds, anew=anew)
        if not self._refresh:
            return answers
        return {path: answers[_wire.add_refresh(path)] for lane in lanes for path in lane}

    def _read_batch(
        self, due: Sequence[Request], answers: Mapping[str, Answer | NoAnswer | ResolutionError]
    ) -> list[Request]:
        """Settle what is certain; give what is to be asked alone."""
        others: dict[Request, Verdict] = {}
        for request in due:
            verdict = read_answer(request, answers[request.path], self._deadline)
            if isinstance(verdict, RawValue) and self._is_of(request, verdict.identity):
                self._done[request.path] = verdict
            else:
                others[request] = verdict
        if self._pending:
            self._pending = {path: it for path, it in self._pending.items() if path not in self._done}
        return self._read_others(others, answers) if others else []

    def _read_others(
        self, verdicts: Mapping[Request, Verdict], answers: Mapping[str, Answer | NoAnswer | ResolutionError]
    ) -> list[Request]:
        """Settle, of what is no value that says whose it is, what is certain; give what is to be asked alone.

        Where one answer of a connection is another request's, what does not say whose it is can be another's too.
        """
        mixed = {it.connection for it in answers.values() if isinstance(it, Answer) and not it.certain}
        mixed |= {
            answer.connection
            for request, verdict in verdicts.items()
            if _has_identity(verdict) and isinstance(answer := answers[request.path], Answer)
        }
        doubtful: list[Request] = []
        for request, verdict in verdicts.items():
            answer = answers[request.path]
            if isinstance(answer, Answer) and answer.connection in mixed:
                doubtful.append(request)
            else:
                self._settle(request, verdict)
        return doubtful

    def _is_of(self, request: Request, identity: Identity | None) -> bool:
        """Tell whether an answer says of itself that it is about what was asked for."""
        if identity is None:
            return False
        if identity is request.form.plain:
            return True
        match = request.form.compare(identity)
        return match is Match.SAME or (match is Match.SPELLING and request.path in self._server.habits)

    def _ask_alone(self, requests: Sequence[Request]) -> None:
        """Ask for each over a new connection of its own, where no answer can be another's."""
        answers = self._send([[request.path] for request in requests], requests, anew=True)
        for request in requests:
            verdict = read_answer(request, answers[request.path], self._deadline)
            self._settle(request, self._judge_alone(request, verdict))

    def _judge_alone(self, request: Request, verdict: Verdict) -> Verdict:
        if not isinstance(verdict, RawValue) or verdict.identity is None or self._is_of(request, verdict.identity):
            return verdict
        if request.form.compare(verdict.identity) is Match.SPELLING:
            self._server.learn_habit(request.path)
            return verdict
        self._server.is_agent = None
        return ProtocolError(request.subject, _OK, _ANOTHERS)

    def _settle(self, request: Request, verdict: Verdict) -> None:
        """Take note of an outcome, or plan to ask once more."""
        path = request.path
        if isinstance(verdict, Retry):
            if verdict.reason is Reason.TOKEN:
                self._source.forget_token()
            self._is_crowded = self._is_crowded or verdict.reason is Reason.CROWDED
            if verdict.fault is NoAnswer.REFUSED:
                self._server.is_agent = None
            pending = self._pending.get(path) or self._make_pending(request)
            error = pending.schedule(verdict, self._deadline)
            if error is None:
                return
            verdict = error
        elif path in self._pending:
            verdict = self._pending[path].conclude(verdict, self._deadline)
        self._has_failed = self._has_failed or not isinstance(verdict, RawValue)
        self._done[path] = verdict
        self._pending.pop(path, None)

    def _note_server(self, requests: Sequence[Request]) -> None:
        """Remember whether the values have the shape of the agent's: the first secret says it."""
        for request in requests:
            raw = self._done[request.path]
            if request.form.is_known_to_agent and isinstance(raw, RawValue):
                self._server.answers_as_agent = raw.from_agent
                break

    def _make_pending(self, request: Request) -> PendingRequest:
        pending = PendingRequest(request, self._server.address.port, self._began, was_seen=self._has_seen(request))
        self._pending[request.path] = pending
        return pending


def _has_identity(verdict: Verdict) -> bool:
    return isinstance(verdict, RawValue) and verdict.identity is not None


def _wait_for_next(pending: Collection[PendingRequest]) -> list[Request]:
    """Wait for the request that is due first; give it and those that are due with it."""
    earliest = min(one.due for one in pending)
    time.sleep(max(earliest - time.monotonic(), 0.0))
    now = max(time.monotonic(), earliest)
    return [one.request for one in pending if one.due <= now]


def _split_into_lanes(requests: Sequence[Request], *, likely_cached: bool) -> list[list[str]]:
    """Part requests into lanes: one for what is at hand; else, for each backend, as many as the extension serves."""
    if len(requests) == 1:
        return [[requests[0].path]]
    # The answer to a parameter asked without decryption looks like the one with it, so that these keep apart.
    kinds = [[it for it in requests if it.form.is_undecrypted is undecrypted] for undecrypted in (False, True)]
    if likely_cached:
        return [[request.path for request in kind] for kind in kinds if kind]
    groups = [group for kind in kinds for group in _group_by_service(kind)]
    most = _settings.read_max_connections()
    return [group[start::most] for group in groups for start in range(min(most, len(group)))]


def _group_by_service(requests: Sequence[Request]) -> Iterable[list[str]]:
    """Part the paths of requests by the service that the server asks."""
    groups: dict[str, list[str]] = {}
    for request in requests:
        groups.setdefault(request.form.service, []).append(request.path)
    return groups.values()
