"""The IAM policy of declarations: what stands in it, that it is stable, and that every format says the same."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from typer.testing import CliRunner

from lambdasecrets import Parameter, Secret
from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.policy import PolicyOptions, make_policy
from tests.labels import label

ACCOUNT, REGION = "123456789012", "eu-west-1"
HERE: dict[str, Any] = {"account": ACCOUNT, "region": REGION}
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
KEY_ID = "mrk-0123456789abcdef0123456789abcdef"
ROLE = "arn:aws:iam::{OTHER}:role/reader"
READ, GET = "secretsmanager:GetSecretValue", "ssm:GetParameter"

EVERYTHING: list[Secret | Parameter] = [
    Secret("{STAGE}/db"),
    Secret("{STAGE}/db", key="host"),
    Secret("{STAGE}/db", version_stage="AWSPREVIOUS"),
    Secret("{DB_ARN}"),
    Secret("{class}/x"),
    Secret("tenants/{context.tenant_id}/key"),
    Secret("{x}", literal=True),
    Secret("shared", role_arn=ROLE),
    Parameter("/{STAGE}/size"),
    Parameter("plain"),
    Parameter("/aws/service/x"),
    Parameter("/aws/reference/secretsmanager/{STAGE}/ref"),
]
KEYS: dict[str | None, list[str]] = {
    "{STAGE}/db": [KEY],
    "plain": [KEY_ID],
    "{DB_ARN}": [KEY, KEY_ID],
    "tenants/{context.tenant_id}/key": [KEY],
}
TEXTS = {"STAGE": "prod", "DB_ARN": f"{SECRET}other-AbCdEf", "OTHER": "210987654321", "class": "first"}


def document(*declarations: Secret | Parameter, **options: Any) -> list[dict[str, Any]]:
    """Give the statements of the JSON policy."""
    policy = json.loads(make_policy(declarations, PolicyOptions(**options)).text)
    assert policy["Version"] == "2012-10-17"
    statements: list[dict[str, Any]] = policy["Statement"]
    assert all(re.fullmatch("[A-Za-z0-9]+", item["Sid"]) for item in statements)
    assert len({item["Sid"] for item in statements}) == len(statements)
    return statements


def brief(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Give actions and resources by the statements' names."""
    return {item["Sid"]: (item["Action"], item["Resource"]) for item in statements}


# --- What stands in it --------------------------------------------------------------------------------------------


def test_reads_are_merged_and_sorted() -> None:
    """Declarations of one kind are one statement; what reads the same name counts once."""
    declared = (
        Secret("b"),
        Parameter("/p/two:3"),
        Secret("a", key="k"),
        Secret("a", version_stage="AWSPREVIOUS"),
        Parameter("/p/two"),
        Parameter("one"),
    )

    assert brief(document(*declared, **HERE)) == {
        "ReadSecrets": ([READ], [f"{SECRET}a-??????", f"{SECRET}b-??????"]),
        "ReadParameters": ([GET], [f"{PARAMETER}one", f"{PARAMETER}p/two"]),
    }


def test_nothing_is_known() -> None:
    """What is not given is any, and a note says so for each variable."""
    policy = make_policy([Secret("{STAGE}/db"), Parameter("/{SIZE}")], PolicyOptions())

    assert brief(json.loads(policy.text)["Statement"]) == {
        "ReadSecrets": ([READ], ["arn:*:secretsmanager:*:*:secret:*/db-??????"]),
        "ReadParameters": ([GET], ["arn:*:ssm:*:*:parameter/*"]),
    }
    assert policy.notes == (
        "{SIZE} is not given, and stands as * in the policy: give it with --set SIZE=...",
        "{STAGE} is not given, and stands as * in the policy: give it with --set STAGE=...",
    )


@pytest.mark.parametrize(
    ("options", "partition"),
    [({"region": "cn-north-1"}, "aws-cn"), ({"region": REGION, "partition": "aws-x"}, "aws-x"), ({}, "*")],
)
def test_the_partition(options: dict[str, Any], partition: str) -> None:
    """The partition is the Region's, or the one given."""
    (statement,) = document(Secret("a"), **options)

    assert statement["Resource"][0].split(":")[1] == partition


