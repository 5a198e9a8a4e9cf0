from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from lambdasecrets import errors
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    DeadlineExceededError,
    DeclarationError,
    DecryptionError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    InvalidValueError,
    InvalidVariableError,
    LambdaSecretsError,
    MissingVariableError,
    NotFoundError,
    NoTokenError,
    Permission,
    Problem,
    ProtocolError,
    ResolutionError,
    ServerError,
    SettingError,
    SeveralErrors,
    Subject,
    TokenRejectedError,
    UnresolvedError,
    UnsupportedByAgentError,
    combined,
)

DATABASE = Subject("app.handler", ("database",), ("Secret('orders/database')",))
PAGE_SIZE = Subject("app.handler", ("page_size",), ("Parameter('/orders/page-size')",))
READ_DATABASE = (Permission("secretsmanager:GetSecretValue", "arn:*:secretsmanager:*:*:secret:orders/database-??????"),)
READ_PAGE_SIZE = (Permission("ssm:GetParameter", "arn:*:ssm:*:*:parameter/orders/page-size"),)

MESSAGES: dict[LambdaSecretsError, str] = {
    DeclarationError("parameter 'x' of app.handler", "it has no type", "Give it one."): (
        "Cannot use parameter 'x' of app.handler: it has no type. Give it one."
    ),
    SettingError("LAMBDASECRETS_TIMEOUT", "a number of seconds above 0"): (
        "Cannot use LAMBDASECRETS_TIMEOUT as it is set: it takes a number of seconds above 0. Correct it or leave it "
        "out."
    ),
    ResolutionError(DATABASE, "it rains", "Wait."): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it rains. Wait."
    ),
    MissingVariableError(DATABASE, "STAGE"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the environment variable STAGE is not "
        "set. Set it in the function's configuration (locally: in the [environment] table of the secrets file)."
    ),
    InvalidVariableError(DATABASE, "STAGE", "with STAGE filled in, its name has a space", "Take it out."): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): with STAGE filled in, its name has a "
        "space. Take it out."
    ),
    NoTokenError(DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): there is no AWS_SESSION_TOKEN, so this "
        "is not a Lambda execution environment. To run a handler on your own machine: `lambdasecrets invoke "
        "app.py:handler --secrets secrets.toml`; in a test: pass the values as keyword arguments, or start "
        "`lambdasecrets.dev.emulator.Emulator`."
    ),
    ExtensionUnavailableError(DATABASE, 2773, 1.04): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): nothing answered on 127.0.0.1:2773 for "
        "1.0 s. Is the layer AWS-Parameters-and-Secrets-Lambda-Extension attached to this function (a container "
        "image: is its content in /opt)? Is PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
    ),
    ExtensionNotReadyError(DATABASE, 1.0): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered \"not ready to "
        'serve traffic" for 1.0 s. Was this called while the module was imported? The extension serves during '
        "invocations only: resolve inside the handler."
    ),
    TokenRejectedError(DATABASE, 401): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered 401 to the "
        "session token, which was read twice. Does something change AWS_SESSION_TOKEN inside the function? Under "
        "SnapStart, update the extension's layer: older versions reject every token there."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the timeout). "
        "Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager and SSM; "
        "without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    ),
    DeadlineExceededError(DATABASE, 0.25, "invocation"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 0.25 s (what the "
        "invocation had left, less a reserve). Can the function reach AWS? In a VPC it needs a route or interface "
        "endpoints for Secrets Manager and SSM; without them the extension waits for ever unless "
        "SECRETS_MANAGER_TIMEOUT_MILLIS and SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    ),
    ServerError(DATABASE, 503, 7, 4.5): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer was 503; asked 7 times in "
        '4.50 s. Look in the function\'s log for lines that begin "[AWS Parameters and Secrets Lambda Extension]". '
        "`stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, None, 2, 0.5): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the connection was lost in the middle "
        "of the answer; asked 2 times in 0.50 s. Look in the function's log for lines that begin \"[AWS Parameters "
        'and Secrets Lambda Extension]". `stale_if_error` lets a handler go on with the last good value.'
    ),
    ProtocolError(DATABASE, 200, "is no JSON"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer (200) is no JSON. Does "
        "something else listen on the extension's port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT)?"
    ),
    ProtocolError(DATABASE, None, "is no HTTP"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer is no HTTP. Does something "
        "else listen on the extension's port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT)?"
    ),
    UnsupportedByAgentError(PAGE_SIZE): (
        "Cannot resolve 'page_size' of app.handler, Parameter('/orders/page-size'): the AWS Secrets Manager Agent "
        "listens on this port, and it does not serve Parameter Store. Use the Parameters and Secrets Lambda "
        "Extension, or keep the value in Secrets Manager."
    ),
    AnswerError(DATABASE, "InvalidRequestException", 400, READ_DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS answered with an error "
        "(InvalidRequestException, status 400). See the error codes of GetSecretValue in the Secrets Manager API "
        "reference."
    ),
    NotFoundError(DATABASE, "ResourceNotFoundException", 400, READ_DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it does not exist in this account and "
        "Region, or not in that version or stage (ResourceNotFoundException, status 400). Check the name, the Region, "
        "the version and the stage."
    ),
    AccessDeniedError(DATABASE, "AccessDeniedException", 400, READ_DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the role may not read it "
        "(AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue on "
        "arn:*:secretsmanager:*:*:secret:orders/database-?????? in the role's policy."
    ),
    DecryptionError(DATABASE, "DecryptionFailure", 400, READ_DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it could not be decrypted "
        "(DecryptionFailure, status 400). Allow kms:Decrypt on the secret's customer-managed key, and see that the key "
        "is enabled."
    ),
    UnresolvedError(DATABASE, READ_DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS refused, and the extension does not "
        "tell why. One of:\n"
        "  - it does not exist in this account and Region, or not in that version, stage or label\n"
        "  - the function's role may not call secretsmanager:GetSecretValue on "
        "arn:*:secretsmanager:*:*:secret:orders/database-??????\n"
        "  - the role may not call kms:Decrypt on its customer-managed key\n"
        "  - AWS throttled the call, or could not be reached\n"
        "The cause is in the function's log. Look for lines that begin "
        '"[AWS Parameters and Secrets Lambda Extension]".'
    ),
    InvalidValueError(DATABASE, "Database", [Problem(("port",), "int_parsing"), Problem((), "missing")]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the value does not fit Database\n"
        "  - port: int_parsing (not a whole number)\n"
        "  - missing (lacks a member)\n"
        "The value itself is not shown. Correct the value in AWS, or the declared type."
    ),
    SeveralErrors([MissingVariableError(DATABASE, "STAGE"), ResolutionError(PAGE_SIZE, "it rains", "Wait.")]): (
        "Cannot resolve 'database' and 'page_size' of app.handler, Secret('orders/database') and "
        "Parameter('/orders/page-size'): 2 of its declarations failed. Each for itself:\n"
        "1. Cannot resolve 'database' of app.handler, Secret('orders/database'): the environment variable STAGE is "
        "not set. Set it in the function's configuration (locally: in the [environment] table of the secrets file).\n"
        "2. Cannot resolve 'page_size' of app.handler, Parameter('/orders/page-size'): it rains. Wait."
    ),
}

