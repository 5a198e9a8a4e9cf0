"""What each answer of the server means: a value, an error, or a reason to ask once more, and when.

Who adds a status adds it here.
"""

from __future__ import annotations

import enum
import os
import time
from math import inf
from typing import TYPE_CHECKING

from lambdasecrets import _wire
from lambdasecrets._declarations import Secret
from lambdasecrets._json import parse_object
from lambdasecrets._sources.bodies import read_parameter, read_secret
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets._transports.base import Answer, Fault
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    DeadlineExceededError,
    DecryptionError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    NotFoundError,
    ProtocolError,
    ResolutionError,
    ServerError,
    TokenRejectedError,
    UnresolvedError,
    UnsupportedByAgentError,
)

if TYPE_CHECKING:
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


class Retry:
    """An answer that may be better the next time, and the error where it is not."""

    def __init__(self, reason: Reason, status: int | None = None, fault: Fault | None = None) -> None:
        self.reason, self.status, self.fault = reason, status, fault


Verdict = Fetched | Retry


class PendingRequest:
    """A request that is to be sent once more."""

    def __init__(self, request: Request, port: int, began: float) -> None:
        self.request, self.port, self.began, self.due = request, port, began, 0.0
        self.retries: dict[Reason, int] = {}
        self.since: dict[Reason, float] = {}

    def schedule(self, verdict: Retry, deadline: Deadline) -> ResolutionError | None:
        """Set when it is due; or give the error, where its reason's time or the deadline is over."""
        reason, now = verdict.reason, time.monotonic()
        retries, since = self.retries.get(reason, 0), self.since.setdefault(reason, now)
        due = now + _draw_wait(_POLICIES[reason], retries)
        latest = min(since + _POLICIES[reason].budget, deadline.ends - _SHORTEST_ATTEMPT_SECONDS)
        if retries >= _most_retries(self.request, reason) or due > latest:
            return self._make_final_error(verdict, now - self.began)
        self.retries[reason] = retries + 1
        self.due = due
        return None

    def _make_final_error(self, verdict: Retry, seconds: float) -> ResolutionError:
        """Give the error of a request whose retries did not help."""
        subject = self.request.subject
        if verdict.fault in {Fault.REFUSED, Fault.RESET}:
            return ExtensionUnavailableError(subject, self.port, seconds)
        if verdict.reason is Reason.STARTING:
            return ExtensionNotReadyError(subject, seconds)
        if verdict.reason is Reason.TOKEN:
            return TokenRejectedError(subject, verdict.status or 0)
        if verdict.reason is Reason.REFUSED_BY_AWS:
            return UnresolvedError(subject, self.request.declaration.permissions())
        return ServerError(subject, verdict.status, 1 + sum(self.retries.values()), seconds)


def _draw_wait(policy: _Policy, retries: int) -> float:
    wait = min(policy.first_wait * 2.0**retries, policy.longest_wait)
    chance = int.from_bytes(os.urandom(_CHANCE_BYTES), "big") / _CHANCES
    return float(wait * (1.0 + chance * (policy.spread - 1.0)))


def _most_retries(request: Request, reason: Reason) -> float:
    # The absence of an optional value is an answer like any other: nothing to ask again.
    return 0 if request.is_optional and reason is Reason.REFUSED_BY_AWS else _POLICIES[reason].retries


def read_answer(request: Request, answer: Answer | Fault | ResolutionError, deadline: Deadline) -> Verdict:
    if isinstance(answer, Fault):
        return _read_fault(request, answer, deadline)
    if isinstance(answer, ResolutionError):
        return answer
    content = parse_object(answer.body)
    if answer.status == _OK:
        raw = read_secret(content) if isinstance(request.declaration, Secret) else read_parameter(content)
        return raw or ProtocolError(request.subject, _OK, "is no JSON object with the fields of a value")
    code = content.get("__type")
    return _read_agent_error(request, code, answer.status) if isinstance(code, str) else _read_status(request, answer)


def _read_fault(request: Request, fault: Fault, deadline: Deadline) -> Verdict:
    if fault in {Fault.REFUSED, Fault.RESET}:
        return Retry(Reason.STARTING, fault=fault)
    if fault is Fault.LOST:
        return Retry(Reason.BUSY, fault=fault)
    if fault is Fault.TIMED_OUT:
        return make_late_error(request, deadline)
    return ProtocolError(request.subject, None, fault.value)


def make_late_error(request: Request, deadline: Deadline) -> DeadlineExceededError:
    return DeadlineExceededError(request.subject, deadline.seconds, deadline.bound)


def _read_status(request: Request, answer: Answer) -> Verdict:
    if answer.status in _TOKEN_STATUSES:
        return Retry(Reason.TOKEN, answer.status)
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERRORS:
        return Retry(Reason.BUSY, answer.status)
    if answer.status == _BAD_REQUEST:
        is_starting = answer.body.startswith(_wire.NOT_READY)
        return Retry(Reason.STARTING if is_starting else Reason.REFUSED_BY_AWS, answer.status)
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


def _read_agent_error(request: Request, code: str, status: int) -> Verdict:
    if status == _TOO_MANY or status >= _SERVER_ERRORS or code in _TRANSIENT_CODES:
        return Retry(Reason.BUSY, status)
    # The code is shown where it is an AWS error code: a word. Anything else is not for the eyes.
    shown = code if code.isalnum() and code.isascii() and len(code) <= _LONGEST_CODE else "unknown"
    return _AGENT_ERRORS.get(code, AnswerError)(request.subject, shown, status, request.declaration.permissions())


_LONGEST_CODE = 64