def test_the_agent() -> None:
    """The agent asks DescribeSecret too, and prefetching needs a batch on all."""
    assert brief(document(Secret("a"), **HERE, server="agent", prefetch=True)) == {
        "ReadSecrets": (["secretsmanager:DescribeSecret", READ], [f"{SECRET}a-??????"]),
        "PrefetchSecrets": (["secretsmanager:BatchGetSecretValue"], ["*"]),
    }
    policy = make_policy([Parameter("/a")], PolicyOptions(server="agent"))
    assert policy.notes == ("Parameter('/a') is not served by the agent, which has secrets only.",)


def test_any_secret_does_not_mix_with_a_batch() -> None:
    """A secret that is all placeholder stands for any, and apart from the batch that is allowed on all."""
    assert brief(document(Secret("{ARN}"), Secret("b"), server="agent", prefetch=True)) == {
        "ReadSecrets": (["secretsmanager:DescribeSecret", READ], ["*", "arn:*:secretsmanager:*:*:secret:b-??????"]),
        "PrefetchSecrets": (["secretsmanager:BatchGetSecretValue"], ["*"]),
    }


def test_keys_are_for_their_names() -> None:
    """A key decrypts through its service and for its own names only; names of one key are one statement."""
    statements = document(
        Secret("a"), Secret("b"), Secret(f"{SECRET}c-AbCdEf"), Parameter("/p"), Parameter("/q", decrypt=False),
        **HERE, kms_keys={None: [KEY], "b": [KEY_ID]},
    )[2:]  # fmt: skip
    via = {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}
    own = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"

    assert [(item["Sid"], item["Resource"], item["Condition"]) for item in statements] == [
        ("Decrypt", [KEY], {"StringEquals": {**via, "kms:EncryptionContext:SecretARN": f"{SECRET}c-AbCdEf"}}),
        (
            "Decrypt2",
            [KEY],
            {"StringEquals": via, "StringLike": {"kms:EncryptionContext:SecretARN": f"{SECRET}a-??????"}},
        ),
        (
            "Decrypt3",
            [KEY],
            {
                "StringEquals": {
                    "kms:ViaService": f"ssm.{REGION}.amazonaws.com",
                    "kms:EncryptionContext:PARAMETER_ARN": f"{PARAMETER}p",
                }
            },
        ),
        (
            "Decrypt4",
            [own],
            {"StringEquals": via, "StringLike": {"kms:EncryptionContext:SecretARN": f"{SECRET}b-??????"}},
        ),
    ]


def test_names_of_one_key_are_one_statement() -> None:
    """Several names of one key are the texts of one condition."""
    (statement,) = document(Secret("a"), Secret("b"), **HERE, kms_keys={None: [KEY]})[1:]

    assert statement["Condition"]["StringLike"] == {
        "kms:EncryptionContext:SecretARN": [f"{SECRET}a-??????", f"{SECRET}b-??????"]
    }


def test_tenants_stand_apart() -> None:
    """What allows every tenant's values is a statement of its own, with a note; a given tenant is one name."""
    declared = Secret("tenants/{context.tenant_id}/key"), Secret("own")
    policy = make_policy(declared, PolicyOptions(**HERE))

    assert brief(json.loads(policy.text)["Statement"]) == {
        "ReadSecrets": ([READ], [f"{SECRET}own-??????"]),
        "ReadSecretsOfEveryTenant": ([READ], [f"{SECRET}tenants/*/key-??????"]),
    }
    (note,) = policy.notes
    assert note == (
        "Secret('tenants/{context.tenant_id}/key') allows the values of every tenant: a role does not know for which "
        "tenant it runs."
    )
    assert brief(document(*declared, **HERE, placeholders={"context.tenant_id": "acme"})) == {
        "ReadSecrets": ([READ], [f"{SECRET}own-??????", f"{SECRET}tenants/acme/key-??????"])
    }


def test_roles_have_policies_of_their_own() -> None:
    """The function may assume the role; what the role reads is the policy of the role, in its own account."""
    declared = Secret("a", role_arn=ROLE), Secret("b")
    filled = ROLE.replace("{OTHER}", "210987654321")
    texts: dict[str, Any] = {"placeholders": {"OTHER": "210987654321"}}
    policy = make_policy(declared, PolicyOptions(**HERE, **texts))
    role = make_policy(declared, PolicyOptions(**HERE, **texts, role=filled, kms_keys={"a": [KEY]}))

    assert brief(json.loads(policy.text)["Statement"]) == {
        "AssumeRoles": (["sts:AssumeRole"], [filled]),
        "ReadSecrets": ([READ], [f"{SECRET}b-??????"]),
    }
    assert (policy.roles, role.roles) == ((filled,), ())
    assert list(brief(json.loads(role.text)["Statement"]).values()) == [
        ([READ], [f"{SECRET.replace(ACCOUNT, '210987654321')}a-??????"]),
        (["kms:Decrypt"], [KEY]),
    ]
    assert role.notes == (f"{filled} also needs a trust policy that allows sts:AssumeRole to the function's role.",)
    assert make_policy(declared, PolicyOptions(role=ROLE)).roles == ()


