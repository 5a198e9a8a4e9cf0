from __future__ import annotations

from typing import Any

import pytest

from tests.dev.aws_double import AwsDouble
from tests.e2e._rie import wait_until
from tests.e2e.conftest import Run

TTL_SECONDS = 5


@pytest.fixture
def secret(aws: AwsDouble) -> Any:
    """Give Secrets Manager with the secret's first version."""
    client = aws.client("secretsmanager")
    client.create_secret(Name="rotating", SecretString="old")
    return client


def test_after_the_ttl(run: Run, secret: Any) -> None:
    """A rotated secret is seen when the extension's TTL is over, and not before."""
    with run("rotating.plain", SECRETS_MANAGER_TTL=str(TTL_SECONDS)) as function:
        before = function.invoke()
        secret.put_secret_value(SecretId="rotating", SecretString="new")
        kept = function.invoke()
        wait_until(lambda: function.invoke() == "new", 4 * TTL_SECONDS, "the new version is seen")

    assert (before, kept) == ("old", "old")


def test_at_once(run: Run, secret: Any) -> None:
    """With `retry_on`, the invocation that the old password fails ends well with the new one."""
    with run("rotating.retrying", SECRETS_MANAGER_TTL="300") as function:
        before = function.invoke("old")
        secret.put_secret_value(SecretId="rotating", SecretString="new")
        after = [function.invoke("new") for _ in range(3)]

    assert (before, after) == ("connected with old", ["connected with new"] * 3)


def test_not_rotated(run: Run, secret: Any) -> None:
    """Where the secret did not change, the handler's own error goes on."""
    with run("rotating.retrying") as function:
        error = function.invoke("another")

    assert error["errorType"] == "WrongPasswordError"
