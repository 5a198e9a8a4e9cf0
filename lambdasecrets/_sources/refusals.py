"""What it means that AWS refuses: its error codes and fixed sentences, each with the remedy. Loaded for errors only.

AWS's sentences are recognised and never shown: what is no AWS could write anything there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from lambdasecrets import _settings
from lambdasecrets._declarations import Parameter
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    CredentialsRejectedError,
    DecryptionError,
    MarkedForDeletionError,
    NotFoundError,
    Permission,
    UnresolvedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lambdasecrets._declarations import Secret
    from lambdasecrets._sources.request import Request
    from lambdasecrets.errors import Server

_TOO_MANY = 429
_SERVER_ERRORS = 500
_FORBIDDEN = 403
_LONGEST_CODE = 64
_ARN_PARTS = 6
_REFERENCE = "/aws/reference/secretsmanager/"
_CURRENT = "AWSCURRENT"
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
"""How AWS ends the ARN of a secret."""

_TRANSIENT = frozenset(
    {
        "ConnectionError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "InternalServiceErrorException",
        "KMSThrottlingException",
        "KeyUnavailableException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TimeoutError",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)

_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ClientTokenRefreshRequired",
        "CredentialRetrievalError",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "InvalidToken",
        "LoginRefreshRequired",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NoAuthTokenError",
        "NoCredentialsError",
        "NotAuthorizedException",
        "OptInRequired",
        "PartialCredentialsError",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SSOError",
        "SSOTokenLoadError",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnrecognizedClientException",
    }
)

_CLOCK_CODES = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)

_NOT_FOUND = frozenset(
    {
        "ParameterNotFound",
        "ParameterNotFoundException",
        "ParameterVersionLabelNotFound",
        "ParameterVersionNotFound",
        "ResourceNotFoundException",
        "VersionNotFoundException",
    }
)
_VERSION_CODES = frozenset({"ParameterVersionLabelNotFound", "ParameterVersionNotFound", "VersionNotFoundException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"})
_KEY_CODES = frozenset(
    {
        "DecryptionFailure",
        "DependencyTimeoutException",
        "DisabledException",
        "EncryptionFailure",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidKeyId",
        "InvalidKeyUsageException",
    }
)
_INVALID = frozenset(
    {
        "InvalidFilterValue",
        "InvalidParameterException",
        "InvalidResourceId",
        "ParamValidationError",
        "ValidationException",
    }
)

# --- AWS's fixed sentences ------------------------------------------------------------------------------------------

_NO_VERSION = re.compile(r"can't find the specified secret value for (?:staging label|VersionId)", re.IGNORECASE)
_MARKED = re.compile(r"because it was (?:marked for deletion|deleted|scheduled for deletion)", re.IGNORECASE)
_NO_KEY = re.compile(r"Access to KMS is not allowed|customer master key|\bKMS key\b", re.IGNORECASE)
_NOT_AUTHORIZED = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+)")
_CALLER = re.compile(r"User: arn:[\w-]+:\w+::(?P<account>\d{12}):")
_POLICY = re.compile(
    r"(?P<effect>with an explicit deny in an?|because no) (?P<policy>identity-based policy|resource-based policy|"
    r"permissions boundary|session policy|service control policy|resource control policy|VPC endpoint policy)"
)
_NO_STAGE_OF_VERSION = re.compile(r"VersionStage that is not associated", re.IGNORECASE)
_FROM_ROLE = "Failed to create caching client from role"


class _Asked(NamedTuple):
    """What is known of what was asked for, and of who asked.

    Attributes:
        is_secret: whether Secrets Manager has it, by whichever way it was asked.
        is_parameter: whether Parameter Store was asked.
        selector: the declared version, stage or label in words; None for none.
        region: of its ARN; None where the name is no ARN.
        account: of its ARN; None where the name is no ARN.
        has_suffix: whether it is a secret's ARN that ends as a whole one does.
        own_region: the function's; None where that is not known.
        own_account: the function's, or that of the role; None where that is not known.
        role: the role it is read with; None for the caller's own.
    """

    is_secret: bool
    is_parameter: bool
    selector: str | None
    region: str | None
    account: str | None
    has_suffix: bool
    own_region: str | None
    own_account: str | None
    role: str | None

    @property
    def is_elsewhere(self) -> bool:
        """Whether its ARN is of another Region than the function."""
        return None not in {self.region, self.own_region} and self.region != self.own_region

    @property
    def kind(self) -> str:
        return "parameter" if self.is_parameter else "secret"

    @property
    def elsewhere(self) -> str:
        return f"the ARN is of {self.region}, this function runs in {self.own_region}"

    @property
    def here(self) -> str:
        if self.role:
            return "in the account of its role"
        if self.account:
            return f"in {self.region} of account {self.account}"
        return f"in {self.own_region} of this account" if self.own_region else "in this account and Region"


def _look_at(request: Request, function_arn: str | None) -> _Asked:
    declaration = request.declaration
    name = declaration.name
    place = _read_home(name)
    own = _read_home(declaration.role_arn or function_arn)
    is_parameter = isinstance(declaration, Parameter)
    return _Asked(
        is_secret=not is_parameter or _REFERENCE in name,
        is_parameter=is_parameter,
        selector=request.form.describe_version(),
        region=place.region,
        account=place.account,
        has_suffix=place.account is not None and not is_parameter and _SUFFIX.search(name) is not None,
        own_region=_settings.read_region() or _read_home(function_arn).region,
        own_account=own.account,
        role=declaration.role_arn,
    )


class _Home(NamedTuple):
    """Where an ARN is.

    Attributes:
        region: None where it has none, or is no ARN.
        account: None where it has none, or is no ARN.
    """

    region: str | None
    account: str | None


def _read_home(arn: str | None) -> _Home:
    parts = arn.split(":", _ARN_PARTS - 1) if arn and arn.startswith("arn:") else []
    if len(parts) != _ARN_PARTS or not re.fullmatch(r"[0-9]*", parts[4]):
        return _Home(None, None)
    return _Home(parts[3] or None, parts[4] or None)


# --- What a code means ----------------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """An answer of AWS's, and what it is about.

    Attributes:
        code: AWS's error code.
        status: the HTTP status.
        message: AWS's sentence; empty where there is none.
        server: who passed it on.
        asked: what was asked for.
        permissions: what reading it needs.
    """

    code: str
    status: int
    message: str
    server: Server
    asked: _Asked
    permissions: tuple[Permission, ...]

    @property
    def role(self) -> str:
        """Whose role was asked with."""
        return "the agent's role" if self.server == "agent" else "the role"

    @property
    def policy(self) -> str:
        """Where that role's permissions are."""
        return "the policy of the role that the agent runs with" if self.server == "agent" else "the role's policy"