def test_what_belongs_to_another_account() -> None:
    """What another account shares needs that account's policies too, which a note says."""
    name = "arn:aws:ssm:eu-west-1:999988887777:parameter/shared"
    policy = make_policy([Parameter(name)], PolicyOptions(**HERE))

    assert brief(json.loads(policy.text)["Statement"]) == {"ReadParameters": ([GET], [name])}
    (note,) = policy.notes
    assert note == (
        f"Parameter('{name}') belongs to account 999988887777: the resource policy that it has there, and the policy "
        "of its key, must allow it to this role too."
    )
    assert make_policy([Parameter(f"{PARAMETER}own")], PolicyOptions(**HERE)).notes == ()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (50, None),
        (90, "characters: a managed policy may have 6,144, the inline policies of a role 10,240 together."),
        (140, "characters: the inline policies of a role may have 10,240 together, a managed policy 6,144. Write one"),
    ],
)
@pytest.mark.parametrize("form", ["json", "sam"])
def test_the_size(names: int, says: str | None, form: Any) -> None:
    """A policy that is larger than IAM takes is written, with a note."""
    policy = make_policy([Secret(f"some/name/{number}") for number in range(names)], PolicyOptions(**HERE, form=form))

    assert [says in note for note in policy.notes if says] == ([] if says is None else [True])
    assert len(policy.notes) == (says is not None)


@pytest.mark.parametrize("form", ["json", "sam", "cdk", "terraform"])
def test_is_stable(form: Any) -> None:
    """The same declarations, in whatever order and however often, are the same policy."""
    options = PolicyOptions(form=form, kms_keys=KEYS)
    texts = {make_policy([*EVERYTHING[cut:], *reversed(EVERYTHING[:cut]), *EVERYTHING], options) for cut in range(12)}

    assert len(texts) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"account": "12345"}, "cannot use the account: give its twelve digits."),
        ({"region": "Ireland"}, "cannot use the Region 'Ireland': give its code, such as eu-west-1."),
        (
            {"kms_keys": {"db": [KEY]}},
            "cannot use a key for 'db': it is not declared. What is: prod/db, {STAGE}/db.",
        ),
        (
            {"kms_keys": {None: ["alias/mine"]}},
            "cannot use kms_key: it takes the id or ARN of a key, not an alias: IAM does not look behind aliases.",
        ),
        ({"role": ROLE}, f"cannot write a policy for {ROLE}: no declaration has this role. What is: none."),
        (
            {"placeholders": {"STAGE": "a b"}},
            "cannot use STAGE for Secret('{STAGE}/db'): ",
        ),
        ({"placeholders": {"STAGE": ""}}, "cannot use STAGE for Secret('{STAGE}/db'): it is empty."),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], says: str) -> None:
    """An option that makes no policy is one line that says what to give."""
    with pytest.raises(InputError) as caught:
        make_policy([Secret("{STAGE}/db")], PolicyOptions(**{"placeholders": {"STAGE": "prod"}, **options}))

    assert str(caught.value).startswith(says)


# --- Every format says the same -----------------------------------------------------------------------------------

PSEUDO = {"Partition": "aws", "Region": REGION, "AccountId": ACCOUNT, "URLSuffix": "amazonaws.com"}


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's `!Sub` by filling in what a deployment does."""


def substitute(loader: Loader, node: yaml.ScalarNode) -> str:
    """Fill in pseudo parameters, and the parameters of a template."""
    texts = {f"AWS::{name}": text for name, text in PSEUDO.items()}
    texts |= {"Stage": TEXTS["STAGE"], "DbArn": TEXTS["DB_ARN"], "Other": TEXTS["OTHER"], "Class": TEXTS["class"]}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: texts[found[1]], loader.construct_scalar(node))


Loader.add_constructor("!Sub", substitute)


