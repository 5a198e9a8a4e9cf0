"""Secrets of other accounts, read by Amazon's own agent with the roles that a declaration names."""

from __future__ import annotations

import time
from itertools import cycle
from typing import Annotated, Any

import boto3
import pytest

from lambdasecrets import LambdaSecretsError, NotFoundError, Secret, inject_secrets, resolve
from lambdasecrets.testing import lambda_context
from tests.agent._gate import opened_gate
from tests.agent.conftest import ACTIONS, Run
from tests.agent.test_library import outcomes
from tests.dev.aws_double import REGION, AwsDouble

pytestmark = pytest.mark.usefixtures("transport")

ACME, GLOBEX = "arn:aws:iam::111122223333:role/reader", "arn:aws:iam::444455556666:role/reader"
ACCOUNTS = {None: "our own", ACME: "acme's", GLOBEX: "globex's"}


@pytest.fixture(autouse=True)
def _secrets(aws: AwsDouble) -> None:
    """Put a secret of one name into three accounts."""
    for role, text in ACCOUNTS.items():
        client_of(aws, role).create_secret(Name="tenant/key", SecretString=text)


def client_of(aws: AwsDouble, role: str | None) -> Any:
    """Give a client of Secrets Manager of a role's account."""
    if role is None:
        return aws.client("secretsmanager")
    issued = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="setup")["Credentials"]
    session: Any = boto3.Session(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
    return session.client("secretsmanager", region_name=REGION, endpoint_url=aws.url)


@inject_secrets(timeout=10)
def three(
    event: Any,
    context: Any,
    *,
    own: Annotated[str, Secret("tenant/key")],
    acme: Annotated[str, Secret("tenant/key", role_arn=ACME)],
    globex: Annotated[str, Secret("tenant/key", role_arn="arn:aws:iam::{GLOBEX}:role/reader")],
) -> list[str]:
    """Show the values; they are made up."""
    return [own, acme, globex]


@inject_secrets(timeout=10)
def of_tenant(
    event: Any,
    context: Any,
    *,
    key: Annotated[str, Secret("tenant/key", role_arn="arn:aws:iam::{context.tenant_id}:role/reader")],
) -> tuple[str, str]:
    """Show whose invocation it is, and the value."""
    return context.tenant_id, key


def test_one_name_of_three_accounts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One name read with two roles and with none is three values, never swapped, under eight threads."""
    monkeypatch.setenv("GLOBEX", "444455556666")
    with run():
        seen = outcomes(lambda: three({}, None), time.monotonic() + 3)

    assert set(seen) == {repr(list(ACCOUNTS.values()))}


def test_two_tenants(run: Run) -> None:
    """Two tenants' roles, one name and one handler are two values, each in its own tenant's invocation."""
    tenants = cycle(["111122223333", "444455556666"])
    with run():
        seen = outcomes(lambda: of_tenant({}, lambda_context(tenant_id=next(tenants))), time.monotonic() + 3)

    assert set(seen) == {repr(("111122223333", "acme's")), repr(("444455556666", "globex's"))}


def test_each_role_rotates_by_itself(run: Run, aws: AwsDouble) -> None:
    """A new value of one account comes when it is due, and changes no other's."""
    with run(cache={"ttl_seconds": 1}):
        before = [resolve(Secret("tenant/key", role_arn=role), str) for role in ACCOUNTS]
        client_of(aws, ACME).put_secret_value(SecretId="tenant/key", SecretString="acme's second")
        time.sleep(1.1)
        after = [resolve(Secret("tenant/key", role_arn=role), str) for role in ACCOUNTS]

    assert before == ["our own", "acme's", "globex's"]
    assert after == ["our own", "acme's second", "globex's"]


def test_what_the_roles_account_has_not(run: Run, aws: AwsDouble) -> None:
    """A name that only our own account has is not found with a role: it is never our own that is read."""
    aws.client("secretsmanager").create_secret(Name="only-ours", SecretString="our own")
    with run(), pytest.raises(NotFoundError):
        resolve(Secret("only-ours", role_arn=ACME), str)


def test_a_role_that_must_not_be_assumed(run: Run, aws: AwsDouble) -> None:
    """Where STS refuses the role, the error names it and AssumeRole."""
    refusal = ("AccessDenied", f"User: x is not authorized to perform: sts:AssumeRole on resource: {ACME}")
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}):
        gate.errors["AssumeRole"] = refusal
        with pytest.raises(LambdaSecretsError) as caught:
            resolve(Secret("tenant/key", role_arn=ACME), str)

    assert "sts:AssumeRole" in str(caught.value)
    assert ACME in str(caught.value)


def test_more_roles_than_the_agent_takes(run: Run) -> None:
    """Past the agent's `max_roles` the error names that setting; the roles before are served on."""
    with run(max_roles=1):
        first = resolve(Secret("tenant/key", role_arn=ACME), str)
        with pytest.raises(LambdaSecretsError) as caught:
            resolve(Secret("tenant/key", role_arn=GLOBEX), str)
        again = resolve(Secret("tenant/key", role_arn=ACME), str)

    assert (first, again) == ("acme's", "acme's")
    assert "max_roles" in str(caught.value)


def test_a_role_is_assumed_at_its_first_read(run: Run, aws: AwsDouble) -> None:
    """The agent assumes a role to see whether it may, then to read with it; what is read again costs no call."""
    actions = (*ACTIONS, "sts:AssumeRole")
    with opened_gate(aws.url) as gate:
        environ = {**aws.environment(*actions), "AWS_ENDPOINT_URL": gate.url}
        with run(environ=environ):
            gate.calls.clear()
            for _ in range(3):
                resolve(Secret("tenant/key", role_arn=ACME), str)

    assert gate.calls == ["AssumeRole", "GetCallerIdentity", "AssumeRole", "GetSecretValue"]
