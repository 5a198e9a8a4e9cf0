"""`lambdasecrets check --template`: one layer, variable, statement or second is found; what is open is unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.template import check_template

APP = """
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets

@inject_secrets
def handler(event, context, *, db: Annotated[str, Secret("{STAGE}/db")],
            size: Annotated[int, Parameter("/size")] = 5): ...

@inject_secrets(timeout=20)
def slow(event, context, *, db: Annotated[str, Secret("{STAGE}/db")]): ...

@inject_secrets
def by_arn(event, context, *, db: Annotated[str, Secret("{DB}")], size: Annotated[int, Parameter("{SIZE}")]): ...

@inject_secrets
def tenant(event, context, *, db: Annotated[str, Secret("tenants/{context.tenant_id}/{AWS_REGION}")]): ...

@inject_secrets
def shared(event, context, *,
           db: Annotated[str, Secret("x", role_arn="arn:aws:iam::210987654321:role/reader")]): ...

class Wrapper:
    def __call__(self, event, context): ...

wrapped = Wrapper()
"""
SECRET = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
PARAMETER = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/"
LAYER = "/aws/service/aws-parameters-and-secrets-lambda-extension/x86/latest"

READ: dict[str, Any] = {
    "Effect": "Allow",
    "Action": "secretsmanager:GetSecretValue",
    "Resource": {"Fn::Sub": SECRET + "${Stage}/db-??????"},
}
GET: dict[str, Any] = {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": {"Fn::Sub": PARAMETER + "size"}}


def sam(**changes: Any) -> dict[str, Any]:
    """Make a SAM template that is right, but for the changes to its function's properties; None takes one away."""
    properties = {
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "CodeUri": "src/",
        "Timeout": 10,
        "Layers": [f"{{{{resolve:ssm:{LAYER}}}}}"],
        "Environment": {"Variables": {"STAGE": {"Ref": "Stage"}}},
        "Policies": [{"Version": "2012-10-17", "Statement": [READ, GET]}],
        **changes,
    }
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"Stage": {"Type": "String"}},
        "Resources": {
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {name: value for name, value in properties.items() if value is not None},
            }
        },
    }


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with handlers the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def check(template: dict[str, Any], given: dict[str, str] | None = None, root: Path | None = None) -> list[str]:
    """Check a template; give what is not fine, or what all of it comes to."""
    Path("template.json").write_text(json.dumps(template), encoding="utf-8")
    rows = check_template(Path("template.json"), given or {}, root=root)
    return [f"{row.verdict}: {row.check}: {row.what}" for row in rows if row.verdict != "ok"]


# --- All is well --------------------------------------------------------------------------------------------------


def test_all_is_well() -> None:
    """Of a right template each thing that was looked at is listed, and nothing is wrong."""
    Path("template.yaml").write_text(yaml.safe_dump(sam()), encoding="utf-8")
    rows = check_template(Path("template.yaml"), {})

    assert [(row.function, row.check, row.verdict, row.what) for row in rows] == [
        ("Function", "handler", "ok", "src/app.py:handler"),
        ("Function", "layer", "ok", "AWS-Parameters-and-Secrets-Lambda-Extension"),
        ("Function", "variable", "ok", "STAGE is set."),
        (
            "Function",
            "permission",
            "ok",
            "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:${Stage}/db-??????",
        ),
        ("Function", "permission", "ok", "ssm:GetParameter on arn:*:ssm:*:*:parameter/size"),
        ("Function", "timeout", "ok", "the function has 10 s, resolving may take 5 s."),
    ]


