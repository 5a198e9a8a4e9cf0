"""Values from AWS itself, past every cache: moto and the stand-in stand in for AWS."""

from __future__ import annotations

import contextvars
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest

from lambdasecrets import Parameter, Secret, errors, inject_secrets, resolve, testing, use_session
from lambdasecrets._clock import Deadline, Moment
from lambdasecrets._sources import direct
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Answer, Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import ResolutionError, Subject
from tests.dev.asking import until
from tests.dev.aws_double import REGION, AwsDouble, running_aws
from tests.serving import serving
from tests.test_leaks import TOKEN, VALUE, Watch, check, logged, said

SECONDS = 30.0
ACCESS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_DEFAULT_REGION": REGION}
GET = "secretsmanager:GetSecretValue"
THROTTLED = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Run AWS's double once for this file."""
    with running_aws(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture
def aws(moto: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> AwsDouble:
    """Give an AWS that knows nothing yet, and lead boto3 to it."""
    moto.reset()
    lead_to(moto.url, monkeypatch)
    return moto


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead boto3 to a URL that is no stand-in's, and forget what was asked elsewhere."""
    for name, value in {**ACCESS, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name, raising=False)
    direct.forget()


def limit(seconds: float = SECONDS) -> Deadline:
    """Set a deadline."""
    return Deadline(time.monotonic() + seconds, seconds, "timeout")


def ask_for(*declarations: Secret | Parameter, seconds: float = SECONDS) -> list[Fetched]:
    """Ask for values in one batch."""
    requests = [
        Request(f"/{number}", declaration, Subject("app.handler", ("x",), (str(declaration),)))
        for number, declaration in enumerate(declarations)
    ]
    answers = direct.fetch(requests, limit(seconds))
    return [answers[request.path] for request in requests]


def fetch(declaration: Secret | Parameter, seconds: float = SECONDS) -> Fetched:
    """Ask for one value; give it without what the answer says of itself."""
    outcome = ask_for(declaration, seconds=seconds)[0]
    return outcome.replace(identity=None) if isinstance(outcome, RawValue) else outcome


def text(fetched: Fetched) -> str | None:
    """Take the text out of a value."""
    assert isinstance(fetched, RawValue), fetched
    return fetched.text


def calls(emulator: Emulator) -> list[str | None]:
    """List what was asked of AWS's API."""
    return [record.name for record in emulator.requests if record.api is not None]


def test_gives_secrets(aws: AwsDouble) -> None:
    """A secret comes by name, version and stage, as text or as bytes."""
    made = aws.client("secretsmanager")
    first = made.create_secret(Name="s", SecretString="old")["VersionId"]
    second = made.put_secret_value(SecretId="s", SecretString="new")["VersionId"]
    binary = made.create_secret(Name="b", SecretBinary=b"\x00\xff")["VersionId"]
    assert fetch(Secret("s")) == RawValue("new", None, second)
    assert fetch(Secret("s", version_id=first)) == RawValue("old", None, first)
    assert fetch(Secret("s", version_stage="AWSPREVIOUS")) == RawValue("old", None, first)
    assert fetch(Secret("b")) == RawValue(None, b"\x00\xff", binary)


def test_gives_parameters(aws: AwsDouble) -> None:
    """A parameter comes by name, version and label, as text or as a list, decrypted or not."""
    made = aws.client("ssm")
    made.put_parameter(Name="/p", Value="old", Type="String")
    made.put_parameter(Name="/p", Value="new", Type="String", Overwrite=True)
    made.label_parameter_version(Name="/p", ParameterVersion=1, Labels=["Dev"])
    made.put_parameter(Name="/list", Value="a,b", Type="StringList")
    made.put_parameter(Name="/secure", Value="clear", Type="SecureString")
    assert fetch(Parameter("/p")) == RawValue("new", None, "2")
    assert fetch(Parameter("/p", version=1)) == RawValue("old", None, "1")
    assert fetch(Parameter("/p", label="Dev")) == RawValue("old", None, "1")
    assert fetch(Parameter("/list")) == RawValue("a,b", None, "1", is_list=True)
    assert fetch(Parameter("/secure")) == RawValue("clear", None, "1")
    assert fetch(Parameter("/secure", decrypt=False)) != RawValue("clear", None, "1")


def test_gives_references(emulator: Emulator, store: MemoryStore) -> None:
    """A reference to a secret comes, in its current version and in another one."""
    store.put_secret("s", "old")
    store.put_secret("s", "new")
    name = "/aws/reference/secretsmanager/s"
    got = ask_for(Parameter(name), Parameter(name, label="AWSPREVIOUS"), Parameter(f"{name}:AWSPREVIOUS"))
    assert [text(item) for item in got] == ["new", "old", "old"]


def test_gives_a_batch(emulator: Emulator, store: MemoryStore) -> None:
    """Many values come side by side, those that are missing as errors, over few connections."""
    for number in range(20):
        store.put_secret(f"s{number}", f"value {number}")
    store.put_parameter("/p", "parameter")
    got = ask_for(*(Secret(f"s{number}") for number in range(20)), Parameter("/p"), Secret("missing"))
    assert [text(item) for item in got[:-1]] == [*(f"value {number}" for number in range(20)), "parameter"]
    assert isinstance(got[-1], errors.NotFoundError)
    assert len({record.connection for record in emulator.requests}) <= 2 * 4


def test_asks_what_boto3_would_not_ask(aws: AwsDouble) -> None:
    """What boto3 takes for no valid version is asked all the same: AWS says what it is."""
    aws.client("secretsmanager").create_secret(Name="s", SecretString="text")
    got = fetch(Secret("s", version_id="short"))
    assert isinstance(got, errors.AnswerError)
    assert got.status in {400, 404}


def test_says_why_aws_refused(aws: AwsDouble) -> None:
    """What AWS refuses is an error that knows the cause."""
    got = fetch(Secret("missing"))
    assert isinstance(got, errors.NotFoundError)
    assert (got.code, got.server) == ("ResourceNotFoundException", "aws")
    assert isinstance(fetch(Parameter("/missing")), errors.NotFoundError)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"__type": "AccessDeniedException", "Message": "Access to KMS is not allowed"}', errors.DecryptionError),
        (b'{"__type": "DecryptionFailure", "Message": ""}', errors.DecryptionError),
        (b'{"__type": "AccessDeniedException", "Message": "no"}', errors.AccessDeniedError),
        (b'{"__type": "ExpiredTokenException", "message": "expired"}', errors.CredentialsRejectedError),
        (b'{"__type": "UnrecognizedClientException"}', errors.CredentialsRejectedError),
        (
            b'{"__type": "InvalidRequestException", "Message": "because it was marked for deletion."}',
            errors.MarkedForDeletionError,
        ),
        (b'{"__type": "NeverHeardOf", "Message": "a sentence"}', errors.AnswerError),
        (b"<html>", errors.AnswerError),
    ],
)
def test_knows_the_cause(emulator: Emulator, body: bytes, kind: type[errors.AnswerError]) -> None:
    """Each of AWS's answers is the error that says what to do."""
    emulator.inject(faults.Reply(400, body), times=None, match=GET)
    got = fetch(Secret("s"))
    assert type(got) is kind
    assert "sentence" not in str(got)


