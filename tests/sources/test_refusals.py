"""What AWS's error codes and fixed sentences come to: the class, the cause and the remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdasecrets import Parameter, Secret, errors
from lambdasecrets._sources import refusals
from lambdasecrets._sources.refusals import (
    is_of_credentials,
    is_transient,
    make_unresolved_error,
    read_refusal,
    write_code,
)
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import Permission, Server, Subject
from tests.properties import bounded

ROLE = "arn:aws:iam::111122223333:role/reader"
DENIED = "User: arn:aws:sts::123456789012:assumed-role/app/function is not authorized to perform: {} on resource: s "
MISSING = "Secrets Manager can't find the specified secret."
NO_STAGE = "Secrets Manager can't find the specified secret value for staging label: {}"
NO_VERSION = "Secrets Manager can't find the specified secret value for VersionId: {}"
MARKED = "You can't perform this operation on the secret because it was {}."
NO_STAGE_OF_VERSION = "You provided a VersionStage that is not associated to the provided VersionId."
NO_POLICY = "because no {} policy allows the {} action"
CIPHERTEXT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access."
)
HERE = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"
AWAY = "arn:aws:secretsmanager:us-west-2:123456789012:secret:s"
THEIRS = "arn:aws:secretsmanager:us-east-1:999988887777:secret:s-AbCdEf"
SHARED = "arn:aws:ssm:us-east-1:999988887777:parameter/p"
PARAMETER_AWAY = "arn:aws:ssm:us-west-2:123456789012:parameter/p"


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the function run in us-east-1."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def wanted(declaration: Secret | Parameter) -> Request:
    """Make the request of one declaration."""
    return Request("", declaration, Subject("app.handler", ("x",), (str(declaration),)))


def why(error: errors.ResolutionError) -> str:
    """Give what an error says of its cause and its remedy."""
    return f"{error.why}. {error.remedy}"


CASES: list[tuple[Secret | Parameter, Server, int, str, str, type, str]] = [
    (
        Secret("s"),
        "agent",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of this account (ResourceNotFoundException, status 400). Check the name "
            "and the Region."
        ),
    ),
    (
        Secret("s", version_stage="AWSPENDING"),
        "agent",
        400,
        "ResourceNotFoundException",
        "",
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of this account, or has no stage 'AWSPENDING' "
            "(ResourceNotFoundException, status 400). Check the name and the Region."
        ),
    ),
    (
        Secret("s", version_stage="AWSPENDING"),
        "agent",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of this account (ResourceNotFoundException, status 400). Check the name "
            "and the Region."
        ),
    ),
    (
        Secret("s", version_stage="AWSPENDING"),
        "agent",
        400,
        "ResourceNotFoundException",
        NO_STAGE.format("AWSPENDING"),
        errors.NotFoundError,
        (
            "it exists, but has no stage 'AWSPENDING' (ResourceNotFoundException, status 400). `aws secretsmanager "
            "list-secret-version-ids` lists what it has."
        ),
    ),
    (
        Secret("s", version_id="1-2"),
        "agent",
        400,
        "ResourceNotFoundException",
        NO_VERSION.format("1-2"),
        errors.NotFoundError,
        (
            "it exists, but has no version '1-2' (ResourceNotFoundException, status 400). `aws secretsmanager "
            "list-secret-version-ids` lists what it has."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "ResourceNotFoundException",
        NO_STAGE.format("AWSCURRENT"),
        errors.NotFoundError,
        (
            "it exists, but has no value yet: no version has the stage AWSCURRENT (ResourceNotFoundException, "
            "status 400). Give it one: `aws secretsmanager put-secret-value`."
        ),
    ),
    (
        Secret("s", role_arn=ROLE),
        "agent",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist in the account of its role (ResourceNotFoundException, status 400). Check the name "
            "and the Region."
        ),
    ),
    (
        Secret(AWAY),
        "agent",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist here: the ARN is of us-west-2, this function runs in us-east-1 "
            "(ResourceNotFoundException, status 400). Run the function in us-west-2. Or replicate the secret to "
            "us-east-1, and declare its name."
        ),
    ),
    (
        Secret(HERE),
        "agent",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of account 123456789012 (ResourceNotFoundException, status 400). Check "
            "the name and the Region. If account 123456789012 of the ARN is not the role's own: the resource policy "
            "of the secret must allow the role too, and so must the policy of its key, which has to be a "
            "customer-managed one."
        ),
    ),
    (
        Secret(THEIRS),
        "aws",
        400,
        "ResourceNotFoundException",
        MISSING,
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of account 999988887777 (ResourceNotFoundException, status 400). Check "
            "the name and the Region. AWS takes what ends in a hyphen and six characters for a whole ARN: if the "
            "name itself ends so, declare it with the suffix that AWS gave it. If account 999988887777 of the ARN "
            "is not the role's own: the resource policy of the secret must allow the role too, and so must the "
            "policy of its key, which has to be a customer-managed one."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "ParameterNotFound",
        "",
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of this account (ParameterNotFound, status 400). Check the name and the "
            "Region."
        ),
    ),
    (
        Parameter(PARAMETER_AWAY),
        "aws",
        400,
        "ParameterNotFound",
        "",
        errors.NotFoundError,
        (
            "it does not exist here: the ARN is of us-west-2, this function runs in us-east-1 (ParameterNotFound, "
            "status 400). Run the function in us-west-2. Or keep the parameter in us-east-1 too, and declare its "
            "name."
        ),
    ),
    (
        Parameter(SHARED),
        "aws",
        400,
        "ParameterNotFound",
        "",
        errors.NotFoundError,
        (
            "it does not exist in us-east-1 of account 999988887777 (ParameterNotFound, status 400). Check the name "
            "and the Region. If account 999988887777 of the ARN is not the role's own: that account must share the "
            "parameter (AWS RAM)."
        ),
    ),
    (
        Parameter("/p", version=7),
        "aws",
        400,
        "ParameterVersionNotFound",
        "Systems Manager could not find version 7 of /p.",
        errors.NotFoundError,
        (
            "it exists, but has no version 7 (ParameterVersionNotFound, status 400). `aws ssm "
            "get-parameter-history` lists what it has."
        ),
    ),
    (
        Parameter("/p", label="prod"),
        "aws",
        400,
        "ParameterVersionNotFound",
        "",
        errors.NotFoundError,
        (
            "it exists, but has no label 'prod' (ParameterVersionNotFound, status 400). `aws ssm "
            "get-parameter-history` lists what it has."
        ),
    ),
    (
        Parameter("/p:prod"),
        "aws",
        400,
        "ParameterVersionNotFound",
        "",
        errors.NotFoundError,
        (
            "it exists, but has no version or label 'prod' (ParameterVersionNotFound, status 400). `aws ssm "
            "get-parameter-history` lists what it has."
        ),
    ),
    (
        Parameter("/aws/reference/secretsmanager/s:AWSPENDING"),
        "aws",
        400,
        "ParameterVersionNotFound",
        "",
        errors.NotFoundError,
        (
            "it exists, but has no version or label 'AWSPENDING' (ParameterVersionNotFound, status 400). `aws "
            "secretsmanager list-secret-version-ids` lists what it has."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "InvalidRequestException",
        MARKED.format("marked for deletion"),
        errors.MarkedForDeletionError,
        (
            "it is marked for deletion (InvalidRequestException, status 400). Restore it (`aws secretsmanager "
            "restore-secret`), or declare another."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "InvalidRequestException",
        MARKED.format("deleted"),
        errors.MarkedForDeletionError,
        (
            "it is marked for deletion (InvalidRequestException, status 400). Restore it (`aws secretsmanager "
            "restore-secret`), or declare another."
        ),
    ),
    (
        Secret("s", version_id="1-2", version_stage="AWSPENDING"),
        "aws",
        400,
        "InvalidRequestException",
        NO_STAGE_OF_VERSION,
        errors.NotFoundError,
        (
            "it exists, but has no version '1-2' with stage 'AWSPENDING' (InvalidRequestException, status 400). "
            "`aws secretsmanager list-secret-version-ids` lists what it has."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "InvalidRequestException",
        "",
        errors.AnswerError,
        (
            "AWS does not read it in its present state (InvalidRequestException, status 400). Most often the secret "
            "is marked for deletion: `aws secretsmanager describe-secret` tells."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "AccessDeniedException",
        "",
        errors.AccessDeniedError,
        (
            "the agent's role may not read it (AccessDeniedException, status 400). Allow "
            "secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
            "arn:aws:secretsmanager:us-east-1:*:secret:s-?????? in the policy of the role that the agent runs with."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("identity-based", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the agent's role may not read it (AccessDeniedException, status 400). Allow "
            "secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
            "arn:aws:secretsmanager:us-east-1:*:secret:s-?????? in the policy of the role that the agent runs with."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:DescribeSecret")
        + NO_POLICY.format("identity-based", "secretsmanager:DescribeSecret"),
        errors.AccessDeniedError,
        (
            "the agent's role may read it, but not describe it, which the agent does before it reads anew "
            "(AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue and "
            "secretsmanager:DescribeSecret on arn:aws:secretsmanager:us-east-1:*:secret:s-?????? in the policy of "
            "the role that the agent runs with."
        ),
    ),
    (
        Secret("s"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue") + "with an explicit deny in a service control policy",
        errors.AccessDeniedError,
        (
            "the role may not read it: the service control policy denies it (AccessDeniedException, status 400). "
            "Take secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:*:secret:s-?????? out of that "
            "Deny: no Allow helps against it."
        ),
    ),
    (
        Secret("s"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("VPC endpoint", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the role may not read it: the VPC endpoint policy does not allow it (AccessDeniedException, status "
            "400). Allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:us-east-1:*:secret:s-?????? there "
            "too."
        ),
    ),
    (
        Secret("s"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("resource-based", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the role may not read it (AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue on "
            "arn:aws:secretsmanager:us-east-1:*:secret:s-?????? in the role's policy. Allow it for that role in the "
            "resource policy of the secret too."
        ),
    ),
    (
        Secret(THEIRS),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("resource-based", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the role may not read it (AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue on "
            "arn:aws:secretsmanager:us-east-1:999988887777:secret:s-AbCdEf in the role's policy. The ARN is of "
            "account 999988887777, which is not the role's: the resource policy of the secret must allow the role "
            "too, and so must the policy of its key, which has to be a customer-managed one."
        ),
    ),
    (
        Secret(THEIRS),
        "agent",
        400,
        "AccessDeniedException",
        "",
        errors.AccessDeniedError,
        (
            "the agent's role may not read it (AccessDeniedException, status 400). Allow "
            "secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
            "arn:aws:secretsmanager:us-east-1:999988887777:secret:s-AbCdEf in the policy of the role that the agent "
            "runs with. If account 999988887777 of the ARN is not the role's own: the resource policy of the "
            "secret must allow the role too, and so must the policy of its key, which has to be a customer-managed "
            "one."
        ),
    ),
    (
        Secret(HERE),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("identity-based", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the role may not read it (AccessDeniedException, status 400). Allow secretsmanager:GetSecretValue on "
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-?????? in the role's policy."
        ),
    ),
    (
        Secret(AWAY),
        "aws",
        400,
        "AccessDeniedException",
        "",
        errors.AccessDeniedError,
        (
            "the role may not read it; the ARN is of us-west-2, this function runs in us-east-1 "
            "(AccessDeniedException, status 400). Run the function in us-west-2. Or replicate the secret to "
            "us-east-1, and declare its name."
        ),
    ),
    (
        Parameter(SHARED),
        "aws",
        400,
        "AccessDeniedException",
        "",
        errors.AccessDeniedError,
        (
            "the role may not read it (AccessDeniedException, status 400). Allow ssm:GetParameter on "
            "arn:aws:ssm:us-east-1:999988887777:parameter/p in the role's policy. If account 999988887777 of the "
            "ARN is not the role's own: that account must share the parameter (AWS RAM)."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("ssm:GetParameter") + "with an explicit deny in an identity-based policy",
        errors.AccessDeniedError,
        (
            "the role may not read it: the identity-based policy denies it (AccessDeniedException, status 400). "
            "Take ssm:GetParameter on arn:aws:ssm:us-east-1:*:parameter/p out of that Deny: no Allow helps against "
            "it."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("ssm:GetParameter") + NO_POLICY.format("identity-based", "ssm:GetParameter"),
        errors.AccessDeniedError,
        (
            "the role may not read it (AccessDeniedException, status 400). Allow ssm:GetParameter on "
            "arn:aws:ssm:us-east-1:*:parameter/p in the role's policy."
        ),
    ),
    (
        Secret("s", role_arn=ROLE),
        "agent",
        400,
        "AccessDeniedException",
        DENIED.format("secretsmanager:GetSecretValue")
        + NO_POLICY.format("identity-based", "secretsmanager:GetSecretValue"),
        errors.AccessDeniedError,
        (
            "the role arn:aws:iam::111122223333:role/reader may not read it (AccessDeniedException, status 400). "
            "Allow secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on "
            "arn:aws:secretsmanager:us-east-1:111122223333:secret:s-?????? (in the policy of "
            "arn:aws:iam::111122223333:role/reader)."
        ),
    ),
    (
        Secret("s", role_arn=ROLE),
        "agent",
        403,
        "AccessDeniedException",
        "Failed to create caching client from role: " + ROLE,
        errors.AccessDeniedError,
        (
            "the agent may not assume arn:aws:iam::111122223333:role/reader (AccessDeniedException, status 403). "
            "Allow sts:AssumeRole on arn:aws:iam::111122223333:role/reader in the policy of the role that the agent "
            "runs with, and let the trust policy of arn:aws:iam::111122223333:role/reader trust that role. The "
            "agent's own log has AWS's words."
        ),
    ),
    (
        Secret("s", role_arn=ROLE),
        "aws",
        403,
        "AccessDenied",
        DENIED.format("sts:AssumeRole"),
        errors.AccessDeniedError,
        (
            "this function may not assume arn:aws:iam::111122223333:role/reader (AccessDenied, status 403). Allow "
            "sts:AssumeRole on arn:aws:iam::111122223333:role/reader in the role's policy, and let the trust policy "
            "of arn:aws:iam::111122223333:role/reader trust that role."
        ),
    ),
    (
        Secret("s"),
        "agent",
        403,
        "AccessDeniedException",
        "DispatchFailure AccessDenied",
        errors.CredentialsRejectedError,
        (
            "AWS does not accept the credentials that the agent runs with, or there are none "
            "(AccessDeniedException, status 403). Renew the credentials that the agent runs with. On your own "
            "machine: `aws sso login`, or what else you log in with."
        ),
    ),
    (
        Secret("s", role_arn=ROLE),
        "agent",
        400,
        "MaxRolesExceeded",
        "The maximum number of assumed roles (20) has been reached.",
        errors.AnswerError,
        (
            "the agent has as many roles as its max_roles allows, and arn:aws:iam::111122223333:role/reader is one "
            "more (MaxRolesExceeded, status 400). Raise max_roles in the agent's configuration (20 by default), and "
            "start it again."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "AccessDeniedException",
        "Access to KMS is not allowed",
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the agent's role (AccessDeniedException, status 400). Allow kms:Decrypt "
            "on its customer-managed key, in the policy of the role that the agent runs with and in the key's own, "
            "and see that the key is enabled."
        ),
    ),
    (
        Secret(THEIRS),
        "aws",
        400,
        "AccessDeniedException",
        "Access to KMS is not allowed",
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the role (AccessDeniedException, status 400). Allow kms:Decrypt on its "
            "customer-managed key, in the role's policy and in the key's own, and see that the key is enabled. If "
            "account 999988887777 of the ARN is not the role's own: the resource policy of the secret must allow "
            "the role too, and so must the policy of its key, which has to be a customer-managed one."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "AccessDeniedException",
        DENIED.format("kms:Decrypt") + NO_POLICY.format("identity-based", "kms:Decrypt"),
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the role (AccessDeniedException, status 400). Allow kms:Decrypt on its "
            "customer-managed key, in the role's policy and in the key's own, and see that the key is enabled."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "AccessDeniedException",
        CIPHERTEXT,
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the role (AccessDeniedException, status 400). Allow kms:Decrypt on its "
            "customer-managed key, in the role's policy and in the key's own, and see that the key is enabled."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "DecryptionFailure",
        "",
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the agent's role (DecryptionFailure, status 400). Allow kms:Decrypt on "
            "its customer-managed key, in the policy of the role that the agent runs with and in the key's own, and "
            "see that the key is enabled."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "InvalidKeyId",
        "",
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the role (InvalidKeyId, status 400). Allow kms:Decrypt on its "
            "customer-managed key, in the role's policy and in the key's own, and see that the key is enabled."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "KMSInvalidStateException",
        "",
        errors.DecryptionError,
        (
            "its KMS key cannot be used by the role (KMSInvalidStateException, status 400). Allow kms:Decrypt on "
            "its customer-managed key, in the role's policy and in the key's own, and see that the key is enabled."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "ExpiredTokenException",
        "",
        errors.CredentialsRejectedError,
        (
            "AWS does not accept the credentials that the agent runs with, or there are none "
            "(ExpiredTokenException, status 400). Renew the credentials that the agent runs with. On your own "
            "machine: `aws sso login`, or what else you log in with."
        ),
    ),
    (
        Secret("s"),
        "agent",
        500,
        "InternalFailure",
        "TokenRetrievalError",
        errors.CredentialsRejectedError,
        (
            "AWS does not accept the credentials that the agent runs with, or there are none (TokenRetrievalError, "
            "status 500). Renew the credentials that the agent runs with. On your own machine: `aws sso login`, or "
            "what else you log in with."
        ),
    ),
    (
        Secret("s"),
        "aws",
        400,
        "UnrecognizedClientException",
        "",
        errors.CredentialsRejectedError,
        (
            "AWS does not accept the credentials of this process, or there are none (UnrecognizedClientException, "
            "status 400). Renew the credentials of this process. On your own machine: `aws sso login`, or what else "
            "you log in with."
        ),
    ),
    (
        Secret("s"),
        "aws",
        403,
        "SignatureDoesNotMatch",
        "",
        errors.CredentialsRejectedError,
        (
            "AWS does not accept the credentials of this process, or there are none (SignatureDoesNotMatch, status "
            "403). Renew the credentials of this process. On your own machine: `aws sso login`, or what else you "
            "log in with. Is the clock of the machine right?"
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "ValidationException",
        "",
        errors.AnswerError,
        (
            "AWS takes the name, or the version, for no valid one (ValidationException, status 400). Check how they "
            "are spelled."
        ),
    ),
    (
        Secret("s"),
        "agent",
        400,
        "UnheardOfException",
        "",
        errors.AnswerError,
        (
            "AWS answered with an error (UnheardOfException, status 400). See the error codes of GetSecretValue in "
            "the Secrets Manager API reference."
        ),
    ),
    (
        Parameter("/p"),
        "aws",
        400,
        "UnheardOfException",
        "",
        errors.AnswerError,
        (
            "AWS answered with an error (UnheardOfException, status 400). See the error codes of GetParameter in "
            "the Systems Manager API reference."
        ),
    ),
]


@pytest.mark.parametrize(("declaration", "server", "status", "code", "message", "kind", "says"), CASES)
def test_a_refusal_has_its_cause_and_remedy(
    *, declaration: Secret | Parameter, server: Server, status: int, code: str, message: str, kind: type, says: str
) -> None:
    """A code, and the sentence that AWS says with it, come to a class, a cause and what to do."""
    error = read_refusal(wanted(declaration), code, status, message, server=server)
    assert (type(error), why(error)) == (kind, says)
    assert error.subject == wanted(declaration).subject
    assert error.server == server


def test_in_a_lambda_credentials_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function cannot log in: what changes its credentials is to be found."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    error = read_refusal(wanted(Secret("s")), "ExpiredTokenException", 400, server="aws")
    assert why(error) == (
        "AWS does not accept the credentials of this process, or there are none (ExpiredTokenException, status 400). "
        "Does something change AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN inside the function? "
        "Lambda sets all three, once."
    )


def test_without_a_region_nothing_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the function's Region is not known, an ARN is not said to be of another."""
    monkeypatch.delenv("AWS_REGION")
    error = read_refusal(wanted(Secret(AWAY)), "ResourceNotFoundException", 400, MISSING, server="agent")
    assert error.why == "it does not exist in us-west-2 of account 123456789012 (ResourceNotFoundException, status 400)"
    error = read_refusal(wanted(Secret("s")), "ResourceNotFoundException", 400, MISSING, server="agent")
    assert error.why == "it does not exist in this account and Region (ResourceNotFoundException, status 400)"
    assert error.permissions[0].resource == "arn:*:secretsmanager:*:*:secret:s-??????"


