"""What each answer of the server means: a value, an error, or a reason to ask once more, and when.

Who adds a status adds it here. Whose answer it is, the extension's, the agent's or another server's, the answer itself
tells: only the agent's own words mean the agent.
"""

from __future__ import annotations

import enum
import os
import time
from math import inf
from typing import TYPE_CHECKING, Any

from lambdasecrets import _settings, _wire
from lambdasecrets._json import parse_object
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets._transports import Answer, NoAnswer
from lambdasecrets.errors import (
    DeadlineExceededError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    Progress,
    ProtocolError,
    ResolutionError,
    ServerError,
    TokenRejectedError,
    TooManyOpenFilesError,
    UnsupportedByAgentError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lambdasecrets._clock import Deadline
    from lambdasecrets.errors import Server

_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER_ERRORS = 500
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
    CROWDED = enum.auto()


_WORTH_REPORTING = frozenset({Reason.REFUSED_BY_AWS, Reason.BUSY, Reason.CROWDED})
"""After one of these, silence says less than what was said before it."""


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
    # It is the connection that is one too many: another that works, or is given back, does at once.
    Reason.CROWDED: _Policy(inf, 0.005, 0.500, 2.0, inf),
}


class Retry:
    """An answer that may be better the next time, and what makes the error where it is not.

    Args:
        reason: why to ask once more.
        status: the HTTP status; None for no answer.
        fault: why there is no answer; None for an answer.
        server: whose answer it is; None where it does not tell.
        code: AWS's error code, to be shown.
    """

    def __init__(
        self,
        reason: Reason,
        status: int | None = None,
        fault: NoAnswer | None = None,
        *,
        server: Server | None = None,
        code: str | None = None,
    ) -> None:
        self.reason, self.status, self.fault, self.code = reason, status, fault, code
        self.server: Server | None = server


Verdict = Fetched | Retry


class PendingRequest:
    """A request that is to be sent once more.

    Args:
        request: what to ask for.
        port: of the server that is asked, for the errors.
        began: when it was asked first, on the monotonic clock.
        was_seen: whether it was there a moment ago, so that what cannot be told from its absence is asked again.

    Attributes:
        due: when to send it, on the monotonic clock.
    """

    def __init__(self, request: Request, port: int, began: float, *, was_seen: bool = False) -> None:
        self.request, self.port, self.began, self.was_seen, self.due = request, port, began, was_seen, 0.0
        self.retries: dict[Reason, int] = {}
        self.since: dict[Reason, float] = {}
        self.waited: dict[Reason, float] = {}
        self.last: Retry | None = None

    def schedule(self, verdict: Retry, deadline: Deadline) -> ResolutionError | None:
        """Set when it is due; or give the error, where its reason's time or the deadline is over.

        Waits are added up as well: where the clock stands still (in a test that freezes it), they end it.
        """
        reason, now = verdict.reason, time.monotonic()
        wait = _draw_wait(_POLICIES[reason], self.retries.get(reason, 0))
        if self._is_over(reason, now, wait, deadline):
            return self._make_final_error(verdict, deadline)
        self.retries[reason] = self.retries.get(reason, 0) + 1
        self.waited[reason] = self.waited.get(reason, 0.0) + wait
        self.due, self.last = now + wait, verdict
        return None

    def conclude(self, outcome: Fetched, deadline: Deadline) -> Fetched:
        """Give the outcome of the last attempt in the light of those before it.

        Where the server had said what is wrong, and did not answer in the time that was left, what it said is the
        cause.
        """
        is_silence = isinstance(outcome, DeadlineExceededError)
        if is_silence and self.last is not None and self.last.reason in _WORTH_REPORTING:
            return self._make_final_error(self.last, deadline)
        return outcome

    def _is_over(self, reason: Reason, now: float, wait: float, deadline: Deadline) -> bool:
        """Tell whether there is no time, or no use, for one more wait and one more attempt."""
        budget, since = _POLICIES[reason].budget, self.since.setdefault(reason, now)
        latest = min(since + budget, deadline.ends - _SHORTEST_ATTEMPT_SECONDS)
        is_late = now + wait > latest or self.waited.get(reason, 0.0) + wait > budget
        is_spent = sum(self.waited.values()) + wait > deadline.seconds
        return is_late or is_spent or self.retries.get(reason, 0) >= self._most_retries(reason)

    def _most_retries(self, reason: Reason) -> float:
        # The absence of an optional value is an answer like any other, unless it was there a moment ago.
        is_absence = reason is Reason.REFUSED_BY_AWS and self.request.is_optional and not self.was_seen
        return 0 if is_absence else _POLICIES[reason].retries

    def _make_final_error(self, verdict: Retry, deadline: Deadline) -> ResolutionError:
        """Give the error of a request whose retries did not help."""
        seconds = max(time.monotonic() - self.began, sum(self.waited.values()))
        subject = self.request.subject
        if verdict.fault in {NoAnswer.REFUSED, NoAnswer.RESET}:
            was_reset, is_local = verdict.fault is NoAnswer.RESET, not _settings.is_lambda()
            return ExtensionUnavailableError(subject, self.port, seconds, was_reset=was_reset, is_local=is_local)
        if verdict.reason is Reason.STARTING:
            return ExtensionNotReadyError(subject, seconds)
        if verdict.reason is Reason.TOKEN:
            return _make_token_error(self.request, verdict)
        if verdict.reason is Reason.REFUSED_BY_AWS:
            from lambdasecrets._sources.refusals import make_unresolved_error  # noqa: PLC0415 - for errors only

            function_arn = deadline.function_arn
            return make_unresolved_error(self.request, was_seen=self.was_seen, function_arn=function_arn)
        attempts = 1 + sum(self.retries.values())
        return ServerError(subject, verdict.status, attempts, seconds, server=verdict.server, code=verdict.code)


