"""What boto3 is led by when this library asks AWS: the environment, a stand-in, roles."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets import Parameter, Secret, errors
from lambdasecrets._clock import Deadline
from lambdasecrets._sources import boto, direct
from lambdasecrets._sources.boto import Roles
from lambdasecrets._sources.forms import RawValue, make_form
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import Subject
from tests.dev.asking import until
from tests.reliability.hostile import AnothersAnswer
from tests.serving import answer, repeating, serving

SECONDS = 30.0
ENDLESS_BYTES = 64 * 1024 * 1024  # much more than the kernel takes for a client that reads no more
BLOCK_BYTES = 64 * 1024
ANOTHERS = (
    "the answer (200) of AWS is about another secret or parameter, or another version, than was asked for. "
    "Does a setting of boto3 (AWS_ENDPOINT_URL, a profile, a proxy) lead to what is not AWS?"
)
OWN_ROLE = "arn:aws:iam::123456789012:role/own"
OTHER_ROLE = "arn:aws:iam::999988887777:role/other"
THIRD_ROLE = "arn:aws:iam::111122223333:role/third"


def fetch(declaration: Secret | Parameter, seconds: float = SECONDS) -> Fetched:
    """Ask AWS for one value, now."""
    request = Request("/s", declaration, Subject("app.handler", ("x",), (str(declaration),)))
    return direct.fetch([request], Deadline(time.monotonic() + seconds, seconds, "timeout"))["/s"]


def text(fetched: Fetched) -> str | None:
    """Take the text out of a value."""
    assert isinstance(fetched, RawValue), fetched
    return fetched.text


@dataclass
class Listening:
    """A fault that is none: it notes the headers of what is asked."""

    heard: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def applies(self, exchange: faults.Exchange) -> bool:
        return True

    def play(self, exchange: Any) -> None:
        self.heard.append(dict(exchange.request.headers))
        exchange.send(exchange.answer())


@pytest.fixture
def headers(emulator: Emulator) -> list[dict[str, str]]:
    """Give the headers of all that the emulator is asked."""
    listening = Listening()
    for api in ("secretsmanager:GetSecretValue", "ssm:GetParameter", "sts:AssumeRole"):
        emulator.inject(listening, times=None, match=api)
    return listening.heard


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let nothing of a test be another's."""
    direct.forget()
    yield
    direct.forget()


# --- The stand-in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:2773", True),
        ("http://localhost:2773", True),
        ("http://[::1]:2773", True),
        ("http://0.0.0.0:2773/", True),
        ("http://127.0.0.1:2774", False),
        ("https://127.0.0.1:2773", False),
        ("http://10.0.0.1:2773", False),
        ("http://example.com:2773", False),
        ("http://127.0.0.1:x", False),
        ("http://127.0.0.1", False),
        ("", False),
    ],
)
def test_when_aws_is_a_stand_in(monkeypatch: pytest.MonkeyPatch, url: str, expected: bool) -> None:
    """AWS is a stand-in where its endpoint is the server on this machine that also is the extension."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
    assert boto.find_stand_in() == (url if expected else None)


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a developer's machine, with all that could lead a call to production."""
    folder = tmp_path / ".aws"
    folder.mkdir()
    keys = "aws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = production\n"
    (folder / "credentials").write_text(f"[default]\n{keys}[production]\n{keys}")
    settings = (
        "ignore_configured_endpoint_urls = true\nregion = us-west-2\nuse_fips_endpoint = true\n"
        "services = far\nendpoint_url = http://192.0.2.1\n"
    )
    services = "[services far]\nsecrets_manager =\n  endpoint_url = http://192.0.2.1\nssm =\n  endpoint_url = http://192.0.2.1\n"
    (folder / "config").write_text(f"[default]\n{settings}[profile production]\n{settings}{services}")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_PROFILE": "production"},
        {"AWS_PROFILE": "missing"},
        {"AWS_DEFAULT_PROFILE": "missing"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ACCESS_KEY_ID": "AKIAPRODUCTION", "AWS_SECRET_ACCESS_KEY": "production"},
        {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_ENDPOINT_URL": "http://192.0.2.1", "AWS_ENDPOINT_URL_SSM": "http://192.0.2.1"},
        {"HTTP_PROXY": "http://192.0.2.1:3128", "http_proxy": "http://192.0.2.1:3128"},
        {"AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"},
    ],
    ids=lambda variables: "-".join(variables) or "none",
)
@pytest.mark.usefixtures("production")
def test_no_account_is_asked(
    emulator: Emulator,
    store: MemoryStore,
    headers: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
) -> None:
    """While a stand-in serves the process AWS is that stand-in, whatever a machine is configured by."""
    store.put_secret("s", "made up")
    store.put_parameter("/p", "made up")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [text(fetch(Secret("s"), 5.0)), text(fetch(Parameter("/p"), 5.0))] == ["made up", "made up"]
    assert text(fetch(Secret("s", role_arn=OWN_ROLE), 5.0)) == "made up"
    assert "PRODUCTION" not in str(headers)
    assert [record.api for record in emulator.requests] == [
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "sts:AssumeRole",
        "secretsmanager:GetSecretValue",
    ]