each_error = pytest.mark.parametrize("error", MESSAGES, ids=lambda error: type(error).__name__)


def _classes(kind: type[LambdaSecretsError]) -> list[type[LambdaSecretsError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _classes(child))]


def _drawn() -> dict[str, str]:
    """Read the tree in the docstring: each class and the one above it."""
    above: list[str] = []
    parents: dict[str, str] = {}
    for lead, name in re.findall(
        r"^    ((?:[│├└ ][─ ]{3})*)(\w+Errors?)\b", inspect.cleandoc(str(errors.__doc__)), re.MULTILINE
    ):
        depth = len(lead) // 4
        above[depth:] = [name]
        parents[name] = above[depth - 1] if depth else "Exception"
    return parents


@each_error
def test_message(error: LambdaSecretsError) -> None:
    """Every error says what failed and for whom, why, and what to do."""
    assert MESSAGES[error] == str(error)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
@each_error
def test_clone(error: LambdaSecretsError, clone: object) -> None:
    """A copied, deeply copied or pickled error is of the same class and says the same."""
    assert callable(clone)
    other = clone(error)
    assert (type(error), str(error), error.args) == (type(other), str(other), other.args)
    assert set(vars(error)) == set(vars(other))


def test_every_class_has_a_message() -> None:
    """The messages above leave out no class of the tree."""
    assert set(_classes(LambdaSecretsError)) - {LambdaSecretsError} == {type(error) for error in MESSAGES}


def test_drawn_tree() -> None:
    """The tree in the module's docstring is the tree of the classes."""
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in _classes(LambdaSecretsError)}
    assert real == _drawn()


@pytest.mark.parametrize(("kind", "builtin"), [(DeclarationError, TypeError), (SettingError, ValueError)])
def test_mistakes_in_code_are_builtin_errors(kind: type, builtin: type) -> None:
    """A wrong declaration is also a TypeError, a wrong setting also a ValueError."""
    assert issubclass(kind, builtin)


def test_attributes_of_declaration_error() -> None:
    """A DeclarationError keeps what is wrong, why, and the remedy."""
    error = DeclarationError("Secret('')", "name is empty", "Give the name or ARN.")
    assert (error.where, error.why, error.remedy) == ("Secret('')", "name is empty", "Give the name or ARN.")


def test_attributes_of_setting_error() -> None:
    """A SettingError keeps the setting's name and what it takes."""
    error = SettingError("timeout", "a number")
    assert (error.name, error.expected) == ("timeout", "a number")


