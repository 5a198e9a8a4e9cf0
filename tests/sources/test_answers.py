"""What each answer means, whose it is, how often it is asked for again and for how long. Without a server."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdasecrets import Parameter, Secret, errors
from lambdasecrets._clock import Deadline
from lambdasecrets._sources.answers import (
    PendingRequest,
    Reason,
    Retry,
    Verdict,
    explain_failures,
    make_late_error,
    read_answer,
)
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets._transports import Answer, NoAnswer
from lambdasecrets._wire import parameter_path, secret_path
from lambdasecrets.errors import Progress, ResolutionError, Subject
from tests.golden import VERSION_1, VERSION_2, golden
from tests.properties import bounded

PORT = 2773
BEGAN = 1000.0
SECONDS = 5.0
LATE = Deadline(BEGAN + SECONDS, SECONDS, "timeout")
ATTEMPTS = 1000
LISTENS = (
    "See what listens on this port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT, by default 2773): it should be the "
    "extension, or the agent."
)
OF_ANOTHER = "is neither the extension's nor the agent's, so that another server answers on this port"


def wanted(declaration: Secret | Parameter, *, is_optional: bool = False) -> Request:
    """Make the request of one declaration."""
    name = declaration.name
    path = secret_path(name) if isinstance(declaration, Secret) else parameter_path(name)
    return Request(path, declaration, Subject("app.handler", ("x",), (str(declaration),)), is_optional=is_optional)


SECRET, PARAMETER = wanted(Secret("s")), wanted(Parameter("/p"))


class Clock:
    """A clock that goes on when somebody sleeps, if it goes at all."""

    def __init__(self, *, is_frozen: bool = False) -> None:
        self.now, self.is_frozen, self.slept = BEGAN, is_frozen, 0.0

    def monotonic(self) -> float:
        """Say the time."""
        return self.now

    def sleep_until(self, due: float) -> None:
        """Let the time go by."""
        self.slept += due - self.now
        self.now = self.now if self.is_frozen else due


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Let the answers' clock be one that a test sets."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    yield made
    monkeypatch.undo()


@pytest.fixture
def shortest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the shortest wait each time."""
    monkeypatch.setattr(os, "urandom", bytes)


def ask_until_it_ends(
    clock: Clock, verdict: Verdict, request: Request = SECRET, deadline: Deadline = LATE, **options: Any
) -> tuple[ResolutionError, int]:
    """Give a request the same answer each time it is asked: the error in the end, and how often it was asked."""
    assert isinstance(verdict, Retry)
    pending = PendingRequest(request, PORT, BEGAN, **options)
    attempts = 1
    while (error := pending.schedule(verdict, deadline)) is None:
        attempts += 1
        assert attempts < ATTEMPTS
        clock.sleep_until(pending.due)
    return error, attempts


def say(status: int, body: bytes, request: Request = SECRET) -> Verdict:
    """Read an answer."""
    return read_answer(request, Answer(status, body), LATE)


def describe(verdict: Verdict) -> tuple[Any, ...]:
    """Give what a verdict is, to be compared."""
    if isinstance(verdict, Retry):
        return verdict.reason, verdict.status, verdict.fault, verdict.server, verdict.code
    assert isinstance(verdict, ResolutionError)
    return type(verdict), f"{verdict.why}. {verdict.remedy}"


def agent_error(code: str, message: str = "m") -> bytes:
    """Write an error as the agent passes it on."""
    return json.dumps({"__type": code, "message": message}).encode()


# --- Whose answer it was, and what it means -------------------------------------------------------------------------

