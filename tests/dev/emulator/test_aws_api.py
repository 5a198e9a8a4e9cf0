"""AWS's own API, as the stand-in speaks it: asked by boto3, which nobody here wrote."""

import http.client
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from lambdasecrets.dev import faults
from lambdasecrets.dev._emulator import aws_api
from lambdasecrets.dev._emulator.aws_api import AwsApi, Call, read_call
from lambdasecrets.dev._emulator.http_server import Request
from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore, StoreError
from tests.dev.asking import SECONDS, ask
from tests.dev.aws_double import running_aws

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/service/reader"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a home whose profiles lead to production, and away from the endpoints of the environment."""
    folder = tmp_path / ".aws"
    folder.mkdir()
    keys = "aws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = production\n"
    (folder / "credentials").write_text(f"[default]\n{keys}[production]\n{keys}")
    settings = "ignore_configured_endpoint_urls = true\nregion = us-west-2\n"
    (folder / "config").write_text(f"[default]\n{settings}[profile production]\n{settings}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return tmp_path


def session(**given: str) -> Any:
    """Make a session that is not boto3's default one."""
    return boto3.Session(**given)  # type: ignore[arg-type]  # its types know each argument by itself


def client(service: str, **given: str) -> Any:
    """Make a client that does not ask again, and leaves all checks to AWS."""
    limits = Config(
        retries={"total_max_attempts": 1}, connect_timeout=SECONDS, read_timeout=SECONDS, parameter_validation=False
    )
    return session(**given).client(service, config=limits)


def refusal(error: ClientError) -> tuple[str, str, int]:
    """Take a refusal of AWS apart."""
    answer: Any = error.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_secrets(emulator: Emulator, store: MemoryStore) -> None:
    """A secret comes with all that AWS tells of it, by name and ARN, by stage and version, as text and as bytes."""
    first = store.put_secret("db", "old")
    second = store.put_secret("db", "new")
    store.put_secret("key", b"\x00\xff")
    secrets = client("secretsmanager")

    current = secrets.get_secret_value(SecretId="db")
    stored = store.secret("db")
    assert {name: current[name] for name in ("ARN", "Name", "SecretString", "VersionId", "VersionStages")} == {
        "ARN": stored.arn,
        "Name": "db",
        "SecretString": "new",
        "VersionId": second,
        "VersionStages": ["AWSCURRENT"],
    }
    assert abs(current["CreatedDate"] - stored.created).total_seconds() < 0.001
    assert "SecretBinary" not in current
    assert secrets.get_secret_value(SecretId=stored.arn)["SecretString"] == "new"
    assert secrets.get_secret_value(SecretId="db", VersionStage="AWSPREVIOUS")["SecretString"] == "old"
    assert secrets.get_secret_value(SecretId="db", VersionId=first)["SecretString"] == "old"
    binary = secrets.get_secret_value(SecretId="key")
    assert (binary["SecretBinary"], "SecretString" in binary) == (b"\x00\xff", False)


def test_parameters(emulator: Emulator, store: MemoryStore) -> None:
    """A parameter comes with all that AWS tells of it, decrypted where that is asked for."""
    store.put_parameter("/list", ["a", "b"])
    store.put_parameter("/secure", "clear", type="SecureString")
    store.put_secret("db", "text")
    parameters = client("ssm")

    got = parameters.get_parameter(Name="/list")["Parameter"]
    stored = store.parameter("/list")
    assert abs(got.pop("LastModifiedDate") - stored.last_modified).total_seconds() < 0.001
    assert got == {
        "ARN": stored.arn,
        "DataType": "text",
        "Name": "/list",
        "Type": "StringList",
        "Value": "a,b",
        "Version": 1,
    }
    secure = parameters.get_parameter(Name="/secure", WithDecryption=True)["Parameter"]
    assert (secure["Type"], secure["Value"]) == ("SecureString", "clear")
    assert parameters.get_parameter(Name="/secure")["Parameter"]["Value"] != "clear"
    reference = parameters.get_parameter(Name="/aws/reference/secretsmanager/db", WithDecryption=True)["Parameter"]
    assert (reference["Value"], reference["Version"]) == ("text", 0)
    assert "text" in reference["SourceResult"]


def test_what_is_not_there(emulator: Emulator, store: MemoryStore) -> None:
    """What is missing or denied is refused in AWS's own words, which boto3 understands."""
    store.deny("denied")
    secrets, parameters = client("secretsmanager"), client("ssm")

    with pytest.raises(secrets.exceptions.ResourceNotFoundException) as missing:
        secrets.get_secret_value(SecretId="missing")
    assert refusal(missing.value)[1:] == ("Secrets Manager can't find the specified secret.", 400)
    with pytest.raises(parameters.exceptions.ParameterNotFound):
        parameters.get_parameter(Name="/missing")
    with pytest.raises(ClientError) as denied:
        secrets.get_secret_value(SecretId="denied")
    code, message, status = refusal(denied.value)
    assert (code, status) == ("AccessDeniedException", 400)
    assert "is not authorized to perform: secretsmanager:GetSecretValue on resource: denied" in message


def test_it_passes_the_cache(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS has the newest value while the extension answers from its cache."""
    with Emulator(store, secrets_ttl=300) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        store.put_secret("db", "old")
        before = ask(emulator, "/secretsmanager/get?secretId=db").body
        store.put_secret("db", "new")

        assert client("secretsmanager").get_secret_value(SecretId="db")["SecretString"] == "new"
        assert ask(emulator, "/secretsmanager/get?secretId=db").body == before


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_it_is_aws_whichever_server_it_is(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """AWS has parameters too, also beside the agent, and serves before the first invocation."""
    store.put_parameter("/size", 25)
    with Emulator(store, profile=profile, ready=False) as emulator:  # type: ignore[arg-type]
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        assert client("ssm").get_parameter(Name="/size")["Parameter"]["Value"] == "25"


def test_the_token(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who brings the token that the stand-in gave out is answered; a rotated one is asked for at once."""
    store.put_secret("db", "text")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    with pytest.raises(ClientError) as wrong:
        client("secretsmanager").get_secret_value(SecretId="db")
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    with pytest.raises(ClientError) as missing:
        client("sts").assume_role(RoleArn=ROLE, RoleSessionName="function")
    emulator.token = "rotated"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "rotated")
    client("secretsmanager").get_secret_value(SecretId="db")

    sentence = "The security token included in the request is invalid."
    assert refusal(wrong.value) == ("UnrecognizedClientException", sentence, 400)
    assert refusal(missing.value) == ("InvalidClientTokenId", sentence, 403)
    assert [record.token_ok for record in emulator.requests] == [False, False, True]


def test_secrets_of_roles(emulator: Emulator, store: MemoryStore) -> None:
    """With a role's credentials a bare name is a secret of the role's account; a denied role cannot be assumed."""
    store.put_secret("db", "mine")
    store.put_secret("arn:aws:secretsmanager:us-east-1:999988887777:secret:db-AbCdEf", "theirs")
    denied = "arn:aws:iam::999988887777:role/denied"
    store.deny(denied)
    values = []
    for role in (ROLE, "arn:aws:iam::999988887777:role/reader"):
        given = client("sts").assume_role(RoleArn=role, RoleSessionName="function")["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        values.append(client("secretsmanager", **keys).get_secret_value(SecretId="db")["SecretString"])
    with pytest.raises(ClientError) as error:
        client("sts").assume_role(RoleArn=denied, RoleSessionName="function")

    assert values == ["mine", "theirs"]
    code, message, status = refusal(error.value)
    assert (code, status) == ("AccessDenied", 403)
    assert f"is not authorized to perform: sts:AssumeRole on resource: {denied}" in message


def test_assumed_roles(emulator: Emulator, store: MemoryStore) -> None:
    """A role is assumed for the time that is asked for, and its credentials are let in."""
    store.put_secret("db", "text")
    store.put_parameter("arn:aws:ssm:us-east-1:123456789012:parameter/size", 25)
    store.put_parameter("/aws/service/x", "public")
    assumed = client("sts").assume_role(RoleArn=ROLE, RoleSessionName="function", DurationSeconds=900)
    given = assumed["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }

    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/reader/function"
    assert given["SessionToken"] != emulator.token
    parameters = client("ssm", region_name="us-east-1", **keys)
    assert parameters.get_parameter(Name="/size")["Parameter"]["Value"] == "25"
    assert parameters.get_parameter(Name="/aws/service/x")["Parameter"]["Value"] == "public"
    assert [(record.api, record.name, record.token_ok) for record in emulator.requests] == [
        ("sts:AssumeRole", ROLE, True),
        ("ssm:GetParameter", "/size", True),
        ("ssm:GetParameter", "/aws/service/x", True),
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"RoleArn": "arn:aws:iam::1:role/short"}, "ValidationError"),
        ({"RoleArn": ROLE, "DurationSeconds": 899}, "ValidationError"),
        ({"RoleArn": ROLE, "DurationSeconds": 43_201}, "ValidationError"),
    ],
)
def test_roles_that_cannot_be_assumed(emulator: Emulator, given: dict[str, Any], code: str) -> None:
    """What is no role, or for how long it cannot be assumed, is refused."""
    with pytest.raises(ClientError) as error:
        client("sts").assume_role(RoleSessionName="function", **given)

    assert (refusal(error.value)[0], refusal(error.value)[2]) == (code, 400)


