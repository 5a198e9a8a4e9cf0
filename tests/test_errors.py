from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

import lambdasecrets
from lambdasecrets import errors
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    AwsUnavailableError,
    CredentialsRejectedError,
    CredentialsUnavailableError,
    DeadlineExceededError,
    DeclarationError,
    DecryptionError,
    EventLoopError,
    ExtensionNotReadyError,
    ExtensionUnavailableError,
    InvalidValueError,
    InvalidVariableError,
    LambdaSecretsError,
    MarkedForDeletionError,
    MissingVariableError,
    NotFoundError,
    NoTokenError,
    Permission,
    Problem,
    Progress,
    ProtocolError,
    RefreshUnavailableError,
    ResolutionError,
    ServerError,
    SettingError,
    SeveralErrors,
    Subject,
    TokenRejectedError,
    TooManyOpenFilesError,
    UnresolvedError,
    UnsupportedByAgentError,
    UnsupportedByExtensionError,
    combine,
    write_permissions,
)

ONE_SERVICE = Progress("Parameter Store", 2, 0, 3, "Secrets Manager")
ROLE = "arn:aws:iam::111122223333:role/reader"
DATABASE = Subject("app.handler", ("database",), ("Secret('orders/database')",))
ALONE = Subject("resolve()", (), ("Secret('orders/database')",))
PAGE_SIZE = Subject("app.handler", ("page_size",), ("Parameter('/orders/page-size')",))
READ_DATABASE = Permission("secretsmanager:GetSecretValue", "arn:*:secretsmanager:*:*:secret:orders/database-??????")
DESCRIBE_DATABASE = Permission("secretsmanager:DescribeSecret", READ_DATABASE.resource)
BY_AGENT = [READ_DATABASE, DESCRIBE_DATABASE]
READ_PAGE_SIZE = Permission("ssm:GetParameter", "arn:*:ssm:*:*:parameter/orders/page-size")