def test_the_default_region_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS_REGION is not set, AWS_DEFAULT_REGION says where this runs."""
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    error = make_unresolved_error(wanted(Secret("s")))
    assert error.causes[0] == "it does not exist in eu-west-1 of this account; perhaps in another Region or account"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("agent", ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret")),
        ("aws", ("secretsmanager:GetSecretValue",)),
    ],
)
def test_the_agent_needs_to_describe(server: Server, expected: tuple[str, ...]) -> None:
    """The agent asks DescribeSecret when a value is due, so its errors carry that permission too; AWS's do not."""
    error = read_refusal(wanted(Secret("s")), "AccessDeniedException", 400, server=server)
    resource = "arn:aws:secretsmanager:us-east-1:*:secret:s-??????"
    assert tuple(Permission(action, resource) for action in expected) == error.permissions


def test_of_a_role_that_was_assumed_only_the_reads_are_missing() -> None:
    """A denial after AssumeRole needs no permission to assume; one of AssumeRole needs that alone."""
    request = wanted(Secret("s", role_arn=ROLE))
    read = read_refusal(request, "AccessDeniedException", 400, server="agent")
    assumed = read_refusal(request, "AccessDeniedException", 403, "Failed to create caching client", server="agent")
    assert [item.role for item in read.permissions] == [ROLE, ROLE]
    assert assumed.permissions == (Permission("sts:AssumeRole", ROLE),)