def test_sessions_end(store: MemoryStore) -> None:
    """A role's credentials are refused once their time is over."""
    now = [1_000_000_000.0]
    api = AwsApi(store, clock=lambda: now[0])
    store.put_secret("db", "text")
    token = assume(api, DurationSeconds="900")

    statuses = []
    for seconds in (899, 900):
        now[0] = 1_000_000_000 + seconds
        statuses += [
            api.answer(read(bring({"Name": "missing"}, token)), bring({}, token), "own"),
            api.answer(read(bring_form({"Action": "AssumeRole"}, token)), bring({}, token), "own"),
        ]
    expired = "The security token included in the request is expired"

    assert [(answer.status, expired in answer.body.decode()) for answer in statuses] == [
        (400, False),
        (400, False),
        (400, True),
        (403, True),
    ]
    assert '"__type": "ExpiredTokenException"' in statuses[2].body.decode()
    assert "<Code>ExpiredToken</Code>" in statuses[3].body.decode()


def test_sessions_are_bounded(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many sessions the oldest is forgotten."""
    monkeypatch.setattr(aws_api, "_MOST_SESSIONS", 2)
    api = AwsApi(store)
    tokens = [assume(api) for _ in range(3)]

    assert [api.is_let_in(bring({}, token), "own") for token in tokens] == [False, True, True]


def test_any_other_operation(emulator: Emulator) -> None:
    """What the stand-in does not serve gets an error of AWS's kind, whose text says what it serves."""
    served = "This is a stand-in of lambdasecrets. Of AWS it serves GetSecretValue, GetParameter and AssumeRole"
    asked: dict[str, Callable[[], Any]] = {
        "secretsmanager.PutSecretValue": lambda: client("secretsmanager").put_secret_value(
            SecretId="s", SecretString="v"
        ),
        "AmazonSSM.GetParametersByPath": lambda: client("ssm").get_parameters_by_path(Path="/"),
        "GetCallerIdentity": lambda: client("sts").get_caller_identity(),
        "GET of s3": lambda: elsewhere(emulator, "s3").list_buckets(),
        "GET of lambda": lambda: elsewhere(emulator, "lambda").list_functions(),
    }
    for api, ask_aws in asked.items():
        with pytest.raises(ClientError) as error:
            ask_aws()
        code, message, status = refusal(error.value)
        assert (code, status) == ("UnknownOperationException", 404)
        assert message.startswith(served)
        assert message.endswith(f"Asked for: {api}.")

    assert [record.api for record in emulator.requests] == list(asked)


def elsewhere(emulator: Emulator, service: str) -> Any:
    """Make a client of a service that the stand-in does not serve."""
    return session().client(service, endpoint_url=emulator.url)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "ValidationException"),
        (b"[]", "ValidationException"),
        (b'{"SecretId": ""}', "ValidationException"),
        (b'{"SecretId": 5}', "SerializationException"),
        (b'{"SecretId": "s", "VersionId": 5}', "SerializationException"),
        (b"\xff", "ValidationException"),
    ],
)
def test_what_is_no_question(emulator: Emulator, body: bytes, code: str) -> None:
    """What names nothing is refused, whatever it is."""
    status, heard = post(emulator, body, X_Amz_Target="secretsmanager.GetSecretValue")

    assert (status, json.loads(heard)["__type"]) == (400, code)