class _Meaning(NamedTuple):
    """What an answer comes to.

    Attributes:
        kind: the class of the error.
        reason: what happened.
        advice: what to do.
        permissions: what it takes, where that is not what the declaration always needs.
    """

    kind: type[AnswerError]
    reason: str
    advice: str
    permissions: tuple[Permission, ...] | None = None


def is_transient(code: str, status: int, message: str = "") -> bool:
    """Tell whether AWS can answer otherwise a moment later. Credentials do not come back by asking again."""
    if not _CREDENTIALS.isdisjoint({code, message}):
        return False
    return code in _TRANSIENT or status == _TOO_MANY or status >= _SERVER_ERRORS


def is_of_credentials(code: str) -> bool:
    """Tell whether AWS does not take the credentials of who asks."""
    return code in _CREDENTIALS


def write_code(code: str) -> str:
    """Give an error code to show: AWS's are words. Anything else is not shown."""
    return code if code.isalnum() and code.isascii() and len(code) <= _LONGEST_CODE else "unknown"


def read_refusal(
    request: Request, code: str, status: int, message: str = "", *, server: Server, function_arn: str | None = None
) -> AnswerError:
    """Make the error of a refusal that is not transient.

    Args:
        request: what was asked for.
        code: AWS's error code.
        status: the HTTP status.
        message: AWS's sentence. It is recognised and never shown.
        server: who passed it on: `agent` or `aws`.
        function_arn: of the function that runs, where that is known.
    """
    # What speaks for boto3, as a local stand-in, can have the name of boto3's error for a message.
    code = message if message in _CREDENTIALS else code
    asked = _look_at(request, function_arn)
    permissions = _list_permissions(request.declaration, server, asked)
    refusal = _Case(code, status, message, server, asked, permissions)
    meaning = _judge(refusal)
    return meaning.kind(
        request.subject,
        write_code(code),
        status,
        meaning.permissions or permissions,
        server=server,
        reason=meaning.reason,
        advice=meaning.advice,
    )