def test_attributes_of_resolution_errors() -> None:
    """A ResolutionError keeps what its message is made of."""
    unavailable = ExtensionUnavailableError(DATABASE, 2773, 1.0)
    assert (unavailable.subject, unavailable.port, unavailable.seconds) == (DATABASE, 2773, 1.0)
    assert unavailable.why == "nothing answered on 127.0.0.1:2773 for 1.0 s"
    assert MissingVariableError(DATABASE, "STAGE").variable == "STAGE"
    assert InvalidVariableError(DATABASE, "STAGE", "it rains", "Wait.").variable == "STAGE"
    assert ExtensionNotReadyError(DATABASE, 1.5).seconds == 1.5
    assert TokenRejectedError(DATABASE, 403).status == 403
    late = DeadlineExceededError(DATABASE, 5.0, "timeout")
    assert (late.seconds, late.bound) == (5.0, "timeout")
    server = ServerError(DATABASE, 503, 7, 4.5)
    assert (server.status, server.attempts, server.seconds) == (503, 7, 4.5)
    protocol = ProtocolError(DATABASE, 200, "is no JSON")
    assert (protocol.status, protocol.detail) == (200, "is no JSON")
    answer = NotFoundError(DATABASE, "ResourceNotFoundException", 400, READ_DATABASE)
    assert (answer.code, answer.status, answer.permissions) == ("ResourceNotFoundException", 400, READ_DATABASE)
    assert UnresolvedError(DATABASE, READ_DATABASE).permissions == READ_DATABASE
    invalid = InvalidValueError(DATABASE, "int", [Problem((), "int_parsing")])
    assert ("int", (Problem((), "int_parsing"),)) == (invalid.expected, invalid.problems)


def test_subject_without_parameter() -> None:
    """Where no parameter asked, such as in resolve(), the declaration stands first."""
    assert str(Subject("resolve()", (), ("Secret('x')",))) == "Secret('x') for resolve()"


def test_subjects_together() -> None:
    """Two subjects together name every parameter, and a declaration that both have once."""
    other = Subject("app.handler", ("replica",), DATABASE.declarations)
    assert Subject("app.handler", ("database", "replica"), ("Secret('orders/database')",)) == DATABASE.joined(other)


def test_problem_shows_the_way() -> None:
    """A problem reads as the way to it and its type."""
    assert str(Problem(("hosts", 2, "*", "port"), "int_parsing")) == "hosts.2.*.port: int_parsing"


def test_combined_of_one() -> None:
    """One error alone stays as it is."""
    error = MissingVariableError(DATABASE, "STAGE")
    assert combined([error]) is error


def test_combined_of_alike() -> None:
    """Errors of one class that say the same become one, about all of their subjects."""
    error = combined([TokenRejectedError(DATABASE, 401), TokenRejectedError(PAGE_SIZE, 401)])
    assert isinstance(error, TokenRejectedError)
    assert error.subject == DATABASE.joined(PAGE_SIZE)
    assert error.status == 401
    assert str(error) == (
        "Cannot resolve 'database' and 'page_size' of app.handler, Secret('orders/database') and "
        "Parameter('/orders/page-size'): the extension answered 401 to the session token, which was read twice. Does "
        "something change AWS_SESSION_TOKEN inside the function? Under SnapStart, update the extension's layer: older "
        "versions reject every token there."
    )


def test_combined_leaves_its_parts_alone() -> None:
    """Putting errors together changes none of them."""
    first, second = TokenRejectedError(DATABASE, 401), TokenRejectedError(PAGE_SIZE, 401)
    combined([first, second])
    assert (first.subject, second.subject) == (DATABASE, PAGE_SIZE)


def test_combined_keeps_remedies_apart() -> None:
    """Two denials need two permissions, so each keeps its own remedy."""
    denied = [
        AccessDeniedError(DATABASE, "AccessDeniedException", 400, READ_DATABASE),
        AccessDeniedError(PAGE_SIZE, "AccessDeniedException", 400, READ_PAGE_SIZE),
    ]
    error = combined(denied)
    assert isinstance(error, SeveralErrors)
    assert tuple(denied) == error.errors


def test_several_permissions() -> None:
    """A remedy names every permission that is needed, and whose policy needs it."""
    role = "arn:aws:iam::999988887777:role/reader"
    needed = (Permission("sts:AssumeRole", role), Permission("secretsmanager:GetSecretValue", "arn", role=role))
    text = f"sts:AssumeRole on {role} and secretsmanager:GetSecretValue on arn (in the policy of {role})"
    assert AccessDeniedError(DATABASE, "AccessDeniedException", 400, needed).remedy == (
        f"Allow {text} in the role's policy."
    )
    assert f"  - the function's role may not call {text}\n" in UnresolvedError(DATABASE, needed).why


def test_combined_counts_declarations() -> None:
    """Several errors count the declarations that failed, not the groups that the errors make."""
    third = Subject("app.handler", ("key",), ("Secret('key')",))
    error = combined(
        [TokenRejectedError(DATABASE, 401), TokenRejectedError(PAGE_SIZE, 401), MissingVariableError(third, "STAGE")]
    )
    assert isinstance(error, SeveralErrors)
    assert len(error.errors) == 2
    assert error.why == "3 of its declarations failed"