def read_sam(text: str) -> list[dict[str, Any]]:
    """Read the `Policies` of a SAM function."""
    (policy,) = yaml.load(text, Loader)["Policies"]  # noqa: S506 - it is a SafeLoader
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements


def read_cdk(text: str) -> list[dict[str, Any]]:
    """Run a module for the CDK, with what the CDK would fill in."""
    names = {"sid": "Sid", "actions": "Action", "resources": "Resource", "conditions": "Condition"}

    class PolicyStatement(dict[str, Any]):
        def __init__(self, **content: Any) -> None:
            super().__init__({names[name]: value for name, value in content.items()} | {"Effect": "Allow"})

    cdk: Any = types.ModuleType("aws_cdk")
    cdk.Aws = types.SimpleNamespace(PARTITION="aws", REGION=REGION, ACCOUNT_ID=ACCOUNT, URL_SUFFIX="amazonaws.com")
    cdk.aws_iam = types.SimpleNamespace(PolicyStatement=PolicyStatement)
    sys.modules["aws_cdk"] = cdk
    module: dict[str, Any] = {}
    try:
        exec(text, module)  # noqa: S102 - our own text
    finally:
        del sys.modules["aws_cdk"]
    accepted = module["make_statements"].__kwdefaults__ or module["make_statements"].__code__.co_varnames
    given = {"stage": TEXTS["STAGE"], "db_arn": TEXTS["DB_ARN"], "other": TEXTS["OTHER"], "class_": TEXTS["class"]}
    statements: list[dict[str, Any]] = module["make_statements"](
        **{name: text for name, text in given.items() if name in accepted}
    )
    return statements


def read_terraform(text: str) -> list[dict[str, Any]]:
    """Read a policy document's data source, with what Terraform would fill in."""
    texts = {
        "data.aws_partition.lambdasecrets.partition": "aws",
        "data.aws_partition.lambdasecrets.dns_suffix": "amazonaws.com",
        "data.aws_region.lambdasecrets.name": REGION,
        "data.aws_caller_identity.lambdasecrets.account_id": ACCOUNT,
        "var.stage": TEXTS["STAGE"],
        "var.db_arn": TEXTS["DB_ARN"],
        "var.other": TEXTS["OTHER"],
        "var.class_": TEXTS["class"],
    }

    def plain(item: str) -> str:
        return re.sub(r"\$\{([\w.]+)\}", lambda found: texts[found[1]], json.loads(item))

    blocks = {name: block for item in hcl2.loads(text)["data"] for name, block in item.items()}
    used = {name.partition(".lambdasecrets")[0] for name in re.findall(r"\$\{(data\.\w+)\.", text)}
    assert {f"data.{json.loads(name)}" for name in blocks} - {"data.aws_iam_policy_document"} == used
    statements = []
    for block in blocks['"aws_iam_policy_document"']['"lambdasecrets"']["statement"]:
        statement: dict[str, Any] = {"Sid": plain(block["sid"]), "Effect": "Allow"}
        statement |= {"Action": [*map(plain, block["actions"])], "Resource": [*map(plain, block["resources"])]}
        for condition in block.get("condition", ()):
            pairs = statement.setdefault("Condition", {}).setdefault(plain(condition["test"]), {})
            pairs[plain(condition["variable"])] = [*map(plain, condition["values"])]
        statements.append(statement)
    return statements


def settled(statements: list[dict[str, Any]]) -> list[Any]:
    """Take out what is a matter of writing: order, numbers, one text or a list of one."""
    rows = []
    for item in statements:
        conditions = {
            (operator, key): sorted([texts] if isinstance(texts, str) else texts)
            for operator, pairs in item.get("Condition", {}).items()
            for key, texts in pairs.items()
        }
        sid = item["Sid"].rstrip("0123456789")
        rows.append((sid, item["Effect"], item["Action"], sorted(item["Resource"]), sorted(conditions.items())))
    return sorted(rows)


@pytest.mark.parametrize(
    ("form", "read"), [("sam", read_sam), ("cdk", read_cdk), ("terraform", read_terraform)], ids=label
)
@pytest.mark.parametrize("declared", [EVERYTHING, [Secret("a")], [Parameter("/{STAGE}/x")], [Parameter("/a")]], ids=len)
@pytest.mark.parametrize("keys", [{}, KEYS], ids=["no keys", "keys"])
@pytest.mark.parametrize("given", [{}, HERE, {"region": REGION}], ids=label)
def test_every_format_says_the_same(form: Any, read: Any, declared: Any, keys: Any, given: dict[str, Any]) -> None:
    """What a deployment makes of a template is the JSON policy for that deployment."""
    mine = {name: key for name, key in keys.items() if any(item.name == name for item in declared)}
    template = make_policy(declared, PolicyOptions(form=form, kms_keys=mine, **given)).text
    expected = document(*declared, kms_keys=mine, placeholders=TEXTS, **HERE)

    assert settled(read(template)) == settled(expected)


