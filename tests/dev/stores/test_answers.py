"""One table of questions, put to every store: memory, a secrets file, and AWS as moto plays it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.stores import MemoryStore, Store, StoreError, load_store
from tests.dev.aws_double import REGION, AwsDouble, running_aws

FIRST = "00000000-0000-4000-8000-000000000001"
SECOND = "00000000-0000-4000-8000-000000000002"
NEVER = "00000000-0000-4000-8000-000000000009"
REFERENCE = "/aws/reference/secretsmanager/"
SECRETS = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:"
PARAMETERS = f"arn:aws:ssm:{REGION}:123456789012:parameter"

NO_SECRET = "ResourceNotFoundException"
NO_PARAMETER = "ParameterNotFound"
NO_VERSION = "ParameterVersionNotFound"


@dataclass(frozen=True)
class Question:
    """One question and its answer: a value with its version, or an error's code.

    Attributes:
        arn_of: the secret whose whole ARN is asked for in the place of `name`.
        unlike: moto's answer, where moto is known not to answer as AWS does.
    """

    kind: str
    name: str
    expected: tuple[object, ...] | str
    more: tuple[tuple[str, Any], ...] = ()
    arn_of: str | None = None
    unlike: object = None


def secret(name: str, expected: tuple[object, ...] | str, *, unlike: object = None, **more: Any) -> Question:
    """Ask for a secret."""
    return Question("secret", name, expected, tuple(more.items()), unlike=unlike)


def parameter(name: str, expected: tuple[object, ...] | str, *, unlike: object = None, **more: Any) -> Question:
    """Ask for a parameter, decrypted."""
    return Question("parameter", name, expected, tuple({"decrypt": True, **more}.items()), unlike=unlike)


OLD = ("first", FIRST, ("AWSPREVIOUS",))
NEW = ("second", SECOND, ("AWSCURRENT",))
ONE = ("String", "one", 1)
TWO = ("String", "two", 2)
REFERENCED_OLD = ("SecureString", "first", 0)
REFERENCED_NEW = ("SecureString", "second", 0)

QUESTIONS = [
    secret("dev/s", NEW),
    secret(f"{SECRETS}dev/s", NEW),
    Question("secret", "", NEW, arn_of="dev/s"),
    secret("dev/s", NEW, version_stage="AWSCURRENT"),
    secret("dev/s", OLD, version_stage="AWSPREVIOUS"),
    secret("dev/s", OLD, version_id=FIRST),
    secret("dev/s", OLD, version_id=FIRST, version_stage="AWSPREVIOUS"),
    secret("dev/s", NO_SECRET, version_stage="none"),
    secret("dev/s", NO_SECRET, version_id=NEVER),
    secret("dev/s", NO_SECRET, version_id="short"),
    secret("dev/s", "InvalidRequestException", version_id=FIRST, version_stage="AWSCURRENT"),
    secret("dev/s:AWSPREVIOUS", NO_SECRET),
    secret("dev/none", NO_SECRET),
    secret("a b", NO_SECRET),
    secret(f"{SECRETS}dev/none", NO_SECRET),
    secret(f"{SECRETS}dev/s-zzzzzz", NO_SECRET),
    secret(f"{PARAMETERS}/dev/s", NO_SECRET),
    secret("bytes", (b"\x00\xff", FIRST, ("AWSCURRENT",))),
    secret("rds!cluster-0f1e", ("managed", FIRST, ("AWSCURRENT",))),
    secret("db-abcdef", ("hyphen", FIRST, ("AWSCURRENT",))),
    Question("secret", "", ("hyphen", FIRST, ("AWSCURRENT",)), arn_of="db-abcdef"),
    # AWS takes this for a whole ARN.
    secret(f"{SECRETS}db-abcdef", NO_SECRET, unlike=("hyphen", FIRST, ("AWSCURRENT",))),
    secret(f"arn:aws:secretsmanager:{REGION}:999988887777:secret:dev/s", NO_SECRET, unlike=NEW),
    secret("arn:aws:secretsmanager:us-west-2:123456789012:secret:dev/s", NO_SECRET, unlike=NEW),
    parameter("/p", TWO),
    parameter("/p:1", ONE),
    parameter("/p:2", TWO),
    parameter("/p:Dev", ONE),
    parameter("/p", ONE, version=1),
    parameter("/p", ONE, label="Dev"),
    parameter("/p", ONE, label="1"),
    parameter("/p:3", NO_VERSION),
    parameter("/p:0", NO_VERSION),
    parameter("/p:01", NO_VERSION),
    parameter("/p", NO_VERSION, version=3),
    # AWS's own words are not recorded; moto has the parameter itself missing.
    parameter("/p:none", NO_VERSION, unlike=NO_PARAMETER),
    parameter("/p:", NO_VERSION, unlike=NO_PARAMETER),
    parameter("/p:1:2", NO_PARAMETER),
    parameter("/p:1", NO_PARAMETER, version=2),
    parameter("/p:1", NO_PARAMETER, label="Dev"),
    parameter("p", TWO),
    parameter("p:1", ONE),
    parameter(f"{PARAMETERS}/p", TWO),
    parameter(f"{PARAMETERS}/p:1", ONE),
    parameter(f"{PARAMETERS}/p:Dev", ONE),
    parameter(f"{PARAMETERS}/p", ONE, label="Dev"),
    parameter(f"{PARAMETERS}/p:1:2", NO_PARAMETER),
    parameter("plain", ("String", "x", 1)),
    parameter(f"{PARAMETERS}/plain", ("String", "x", 1)),
    parameter("/dev/size", ("String", "25", 1)),
    parameter("dev/size", NO_PARAMETER),
    parameter("/dev/none", NO_PARAMETER),
    parameter("/dev/none:1", NO_PARAMETER),
    parameter("a b", NO_PARAMETER),
    parameter("dev/s", NO_PARAMETER),
    parameter(f"arn:aws:ssm:{REGION}:999988887777:parameter/p", NO_PARAMETER),
    parameter("arn:aws:ssm:us-west-2:123456789012:parameter/p", NO_PARAMETER),
    parameter(f"{REFERENCE}dev/s", REFERENCED_NEW),
    parameter(f"{REFERENCE}dev/s:AWSCURRENT", REFERENCED_NEW),
    parameter(f"{REFERENCE}dev/s:AWSPREVIOUS", REFERENCED_OLD),
    parameter(f"{REFERENCE}dev/s:{FIRST}", REFERENCED_OLD),
    parameter(f"{REFERENCE}dev/s:{SECOND}", REFERENCED_NEW),
    parameter(f"{REFERENCE}dev/s", REFERENCED_OLD, label="AWSPREVIOUS"),
    parameter(f"{REFERENCE}dev/s", REFERENCED_OLD, label=FIRST),
    parameter(f"{REFERENCE}dev/s:none", NO_PARAMETER),
    parameter(f"{REFERENCE}dev/s:{NEVER}", NO_PARAMETER),
    parameter(f"{REFERENCE}dev/none", NO_PARAMETER),
    parameter(f"{REFERENCE}{SECRETS}dev/s-zzzzzz", NO_PARAMETER),
    parameter(f"{REFERENCE}dev/s", "ValidationException", decrypt=False),
    # moto cannot do it.
    parameter(f"{REFERENCE}bytes", ("SecureString", None, 0), unlike="500"),
]


def fill_memory() -> MemoryStore:
    """Put what the questions speak of into memory."""
    store = MemoryStore(region=REGION)
    store.put_secret("dev/s", "first", version_id=FIRST)
    store.put_secret("dev/s", "second", version_id=SECOND)
    store.put_secret("bytes", b"\x00\xff", version_id=FIRST)
    store.put_secret("rds!cluster-0f1e", "managed", version_id=FIRST)
    store.put_secret("db-abcdef", "hyphen", version_id=FIRST)
    store.put_parameter("/p", "one", labels=["Dev"])
    store.put_parameter("/p", "two")
    store.put_parameter("plain", "x")
    store.put_parameter("/dev/size", 25)
    return store


def fill_file(folder: Path) -> MemoryStore:
    """Put the same into a secrets file."""
    path = folder / "secrets.json"
    content = {
        "aws": {"region": REGION},
        "secrets": {
            "dev/s": {"versions": [{"string": "first", "id": FIRST}, {"string": "second", "id": SECOND}]},
            "bytes": {"binary": "AP8=", "id": FIRST},
            "rds!cluster-0f1e": {"string": "managed", "id": FIRST},
            "db-abcdef": {"string": "hyphen", "id": FIRST},
        },
        "parameters": {
            "/p": {"versions": [{"value": "one", "labels": ["Dev"]}, {"value": "two"}]},
            "plain": "x",
            "/dev/size": 25,
        },
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return load_store(path)


def fill_aws(aws: AwsDouble) -> None:
    """Put the same into AWS."""
    secrets, parameters = aws.client("secretsmanager"), aws.client("ssm")
    for name, value in (("dev/s", "first"), ("rds!cluster-0f1e", "managed"), ("db-abcdef", "hyphen")):
        secrets.create_secret(Name=name, SecretString=value, ClientRequestToken=FIRST)
    secrets.put_secret_value(SecretId="dev/s", SecretString="second", ClientRequestToken=SECOND)
    secrets.create_secret(Name="bytes", SecretBinary=b"\x00\xff", ClientRequestToken=FIRST)
    for name, value in (("/p", "one"), ("/p", "two"), ("plain", "x"), ("/dev/size", "25")):
        parameters.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    parameters.label_parameter_version(Name="/p", ParameterVersion=1, Labels=["Dev"])


@pytest.fixture(scope="module")
def all_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """Fill every store with the same."""
    folder = tmp_path_factory.mktemp("stores")
    with running_aws(folder) as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment("secretsmanager:GetSecretValue", "ssm:GetParameter").items():
            patch.setenv(name, value)
        fill_aws(aws)
        yield {"memory": fill_memory(), "file": fill_file(folder), "AWS": AwsStore()}


def answer(store: Store, question: Question) -> object:
    """Put a question, and give what is told of the value, or the error's code."""
    more: dict[str, Any] = dict(question.more)
    try:
        if question.kind == "parameter":
            parameter = store.parameter(question.name, **more)
            return parameter.type, parameter.value, parameter.version
        name = question.name if question.arn_of is None else store.secret(question.arn_of).arn
        secret = store.secret(name, **more)
    except StoreError as error:
        return error.code
    return secret.string or secret.binary, secret.version_id, secret.version_stages


@pytest.mark.parametrize(
    "question", QUESTIONS, ids=lambda question: f"{question.arn_of or question.name}{dict(question.more)}"
)
@pytest.mark.parametrize("kind", ["memory", "file", "AWS"])
def test_the_same_question_gets_the_same_answer(all_stores: dict[str, Store], kind: str, question: Question) -> None:
    """Every store answers every question alike, and as AWS does where moto does not."""
    expected = question.unlike if kind == "AWS" and question.unlike is not None else question.expected

    assert expected == answer(all_stores[kind], question)


def test_the_golden_names_come_with_the_selector(all_stores: dict[str, Store]) -> None:
    """A selector that stands in a name is told as one that stands beside it: the name is without it."""
    found = [
        (parameter.name, parameter.selector)
        for parameter in (
            all_stores["memory"].parameter("/p:1"),
            all_stores["memory"].parameter(f"{PARAMETERS}/p:Dev"),
            all_stores["memory"].parameter(f"{REFERENCE}dev/s:{FIRST}", decrypt=True),
        )
    ]

    assert found == [("/p", ":1"), ("/p", ":Dev"), (f"{REFERENCE}dev/s", f":{FIRST}")]
