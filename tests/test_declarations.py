# ruff: noqa: UP007, UP045 - both ways of writing a union must be told in one

from __future__ import annotations

import copy
import pickle
import string
from collections.abc import Callable
from typing import Annotated, Any, ForwardRef, Literal, Optional, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from lambdasecrets import DeclarationError, Parameter, Secret
from lambdasecrets._declarations import Declaration, VariableFault, bind, describe, write_type
from tests.properties import bounded

T = TypeVar("T")
VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
SECRET_CHARACTERS = string.ascii_letters + string.digits + "/_+=.@-!"
SECRET_NAME = st.text(st.sampled_from(SECRET_CHARACTERS), min_size=1)
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/"
ROLE = "arn:aws:iam::999988887777:role/reader"


class Model(BaseModel):
    pass


@pytest.mark.parametrize(
    ("expected", "declaration"),
    [
        ("Secret('orders/database')", Secret("orders/database")),
        ("Secret('s', key='api_key')", Secret("s", key="api_key")),
        (
            "Secret('s', key='k', version_id='7c1e', version_stage='AWSPREVIOUS')",
            Secret("s", key="k", version_id="7c1e", version_stage="AWSPREVIOUS"),
        ),
        (f"Secret('s', role_arn='{ROLE}')", Secret("s", role_arn=ROLE)),
        ("Secret('{s}', literal=True)", Secret("{s}", literal=True)),
        ("Parameter('/p')", Parameter("/p")),
        ("Parameter('/p', key='k', version=3, decrypt=False)", Parameter("/p", key="k", version=3, decrypt=False)),
        ("Parameter('/p', label='Dev')", Parameter("/p", label="Dev", decrypt=True)),
    ],
)
def test_repr(expected: str, declaration: Declaration) -> None:
    """A declaration shows as it would be written, without what it leaves to the defaults."""
    assert expected == repr(declaration)
    assert expected == str(declaration)


def test_attributes() -> None:
    """Declarations keep what they were given, and None or the default for what they were not."""
    secret = Secret("s", key="k", version_id="7c1e")
    assert (secret.name, secret.key, secret.version_id, secret.version_stage) == ("s", "k", "7c1e", None)
    parameter = Parameter("p", version=3)
    assert (
        parameter.name,
        parameter.key,
        parameter.version,
        parameter.label,
        parameter.decrypt,
    ) == ("p", None, 3, None, True)


def test_equality() -> None:
    """Declarations are equal by kind and content, and hash alike."""
    assert Secret("x", key="k") == Secret("x", key="k")
    assert Secret("x") != Secret("x", key="k")
    assert Secret("x") != Secret("x", role_arn=ROLE)
    assert Secret("{x}") != Secret("{x}", literal=True)
    assert Secret("x") != Parameter("x")
    assert len({Secret("x"), Secret("x"), Parameter("x")}) == 2


@pytest.mark.parametrize("attribute", ["name", "version_id", "_name", "_content", "unheard_of"])
def test_frozen(attribute: str) -> None:
    """A declaration cannot be changed, nor given another attribute, nor robbed of one."""
    declaration = Secret("x")
    with pytest.raises(AttributeError):
        setattr(declaration, attribute, "y")
    with pytest.raises(AttributeError):
        delattr(declaration, attribute)
    assert declaration == Secret("x")