@pytest.mark.parametrize(
    ("code", "status", "message", "expected"),
    [
        ("ThrottlingException", 400, "", True),
        ("InternalServiceError", 400, "", True),
        ("TimeoutError", 504, "", True),
        ("Unheard", 429, "", True),
        ("Unheard", 500, "", True),
        ("Unheard", 499, "", False),
        ("ResourceNotFoundException", 400, "", False),
        ("ExpiredTokenException", 500, "", False),
        ("InternalFailure", 500, "TokenRetrievalError", False),
        ("InternalFailure", 500, "EndpointConnectionError", True),
    ],
)
def test_what_can_pass(code: str, status: int, message: str, *, expected: bool) -> None:
    """Throttling and failures of the server pass; refusals do not, and credentials never, whatever the status."""
    assert is_transient(code, status, message) is expected


@pytest.mark.parametrize(
    ("code", "expected"), [("ExpiredTokenException", True), ("AccessDenied", False), ("Throttling", False)]
)
def test_what_is_of_credentials(code: str, *, expected: bool) -> None:
    """A denial says nothing of the credentials: they were taken."""
    assert is_of_credentials(code) is expected


def test_no_code_means_two_things() -> None:
    """A code that passes is no refusal, and each refusal has one meaning."""
    groups = [
        refusals._CREDENTIALS,
        refusals._DENIED,
        refusals._INVALID,
        refusals._KEY_CODES,
        refusals._NOT_FOUND,
        refusals._TRANSIENT,
    ]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))