def _list_permissions(declaration: Secret | Parameter, server: Server, asked: _Asked) -> tuple[Permission, ...]:
    reader: Literal["extension", "agent"] = "agent" if server == "agent" else "extension"
    return declaration.permissions(server=reader, region=asked.own_region, account=asked.own_account)


def _judge(refusal: _Case) -> _Meaning:
    is_of_key = refusal.code.startswith("KMS")
    return _JUDGES.get(refusal.code, _judge_key if is_of_key else _judge_other)(refusal)


def _judge_other(refusal: _Case) -> _Meaning:
    return _Meaning(AnswerError, "AWS answered with an error", _name_reference(refusal.asked))


def _judge_spelling(_: _Case) -> _Meaning:
    return _Meaning(AnswerError, "AWS takes the name, or the version, for no valid one", "Check how they are spelled.")


def _name_reference(asked: _Asked) -> str:
    api = "GetParameter in the Systems Manager" if asked.is_parameter else "GetSecretValue in the Secrets Manager"
    return f"See the error codes of {api} API reference."


def _judge_credentials(refusal: _Case) -> _Meaning:
    is_agents = refusal.server == "agent"
    whose = "the credentials that the agent runs with" if is_agents else "the credentials of this process"
    advice = f"Renew {whose}. On your own machine: `aws sso login`, or what else you log in with."
    if not is_agents and _settings.is_lambda():
        advice = (
            "Does something change AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN inside the function? "
            "Lambda sets all three, once."
        )
    clock = " Is the clock of the machine right?" if refusal.code in _CLOCK_CODES else ""
    return _Meaning(CredentialsRejectedError, f"AWS does not accept {whose}, or there are none", f"{advice}{clock}")


def _judge_full_agent(refusal: _Case) -> _Meaning:
    reason = f"the agent has as many roles as its max_roles allows, and {refusal.asked.role} is one more"
    return _Meaning(
        AnswerError, reason, "Raise max_roles in the agent's configuration (20 by default), and start it again."
    )


def _judge_denial(refusal: _Case) -> _Meaning:
    found = _NOT_AUTHORIZED.search(refusal.message)
    action = found["action"] if found else ""
    if action.startswith("kms:") or (not found and _NO_KEY.search(refusal.message)):
        return _judge_key(refusal)
    if action == "sts:AssumeRole" or (not found and refusal.status == _FORBIDDEN and refusal.server == "agent"):
        return _judge_role(refusal)
    reason, advice = _describe_denial(refusal, action)
    return _Meaning(AccessDeniedError, reason, advice, _list_reads(refusal))


def _list_reads(refusal: _Case) -> tuple[Permission, ...]:
    """List what it takes without the role, which was had."""
    return tuple(item for item in refusal.permissions if item.role == refusal.asked.role)


def _judge_role(refusal: _Case) -> _Meaning:
    """Read what the agent answers, or STS, where a role could not be assumed."""
    role = refusal.asked.role
    if role is None:
        # The agent gets its own credentials by a role: what was asked for has nothing to do with it.
        return _judge_credentials(refusal)
    who = "the agent" if refusal.server == "agent" else "this function"
    log = " The agent's own log has AWS's words." if refusal.server == "agent" else ""
    advice = f"Allow {{permissions}} in {refusal.policy}, and let the trust policy of {role} trust that role.{log}"
    return _Meaning(AccessDeniedError, f"{who} may not assume {role}", advice, (Permission("sts:AssumeRole", role),))