def test_a_denied_value(emulator: Emulator, store: MemoryStore) -> None:
    """What the stand-in denies is denied by AWS too."""
    store.put_secret("s", "text")
    store.deny("s")
    assert isinstance(fetch(Secret("s")), errors.AccessDeniedError)


def test_an_answer_without_a_value(emulator: Emulator) -> None:
    """An answer of AWS's that has no value is no value."""
    for api in (GET, "ssm:GetParameter"):
        emulator.inject(faults.Reply(200, b"{}"), times=None, match=api)
    for declaration in (Secret("s"), Parameter("/p")):
        got = fetch(declaration)
        assert isinstance(got, errors.ProtocolError)
        assert got.why == "the answer (200) of AWS has no value that can be read"


HALF = rb"hunter2\ud800"
"""Half an escaped character: Python's JSON reads it, and no encoding can write it."""


@pytest.mark.parametrize(
    ("declaration", "api", "body"),
    [
        (Secret("s"), "secretsmanager:GetSecretValue", b'{"Name":"s","VersionId":"v","SecretString":"%b"}' % HALF),
        (Parameter("/p"), "ssm:GetParameter", b'{"Parameter":{"Name":"/p","Version":1,"Value":"%b"}}' % HALF),
    ],
    ids=str,
)
def test_half_a_character(emulator: Emulator, declaration: Secret | Parameter, api: str, body: bytes) -> None:
    """A text that cannot be encoded is no value, whoever asks: Python's own error would carry it."""
    emulator.inject(faults.Reply(200, body), times=None, match=api)
    with pytest.raises(errors.ProtocolError) as caught:
        resolve(declaration, str, refresh=True, timeout=SECONDS)
    assert caught.value.why == "the answer (200) of AWS has no value that can be read"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("AWS_DEFAULT_REGION", None, "NoRegionError"),
        ("AWS_ENDPOINT_URL", "no url", "ValueError"),
        ("AWS_RETRY_MODE", "none", "InvalidRetryModeError"),
    ],
)
def test_says_why_aws_was_not_asked(
    aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, code: str
) -> None:
    """Whatever boto3 raises is an error: the thread that asks does not die of it."""
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.AnswerError)
    assert (got.status, got.reason) == (0, "boto3 could not ask AWS")
    assert got.code == code