PAGE = b"<html>It works!</html>"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, golden("extension_not_ready.txt"), (Reason.STARTING, 400, None, "extension", None)),
        (400, golden("extension_unresolved.txt"), (Reason.REFUSED_BY_AWS, 400, None, "extension", None)),
        (400, b"", (Reason.REFUSED_BY_AWS, 400, None, "extension", None)),
        (400, b"too many requests", (Reason.REFUSED_BY_AWS, 400, None, "extension", None)),
        (401, golden("extension_bad_token.txt"), (Reason.TOKEN, 401, None, "extension", None)),
        (401, b"Bad session token or header key", (Reason.TOKEN, 401, None, "extension", None)),
        (401, b"Unauthorized", (Reason.TOKEN, 401, None, None, None)),
        (403, golden("agent_bad_token.txt"), (Reason.TOKEN, 403, None, "agent", None)),
        (403, b"Forbidden", (Reason.TOKEN, 403, None, None, None)),
        (401, golden("agent_bad_token.txt"), (Reason.TOKEN, 401, None, None, None)),
        (403, golden("extension_bad_token.txt"), (Reason.TOKEN, 403, None, None, None)),
        (429, golden("agent_crowded.txt"), (Reason.CROWDED, 429, None, "agent", None)),
        (429, b"slow down", (Reason.BUSY, 429, None, None, None)),
        (500, b"", (Reason.BUSY, 500, None, None, None)),
        (599, PAGE, (Reason.BUSY, 599, None, None, None)),
        (400, agent_error("ThrottlingException"), (Reason.BUSY, 400, None, "agent", "ThrottlingException")),
        (500, b'{"__type":"InternalFailure"}', (Reason.BUSY, 500, None, "agent", "InternalFailure")),
        (504, agent_error("TimeoutError", "Timeout"), (Reason.BUSY, 504, None, "agent", "TimeoutError")),
        (502, agent_error("two words"), (Reason.BUSY, 502, None, "agent", "unknown")),
        (499, PAGE, (errors.ProtocolError, f"the answer (499) {OF_ANOTHER}. {LISTENS}")),
        (404, golden("agent_not_found.txt"), (errors.ProtocolError, f"the answer (404) {OF_ANOTHER}. {LISTENS}")),
        (404, PAGE, (errors.ProtocolError, f"the answer (404) {OF_ANOTHER}. {LISTENS}")),
        (400, PAGE, (errors.ProtocolError, f"the answer (400) {OF_ANOTHER}. {LISTENS}")),
        (400, b' {"error": 1}', (errors.ProtocolError, f"the answer (400) {OF_ANOTHER}. {LISTENS}")),
        (400, b"[]", (errors.ProtocolError, f"the answer (400) {OF_ANOTHER}. {LISTENS}")),
        (400, b'{"__type": 1}', (errors.ProtocolError, f"the answer (400) {OF_ANOTHER}. {LISTENS}")),
        (204, b"", (errors.ProtocolError, f"the answer (204) {OF_ANOTHER}. {LISTENS}")),
        (300, b"", (errors.ProtocolError, f"the answer (300) redirects, which is never followed. {LISTENS}")),
        (399, b"", (errors.ProtocolError, f"the answer (399) redirects, which is never followed. {LISTENS}")),
        (
            200,
            PAGE,
            (errors.ProtocolError, f"the answer (200) is no JSON object with the fields of a value. {LISTENS}"),
        ),
        (
            400,
            golden("agent_forwarded.txt"),
            (
                errors.ProtocolError,
                (
                    "the answer (400) says that the request has an X-Forwarded-For header, which the agent refuses. "
                    "Take that header out of the Session that use_session was given."
                ),
            ),
        ),
        (
            400,
            b"unknown parameter: roleArn",
            (
                errors.ProtocolError,
                (
                    "the answer (400) is of an AWS Secrets Manager Agent that knows no roles yet. Update the agent: "
                    "its name is AWS Workload Credentials Provider by now."
                ),
            ),
        ),
        (
            400,
            b"unknown parameter: refreshNow",
            (
                errors.ProtocolError,
                (
                    "the answer (400) is of an AWS Secrets Manager Agent that cannot pass its cache yet. Update the "
                    "agent: its name is AWS Workload Credentials Provider by now."
                ),
            ),
        ),
        (
            400,
            agent_error("InvalidRequestException", "it was marked for deletion because it was marked for deletion"),
            (
                errors.MarkedForDeletionError,
                (
                    "it is marked for deletion (InvalidRequestException, status 400). Restore it (`aws secretsmanager "
                    "restore-secret`), or declare another."
                ),
            ),
        ),
        (
            400,
            b'{"__type":"Unheard"}',
            (
                errors.AnswerError,
                (
                    "AWS answered with an error (Unheard, status 400). See the error codes of GetSecretValue in the "
                    "Secrets Manager API reference."
                ),
            ),
        ),
        (
            400,
            b'{"__type":"Unheard","message":1}',
            (
                errors.AnswerError,
                (
                    "AWS answered with an error (Unheard, status 400). See the error codes of GetSecretValue in the "
                    "Secrets Manager API reference."
                ),
            ),
        ),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, expected: tuple[Any, ...]) -> None:
    """An answer's own words say whose it is: only the agent's mean the agent, and what is nobody's is another's."""
    assert describe(say(status, body)) == expected