# --- What is found anew for every use -------------------------------------------------------------------------------


def test_the_token_is_read_for_every_use(
    emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was rotated is the one that is sent, and an old one is refused as such."""
    store.put_secret("s", "text")
    first = text(fetch(Secret("s")))
    emulator.token = "rotated"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    refused = fetch(Secret("s"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "rotated")
    assert (first, text(fetch(Secret("s")))) == ("text", "text")
    assert isinstance(refused, errors.CredentialsRejectedError)


def test_the_token_of_an_agent(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for the agent is asked with the token that the agent is asked with; without any it refuses."""
    store.put_parameter("/p", "text")
    with Emulator(store, profile="agent") as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_SESSION_TOKEN")
        refused = fetch(Parameter("/p"))
        (tmp_path / "token").write_text(emulator.token)
        monkeypatch.setenv("AWS_TOKEN", f"file://{tmp_path}/token")
        assert text(fetch(Parameter("/p"))) == "text"
    assert isinstance(refused, errors.CredentialsRejectedError)


@pytest.mark.parametrize("variable", ["AWS_DEFAULT_REGION", "AWS_REGION"])
def test_the_region_is_read_for_every_use(
    emulator: Emulator, headers: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The Region is the environment's of now, also where only AWS_REGION is set; a stand-in needs none."""
    for region in ("eu-west-1", "eu-west-2"):
        monkeypatch.setenv(variable, region)
        fetch(Secret("s"))
    monkeypatch.delenv(variable)
    fetch(Secret("s"))
    scopes = [re.search(r"/([a-z0-9-]+)/secretsmanager/aws4_request", heard["authorization"]) for heard in headers]
    assert [scope and scope[1] for scope in scopes] == ["eu-west-1", "eu-west-2", "us-east-1"]


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead boto3 to an AWS that is no stand-in of ours."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


SECRET = b'{"ARN": "arn", "Name": "s", "VersionId": "v", "SecretString": "text"}'


@contextmanager
def noting(heard: list[str]) -> Iterator[str]:
    """Serve a secret to whoever asks; note what is asked for. Give the URL."""

    def serve(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            heard.append(request.target)
            connection.send(answer(SECRET, "Content-Type: application/x-amz-json-1.1"))

    with serving(serve) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_no_proxy_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint on this machine is asked without a proxy, which would get the token; another one through it."""
    heard: list[str] = []
    with noting(heard) as url, noting(heard) as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for endpoint in (url, url.replace("127.0.0.1", "localhost"), "http://far.invalid"):
            lead_to(endpoint, monkeypatch)
            assert text(fetch(Secret("s"))) == "text"
    assert heard == ["/", "/", "http://far.invalid/"]


def test_follows_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect of an endpoint's leads nowhere: what it names would get the token."""
    heard: list[str] = []
    with noting(heard) as elsewhere:
        moved = answer(b"", f"Location: {elsewhere}/", status="307 Temporary Redirect")
        with serving(repeating(moved)) as server:
            lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
            got = fetch(Secret("s"))
    assert isinstance(got, errors.ResolutionError)
    assert heard == []


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not answer is named, without the password in its URL."""
    monkeypatch.setenv("HTTP_PROXY", "http://user:password@127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    lead_to("http://far.invalid", monkeypatch)
    got = fetch(Secret("s"))
    assert isinstance(got, errors.AwsUnavailableError)
    assert (got.endpoint, got.code) == ("http://127.0.0.1:1", "ProxyConnectionError")
    assert "password" not in str(got)


def test_an_endpoint_that_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends without an answer is no answer."""
    with serving(lambda connection: connection.close()) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        got = fetch(Secret("s"))
    assert isinstance(got, errors.AwsUnavailableError)
    assert got.endpoint == f"http://127.0.0.1:{server.port}"


# --- What is read of an answer --------------------------------------------------------------------------------------


def test_an_answer_that_is_cut_is_asked_for_again(emulator: Emulator, store: MemoryStore) -> None:
    """An answer that is shorter than it says is no answer: it could pass for one without a value."""
    store.put_secret("s", "whole")
    emulator.inject(faults.Truncated(), match="secretsmanager:GetSecretValue")
    assert text(fetch(Secret("s"))) == "whole"
    assert len(emulator.requests) == 2


def test_reads_no_longer_than_there_is_time(emulator: Emulator, store: MemoryStore) -> None:
    """An answer that comes in drops holds no thread beyond the time of who asked."""
    store.put_secret("s", "text")
    emulator.inject(faults.SlowDrip("body", interval=0.1), match="secretsmanager:GetSecretValue")
    assert isinstance(fetch(Secret("s"), 1.0), errors.DeadlineExceededError)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "lambdasecrets-aws"])


@pytest.mark.parametrize("declaration", [Secret("s"), Parameter("/s")], ids=str)
@pytest.mark.parametrize(("times", "expected"), [(1, "right"), (None, ANOTHERS)])
def test_an_answer_about_another_value(
    emulator: Emulator, store: MemoryStore, declaration: Secret | Parameter, times: int | None, expected: str
) -> None:
    """What is about another value is asked for again; where it stays so, that is the error, and no value."""
    store.put_secret("s", "right")
    store.put_parameter("/s", "right", type="String")
    for api in ("secretsmanager:GetSecretValue", "ssm:GetParameter"):
        emulator.inject(AnothersAnswer('s",', 't",'), times=times, match=api)
    got = fetch(declaration)
    assert (got.text if isinstance(got, RawValue) else str(got).partition(": ")[2]) == expected


@pytest.mark.parametrize("framing", ["", f"Content-Length: {ENDLESS_BYTES}\r\n"])
def test_reads_no_more_than_a_value_can_have(monkeypatch: pytest.MonkeyPatch, framing: str) -> None:
    """A body without an end is left where it is too large, long before it is read."""
    sent: list[int] = []

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n".encode())
        with suppress(OSError):
            while sum(sent) < ENDLESS_BYTES:  # pragma: no branch - the client goes before
                connection.send(b"x" * BLOCK_BYTES)
                sent.append(BLOCK_BYTES)

    with serving(serve) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        assert isinstance(fetch(Secret("s")), errors.ProtocolError)
    assert sum(sent) < ENDLESS_BYTES


@pytest.mark.parametrize(
    ("variable", "expected"),
    [(None, "https://sts.eu-west-1.amazonaws.com"), ("legacy", "https://sts.amazonaws.com")],
)
def test_sts_is_the_regions_own(monkeypatch: pytest.MonkeyPatch, variable: str | None, expected: str) -> None:
    """A role is assumed at the Region's endpoint, to which a VPC has a way, unless the environment says otherwise."""
    lead_to("", monkeypatch)
    if variable:
        monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", variable)
    client = boto._make_session(None, lambda: None).create_client("sts", region_name="eu-west-1")
    assert client.meta.endpoint_url == expected
    client.close()


def test_credentials_that_boto3_asks_for_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a profile's own role cannot be assumed, that is an error of the credentials, not of the value."""
    (tmp_path / "config").write_text(
        f"[profile own]\nrole_arn = {OWN_ROLE}\ncredential_source = Environment\nregion = eu-west-1\n"
    )
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer(denied, "Content-Type: text/xml", status="403 Forbidden"))

    with serving(serve) as server:
        lead_to(f"http://127.0.0.1:{server.port}", monkeypatch)
        monkeypatch.setenv("AWS_PROFILE", "own")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        session = boto._make_session(None, lambda: None)
        session.set_config_variable("profile", "own")
        outcome = boto._read_error(_fail(session), has_role=False)
    assert outcome == boto.Unasked("AccessDenied", for_credentials=True)


