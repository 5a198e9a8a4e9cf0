"""The two servers that the emulator can be: which answer each gives to a request."""

from __future__ import annotations

import base64
import json
import logging
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar
from urllib.parse import parse_qsl

from lambdasecrets.dev._emulator.http_server import Answer, Request
from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdasecrets.dev._stores.cached import CachedStore

TOKEN_HEADER = "x-aws-parameters-secrets-token"  # noqa: S105 - a header's name

_T = TypeVar("_T")
_log = logging.getLogger("lambdasecrets.emulator")
_SECRETS_PATH = "/secretsmanager/get"
_PARAMETERS_PATHS = ("/systemsmanager/parameters/get", "/systemsmanager/parameters/get/")
_LEVELS = {logging.WARNING: "WARN"}
_OK = 200

NOT_READY = Answer(400, b"not ready to serve traffic, please wait")
UNRESOLVED = Answer(400, b"an unexpected error occurred while executing request")
BAD_SESSION_TOKEN = Answer(401, b"bad session token or header key")
NOT_FOUND = Answer(404, b"404 page not found")
NOT_ALLOWED = Answer(405, b"Method Not Allowed")

AGENT_CROWDED = Answer(429, b"Connection limit exceeded", None)
AGENT_FORWARDED = Answer(400, b"Forwarded", None)
AGENT_BAD_TOKEN = Answer(403, b"Bad Token", None)
AGENT_NOT_ALLOWED = Answer(405, b"Not allowed", None)
AGENT_NOT_FOUND = Answer(404, b"Not found", None)
AGENT_HEALTHY = Answer(_OK, b"healthy", None)