def _describe_denial(refusal: _Case, action: str) -> tuple[str, str]:
    """Give the reason and the advice: AWS says which policy it is that does not allow it."""
    asked, found = refusal.asked, _POLICY.search(refusal.message)
    reason = f"{_whose_role(refusal)} may not read it"
    if action == "secretsmanager:DescribeSecret":
        reason = f"{_whose_role(refusal)} may read it, but not describe it, which the agent does before it reads anew"
    if asked.is_elsewhere:
        return f"{reason}; {asked.elsewhere}", _advise_move(asked)
    # With a role each permission says whose policy needs it.
    allow = "Allow {permissions}" if asked.role else f"Allow {{permissions}} in {refusal.policy}"
    if found is None or found[0] == "because no identity-based policy":
        return reason, f"{allow}.{_advise_account(refusal)}"
    if "deny" in found["effect"]:
        return (
            f"{reason}: the {found['policy']} denies it",
            "Take {permissions} out of that Deny: no Allow helps against it.",
        )
    if found["policy"] == "resource-based policy":
        theirs = _advise_account(refusal) or f" Allow it for that role in the resource policy of the {asked.kind} too."
        return reason, f"{allow}.{theirs}"
    return f"{reason}: the {found['policy']} does not allow it", "Allow {permissions} there too."


def _whose_role(refusal: _Case) -> str:
    return f"the role {refusal.asked.role}" if refusal.asked.role else refusal.role


def _advise_account(refusal: _Case) -> str:
    """Say what the owner of another account's ARN has to allow."""
    asked, caller = refusal.asked, _CALLER.search(refusal.message)
    own = caller["account"] if caller else asked.own_account
    if asked.account is None or own == asked.account:
        return ""
    is_other = f"The ARN is of account {asked.account}, which is not the role's"
    condition = is_other if own else f"If account {asked.account} of the ARN is not the role's own"
    if asked.is_parameter:
        return f" {condition}: that account must share the parameter (AWS RAM)."
    return (
        f" {condition}: the resource policy of the secret must allow the role too, and so must the policy of its key, "
        "which has to be a customer-managed one."
    )


def _advise_move(asked: _Asked) -> str:
    """Say what to do about an ARN of another Region: who asks, asks in its own."""
    copy = "keep the parameter" if asked.is_parameter else "replicate the secret"
    where = f"in {asked.own_region} too" if asked.is_parameter else f"to {asked.own_region}"
    return f"Run the function in {asked.region}. Or {copy} {where}, and declare its name."


def _judge_absence(refusal: _Case) -> _Meaning:
    asked = refusal.asked
    if refusal.code in _VERSION_CODES or _NO_VERSION.search(refusal.message):
        return _Meaning(NotFoundError, *_describe_missing_version(asked))
    if asked.is_elsewhere:
        return _Meaning(NotFoundError, f"it does not exist here: {asked.elsewhere}", _advise_move(asked))
    is_precise = asked.is_parameter or "find the specified secret." in refusal.message
    selector = f", or has no {asked.selector}" if asked.selector and not is_precise else ""
    advice = f"Check the name and the Region.{_WHOLE_ARN if asked.has_suffix else ''}{_advise_account(refusal)}"
    return _Meaning(NotFoundError, f"it does not exist {asked.here}{selector}", advice)


_WHOLE_ARN = (
    " AWS takes what ends in a hyphen and six characters for a whole ARN: if the name itself ends so, declare it with "
    "the suffix that AWS gave it."
)


def _describe_missing_version(asked: _Asked) -> tuple[str, str]:
    if asked.is_parameter and not asked.is_secret:
        return f"it exists, but has no {asked.selector}", "`aws ssm get-parameter-history` lists what it has."
    if asked.selector is None:
        remedy = "Give it one: `aws secretsmanager put-secret-value`."
        return f"it exists, but has no value yet: no version has the stage {_CURRENT}", remedy
    return f"it exists, but has no {asked.selector}", "`aws secretsmanager list-secret-version-ids` lists what it has."