@pytest.mark.parametrize(
    "declaration",
    [
        Secret("{A}/x", key="k", version_stage="S", role_arn=ROLE),
        Secret("{x}", literal=True),
        Parameter("/p", label="Dev", decrypt=False),
    ],
)
def test_clones(declaration: Declaration) -> None:
    """A declaration can be pickled, and is its own copy."""
    assert copy.copy(declaration) is copy.deepcopy(declaration) is declaration
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert declaration == pickle.loads(pickle.dumps(declaration, protocol))  # noqa: S301


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": ""}, "Cannot use Secret(''): name is empty. Give the name or ARN."),
        ({"name": " \t"}, "Cannot use Secret(' \\t'): name is empty. Give the name or ARN."),
        ({"name": None}, "Cannot use Secret(None): name is of type NoneType. Give name as a str."),
        ({"name": b"x"}, "Cannot use Secret(b'x'): name is of type bytes. Give name as a str."),
        ({"name": "x", "key": ""}, "Cannot use Secret('x', key=''): key is empty. Give the key."),
        ({"name": "x", "key": 3}, "Cannot use Secret('x', key=3): key is of type int. Give key as a str."),
        (
            {"name": "x", "version_id": ""},
            "Cannot use Secret('x', version_id=''): version_id is empty. Give the version_id.",
        ),
        (
            {"name": "x", "version_stage": ["A"]},
            "Cannot use Secret('x', version_stage=['A']): version_stage is of type list. Give version_stage as a str.",
        ),
        (
            {"name": "x\ud800"},
            "Cannot use Secret('x\\ud800'): name has a lone surrogate. Give text that UTF-8 can encode.",
        ),
        *(
            (
                {"name": name},
                (
                    f"Cannot use Secret('{name}'): its name has a brace that is no placeholder. Write {{VARIABLE}} for "
                    "an "
                    "environment variable; names themselves have no braces."
                ),
            )
            for name in ("{", "}x", "{}", "{A", "{A}{", "{{A}}", "{A!r}", "{1}")
        ),
    ],
)
def test_bad_secret(arguments: dict[str, Any], expected: str) -> None:
    """A secret's declaration that cannot be served is refused when it is made."""
    with pytest.raises(DeclarationError) as caught:
        Secret(**arguments)
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"name": ""}, "Cannot use Parameter(''): name is empty. Give the name or ARN."),
        (
            {"name": "{"},
            (
                "Cannot use Parameter('{'): its name has a brace that is no placeholder. Write {VARIABLE} for an "
                "environment variable; names themselves have no braces."
            ),
        ),
        (
            {"name": "/p", "version": 1, "label": "Dev"},
            (
                "Cannot use Parameter('/p', version=1, label='Dev'): version and label exclude each other: the "
                "extension "
                "would use only one of them. Keep one of the two."
            ),
        ),
        *(
            (
                {"name": "/p", "version": version},
                (
                    f"Cannot use Parameter('/p', version={version!r}): version is not a positive int. Give the number "
                    "of "
                    "the parameter's version."
                ),
            )
            for version in (0, -1, True, "3", 1.0)
        ),
        (
            {"name": "/p", "label": ""},
            "Cannot use Parameter('/p', label=''): label is empty. Give the label.",
        ),
        (
            {"name": "/p", "decrypt": None},
            "Cannot use Parameter('/p', decrypt=None): decrypt is not a bool. Write decrypt=True or decrypt=False.",
        ),
        (
            {"name": "/p", "decrypt": 1},
            "Cannot use Parameter('/p'): decrypt is not a bool. Write decrypt=True or decrypt=False.",
        ),
    ],
)
def test_bad_parameter(arguments: dict[str, Any], expected: str) -> None:
    """A parameter's declaration that cannot be served is refused when it is made."""
    with pytest.raises(DeclarationError) as caught:
        Parameter(**arguments)
    assert expected == str(caught.value)


def test_variables() -> None:
    """The placeholders of a name are its variables, in order."""
    assert Secret("{STAGE}/x/{_b2}-{STAGE}").variables == ("STAGE", "_b2", "STAGE")
    assert Secret("x").variables == ()


NO_BRACES = "Write {VARIABLE} for an environment variable; names themselves have no braces."
LETTERS = "A secret's name has ASCII letters, digits and /_+=.@-! only."
PARAMETER_LETTERS = (
    "A parameter's name has ASCII letters, digits and .-_/ only, and perhaps a version or label behind it."
)
WHOLE_ARN = "It reads arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, perhaps with AWS's own suffix."
WHOLE_PARAMETER_ARN = "It reads arn:aws:ssm:REGION:ACCOUNT:parameter/NAME."
BY_KEY = "For one member of a secret write key=, for a version version_stage= or version_id=."
DYNAMIC = (
    "its name is a dynamic reference of CloudFormation, which is filled in by templates and not by code. Give the name "
    "or the ARN itself; for one member of a secret write key=."
)
UNKNOWN_PLACEHOLDER = (
    "its name has a placeholder that does not exist. Of the context only {context.tenant_id} can be filled in."
)
OF_SSM = "its name is an ARN of Systems Manager. Use Parameter for a parameter."
OF_ANOTHER = f"its name is the ARN of another service, not of a secret. {WHOLE_ARN}"
OF_ANOTHER_PARAMETER = f"its name is the ARN of another service, not of a parameter. {WHOLE_PARAMETER_ARN}"
A_VERSION_ALREADY = "its name has a version or label already, behind its last colon"
NO_ROLE = ("its role_arn is no ARN of a role", "It reads arn:aws:iam::ACCOUNT:role/NAME.")
BY_POSITION = (
    "it takes the name by position and all else by keyword. For one member of a JSON object write {kind}"
    '("name", key="member").'
)
TTL = "It is an option of inject_secrets and resolve, and is called max_age there."
DEFAULT = "Give the argument a default: `= None`."
CYRILLIC = "\u0430"
ENDS_IN_TENANT = (
    "its name is an ARN that the tenant ends: the id could be another secret's name and AWS's own suffix. Declare the "
    "name instead of the ARN, or put something behind the tenant."
)


