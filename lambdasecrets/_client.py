"""Fetches a wave of values: the token, the answers and what each means, the retries, all inside one deadline.

Errors are returned, never raised: a wave that fails for one value has values for the others in its hands.
"""

from __future__ import annotations

import binascii
import enum
import os
import re
import time
from math import inf
from typing import TYPE_CHECKING, Any, cast

from lambdasecrets import _settings, _wire
from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets._parsing import Raw, parsed_object
from lambdasecrets._transport import Address, Answer, Fault, Transport
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    DeadlineExceededError,
    DecryptionError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    NotFoundError,
    NoTokenError,
    ProtocolError,
    ResolutionError,
    ServerError,
    Subject,
    TokenRejectedError,
    UnresolvedError,
    UnsupportedByAgentError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lambdasecrets._clock import Deadline

_OK = 200
_BAD_REQUEST = 400
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER_ERRORS = 500
_TOKEN_STATUSES = frozenset({401, 403})
_REDIRECTS = range(300, 400)
_CHANCE_BYTES = 4
_CHANCES = 256**_CHANCE_BYTES
_SHORTEST_ATTEMPT_SECONDS = 0.02
"""With less time a retry could only end in a timeout, which would hide what the server has said."""


class Request:
    """One thing to ask for, however many declarations want it.

    Args:
        path: the path and query.
        declaration: one of those that want it, its placeholders filled in.
        subject: all that want it, for the errors.
        is_optional: whether every one that wants it has a default, so that its absence is no failure to retry.
    """

    def __init__(
        self, path: str, declaration: Secret | Parameter, subject: Subject, *, is_optional: bool = False
    ) -> None:
        self.path, self.declaration, self.subject, self.is_optional = path, declaration, subject, is_optional


class Reason(enum.Enum):
    """Why to ask once more."""

    STARTING = enum.auto()
    TOKEN = enum.auto()
    REFUSED_BY_AWS = enum.auto()
    BUSY = enum.auto()


class _Policy:
    """How to ask once more: how often, after which waits, and for how long in all. Times in seconds.

    A wait doubles with every retry up to the longest, and is drawn between itself and `spread` times itself.
    """

    def __init__(self, retries: float, first_wait: float, longest_wait: float, spread: float, budget: float) -> None:
        self.retries, self.spread, self.budget = retries, spread, budget
        self.first_wait, self.longest_wait = first_wait, longest_wait


_POLICIES = {
    # The layer's process starts beside the function's own: refused, reset and not-ready are over within moments.
    Reason.STARTING: _Policy(inf, 0.010, 0.100, 1.0, 1.0),
    # Credentials were refreshed between reading the token and using it: no wait makes that better.
    Reason.TOKEN: _Policy(1, 0.0, 0.0, 1.0, inf),
    # Mostly permanent (missing, denied), now and then a throttled call to AWS.
    Reason.REFUSED_BY_AWS: _Policy(1, 0.050, 0.050, 3.0, inf),
    # Overload: drawn from a wide span, so that a fleet does not come back at once.
    Reason.BUSY: _Policy(inf, 0.050, 1.0, 2.0, inf),
}


class _Retry:
    """An answer that may be better the next time, and the error where it is not."""

    def __init__(self, reason: Reason, status: int | None = None, fault: Fault | None = None) -> None:
        self.reason, self.status, self.fault = reason, status, fault


Fetched = Raw | ResolutionError
_Verdict = Raw | ResolutionError | _Retry