def test_operations_without_a_name(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """What a caller writes in the place of an operation cannot forge lines of the log, nor the journal."""
    caplog.set_level(logging.DEBUG, logger="lambdasecrets.emulator")
    post(emulator, b"Action=Do%0Athis", Content_Type=FORM)
    post(emulator, b"", Content_Type=FORM)
    post(emulator, b"", X_Amz_Target="s p a c e")
    post(emulator, b"", Authorization="AWS4-HMAC-SHA256 nonsense")

    unnamed = "an operation without a name"
    assert [record.api for record in emulator.requests] == [unnamed, "None", unnamed, "POST of an unknown service"]
    assert [message for message in caplog.messages if "\n" in message] == []


def test_a_store_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that raises is a failure of the service, which says nothing of what the store said."""

    class Failing(MemoryStore):
        def secret(self, *names: str, **selectors: str | None) -> Any:
            raise RuntimeError("the value")

    with Emulator(Failing()) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ClientError) as error:
            client("secretsmanager").get_secret_value(SecretId="db")

    assert refusal(error.value) == ("InternalFailure", "RuntimeError", 500)


def test_a_form_that_fails(store: MemoryStore) -> None:
    """A failure of the service is AWS's fault, in a form's answer too."""
    call = Call("sts:AssumeRole", None, {}, "", is_form=True)

    answer = aws_api._error(call, StoreError("InternalFailure", "a & b", 500))
    assert (answer.status, b"<Type>Receiver</Type>" in answer.body, b"a &amp; b" in answer.body) == (500, True, True)


def test_it_is_journalled_and_logged(emulator: Emulator, store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The journal tells AWS's calls from the others, and a refusal's cause is in the log; no value is in either."""
    caplog.set_level(logging.DEBUG, logger="lambdasecrets.emulator")
    store.put_secret("db", "a value")
    ask(emulator, "/secretsmanager/get?secretId=db")
    client("secretsmanager").get_secret_value(SecretId="db")
    with pytest.raises(ClientError):
        client("secretsmanager").put_secret_value(SecretId="db", SecretString="a value")
    with pytest.raises(ClientError):
        client("ssm").get_parameter(Name="/missing")

    assert [(record.api, record.name, record.path, record.status) for record in emulator.requests] == [
        (None, None, "/secretsmanager/get", 200),
        ("secretsmanager:GetSecretValue", "db", "/", 200),
        ("secretsmanager.PutSecretValue", None, "/", 404),
        ("ssm:GetParameter", "/missing", "/", 400),
    ]
    assert caplog.messages[1] == "POST secretsmanager:GetSecretValue db: 200"
    assert "[AWS, played by lambdasecrets]" in caplog.text
    assert "ERROR ssm:GetParameter '/missing': ParameterNotFound: Parameter /missing not found." in caplog.text
    assert "a value" not in f"{emulator.requests} {caplog.text}"


def test_faults(emulator: Emulator, store: MemoryStore) -> None:
    """Faults are played on AWS's calls where they name the API, and perhaps what is asked for; else on the others."""
    store.put_secret("db", "text")
    store.put_secret("other", "text")
    throttled = faults.Reply(400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
    emulator.inject(throttled, match="secretsmanager:GetSecretValue db")
    emulator.inject(faults.Reply(418, b""), match="db")
    secrets = client("secretsmanager")

    assert ask(emulator, "/secretsmanager/get?secretId=db").status == 418
    assert secrets.get_secret_value(SecretId="other")["SecretString"] == "text"
    with pytest.raises(ClientError) as error:
        secrets.get_secret_value(SecretId="db")
    assert refusal(error.value)[0] == "ThrottlingException"
    assert secrets.get_secret_value(SecretId="db")["SecretString"] == "text"


def test_beside_moto(emulator: Emulator, store: MemoryStore) -> None:
    """With moto for the other services a test has both: DynamoDB is moto's, secrets are the stand-in's."""
    store.put_secret("db", "text")
    with mock_aws():
        tables = client("dynamodb").list_tables()["TableNames"]
        assert client("secretsmanager").get_secret_value(SecretId="db")["SecretString"] == "text"
    assert tables == []


def test_in_front_of_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that itself stands in front of AWS goes on asking AWS, with roles too, while AWS is the stand-in."""
    with running_aws(tmp_path) as aws:
        aws.client("secretsmanager").create_secret(Name="db", SecretString="text")
        own_variables = aws.environment("secretsmanager:GetSecretValue")
        for name, value in {**own_variables, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}.items():
            monkeypatch.setenv(name, value)
        with Emulator(AwsStore()) as emulator:
            for name, value in emulator.environment().items():
                monkeypatch.setenv(name, value)
            own = client("secretsmanager").get_secret_value(SecretId="db")["SecretString"]
            given = client("sts").assume_role(RoleArn=ROLE, RoleSessionName="function")["Credentials"]
            keys = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            with_role = client("secretsmanager", **keys).get_secret_value(SecretId="db")["SecretString"]
            apis = [record.api for record in emulator.requests]

    assert (own, with_role) == ("text", "text")
    assert apis == ["secretsmanager:GetSecretValue", "sts:AssumeRole", "secretsmanager:GetSecretValue"]


def test_no_account_is_asked(emulator: Emulator, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a profile that ignores endpoints nor its keys lead a call elsewhere."""
    store.put_secret("db", "text")
    monkeypatch.setenv("AWS_PROFILE", "production")

    assert client("secretsmanager").get_secret_value(SecretId="db")["SecretString"] == "text"
    assert session().get_credentials().access_key == "made-up"


def assume(api: AwsApi, **given: str) -> str:
    """Assume a role; give its token."""
    request = bring_form({"Action": "AssumeRole", "RoleArn": ROLE, "RoleSessionName": "function", **given}, "own")
    body = api.answer(read(request), request, "own").body.decode()
    return body.partition("<SessionToken>")[2].partition("<")[0]


def read(request: Request) -> Call:
    """Read a call."""
    call = read_call(request)
    assert call is not None
    return call


def bring(members: dict[str, str], token: str) -> Request:
    """Make a call for a parameter."""
    headers = {"x-amz-target": "AmazonSSM.GetParameter", "x-amz-security-token": token}
    return Request("POST", "/", "HTTP/1.1", headers, json.dumps(members).encode())


def bring_form(members: dict[str, str], token: str) -> Request:
    """Make a call of STS."""
    headers = {"content-type": FORM, "x-amz-security-token": token}
    return Request("POST", "/", "HTTP/1.1", headers, urlencode(members).encode())


def post(emulator: Emulator, body: bytes, **headers: str) -> tuple[int, bytes]:
    """Send a body as no client of AWS would."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=SECONDS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/", body, {"X-Amz-Security-Token": emulator.token, **named})
    answer = connection.getresponse()
    heard = answer.status, answer.read()
    connection.close()
    return heard