YAML = f"""
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {{ Type: String, Default: prod }}
  Extension: {{ Type: "AWS::SSM::Parameter::Value<String>", Default: {LAYER.replace("x86", "arm64")} }}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Globals:
  Function:
    Runtime: python3.13
    Timeout: 6
    Architectures: [arm64]
    Environment:
      Variables:
        STAGE: !Sub "${{Stage}}"
        OTHER: !If [IsProd, a, !Ref "AWS::NoValue"]
    Layers: [!Ref Extension]
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      CodeUri: src
      Layers: [!Ref Own]
      Environment: {{ Variables: {{ MORE: 1 }} }}
      Policies:
        - AWSLambdaBasicExecutionRole
        - SSMParameterReadPolicy: {{ ParameterName: size }}
        - AWSSecretsManagerGetSecretValuePolicy:
            SecretArn: !Join ["", [!Sub "{SECRET}", !Ref Stage, "/db-??????"]]
  Own:
    Type: AWS::Serverless::LayerVersion
"""


def test_the_short_forms_of_yaml() -> None:
    """Short forms, Globals and SAM's policy templates are read as CloudFormation reads them."""
    Path("template.yaml").write_text(YAML, encoding="utf-8")

    assert {row.verdict for row in check_template(Path("template.yaml"), {})} == {"ok"}
    rows = check_template(Path("template.yaml"), {"Stage": "test"})
    assert [row.what for row in rows if "secret:test/db" in row.what and row.verdict == "ok"] != []


# --- Wrong by one thing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        (None, "finding: layer: AWS-Parameters-and-Secrets-Lambda-Extension is not attached"),
        (["arn:aws:lambda:eu-west-1:123456789012:layer:other:1"], "finding: layer: AWS-Parameters"),
        (
            ["arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:12"],
            "finding: layer: AWS-Parameters-and-Secrets-Lambda-Extension is the one for arm64, the function runs",
        ),
        (["arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension:12"], None),
        ([{"Ref": "Extension"}], "unknown: layer: one of its layers may be AWS-Parameters"),
        ([{"Fn::ImportValue": "extension"}], "unknown: layer: one of its layers may be"),
        ([{"Fn::ImportValue": "other"}, f"{{{{resolve:ssm:{LAYER}}}}}"], None),
        ({"Fn::If": ["X", [], []]}, "unknown: layer: one of its layers may be"),
        (
            [{"Fn::If": ["X", f"{{{{resolve:ssm:{LAYER}}}}}", "arn:aws:lambda:eu-west-1:1:layer:x:1"]}],
            "finding: layer: AWS-Parameters-and-Secrets-Lambda-Extension is not attached",
        ),
    ],
)
def test_the_layer(layers: Any, says: str | None) -> None:
    """The extension's layer of the function's architecture is attached, or it is said that it is not, or may be."""
    assert [row.startswith(says) for row in check(sam(Layers=layers)) if says] == ([True] if says else [])
    assert len(check(sam(Layers=layers))) == (says is not None)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, ["finding: variable: STAGE is not set."]),
        ({"STAGE": ""}, ["finding: variable: STAGE for Secret('{STAGE}/db'): it is empty."]),
        ({"STAGE": "a b"}, ["finding: variable: STAGE for Secret('{STAGE}/db'): "]),
        ({"STAGE": "{{resolve:ssm:stage}}"}, ["finding: variable: STAGE for Secret('{STAGE}/db'): "]),
        ({"STAGE": {"Ref": "AWS::NoValue"}}, ["finding: variable: STAGE is not set."]),
        (
            {"STAGE": {"Fn::ImportValue": "stage"}},
            [
                "unknown: variable: STAGE is set, to what is not known before.",
                "unknown: permission: what Secret('{STAGE}/db') needs: a variable that is not known before decides.",
            ],
        ),
        (
            {"STAGE": "prod"},
            ["unknown: permission: secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:prod"],
        ),
        ({"STAGE": {"Fn::Sub": "${Stage}"}}, []),
    ],
)
def test_variables(variables: Any, says: list[str]) -> None:
    """Each variable of a name is set to what makes one; what is not known before it is deployed is unknown."""
    found = check(sam(Environment={"Variables": variables}))

    assert len(found) == len(says), found
    assert [row.startswith(text) for row, text in zip(found, says, strict=True)] == [True] * len(says), found


