from __future__ import annotations

import pytest

from lambdasecrets.errors import (
    ExtensionUnavailableError,
    InvalidValueError,
    Permission,
    Problem,
    Subject,
    UnresolvedError,
)
from tests.dev.aws_double import AwsDouble
from tests.e2e._rie import free_port
from tests.e2e.conftest import Run

LOG = "[AWS Parameters and Secrets Lambda Extension]"
GET_SECRET = "secretsmanager:GetSecretValue"


def missing_secret() -> UnresolvedError:
    """Give the error that a user would read."""
    subject = Subject("failing.missing_secret", ("key",), ("Secret('failing/missing')",))
    return UnresolvedError(subject, [Permission(GET_SECRET, "arn:*:secretsmanager:*:*:secret:failing/missing-??????")])


def missing_parameter() -> UnresolvedError:
    """Give the error that a user would read."""
    subject = Subject("failing.missing_parameter", ("size",), ("Parameter('/failing/missing')",))
    return UnresolvedError(subject, [Permission("ssm:GetParameter", "arn:*:ssm:*:*:parameter/failing/missing")])


@pytest.mark.parametrize(
    ("handler", "expected", "cause"),
    [
        (
            "failing.missing_secret",
            missing_secret(),
            "'failing/missing': ResourceNotFoundException: Secrets Manager can't find the specified secret.\n",
        ),
        (
            "failing.missing_parameter",
            missing_parameter(),
            "'/failing/missing': ParameterNotFound: Parameter /failing/missing not found.\n",
        ),
    ],
)
def test_missing(run: Run, handler: str, expected: UnresolvedError, cause: str) -> None:
    """For what does not exist, the error names the candidate causes, and the extension's log the real one."""
    with run(handler) as function:
        error = function.invoke()

    assert (error["errorType"], error["errorMessage"]) == ("UnresolvedError", str(expected))
    assert LOG in function.log
    assert cause in function.log


def test_absent_with_a_default(run: Run) -> None:
    """A parameter that does not exist takes its default, with one warning for each cold start."""
    with run("failing.absent") as function:
        answers = [function.invoke() for _ in range(3)]

    assert answers == [50, 50, 50]
    assert function.log.count("Using the default of 'size' of failing.absent") == 1


def test_denied(run: Run, aws: AwsDouble) -> None:
    """For what the role may not read, the error says which permission it needs, and the log who was refused."""
    aws.client("secretsmanager").create_secret(Name="failing/present", SecretString="made up")
    role = aws.environment("ssm:GetParameter")
    subject = Subject("failing.present", ("key",), ("Secret('failing/present')",))
    resource = "arn:*:secretsmanager:*:*:secret:failing/present-??????"

    with run("failing.present", **role) as function, aws.enforcing_iam():
        error = function.invoke()

    assert error["errorMessage"] == str(UnresolvedError(subject, [Permission(GET_SECRET, resource)]))
    assert f"is not authorized to perform: {GET_SECRET}" in function.log
    assert "made up" not in function.log


def test_wrong_shape(run: Run, aws: AwsDouble) -> None:
    """For a value of another shape, the error tells where and never what."""
    aws.client("secretsmanager").create_secret(Name="failing/shape", SecretString='{"port": "made up"}')
    subject = Subject("failing.wrong_shape", ("database",), ("Secret('failing/shape')",))
    problems = [Problem(("host",), "missing"), Problem(("port",), "int_parsing")]

    with run("failing.wrong_shape") as function:
        error = function.invoke()

    assert error["errorMessage"] == str(InvalidValueError(subject, "Database", problems))
    assert "made up" not in function.log


def test_layer_is_missing(run: Run) -> None:
    """Without the extension, the error asks whether the layer is attached."""
    port = free_port()
    subject = Subject("failing.present", ("key",), ("Secret('failing/present')",))

    with run("failing.present", launcher=None, PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port)) as function:
        error = function.invoke()

    assert error["errorMessage"] == str(ExtensionUnavailableError(subject, port, 1.0))