def _judge_key(refusal: _Case) -> _Meaning:
    reason = f"its KMS key cannot be used by {refusal.role}"
    advice = (
        f"Allow kms:Decrypt on its customer-managed key, in {refusal.policy} and in the key's own, and see that the "
        f"key is enabled.{_advise_account(refusal)}"
    )
    return _Meaning(DecryptionError, reason, advice)


def _judge_state(refusal: _Case) -> _Meaning:
    if _MARKED.search(refusal.message):
        return _Meaning(MarkedForDeletionError, MarkedForDeletionError.reason, MarkedForDeletionError.advice)
    if _NO_STAGE_OF_VERSION.search(refusal.message):
        return _Meaning(NotFoundError, *_describe_missing_version(refusal.asked))
    advice = "Most often the secret is marked for deletion: `aws secretsmanager describe-secret` tells."
    return _Meaning(AnswerError, "AWS does not read it in its present state", advice)


_JUDGES: dict[str, Callable[[_Case], _Meaning]] = {
    **dict.fromkeys(_CREDENTIALS, _judge_credentials),
    **dict.fromkeys(_DENIED, _judge_denial),
    **dict.fromkeys(_INVALID, _judge_spelling),
    **dict.fromkeys(_KEY_CODES, _judge_key),
    **dict.fromkeys(_NOT_FOUND, _judge_absence),
    "InvalidRequestException": _judge_state,
    "MaxRolesExceeded": _judge_full_agent,
}


# --- The generic refusal --------------------------------------------------------------------------------------------


def make_unresolved_error(
    request: Request, *, was_seen: bool = False, function_arn: str | None = None
) -> UnresolvedError:
    """Make the error of a refusal that does not say why: with what it can be, the likeliest first.

    Args:
        request: what was asked for.
        was_seen: whether it was read a moment ago.
        function_arn: of the function that runs, where that is known.
    """
    asked = _look_at(request, function_arn)
    return UnresolvedError(
        request.subject,
        _list_permissions(request.declaration, "extension", asked),
        causes=_list_causes_of_change() if was_seen else _list_causes(asked),
        finding=asked.elsewhere if asked.is_elsewhere else None,
        is_silent=_settings.is_extension_silent(),
    )


_CAUSE_DENIED = "the function's role may not call {permissions}"
_CAUSE_KEY = "the role may not call kms:Decrypt on its customer-managed key"
_CAUSE_MARKED = "it is marked for deletion"
_CAUSE_THROTTLED = "AWS throttled the call, or could not be reached"
_CAUSE_EXPIRED = "the credentials have expired (behind a local stand-in: `aws sso login`)"


def _list_causes(asked: _Asked) -> Sequence[str]:
    selector = ", or not in the declared version, stage or label" if asked.selector else ""
    elsewhere = "" if asked.account else "; perhaps in another Region or account"
    causes = [f"it does not exist {asked.here}{selector}{elsewhere}", _CAUSE_DENIED, _CAUSE_KEY]
    causes += [_CAUSE_MARKED] if asked.is_secret else []
    if asked.account and asked.own_account is None:
        causes.append(f"account {asked.account} is not the function's own, and {_write_consent(asked)}")
    elif asked.account and asked.account != asked.own_account:
        theirs = f"the ARN is of account {asked.account}, this function runs in {asked.own_account}"
        causes.insert(0, f"{theirs}, and {_write_consent(asked)}")
    return [*causes, _CAUSE_THROTTLED, _CAUSE_EXPIRED]


def _list_causes_of_change() -> Sequence[str]:
    """List what it can be that was otherwise a moment ago."""
    gone = "it was deleted, or marked for deletion, since it was read last"
    return [_CAUSE_THROTTLED, gone, _CAUSE_DENIED, _CAUSE_KEY, _CAUSE_EXPIRED]


def _write_consent(asked: _Asked) -> str:
    """Say what another account has not allowed."""
    if asked.is_parameter:
        return "the parameter is not shared with it (AWS RAM)"
    return "the policy of the secret or of its key does not allow the role"
