"""The two servers that the emulator can be: which answer each gives to a request."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import math
import re
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from urllib.parse import parse_qsl

from lambdasecrets.dev._emulator.http_server import Answer, Request
from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lambdasecrets.dev._stores.cached import CachedStore

TOKEN_HEADER = "x-aws-parameters-secrets-token"  # noqa: S105 - a header's name

_T = TypeVar("_T")
_log = logging.getLogger("lambdasecrets.emulator")
_SECRETS_PATH = "/secretsmanager/get"
_PARAMETERS_PATHS = ("/systemsmanager/parameters/get", "/systemsmanager/parameters/get/")
_ANY_ROLE = "arn:aws:iam::123456789012:role/any"
_ROLE = re.compile(
    r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+"
)  # the agent's own pattern, letters of any script included
_LEVELS = {logging.WARNING: "WARN"}
_OK = 200

NOT_READY = Answer(400, b"not ready to serve traffic, please wait")
UNRESOLVED = Answer(400, b"an unexpected error occurred while executing request")
BAD_SESSION_TOKEN = Answer(401, b"bad session token or header key")
NOT_FOUND = Answer(404, b"404 page not found")
NOT_ALLOWED = Answer(405, b"Method Not Allowed")


def _said_by_agent(status: int, body: bytes) -> Answer:
    return Answer(status, body, None, lowers_names=True)


AGENT_CROWDED = _said_by_agent(429, b"Connection limit exceeded")
AGENT_FORWARDED = _said_by_agent(400, b"Forwarded")
AGENT_BAD_TOKEN = _said_by_agent(403, b"Bad Token")
AGENT_NOT_ALLOWED = _said_by_agent(405, b"Not allowed")
AGENT_NOT_FOUND = _said_by_agent(404, b"Not found")
AGENT_HEALTHY = _said_by_agent(_OK, b"healthy")


@dataclass(frozen=True, slots=True)
class ServerState:
    """What an answer depends on beside the request and the store.

    Attributes:
        token: the token that a request has to bring.
        is_ready: whether the first invocation has begun.
        connections: how many connections were open when this one was accepted, itself included.
    """

    token: str = field(repr=False)
    is_ready: bool
    connections: int


class Profile(Protocol):
    """One of the servers."""

    prefix: ClassVar[str]
    max_ttl_seconds: ClassVar[float]
    max_age_seconds: ClassVar[float]
    serves_stale: ClassVar[bool]
    describes: ClassVar[bool]
    """Whether a value that is due is compared with AWS's version before it is read again."""
    delays_writes: ClassVar[bool]
    """Whether Nagle's algorithm is on: a second small write waits for the client's acknowledgement of the first."""

    def refuse(self, status: int) -> Answer:
        """Return the answer to what is no request."""
        ...

    def has_token(self, request: Request, token: str) -> bool:
        """Tell whether a request brings the token."""
        ...

    def answer(self, request: Request, store: CachedStore, state: ServerState) -> Answer:
        """Return the answer to a request, and log the cause when it is an error."""
        ...


class ExtensionProfile:
    """The AWS Parameters and Secrets Lambda Extension."""

    prefix = "[AWS Parameters and Secrets Lambda Extension]"
    max_ttl_seconds = 300.0
    max_age_seconds = math.inf
    serves_stale = False
    describes = False
    delays_writes = False

    def refuse(self, status: int) -> Answer:
        """Return the answer to what is no request, in the words of Go's server: see `Profile.refuse`."""
        return Answer(status, f"{status} {HTTPStatus(status).phrase}".encode())

    def has_token(self, request: Request, token: str) -> bool:
        """Tell whether a request brings the token: see `Profile.has_token`."""
        return is_same(request.headers.get(TOKEN_HEADER), token)

    def answer(self, request: Request, store: CachedStore, state: ServerState) -> Answer:
        """Return the answer to a request: see `Profile.answer`."""
        if not state.is_ready:
            return NOT_READY
        if not self.has_token(request, state.token):
            return BAD_SESSION_TOKEN
        return self._route(request, store)

    def _route(self, request: Request, store: CachedStore) -> Answer:
        query = _first_values(request.query)
        if request.path == _SECRETS_PATH:
            resolve, service, operation = self._secret, "Secrets Manager", "GetSecretValue"
        elif request.path in _PARAMETERS_PATHS:
            resolve, service, operation = self._parameter, "SSM", "GetParameter"
        else:
            return NOT_FOUND
        if request.method != "GET":
            return NOT_ALLOWED
        answer = ask_store(lambda: resolve(query, store))
        if isinstance(answer, StoreError):
            status = f"https response error StatusCode: {answer.status}, RequestID: {uuid.uuid4()}"
            cause = f"operation error {service}: {operation}, {status}, api error {answer}"
            log(self.prefix, logging.ERROR, f"{operation} request encountered an error: {cause}")
            return UNRESOLVED
        return answer

    def _secret(self, query: dict[str, str], store: CachedStore) -> Answer:
        secret = store.secret(
            _require(query, "secretId"),
            version_id=query.get("versionId"),
            version_stage=query.get("versionStage"),
        )
        return _json_answer(_extension_secret(secret))

    def _parameter(self, query: dict[str, str], store: CachedStore) -> Answer:
        # Of a version and a label only the first in the URL counts.
        selector = next((key for key in query if key in {"version", "label"}), None)
        parameter = store.parameter(
            _require(query, "name"),
            version=_number(query["version"]) if selector == "version" else None,
            label=query["label"] if selector == "label" else None,
            decrypt=query.get("withDecryption", "").lower() == "true",
        )
        return _json_answer(_extension_parameter(parameter))