@pytest.mark.parametrize("environment", ["x", {"Variables": {"Fn::Transform": {}}}, {"Variables": "x"}])
def test_variables_that_are_not_written_out(environment: Any) -> None:
    """Variables that a macro makes are unknown, and so is what depends on them."""
    found = check(sam(Environment=environment))

    assert [row.split(":")[0] for row in found] == ["unknown"] * 3
    assert check(sam(Environment=None)) == ["finding: variable: STAGE is not set."]


def allow(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    """Make a statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


NAME = "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:${Stage}/db-??????"
MISSING = f"finding: permission: {NAME} is missing: `lambdasecrets policy` writes it."


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        ([], MISSING),
        ([allow("secretsmanager:GetSecretValue", {"Fn::Sub": SECRET + "${Stage}/db-replica-??????"})], MISSING),
        ([allow("secretsmanager:GetSecretValue", {"Fn::Sub": SECRET + "other/db-??????"})], None),
        ([allow("secretsmanager:DescribeSecret", "*")], MISSING),
        ([allow("secretsmanager:GetSecretValue", {"Fn::Sub": PARAMETER + "${Stage}/db"})], MISSING),
        ([allow("secretsmanager:GetSecretValue", "*")], ""),
        ([allow("secretsmanager:*", {"Fn::Sub": SECRET + "${Stage}/*"})], ""),
        ([allow("SecretsManager:Get*", {"Fn::Sub": SECRET + "*"})], ""),
        ([allow("*", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:*")], ""),
        ([allow("secretsmanager:GetSecretValue", [{"Fn::Sub": SECRET + "x-??????"}, READ["Resource"]])], ""),
        (
            [{**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}],
            f"unknown: permission: {NAME}: a statement",
        ),
        ([{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}], f"unknown: permission: {NAME}: a statement"),
        ([{"Effect": "Allow", "Action": "secretsmanager:*", "NotResource": "x"}], f"unknown: permission: {NAME}: a"),
        (
            [READ, {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}],
            f"finding: permission: {NAME} is denied",
        ),
        ([READ, {**READ, "Effect": "Deny", "Condition": {"Bool": {}}}], f"unknown: permission: {NAME}: a statement"),
        ([READ, {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "arn:aws:s3:::x"}], ""),
        (
            [allow("secretsmanager:GetSecretValue", {"Fn::Sub": SECRET + "${Stage}/db-AbCdEf"})],
            f"unknown: permission: {NAME}",
        ),
        (
            [allow("secretsmanager:GetSecretValue", {"Fn::ImportValue": "x"})],
            f"unknown: permission: {NAME}: a statement",
        ),
        ([allow({"Fn::ImportValue": "x"}, "*")], f"unknown: permission: {NAME}: a statement"),
        (
            [allow("secretsmanager:GetSecretValue", {"Fn::If": ["X", "*", "arn:aws:s3:::x"]})],
            f"unknown: permission: {NAME}",
        ),
        (
            [{"Fn::If": ["X", READ, {"Ref": "AWS::NoValue"}]}],
            f"unknown: permission: {NAME}: a statement under a condition",
        ),
    ],
)
def test_statements(statements: list[Any], says: str | None) -> None:
    """A name is allowed by a pattern that has all of it; what may be is unknown; denied and missing are found."""
    found = check(sam(Policies=[{"Statement": [GET, *statements]}]))

    if says == "":
        assert found == []
    elif says is None:
        assert [row.split(":")[0] for row in found] == ["unknown"]
    else:
        assert [row.startswith(says) for row in found] == [True], found


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        (None, "finding"),
        ("AWSLambdaBasicExecutionRole", "finding"),
        (["AWSXRayDaemonWriteAccess", {"S3ReadPolicy": {"BucketName": "x"}}], "finding"),
        (["arn:aws:iam::aws:policy/AdministratorAccess"], "ok"),
        (["SecretsManagerReadWrite", "AmazonSSMReadOnlyAccess"], "ok"),
        ([{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/PowerUserAccess"}], "ok"),
        (["arn:aws:iam::123456789012:policy/own"], "unknown"),
        ([{"Ref": "Elsewhere"}], "unknown"),
        ([{"Fn::ImportValue": "policy"}], "unknown"),
        ([{"Ref": "Own"}], "ok"),
        ([{"SSMParameterWithSlashPrefixReadPolicy": {"ParameterName": "/size"}}, {"Statement": READ}], "ok"),
        ([{"SSMParameterReadPolicy": {"ParameterName": {"Fn::ImportValue": "x"}}}, {"Statement": READ}], "unknown"),
    ],
)
def test_policies(policies: Any, says: str) -> None:
    """SAM's policy templates, AWS's own policies and those of the template count; any other makes it unknown."""
    template = sam(Policies=policies)
    template["Resources"]["Own"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": {"Statement": [READ, GET]}},
    }

    assert {row.partition(":")[0] for row in check(template)} == (set() if says == "ok" else {says})


def test_a_boundary() -> None:
    """A permissions boundary can take away what is not there otherwise; what is allowed stays allowed by the policy."""
    assert [row.split(":")[0] for row in check(sam(PermissionsBoundary="x", Policies=[{"Statement": GET}]))] == [
        "unknown"
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Timeout": 5}, "finding: timeout: the function has 5 s, resolving may take 5 s: raise Timeout"),
        ({"Timeout": None}, "finding: timeout: the function has 3 s, resolving may take 5 s"),
        ({"Timeout": {"Ref": "Seconds"}}, "unknown: timeout: one of the timeouts"),
        ({"Timeout": "6"}, None),
        ({"Handler": "app.slow"}, "finding: timeout: the function has 10 s, resolving may take 20 s"),
        ({"Handler": "app.slow", "Timeout": 21}, None),
    ],
)
def test_the_timeout(changes: dict[str, Any], says: str | None) -> None:
    """The function's timeout is above what resolving may take, by its option or by default."""
    assert [row.startswith(says) for row in check(sam(**changes)) if says] == ([True] if says else [])


@pytest.mark.parametrize(
    ("seconds", "verdict"), [("2", []), ("10", ["finding"]), ({"Ref": "X"}, ["unknown"]), ("inf", ["unknown"])]
)
def test_the_timeout_of_a_variable(seconds: Any, verdict: list[str]) -> None:
    """The variable for the time of resolving counts where the decorator says nothing."""
    variables = {"STAGE": {"Ref": "Stage"}, "LAMBDASECRETS_TIMEOUT": seconds}

    assert [row.split(":")[0] for row in check(sam(Environment={"Variables": variables}))] == verdict


# --- Names, roles, tenants ----------------------------------------------------------------------------------------


def test_resources_of_the_template() -> None:
    """A secret and a parameter that the template makes are the same in the variable and in the policy."""
    template = sam(
        Handler="app.by_arn",
        Environment={"Variables": {"DB": {"Ref": "Db"}, "SIZE": {"Ref": "Size"}}},
        Policies=[
            {"AWSSecretsManagerGetSecretValuePolicy": {"SecretArn": {"Fn::GetAtt": "Db.Id"}}},
            {"SSMParameterReadPolicy": {"ParameterName": {"Ref": "Size"}}},
        ],
    )
    template["Resources"] |= {"Db": {"Type": "AWS::SecretsManager::Secret"}, "Size": {"Type": "AWS::SSM::Parameter"}}

    assert check(template) == []
    template["Resources"]["Function"]["Properties"]["Policies"][0] = {
        "AWSSecretsManagerGetSecretValuePolicy": {"SecretArn": {"Ref": "Other"}}
    }
    assert [row.split(":")[0] for row in check(template)] == ["unknown"]


def test_tenants() -> None:
    """What is a tenant's needs all tenants', unless one is given; what Lambda sets needs not be set."""
    every = sam(
        Handler="app.tenant",
        Environment=None,
        Policies=[{"Statement": allow("secretsmanager:GetSecretValue", {"Fn::Sub": SECRET + "tenants/*"})}],
    )
    one = sam(
        Handler="app.tenant",
        Environment=None,
        Policies=[{"Statement": allow("secretsmanager:GetSecretValue", {"Fn::Sub": SECRET + "tenants/acme/*-??????"})}],
    )

    assert check(every) == []
    assert [row.split(":")[0] for row in check(one)] == ["finding"]
    assert check(one, {"context.tenant_id": "acme"}) == []


def test_a_role_that_is_assumed() -> None:
    """The function has to be allowed to assume a declared role; what that role reads is not for its own policy."""
    found = check(sam(Handler="app.shared", Policies=None))

    assert [row.partition(" is missing")[0] for row in found] == [
        "finding: permission: sts:AssumeRole on arn:aws:iam::210987654321:role/reader"
    ]
    policy = {"Statement": allow("sts:AssumeRole", "arn:aws:iam::210987654321:role/*")}
    assert check(sam(Handler="app.shared", Policies=[policy])) == []


# --- CloudFormation and the CDK -----------------------------------------------------------------------------------


def plain(**changes: Any) -> dict[str, Any]:
    """Make a template as the CDK synthesizes it: a role with policies of its own, the code in a folder beside it."""
    template = sam(Policies=None, CodeUri=None, Role={"Fn::GetAtt": ["Role", "Arn"]}, Code={"S3Bucket": "b"}, **changes)
    function = template["Resources"]["Function"]
    function["Type"] = "AWS::Lambda::Function"
    function["Metadata"] = {"aws:asset:path": "asset.0123"}
    template["Resources"] |= {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": "function",
                "Policies": [{"PolicyDocument": {"Statement": [GET]}}],
                "ManagedPolicyArns": [
                    {
                        "Fn::Join": [
                            "",
                            ["arn:", {"Ref": "AWS::Partition"}, ":iam::aws:policy/AWSLambdaBasicExecutionRole"],
                        ]
                    }
                ],
            },
        },
        "Policy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyDocument": {"Statement": [READ]}, "Roles": [{"Ref": "Role"}]},
        },
    }
    return template