@pytest.mark.parametrize(
    ("code", "shown"),
    [("X" * 64, "X" * 64), ("X" * 65, "unknown"), ("", "unknown"), ("two words", "unknown"), ("Zoë", "unknown")],
)
def test_a_code_is_a_word(code: str, shown: str) -> None:
    """AWS's code is shown where it is one: a word of letters and digits."""
    assert write_code(code) == shown


@bounded
@given(
    code=st.text() | st.sampled_from(sorted(refusals._JUDGES)),
    status=st.integers(100, 599),
    message=st.text(min_size=12).map(lambda text: f"because it was marked for deletion {text}"),
)
def test_no_sentence_is_shown(code: str, status: int, message: str) -> None:
    """No error holds what a server says beside a code, nor a code that is no word."""
    error = read_refusal(wanted(Secret("s")), code, status, message, server="agent")
    assert message not in f"{error} {vars(error)}"
    assert code.isalnum() or not code.strip() or error.code == "unknown"


# --- The function's own account -------------------------------------------------------------------------------------

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:orders"
TOGETHER = "the resource policy of the secret must allow the role too, and so must the policy of its key"


@pytest.mark.parametrize(
    ("declaration", "function_arn", "expected"),
    [
        (Secret(HERE), FUNCTION, None),
        (Secret(THEIRS), FUNCTION, "The ARN is of account 999988887777, which is not the role's: "),
        (Secret(THEIRS), None, "If account 999988887777 of the ARN is not the role's own: "),
        (Secret(THEIRS), "no ARN", "If account 999988887777 of the ARN is not the role's own: "),
        (Secret(THEIRS), "arn:aws:lambda:us-east-1:none:function:x", "If account 999988887777 of the ARN is not the "),
        (Secret(THEIRS, role_arn=ROLE), FUNCTION, "The ARN is of account 999988887777, which is not the role's: "),
        (Secret(f"arn:aws:secretsmanager:us-east-1:{ROLE[13:25]}:secret:s", role_arn=ROLE), FUNCTION, None),
        (Secret("s"), FUNCTION, None),
    ],
)
def test_whose_account_it_is(declaration: Secret, function_arn: str | None, expected: str | None) -> None:
    """An ARN of another account needs that account's consent; of the own one nothing is said of it."""
    request = wanted(declaration)
    error = read_refusal(request, "AccessDeniedException", 400, server="agent", function_arn=function_arn)
    assert (TOGETHER in error.remedy, (expected or "") in error.remedy) == (expected is not None, True)