def _draw_wait(policy: _Policy, retries: int) -> float:
    wait = min(policy.first_wait * 2.0**retries, policy.longest_wait)
    chance = int.from_bytes(os.urandom(_CHANCE_BYTES), "big") / _CHANCES
    return float(wait * (1.0 + chance * (policy.spread - 1.0)))


def _make_token_error(request: Request, verdict: Retry) -> ResolutionError:
    status = verdict.status or 0
    if verdict.server is None:
        return ProtocolError(request.subject, status, _OF_ANOTHER)
    source = _settings.find_token_variable() or _settings.ENDPOINT
    is_local = not _settings.is_lambda()
    return TokenRejectedError(request.subject, status, server=verdict.server, source=source, is_local=is_local)


def read_answer(request: Request, answer: Answer | NoAnswer | ResolutionError, deadline: Deadline) -> Verdict:
    if not isinstance(answer, Answer):
        return _read_fault(request, answer, deadline) if isinstance(answer, NoAnswer) else answer
    if answer.status != _OK:
        return _read_refusal(request, answer, deadline)
    content = parse_object(answer.body)
    return request.form.read_body(content) or ProtocolError(
        request.subject, _OK, "is no JSON object with the fields of a value"
    )


def _read_fault(request: Request, fault: NoAnswer, deadline: Deadline) -> Verdict:
    if fault in {NoAnswer.REFUSED, NoAnswer.RESET}:
        return Retry(Reason.STARTING, fault=fault)
    if fault is NoAnswer.LOST:
        return Retry(Reason.BUSY, fault=fault)
    if fault is NoAnswer.TIMED_OUT:
        return make_late_error(request, deadline)
    if fault is NoAnswer.EXHAUSTED:
        return TooManyOpenFilesError(request.subject)
    remedy = "Correct the name that is declared." if fault is NoAnswer.UNSENDABLE else None
    return ProtocolError(request.subject, None, fault.value, remedy)


def make_late_error(request: Request, deadline: Deadline) -> DeadlineExceededError:
    return DeadlineExceededError(request.subject, deadline.seconds, deadline.bound)


_OF_ANOTHER = "is neither the extension's nor the agent's, so that another server answers on this port"

_BAD_SESSION_TOKEN = b"bad session token"
"""How the extension's 401 begins, in either case of its first letter."""

_AGENT_TEXTS: dict[tuple[int, bytes], Retry] = {
    (_FORBIDDEN, b"Bad Token"): Retry(Reason.TOKEN, _FORBIDDEN, server="agent"),
    (_TOO_MANY, b"Connection limit exceeded"): Retry(Reason.CROWDED, _TOO_MANY, server="agent"),
}
"""The agent's own words that are a reason to ask once more, with their statuses."""

_AGENT_REFUSALS: dict[tuple[int, bytes], tuple[str, str]] = {
    (_BAD_REQUEST, b"Forwarded"): (
        "says that the request has an X-Forwarded-For header, which the agent refuses",
        "Take that header out of the Session that use_session was given.",
    ),
    (_BAD_REQUEST, b"unknown parameter: roleArn"): (
        "is of an AWS Secrets Manager Agent that knows no roles yet",
        "Update the agent: its name is AWS Workload Credentials Provider by now.",
    ),
    (_BAD_REQUEST, b"unknown parameter: refreshNow"): (
        "is of an AWS Secrets Manager Agent that cannot pass its cache yet",
        "Update the agent: its name is AWS Workload Credentials Provider by now.",
    ),
}
"""The agent's own words that no second request changes: what they say, and what to do."""