def test_the_agent_has_no_parameters() -> None:
    """What the agent says to a path that it does not have is said of a parameter only; another server's 404 is not."""
    assert describe(say(404, golden("agent_not_found.txt"), PARAMETER)) == (
        errors.UnsupportedByAgentError,
        (
            "the AWS Secrets Manager Agent listens on this port, and it does not serve Parameter Store. Use the "
            "Parameters and Secrets Lambda Extension, keep the value in Secrets Manager, or let boto3 read it "
            '(`fallback="aws"`).'
        ),
    )
    assert isinstance(say(404, b"404 page not found", PARAMETER), errors.ProtocolError)
    assert isinstance(say(404, PAGE, PARAMETER), errors.ProtocolError)


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "TokenRetrievalError"])
@pytest.mark.parametrize("status", [400, 403, 500])
def test_credentials_are_asked_for_once(code: str, status: int) -> None:
    """What is wrong with credentials is an error at once, whatever the status: asking again makes them no better."""
    assert isinstance(say(status, agent_error(code)), errors.CredentialsRejectedError)


def test_errors_know_the_function(clock: Clock) -> None:
    """What the invocation's context says of the function serves the remedies: whose account an ARN is of."""
    deadline = LATE.replace(function_arn="arn:aws:lambda:us-east-1:123456789012:function:orders")
    request = wanted(Secret("arn:aws:secretsmanager:us-east-1:999988887777:secret:s-AbCdEf"))
    denied = read_answer(request, Answer(400, agent_error("AccessDeniedException")), deadline)
    assert isinstance(denied, errors.AccessDeniedError)
    assert "The ARN is of account 999988887777, which is not the role's" in denied.remedy
    refused, _ = ask_until_it_ends(clock, Retry(Reason.REFUSED_BY_AWS, 400), request, deadline)
    assert "the ARN is of account 999988887777, this function runs in 123456789012" in refused.why


def test_an_error_is_not_read() -> None:
    """What was not sent keeps its error."""
    error = errors.NoTokenError(SECRET.subject)
    assert read_answer(SECRET, error, LATE) is error


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NoAnswer.REFUSED, (Reason.STARTING, None, NoAnswer.REFUSED, None, None)),
        (NoAnswer.RESET, (Reason.STARTING, None, NoAnswer.RESET, None, None)),
        (NoAnswer.LOST, (Reason.BUSY, None, NoAnswer.LOST, None, None)),
        (NoAnswer.TIMED_OUT, describe(make_late_error(SECRET, LATE))),
        (NoAnswer.GARBLED, (errors.ProtocolError, f"the answer is no HTTP. {LISTENS}")),
        (NoAnswer.TOO_LARGE, (errors.ProtocolError, f"the answer is larger than any value can be. {LISTENS}")),
        (
            NoAnswer.EXHAUSTED,
            (
                errors.TooManyOpenFilesError,
                (
                    "this process has no file descriptor left for a connection. Look for files and connections that "
                    "are opened at each invocation and never closed (/proc/self/fd lists them). Lambda allows 1,024 "
                    "of them."
                ),
            ),
        ),
        (
            NoAnswer.UNSENDABLE,
            (
                errors.ProtocolError,
                (
                    "the answer cannot be had: the address or the path has characters that no request can carry. "
                    "Correct the name that is declared."
                ),
            ),
        ),
    ],
)
def test_what_a_fault_means(fault: NoAnswer, expected: tuple[Any, ...]) -> None:
    """Each reason for which there is no answer is a reason to ask again, or an error with its own remedy."""
    assert describe(read_answer(SECRET, fault, LATE)) == expected