@pytest.mark.parametrize(
    "name",
    [
        "orders/database",
        "rds!cluster-0f1e2d3c",
        "a/_+=.@-!Z9",
        "app-config",
        ARN + "orders/database",
        ARN + "orders/database-AbCdEf",
        ARN + "rds!cluster-0f1e",
        "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:x",
        "{STAGE}/orders",
        "{SECRET_ARN}",
        "{PREFIX}:secret:x",
        "arn:{REST}",
        "arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{STAGE}/x",
        "tenants/{context.tenant_id}/database",
        "tenants/{context.tenant_id}",
        "{context.tenant_id}",
        ARN + "tenants/{context.tenant_id}/database",
        ARN + "tenants/{context.tenant_id}-AbCdEf",
        ARN + "{context.tenant_id}{SUFFIX}",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """What can be the name or the ARN of a secret is taken, with placeholders and without."""
    assert name == Secret(name).name


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "/orders/page-size",
        "/a.b/c_d-e",
        "plain:3",
        "/orders/page-size:3",
        "/orders/page-size:tested",
        PARAMETER_ARN + "orders/page-size",
        PARAMETER_ARN + "plain:3",
        "arn:aws:ssm:eu-west-1::parameter/aws/service/x",
        "/aws/service/ami-amazon-linux-latest/al2023",
        "/aws/reference/secretsmanager/rds!cluster-0f1e",
        "/aws/reference/secretsmanager/a+b@c=d",
        "/aws/reference/secretsmanager/a/b:AWSPREVIOUS",
        "/aws/reference/secretsmanager/a:11111111-2222-3333-4444-555555555555",
        PARAMETER_ARN + "aws/reference/secretsmanager/a+b:AWSPREVIOUS",
        "{PATH}",
        "{PREFIX}/page-size",
        "/{STAGE}/page-size:{LABEL}",
        "{PREFIX}page-size:3",
        "/tenants/{context.tenant_id}/size",
        PARAMETER_ARN + "tenants/{context.tenant_id}",
    ],
)
def test_names_of_parameters(name: str) -> None:
    """What can be the name or the ARN of a parameter is taken, with a selector and without."""
    assert name == Parameter(name).name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b", "its name has a space. Take it out."),
        ("a\u00a0b", "its name has a space. Take it out."),
        ("a\n", "its name has a line break. Take it out."),
        ("a\u2028b", "its name has a line break. Take it out."),
        ("a\tb", "its name has a control character. Take it out."),
        ('"a"', "its name has quotation marks. Take them out."),
        ("\u201ca\u201d", "its name has quotation marks. Take them out."),
        ("ä", f"its name has a character that is not ASCII. {LETTERS}"),
        (CYRILLIC, f"its name has a character that is not ASCII. {LETTERS}"),
        ("٣", f"its name has a character that is not ASCII. {LETTERS}"),
        ("a#b", f"its name has a character that no name has. {LETTERS}"),
        ("a*", f"its name has a character that no name has. {LETTERS}"),
        ("a\\b", f"its name has a character that no name has. {LETTERS}"),
        ("{STAGE}/a b", "its name has a space. Take it out."),
        ("{STAGE} ", "its name has a space. Take it out."),
        ("${STAGE}/a", "its name has a dollar sign. Write {STAGE} for an environment variable, without it."),
        ("{{resolve:secretsmanager:a:SecretString:password}}", DYNAMIC),
        ("{A B}", f"its name has a brace that is no placeholder. {NO_BRACES}"),
        ("{É}", f"its name has a brace that is no placeholder. {NO_BRACES}"),
        *(
            (
                name,
                UNKNOWN_PLACEHOLDER,
            )
            for name in ("{context.aws_request_id}/a", "{STAGE}/{context.tenant_id.x}")
        ),
        ("a:password::", f"its name has a colon. {BY_KEY}"),
        ("a:AWSPREVIOUS", f"its name has a colon. {BY_KEY}"),
        *(
            (f"{ARN}{rest}", f"its name has more than the ARN of a secret, as ECS writes it. {BY_KEY}")
            for rest in ("a-AbCdEf:password::", "a-AbCdEf:password:AWSPREVIOUS:", "a::AWSCURRENT:", "{A}:k::")
        ),
        (
            "arn:aws:ssm:eu-west-1:123456789012:parameter/a",
            "its name is an ARN of Systems Manager. Use Parameter for a parameter.",
        ),
        (
            "arn:aws:ssm:{REGION}:123456789012:parameter/a",
            "its name is an ARN of Systems Manager. Use Parameter for a parameter.",
        ),
        ("arn:aws:s3:::bucket", OF_ANOTHER),
        (
            "arn:aws:rds:eu-west-1:123456789012:cluster:a",
            f"its name is the ARN of another service, not of a secret. {WHOLE_ARN}",
        ),
        *(
            (name, f"its name is no whole ARN of a secret. {WHOLE_ARN}")
            for name in (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret/a",
                "arn:aws:secretsmanager:eu-west-1:12345:secret:a",
                "arn:aws:secretsmanager:*:*:secret:a-??????",
                "arn:aws:secretsmanager::123456789012:secret:a",
                "arn:aws:secretsmanager",
            )
        ),
        ("arn:", OF_ANOTHER),
        (ARN + "{context.tenant_id}", ENDS_IN_TENANT),
        (ARN + "tenants/{context.tenant_id}", ENDS_IN_TENANT),
        (ARN + "tenants/{context.tenant_id}db", ENDS_IN_TENANT),
        (ARN + "{STAGE}/{context.tenant_id}abcdef", ENDS_IN_TENANT),
    ],
)
def test_no_names_of_secrets(name: str, expected: str) -> None:
    """What no secret can be called is refused where it is declared, with what is wrong in words."""
    with pytest.raises(DeclarationError) as caught:
        Secret(name)
    assert f"Cannot use {f'Secret({name!r})'}: {expected}" == str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orders/size", "its name is a path without its first slash. Begin it with a slash."),
        ("aws/reference/secretsmanager/x", "its name is a path without its first slash. Begin it with a slash."),
        ("{context.tenant_id}/size", "its name is a path without its first slash. Begin it with a slash."),
        ("orders/{STAGE}", "its name is a path without its first slash. Begin it with a slash."),
        ("orders/size:3", "its name is a path without its first slash. Begin it with a slash."),
        *(
            (name, "its name has no version or label behind its colon. Write the number of a version, or a label.")
            for name in ("/x:", "/x:0", "/x:3a", "/x:a:b", "x:1/2")
        ),
        *(
            (name, f"its name has a character that no name has. {PARAMETER_LETTERS}")
            for name in ("/", "//", "a+b", "/a@b", "rds!x", "/a*", "{STAGE}+", ":3")
        ),
        ("/ä", f"its name has a character that is not ASCII. {PARAMETER_LETTERS}"),
        ("/a b", "its name has a space. Take it out."),
        ("{{resolve:ssm:/x}}", DYNAMIC),
        (ARN + "a", "its name is the ARN of a secret. Use Secret."),
        (
            "arn:aws:kms:eu-west-1:123456789012:key/1",
            OF_ANOTHER_PARAMETER,
        ),
        *(
            (name, f"its name is no whole ARN of a parameter. {WHOLE_PARAMETER_ARN}")
            for name in (
                "arn:aws:ssm:eu-west-1:123456789012:document/a",
                "arn:aws:ssm:eu-west-1::parameter/a",
                "arn:aws:ssm:eu-west-1:123456789012:parameter/a+b",
            )
        ),
    ],
)
def test_no_names_of_parameters(name: str, expected: str) -> None:
    """What no parameter can be called is refused where it is declared, with what is wrong in words."""
    with pytest.raises(DeclarationError) as caught:
        Parameter(name)
    assert f"Cannot use {f'Parameter({name!r})'}: {expected}" == str(caught.value)