MESSAGES: dict[LambdaSecretsError, str] = {
    EventLoopError(): (
        "Cannot resolve in this coroutine: no asyncio event loop runs it. Run it with asyncio (uvloop is one too), or "
        "call `resolve` in a thread of your framework's."
    ),
    RefreshUnavailableError(DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it cannot be fetched past the "
        "extension's cache: the extension has no way to, and boto3 is not installed. Install boto3 with the function "
        "(`pip install 'lambdasecrets[aws]'`; Lambda's Python runtimes have it), or run the AWS Secrets Manager Agent "
        "in the extension's place."
    ),
    DeclarationError("parameter 'x' of app.handler", "it has no type", "Give it one."): (
        "Cannot use parameter 'x' of app.handler: it has no type. Give it one."
    ),
    SettingError("LAMBDASECRETS_TIMEOUT", "a number of seconds above 0"): (
        "Cannot use LAMBDASECRETS_TIMEOUT as it is set: it takes a number of seconds above 0. Correct it or leave "
        "it out."
    ),
    ResolutionError(DATABASE, "it rains", "Wait."): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it rains. Wait."
    ),
    MissingVariableError(DATABASE, "STAGE"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the environment variable STAGE is not"
        " set, or empty. Set it in the function's configuration (locally: in the [environment] table of the secrets"
        " file)."
    ),
    MissingVariableError(DATABASE, "STAGE", is_local=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): this is not a Lambda execution "
        "environment, and the environment variable STAGE is not set, or empty. To run a handler on your own "
        "machine: `lambdasecrets invoke app.py:handler --secrets secrets.toml`; in a test: pass the values as "
        "keyword arguments, or start `lambdasecrets.dev.emulator.Emulator`. The [environment] table of the secrets "
        "file sets STAGE there."
    ),
    MissingVariableError(ALONE, "STAGE", is_local=True): (
        "Cannot resolve Secret('orders/database') for resolve(): this is not a Lambda execution environment, and "
        "the environment variable STAGE is not set, or empty. On your own machine: `lambdasecrets serve --secrets "
        "secrets.toml` prints the variables that lead a process to a local stand-in; in a test: start "
        "`lambdasecrets.dev.emulator.Emulator`. The [environment] table of the secrets file sets STAGE there."
    ),
    InvalidVariableError(DATABASE, "STAGE", "its name has a line break", "Take it out."): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): its name has a line break. Take it out."
    ),
    NoTokenError(DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): there is no AWS_SESSION_TOKEN, so "
        "this is not a Lambda execution environment. To run a handler on your own machine: `lambdasecrets invoke "
        "app.py:handler --secrets secrets.toml`; in a test: pass the values as keyword arguments, or start "
        "`lambdasecrets.dev.emulator.Emulator`. Beside the Secrets Manager Agent (ECS, EKS, EC2): set AWS_TOKEN to "
        "its token, or to file:// and its path."
    ),
    NoTokenError(ALONE): (
        "Cannot resolve Secret('orders/database') for resolve(): there is no AWS_SESSION_TOKEN, so this is not a "
        "Lambda execution environment. On your own machine: `lambdasecrets serve --secrets secrets.toml` prints the"
        " variables that lead a process to a local stand-in; in a test: start "
        "`lambdasecrets.dev.emulator.Emulator`. Beside the Secrets Manager Agent (ECS, EKS, EC2): set AWS_TOKEN to "
        "its token, or to file:// and its path."
    ),
    CredentialsUnavailableError(DATABASE, "answered 500"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the session token is not to be had: "
        "the endpoint of AWS_CONTAINER_CREDENTIALS_FULL_URI answered 500. The endpoint belongs to Lambda "
        "(SnapStart), and mostly gives the token a moment later: let the invocation be retried. `stale_if_error` "
        "lets a handler go on with the last good value. If it lasts, see whether something changes that variable or"
        " AWS_CONTAINER_AUTHORIZATION_TOKEN inside the function."
    ),
    ExtensionUnavailableError(DATABASE, 2773, 1.04): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): nothing answered on 127.0.0.1:2773 "
        "for 1.0 s. Is the layer AWS-Parameters-and-Secrets-Lambda-Extension attached to this function (a container"
        " image: is its content in /opt)? Is PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
    ),
    ExtensionUnavailableError(DATABASE, 2773, 1.04, is_local=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): nothing answered on 127.0.0.1:2773 "
        "for 1.0 s. This is not a Lambda execution environment (AWS_LAMBDA_FUNCTION_NAME is not set). To run a "
        "handler on your own machine: `lambdasecrets invoke app.py:handler --secrets secrets.toml`; in a test: pass"
        " the values as keyword arguments, or start `lambdasecrets.dev.emulator.Emulator`. Beside the Secrets "
        "Manager Agent (ECS, EKS, EC2): does it run, with this http_port? In a Lambda: Is the layer "
        "AWS-Parameters-and-Secrets-Lambda-Extension attached to this function (a container image: is its content "
        "in /opt)? Is PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
    ),
    ExtensionUnavailableError(ALONE, 2773, 1.04, is_local=True): (
        "Cannot resolve Secret('orders/database') for resolve(): nothing answered on 127.0.0.1:2773 for 1.0 s. This"
        " is not a Lambda execution environment (AWS_LAMBDA_FUNCTION_NAME is not set). On your own machine: "
        "`lambdasecrets serve --secrets secrets.toml` prints the variables that lead a process to a local stand-in;"
        " in a test: start `lambdasecrets.dev.emulator.Emulator`. Beside the Secrets Manager Agent (ECS, EKS, EC2):"
        " does it run, with this http_port? In a Lambda: Is the layer AWS-Parameters-and-Secrets-Lambda-Extension "
        "attached to this function (a container image: is its content in /opt)? Is "
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
    ),
    ExtensionUnavailableError(DATABASE, 2773, 1.04, was_reset=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): what listens on 127.0.0.1:2773 closed"
        " each connection before it answered, for 1.0 s. Does it end as it starts, or is it another server than the"
        " extension? Look in the function's log for lines that begin \"[AWS Parameters and Secrets Lambda "
        'Extension]".'
    ),
    ExtensionUnavailableError(DATABASE, 2773, 1.04, has_answered=True, is_local=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): nothing answered on 127.0.0.1:2773 "
        "for 1.0 s, after it had answered others in the same call. Did the server end, for want of memory? Look in "
        'the function\'s log for lines that begin "[AWS Parameters and Secrets Lambda Extension]".'
    ),
    ExtensionNotReadyError(DATABASE, 1.0): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered \"not ready to "
        'serve traffic" for 1.0 s. It begins to serve when the first invocation reaches it. Give the function more '
        "memory, and with it more of a CPU to start with. If it lasts: look in the function's log for lines that "
        'begin "[AWS Parameters and Secrets Lambda Extension]".'
    ),
    ExtensionNotReadyError(ALONE, 1.0): (
        "Cannot resolve Secret('orders/database') for resolve(): the extension answered \"not ready to serve "
        'traffic" for 1.0 s. Was this called while the module was imported? The extension serves during invocations'
        " only: resolve inside the handler."
    ),
    TokenRejectedError(DATABASE, 401): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered 401 to the "
        "token of AWS_SESSION_TOKEN, which was read twice. Does something change AWS_SESSION_TOKEN inside the "
        "function?"
    ),
    TokenRejectedError(DATABASE, 401, source="AWS_CONTAINER_CREDENTIALS_FULL_URI"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered 401 to the "
        "token of AWS_CONTAINER_CREDENTIALS_FULL_URI, which was read twice. This is SnapStart: update the "
        "extension's layer, older versions reject every token there."
    ),
    TokenRejectedError(DATABASE, 401, source="AWS_TOKEN"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered 401 to the "
        "token of AWS_TOKEN, which was read twice. The extension takes the token of AWS_SESSION_TOKEN only: take "
        "AWS_TOKEN out of the function."
    ),
    TokenRejectedError(DATABASE, 401, is_local=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the extension answered 401 to the "
        "token of AWS_SESSION_TOKEN, which was read twice. A local stand-in makes a new token each time it starts: "
        "set what it prints, or give it one (`lambdasecrets serve --token`)."
    ),
    TokenRejectedError(DATABASE, 403, server="agent", source="AWS_TOKEN"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the AWS Secrets Manager Agent "
        "answered 403 to the token of AWS_TOKEN, which was read twice. The agent was started with the first of "
        "AWS_TOKEN, AWS_SESSION_TOKEN and AWS_CONTAINER_AUTHORIZATION_TOKEN that was set for it (file:// and a "
        "path: what that file held then). Give this process the same, or start the agent again."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the "
        "timeout). Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager"
        " and SSM; without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    ),
    DeadlineExceededError(DATABASE, 0.25, "timeout"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 0.25 s (the "
        "timeout). That is little time for a call to AWS: raise the timeout. If it lasts: can the function reach "
        "AWS? In a VPC it needs a route or interface endpoints for Secrets Manager and SSM; without them the "
        "extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and SSM_PARAMETER_STORE_TIMEOUT_MILLIS are "
        "set."
    ),
    DeadlineExceededError(DATABASE, 0.25, "invocation"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 0.25 s (what the "
        "invocation had left, less a reserve). That is little time for a call to AWS: raise the function's timeout."
        " If it lasts: can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets "
        "Manager and SSM; without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    ),
    DeadlineExceededError(DATABASE, 0.0, "invocation"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the invocation's time is over (its "
        "last 0.1 s is kept for this error), so that nothing was asked. In Lambda: give the function a longer "
        "timeout. In a test: the context's get_remaining_time_in_millis says so, as that of Powertools' "
        "LambdaContext() does; pass None as the context, or one that has time."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout", server="agent"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the "
        "timeout). Can the agent reach AWS? In a VPC it needs a route or an interface endpoint for Secrets Manager "
        "(with roles, for STS too); without it the agent does not answer for a minute. Look in the agent's own log:"
        " in the folder logs/ where it was started, or its standard output if log_to_file is false."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout", server="aws"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the "
        "timeout). Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager"
        " and SSM."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout", progress=Progress("Secrets Manager", 20, 12, 3)): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the "
        "timeout), in which 12 of 20 secrets came, at most 3 at a time. AWS answers, but slowly. Raise "
        "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS (3 now) or the timeout, or join secrets into one (`key=` "
        "takes a member of it)."
    ),
    DeadlineExceededError(PAGE_SIZE, 2.0, "invocation", progress=Progress("Parameter Store", 3, 2, 3)): (
        "Cannot resolve 'page_size' of app.handler, Parameter('/orders/page-size'): no answer within 2.00 s (what "
        "the invocation had left, less a reserve), in which 2 of 3 parameters came. AWS answers, but slowly. Raise "
        "the function's timeout. `stale_if_error` lets a handler go on with the last good value."
    ),
    DeadlineExceededError(
        PAGE_SIZE, 5.0, "timeout", progress=Progress("Parameter Store", 2, 0, 3, "Secrets Manager")
    ): (
        "Cannot resolve 'page_size' of app.handler, Parameter('/orders/page-size'): no answer within 5.00 s (the "
        "timeout). Secrets Manager answered in the same call, Parameter Store did not: in a VPC each of them needs "
        "an interface endpoint of its own, or a route to the internet."
    ),
    DeadlineExceededError(DATABASE, 5.0, "timeout", progress=Progress("Secrets Manager", 2, 0, 3)): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): no answer within 5.00 s (the "
        "timeout). Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager"
        " and SSM; without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    ),
    ServerError(DATABASE, 503, 7, 4.5): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer was 503; asked 7 times in "
        '4.50 s. Look in the function\'s log for lines that begin "[AWS Parameters and Secrets Lambda Extension]". '
        "`stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, None, 2, 0.5): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the connection was lost in the middle"
        " of the answer; asked 2 times in 0.50 s. Look in the function's log for lines that begin \"[AWS Parameters "
        'and Secrets Lambda Extension]". `stale_if_error` lets a handler go on with the last good value.'
    ),
    ServerError(DATABASE, 429, 7, 4.5, server="agent"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the AWS Secrets Manager Agent "
        "answered 429; asked 7 times in 4.50 s. It has as many connections as its max_conn allows: raise that, or "
        "let fewer processes use it. `stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, 504, 7, 4.5, server="agent", code="TimeoutError"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the AWS Secrets Manager Agent "
        "answered 504 (TimeoutError); asked 7 times in 4.50 s. It could not reach AWS. Look in the agent's own log:"
        " in the folder logs/ where it was started, or its standard output if log_to_file is false. "
        "`stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, 500, 7, 4.5, server="agent", code="InternalFailure"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the AWS Secrets Manager Agent "
        "answered 500 (InternalFailure); asked 7 times in 4.50 s. Has it valid AWS credentials? Look in the agent's"
        " own log: in the folder logs/ where it was started, or its standard output if log_to_file is false. "
        "`stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, 400, 7, 4.5, server="agent", code="ThrottlingException"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the AWS Secrets Manager Agent "
        "answered 400 (ThrottlingException); asked 7 times in 4.50 s. AWS throttled the calls: let more of them be "
        "served from caches, or raise the quota. `stale_if_error` lets a handler go on with the last good value."
    ),
    ServerError(DATABASE, 500, 7, 4.5, server="aws", code="InternalServiceError"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS answered 500 "
        "(InternalServiceError); asked 7 times in 4.50 s. AWS itself fails: let the invocation be retried. "
        "`stale_if_error` lets a handler go on with the last good value."
    ),
    AwsUnavailableError(DATABASE, "https://secretsmanager.us-east-1.amazonaws.com", "ConnectTimeoutError"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): "
        "https://secretsmanager.us-east-1.amazonaws.com could not be reached (ConnectTimeoutError). In a VPC "
        "the function needs a route to it, or an interface endpoint of that service. Does a setting of boto3 "
        "(AWS_ENDPOINT_URL, a profile, a proxy) lead there?"
    ),
    ProtocolError(DATABASE, 200, "is no JSON"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer (200) is no JSON. See what "
        "listens on this port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT, by default 2773): it should be the extension, "
        "or the agent."
    ),
    ProtocolError(DATABASE, None, "is no HTTP"): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer is no HTTP. See what "
        "listens on this port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT, by default 2773): it should be the extension, "
        "or the agent."
    ),
    ProtocolError(DATABASE, 400, "is of an old agent", "Update it."): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the answer (400) is of an old agent. "
        "Update it."
    ),
    TooManyOpenFilesError(DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): this process has no file descriptor "
        "left for a connection. Look for files and connections that are opened at each invocation and never closed "
        "(/proc/self/fd lists them). Lambda allows 1,024 of them."
    ),
    UnsupportedByAgentError(PAGE_SIZE): (
        "Cannot resolve 'page_size' of app.handler, Parameter('/orders/page-size'): the AWS Secrets Manager "
        "Agent listens on this port, and it does not serve Parameter Store. Use the Parameters and Secrets "
        'Lambda Extension, keep the value in Secrets Manager, or let boto3 read it (`fallback="aws"`).'
    ),
    UnsupportedByExtensionError(DATABASE): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it is declared with a role, and the "
        "server on this port is not the AWS Secrets Manager Agent: the extension knows no roles, and would answer "
        "with this account's own secret of that name. Run the agent in the extension's place, or let boto3 read it "
        '(`fallback="aws"`). Without a role: declare the secret\'s ARN, and let the policies of the secret and of '
        "its key allow this function's role."
    ),
    AnswerError(DATABASE, "InvalidRequestException", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS answered with an error "
        "(InvalidRequestException, status 400). See the error codes of GetSecretValue in the Secrets Manager API "
        "reference."
    ),
    NotFoundError(DATABASE, "ResourceNotFoundException", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it does not exist in this account and"
        " Region, or not in that version or stage (ResourceNotFoundException, status 400). Check the name, the "
        "Region, the version and the stage."
    ),
    MarkedForDeletionError(DATABASE, "InvalidRequestException", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it is marked for deletion "
        "(InvalidRequestException, status 400). Restore it (`aws secretsmanager restore-secret`), or declare "
        "another."
    ),
    AccessDeniedError(DATABASE, "AccessDeniedException", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the role may not read it "
        "(AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue on "
        "arn:*:secretsmanager:*:*:secret:orders/database-?????? in the role's policy."
    ),
    AccessDeniedError(
        DATABASE,
        "AccessDeniedException",
        400,
        [READ_DATABASE, DESCRIBE_DATABASE],
        reason="so it is",
        advice="Allow {permissions}.",
    ): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): so it is (AccessDeniedException, "
        "status 400). Allow secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
        "arn:*:secretsmanager:*:*:secret:orders/database-??????."
    ),
    DecryptionError(DATABASE, "DecryptionFailure", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): it could not be decrypted "
        "(DecryptionFailure, status 400). Allow kms:Decrypt on its customer-managed key, in the role's policy and "
        "in the key's, and see that the key is enabled."
    ),
    CredentialsRejectedError(DATABASE, "ExpiredTokenException", 400, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS does not accept the credentials "
        "(ExpiredTokenException, status 400). Renew them."
    ),
    UnresolvedError(DATABASE, [READ_DATABASE]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS refused, and the extension does "
        "not tell why. One of:\n"
        "  - it does not exist in this account and Region, or not in that version, stage or label\n"
        "  - the function's role may not call secretsmanager:GetSecretValue on "
        "arn:*:secretsmanager:*:*:secret:orders/database-??????\n"
        "  - the role may not call kms:Decrypt on its customer-managed key\n"
        "  - it is marked for deletion\n"
        "  - AWS throttled the call, or could not be reached\n"
        "  - the credentials have expired (behind a local stand-in: `aws sso login`)\n"
        "The cause is in the function's log. Look for lines that begin \"[AWS Parameters and Secrets Lambda "
        'Extension]".'
    ),
    UnresolvedError(DATABASE, [READ_DATABASE], causes=["it rains"], finding="the ARN is wet", is_silent=True): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): AWS refused, and the extension does "
        "not tell why. One of:\n"
        "  - the ARN is wet\n"
        "  - it rains\n"
        "The extension logs nothing here. Set PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL, which is NONE, to ERROR, and "
        'look for lines that begin "[AWS Parameters and Secrets Lambda Extension]".'
    ),
    InvalidValueError(DATABASE, "Database", [Problem(("port",), "int_parsing"), Problem((), "missing")]): (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): the value does not fit Database\n"
        "  - port: int_parsing (not a whole number)\n"
        "  - missing (lacks a member)\n"
        "The value itself is not shown. Correct the value in AWS, or the declared type."
    ),
    SeveralErrors([MissingVariableError(DATABASE, "STAGE"), ResolutionError(PAGE_SIZE, "it rains", "Wait.")]): (
        "Cannot resolve 2 values of app.handler: there are 2 causes. Each with what to do:\n"
        "1. Cannot resolve 'database' of app.handler, Secret('orders/database'): the environment variable STAGE is "
        "not set, or empty. Set it in the function's configuration (locally: in the [environment] table of the "
        "secrets file).\n"
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
    unavailable = ExtensionUnavailableError(DATABASE, 2773, 1.0, was_reset=True, is_local=True)
    assert (unavailable.subject, unavailable.port, unavailable.seconds) == (DATABASE, 2773, 1.0)
    assert (unavailable.was_reset, unavailable.has_answered, unavailable.is_local) == (True, False, True)
    assert ExtensionUnavailableError(DATABASE, 2773, 1.0).why == "nothing answered on 127.0.0.1:2773 for 1.0 s"
    missing = MissingVariableError(DATABASE, "STAGE", is_local=True)
    assert (missing.variable, missing.is_local) == ("STAGE", True)
    assert InvalidVariableError(DATABASE, "STAGE", "no", "Yes.").variable == "STAGE"
    assert CredentialsUnavailableError(DATABASE, "answered 500").detail == "answered 500"
    assert ExtensionNotReadyError(DATABASE, 1.5).seconds == 1.5
    rejected = TokenRejectedError(DATABASE, 403, server="agent", source="AWS_TOKEN", is_local=True)
    assert (rejected.status, rejected.server, rejected.source, rejected.is_local) == (403, "agent", "AWS_TOKEN", True)
    batch = Progress("Secrets Manager", 2, 1)
    late = DeadlineExceededError(DATABASE, 5.0, "timeout", progress=batch, server="agent")
    assert (late.seconds, late.bound, late.progress, late.server) == (5.0, "timeout", batch, "agent")
    server = ServerError(DATABASE, 503, 7, 4.5, server="agent", code="TimeoutError")
    assert (server.status, server.attempts, server.seconds) == (503, 7, 4.5)
    assert (server.server, server.code) == ("agent", "TimeoutError")
    away = AwsUnavailableError(DATABASE, "https://ssm.us-east-1.amazonaws.com", "ConnectTimeoutError")
    assert (away.endpoint, away.code) == ("https://ssm.us-east-1.amazonaws.com", "ConnectTimeoutError")
    protocol = ProtocolError(DATABASE, 200, "is no JSON")
    assert (protocol.status, protocol.detail) == (200, "is no JSON")
    answer = NotFoundError(DATABASE, "ResourceNotFoundException", 400, [READ_DATABASE], server="aws")
    assert (answer.code, answer.status, answer.server) == ("ResourceNotFoundException", 400, "aws")
    assert answer.permissions == (READ_DATABASE,)
    refused = UnresolvedError(DATABASE, [READ_DATABASE], causes=["it rains"], finding="it is wet", is_silent=True)
    assert (refused.permissions, refused.causes) == ((READ_DATABASE,), ("it rains",))
    assert (refused.finding, refused.is_silent) == ("it is wet", True)
    invalid = InvalidValueError(DATABASE, "int", [Problem((), "int_parsing")])
    assert ("int", (Problem((), "int_parsing"),)) == (invalid.expected, invalid.problems)


def test_subject_without_parameter() -> None:
    """Where no parameter asked, such as in resolve(), the declaration stands first."""
    assert str(Subject("resolve()", (), ("Secret('x')",))) == "Secret('x') for resolve()"


def test_subjects_together() -> None:
    """Two subjects together count the values, name each parameter, and have a declaration of both once."""
    other = Subject("app.handler", ("replica", "reader"), DATABASE.declarations)
    both = DATABASE.join(other)
    assert both.parameters == ("database", "replica", "reader")
    assert (both.declarations, both.parts) == (DATABASE.declarations, (DATABASE, other))
    assert str(both) == "3 values of app.handler"
    other = ALONE._replace(declarations=("Secret('key')",))
    assert str(ALONE.join(other)) == "2 values for resolve()"
    assert str(ALONE.join(ALONE)) == str(ALONE)


def test_words_of_a_problem() -> None:
    """A problem says in words what was seen, or else what its type means."""
    assert Problem(("port",), "int_parsing").words == "not a whole number"
    assert Problem(("port",), "string_type", "a number where a text is declared").words == (
        "a number where a text is declared"
    )
    assert Problem(("api_key",), "missing").words == "has no member 'api_key'"


def test_many_problems() -> None:
    """Of many problems a message lists the first twenty; the error has them."""
    problems = [Problem((index,), "int_parsing") for index in range(21)]
    lines = str(InvalidValueError(DATABASE, "list[int]", problems)).splitlines()
    assert lines[1] == "  - 0: int_parsing (not a whole number)"
    assert lines[20:22] == ["  - 19: int_parsing (not a whole number)", "  - and more"]
    assert "and more" not in str(InvalidValueError(DATABASE, "list[int]", problems[:20]))
    assert tuple(problems) == InvalidValueError(DATABASE, "list[int]", problems).problems


def test_problem_shows_the_way() -> None:
    """A problem reads as the way to it and its type."""
    assert str(Problem(("hosts", 2, "*", "port"), "int_parsing")) == "hosts.2.*.port: int_parsing"


def test_permission() -> None:
    """A permission reads as its action and resource, and whose policy needs it; as a key its condition is left out."""
    of_role = Permission("kms:Decrypt", "arn:aws:kms:*:*:key/k", {"StringLike": {"kms:ViaService": "ssm.*"}}, ROLE)
    assert str(READ_PAGE_SIZE) == "ssm:GetParameter on arn:*:ssm:*:*:parameter/orders/page-size"
    assert str(of_role) == f"kms:Decrypt on arn:aws:kms:*:*:key/k (in the policy of {ROLE})"
    assert {of_role: 1}[of_role] == 1


def test_permissions_in_one_phrase() -> None:
    """Actions on one resource are written together, and resources of the same actions; each once."""
    other = Permission("secretsmanager:GetSecretValue", "arn:*:secretsmanager:*:*:secret:other-??????")
    of_role = READ_DATABASE._replace(role=ROLE)
    some = [READ_DATABASE, DESCRIBE_DATABASE, READ_PAGE_SIZE, other, READ_DATABASE, of_role]
    assert write_permissions(some) == (
        "secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
        "arn:*:secretsmanager:*:*:secret:orders/database-??????; "
        "ssm:GetParameter on arn:*:ssm:*:*:parameter/orders/page-size; "
        "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:other-??????; "
        "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:orders/database-?????? "
        f"(in the policy of {ROLE})"
    )
    assert write_permissions([READ_DATABASE, other]) == (
        "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:orders/database-??????, "
        "arn:*:secretsmanager:*:*:secret:other-??????"
    )


def test_progress() -> None:
    """A progress is equal to another by content, also as a key, and reads as it is made."""
    progress, other = Progress("Parameter Store", 3, 1, 3, "Secrets Manager"), Progress("Parameter Store", 3, 2)
    assert progress == pickle.loads(pickle.dumps(progress))  # noqa: S301 - our own
    assert {progress, copy.copy(progress), other} == {progress, other}
    assert repr([progress, other]) == (
        "[Progress('Parameter Store', 3, 1, 3, 'Secrets Manager'), Progress('Parameter Store', 3, 2, None, None)]"
    )
    assert progress != "progress"


def test_more_to_do() -> None:
    """A remedy that is added stands behind the error's own, in another error of the same class."""
    error = NotFoundError(DATABASE, "ResourceNotFoundException", 400, [READ_DATABASE])
    more = error.add_remedy("Or give it a default.")
    assert (type(more), str(more)) == (NotFoundError, f"{error} Or give it a default.")
    assert error.remedy == NotFoundError.advice


# --- Several --------------------------------------------------------------------------------------------------------

KEY = Subject("app.handler", ("key",), ("Secret('key')",))
READ_KEY = Permission("secretsmanager:GetSecretValue", "arn:*:secretsmanager:*:*:secret:key-??????")


def test_combined_of_one() -> None:
    """One error alone stays as it is."""
    error = MissingVariableError(DATABASE, "STAGE")
    assert combine([error]) is error


def test_combined_of_alike() -> None:
    """Several that fail for one cause are one error: the cause first, then all of them."""
    errors = [TokenRejectedError(subject, 401) for subject in (DATABASE, PAGE_SIZE, KEY)]
    error = combine(errors)
    assert isinstance(error, TokenRejectedError)
    assert error.subject == DATABASE.join(PAGE_SIZE).join(KEY)
    assert error.status == 401
    assert str(error) == (
        "Cannot resolve 3 values of app.handler: the extension answered 401 to the token of AWS_SESSION_TOKEN, which "
        "was read twice. Does something change AWS_SESSION_TOKEN inside the function?\n"
        "Not resolved:\n"
        "  - 'database', Secret('orders/database')\n"
        "  - 'page_size', Parameter('/orders/page-size')\n"
        "  - 'key', Secret('key')"
    )


def test_combined_of_a_resolve() -> None:
    """Without parameters the list has the declarations alone."""
    other = ALONE._replace(declarations=("Secret('key')",))
    error = combine([ProtocolError(ALONE, 200, "is no JSON"), ProtocolError(other, 200, "is no JSON")])
    assert str(error).splitlines()[1:] == ["Not resolved:", "  - Secret('orders/database')", "  - Secret('key')"]


def test_one_declaration_with_two_causes() -> None:
    """A declaration that fails for two causes is one value, and named once where the cause is the same."""
    error = combine([MissingVariableError(DATABASE, "STAGE"), MissingVariableError(DATABASE, "TEAM")])
    head = (
        "Cannot resolve 'database' of app.handler, Secret('orders/database'): there are 2 causes. Each with what to do:"
    )
    assert str(error).splitlines()[0] == head
    again = combine([MissingVariableError(DATABASE, "STAGE")] * 2)
    assert str(again) == str(MissingVariableError(DATABASE, "STAGE"))


def test_combined_leaves_its_parts_alone() -> None:
    """Putting errors together changes none of them."""
    first = AccessDeniedError(DATABASE, "AccessDeniedException", 400, [READ_DATABASE])
    second = AccessDeniedError(PAGE_SIZE, "AccessDeniedException", 400, [READ_PAGE_SIZE])
    before = str(first), str(second)
    combine([first, second])
    assert (first.subject, second.subject) == (DATABASE, PAGE_SIZE)
    assert (first.permissions, str(first), str(second)) == ((READ_DATABASE,), *before)


def test_combined_denials() -> None:
    """Two denials are one error, whose remedy has the permissions of both."""
    error = combine(
        [
            AccessDeniedError(DATABASE, "AccessDeniedException", 400, [READ_DATABASE]),
            AccessDeniedError(PAGE_SIZE, "AccessDeniedException", 400, [READ_PAGE_SIZE]),
        ]
    )
    assert isinstance(error, AccessDeniedError)
    assert error.permissions == (READ_DATABASE, READ_PAGE_SIZE)
    assert str(error) == (
        "Cannot resolve 2 values of app.handler: the role may not read it (AccessDeniedException, status 400). Allow "
        "secretsmanager:GetSecretValue on arn:*:secretsmanager:*:*:secret:orders/database-??????; ssm:GetParameter "
        "on arn:*:ssm:*:*:parameter/orders/page-size in the role's policy.\n"
        "Not resolved:\n"
        "  - 'database', Secret('orders/database')\n"
        "  - 'page_size', Parameter('/orders/page-size')"
    )


def test_combined_refusals() -> None:
    """Refusals that do not say why are one error, with the causes and the permissions of all, each in its order."""
    error = combine(
        [
            UnresolvedError(PAGE_SIZE, [READ_PAGE_SIZE], causes=["gone", "denied {permissions}", "slow"]),
            UnresolvedError(DATABASE, [READ_DATABASE], causes=["gone", "denied {permissions}", "marked", "slow"]),
            UnresolvedError(KEY, [READ_KEY], causes=["new", "gone", "last"]),
        ]
    )
    assert isinstance(error, UnresolvedError)
    assert error.causes == ("new", "gone", "last", "denied {permissions}", "marked", "slow")
    assert str(error) == (
        "Cannot resolve 3 values of app.handler: AWS refused, and the extension does not tell why. One of:\n"
        "  - new\n"
        "  - gone\n"
        "  - last\n"
        "  - denied ssm:GetParameter on arn:*:ssm:*:*:parameter/orders/page-size; secretsmanager:GetSecretValue on "
        "arn:*:secretsmanager:*:*:secret:orders/database-??????, arn:*:secretsmanager:*:*:secret:key-??????\n"
        "  - marked\n"
        "  - slow\n"
        "The cause is in the function's log. Look for lines that begin "
        '"[AWS Parameters and Secrets Lambda Extension]".\n'
        "Not resolved:\n"
        "  - 'page_size', Parameter('/orders/page-size')\n"
        "  - 'database', Secret('orders/database')\n"
        "  - 'key', Secret('key')"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ExtensionUnavailableError(DATABASE, 2773, 1.0), ExtensionUnavailableError(KEY, 2773, 1.1)),
        (ExtensionNotReadyError(DATABASE, 1.0), ExtensionNotReadyError(KEY, 1.1)),
        (ServerError(DATABASE, 500, 7, 4.5), ServerError(KEY, 500, 8, 4.9)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_combined_of_different_length(one: ResolutionError, other: ResolutionError) -> None:
    """How long and how often each was asked makes no cause of its own."""
    error = combine([one, other])
    assert (type(error), error.why, len(error.subject.parts)) == (type(one), one.why, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ResolutionError(DATABASE, "it rains", "Wait."), ResolutionError(KEY, "it rains", "Run.")),
        (ResolutionError(DATABASE, "it rains", "Wait."), ProtocolError(KEY, 200, "is no JSON")),
        (UnresolvedError(DATABASE, finding="it is of us-west-2"), UnresolvedError(KEY)),
        (ServerError(DATABASE, 500, 7, 4.5), ServerError(KEY, 500, 7, 4.5, server="agent")),
        (
            ExtensionUnavailableError(DATABASE, 2773, 1.0),
            ExtensionUnavailableError(KEY, 2773, 1.0, was_reset=True),
        ),
        (NotFoundError(DATABASE, "A", 400), NotFoundError(KEY, "B", 400)),
        (ExtensionNotReadyError(ALONE, 1.0), ExtensionNotReadyError(DATABASE, 1.0)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_different_causes_keep_apart(one: ResolutionError, other: ResolutionError) -> None:
    """Errors of another class, or with another cause or remedy, are not put together."""
    error = combine([one, other])
    assert isinstance(error, SeveralErrors)
    assert error.errors == (one, other)
    assert str(error) == (
        f"Cannot resolve 2 values {'for resolve()' if one.subject is ALONE else 'of app.handler'}: there are 2 causes. "
        f"Each with what to do:\n1. {one}\n2. {other}"
    )


def test_several_of_which_some_are_alike() -> None:
    """Of three errors with two causes those that are alike stand together, in the order of the first of each."""
    error = combine(
        [TokenRejectedError(DATABASE, 401), MissingVariableError(KEY, "STAGE"), TokenRejectedError(PAGE_SIZE, 401)]
    )
    assert isinstance(error, SeveralErrors)
    assert error.why == "there are 2 causes"
    assert [str(item) for item in error.errors] == [
        str(combine([TokenRejectedError(DATABASE, 401), TokenRejectedError(PAGE_SIZE, 401)])),
        str(MissingVariableError(KEY, "STAGE")),
    ]
    assert str(error).startswith(
        "Cannot resolve 3 values of app.handler: there are 2 causes. Each with what to do:\n1. "
    )


def test_all_names_are_public() -> None:
    """`errors.__all__` has each class of the tree and what it is made of; the package has them too."""
    parts = {"Progress", "Permission", "Problem", "Subject"}
    names = {kind.__name__ for kind in _classes(LambdaSecretsError)} | parts
    assert sorted(names) == errors.__all__
    assert names - set(lambdasecrets.__all__) == set()