def test_every_fault_has_a_meaning() -> None:
    """None of the transport's faults raises."""
    assert all(describe(read_answer(SECRET, fault, LATE)) for fault in NoAnswer)


@bounded
@given(status=st.integers(100, 599), body=st.binary(), request_=st.sampled_from([SECRET, PARAMETER]))
def test_a_body_is_never_shown(status: int, body: bytes, request_: Request) -> None:
    """Whatever a server answers, no error of it has a part of it."""
    verdict = say(status, b"\x00canary\x00" + body, request_)
    assert "canary" not in f"{verdict!r} {vars(verdict)}"


# --- The errors of what does not pass -------------------------------------------------------------------------------

LOG = 'ook in the function\'s log for lines that begin "[AWS Parameters and Secrets Lambda Extension]".'


@pytest.mark.parametrize(
    ("verdict", "kind", "says"),
    [
        (
            Retry(Reason.STARTING, fault=NoAnswer.REFUSED),
            errors.ExtensionUnavailableError,
            (
                "nothing answered on 127.0.0.1:2773 for 1.0 s. Is the layer AWS-Parameters-and-Secrets-Lambda-"
                "Extension attached to this function (a container image: is its content in /opt)? Is "
                "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
            ),
        ),
        (
            Retry(Reason.STARTING, fault=NoAnswer.RESET),
            errors.ExtensionUnavailableError,
            (
                "what listens on 127.0.0.1:2773 closed each connection before it answered, for 1.0 s. Does it end as "
                f"it starts, or is it another server than the extension? L{LOG}"
            ),
        ),
        (
            say(400, golden("extension_not_ready.txt")),
            errors.ExtensionNotReadyError,
            (
                'the extension answered "not ready to serve traffic" for 1.0 s. It begins to serve when the first '
                "invocation reaches it. Give the function more memory, and with it more of a CPU to start with. If it "
                f"lasts: l{LOG}"
            ),
        ),
        (
            say(401, golden("extension_bad_token.txt")),
            errors.TokenRejectedError,
            (
                "the extension answered 401 to the token of AWS_SESSION_TOKEN, which was read twice. Does something "
                "change AWS_SESSION_TOKEN inside the function?"
            ),
        ),
        (
            say(403, golden("agent_bad_token.txt")),
            errors.TokenRejectedError,
            (
                "the AWS Secrets Manager Agent answered 403 to the token of AWS_SESSION_TOKEN, which was read twice. "
                "The agent was started with the first of AWS_TOKEN, AWS_SESSION_TOKEN and "
                "AWS_CONTAINER_AUTHORIZATION_TOKEN that was set for it (file:// and a path: what that file held "
                "then). Give this process the same, or start the agent again."
            ),
        ),
        (say(401, PAGE), errors.ProtocolError, f"the answer (401) {OF_ANOTHER}. {LISTENS}"),
        (say(403, b"Forbidden"), errors.ProtocolError, f"the answer (403) {OF_ANOTHER}. {LISTENS}"),
    ],
)
def test_what_does_not_pass(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, kind: type, says: str
) -> None:
    """What asking again does not mend is an error with its cause, and a remedy that fits what was seen."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "app")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "made up")
    error, _ = ask_until_it_ends(clock, verdict)
    assert (type(error), f"{error.why}. {error.remedy}".replace("0.9 s", "1.0 s")) == (kind, says)


@pytest.mark.parametrize(
    ("verdict", "what", "remedy"),
    [
        (
            say(429, golden("agent_crowded.txt")),
            "the AWS Secrets Manager Agent answered 429",
            "It has as many connections as its max_conn allows: raise that, or let fewer processes use it.",
        ),
        (say(503, b""), "the answer was 503", f"L{LOG}"),
        (
            say(500, b'{"__type":"InternalFailure"}'),
            "the AWS Secrets Manager Agent answered 500 (InternalFailure)",
            (
                "Has it valid AWS credentials? Look in the agent's own log: in the folder logs/ where it was started, "
                "or its standard output if log_to_file is false."
            ),
        ),
        (
            Retry(Reason.BUSY, fault=NoAnswer.LOST),
            "the connection was lost in the middle of the answer",
            f"L{LOG}",
        ),
    ],
)
def test_what_is_busy_all_the_time(clock: Clock, verdict: Verdict, what: str, remedy: str) -> None:
    """Overload is asked again as long as there is time, and its error says whose limit it is."""
    error, attempts = ask_until_it_ends(clock, verdict)
    assert isinstance(error, errors.ServerError)
    assert error.why == f"{what}; asked {attempts} times in {error.seconds:.2f} s"
    assert error.remedy == f"{remedy} `stale_if_error` lets a handler go on with the last good value."
    assert (error.attempts, attempts > 4) == (attempts, True)
    assert SECONDS - 2.0 < error.seconds <= SECONDS


@pytest.mark.parametrize(
    ("variables", "source"),
    [
        ({"AWS_SESSION_TOKEN": "one"}, "AWS_SESSION_TOKEN"),
        ({"AWS_SESSION_TOKEN": "one", "AWS_TOKEN": "two"}, "AWS_TOKEN"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ({"AWS_CONTAINER_AUTHORIZATION_TOKEN": "three"}, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ],
)
def test_where_a_rejected_token_is_from(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], source: str
) -> None:
    """The error of a rejected token names the variable that it is from."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    error, attempts = ask_until_it_ends(clock, say(401, golden("extension_bad_token.txt")))
    assert isinstance(error, errors.TokenRejectedError)
    assert (error.source, error.is_local, attempts) == (source, True, 2)


