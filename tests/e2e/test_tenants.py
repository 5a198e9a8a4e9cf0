from __future__ import annotations

import pytest

from tests.dev.aws_double import AwsDouble
from tests.e2e.conftest import Run


@pytest.fixture(autouse=True)
def _keys(aws: AwsDouble) -> None:
    for tenant in ("acme", "globex"):
        aws.client("secretsmanager").create_secret(Name=f"tenants/{tenant}/key", SecretString=f"key of {tenant}")


def test_each_tenant_has_its_own(run: Run) -> None:
    """The tenant that a function is invoked for, by AWS's header, is in the name that its handler reads."""
    with run("tenant.handler") as function:
        answers = [function.invoke(tenant_id=tenant_id) for tenant_id in ("acme", "globex", "acme")]

    assert answers == [[f"key of {tenant_id}"] * 2 for tenant_id in ("acme", "globex", "acme")]


@pytest.mark.parametrize("tenant_id", [None, "acme:x", "a/../globex"])
def test_what_is_no_tenant_reads_nothing(run: Run, tenant_id: str | None) -> None:
    """Without a tenant, or with an id that could address another name, there is an error and no value."""
    with run("tenant.handler") as function:
        error = function.invoke(tenant_id=tenant_id)

    assert error["errorType"] == "InvalidVariableError"