def test_permissions_are_of_the_own_account() -> None:
    """Where the function's account is known, the permissions have it, and its Region where nothing else says it."""
    error = read_refusal(wanted(Secret("s")), "AccessDeniedException", 400, server="aws", function_arn=FUNCTION)
    resource = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-??????"
    assert error.permissions == (Permission("secretsmanager:GetSecretValue", resource),)
    assert make_unresolved_error(wanted(Secret("s")), function_arn=FUNCTION).permissions == error.permissions


def test_the_function_says_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no variable has the Region, the function's ARN has it."""
    monkeypatch.delenv("AWS_REGION")
    error = make_unresolved_error(wanted(Secret(AWAY)), function_arn=FUNCTION)
    assert error.finding == "the ARN is of us-west-2, this function runs in us-east-1"


@pytest.mark.parametrize(
    ("declaration", "first"),
    [
        (
            Secret(THEIRS),
            (
                "the ARN is of account 999988887777, this function runs in 123456789012, and the policy of the secret "
                "or of its key does not allow the role"
            ),
        ),
        (
            Parameter(SHARED),
            (
                "the ARN is of account 999988887777, this function runs in 123456789012, and the parameter is not "
                "shared with it (AWS RAM)"
            ),
        ),
        (Secret(HERE), "it does not exist in us-east-1 of account 123456789012"),
    ],
)
def test_generic_refusal_of_another_account(declaration: Secret | Parameter, first: str) -> None:
    """What an ARN and the function say of their accounts is the likeliest cause, or none."""
    error = make_unresolved_error(wanted(declaration), function_arn=FUNCTION)
    assert error.causes[0] == first
    assert [cause for cause in error.causes[1:] if "account" in cause and "exist" not in cause] == []