def test_outside_a_lambda(clock: Clock) -> None:
    """Where this is no Lambda, the error of a server that is not there says so."""
    error, _ = ask_until_it_ends(clock, Retry(Reason.STARTING, fault=NoAnswer.REFUSED))
    assert isinstance(error, errors.ExtensionUnavailableError)
    assert error.is_local


# --- How often, and for how long ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "attempts"),
    [
        (Retry(Reason.STARTING, fault=NoAnswer.REFUSED), 13),
        (Retry(Reason.STARTING, 400), 13),
        (Retry(Reason.TOKEN, 401, server="extension"), 2),
        (Retry(Reason.REFUSED_BY_AWS, 400), 2),
        (Retry(Reason.BUSY, 500), 9),
        (Retry(Reason.CROWDED, 429, server="agent"), 16),
    ],
    ids=lambda item: getattr(item, "reason", None),
)
@pytest.mark.parametrize("is_frozen", [False, True], ids=["going", "frozen"])
@pytest.mark.usefixtures("shortest_waits")
def test_how_often(clock: Clock, verdict: Retry, attempts: int, *, is_frozen: bool) -> None:
    """Attempts are bounded by the waits between them, also where the clock stands still."""
    clock.is_frozen = is_frozen
    error, asked = ask_until_it_ends(clock, verdict)
    assert asked == attempts
    assert clock.slept <= SECONDS
    assert getattr(error, "seconds", clock.slept) == pytest.approx(clock.slept)


@pytest.mark.parametrize(
    ("is_optional", "was_seen", "attempts"), [(False, False, 2), (True, False, 1), (True, True, 2), (False, True, 2)]
)
def test_what_was_seen_is_asked_again(clock: Clock, *, is_optional: bool, was_seen: bool, attempts: int) -> None:
    """A refusal that cannot be told from absence is asked again, unless absence is likely: optional, and never seen."""
    request = wanted(Secret("s"), is_optional=is_optional)
    error, asked = ask_until_it_ends(clock, Retry(Reason.REFUSED_BY_AWS, 400), request, was_seen=was_seen)
    assert isinstance(error, errors.UnresolvedError)
    assert (asked, "since it was read last" in error.why) == (attempts, was_seen)


def test_what_nobody_says_was_seen_was_not(clock: Clock) -> None:
    """Without a word of it, an optional value counts as never seen."""
    request = wanted(Secret("s"), is_optional=True)
    assert ask_until_it_ends(clock, Retry(Reason.REFUSED_BY_AWS, 400), request)[1] == 1