class AgentProfile:
    """The AWS Secrets Manager Agent, also named AWS Workload Credentials Provider."""

    prefix = "[AWS Secrets Manager Agent]"
    max_ttl_seconds = 3600.0
    max_age_seconds = 61.0
    serves_stale = True
    describes = True
    delays_writes = True

    _connection_limit = 800
    _health_connections = 2  # more than the limit
    _role_limit = 20
    _token_headers = (TOKEN_HEADER, "x-vault-token")
    _path_prefix = "/v1/"
    _health_path = "/ping"
    _secret_keys = ("versionId", "versionStage", "refreshNow", "roleArn")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roles: set[str] = set()

    def refuse(self, status: int) -> Answer:
        """Return the answer to what is no request: see `Profile.refuse`."""
        return _said_by_agent(status, b"")

    def has_token(self, request: Request, token: str) -> bool:
        """Tell whether a request brings the token, in one of two headers: see `Profile.has_token`."""
        return any(is_same(request.headers.get(name), token) for name in self._token_headers)

    def answer(self, request: Request, store: CachedStore, state: ServerState) -> Answer:
        """Return the answer to a request: see `Profile.answer`."""
        request = replace(request, target=request.target.partition("#")[0])
        return self._refusal(request, state) or self._route(request, store)

    def _refusal(self, request: Request, state: ServerState) -> Answer | None:
        is_health = request.path == self._health_path
        if state.connections > self._connection_limit + (self._health_connections if is_health else 0):
            return AGENT_CROWDED
        if not is_health:
            if "x-forwarded-for" in request.headers:
                return AGENT_FORWARDED
            if not self.has_token(request, state.token):
                return AGENT_BAD_TOKEN
        return None if request.method == "GET" else AGENT_NOT_ALLOWED

    def _route(self, request: Request, store: CachedStore) -> Answer:
        if request.path == self._health_path:
            return AGENT_HEALTHY
        if request.path == _SECRETS_PATH:
            return self._secret(request, None, store)
        if request.path.startswith(self._path_prefix):
            return self._secret(request, request.path.removeprefix(self._path_prefix), store)
        return AGENT_NOT_FOUND

    def _secret(self, request: Request, path_id: str | None, store: CachedStore) -> Answer:
        members = parse_qsl(request.query, keep_blank_values=True)  # as a form, in which a `+` is a space
        query = dict(members)  # the last of equal keys counts
        problem = self._member_problem(members, path_id) or self._query_problem(query, path_id)
        if problem:
            return _said_by_agent(400, problem.encode())
        secret_id = query["secretId"] if path_id is None else path_id
        role = query.get("roleArn")
        if role is not None and not self._admits(role):
            return _agent_error(self._too_many_roles(role))
        secret = ask_store(lambda: self._fetch(secret_id, query, role, store))
        if isinstance(secret, StoreError):
            log(self.prefix, logging.ERROR, f"GET {request.path} {secret_id!r}: {secret}")
            return _agent_error(secret)
        return _said_by_agent(_OK, _json(_agent_secret(secret)))

    def _fetch(self, secret_id: str, query: dict[str, str], role: str | None, store: CachedStore) -> StoredSecret:
        asked: dict[str, Any] = {
            "version_id": query.get("versionId"),
            "version_stage": query.get("versionStage"),
            "refresh": _flag(query.get("refreshNow", "false")) is True,
        }
        if role is None:
            return store.secret(secret_id, **asked)
        try:
            return store.secret(secret_id, **asked, role_arn=role)
        except StoreError as error:
            # STS's own code: what Secrets Manager refuses is an AccessDeniedException.
            if error.code != "AccessDenied":
                raise
        self._forget(role)
        message = f"Failed to create caching client from role: {role}"
        raise StoreError("AccessDeniedException", message, 403)

    def _admits(self, role: str) -> bool:
        """Take a role among those that the agent has assumed, which it keeps for as long as it runs."""
        with self._lock:
            if role not in self._roles and len(self._roles) >= self._role_limit:
                return False
            self._roles.add(role)
            return True

    def _forget(self, role: str) -> None:
        with self._lock:
            self._roles.discard(role)

    def _too_many_roles(self, role: str) -> StoreError:
        return StoreError(
            "MaxRolesExceeded",
            f"The maximum number of assumed roles ({self._role_limit}) has been reached. Unable to assume the "
            f"following role to create a client: {role}",
        )

    def _member_problem(self, members: Iterable[tuple[str, str]], path_id: str | None) -> str | None:
        known = self._secret_keys if path_id is not None else ("secretId", *self._secret_keys)
        for key, value in members:
            if key not in known:
                return f"unknown parameter: {key}"
            if key == "refreshNow" and _flag(value) is None:
                return "invalid refreshNow value"
        return None

    def _query_problem(self, query: Mapping[str, str], path_id: str | None) -> str | None:
        if path_id is None and not query.get("secretId"):
            return "missing parameter secretId"
        if path_id == "":
            return "missing secret ID"
        if not _ROLE.fullmatch(query.get("roleArn", _ANY_ROLE)):
            return "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>"
        return None