@pytest.fixture
def asset(project: Path) -> Path:
    """Put the handlers where the CDK puts them."""
    (project / "src").rename(project / "asset.0123")
    return project / "asset.0123"


@pytest.mark.usefixtures("asset")
def test_the_cdk() -> None:
    """A role's own policies, those that are attached to it, and its managed ones count together."""
    assert check(plain()) == []


@pytest.mark.usefixtures("asset")
def test_a_policy_of_another_role() -> None:
    """A policy counts for the roles that it names, by reference or by name."""
    template = plain()
    template["Resources"]["Policy"]["Properties"]["Roles"] = [{"Ref": "Other"}]
    assert check(template) == [MISSING]
    template["Resources"]["Policy"]["Properties"]["Roles"] = ["function"]
    assert check(template) == []
    template["Resources"]["Policy"]["Type"] = "AWS::IAM::RolePolicy"
    template["Resources"]["Policy"]["Properties"] |= {"Roles": None, "RoleName": {"Ref": "Role"}}
    assert check(template) == []


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize(
    "role", ["arn:aws:iam::123456789012:role/x", {"Fn::ImportValue": "role"}, {"Ref": "Policy"}, {"Ref": "Nowhere"}]
)
def test_a_role_elsewhere(role: Any) -> None:
    """A role that is not in the template is unknown."""
    template = plain()
    template["Resources"]["Function"]["Properties"]["Role"] = role

    assert {row.split(":")[0] for row in check(template)} == {"unknown"}
    assert check(template)[0].endswith("a role that is not in this template decides.")


