from __future__ import annotations

import pytest

from lambdasecrets import Parameter, Secret
from lambdasecrets._sources.refusals import make_unresolved_error
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import ExtensionUnavailableError, InvalidValueError, Problem, Subject
from tests.dev.aws_double import REGION, AwsDouble
from tests.e2e._rie import free_port
from tests.e2e.conftest import Run

LOG = "[AWS Parameters and Secrets Lambda Extension]"
GET_SECRET = "secretsmanager:GetSecretValue"
FUNCTION = f"arn:aws:lambda:{REGION}:012345678912:function:function"
"""What Amazon's emulator says of the function, as far as errors tell of it."""


@pytest.fixture(autouse=True)
def same_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the expected errors be made where the function runs."""
    monkeypatch.setenv("AWS_REGION", REGION)


def refusal(handler: str, parameter: str, declaration: Secret | Parameter) -> str:
    """Give the text that a user would read."""
    subject = Subject(handler, (parameter,), (str(declaration),))
    return str(make_unresolved_error(Request("", declaration, subject), function_arn=FUNCTION))


@pytest.mark.parametrize(
    ("handler", "parameter", "declaration", "cause"),
    [
        (
            "failing.missing_secret",
            "key",
            Secret("failing/missing"),
            "api error ResourceNotFoundException: Secrets Manager can't find the specified secret.\n",
        ),
        (
            "failing.missing_parameter",
            "size",
            Parameter("/failing/missing"),
            "api error ParameterNotFound: Parameter /failing/missing not found.\n",
        ),
    ],
)
def test_missing(run: Run, handler: str, parameter: str, declaration: Secret | Parameter, cause: str) -> None:
    """For what does not exist, the error names the candidate causes, and the extension's log the real one."""
    with run(handler) as function:
        error = function.invoke()

    assert (error["errorType"], error["errorMessage"]) == ("UnresolvedError", refusal(handler, parameter, declaration))
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

    with run("failing.present", **role) as function, aws.enforcing_iam():
        error = function.invoke()

    assert error["errorMessage"] == refusal("failing.present", "key", Secret("failing/present"))
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