@dataclass(frozen=True, slots=True)
class Moment:
    """What an answer depends on beside the request and the store.

    Attributes:
        token: the token that a request has to bring.
        is_ready: whether the first invocation has begun.
        connections: how many connections are open.
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

    def answer(self, request: Request, store: CachedStore, moment: Moment) -> Answer:
        """Return the answer to a request, and log the cause when it is an error."""
        ...


class ExtensionProfile:
    """The AWS Parameters and Secrets Lambda Extension."""

    prefix = "[AWS Parameters and Secrets Lambda Extension]"
    max_ttl_seconds = 300.0
    max_age_seconds = math.inf
    serves_stale = False

    def answer(self, request: Request, store: CachedStore, moment: Moment) -> Answer:
        """Return the answer to a request: see `Profile.answer`."""
        if not moment.is_ready:
            return NOT_READY
        if request.headers.get(TOKEN_HEADER) != moment.token:
            return BAD_SESSION_TOKEN
        return self._routed(request, store)

    def _routed(self, request: Request, store: CachedStore) -> Answer:
        query = _first_values(request.query)
        if request.path == _SECRETS_PATH:
            resolve = self._secret
        elif request.path in _PARAMETERS_PATHS:
            resolve = self._parameter
        else:
            return NOT_FOUND
        if request.method != "GET":
            return NOT_ALLOWED
        answer = ask_store(lambda: resolve(query, store))
        if isinstance(answer, StoreError):
            log(self.prefix, logging.ERROR, f"GET {request.path} {_asked_for(query)}: {answer}")
            return UNRESOLVED
        return answer

    def _secret(self, query: dict[str, str], store: CachedStore) -> Answer:
        secret = store.secret(
            _required(query, "secretId"),
            version_id=query.get("versionId"),
            version_stage=query.get("versionStage"),
        )
        return _json_answer(_extension_secret(secret))

    def _parameter(self, query: dict[str, str], store: CachedStore) -> Answer:
        # Of a version and a label only the first in the URL counts.
        selector = next((key for key in query if key in {"version", "label"}), None)
        parameter = store.parameter(
            _required(query, "name"),
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

    _connection_limit = 800
    _path_prefix = "/v1/"
    _health_path = "/ping"
    _secret_keys = ("versionId", "versionStage", "refreshNow", "roleArn")

    def answer(self, request: Request, store: CachedStore, moment: Moment) -> Answer:
        """Return the answer to a request: see `Profile.answer`."""
        return self._refusal(request, moment) or self._routed(request, store)

    def _refusal(self, request: Request, moment: Moment) -> Answer | None:
        if moment.connections > self._connection_limit:
            return AGENT_CROWDED
        if request.path != self._health_path:
            if "x-forwarded-for" in request.headers:
                return AGENT_FORWARDED
            if request.headers.get(TOKEN_HEADER) != moment.token:
                return AGENT_BAD_TOKEN
        return None if request.method == "GET" else AGENT_NOT_ALLOWED

    def _routed(self, request: Request, store: CachedStore) -> Answer:
        if request.path == self._health_path:
            return AGENT_HEALTHY
        if request.path == _SECRETS_PATH:
            return self._secret(request, None, store)
        if request.path.startswith(self._path_prefix):
            return self._secret(request, request.path.removeprefix(self._path_prefix), store)
        return AGENT_NOT_FOUND

    def _secret(self, request: Request, path_id: str | None, store: CachedStore) -> Answer:
        query = _last_values(request.query)
        problem = self._query_problem(query, path_id)
        if problem:
            return Answer(400, problem.encode(), None)
        secret_id = query["secretId"] if path_id is None else path_id
        secret = ask_store(
            lambda: store.secret(
                secret_id,
                version_id=query.get("versionId"),
                version_stage=query.get("versionStage"),
                refresh=_flag(query.get("refreshNow", "false")) is True,
            )
        )
        if isinstance(secret, StoreError):
            log(self.prefix, logging.ERROR, f"GET {request.path} {secret_id!r}: {secret}")
            return _json_answer({"__type": secret.code, "message": secret.message}, secret.status, None)
        return _json_answer(_agent_secret(secret), content_type=None)

    def _query_problem(self, query: dict[str, str], path_id: str | None) -> str | None:
        known = self._secret_keys if path_id is not None else ("secretId", *self._secret_keys)
        for key, value in query.items():
            if key not in known:
                return f"unknown parameter: {key}"
            if key == "refreshNow" and _flag(value) is None:
                return "invalid refreshNow value"
        if path_id is None:
            return None if query.get("secretId") else "missing parameter secretId"
        return None if path_id else "missing secret ID"


PROFILES: dict[str, type[ExtensionProfile | AgentProfile]] = {"extension": ExtensionProfile, "agent": AgentProfile}


def log(prefix: str, level: int, text: str) -> None:
    """Log a line in the style of the extension, its level and time within the line."""
    now = datetime.now(timezone.utc).strftime("%Y/%m/%d %H:%M:%S")
    _log.log(level, "%s %s %s %s", prefix, now, _LEVELS.get(level, logging.getLevelName(level)), text)


def ask_store(ask: Callable[[], _T]) -> _T | StoreError:
    """Ask a store; return what it gives, or its error, whatever it raises."""
    try:
        return ask()
    except StoreError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a store is anybody's code, and what its errors say may hold a value
        return StoreError("InternalFailure", type(error).__name__, 500)


def _required(query: dict[str, str], key: str) -> str:
    if not query.get(key):
        raise StoreError("ValidationException", f"missing parameter {key}")
    return query[key]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise StoreError("ValidationException", "version is not a whole number")
    return int(text)


def _flag(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


def _asked_for(query: dict[str, str]) -> str:
    return repr(query.get("secretId") or query.get("name"))


def _last_values(query: str) -> dict[str, str]:
    """Decode a query as a form, in which a `+` is a space; the last of equal keys counts."""
    return dict(parse_qsl(query, keep_blank_values=True))


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
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def _json_answer(
    body: dict[str, object], status: int = _OK, content_type: str | None = "text/plain; charset=utf-8"
) -> Answer:
    return Answer(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), content_type)