def test_says_that_nobody_answered(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens the error names what did not answer, and nothing answered."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    got = fetch(Secret("s"))
    assert isinstance(got, errors.AwsUnavailableError)
    assert (got.endpoint, got.code) == ("http://127.0.0.1:1", "EndpointConnectionError")
    assert "answered" not in got.why


@pytest.mark.parametrize(
    "variables",
    [{"AWS_ACCESS_KEY_ID": None}, {"AWS_SECRET_ACCESS_KEY": None}, {"AWS_PROFILE": "missing"}],
)
def test_says_that_there_are_no_credentials(
    aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str | None]
) -> None:
    """Where boto3 has no credentials the error says so, and no answer of AWS's is claimed."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name, value in variables.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.CredentialsRejectedError)
    assert got.reason == "boto3 has no credentials for AWS"


# --- Time -----------------------------------------------------------------------------------------------------------


def hanging(asked: threading.Event, over: threading.Event) -> Callable[[Connection], None]:
    """Give a server that reads a request and says nothing."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        asked.set()
        over.wait(SECONDS)

    return serve


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no answer when the time is over is an error, in time."""
    asked, over = threading.Event(), threading.Event()
    with serving(hanging(asked, over)) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        began = time.monotonic()
        got = fetch(Secret("s"), seconds=2.0)
        took = time.monotonic() - began
        over.set()
    assert isinstance(got, errors.DeadlineExceededError)
    assert (got.seconds, got.bound, asked.is_set()) == (2.0, "timeout", True)
    assert got.why == f"no answer from http://127.0.0.1:{server.port} within 2.00 s (the timeout)"
    assert took < 2.5


def test_sts_that_does_not_answer(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is STS that does not answer, STS is named."""
    asked, over = threading.Event(), threading.Event()
    with serving(hanging(asked, over)) as server:
        lead_to("http://127.0.0.1:1", monkeypatch)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.port}")
        got = fetch(Secret("s", role_arn="arn:aws:iam::123456789012:role/reader"), seconds=2.0)
        over.set()
    assert isinstance(got, errors.DeadlineExceededError)
    assert got.endpoint == f"http://127.0.0.1:{server.port}"