def test_an_optional_value_is_busy_like_any_other(clock: Clock) -> None:
    """Only absence makes an optional value's answer final."""
    request = wanted(Secret("s"), is_optional=True)
    assert ask_until_it_ends(clock, Retry(Reason.BUSY, 500), request)[1] > 4


@pytest.mark.parametrize(("seconds", "is_sent"), [(0.020, True), (0.019, False)])
def test_the_shortest_attempt(clock: Clock, seconds: float, *, is_sent: bool) -> None:
    """A request is sent again while there is time for the shortest attempt, to the moment."""
    clock.now = 0.0
    error = PendingRequest(SECRET, PORT, 0.0).schedule(
        Retry(Reason.TOKEN, 401, server="extension"), Deadline(seconds, seconds, "timeout")
    )
    assert (error is None) is is_sent


def test_it_is_due_after_its_wait(clock: Clock) -> None:
    """Without a wait a request is due at once, else by the wait later."""
    now, later = PendingRequest(SECRET, PORT, BEGAN), PendingRequest(SECRET, PORT, BEGAN)
    assert now.schedule(Retry(Reason.TOKEN, 401), LATE) is None
    assert later.schedule(Retry(Reason.STARTING, 400), LATE) is None
    assert (now.due, later.due) == (BEGAN, BEGAN + 0.010)


def test_each_reason_has_retries_of_its_own(clock: Clock) -> None:
    """A bad start does not use up the retries of a bad token."""
    pending = PendingRequest(SECRET, PORT, BEGAN)
    reasons = [Reason.STARTING, Reason.TOKEN, Reason.REFUSED_BY_AWS, Reason.BUSY, Reason.CROWDED, Reason.STARTING]
    for reason in reasons:
        assert pending.schedule(Retry(reason, 400), LATE) is None
        clock.sleep_until(pending.due)
    assert pending.retries == {reason: reasons.count(reason) for reason in Reason}


# --- What was said before the silence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Retry(Reason.BUSY, 503), errors.ServerError),
        (Retry(Reason.CROWDED, 429, server="agent"), errors.ServerError),
        (Retry(Reason.REFUSED_BY_AWS, 400), errors.UnresolvedError),
        (Retry(Reason.STARTING, 400), errors.DeadlineExceededError),
        (Retry(Reason.TOKEN, 401, server="extension"), errors.DeadlineExceededError),
    ],
    ids=lambda item: getattr(item, "reason", None),
)
def test_silence_after_an_answer(clock: Clock, verdict: Retry, kind: type) -> None:
    """Where the last attempt had no answer, what the server had said before is the cause, if it tells one."""
    pending = PendingRequest(SECRET, PORT, BEGAN)
    assert pending.schedule(verdict, LATE) is None
    assert type(pending.conclude(make_late_error(SECRET, LATE), LATE)) is kind


def test_an_answer_after_all(clock: Clock) -> None:
    """An answer that is none of silence counts as it is."""
    pending = PendingRequest(SECRET, PORT, BEGAN)
    value = RawValue("a value", None, "1")
    late = make_late_error(SECRET, LATE)
    assert pending.conclude(late, LATE) is late
    assert pending.schedule(Retry(Reason.BUSY, 503), LATE) is None
    assert pending.conclude(value, LATE) is value


# --- The rest of the batch ------------------------------------------------------------------------------------------

VALUE = RawValue("a value", None, "1")
FROM_AGENT = VALUE.replace(from_agent=True)


def explain(outcomes: list[tuple[Request, Fetched]], **options: Any) -> list[Fetched]:
    """Explain the failures of a batch."""
    explained = explain_failures(
        [request for request, _ in outcomes], {request.path: outcome for request, outcome in outcomes}, 3, **options
    )
    return [explained[request.path] for request, _ in outcomes]