@pytest.mark.parametrize(
    ("declare", "longest", "start"),
    [(Secret, 512, ""), (Parameter, 1011, ""), (Secret, 2048, ARN), (Parameter, 2048, PARAMETER_ARN)],
)
def test_longest_names(declare: Callable[[str], Declaration], longest: int, start: str) -> None:
    """What is longer than AWS allows is no name, wherever it comes from: it may be a key in the wrong variable."""
    name = start + "x" * (longest - len(start))
    assert name == declare(name).name
    with pytest.raises(DeclarationError) as caught:
        declare(f"{name}x")
    assert caught.value.why == "its name is longer than any name"
    (fault,) = bind(declare("{KEY}"), {"KEY": f"{name}x"})  # type: ignore[misc]
    assert fault.why == "with KEY filled in, its name is longer than any name"


@pytest.mark.parametrize("version", [{"version": 3}, {"label": "tested"}])
@pytest.mark.parametrize("name", ["/x:3", PARAMETER_ARN + "x:3", "/aws/reference/secretsmanager/x:AWSPREVIOUS"])
def test_a_version_twice(name: str, version: dict[str, Any]) -> None:
    """A selector in the name and a version beside it exclude each other."""
    with pytest.raises(DeclarationError) as caught:
        Parameter(name, **version)
    assert caught.value.why == A_VERSION_ALREADY
    assert (caught.value.remedy, Parameter(PARAMETER_ARN + "x", **version).key) == ("Keep one of the two.", None)


