"""Values from AWS itself, past the extension's cache: moto stands in for AWS."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from lambdasecrets import Parameter, Secret, errors, inject_secrets
from lambdasecrets._clock import deadline
from lambdasecrets._sources import direct
from lambdasecrets._sources.request import Fetched, RawValue, Request
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import ResolutionError, Subject
from tests.dev.aws_double import REGION, AwsDouble, running_aws
from tests.serving import serving

SECONDS = 30.0
ACCESS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_DEFAULT_REGION": REGION}


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
    """Lead boto3 to a URL, and let it make new clients."""
    for name, value in {**ACCESS, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SSM"):
        monkeypatch.delenv(name, raising=False)
    direct._client.cache_clear()


def fetch(declaration: Secret | Parameter, seconds: float = SECONDS) -> Fetched:
    """Ask for one value."""
    request = Request("/a/path", declaration, Subject("app.handler", ("x",), (str(declaration),)))
    return direct.fetch([request], deadline(seconds))["/a/path"]


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


def test_says_why_aws_refused(aws: AwsDouble) -> None:
    """What AWS refuses is an error with its code."""
    assert str(fetch(Secret("missing"))) == (
        "Cannot resolve 'x' of app.handler, Secret('missing'): AWS answered with an error (ResourceNotFoundException, "
        "status 404). See the error codes of GetSecretValue in the Secrets Manager API reference."
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("AWS_DEFAULT_REGION", None, "NoRegionError"),
        ("AWS_ENDPOINT_URL", "no url", "ValueError"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "EndpointConnectionError"),
    ],
)
def test_says_why_aws_was_not_asked(
    aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, code: str
) -> None:
    """Whatever boto3 raises is an error: the thread that asks does not die of it."""
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.AnswerError)
    assert (got.code, got.status) == (code, 0)


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no answer when the time is over is an error."""
    asked, over = threading.Event(), threading.Event()

    def serve(connection: Connection) -> None:
        connection.read_request()
        asked.set()
        over.wait(SECONDS)

    with serving(serve) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        got = fetch(Secret("s"), seconds=2.0)
        over.set()
    assert isinstance(got, errors.DeadlineExceededError)
    assert (got.seconds, got.bound, asked.is_set()) == (2.0, "timeout", True)


def test_without_time() -> None:
    """Without any time left no answer is waited for."""
    assert isinstance(fetch(Secret("s"), seconds=0.0), errors.DeadlineExceededError)


def test_knows_whether_boto3_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 is looked for, not imported."""
    assert direct.is_installed()
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert not direct.is_installed()


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


def test_a_rotated_secret_runs_the_handler_once_more(emulator: Emulator, stale: Any) -> None:
    """A handler that fails with an old value gets the new one from AWS, and keeps it while the extension is behind."""
    database = Database("second")
    assert [database.logged_in() for _ in range(3)] == [["first", "second"], ["second"], ["second"]]
    assert len(emulator.requests) == 3


def test_a_secret_that_rotates_twice(stale: Any) -> None:
    """A second rotation while the extension still has the first value is followed too."""
    database = Database("second")
    database.logged_in()
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
    """Where AWS cannot be asked the handler's own error goes on; the event tells what was in the way."""
    caplog.set_level(logging.DEBUG, "lambdasecrets")
    store.put_secret("db", "first")
    database = Database("second")
    with pytest.raises(LoginError):
        database.logged_in()
    events = [record.__dict__["resolve_event"] for record in caplog.records if "resolve_event" in record.__dict__]
    assert [None, errors.AnswerError] == [event.error and type(event.error) for event in events]
    assert isinstance(events[1].error, ResolutionError)