def test_part_of_a_batch_came() -> None:
    """A value that did not come in time knows how many of its service did, and how many are asked for at once."""
    names = [wanted(Secret(f"s{number}")) for number in range(20)]
    got = explain([(name, VALUE if number < 12 else make_late_error(name, LATE)) for number, name in enumerate(names)])
    late = got[12:]
    assert got[:12] == [VALUE] * 12
    assert [error.progress for error in late if isinstance(error, errors.DeadlineExceededError)] == [
        Progress("Secrets Manager", 20, 12, 3)
    ] * 8
    error = errors.combine([error for error in late if isinstance(error, ResolutionError)])
    assert f"{error.why}. {error.remedy}" == (
        "no answer within 5.00 s (the timeout), in which 12 of 20 secrets came, at most 3 at a time. AWS answers, but "
        "slowly. Raise PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS (3 now) or the timeout, or join secrets into one "
        "(`key=` takes a member of it)."
    )


def test_one_service_came() -> None:
    """Where one service answers and the other does not, the error names the one that does not."""
    _, error = explain([(SECRET, VALUE), (PARAMETER, make_late_error(PARAMETER, LATE))])
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.progress == Progress("Parameter Store", 1, 0, 3, "Secrets Manager")
    assert error.remedy == (
        "Secrets Manager answered in the same call, Parameter Store did not: in a VPC each of them needs an interface "
        "endpoint of its own, or a route to the internet."
    )


def test_nothing_came() -> None:
    """Where nothing came, the errors of both services say the same, so that they are one."""
    errors_ = explain([(item, make_late_error(item, LATE)) for item in (SECRET, PARAMETER)])
    error = errors.combine([item for item in errors_ if isinstance(item, ResolutionError)])
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.server is None