@pytest.mark.parametrize(
    "variable",
    [
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_BEARER_TOKEN_BEDROCK",
        "aws_session_token",
    ],
)
@pytest.mark.parametrize("declare", [Secret, Parameter, lambda name: Secret("x", role_arn=name)])
def test_credentials_are_no_placeholders(declare: Callable[[str], Declaration], variable: str) -> None:
    """A variable that holds credentials is not filled into a name, from which it would come into errors and logs."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"/tenants/{{{variable}}}/x")
    assert f"{variable} holds credentials, which are no part of a name" == caught.value.why
    assert caught.value.remedy == "Put what the name needs into a variable of its own."


def test_literal() -> None:
    """In a literal name braces are part of the name, whatever they hold, and nothing is filled in."""
    for declaration in (
        Secret("tenants/{AWS_SESSION_TOKEN}", literal=True),
        Secret("tenants/{context.tenant_id}", literal=True),
        Secret("tenants/{not closed".replace(" ", "-"), literal=True),
        Parameter("/tenants/{STAGE}", literal=True),
    ):
        assert (declaration.variables, declaration.needs_tenant) == ((), False)
        assert bind(declaration, {"AWS_SESSION_TOKEN": "t", "STAGE": "s"}, "acme") is declaration
    with pytest.raises(DeclarationError) as caught:
        Secret("tenants/{a b}", literal=True)
    assert caught.value.why == "its name has a space"


@pytest.mark.parametrize(
    "role",
    [
        ROLE,
        "arn:aws-cn:iam::123456789012:role/path/to/a_+=,.@-Z",
        "{ROLE}",
        "arn:{REST}",
        "arn:{P}:iam::{ACCOUNT}:role/{NAME}",
        "arn:aws:iam::123456789012:role/tenants/{context.tenant_id}",
        "{PREFIX}:role/x",
    ],
)
def test_roles(role: str) -> None:
    """What the agent takes as the ARN of a role is taken, with placeholders and without."""
    assert role == Secret("s", role_arn=role).role_arn
    assert Parameter("/p").role_arn is None


@pytest.mark.parametrize(
    "role",
    [
        "reader",
        "arn:aws:iam::123456789012:user/reader",
        "arn:aws:iam::1234:role/reader",
        "arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/reader",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:sts::123456789012:assumed-role/reader/x",
        f"{ROLE}\n",
        "{ROLE} ",
        "arn:aws:iam::{ACCOUNT}:user/x",
    ],
)
def test_no_roles(role: str) -> None:
    """What the agent would refuse as a role is refused where it is declared."""
    with pytest.raises(DeclarationError) as caught:
        Secret("s", role_arn=role)
    assert (caught.value.why, caught.value.remedy) == NO_ROLE


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        (
            ("n", "api_key"),
            {},
            "(..., ...): " + BY_POSITION,
        ),
        (
            ("n", "k", "v"),
            {"key": "k"},
            "(..., ..., ...): " + BY_POSITION,
        ),
        ((), {"key": "k"}, '(...): it has no name. Write {kind}("name").'),
        ((), {}, '(...): it has no name. Write {kind}("name").'),
        (
            (),
            {"path": "n"},
            "(..., path=...): there is no such argument. The name or ARN is the first argument.",
        ),
        (("n",), {"json_key": "k"}, "(..., json_key=...): there is no such argument. Write key=."),
        (("n",), {"keys": "k"}, "(..., keys=...): there is no such argument. Write key=."),
        (
            ("n",),
            {"default": 3},
            "(..., default=...): there is no such argument. Give the argument a default: `= None`.",
        ),
        (
            ("n",),
            {"ttl": 3},
            "(..., ttl=...): there is no such argument. " + TTL,
        ),
        (("n",), {"region": 3}, "(..., region=...): there is no such argument. Give the ARN in the place of the name."),
    ],
)
@pytest.mark.parametrize("kind", [Secret, Parameter])
def test_arguments_that_are_not_taken(
    kind: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], expected: str
) -> None:
    """An argument that a declaration does not take is refused with what to write, without what it was given."""
    with pytest.raises(DeclarationError) as caught:
        kind(*arguments, **keywords)
    name = kind.__name__
    assert f"Cannot use {name}{expected.replace('{kind}', name)}" == str(caught.value)


@pytest.mark.parametrize(
    ("kind", "keyword", "remedy"),
    [
        (Secret, "version", "Write version_id= or version_stage=."),
        (Secret, "stage", "Write version_stage=."),
        (Secret, "decrypt", "A secret is always decrypted."),
        (Secret, "versionStage", "Write version_stage=."),
        (Secret, "SecretId", "The name or ARN is the first argument."),
        (Parameter, "Name", "The name or ARN is the first argument."),
        (Parameter, "WithDecryption", "Write decrypt=."),
        (Secret, "zzz", "It takes key=, version_id=, version_stage=, role_arn=, literal=."),
        (Parameter, "version_id", "Write version=."),
        (Parameter, "with_decryption", "Write decrypt=."),
        (Parameter, "role_arn", "Parameters are read with the function's own role."),
        (Parameter, "lable", "Write label=."),
    ],
)
def test_hints(kind: Any, keyword: str, remedy: str) -> None:
    """A hint fits the kind of declaration."""
    with pytest.raises(DeclarationError) as caught:
        kind("n", **{keyword: "x"})
    assert remedy == caught.value.remedy


def test_by_keyword() -> None:
    """The name can be given by keyword, as the rest."""
    assert Secret(name="n") == Secret("n")


def test_bind() -> None:
    """Binding fills in the placeholders and keeps everything else."""
    environment = {"STAGE": "prod", "REGION": "eu", "ACCOUNT": "999988887777", "unused": None}
    secret = Secret("{STAGE}/{REGION}/{STAGE}", key="{k}", version_stage="S", role_arn="arn:aws:iam::{ACCOUNT}:role/r")
    role = "arn:aws:iam::999988887777:role/r"
    assert secret.variables == ("STAGE", "REGION", "STAGE", "ACCOUNT")
    assert bind(secret, environment) == Secret("prod/eu/prod", key="{k}", version_stage="S", role_arn=role)
    parameter = Parameter("/{STAGE}", version=3, decrypt=False)
    assert bind(parameter, environment) == Parameter("/prod", version=3, decrypt=False)


def test_bind_without_placeholders() -> None:
    """A declaration without placeholders is bound already."""
    secret = Secret("x")
    assert bind(secret, {}) is secret


@pytest.mark.parametrize("text", [None, ""])
def test_bind_what_is_not_set(text: str | None) -> None:
    """Each variable that is not set, or empty, is named once."""
    assert bind(Secret("{A}/{B}/{A}/{C}"), {"A": text, "B": "b"}) == [
        VariableFault("A", None, "Set it."),
        VariableFault("C", None, "Set it."),
    ]


def test_bind_what_is_no_text() -> None:
    """A variable whose bytes are not UTF-8 is named."""
    assert bind(Secret("{A}/x"), {"A": b"\xff".decode(errors="surrogateescape")}) == [
        VariableFault("A", "the environment variable A is not UTF-8", "Set it to UTF-8 text.")
    ]


@pytest.mark.parametrize(
    ("declaration", "text", "why", "remedy"),
    [
        (Secret("{DB}"), "{{resolve:secretsmanager:x}}", *DYNAMIC.split(". ", 1)),
        (Secret("{DB}"), '"app/db"', "its name has quotation marks", "Take them out."),
        (Secret("{DB}"), "'app/db'", "its name has quotation marks", "Take them out."),
        (Secret("{DB}"), "app/db\n", "its name has a line break", "Take it out."),
        (Secret("{DB}"), "app/db\r", "its name has a line break", "Take it out."),
        (Secret("{DB}"), " ", "its name has a space", "Take it out."),
        (Secret("{DB}"), "{X}", "its name has a brace that is no placeholder", NO_BRACES),
        (Secret("{DB}"), "app/db:password::", "its name has a colon", BY_KEY),
        (Secret("{DB}"), f"{ARN}x:password::", "its name has more than the ARN of a secret, as ECS writes it", BY_KEY),
        (
            Secret("{DB}"),
            PARAMETER_ARN + "x",
            "its name is an ARN of Systems Manager",
            "Use Parameter for a parameter.",
        ),
        (Secret("{DB}"), "s3cr€t", "its name has a character that is not ASCII", LETTERS),
        (Secret("x/{DB}"), ARN + "x", "its name has a colon", BY_KEY),
        (Parameter("{DB}"), ARN + "x", "its name is the ARN of a secret", "Use Secret."),
        (Parameter("{DB}"), "orders/size", "its name is a path without its first slash", "Begin it with a slash."),
        (Parameter("{DB}/size"), "orders", "its name is a path without its first slash", "Begin it with a slash."),
        (
            Parameter("{DB}", version=3),
            "/x:2",
            "its name has a version or label already, behind its last colon",
            "Keep one of the two.",
        ),
        (
            Secret("x", role_arn="{DB}"),
            "reader",
            "its role_arn is no ARN of a role",
            "It reads arn:aws:iam::ACCOUNT:role/NAME.",
        ),
    ],
)
def test_bind_what_makes_no_name(declaration: Declaration, text: str, why: str, remedy: str) -> None:
    """What is refused in a constant is refused in what a variable brings, by the variable's name without its text."""
    (fault,) = bind(declaration, {"DB": text})  # type: ignore[misc]
    assert fault == VariableFault(
        "DB", f"with DB filled in, {why}", f"{remedy} Correct what DB holds, or the declaration."
    )