PROFILES: dict[str, type[ExtensionProfile | AgentProfile]] = {"extension": ExtensionProfile, "agent": AgentProfile}


def log(prefix: str, level: int, text: str) -> None:
    """Log a line in the style of the extension, its level and time within the line."""
    now = datetime.now(timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
    _log.log(level, "%s %s %s %s", prefix, now, _LEVELS.get(level, logging.getLevelName(level)), one_line(text))


def is_same(brought: str | None, token: str) -> bool:
    """Tell whether a request brought the token, in a time that does not tell how much of it was right."""
    return brought is not None and hmac.compare_digest(brought.encode("latin-1", "replace"), token.encode())


def one_line(text: str) -> str:
    """Return a text whose line breaks and other control characters are escaped: what a client sends forges no line."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def ask_store(ask: Callable[[], _T]) -> _T | StoreError:
    """Ask a store; return what it gives, or its error, whatever it raises."""
    try:
        return ask()
    except StoreError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a store is anybody's code, and what its errors say may hold a value
        return StoreError("InternalFailure", type(error).__name__, 500)


def _require(query: dict[str, str], key: str) -> str:
    if not query.get(key):
        raise StoreError("ValidationException", f"missing parameter {key}")
    return query[key]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise StoreError("ValidationException", "version is not a whole number")
    return int(text)


def _flag(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


def _first_values(query: str) -> dict[str, str]:
    """Decode a query as a form, in which a `+` is a space; the first of equal keys counts, an empty value is none."""
    values: dict[str, str] = {}
    for key, value in parse_qsl(query):
        values.setdefault(key, value)
    return values


def _extension_secret(secret: StoredSecret) -> dict[str, object]:
    return {
        "ARN": secret.arn,
        "CreatedDate": _rfc3339(secret.created),
        "Name": secret.name,
        "SecretBinary": None if secret.binary is None else base64.b64encode(secret.binary).decode(),
        "SecretString": secret.string,
        "VersionId": secret.version_id,
        "VersionStages": secret.version_stages,
        "ResultMetadata": {},
    }


def _extension_parameter(parameter: StoredParameter) -> dict[str, object]:
    return {
        "Parameter": {
            "ARN": parameter.arn,
            "DataType": parameter.data_type,
            "LastModifiedDate": _rfc3339(parameter.last_modified),
            "Name": parameter.name,
            "Selector": parameter.selector,
            "SourceResult": parameter.source_result,
            "Type": parameter.type,
            "Value": parameter.value,
            "Version": parameter.version,
        },
        "ResultMetadata": {},
    }


def _agent_secret(secret: StoredSecret) -> dict[str, object]:
    body: dict[str, object] = {"ARN": secret.arn, "Name": secret.name, "VersionId": secret.version_id}
    if secret.string is not None:
        body["SecretString"] = secret.string
    if secret.binary is not None:
        body["SecretBinary"] = base64.b64encode(secret.binary).decode()
    if secret.version_stages:
        body["VersionStages"] = secret.version_stages
    return {**body, "CreatedDate": f"{secret.created.timestamp():.6f}".rstrip("0").rstrip(".")}


def _rfc3339(moment: datetime) -> str:
    utc = moment.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


def _json_answer(body: dict[str, object]) -> Answer:
    return Answer(_OK, _json(body))


def _agent_error(error: StoreError) -> Answer:
    body = {"__type": error.code, "message": error.message}
    if error.code == "InternalFailure":  # a cause of its own it keeps to itself
        del body["message"]
    return _said_by_agent(error.status, _json(body))


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