# --- The generic refusal ------------------------------------------------------------------------------------------

TAIL = 'Look for lines that begin "[AWS Parameters and Secrets Lambda Extension]".'
THROTTLED = "AWS throttled the call, or could not be reached"
KEY = "the role may not call kms:Decrypt on its customer-managed key"
EXPIRED = "the credentials have expired (behind a local stand-in: `aws sso login`)"


def test_generic_refusal() -> None:
    """What the extension does not tell is a list of what it can be, the likeliest first."""
    assert str(make_unresolved_error(wanted(Secret("s")))) == (
        "Cannot resolve 'x' of app.handler, Secret('s'): AWS refused, and the extension does not tell why. One of:\n"
        "  - it does not exist in us-east-1 of this account; perhaps in another Region or account\n"
        "  - the function's role may not call secretsmanager:GetSecretValue on "
        "arn:aws:secretsmanager:us-east-1:*:secret:s-??????\n"
        f"  - {KEY}\n"
        "  - it is marked for deletion\n"
        f"  - {THROTTLED}\n"
        f"  - {EXPIRED}\n"
        f"The cause is in the function's log. {TAIL}"
    )


@pytest.mark.parametrize(
    ("declaration", "finding", "causes"),
    [
        (
            Parameter("/p", label="prod"),
            None,
            [
                (
                    "it does not exist in us-east-1 of this account, or not in the declared version, stage or label; "
                    "perhaps in another Region or account"
                ),
                THROTTLED,
            ],
        ),
        (
            Parameter("/aws/reference/secretsmanager/s"),
            None,
            [
                "it does not exist in us-east-1 of this account; perhaps in another Region or account",
                "it is marked for deletion",
                THROTTLED,
            ],
        ),
        (
            Secret(AWAY, version_stage="AWSPREVIOUS"),
            "the ARN is of us-west-2, this function runs in us-east-1",
            [
                (
                    "it does not exist in us-west-2 of account 123456789012, or not in the declared version, stage or "
                    "label"
                ),
                "it is marked for deletion",
                (
                    "account 123456789012 is not the function's own, and the policy of the secret or of its key does "
                    "not allow the role"
                ),
                THROTTLED,
            ],
        ),
        (
            Parameter(SHARED),
            None,
            [
                "it does not exist in us-east-1 of account 999988887777",
                "account 999988887777 is not the function's own, and the parameter is not shared with it (AWS RAM)",
                THROTTLED,
            ],
        ),
    ],
)
def test_generic_causes(declaration: Secret | Parameter, finding: str | None, causes: list[str]) -> None:
    """The causes are those that a declaration can have; an ARN of another Region is said first."""
    error = make_unresolved_error(wanted(declaration))
    denied = "the function's role may not call {permissions}"
    assert (error.finding, error.causes) == (finding, (causes[0], denied, KEY, *causes[1:], EXPIRED))


def test_generic_refusal_of_what_was_seen() -> None:
    """What was there a moment ago was more likely throttled than misspelt."""
    error = make_unresolved_error(wanted(Secret("s")), was_seen=True)
    assert error.causes == (
        THROTTLED,
        "it was deleted, or marked for deletion, since it was read last",
        "the function's role may not call {permissions}",
        KEY,
        EXPIRED,
    )


@pytest.mark.parametrize("level", ["NONE", "none"])
def test_generic_refusal_without_a_log(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Where the extension is configured to log nothing, the error does not send there."""
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL", level)
    error = make_unresolved_error(wanted(Secret("s")))
    assert error.why.splitlines()[-1] == "The extension logs nothing here"
    assert error.remedy == (
        "Set PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL, which is NONE, to ERROR, and look for lines that begin "
        '"[AWS Parameters and Secrets Lambda Extension]".'
    )