_NO_SUCH_PATH = (_NOT_FOUND, b"Not found")
"""What the agent says to a path that it does not serve: parameters have one."""


def _read_refusal(request: Request, answer: Answer, deadline: Deadline) -> Verdict:
    """Read an answer that brings no value: first as the agent's, by its own words, then by its status."""
    said = (answer.status, answer.body)
    if said in _AGENT_TEXTS:
        return _AGENT_TEXTS[said]
    if said in _AGENT_REFUSALS:
        return ProtocolError(request.subject, answer.status, *_AGENT_REFUSALS[said])
    if said == _NO_SUCH_PATH and not request.form.is_known_to_agent:
        return UnsupportedByAgentError(request.subject)
    content = parse_object(answer.body)
    if isinstance(content.get("__type"), str):
        return _read_agent_error(request, content, answer.status, deadline)
    return _read_status(request, answer)


def _read_status(request: Request, answer: Answer) -> Verdict:
    status = answer.status
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        is_extensions = status == _UNAUTHORIZED and answer.body.lower().startswith(_BAD_SESSION_TOKEN)
        return Retry(Reason.TOKEN, status, server="extension" if is_extensions else None)
    if status == _TOO_MANY or status >= _SERVER_ERRORS:
        return Retry(Reason.BUSY, status)
    if status == _BAD_REQUEST and not _is_foreign(answer.body):
        is_starting = answer.body.startswith(_wire.NOT_READY)
        return Retry(Reason.STARTING if is_starting else Reason.REFUSED_BY_AWS, status, server="extension")
    return ProtocolError(request.subject, status, _REDIRECTS_NOWHERE if status in _REDIRECTS else _OF_ANOTHER)


_REDIRECTS_NOWHERE = "redirects, which is never followed"
_FOREIGN_BEGINNINGS = (b"<", b"{", b"[")


def _is_foreign(body: bytes) -> bool:
    """Tell whether a body is a page or JSON: the extension's errors are plain text, and not all of them are known."""
    return body.lstrip().startswith(_FOREIGN_BEGINNINGS)


def _read_agent_error(request: Request, content: Mapping[str, Any], status: int, deadline: Deadline) -> Verdict:
    """Read an error of AWS's that the agent passes on, or one of its own in the same form."""
    from lambdasecrets._sources import refusals  # noqa: PLC0415 - for errors only

    code, message = content["__type"], content.get("message")
    text = message if isinstance(message, str) else ""
    if refusals.is_transient(code, status, text):
        return Retry(Reason.BUSY, status, server="agent", code=refusals.write_code(code))
    function_arn = deadline.function_arn
    return refusals.read_refusal(request, code, status, text, server="agent", function_arn=function_arn)


def explain_failures(
    requests: Sequence[Request], outcomes: Mapping[str, Fetched], at_once: int, server: Server | None = None
) -> dict[str, Fetched]:
    """Put into the errors of a batch what became of the rest of it: no remedy contradicts what was seen.

    Args:
        requests: all of the batch.
        outcomes: for each path its value or its error.
        at_once: how many values of each service the extension asks AWS for at the same time.
        server: who answers, where that is known from before.
    """
    came = {path for path, outcome in outcomes.items() if isinstance(outcome, RawValue)}
    who: Server | None = "agent" if any(map(_is_from_agent, outcomes.values())) else server
    explained = dict(outcomes)
    for request in requests:
        error = outcomes[request.path]
        if isinstance(error, DeadlineExceededError):
            progress = _count(requests, came, None if who == "agent" else at_once, of=request)
            explained[request.path] = DeadlineExceededError(
                error.subject, error.seconds, error.bound, progress=progress, server=who
            )
        elif isinstance(error, ExtensionUnavailableError) and came:
            explained[request.path] = ExtensionUnavailableError(
                error.subject, error.port, error.seconds, was_reset=error.was_reset, has_answered=True
            )
    return explained


def _is_from_agent(outcome: Fetched) -> bool:
    return outcome.from_agent if isinstance(outcome, RawValue) else getattr(outcome, "server", None) == "agent"


def _count(requests: Sequence[Request], came: Collection[str], at_once: int | None, *, of: Request) -> Progress:
    """Count what was asked of the service of a request, and what came of it."""
    service = of.form.service
    mine = [item.path for item in requests if item.form.service == service]
    others = [item.form.service for item in requests if item.path in came and item.form.service != service]
    return Progress(service, len(mine), sum(path in came for path in mine), at_once, others[0] if others else None)