class _Waiting:
    """A request that is to be sent once more."""

    def __init__(self, request: Request, port: int, began: float) -> None:
        self.request, self.port, self.began, self.due = request, port, began, 0.0
        self.retries: dict[Reason, int] = {}
        self.since: dict[Reason, float] = {}

    def again(self, verdict: _Retry, deadline: Deadline) -> ResolutionError | None:
        """Set when it is due; or give the error, where its reason's time or the deadline is over."""
        reason, now = verdict.reason, time.monotonic()
        retries, since = self.retries.get(reason, 0), self.since.setdefault(reason, now)
        due = now + _wait(_POLICIES[reason], retries)
        latest = min(since + _POLICIES[reason].budget, deadline.ends - _SHORTEST_ATTEMPT_SECONDS)
        if retries >= _allowed(self.request, reason) or due > latest:
            return self._final(verdict, now - self.began)
        self.retries[reason] = retries + 1
        self.due = due
        return None

    def _final(self, verdict: _Retry, seconds: float) -> ResolutionError:
        """Give the error of a request whose retries did not help."""
        subject = self.request.subject
        if verdict.fault in {Fault.REFUSED, Fault.RESET}:
            return ExtensionUnavailableError(subject, self.port, seconds)
        if verdict.reason is Reason.STARTING:
            return ExtensionNotReadyError(subject, seconds)
        if verdict.reason is Reason.TOKEN:
            return TokenRejectedError(subject, verdict.status or 0)
        if verdict.reason is Reason.REFUSED_BY_AWS:
            return UnresolvedError(subject, self.request.declaration.permission)
        return ServerError(subject, verdict.status, 1 + sum(self.retries.values()), seconds)


def _wait(policy: _Policy, retries: int) -> float:
    wait = min(policy.first_wait * 2.0**retries, policy.longest_wait)
    chance = int.from_bytes(os.urandom(_CHANCE_BYTES), "big") / _CHANCES
    return float(wait * (1.0 + chance * (policy.spread - 1.0)))


def _allowed(request: Request, reason: Reason) -> float:
    # The absence of an optional value is an answer like any other: nothing to ask again.
    return 0 if request.is_optional and reason is Reason.REFUSED_BY_AWS else _POLICIES[reason].retries


def _next_due(waiting: Collection[_Waiting]) -> list[Request]:
    """Wait for the request that is due first; give it and those that are due with it."""
    earliest = min(waits.due for waits in waiting)
    time.sleep(max(earliest - time.monotonic(), 0.0))
    now = max(time.monotonic(), earliest)
    return [waits.request for waits in waiting if waits.due <= now]


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
        waiting: dict[str, _Waiting] = {}
        due = requests
        while due:
            answers = self._answers(address, due, deadline, likely_cached=likely_cached, refresh=refresh)
            for request in due:
                path = request.path
                outcome: Fetched | None
                verdict = _verdict(request, answers[path], deadline)
                if isinstance(verdict, _Retry):
                    if verdict.reason is Reason.TOKEN:
                        self._token_variable = None  # the token may stand in another one by now
                    waits = waiting.setdefault(path, _Waiting(request, address.port, began))
                    outcome = waits.again(verdict, deadline)
                else:
                    outcome = verdict
                if outcome is not None:
                    done[path] = outcome
                    waiting.pop(path, None)
            due = _next_due(waiting.values()) if waiting else ()
        return done

    def _answers(
        self, address: Address, due: Sequence[Request], deadline: Deadline, *, likely_cached: bool, refresh: bool
    ) -> Mapping[str, Answer | Fault | ResolutionError]:
        """Send what is due once; give each answer, or why it was not sent."""
        lanes = _lanes(due, likely_cached=likely_cached)
        token = self._token(deadline)
        seconds = deadline.left()
        if not seconds:
            return {request.path: _too_late(request, deadline) for request in due}
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

    def _token(self, deadline: Deadline) -> str | None:
        # Read anew for every wave; but looked for only where it is not in the variable that had it before.
        token = _settings.credential(self._token_variable) if self._token_variable else None
        if token is None:
            self._token_variable = _settings.token_variable()
            found = _settings.credential(self._token_variable) if self._token_variable else None
            token = found or self._snapstart_token(deadline)
        return token

    def _snapstart_token(self, deadline: Deadline) -> str | None:
        from lambdasecrets._credentials import snapstart_token  # noqa: PLC0415 - seldom needed

        return snapstart_token(self.transport, deadline.left())


def _lanes(requests: Sequence[Request], *, likely_cached: bool) -> list[list[str]]:
    """Part requests into lanes: one for what is at hand; else, for each backend, as many as the extension serves."""
    if likely_cached or len(requests) == 1:
        return [[request.path for request in requests]]
    most = _settings.max_connections()
    backends = (
        [request.path for request in requests if isinstance(request.declaration, Secret) is secrets]
        for secrets in (True, False)
    )
    return [paths[start::most] for paths in backends for start in range(min(most, len(paths)))]


