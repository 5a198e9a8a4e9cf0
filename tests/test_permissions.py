from __future__ import annotations

import pickle
from typing import Any

import pytest

from lambdasecrets import Parameter, Permission, Secret, SettingError

GET_SECRET = "secretsmanager:GetSecretValue"
GET_PARAMETER = "ssm:GetParameter"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ROLE = "arn:aws:iam::999988887777:role/reader"
SHARED = "arn:aws:ssm:us-east-1:999988887777:parameter/shared"
VIA, CONTEXT = "kms:ViaService", "kms:EncryptionContext:SecretARN"
HERE: dict[str, Any] = {"region": "eu-west-1", "account": "123456789012"}


@pytest.mark.parametrize(
    ("expected", "name", "where"),
    [
        ("arn:*:secretsmanager:*:*:secret:orders/db-??????", "orders/db", {}),
        (f"{ARN}orders/db-??????", "orders/db", HERE),
        ("arn:aws:secretsmanager:eu-west-1:*:secret:orders/db-??????", "orders/db", {"region": "eu-west-1"}),
        ("arn:*:secretsmanager:*:123456789012:secret:orders/db-??????", "orders/db", {"account": "123456789012"}),
        ("arn:aws-cn:secretsmanager:*:*:secret:orders/db-??????", "orders/db", {"partition": "aws-cn"}),
        ("arn:*:secretsmanager:*:*:secret:app-config-??????", "app-config", {}),
        ("arn:*:secretsmanager:*:*:secret:rds!cluster-0f1e-??????", "rds!cluster-0f1e", {}),
        (f"{ARN}orders/db-??????", f"{ARN}orders/db", {"region": "us-east-1", "account": "1", "partition": "x"}),
        (f"{ARN}orders/db-AbCdEf", f"{ARN}orders/db-AbCdEf", {}),
        (f"{ARN}orders/db-AbCdE-??????", f"{ARN}orders/db-AbCdE", {}),
        (f"{ARN}orders/db-AbCdEfg-??????", f"{ARN}orders/db-AbCdEfg", {}),
        (f"{ARN}app-config", f"{ARN}app-config", {}),
        ("arn:*:secretsmanager:*:*:secret:{x}-??????", "{x}", {"literal": True}),
    ],
)
def test_secrets(expected: str, name: str, where: dict[str, Any]) -> None:
    """A secret's ARN ends in a hyphen and six characters, which a name and a partial ARN do not tell."""
    secret = Secret(name, literal=where.pop("literal", False))
    assert (Permission(GET_SECRET, expected),) == secret.permissions(**where)


@pytest.mark.parametrize(
    ("expected", "name", "where"),
    [
        ("arn:*:ssm:*:*:parameter/a/b", "/a/b", {}),
        ("arn:*:ssm:*:*:parameter/plain", "plain", {}),
        (f"{PARAMETER_ARN}a/b", "/a/b", HERE),
        ("arn:*:ssm:*:*:parameter/a/b", "/a/b:3", {}),
        ("arn:*:ssm:*:*:parameter/plain", "plain:tested", {}),
        (f"{PARAMETER_ARN}a/b", f"{PARAMETER_ARN}a/b:tested", {}),
        (
            SHARED,
            SHARED,
            HERE,
        ),
        ("arn:*:ssm:*::parameter/aws/service/x", "/aws/service/x", {}),
        ("arn:aws:ssm:eu-west-1::parameter/aws/service/x", "/aws/service/x:3", HERE),
        ("arn:aws:ssm:eu-west-1::parameter/aws/service/x", "arn:aws:ssm:eu-west-1::parameter/aws/service/x", {}),
    ],
)
def test_parameters(expected: str, name: str, where: dict[str, Any]) -> None:
    """A parameter's ARN has no second slash and no selector; a public parameter's no account."""
    assert (Permission(GET_PARAMETER, expected),) == Parameter(name).permissions(**where)


@pytest.mark.parametrize("selector", ["", ":AWSPREVIOUS", ":11111111-2222-3333-4444-555555555555"])
@pytest.mark.parametrize(
    ("prefix", "place"),
    [
        ("/aws/reference/secretsmanager/", "*:{service}:*:*"),
        (f"{PARAMETER_ARN}aws/reference/secretsmanager/", "aws:{service}:eu-west-1:123456789012"),
    ],
)
def test_references(prefix: str, place: str, selector: str) -> None:
    """A reference to a secret is read by one service on behalf of the other: both are asked."""
    parameter, secret = place.format(service="ssm"), place.format(service="secretsmanager")
    assert Parameter(f"{prefix}a/b+c{selector}").permissions() == (
        Permission(GET_PARAMETER, f"arn:{parameter}:parameter/aws/reference/secretsmanager/a/b+c"),
        Permission(GET_SECRET, f"arn:{secret}:secret:a/b+c-??????"),
    )