@pytest.mark.parametrize("form", ["sam", "cdk", "terraform"])
def test_comments_of_a_template(form: Any) -> None:
    """A template names the variables that it needs, and says beside a tenant's statement what that allows."""
    text = make_policy(EVERYTHING, PolicyOptions(form=form)).text

    assert text.splitlines()[0].startswith("# ")
    assert "(DB_ARN)" in text.splitlines()[0]
    (line,) = [number for number, line in enumerate(text.splitlines()) if "# Allows the values of every tenant" in line]
    assert "OfEveryTenant" in "".join(text.splitlines()[line + 1 : line + 4])


def test_variables_whose_names_would_meet() -> None:
    """Variables that a template would write alike get different names."""
    text = make_policy([Secret("{A_B}/{AB}/{A_b}/{_1}/{__}")], PolicyOptions(form="sam")).text

    assert text.splitlines()[0] == (
        "# Parameters of the template that stand for the function's environment variables: Ab (AB), AB (A_B), "
        "AB2 (A_b), 1 (_1), value (__)."
    )
    assert "v1 (_1)" in make_policy([Secret("{_1}/x")], PolicyOptions(form="terraform")).text


# --- The command --------------------------------------------------------------------------------------------------

APP = """
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets

@inject_secrets
def handler(event, context, *, db: Annotated[str, Secret("{STAGE}/db")],
            shared: Annotated[str, Secret("shared", role_arn="arn:aws:iam::210987654321:role/reader")] = ""): ...
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a handler the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["policy", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("project")
def test_the_command() -> None:
    """The policy is all there is on standard output; what is to be known beside it is on standard error."""
    options = ("--account", ACCOUNT, "--region", REGION, "--kms-key", f"{{STAGE}}/db={KEY}")
    code, out, err = run("app.py:handler", "--set", "STAGE=prod", *options)

    assert (code, list(brief(json.loads(out)["Statement"]))) == (0, ["AssumeRoles", "ReadSecrets", "Decrypt"])
    assert err == (
        "Note: arn:aws:iam::210987654321:role/reader reads for this function, and needs a policy of its own: "
        "--role arn:aws:iam::210987654321:role/reader\n"
    )
    code, out, err = run("app.py", "--role", "arn:aws:iam::210987654321:role/reader", "--server", "agent", "--prefetch")
    assert (code, list(brief(json.loads(out)["Statement"]))) == (0, ["ReadSecrets", "PrefetchSecrets"])


def test_a_module_that_cannot_be_imported(project: Path) -> None:
    """A module that fails is named; the policy is that of the others, and the exit code says that it is not whole."""
    (project / "bad.py").write_text("import lambdasecrets\nimport nowhere", encoding="utf-8")
    code, out, err = run(".", "--set", "STAGE=prod", "--format", "sam")

    assert (code, out.startswith("Policies:")) == (1, True)
    assert err.splitlines()[-1] == "Error: bad.py: line 2: ModuleNotFoundError: No module named 'nowhere'"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.py"], "Error: none.py: there is no such file.\n"),
        (["app.py", "--account", "1"], "Error: cannot use the account: give its twelve digits.\n"),
        (["app.py", "--kms-key", "=x"], "Error: cannot read the key '=x': write an ARN, or NAME=ARN.\n"),
        (["app.py", "--kms-key", "x="], "Error: cannot read the key 'x=': write an ARN, or NAME=ARN.\n"),
        (["app.py", "--set", "STAGE"], "Error: cannot read environment variable 1: write NAME=VALUE.\n"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    assert run(*arguments) == (2, "", says)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("arguments", [[], ["app.py", "--format", "yaml"], ["app.py", "--server", "me"]])
def test_a_command_line_that_cannot_be_read(arguments: list[str]) -> None:
    """A wrong command line is exit code 2 too."""
    code, out, _ = run(*arguments)

    assert (code, out) == (2, "")