def _fail(session: Any) -> Exception:
    with pytest.raises(Exception, match="AccessDenied") as failure:
        session.get_credentials().get_frozen_credentials()
    return failure.value


# --- Roles ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def accounts(store: MemoryStore) -> None:
    """Put a secret of one name into three accounts."""
    store.put_secret("db", "mine")
    store.put_secret("arn:aws:secretsmanager:us-east-1:999988887777:secret:db-AbCdEf", "theirs")
    store.put_secret("arn:aws:secretsmanager:us-east-1:111122223333:secret:db-GhIjKl", "others'")


@pytest.mark.usefixtures("accounts")
def test_a_role_reads_its_own_account(emulator: Emulator) -> None:
    """The same name asked with two roles is two values, never swapped, under threads."""
    expected = {None: "mine", OWN_ROLE: "mine", OTHER_ROLE: "theirs", THIRD_ROLE: "others'"}
    with ThreadPoolExecutor(16) as pool:
        roles = list(expected) * 8
        got = list(pool.map(lambda role: text(fetch(Secret("db", role_arn=role))), roles))
    assert got == [expected[role] for role in roles]
    assert sum(record.api == "secretsmanager:GetSecretValue" for record in emulator.requests) == 4


def assumed(emulator: Emulator) -> list[str | None]:
    """List the roles that were assumed."""
    return [record.name for record in emulator.requests if record.api == "sts:AssumeRole"]