@pytest.mark.parametrize(
    "other",
    [
        FROM_AGENT,
        errors.NotFoundError(SECRET.subject, "ResourceNotFoundException", 400),
        errors.ServerError(SECRET.subject, 429, 2, 1.0, server="agent"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_the_agent_is_known_by_its_other_answers(other: Fetched) -> None:
    """Whoever answered others of the batch is who did not answer this one."""
    request = wanted(Secret("late"))
    _, error = explain([(SECRET, other), (request, make_late_error(request, LATE))])
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.progress is not None
    assert (error.server, error.progress.at_once) == ("agent", None)


def test_the_server_is_known_from_before() -> None:
    """What is known of the server from earlier answers serves where none came now."""
    (error,) = explain([(SECRET, make_late_error(SECRET, LATE))], server="agent")
    assert isinstance(error, errors.DeadlineExceededError)
    assert error.server == "agent"


def test_a_server_that_ends_in_between() -> None:
    """Where others of the same call were answered, nobody asks whether the layer is attached."""
    gone = errors.ExtensionUnavailableError(PARAMETER.subject, PORT, 1.0)
    _, error = explain([(SECRET, VALUE), (PARAMETER, gone)])
    assert isinstance(error, errors.ExtensionUnavailableError)
    assert f"{error.why}. {error.remedy}" == (
        "nothing answered on 127.0.0.1:2773 for 1.0 s, after it had answered others in the same call. Did the server "
        f"end, for want of memory? L{LOG}"
    )
    assert explain([(PARAMETER, gone)]) == [gone]


def test_other_errors_stay_as_they_are() -> None:
    """What the rest of a batch says nothing about is not touched."""
    error = errors.UnresolvedError(PARAMETER.subject)
    assert explain([(SECRET, VALUE), (PARAMETER, error)]) == [VALUE, error]


# --- Bodies ---------------------------------------------------------------------------------------------------------

_NO_BASE64: list[Any] = [1, "A", "AA=", "A?==", "AA==AA==", "é", []]


def read_body(request: Request, body: bytes) -> Fetched:
    """Read the body of a 200."""
    outcome = read_answer(request, Answer(200, body), LATE)
    assert not isinstance(outcome, Retry)
    return outcome


def bare(fetched: Fetched) -> Fetched:
    """Give what was fetched without what the answer says of itself."""
    assert isinstance(fetched, RawValue)
    return fetched.replace(identity=None)


@pytest.mark.parametrize(
    ("request_", "name", "raw"),
    [
        (SECRET, "extension_secret.json", RawValue('{"user":"Zoë","password":"new"}', None, VERSION_2)),
        (SECRET, "extension_secret_previous.json", RawValue('{"user":"Zoë","password":"a\\"b"}', None, VERSION_1)),
        (SECRET, "extension_secret_binary.json", RawValue(None, bytes([0, 255, 254, 62]), VERSION_1)),
        (SECRET, "agent_secret.json", RawValue('{"user":"Zoë","password":"new"}', None, VERSION_2, from_agent=True)),
        (SECRET, "agent_secret_binary.json", RawValue(None, bytes([0, 255, 254, 62]), VERSION_1, from_agent=True)),
        (PARAMETER, "extension_parameter.json", RawValue("v", None, "1")),
        (PARAMETER, "extension_parameter_list.json", RawValue("eu-west-1,us-east-1", None, "1", is_list=True)),
        (PARAMETER, "extension_parameter_secure.json", RawValue("pass word", None, "1")),
        (PARAMETER, "extension_parameter_label.json", RawValue("first", None, "1")),
        (PARAMETER, "extension_reference.json", RawValue('{"user":"Zoë","password":"new"}', None, VERSION_2)),
        (PARAMETER, "extension_reference_binary.json", RawValue(None, bytes([0, 255, 254, 62]), VERSION_1)),
    ],
)
def test_reads_what_was_recorded(request_: Request, name: str, raw: RawValue) -> None:
    """Answers written letter by letter from AWS's documentation read as they should."""
    assert bare(read_body(request_, golden(name))) == raw


@pytest.mark.parametrize(
    ("request_", "content"),
    [
        (SECRET, []),
        (SECRET, None),
        (SECRET, {"SecretString": "s"}),
        (SECRET, {"SecretString": "s", "VersionId": 1}),
        (SECRET, {"SecretString": 1, "VersionId": "v"}),
        (SECRET, {"VersionId": "v"}),
        (SECRET, {"SecretString": None, "SecretBinary": None, "VersionId": "v"}),
        (SECRET, {"SecretString": "s", "SecretBinary": "AA==", "VersionId": "v"}),
        *((SECRET, {"SecretBinary": binary, "VersionId": "v"}) for binary in _NO_BASE64),
        (PARAMETER, []),
        (PARAMETER, {"Parameter": []}),
        (PARAMETER, {"Parameter": {"Value": "v"}}),
        (PARAMETER, {"Parameter": {"Version": 1}}),
        (PARAMETER, {"Parameter": {"Version": "1", "Value": "v"}}),
        (PARAMETER, {"Parameter": {"Version": 1, "Value": 2}}),
        (PARAMETER, {"SecretString": "s", "VersionId": "v"}),
    ],
)
def test_refuses_what_is_no_value(request_: Request, content: Any) -> None:
    """An answer without the fields of a value, or with others in their place, is no value."""
    body = json.dumps(content).encode()
    assert isinstance(read_answer(request_, Answer(200, body), LATE), errors.ProtocolError)


@bounded
@given(
    status=st.integers(100, 599),
    body=st.binary()
    | st.builds(
        lambda content: json.dumps(content).encode(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        ["__type", "Parameter", "Value", "Version", "SecretString", "SecretBinary", "VersionId"]
                    ),
                    inner,
                )
            ),
        ),
    ),
    request_=st.sampled_from([SECRET, PARAMETER]),
)
def test_no_answer_is_beyond_it(status: int, body: bytes, request_: Request) -> None:
    """Whatever a server answers becomes a value, an error of the tree or a retry: nothing is raised."""
    assert type(read_answer(request_, Answer(status, body), LATE)).__module__.startswith("lambdasecrets.")


@bounded
@given(text=st.text(), name=st.text(min_size=1).filter(lambda name: name.strip() and not set(name) & set("{}")))
def test_any_text_of_any_name_comes_as_it_is(text: str, name: str) -> None:
    """A value reads as the text that was stored, and a binary one as its bytes."""
    content: dict[str, Any] = {"VersionId": name, "SecretString": text, "SecretBinary": None, "ResultMetadata": {}}
    binary = content | {"SecretString": None, "SecretBinary": base64.b64encode(text.encode()).decode()}
    bodies = {"text": content, "binary": binary}
    read = {kind: bare(read_body(SECRET, json.dumps(body).encode())) for kind, body in bodies.items()}
    assert read == {"text": RawValue(text, None, name), "binary": RawValue(None, text.encode(), name)}