@pytest.mark.usefixtures("asset")
def test_a_role_that_is_not_written_out() -> None:
    """A boundary, or a policy without its document, makes a missing statement unknown."""
    template = plain()
    role = template["Resources"]["Role"]["Properties"]
    role["PermissionsBoundary"] = "x"
    template["Resources"]["Policy"]["Properties"]["PolicyDocument"] = {"Fn::Transform": {}}

    assert [row.split(":")[0] for row in check(template)] == ["unknown"]
    role["Policies"] = ["x"]
    assert [row.split(":")[0] for row in check(template)] == ["unknown"] * 2


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize("region", [{"Ref": "AWS::Region"}, "eu-west-1"])
def test_a_layer_of_a_map(region: Any) -> None:
    """The CDK's map of the extension's layers is looked up in the Region, or in all of them."""
    arn = "arn:aws:lambda:{}:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension:12"
    template = plain(Layers=[{"Fn::FindInMap": ["Extensions", region, "x"]}])
    template["Mappings"] = {"Extensions": {name: {"x": arn.format(name)} for name in ("eu-west-1", "us-east-1")}}
    assert check(template) == []
    template["Mappings"]["Extensions"]["eu-west-1"]["x"] = "arn:aws:lambda:eu-west-1:1:layer:other:1"
    assert [row.split(":")[:2] for row in check(template)] == [["finding", " layer"]]


