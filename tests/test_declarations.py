from __future__ import annotations

import copy
import pickle
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from lambdasecrets import DeclarationError, Parameter, Permission, Secret
from lambdasecrets._declarations import Declaration, bound, written
from tests.properties import bounded

VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
BRACELESS = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), min_size=1).filter(str.strip)


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
    assert Secret("x") != Parameter("x")
    assert len({Secret("x"), Secret("x"), Parameter("x")}) == 2


@pytest.mark.parametrize("attribute", ["name", "version_id", "unheard_of"])
def test_frozen(attribute: str) -> None:
    """A declaration cannot be changed, nor given another attribute, nor robbed of one."""
    declaration = Secret("x")
    with pytest.raises(AttributeError):
        setattr(declaration, attribute, "y")
    with pytest.raises(AttributeError):
        delattr(declaration, attribute)
    assert declaration == Secret("x")


@pytest.mark.parametrize(
    "declaration", [Secret("{A}/x", key="k", version_stage="S"), Parameter("/p", label="Dev", decrypt=False)]
)
def test_clones(declaration: Declaration) -> None:
    """A declaration can be copied and pickled."""
    assert declaration == copy.deepcopy(declaration)
    assert declaration == pickle.loads(pickle.dumps(declaration))  # noqa: S301


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
            for name in ("{", "}x", "{}", "{A", "{A B}", "{1}", "{A}{", "{{A}}", "{ A }", "{A!r}", "{É}")
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


@pytest.mark.parametrize(
    ("expected", "declaration"),
    [
        (Permission("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:s-??????"), Secret("s")),
        (Permission("secretsmanager:GetSecretValue", "arn:aws:x:secret:s-AbCdEf"), Secret("arn:aws:x:secret:s-AbCdEf")),
        (Permission("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/a/b"), Parameter("/a/b")),
        (Permission("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/a"), Parameter("a")),
        (Permission("ssm:GetParameter", "arn:aws:ssm:x:1:parameter/a"), Parameter("arn:aws:ssm:x:1:parameter/a")),
    ],
)
def test_permission(expected: Permission, declaration: Secret | Parameter) -> None:
    """A declaration knows the IAM statement that it needs."""
    assert expected == declaration.permission


def test_variables() -> None:
    """The placeholders of a name are its variables, in order."""
    assert Secret("{STAGE}/x/{_b2}-{STAGE}").variables == ("STAGE", "_b2", "STAGE")
    assert Secret("x").variables == ()


def test_bound() -> None:
    """Binding fills in the placeholders and keeps everything else."""
    environment = {"STAGE": "prod", "REGION": "eu"}
    secret = Secret("{STAGE}/{REGION}/{STAGE}", key="{k}", version_stage="S")
    assert str(bound(secret, environment)) == "Secret('prod/eu/prod', key='{k}', version_stage='S')"
    parameter = Parameter("/{STAGE}", version=3, decrypt=False)
    assert bound(parameter, environment) == Parameter("/prod", version=3, decrypt=False)


def test_bound_without_placeholders() -> None:
    """A declaration without placeholders is bound already."""
    secret = Secret("x")
    assert bound(secret, {}) is secret


@bounded
@given(variable=VARIABLE, before=BRACELESS, value=st.text(min_size=1))
def test_any_value_is_bound(variable: str, before: str, value: str) -> None:
    """Whatever a variable holds stands in the name as it is, braces and backslashes included."""
    assert bound(Secret(f"{before}{{{variable}}}"), {variable: value}).name == before + value


@bounded
@given(name=BRACELESS)
def test_any_name_is_kept(name: str) -> None:
    """Any name without braces is a name, and stays as it was declared."""
    assert name == Secret(name).name == Parameter(name).name


@pytest.mark.parametrize(
    ("expected", "annotation"),
    [
        ("int", int),
        ("Model", Model),
        ("SecretStr", SecretStr),
        ("list[int]", list[int]),
        ("int | None", int | None),
        ("Literal['a']", Literal["a"]),
        ("None", None),
    ],
)
def test_written(expected: str, annotation: Any) -> None:
    """A type shows in an error as it would be written."""
    assert expected == written(annotation)