def test_bind_blames_who_is_to_blame() -> None:
    """Of several variables the one that no name could have is named; where each could be a name's part, all are."""
    (fault,) = bind(Secret("{A}/{B}"), {"A": "a", "B": "b b"})  # type: ignore[misc]
    assert (fault.variable, fault.why) == ("B", "with B filled in, its name has a space")
    (fault,) = bind(Parameter("{A}/{B}"), {"A": "a", "B": "b"})  # type: ignore[misc]
    assert (fault.variable, fault.why) == ("A", "with A and B filled in, its name is a path without its first slash")


@pytest.mark.parametrize("declaration", [Secret("{DB}"), Parameter("{DB}")])
@pytest.mark.parametrize("text", ["{A}", "AWS", "{AWS_SESSION_TOKEN}"])
def test_bind_fills_in_once(declaration: Declaration, text: str) -> None:
    """Braces that come out of a variable are no placeholders."""
    made = bind(declaration, {"DB": text, "A": "a", "AWS_SESSION_TOKEN": "token"})
    assert isinstance(made, list) is ("{" in text)


def test_bind_a_tenant() -> None:
    """The tenant of the invocation is filled into the name and the role."""
    declaration = Secret(
        "tenants/{context.tenant_id}/{DB}", role_arn="arn:aws:iam::123456789012:role/{context.tenant_id}"
    )
    assert (declaration.variables, declaration.needs_tenant) == (("DB",), True)
    assert bind(declaration, {"DB": "db"}, "acme") == Secret(
        "tenants/acme/db", role_arn="arn:aws:iam::123456789012:role/acme"
    )
    assert Secret("{DB}").needs_tenant is False


