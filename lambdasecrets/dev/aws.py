"""AWS itself as a store: Secrets Manager and Parameter Store through boto3, which enters the local tools here."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from lambdasecrets.dev.stores import StoredParameter, StoredSecret, StoreError

try:
    from boto3.session import Session
    from botocore import exceptions
    from botocore.config import Config
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "Cannot use AWS as a store: boto3 is not installed. Install it with `pip install 'lambdasecrets[aws]'`.",
        name="boto3",
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AwsStore", "SetupError"]

SetupError = exceptions.BotoCoreError
"""What boto3 raises where it finds no Region, or a configuration that cannot be used."""

_DEFAULT_TIMEOUT_SECONDS = 60.0  # boto3's own; "none" would keep a thread for ever
_ATTEMPTS = 3  # the default of AWS's SDKs in their standard mode

_ROLE_SESSION = "lambdasecrets"
_RENEW_ROLE = timedelta(minutes=5)  # before its credentials end

# "Log in" is no reason to ask again, so these are errors of the request. The newest of boto3's may be missing.
_NO_CREDENTIALS = tuple(
    getattr(exceptions, name)
    for name in (
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "NoAuthTokenError",
        "TokenRetrievalError",
        "SSOError",
        "LoginError",
        "RefreshWithMFAUnsupportedError",
        "MetadataRetrievalError",
        "UnknownCredentialError",
        "InvalidConfigError",
        "ProfileNotFound",
    )
    if hasattr(exceptions, name)
)
_NO_CREDENTIALS_CODE = "MissingAuthenticationTokenException"  # what AWS answers to a request without them
_NO_CREDENTIALS_STATUS = 400
_EXPIRED_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
    }
)
_REMEDY = "aws sso login (or aws login, or new keys), then ask again"

# What the agent answers when AWS cannot be reached. More precise errors come before their base classes.
_UNREACHABLE: tuple[tuple[type[exceptions.BotoCoreError], str, int], ...] = (
    (exceptions.ConnectTimeoutError, "TimeoutError", 504),
    (exceptions.ReadTimeoutError, "TimeoutError", 504),
    (exceptions.ConnectionError, "ConnectionError", 502),
    (exceptions.HTTPClientError, "ConnectionError", 502),
    (exceptions.BotoCoreError, "InternalFailure", 500),
)


class AwsStore:
    """Ask AWS, with the credentials, the Region and the endpoint that boto3 finds (AWS_ENDPOINT_URL for a double).

    Each call is tried at most three times, with waits between. Safe to use from many threads.

    Args:
        max_connections: connections kept to Secrets Manager and to Parameter Store, each.
        secrets_timeout: seconds that a try may take to connect, and then to answer; 0 leaves it to boto3 (60).
        parameters_timeout: the same for parameters.

    Raises:
        BotoCoreError: boto3 finds no Region, or what it finds cannot be used.
    """

    def __init__(
        self, *, max_connections: int = 3, secrets_timeout: float = 0.0, parameters_timeout: float = 0.0
    ) -> None:
        self._session: Any = Session()  # its types are known only for the services whose stubs are installed
        self._secrets_limits = _limits(max_connections, secrets_timeout)
        self._secrets = self._session.client("secretsmanager", config=self._secrets_limits)
        self._parameters = self._session.client("ssm", config=_limits(max_connections, parameters_timeout))
        # Now, as the others: what the environment says later may lead to the stand-in that this store is behind.
        self._sts = self._session.client("sts", config=self._secrets_limits)
        self._lock = threading.Lock()
        self._roles: dict[str, _AssumedRole] = {}

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        wanted = {"SecretId": secret_id, "VersionId": version_id, "VersionStage": version_stage}
        given = {name: value for name, value in wanted.items() if value is not None}
        found = self._ask_as(role_arn, lambda client: client.get_secret_value(**given))
        return StoredSecret(
            arn=found["ARN"],
            name=found["Name"],
            version_id=found["VersionId"],
            version_stages=tuple(found.get("VersionStages", ())),
            created=found["CreatedDate"],
            string=found.get("SecretString"),
            binary=found.get("SecretBinary"),
        )

    def describe(self, secret_id: str, *, role_arn: str | None = None) -> dict[str, tuple[str, ...]]:
        """Return the staging labels of each version of a secret, by its id.

        Raises:
            StoreError: it cannot be had; the code says why.
        """
        found = self._ask_as(role_arn, lambda client: client.describe_secret(SecretId=secret_id))
        return {version: tuple(stages) for version, stages in found.get("VersionIdsToStages", {}).items()}

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        selector = label if version is None else version
        selected = name if selector is None else f"{name}:{selector}"
        found = _ask(lambda: self._parameters.get_parameter(Name=selected, WithDecryption=decrypt))["Parameter"]
        return StoredParameter(
            arn=found["ARN"],
            name=found["Name"],
            type=found["Type"],
            value=found.get("Value"),
            version=found["Version"],
            data_type=found.get("DataType"),
            last_modified=found["LastModifiedDate"],
            selector=found.get("Selector"),
            source_result=found.get("SourceResult"),
        )

    def session_token(self) -> str | None:
        """Return the session token of the credentials in use, read anew where they expire; None without one.

        Raises:
            BotoCoreError: the credentials are to be had from an endpoint, which does not give them.
        """
        credentials = self._session.get_credentials()
        token: str | None = None if credentials is None else credentials.get_frozen_credentials().token
        return token

    def _ask_as(self, role_arn: str | None, ask: Callable[[Any], Any]) -> Any:
        client = self._secrets if role_arn is None else _ask(lambda: self._client_of(role_arn))
        return _ask(lambda: ask(client))

    def _client_of(self, role_arn: str) -> Any:
        with self._lock:
            role = self._roles.get(role_arn)
            if role is None or role.ends - datetime.now(timezone.utc) < _RENEW_ROLE:
                role = self._roles[role_arn] = self._assume(role_arn)
            return role.secrets

    def _assume(self, role_arn: str) -> _AssumedRole:
        issued = self._sts.assume_role(RoleArn=role_arn, RoleSessionName=_ROLE_SESSION)["Credentials"]
        client = self._session.client(
            "secretsmanager",
            config=self._secrets_limits,
            endpoint_url=self._secrets.meta.endpoint_url,
            region_name=self._secrets.meta.region_name,
            aws_access_key_id=issued["AccessKeyId"],
            aws_secret_access_key=issued["SecretAccessKey"],
            aws_session_token=issued["SessionToken"],
        )
        return _AssumedRole(client, issued["Expiration"])


@dataclass(frozen=True, slots=True)
class _AssumedRole:
    """A client of Secrets Manager with a role's credentials, and when they end."""

    secrets: Any
    ends: datetime