def _verdict(request: Request, answer: Answer | Fault | ResolutionError, deadline: Deadline) -> _Verdict:
    if isinstance(answer, Fault):
        return _of_fault(request, answer, deadline)
    if isinstance(answer, ResolutionError):
        return answer
    content = parsed_object(answer.body)
    if answer.status == _OK:
        raw = _secret_of(content) if isinstance(request.declaration, Secret) else _parameter_of(content)
        return raw or ProtocolError(request.subject, _OK, "is no JSON object with the fields of a value")
    code = content.get("__type")
    return _of_agent_error(request, code, answer.status) if isinstance(code, str) else _of_status(request, answer)


def _of_fault(request: Request, fault: Fault, deadline: Deadline) -> _Verdict:
    if fault in {Fault.REFUSED, Fault.RESET}:
        return _Retry(Reason.STARTING, fault=fault)
    if fault is Fault.LOST:
        return _Retry(Reason.BUSY, fault=fault)
    if fault is Fault.TIMED_OUT:
        return _too_late(request, deadline)
    return ProtocolError(request.subject, None, fault.value)


def _too_late(request: Request, deadline: Deadline) -> DeadlineExceededError:
    return DeadlineExceededError(request.subject, deadline.seconds, deadline.bound)


def _of_status(request: Request, answer: Answer) -> _Verdict:
    if answer.status in _TOKEN_STATUSES:
        return _Retry(Reason.TOKEN, answer.status)
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERRORS:
        return _Retry(Reason.BUSY, answer.status)
    if answer.status == _BAD_REQUEST:
        is_starting = answer.body.startswith(_wire.NOT_READY)
        return _Retry(Reason.STARTING if is_starting else Reason.REFUSED_BY_AWS, answer.status)
    if answer.status == _NOT_FOUND and not isinstance(request.declaration, Secret):
        return UnsupportedByAgentError(request.subject)
    what = "redirects, which is never followed" if answer.status in _REDIRECTS else "is of no known kind"
    return ProtocolError(request.subject, answer.status, what)


_AGENT_ERRORS: dict[str, type[AnswerError]] = {
    "ResourceNotFoundException": NotFoundError,
    "AccessDeniedException": AccessDeniedError,
    "DecryptionFailure": DecryptionError,
}
_TRANSIENT_CODES = frozenset({"ThrottlingException", "InternalServiceError", "InternalFailure"})


def _of_agent_error(request: Request, code: str, status: int) -> _Verdict:
    if status == _TOO_MANY or status >= _SERVER_ERRORS or code in _TRANSIENT_CODES:
        return _Retry(Reason.BUSY, status)
    # The code is shown where it is an AWS error code: a word. Anything else is not for the eyes.
    shown = code if code.isalnum() and code.isascii() and len(code) <= _LONGEST_CODE else "unknown"
    return _AGENT_ERRORS.get(code, AnswerError)(request.subject, shown, status, request.declaration.permission)


_LONGEST_CODE = 64


def _secret_of(content: dict[str, Any]) -> Raw | None:
    version, text, binary = content.get("VersionId"), content.get("SecretString"), content.get("SecretBinary")
    from_agent = "ResultMetadata" not in content
    if not isinstance(version, str):
        return None
    if isinstance(text, str) and binary is None:
        return Raw(text, None, version, from_agent=from_agent)
    decoded = _decoded(binary) if text is None else None
    return None if decoded is None else Raw(None, decoded, version, from_agent=from_agent)


def _parameter_of(content: dict[str, Any]) -> Raw | None:
    if not isinstance(content.get("Parameter"), dict):
        return None
    parameter = cast("dict[str, Any]", content["Parameter"])
    version, text = parameter.get("Version"), parameter.get("Value")
    if not isinstance(version, int) or not isinstance(text, (str, type(None))) or "Value" not in parameter:
        return None
    return Raw(text, None, str(version), is_list=parameter.get("Type") == "StringList")


def _decoded(binary: Any) -> bytes | None:
    # binascii alone would pass over what is no base64.
    return binascii.a2b_base64(binary) if isinstance(binary, str) and re.fullmatch(_BASE64, binary) else None


_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