@pytest.mark.parametrize(
    "tenant", ["", "a/b", "a:b", "a b", " ", "a\n", "ä", "{DB}", "a,b", "a\x00", "\ud800", "x" * 257, "a#b", "*"]
)
def test_bind_no_tenant(tenant: str) -> None:
    """A tenant's id that could address another name is refused."""
    assert bind(Secret("tenants/{context.tenant_id}/db"), {}, tenant) == [
        VariableFault(
            "context.tenant_id",
            "the id of the invocation's tenant could address another name",
            "In a name it has ASCII letters, digits and ._=+@- only, at most 256 of them.",
        )
    ]


def test_bind_tenants() -> None:
    """Every other id that Lambda allows is taken."""
    for tenant in ("a", "acme-XJcPdt", "..", "a.b_c=d+e@f-g", "x" * 256):
        assert bind(Secret("{context.tenant_id}"), {}, tenant) == Secret(tenant)


def test_bind_without_a_tenant() -> None:
    """An invocation without a tenant says that the function is not in tenant isolation mode."""
    assert bind(Secret("tenants/{context.tenant_id}/db"), {}) == [
        VariableFault(
            "context.tenant_id",
            "the invocation has no tenant: this function is not in tenant isolation mode",
            "Create the function with TenancyConfig PER_TENANT, or take {context.tenant_id} out. Where the context "
            "comes from elsewhere, give it a tenant_id.",
        )
    ]