def test_an_answer_in_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that never ends ends in time, though something comes all the while."""
    over = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not over.wait(0.01):
            connection.send(b" ")

    with serving(serve) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        began = time.monotonic()
        got = fetch(Secret("s"), seconds=1.0)
        took = time.monotonic() - began
        over.set()
    assert isinstance(got, errors.DeadlineExceededError)
    assert took < 1.5


def test_without_time() -> None:
    """Without any time left nothing is asked and no answer is waited for."""
    assert isinstance(fetch(Secret("s"), seconds=0.0), errors.DeadlineExceededError)


def test_an_interrupt_locks_nothing(emulator: Emulator, store: MemoryStore) -> None:
    """After an interrupt in the midst of it, whatever it held, AWS can be asked."""

    class Interrupting(Deadline):
        def left(self) -> float:
            raise KeyboardInterrupt

    store.put_secret("s", "text")
    before = direct._shared_calls
    with pytest.raises(KeyboardInterrupt):
        direct.fetch(
            [Request("/s", Secret("s"), Subject("app.handler", ("x",), ("Secret('s')",)))],
            Interrupting(time.monotonic() + SECONDS, SECONDS, "timeout"),
        )
    assert direct._shared_calls is not before
    assert text(fetch(Secret("s"))) == "text"


def test_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test's clock stands still the waits end all the same."""
    over = threading.Event()
    with serving(hanging(threading.Event(), over)) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        frozen = Frozen(time.monotonic() + 0.5, 0.5, "timeout")
        request = Request("/s", Secret("s"), Subject("app.handler", ("x",), ("Secret('s')",)))
        got = direct.fetch([request], frozen)["/s"]
        over.set()
    assert isinstance(got, errors.DeadlineExceededError)


class Frozen(Deadline):
    """A deadline that never comes nearer."""

    def left(self) -> float:
        return self.seconds


@pytest.mark.parametrize("status", [400, 500])
def test_asks_again_after_what_passes(emulator: Emulator, store: MemoryStore, status: int) -> None:
    """A call that AWS throttles or fails at is made again, three times at the most."""
    store.put_secret("s", "text")
    emulator.inject(faults.Reply(status, THROTTLED), times=2, match=GET)
    first = text(fetch(Secret("s")))
    direct.forget()
    emulator.inject(faults.Reply(status, THROTTLED), times=None, match=GET)
    last = fetch(Secret("s"))

    assert first == "text"
    assert isinstance(last, errors.ServerError)
    assert (last.status, last.attempts, last.server, last.code) == (status, 3, "aws", "ThrottlingException")
    assert len(calls(emulator)) == 6