def _limits(max_connections: int, timeout: float) -> Config:
    seconds = timeout or _DEFAULT_TIMEOUT_SECONDS
    return Config(
        max_pool_connections=max_connections,
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        parameter_validation=False,  # what AWS refuses, AWS refuses in its own words
    )


def _ask(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except exceptions.ClientError as error:
        refusal = _refusal(error)
    except exceptions.BotoCoreError as error:
        refusal = _unreachable(error)
    # Raised out here: boto3's errors hold the request.
    raise refusal


def _refusal(error: exceptions.ClientError) -> StoreError:
    answer: dict[str, Any] = dict(error.response)
    said = answer["Error"]
    code, message, status = said["Code"], said["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]
    if code in _EXPIRED_CODES:
        return StoreError(code, f"{message.rstrip('.')}. The stand-in's credentials are not valid: {_REMEDY}.", status)
    return StoreError(code, message, status)


def _unreachable(error: exceptions.BotoCoreError) -> StoreError:
    kind = type(error).__name__
    if isinstance(error, _NO_CREDENTIALS):
        message = f"The stand-in has no credentials ({kind}): {_REMEDY}."
        return StoreError(_NO_CREDENTIALS_CODE, message, _NO_CREDENTIALS_STATUS)
    code, status = next((code, status) for kind, code, status in _UNREACHABLE if isinstance(error, kind))
    return StoreError(code, kind, status)
