from __future__ import annotations

import contextlib
import importlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions

from lambdasecrets.dev import aws as aws_module
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import CachedStore, StoreError
from tests.dev.asking import ask
from tests.dev.aws_double import AwsDouble, running_aws
from tests.serving import answer, repeating, serving

FIRST = "00000000-0000-4000-8000-000000000001"
SECOND = "00000000-0000-4000-8000-000000000002"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Give one server to all tests."""
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(server: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> AwsDouble:
    """Give it empty, with the environment of a role that may read everything."""
    server.reset()
    for name, value in server.environment("secretsmanager:GetSecretValue", "ssm:GetParameter").items():
        monkeypatch.setenv(name, value)
    return server


def put_two_versions(aws: AwsDouble) -> str:
    """Put a secret with two versions and return its ARN."""
    client = aws.client("secretsmanager")
    arn: str = client.create_secret(Name="a/b+c", SecretString="first", ClientRequestToken=FIRST)["ARN"]
    client.put_secret_value(SecretId="a/b+c", SecretString="second", ClientRequestToken=SECOND)
    return arn


def is_recent(moment: datetime) -> bool:
    """Tell whether a time is within the last hour, or the next."""
    return abs((datetime.now(timezone.utc) - moment).total_seconds()) < 3600


def test_secret(aws: AwsDouble) -> None:
    """A secret comes with its version, its stages and its time."""
    arn = put_two_versions(aws)

    found = AwsStore().secret("a/b+c")

    assert (arn, "a/b+c", SECOND, ("AWSCURRENT",), "second", None) == (
        found.arn,
        found.name,
        found.version_id,
        found.version_stages,
        found.string,
        found.binary,
    )
    assert is_recent(found.created)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"version_stage": "AWSPREVIOUS"}, "first"),
        ({"version_stage": "AWSCURRENT"}, "second"),
        ({"version_id": FIRST}, "first"),
        ({"version_id": FIRST, "version_stage": "AWSPREVIOUS"}, "first"),
    ],
)
def test_secret_version(aws: AwsDouble, selector: dict[str, str], expected: str) -> None:
    """A stage, an id, or both choose the version."""
    put_two_versions(aws)

    assert expected == AwsStore().secret("a/b+c", **selector).string


def test_secret_by_arn(aws: AwsDouble) -> None:
    """An ARN does as well as a name."""
    arn = put_two_versions(aws)

    assert AwsStore().secret(arn).string == "second"


def test_binary_secret(aws: AwsDouble) -> None:
    """A binary secret has bytes and no text."""
    aws.client("secretsmanager").create_secret(Name="binary", SecretBinary=b"\x00\xff")

    found = AwsStore().secret("binary")

    assert (found.string, found.binary) == (None, b"\x00\xff")


def put_parameter(aws: AwsDouble, value: str, **more: Any) -> None:
    """Add a version to a parameter."""
    aws.client("ssm").put_parameter(**{"Name": "/a/b", "Value": value, "Type": "String", "Overwrite": True, **more})


def test_parameter(aws: AwsDouble) -> None:
    """A parameter comes with its type, its version and its time."""
    put_parameter(aws, "7")

    found = AwsStore().parameter("/a/b")

    assert (
        found.arn,
        found.name,
        found.type,
        found.value,
        found.version,
        found.data_type,
        found.selector,
        found.source_result,
    ) == ("arn:aws:ssm:eu-west-1:123456789012:parameter/a/b", "/a/b", "String", "7", 1, "text", None, None)
    assert is_recent(found.last_modified)


def test_parameter_version(aws: AwsDouble) -> None:
    """A number or a label chooses the version."""
    put_parameter(aws, "first")
    put_parameter(aws, "second")
    aws.client("ssm").label_parameter_version(Name="/a/b", ParameterVersion=1, Labels=["stable"])
    store = AwsStore()

    assert [
        store.parameter("/a/b").value,
        store.parameter("/a/b", version=1).value,
        store.parameter("/a/b", label="stable").value,
    ] == ["second", "first", "first"]


def test_secure_string(aws: AwsDouble) -> None:
    """A SecureString is ciphertext until it is asked to be decrypted."""
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    put_parameter(aws, "text", Type="SecureString", KeyId=key)
    store = AwsStore()

    assert store.parameter("/a/b", decrypt=True).value == "text"
    assert store.parameter("/a/b").value != "text"


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (
            lambda store: store.secret("missing"),
            ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 404),
        ),
        (
            lambda store: store.parameter("/missing"),
            ("ParameterNotFound", "Parameter /missing not found.", 400),
        ),
    ],
)
def test_missing(aws: AwsDouble, ask: Any, expected: tuple[str, str, int]) -> None:
    """What AWS refuses keeps AWS's code, sentence and status, and nothing of the request."""
    with pytest.raises(StoreError) as raised:
        ask(AwsStore())

    assert expected == (raised.value.code, raised.value.message, raised.value.status)
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_denied(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the role may not read is refused with AWS's status."""
    put_two_versions(aws)
    for name, value in aws.environment("ssm:GetParameter").items():
        monkeypatch.setenv(name, value)

    with aws.enforcing_iam(), pytest.raises(StoreError) as raised:
        AwsStore().secret("a/b+c")

    assert raised.value.status == 403


def test_unreachable(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens, the error is a 502."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(StoreError) as raised:
            AwsStore().secret("any")

    assert (str(raised.value), raised.value.status) == ("ConnectionError: EndpointConnectionError", 502)


def count_waiting(server: socket.socket) -> int:
    """Count the connections that wait to be accepted."""
    server.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            count += 1
    return count


@pytest.mark.parametrize(
    ("timeouts", "ask"),
    [
        ({"secrets_timeout": 0.05}, lambda store: store.secret("any")),
        ({"parameters_timeout": 0.05}, lambda store: store.parameter("/any")),
    ],
)
def test_hanging(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, timeouts: dict[str, Any], ask: Any) -> None:
    """Where nobody answers in time, the error is a 504 after three tries; each service has its own limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StoreError) as raised:
            ask(AwsStore(**timeouts))

        tries = count_waiting(silent)

    assert (str(raised.value), raised.value.status) == ("TimeoutError: ReadTimeoutError", 504)
    assert tries == 3


def test_no_credentials(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without credentials there is no token, and asking is an error that says what to do and is no reason to retry."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = AwsStore()

    with pytest.raises(StoreError) as raised:
        store.secret("any")

    assert None is store.session_token()
    assert (str(raised.value), raised.value.status) == (
        (
            "MissingAuthenticationTokenException: The stand-in has no credentials (NoCredentialsError):"
            " aws sso login (or aws login, or new keys), then ask again."
        ),
        400,
    )


SSO_PROFILE = """
[profile expired]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = reader
"""


def test_an_expired_login(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A login that has ended is an error that says to log in again."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(SSO_PROFILE, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "expired")
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(StoreError) as raised:
        AwsStore().secret("any")

    assert (raised.value.code, raised.value.status) == ("MissingAuthenticationTokenException", 400)
    assert "aws sso login" in raised.value.message


def test_keys_that_aws_does_not_take(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that have expired are AWS's own error, with what to do, and asked about once."""
    body = b'{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}'
    refusal = answer(body, "Content-Type: application/x-amz-json-1.1", status="400 Bad Request")
    asked: list[int] = []

    def refuse(connection: Connection) -> None:
        asked.append(connection.number)
        repeating(refusal)(connection)

    with serving(refuse) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        with pytest.raises(StoreError) as raised:
            AwsStore().secret("any")

    assert str(raised.value) == (
        "ExpiredTokenException: The security token included in the request is expired. The stand-in's"
        " credentials are not valid: aws sso login (or aws login, or new keys), then ask again."
    )
    assert (raised.value.status, asked) == (400, [1])


def test_credentials_are_no_reason_to_ask_again(
    aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A handler whose stand-in has no credentials hears of it at once, and asks an agent once."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with Emulator(AwsStore(), profile="agent") as emulator:
        heard = ask(emulator, "/secretsmanager/get?secretId=any")

    assert heard.status == 400
    assert json.loads(heard.body)["__type"] == "MissingAuthenticationTokenException"


def test_aws_has_the_word(aws: AwsDouble) -> None:
    """What boto3 would refuse by itself is asked of AWS: the answer is AWS's."""
    put_two_versions(aws)

    with pytest.raises(StoreError) as raised:
        AwsStore().secret("a/b+c", version_id="short")

    assert str(raised.value) == (
        "ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: short"
    )


def test_a_role(aws: AwsDouble) -> None:
    """With a role the secret is one of its account, and the role is assumed once."""
    put_two_versions(aws)
    role = aws.client("sts").assume_role  # moto gives every account's role
    store: Any = AwsStore()
    arn = "arn:aws:iam::111122223333:role/reader"
    with pytest.raises(StoreError, match="ResourceNotFoundException"):
        store.secret("a/b+c", role_arn=arn)
    issued = role(RoleArn=arn, RoleSessionName="setup")["Credentials"]
    session: Any = boto3.Session(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    client = session.client("secretsmanager", region_name="eu-west-1", endpoint_url=aws.url)
    client.create_secret(Name="a/b+c", SecretString="theirs")
    assumed = store._roles[arn]

    assert store.secret("a/b+c", role_arn=arn).string == "theirs"
    assert store.secret("a/b+c").string == "second"
    assert store._roles[arn] is assumed

    store._roles[arn] = replace(assumed, ends=datetime.now(timezone.utc))

    assert store.secret("a/b+c", role_arn=arn).string == "theirs"
    assert store._roles[arn] is not assumed


def test_a_description(aws: AwsDouble) -> None:
    """A description has the staging labels of each version, without any value."""
    first = aws.client("secretsmanager").create_secret(Name="described", SecretString="first")["VersionId"]
    second = aws.client("secretsmanager").put_secret_value(SecretId="described", SecretString="second")["VersionId"]

    assert AwsStore().describe("described") == {first: ("AWSPREVIOUS",), second: ("AWSCURRENT",)}


def test_a_role_that_cannot_be_assumed(aws: AwsDouble) -> None:
    """What AWS says of a role is the error."""
    with aws.enforcing_iam(), pytest.raises(StoreError) as raised:
        AwsStore().secret("any", role_arn="arn:aws:iam::111122223333:role/reader")

    assert (raised.value.code, raised.value.status) == ("AccessDenied", 403)


def test_session_token(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is that of the credentials in use."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the token")

    assert AwsStore().session_token() == "the token"


def test_max_connections(aws: AwsDouble) -> None:
    """Each service has a pool of its own, of the size that is asked for."""
    store: Any = AwsStore(max_connections=7)

    assert [client.meta.config.max_pool_connections for client in (store._secrets, store._parameters)] == [7, 7]


def test_single_flight(aws: AwsDouble) -> None:
    """Equal requests that meet in the cache are one call to AWS."""
    put_two_versions(aws)
    asked = []

    class Counting(AwsStore):
        def secret(self, *args: Any, **kwargs: Any) -> Any:
            asked.append(args)
            met.wait(10)
            return super().secret(*args, **kwargs)

    met = threading.Event()
    cached = CachedStore(Counting())
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(cached.secret("a/b+c").string)) for _ in range(5)]
    for thread in threads:
        thread.start()
    met.set()
    for thread in threads:
        thread.join(10)

    assert (found, len(asked)) == (["second"] * 5, 1)


def test_every_error_of_botocore() -> None:
    """Every error of botocore has an answer."""
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    errors = [kind for kind in kinds if issubclass(kind, exceptions.BotoCoreError)]

    assert [
        kind for kind in errors if not issubclass(kind, tuple(known for known, _, _ in aws_module._UNREACHABLE))
    ] == []


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3 the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    monkeypatch.delitem(sys.modules, "lambdasecrets.dev.aws")

    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("lambdasecrets.dev.aws")

    assert (
        str(raised.value)
        == "Cannot use AWS as a store: boto3 is not installed. Install it with `pip install 'lambdasecrets[aws]'`."
    )