def test_bind_a_tenant_that_is_no_part_of_a_parameters_name() -> None:
    """What a tenant's id may have and a parameter's name may not is refused."""
    (fault,) = bind(Parameter("/{context.tenant_id}/x"), {}, "a@b")  # type: ignore[misc]
    assert fault == VariableFault(
        "context.tenant_id",
        "with the tenant filled in, its name has a character that no name has",
        f"{PARAMETER_LETTERS} Correct what the tenant holds, or the declaration.",
    )


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("{DB}{context.tenant_id}", {"DB": ARN}),
        ("{DB}/{context.tenant_id}", {"DB": ARN + "tenants"}),
        (ARN + "{context.tenant_id}{DB}", {"DB": "abc"}),
        ("{DB}{context.tenant_id}-x{B}{context.tenant_id}", {"DB": ARN, "B": "y"}),
    ],
)
def test_bind_a_tenant_at_the_end_of_an_arn(name: str, texts: dict[str, str]) -> None:
    """Where variables bring an ARN, its end is not left to the tenant: it could be another secret's whole ARN."""
    (fault,) = bind(Secret(name), texts, "acme-XJcPdt")  # type: ignore[misc]
    assert str(fault.why).endswith(ENDS_IN_TENANT.split(". ", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("{DB}{context.tenant_id}", {"DB": "tenants/"}),
        ("{DB}{context.tenant_id}/db", {"DB": ARN}),
        (ARN + "{context.tenant_id}{DB}", {"DB": "-AbCdEf"}),
    ],
)
def test_bind_a_tenant_elsewhere(name: str, texts: dict[str, str]) -> None:
    """In a name, or with something behind it, the tenant addresses what was declared."""
    assert isinstance(bind(Secret(name), texts, "acme-XJcPdt"), Secret)


def test_bind_a_role_with_a_tenant_and_an_arn() -> None:
    """A tenant that is in the role only leaves the ARN alone."""
    role = "arn:aws:iam::123456789012:role/{context.tenant_id}"
    assert isinstance(bind(Secret(ARN + "x", role_arn=role), {}, "acme"), Secret)


def test_describe() -> None:
    """An error shows a declaration as it stands in the code, and after it what was filled in."""
    secret = Secret("{STAGE}/x", key="k", role_arn="{ROLE}")
    filled = bind(secret, {"STAGE": "prod", "ROLE": ROLE})
    assert isinstance(filled, Secret)
    assert describe(secret, filled) == (
        f"Secret('{{STAGE}}/x', key='k', role_arn='{{ROLE}}') (filled in as 'prod/x', role_arn='{ROLE}')"
    )
    assert describe(Secret("x"), Secret("x")) == "Secret('x')"


@bounded
@given(variable=VARIABLE, before=SECRET_NAME, value=SECRET_NAME)
def test_any_value_is_bound(variable: str, before: str, value: str) -> None:
    """Whatever part of a name a variable holds stands in the name as it is."""
    filled = bind(Secret(f"{before}{{{variable}}}"), {variable: value})
    assert isinstance(filled, Secret)
    assert filled.name == before + value


@bounded
@given(value=st.text(), before=st.sampled_from(["", "a/", ARN, "/a"]))
def test_no_other_value_is_bound(value: str, before: str) -> None:
    """What comes of binding is what could be declared, or names the variable and shows nothing of its text."""
    for kind in (Secret, Parameter):
        if kind is Parameter and before in {"a/", ARN}:
            continue
        made = bind(kind(f"{before}{{VARIABLE}}"), {"VARIABLE": value})
        if isinstance(made, list):
            assert (made[0].variable, len(value) > 40 and value in str(made)) == ("VARIABLE", False)
        else:
            assert made == kind(before + value)


@bounded
@given(name=SECRET_NAME)
def test_any_name_is_kept(name: str) -> None:
    """Any name of allowed characters is a name, and stays as it was declared."""
    assert name == Secret(name).name


@pytest.mark.parametrize(
    ("expected", "annotation"),
    [
        ("int", int),
        ("Model", Model),
        ("SecretStr", SecretStr),
        ("list[int]", list[int]),
        ("int | None", int | None),
        ("int | None", Optional[int]),
        ("str | int", Union[str, int]),
        ("list[str | None]", list[str | None]),
        ("Annotated[str | None, 'x']", Annotated[str | None, "x"]),
        (
            "collections.abc.Callable[[int, str | None], tests.test_declarations.Model]",
            Callable[[int, str | None], Model],
        ),
        ("tuple[int, ...]", tuple[int, ...]),
        ("Any | None", Optional[Any]),
        ("list[ForwardRef('Later')]", list[ForwardRef("Later")]),  # type: ignore[misc]
        ("~T", T),
        ("Literal['a']", Literal["a"]),
        ("None", None),
    ],
)
def test_written(expected: str, annotation: Any) -> None:
    """A type shows in an error as it would be written, the same on every Python."""
    assert expected == write_type(annotation)