@pytest.mark.parametrize(
    ("partition", "region"),
    [
        ("aws", "us-east-1"),
        ("aws", "ap-southeast-7"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
        ("aws-iso", "us-iso-east-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-iso-e", "eu-isoe-west-1"),
        ("aws-iso-f", "us-isof-south-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("*", "${AWS::Region}"),
        ("*", None),
    ],
)
def test_partitions(partition: str, region: str | None) -> None:
    """The Region tells the partition; a template's own parameter does not."""
    (permission,) = Secret("s").permissions(region=region)
    assert f"arn:{partition}:secretsmanager:{region or '*'}:*:secret:s-??????" == permission.resource


@pytest.mark.parametrize(
    ("expected", "declaration", "placeholders"),
    [
        ("arn:*:secretsmanager:*:*:secret:*/db-??????", Secret("{STAGE}/db"), None),
        ("arn:*:secretsmanager:*:*:secret:prod/db-??????", Secret("{STAGE}/db"), {"STAGE": "prod"}),
        ("arn:*:secretsmanager:*:*:secret:prod-??????", Secret("{STAGE}"), {"STAGE": "prod"}),
        ("arn:*:secretsmanager:*:*:secret:tenants/*/db-??????", Secret("tenants/{context.tenant_id}/db"), {"X": "x"}),
        ("arn:*:secretsmanager:*:*:secret:tenants/*-??????", Secret("tenants/{context.tenant_id}"), {}),
        ("*", Secret("{DB_ARN}"), None),
        ("*", Secret("{DB}"), {}),
        (f"{ARN}db-??????", Secret("{DB_ARN}"), {"DB_ARN": f"{ARN}db"}),
        (f"{ARN}db-AbCdEf", Secret("{DB}"), {"DB": f"{ARN}db-AbCdEf"}),
        ("${DbArn}", Secret("{DB_ARN}"), {"DB_ARN": "${DbArn}"}),
        ("arn:*:secretsmanager:*:*:secret:${Stage}/db-??????", Secret("{STAGE}/db"), {"STAGE": "${Stage}"}),
        ("arn:aws:secretsmanager:*:*:secret:x-??????", Secret("arn:aws:secretsmanager:{R}:{A}:secret:x"), {}),
        (
            "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:x-??????",
            Secret("{DB}"),
            {"DB": "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:x"},
        ),
        ("arn:*:ssm:*:*:parameter/*/size", Parameter("/{STAGE}/size"), None),
        ("arn:*:ssm:*:*:parameter/*/size", Parameter("/{STAGE}/size:{LABEL}"), None),
        ("arn:*:ssm:*:*:parameter/${AWS::StackName}/size", Parameter("/{S}/size:3"), {"S": "${AWS::StackName}"}),
        ("arn:*:ssm:*:*:parameter/x/${AWS::StackName}", Parameter("/x/{S}"), {"S": "${AWS::StackName}"}),
        ("*", Parameter("{PATH}"), None),
        (f"{PARAMETER_ARN}x", Parameter("{PATH}"), {"PATH": f"{PARAMETER_ARN}x:3"}),
    ],
)  # fmt: skip
def test_placeholders(expected: str, declaration: Secret | Parameter, placeholders: dict[str, str] | None) -> None:
    """A placeholder is what is given for it, else anything; what is all placeholder can be an ARN."""
    assert [expected] == [item.resource for item in declaration.permissions(placeholders=placeholders)]


def test_a_reference_with_a_placeholder() -> None:
    """A placeholder in a reference is in both of its resources."""
    read, secret = Parameter("/aws/reference/secretsmanager/{X}").permissions(**HERE)
    assert read.resource == f"{PARAMETER_ARN}aws/reference/secretsmanager/*"
    assert secret.resource == f"{ARN}*-??????"


@pytest.mark.parametrize(
    ("expected", "where"),
    [
        (
            {"StringEquals": {VIA: "secretsmanager.eu-west-1.amazonaws.com"},
                "StringLike": {CONTEXT: f"{ARN}s-??????"}},
            HERE,
        ),
        (
            {"StringLike": {VIA: "secretsmanager.*.amazonaws.com",
                CONTEXT: "arn:*:secretsmanager:*:*:secret:s-??????"}},
            {},
        ),
        (
            {"StringEquals": {VIA: "secretsmanager.cn-north-1.amazonaws.com.cn"},
                "StringLike": {CONTEXT: "arn:aws-cn:secretsmanager:cn-north-1:*:secret:s-??????"}},
            {"region": "cn-north-1"},
        ),
    ],
)  # fmt: skip
def test_the_key_of_a_secret(expected: dict[str, Any], where: dict[str, str]) -> None:
    """A customer-managed key may be used through the service, and for this secret only."""
    _, decrypt = Secret("s").permissions(kms_key=KEY, **where)  # type: ignore[arg-type]
    assert Permission("kms:Decrypt", KEY, expected) == decrypt


def test_the_key_of_a_whole_arn() -> None:
    """Where there is no pattern, the conditions are equalities, and the place is the ARN's."""
    _, decrypt = Secret(f"{ARN}s-AbCdEf").permissions(kms_key=KEY)
    assert {
        "StringEquals": {VIA: "secretsmanager.eu-west-1.amazonaws.com", CONTEXT: f"{ARN}s-AbCdEf"}
    } == decrypt.condition


def test_the_key_of_a_parameter() -> None:
    """A SecureString is decrypted through Systems Manager; ciphertext needs no key."""
    read, decrypt = Parameter("/p").permissions(kms_key="1111", **HERE)
    context = "kms:EncryptionContext:PARAMETER_ARN"
    condition = {"StringEquals": {VIA: "ssm.eu-west-1.amazonaws.com", context: f"{PARAMETER_ARN}p"}}
    assert Permission("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/1111", condition) == decrypt
    assert (read,) == Parameter("/p", decrypt=False).permissions(kms_key="1111", **HERE)


def test_the_key_of_a_reference() -> None:
    """The key of a reference is that of the secret."""
    *_, decrypt = Parameter("/aws/reference/secretsmanager/s").permissions(kms_key=KEY, **HERE)
    assert decrypt.condition == Secret("s").permissions(kms_key=KEY, **HERE)[-1].condition


@pytest.mark.parametrize("key", ["alias/mine", "arn:aws:kms:eu-west-1:123456789012:alias/mine"])
def test_an_alias_is_no_key(key: str) -> None:
    """A statement on an alias would allow nothing, so it is refused."""
    with pytest.raises(SettingError) as caught:
        Secret("s").permissions(kms_key=key)
    assert caught.value.name == "kms_key"


def test_an_unknown_server() -> None:
    """Only the two servers that there are have permissions."""
    with pytest.raises(SettingError) as caught:
        Parameter("/p").permissions(server="layer")  # type: ignore[arg-type]
    assert caught.value.expected == "'extension' or 'agent'"


def test_the_agent() -> None:
    """The agent asks DescribeSecret when a value is due, and with prefetch for many at once."""
    resource = "arn:*:secretsmanager:*:*:secret:s-??????"
    reads = (Permission(GET_SECRET, resource), Permission("secretsmanager:DescribeSecret", resource))
    batch = Permission("secretsmanager:BatchGetSecretValue", "*")
    assert reads == Secret("s").permissions(server="agent")
    assert (*reads, batch) == Secret("s").permissions(server="agent", prefetch=True)
    assert reads[:1] == Secret("s").permissions(prefetch=True)
    assert Parameter("/p").permissions() == Parameter("/p").permissions(server="agent", prefetch=True)


def test_a_role() -> None:
    """The caller may assume the role; the role's own policy has the reads, in its own account."""
    resource = "arn:aws:secretsmanager:eu-west-1:999988887777:secret:s-??????"
    assume, read, decrypt = Secret("s", role_arn=ROLE).permissions(kms_key=KEY, **HERE)
    assert Permission("sts:AssumeRole", ROLE) == assume
    assert Permission(GET_SECRET, resource, role=ROLE) == read
    assert (decrypt.action, decrypt.role) == ("kms:Decrypt", ROLE)
    batch = Secret("s", role_arn=ROLE).permissions(server="agent", prefetch=True)
    assert [item.role for item in batch] == [None, ROLE, ROLE, ROLE]


def test_the_place_of_a_role() -> None:
    """Where nothing else is known, the role tells partition and account; an ARN tells its own."""
    role = "arn:aws-cn:iam::999988887777:role/reader"
    (_, read) = Secret("s", role_arn=role).permissions()
    assert read.resource == "arn:aws-cn:secretsmanager:*:999988887777:secret:s-??????"
    (_, read) = Secret(f"{ARN}s-AbCdEf", role_arn=ROLE).permissions()
    assert read.resource == f"{ARN}s-AbCdEf"


def test_a_role_with_placeholders() -> None:
    """The role is filled in as the name is."""
    secret = Secret("s", role_arn="arn:aws:iam::{ACCOUNT}:role/{context.tenant_id}")
    assume, read = secret.permissions(placeholders={"ACCOUNT": "999988887777"})
    assert assume.resource == read.role == "arn:aws:iam::999988887777:role/*"
    assert read.resource == "arn:aws:secretsmanager:*:999988887777:secret:s-??????"
    assume, read = Secret("s", role_arn="{ROLE}").permissions(**HERE)
    assert (assume.resource, read.role, read.resource) == ("*", "*", f"{ARN}s-??????")


def test_a_permission() -> None:
    """A permission reads as a sentence, can be a key, and can be pickled."""
    permission = Permission("kms:Decrypt", KEY, {"StringLike": {"kms:ViaService": "ssm.*.amazonaws.com"}}, ROLE)
    assert str(Permission("a:B", "arn")) == "a:B on arn"
    assert str(permission) == f"kms:Decrypt on {KEY} (in the policy of {ROLE})"
    assert {permission: 1} == {pickle.loads(pickle.dumps(permission)): 1}  # noqa: S301