def test_code_that_is_packed_elsewhere() -> None:
    """Where the template does not tell where the handler is, it is unknown, until its folder is named."""
    template = plain()
    (row,) = check(template)

    assert row == "unknown: handler: app.handler: what it deploys is packed elsewhere. Name its folder with --root."
    assert check(template, root=Path("src")) == []
    (row,) = check(template, root=Path())
    assert row == "unknown: handler: app.handler: it is not in .. Name its folder with --root."


def test_a_container_image() -> None:
    """Of a container image the layer is unknown, and its command names the handler."""
    template = sam(
        PackageType="Image", Handler=None, Runtime=None, Layers=None, ImageConfig={"Command": ["app.handler"]}
    )

    assert check(template) == [
        "unknown: layer: a container image: see that AWS-Parameters-and-Secrets-Lambda-Extension is in its /opt."
    ]
    template["Resources"]["Function"]["Properties"].pop("CodeUri")
    template["Resources"]["Function"]["Metadata"] = {"DockerContext": "./src"}
    assert len(check(template)) == 1


@pytest.mark.usefixtures("asset")
def test_a_function_without_a_role() -> None:
    """A function whose role a macro adds later may do nothing that is known."""
    template = plain()
    del template["Resources"]["Function"]["Properties"]["Role"]

    assert [row.split(":")[0] for row in check(template)] == ["finding"] * 2


# --- Handlers -----------------------------------------------------------------------------------------------------


def test_functions_that_declare_nothing(project: Path) -> None:
    """What is not Python, or declares nothing, is passed over; a wrapper counts for all that its module declares."""
    (project / "src/plain.py").write_text("def handler(event, context): ...", encoding="utf-8")
    template = sam()
    template["Resources"] |= {
        "Node": sam(Runtime="nodejs22.x")["Resources"]["Function"],
        "Plain": sam(Handler="plain.handler")["Resources"]["Function"],
        "NoHandler": sam(Handler=None)["Resources"]["Function"],
        "NoRuntime": sam(Runtime=None, Handler={"Ref": "X"})["Resources"]["Function"],
        "Broken": "x",
    }
    assert check(template) == []
    for name in ("Node", "Plain"):
        template["Resources"]["Function"] = template["Resources"][name]
        with pytest.raises(
            InputError, match=r"^template\.json: no function of it has a handler that declares anything"
        ):
            check(template)
    assert "finding: timeout: the function has 10 s, resolving may take 20 s" in "".join(
        check(sam(Handler="app.wrapped"))
    )