@pytest.mark.usefixtures("accounts")
def test_the_credentials_of_a_role_are_kept(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed once, until the caller has other credentials."""
    monkeypatch.setattr(direct, "SHARED_SECONDS", 0.0)
    for _ in range(2):
        assert text(fetch(Secret("db", role_arn=OTHER_ROLE))) == "theirs"
    before = assumed(emulator)
    emulator.token = "rotated"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "rotated")
    assert text(fetch(Secret("db", role_arn=OTHER_ROLE))) == "theirs"
    assert (before, assumed(emulator)) == ([OTHER_ROLE], [OTHER_ROLE] * 2)


@pytest.mark.usefixtures("accounts")
def test_credentials_of_a_role_that_aws_does_not_take(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept credentials that AWS refuses are renewed, once: what is refused again is the error."""
    monkeypatch.setattr(direct, "SHARED_SECONDS", 0.0)
    fetch(Secret("db", role_arn=OTHER_ROLE))
    expired = faults.Reply(400, b'{"__type": "ExpiredTokenException", "message": "expired"}')
    emulator.inject(expired, match="secretsmanager:GetSecretValue")
    renewed = text(fetch(Secret("db", role_arn=OTHER_ROLE)))
    emulator.inject(expired, times=2, match="secretsmanager:GetSecretValue")
    refused = fetch(Secret("db", role_arn=OTHER_ROLE))
    assert renewed == "theirs"
    assert isinstance(refused, errors.CredentialsRejectedError)
    assert assumed(emulator) == [OTHER_ROLE] * 3


@pytest.mark.usefixtures("accounts")
def test_a_role_that_may_not_be_assumed(emulator: Emulator, store: MemoryStore) -> None:
    """The error names the role and what to allow, and says nothing of the secret."""
    store.deny(OTHER_ROLE)
    got = fetch(Secret("db", role_arn=OTHER_ROLE))
    assert isinstance(got, errors.AccessDeniedError)
    assert got.permissions == (errors.Permission("sts:AssumeRole", OTHER_ROLE),)
    assert [record.api for record in emulator.requests] == ["sts:AssumeRole"]


@pytest.mark.usefixtures("accounts")
def test_sts_that_does_not_know_the_caller(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that STS refuses are the caller's, and are not asked for twice."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "old")
    got = fetch(Secret("db", role_arn=OTHER_ROLE))
    assert isinstance(got, errors.CredentialsRejectedError)
    assert assumed(emulator) == [OTHER_ROLE]


@pytest.mark.usefixtures("accounts")
def test_two_calls_whose_role_aws_does_not_take(emulator: Emulator) -> None:
    """Of two threads of one batch each asks again, whichever of them forgets the credentials."""
    expired = faults.Reply(400, b'{"__type": "ExpiredTokenException", "message": "expired"}')
    emulator.inject(expired, times=2, match="secretsmanager:GetSecretValue")
    caller = boto.Caller(SECONDS, Roles(), boto.find_stand_in(), lambda: None)
    form = make_form(Secret("db", role_arn=OTHER_ROLE))
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(caller.ask, [form] * 2))
    caller._forget_role("secretsmanager", OTHER_ROLE)
    caller._forget_role("secretsmanager", OTHER_ROLE)
    caller.close()
    assert {text(item) for item in got if isinstance(item, RawValue)} == {"theirs"}


def test_a_role_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials no role is assumed."""
    lead_to("http://127.0.0.1:1", monkeypatch)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    got = fetch(Secret("db", role_arn=OTHER_ROLE))
    assert isinstance(got, errors.CredentialsRejectedError)
    assert got.code == "NoCredentialsError"


def test_when_the_credentials_of_a_role_end() -> None:
    """They are renewed before their end, and are those of the caller that they were issued to."""
    roles, keys = Roles(), boto._Keys("access", "a secret", "a token")
    roles.keep("lasting", keys, b"caller", time.time() + boto._RENEW_SECONDS + SECONDS)
    roles.keep("ending", keys, b"caller", time.time() + boto._RENEW_SECONDS - 1)
    found = [roles.find(role, b"caller") for role in ("lasting", "ending", "unknown")]
    other = roles.find("lasting", b"another")
    assert found == [keys, None, None]
    assert (other, roles.find("lasting", b"caller")) == (None, None)


def test_nothing_shows_credentials() -> None:
    """What holds credentials does not show them."""
    keys = boto._Keys("access", "a secret", "a token")
    assert [repr(keys), repr(boto._Role(keys, b"caller", 1.0))] == ["_Keys()", "_Role(ends=1.0)"]


# --- Names of what went wrong ---------------------------------------------------------------------------------------


def test_names_of_errors() -> None:
    """An error of somebody else's can be named after anything: its name is not shown."""
    foreign = type("TheValue", (Exception,), {"__module__": "theirs"})
    assert [boto.name_error(error) for error in (KeyError(), foreign())] == ["KeyError", "an unexpected error"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:password@host:8443/path?query", "https://host:8443"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("https://sts.amazonaws.com", "https://sts.amazonaws.com"),
        ("", "AWS"),
        ("http://host:port", "AWS"),
    ],
)
def test_names_of_endpoints(url: str, expected: str) -> None:
    """An endpoint is named by scheme, host and port."""
    assert boto._endpoint(url) == expected