def test_does_not_ask_again_without_time(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the time does not suffice for another attempt, what AWS said is the cause."""
    monkeypatch.setattr(direct, "_draw_wait", lambda attempt: SECONDS)
    emulator.inject(faults.Reply(503, b""), times=None, match=GET)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.ServerError)
    assert (got.status, got.attempts) == (503, 1)


# --- One call for all -----------------------------------------------------------------------------------------------


def in_threads(number: int, ask: Callable[[int], Fetched]) -> list[Fetched]:
    """Ask from many threads at once."""
    together = threading.Barrier(number)

    def run(index: int) -> Fetched:
        together.wait(SECONDS)
        return ask(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_sixty_threads_make_one_call(emulator: Emulator, store: MemoryStore) -> None:
    """Whoever asks while a call is under way, or just after it, gets its answer."""
    store.put_secret("s", "text")
    emulator.inject(faults.Latency(0.2), match=GET)
    got = in_threads(60, lambda _: fetch(Secret("s")))
    got.append(fetch(Secret("s", version_stage="AWSCURRENT")))
    assert {text(item) for item in got} == {"text"}
    assert calls(emulator) == ["s"]


def test_an_error_is_shared_too(emulator: Emulator) -> None:
    """A definite error is everybody's for a second, each with its own subject."""
    got = in_threads(10, lambda number: fetch(Secret("missing", key=f"k{number}")))
    assert {type(item) for item in got} == {errors.NotFoundError}
    assert len({str(item) for item in got}) == 10
    assert calls(emulator) == ["missing"]


def test_an_answer_is_shared_for_a_second(emulator: Emulator, store: MemoryStore) -> None:
    """A second after an answer AWS is asked anew."""
    store.put_secret("s", "old")
    first = fetch(Secret("s"))
    store.put_secret("s", "new")
    second = fetch(Secret("s"))
    time.sleep(direct.SHARED_SECONDS + 0.05)
    third = fetch(Secret("s"))
    assert [text(item) for item in (first, second, third)] == ["old", "old", "new"]


@pytest.mark.parametrize("forget", [testing.forget, lambda: use_session(None)])
def test_what_is_shared_can_be_forgotten(emulator: Emulator, store: MemoryStore, forget: Callable[[], None]) -> None:
    """A test that lets the library forget gets what AWS has now."""
    store.put_secret("s", "old")
    first = resolve(Secret("s"), str, refresh=True)
    store.put_secret("s", "new")
    forget()
    assert (first, resolve(Secret("s"), str, refresh=True)) == ("old", "new")


def test_a_process_that_was_frozen(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer from before a freeze is not shared after it, though the monotonic clock stood still meanwhile."""
    store.put_secret("s", "old")
    fetch(Secret("s"))
    store.put_secret("s", "new")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    assert text(fetch(Secret("s"))) == "new"


def test_a_clock_that_is_set_back(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer from the future is not shared."""
    store.put_secret("s", "old")
    fetch(Secret("s"))
    store.put_secret("s", "new")
    before = time.monotonic() - 600, time.time() - 600
    monkeypatch.setattr(direct, "_now", lambda: Moment(*before))
    assert text(fetch(Secret("s"))) == "new"


def test_calls_of_many_batches(emulator: Emulator, store: MemoryStore) -> None:
    """A thread that has more to do forgets what is no longer shared, and goes on."""
    store.put_secret("s", "text")
    over = time.monotonic() + 2 * direct.SHARED_SECONDS
    number = 0
    while time.monotonic() < over:
        number += 1
        fetch(Secret(f"missing{number}"))
        time.sleep(direct.SHARED_SECONDS / 4)
    assert len(direct._shared_calls._calls) < number


@pytest.mark.parametrize(
    "other",
    [
        Secret("s", version_stage="AWSPENDING"),
        Secret("s", version_id="11111111-1111-4111-8111-111111111111"),
        Parameter("/s"),
        Parameter("/s", decrypt=False),
        Parameter("/s", version=1),
        Parameter("/s", label="x"),
    ],
)
def test_what_differs_is_not_shared(emulator: Emulator, other: Secret | Parameter) -> None:
    """Another version, stage, label or service is another call."""
    ask_for(Secret("s"), Parameter("/s", version=2), other)
    assert len(calls(emulator)) == 3


def test_another_aws_is_not_shared(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is not given to who asks another AWS, or with other credentials."""
    got = []
    for value in ("one", "two"):
        other = MemoryStore()
        other.put_secret("s", value)
        with Emulator(other) as emulator:
            for name, setting in emulator.environment().items():
                monkeypatch.setenv(name, setting)
            got.append(text(fetch(Secret("s"))))
    assert got == ["one", "two"]


@dataclass
class SlowRefusal:
    """Refuse for a moment, after a while."""

    def applies(self, exchange: faults.Exchange) -> bool:
        return True

    def play(self, exchange: faults.Exchange) -> None:
        exchange.wait(0.1)
        exchange.send(Answer(500, THROTTLED))


def test_a_transient_error_is_not_shared(emulator: Emulator, store: MemoryStore) -> None:
    """Who waited for a call that failed for a moment asks anew, one of them for all."""
    store.put_secret("s", "text")
    emulator.inject(SlowRefusal(), times=3, match=GET)
    got = in_threads(5, lambda _: fetch(Secret("s")))
    assert [type(item) for item in got if not isinstance(item, RawValue)] == [errors.ServerError]
    assert {text(item) for item in got if isinstance(item, RawValue)} == {"text"}
    assert calls(emulator) == ["s"] * 4


def test_the_first_callers_deadline_is_not_shared(emulator: Emulator, store: MemoryStore) -> None:
    """Who waited for a call whose first caller had little time asks anew."""
    store.put_secret("s", "text")
    fetch(Secret("warm"))
    emulator.inject(faults.Hang(5.0), times=1, match=GET)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, Secret("s"), 0.5)
        until(lambda: "s" in calls(emulator))
        second = pool.submit(fetch, Secret("s"))
        got = first.result(SECONDS), second.result(SECONDS)
    assert isinstance(got[0], errors.DeadlineExceededError)
    assert text(got[1]) == "text"


# --- Threads --------------------------------------------------------------------------------------------------------


def list_threads() -> list[threading.Thread]:
    """List the threads that ask AWS."""
    return [thread for thread in threading.enumerate() if thread.name == "lambdasecrets-aws"]


def test_threads_end_when_there_is_nothing_to_do(emulator: Emulator, store: MemoryStore) -> None:
    """An idle process has no thread of ours, and keeps no value."""
    store.put_secret("s", "text")
    direct.forget()
    fetch(Secret("s"))
    assert list_threads() != []
    until(lambda: not list_threads())
    assert direct._shared_calls._calls == {}


def test_threads_are_bounded(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a thread is inside the deadline."""
    until(lambda: not list_threads())
    direct.forget()
    monkeypatch.setattr(direct, "MOST_THREADS", 2)
    emulator.inject(faults.Hang(5.0), times=2, match=GET)
    with ThreadPoolExecutor(2) as pool:
        hung = [pool.submit(fetch, Secret(f"hung{number}"), 2.0) for number in range(2)]
        until(lambda: len(calls(emulator)) == 2)
        began = time.monotonic()
        got = fetch(Secret("s"), seconds=0.3)
        took = time.monotonic() - began
        assert len(list_threads()) == 2
        assert {type(item.result(SECONDS)) for item in hung} == {errors.DeadlineExceededError}
    assert isinstance(got, errors.DeadlineExceededError)
    assert took < 1.0


def test_no_thread_can_be_started(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread left, that is the error, and at once."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    until(lambda: not list_threads())
    direct.forget()
    monkeypatch.setattr(threading.Thread, "start", start)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.AnswerError)
    assert (got.code, got.status) == ("no thread could be started", 0)


def test_runs_in_a_copy_of_the_callers_context(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a caller's context variables say holds in the thread; what is set there does not come back."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []
    ask = direct._BatchCaller.ask

    def look(batch: Any, declaration: Any) -> Any:
        seen.append(variable.get())
        variable.set("changed")
        return ask(batch, declaration)

    monkeypatch.setattr(direct._BatchCaller, "ask", look)
    variable.set("mine")
    ask_for(Secret("a"), Secret("b"))
    assert (seen, variable.get()) == (["mine", "mine"], "mine")


PROCESS = """
import sys, time
from lambdasecrets._clock import Deadline
from lambdasecrets import Secret
from lambdasecrets._sources import direct
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import Subject
def fetch(name, seconds):
    request = Request("/s", Secret(name), Subject("h", ("x",), (name,)))
    return direct.fetch([request], Deadline(time.monotonic() + seconds, seconds, "timeout"))["/s"]
"""


def run(code: str, **variables: str) -> tuple[str, float]:
    """Run a process; give what it printed and how long it took."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROCESS + code],
        env={**os.environ, **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), time.monotonic() - began


def test_slow_to_load(emulator: Emulator, tmp_path: Path) -> None:
    """Loading boto3 is inside the deadline, and a thread that still loads it does not hold the process."""
    (tmp_path / "botocore").mkdir()
    (tmp_path / "botocore" / "__init__.py").write_text("import time; time.sleep(20)")
    code = "began = time.monotonic(); print(type(fetch('s', 0.5)).__name__, time.monotonic() - began < 1.0)"
    printed, seconds = run(code, PYTHONPATH=str(tmp_path))
    assert printed == "DeadlineExceededError True"
    assert seconds < 15.0


def test_cannot_be_loaded(emulator: Emulator, tmp_path: Path) -> None:
    """What boto3 raises while it is loaded is an error, whatever it is."""
    (tmp_path / "botocore").mkdir()
    (tmp_path / "botocore" / "__init__.py").write_text("raise SystemExit('away')")
    printed, _ = run("print(fetch('s', 5.0))", PYTHONPATH=str(tmp_path))
    assert "boto3 could not ask AWS (SystemExit, status 0)" in printed


def test_after_a_fork(emulator: Emulator, store: MemoryStore) -> None:
    """A forked child asks for itself, though its parent was in the middle of a call and had an answer just now."""
    store.put_secret("s", "text")
    store.put_secret("slow", "text")
    emulator.inject(faults.Latency(1.0), match=f"{GET} slow")
    code = """
import os, threading
print(fetch("s", 20.0).text)
threading.Thread(target=fetch, args=("slow", 20.0)).start()
calls = direct._shared_calls
while not calls._queue and not any(call.outcome is None for call in list(calls._calls.values())):
    time.sleep(0.001)
child = os.fork()
print(fetch("s", 20.0).text, fetch("slow", 20.0).text, flush=True)
if not child:
    sys.exit()
print(os.waitpid(child, 0)[1])
"""
    printed, _ = run(code, PYTHONWARNINGS="ignore")
    assert printed.splitlines() == ["text", *["text text"] * 2, "0"]
    assert sorted(name or "" for name in calls(emulator)) == ["s", "s", "slow", "slow"]


# --- What is logged -------------------------------------------------------------------------------------------------


def test_no_record_of_boto3(emulator: Emulator, store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at DEBUG neither a value nor the token is logged, nor anything else of boto3's."""
    caplog.set_level(logging.DEBUG)
    store.put_secret("s", "a secret value")
    text(fetch(Secret("s")))
    fetch(Secret("missing"))
    emulator.inject(faults.Reply(500, THROTTLED), times=1, match="ssm:GetParameter")
    fetch(Parameter("/p"))
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert names <= {"lambdasecrets"}
    assert "a secret value" not in caplog.text
    assert emulator.token not in caplog.text


def test_no_record_of_a_first_call(emulator: Emulator, store: MemoryStore) -> None:
    """Nor is there one of what is loaded at the first call of a process."""
    store.put_secret("s", "a secret value")
    code = """
import logging
logging.basicConfig(level=0, stream=sys.stdout)
assert fetch("s", 20.0).text
time.sleep(1.5)
print("over", "botocore.parsers" in logging.root.manager.loggerDict, logging.getLogger("botocore.parsers").filters)
"""
    assert run(code)[0] == "over True []"


@pytest.mark.parametrize(
    "fault",
    [
        None,
        said(200),
        said(200, SecretString=VALUE),
        said(400, __type="ResourceNotFoundException"),
        said(400, __type="AccessDeniedException"),
        said(400, __type="ExpiredTokenException"),
        said(400, __type="ThrottlingException"),
        said(400, __type=VALUE),
        said(500),
        faults.Reply(400, f"<{TOKEN}>{VALUE}".encode()),
        faults.Redirect(f"http://127.0.0.1:9/{TOKEN}"),
        faults.Truncated(),
        faults.ResetInsideAnswer(),
        faults.SlowDrip("body", size=2, interval=0.05),
        faults.Hang(),
    ],
    ids=lambda fault: "none" if fault is None else type(fault).__name__,
)
@pytest.mark.parametrize("role_arn", [None, "arn:aws:iam::123456789012:role/reader"])
def test_nothing_shows_a_value(
    monkeypatch: pytest.MonkeyPatch, fault: faults.Fault | None, role_arn: str | None
) -> None:
    """Whatever AWS answers, nothing that comes of it shows a part of a value or of a token, at any level of the log."""
    store, watch = MemoryStore(), Watch(VALUE, TOKEN)
    store.put_secret("s", VALUE)
    with Emulator(store, token=TOKEN) as emulator, logged() as log:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        if fault is not None:
            emulator.inject(fault, times=None, match=GET)
        got = fetch(Secret("s", role_arn=role_arn), seconds=2.0)
    check(watch, got if isinstance(got, ResolutionError) else repr(got), log)
    assert isinstance(got, RawValue if fault is None else ResolutionError)


def test_knows_whether_boto3_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 is looked for, not imported."""
    assert direct.is_installed()
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert not direct.is_installed()
    monkeypatch.setitem(sys.modules, "boto3", ModuleType("boto3"))
    assert direct.is_installed()


# --- Through a handler --------------------------------------------------------------------------------------------


class LoginError(Exception):
    """The database does not let the handler in."""


class Database:
    """A database whose password was rotated, with a handler that logs in."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.tried: list[str] = []
        self.handler = inject_secrets(retry_on=(LoginError,))(self._make())

    def _make(self) -> Any:
        def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
            self.tried.append(password)
            if password != self.password:
                raise LoginError
            return password

        return handler

    def logged_in(self) -> list[str]:
        """Call the handler; give the passwords that it tried."""
        self.tried.clear()
        self.handler({}, None)
        return list(self.tried)


@pytest.fixture
def stale(emulator: Emulator, store: MemoryStore, aws: AwsDouble) -> Any:
    """Give Secrets Manager, whose secret is newer than the one that the extension has in its cache."""
    made = aws.client("secretsmanager")
    made.create_secret(Name="db", SecretString="second")
    store.put_secret("db", "first")
    return made


def test_a_handler_under_a_stand_in(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A handler's test never gets what a developer's own profile leads to: AWS is the stand-in."""
    (tmp_path / ".aws").mkdir()
    settings = "[default]\nregion = eu-west-1\nignore_configured_endpoint_urls = true\n"
    (tmp_path / ".aws" / "config").write_text(settings)
    keys = "[default]\naws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = production\n"
    (tmp_path / ".aws" / "credentials").write_text(keys)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "missing")
    store.put_secret("db", "first")
    with Emulator(store, secrets_ttl=300) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        database = Database("first")
        before = database.logged_in()
        store.put_secret("db", "second")
        database.password = "second"
        after = database.logged_in()
        asked = calls(emulator)
    assert (before, after, asked) == (["first"], ["first", "second"], ["db"])


def test_the_last_good_value_when_aws_cannot_be_reached_either(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `fallback` a stale value serves once AWS itself cannot be reached, and not before it was asked."""
    store.put_secret("db", "first")

    @inject_secrets(fallback="aws", stale_if_error=60, timeout=2)
    def handler(event: Any, context: Any, *, password: Annotated[str, Secret("db")]) -> str:
        return password

    handler({}, None)
    emulator.inject(faults.Reply(500, b""), times=None)
    lead_to("http://127.0.0.1:1", monkeypatch)
    assert handler({}, None) == "first"


def test_a_rotated_secret_runs_the_handler_once_more(emulator: Emulator, stale: Any) -> None:
    """A handler that fails with an old value gets the new one from AWS, and keeps it while the extension is behind."""
    database = Database("second")
    assert [database.logged_in() for _ in range(3)] == [["first", "second"], ["second"], ["second"]]
    assert len(emulator.requests) == 4


def test_a_secret_that_rotates_twice(stale: Any) -> None:
    """A second rotation while the extension still has the first value is followed too."""
    database = Database("second")
    database.logged_in()
    time.sleep(direct.SHARED_SECONDS)
    stale.put_secret_value(SecretId="db", SecretString="third")
    database.password = "third"
    assert [database.logged_in() for _ in range(2)] == [["second", "third"], ["third"]]


def test_the_extension_catches_up(store: MemoryStore, stale: Any) -> None:
    """Once the extension has another version than the old one, its answers count again."""
    database = Database("second")
    database.logged_in()
    store.put_secret("db", "newest")
    database.password = "newest"
    assert database.logged_in() == ["newest"]


def test_a_version_that_did_not_change(emulator: Emulator, store: MemoryStore, aws: AwsDouble) -> None:
    """Where AWS has the same version the handler's error goes on, and the handler does not run again."""
    version = aws.client("secretsmanager").create_secret(Name="db", SecretString="first")["VersionId"]
    store.put_secret("db", "first", version_id=version)
    database = Database("another")
    with pytest.raises(LoginError) as failure:
        database.logged_in()
    assert (database.tried, failure.value.__cause__, failure.value.__context__) == (["first"], None, None)


def test_the_handler_runs_twice_at_most(stale: Any) -> None:
    """An error of the second run goes on."""
    database = Database("unknown")
    with pytest.raises(LoginError):
        database.logged_in()
    assert database.tried == ["first", "second"]


def test_a_refusal_of_aws_is_no_new_error(
    emulator: Emulator, store: MemoryStore, aws: AwsDouble, caplog: pytest.LogCaptureFixture
) -> None:
    """Where AWS does not give a newer value the handler's own error is raised, and one warning tells why."""
    store.put_secret("db", "first")
    database = Database("second")
    with pytest.raises(LoginError):
        database.logged_in()
    warnings = [record.getMessage() for record in caplog.records if record.name == "lambdasecrets"]
    began = "Could not fetch a newer value after the handler failed. Cannot resolve 'password' of "
    assert [text.startswith(began) for text in warnings] == [True]
    assert "ResourceNotFoundException" in warnings[0]