def test_a_handler_that_cannot_be_imported(project: Path) -> None:
    """A handler that fails to import, or is not in its module, is a finding."""
    (project / "src/bad.py").write_text("import nowhere", encoding="utf-8")

    assert check(sam(Handler="bad.handler")) == [
        "finding: handler: src/bad.py: line 1: ModuleNotFoundError: No module named 'nowhere'"
    ]
    assert check(sam(Handler="app.missing")) == ["finding: handler: src/app.py has no 'missing'."]


def test_a_handler_in_a_package(project: Path) -> None:
    """A handler of a package below the code's folder is imported as part of it."""
    (project / "src/orders").mkdir()
    (project / "src/orders/__init__.py").write_text("", encoding="utf-8")
    (project / "src/orders/api.py").write_text(f"from . import __name__ as name\n{APP}", encoding="utf-8")

    assert check(sam(Handler="orders.api.handler")) == check(sam(Handler="orders/api.handler")) == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("none.yaml", None, "cannot read the file: No such file or directory."),
        ("bytes.yaml", b"\xff", "not UTF-8 at byte 0."),
        ("bad.yaml", b"a: [1", "not YAML: line 1, column 6."),
        ("tag.yaml", b"a: !!python/object:x {}", "not YAML: line 1, column 4."),
        ("control.yaml", b"a: \x01", "not YAML."),
        ("bad.json", b"{", "not JSON: line 1, column 2."),
        ("list.yaml", b"- a", "this is no template: it has no Resources."),
        ("none.json", b'{"Resources": []}', "this is no template: it has no Resources."),
    ],
)
def test_a_file_that_is_no_template(name: str, text: bytes | None, says: str) -> None:
    """What is no template is one line with the place."""
    if text is not None:
        Path(name).write_bytes(text)
    with pytest.raises(InputError) as caught:
        check_template(Path(name), {})

    assert str(caught.value) == f"{name}: {says}"


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_command() -> None:
    """Findings are exit code 1; what is unknown is, with --strict."""
    for template, codes, end in (
        (sam(), (0, 0), "6 checks, 0 findings, 0 unknown."),
        (sam(Layers=[{"Ref": "X"}]), (0, 1), "6 checks, 0 findings, 1 unknown."),
        (sam(Layers=None), (1, 1), "6 checks, 1 finding, 0 unknown."),
    ):
        Path("template.json").write_text(json.dumps(template), encoding="utf-8")
        code, out, err = run("--template", "template.json")
        assert (code, err, out.splitlines()[-1]) == (codes[0], "", end)
        assert run("--template", "template.json", "--strict")[0] == codes[1]
    assert [line.partition(":")[0] for line in out.splitlines()[:3]] == [
        "Function",
        "  ok       handler     src/app.py",
        "  finding  layer       AWS-Parameters-and-Secrets-Lambda-Extension is not attached",
    ]


def test_json() -> None:
    """JSON has every row."""
    Path("template.json").write_text(json.dumps(sam()), encoding="utf-8")
    code, out, _ = run("--template", "template.json", "--json", "--set", "Stage=prod")

    assert code == 0
    assert json.loads(out)["checked"][0] == {
        "function": "Function",
        "check": "handler",
        "verdict": "ok",
        "what": "src/app.py:handler",
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Error: say what to check: a TARGET, or --template FILE.\n"),
        (["--template", "none.yaml"], "Error: none.yaml: cannot read the file: No such file or directory.\n"),
        (
            ["x", "--template", "none.yaml"],
            "Error: a template tells what its handlers are: give no TARGET and no source",
        ),
        (["--aws", "--template", "none.yaml"], "Error: a template tells what its handlers are: give no TARGET and no"),
    ],
)
def test_misuse(arguments: list[str], says: str) -> None:
    """Misuse is one line and exit code 2."""
    code, out, err = run(*arguments)

    assert (code, out, err.startswith(says), err.count("\n")) == (2, "", True, 1)
