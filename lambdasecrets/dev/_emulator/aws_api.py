"""AWS's own API, as far as a handler's values need it: what is asked of AWS in a test is answered by the stand-in.

`GetSecretValue` and `GetParameter` are JSON behind an `X-Amz-Target`; `AssumeRole` is a form, and its answer XML.
Source: AWS's API references, and the service models that botocore ships.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from lambdasecrets.dev._emulator.http_server import Answer, Request
from lambdasecrets.dev._emulator.profiles import ask_store, log
from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdasecrets.dev._stores.contract import Store

GET_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an IAM action
GET_PARAMETER = "ssm:GetParameter"
ASSUME_ROLE = "sts:AssumeRole"
MADE_UP_KEY = "made-up"
"""Access key and secret key of who asks the stand-in: no account knows them."""

_PREFIX = "[AWS, played by lambdasecrets]"
_SERVED = (
    "This is a stand-in of lambdasecrets. Of AWS it serves GetSecretValue, GetParameter and AssumeRole, and nothing "
    "else: send other calls to another endpoint, such as moto's."
)
_TARGETS = {"secretsmanager.GetSecretValue": GET_SECRET, "AmazonSSM.GetParameter": GET_PARAMETER}
_ACTIONS = {"AssumeRole": ASSUME_ROLE}
_TARGET_HEADER = "x-amz-target"
_TOKEN_HEADER = "x-amz-security-token"  # noqa: S105 - a header's name
_SIGNATURE = "AWS4-"
_SCOPE = re.compile(r"Credential=[^/]*/[0-9]{8}/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/x-amz-json-1.1"
_XML = "text/xml"
_IN_XML = frozenset({"s3", "route53", "cloudfront"})
"""Services that are no form, and still understand no JSON."""
_ROLE = re.compile(r"arn:(?P<partition>[\w-]+):iam::(?P<account>[0-9]{12}):role/(?:[\w+=,.@-]+/)*(?P<name>[\w+=,.@-]+)")
_NOBODYS = ("arn:", "/aws/service/")
"""How names of parameters begin that mean the same for every account."""
_DURATIONS = range(900, 43_201)
_USUAL_SECONDS = 3600
_MOST_SESSIONS = 1000
_TOKEN_BYTES = 32
_OK, _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 200, 400, 403, 404
_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Call:
    """A call of AWS's API, as the journal has it.

    Attributes:
        api: the IAM action for what the stand-in serves, such as `ssm:GetParameter`; else what can be told of it.
        name: the secret, the parameter or the role that is asked for, where the call names one.
        members: what the call brings.
        region: the Region that it is signed for; empty where it is not signed.
        is_form: whether it is of the protocol of forms and XML.
    """

    api: str
    name: str | None
    members: Mapping[str, object] = field(repr=False)  # of other calls than those served they may hold values
    region: str
    is_form: bool


@dataclass(frozen=True, slots=True)
class _Session:
    """A role that was assumed, and until when."""

    role_arn: str
    partition: str
    account: str
    expires: float
    token: str = field(repr=False)


class AwsApi:
    """Answer calls of AWS's API from a store, past every cache.

    Args:
        store: where the values come from.
        clock: tells the seconds since 1970, by which the credentials of roles end.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def answer(self, call: Call, request: Request, token: str) -> Answer:
        """Return the answer to a call, and log the cause when it is an error.

        Args:
            call: the call, from `read_call`.
            request: what it came as.
            token: the session token that a caller without a role has to bring.
        """
        answer = ask_store(lambda: self._serve(call, _brought(request), token))
        if isinstance(answer, StoreError):
            log(_PREFIX, logging.ERROR, f"{call.api} {call.name!r}: {answer}")
            return _error(call, answer)
        return answer

    def is_let_in(self, request: Request, token: str) -> bool:
        """Tell whether a call brings the session token, or one that was given out for a role."""
        with self._lock:
            return _brought(request) == token or _brought(request) in self._sessions

    def _serve(self, call: Call, brought: str, token: str) -> Answer:
        if call.api not in {GET_SECRET, GET_PARAMETER, ASSUME_ROLE}:
            raise StoreError("UnknownOperationException", f"{_SERVED} Asked for: {call.api}.", _NOT_FOUND)
        session = None if brought == token else self._session(call, brought)
        if call.api == ASSUME_ROLE:
            return self._assume_role(call)
        return self._secret(call, session) if call.api == GET_SECRET else self._parameter(call, session)

    def _session(self, call: Call, brought: str) -> _Session:
        with self._lock:
            session = self._sessions.get(brought)
        if session is None:
            code, status = (
                ("InvalidClientTokenId", _FORBIDDEN) if call.is_form else ("UnrecognizedClientException", 400)
            )
            raise StoreError(code, "The security token included in the request is invalid.", status)
        if session.expires <= self._clock():
            code, status = ("ExpiredToken", _FORBIDDEN) if call.is_form else ("ExpiredTokenException", _BAD_REQUEST)
            raise StoreError(code, "The security token included in the request is expired", status)
        return session

    def _secret(self, call: Call, session: _Session | None) -> Answer:
        # A store need not know of roles.
        role = {} if session is None else {"role_arn": session.role_arn}
        secret = self._store.secret(
            _text(call, "SecretId"),
            version_id=_optional_text(call, "VersionId"),
            version_stage=_optional_text(call, "VersionStage"),
            **role,
        )
        return _json_answer(_secret_members(secret))

    def _parameter(self, call: Call, session: _Session | None) -> Answer:
        name = _text(call, "Name")
        if session is not None and not name.startswith(_NOBODYS):
            # A parameter's bare name is one of the role's account, in the Region of the store.
            region = getattr(self._store, "region", call.region)
            name = f"arn:{session.partition}:ssm:{region}:{session.account}:parameter/{name.removeprefix('/')}"
        parameter = self._store.parameter(name, decrypt=call.members.get("WithDecryption") is True)
        return _json_answer({"Parameter": _parameter_members(parameter)})

    def _assume_role(self, call: Call) -> Answer:
        role_arn, name = _text(call, "RoleArn"), _text(call, "RoleSessionName")
        role = _ROLE.fullmatch(role_arn)
        if role is None:
            raise StoreError("ValidationError", f"{role_arn} is invalid")
        self._check_permission(role_arn)
        seconds = _duration(call)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        session = _Session(role_arn, role["partition"], role["account"], self._clock() + seconds, token)
        with self._lock:
            self._sessions[token] = session
            if len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        arn = f"arn:{role['partition']}:sts::{role['account']}:assumed-role/{role['name']}/{name}"
        return _xml_answer(_write_assumed_role(arn, name, session))

    def _check_permission(self, role_arn: str) -> None:
        # A store says whether a role may be assumed where a secret is asked for with it: whichever secret that is.
        role = {"role_arn": role_arn}
        refusal = ask_store(lambda: self._store.secret("any", **role))
        if isinstance(refusal, StoreError) and ASSUME_ROLE in refusal.message:
            raise StoreError("AccessDenied", refusal.message, _FORBIDDEN)


def read_call(request: Request) -> Call | None:
    """Tell which call of AWS's API a request is; None for a request to the extension or the agent."""
    headers = request.headers
    authorization = headers.get("authorization", "")
    scope = _SCOPE.search(authorization)
    region = scope["region"] if scope else ""
    target = headers.get(_TARGET_HEADER)
    if target is not None:
        members = _read_json(request.body)
        api = _TARGETS.get(target) or _show_operation(target)
        return Call(
            api, _find_text(members, "SecretId" if api == GET_SECRET else "Name"), members, region, is_form=False
        )
    if request.method == "POST" and request.path == "/" and headers.get("content-type", "").startswith(_FORM):
        form = _read_form(request.body)
        action = str(form.get("Action"))
        return Call(
            _ACTIONS.get(action) or _show_operation(action), _find_text(form, "RoleArn"), form, region, is_form=True
        )
    if authorization.startswith(_SIGNATURE):
        service = scope["service"] if scope else "an unknown service"
        return Call(f"{request.method} of {service}", None, {}, region, is_form=service in _IN_XML)
    return None


def _brought(request: Request) -> str:
    return request.headers.get(_TOKEN_HEADER, "")


def _show_operation(operation: str) -> str:
    """Give an operation's name as it may stand in a log and in the journal."""
    return operation if re.fullmatch(r"[\w.-]{1,128}", operation, re.ASCII) else "an operation without a name"


def _read_form(body: bytes) -> dict[str, object]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _read_json(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _find_text(members: Mapping[str, object], key: str) -> str | None:
    value = members.get(key)
    return value if isinstance(value, str) else None


def _text(call: Call, key: str) -> str:
    value = _optional_text(call, key)
    if not value:
        raise StoreError("ValidationException", f"1 validation error detected: {key} must be given and not be empty.")
    return value


def _optional_text(call: Call, key: str) -> str | None:
    value = call.members.get(key)
    if value is not None and not isinstance(value, str):
        raise StoreError("SerializationException", f"{key} is not a string.")
    return value


def _duration(call: Call) -> int:
    text = _optional_text(call, "DurationSeconds") or str(_USUAL_SECONDS)
    seconds = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    if seconds not in _DURATIONS:
        raise StoreError("ValidationError", f"DurationSeconds is from {_DURATIONS[0]} to {_DURATIONS[-1]}.")
    return seconds


def _secret_members(secret: StoredSecret) -> dict[str, object]:
    members: dict[str, object] = {
        "ARN": secret.arn,
        "CreatedDate": _epoch(secret.created),
        "Name": secret.name,
        "VersionId": secret.version_id,
        "VersionStages": list(secret.version_stages),
    }
    if secret.binary is not None:
        return {**members, "SecretBinary": base64.b64encode(secret.binary).decode()}
    return {**members, "SecretString": secret.string}


def _parameter_members(parameter: StoredParameter) -> dict[str, object]:
    members: dict[str, object | None] = {
        "ARN": parameter.arn,
        "DataType": parameter.data_type,
        "LastModifiedDate": _epoch(parameter.last_modified),
        "Name": parameter.name,
        "Selector": parameter.selector,
        "SourceResult": parameter.source_result,
        "Type": parameter.type,
        "Value": parameter.value,
        "Version": parameter.version,
    }
    return {name: value for name, value in members.items() if value is not None}


def _epoch(moment: datetime) -> float:
    return round(moment.timestamp(), 3)


def _write_assumed_role(arn: str, name: str, session: _Session) -> str:
    expires = datetime.fromtimestamp(session.expires, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    # An id of the kind that belongs to roles, made from nothing that is secret.
    role_id = f"AROA{uuid.uuid5(uuid.NAMESPACE_URL, session.role_arn).hex[:17].upper()}"
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
        f"<AssumedRoleUser><AssumedRoleId>{role_id}:{escape(name)}</AssumedRoleId><Arn>{escape(arn)}</Arn>"
        f"</AssumedRoleUser><Credentials><AccessKeyId>{MADE_UP_KEY}</AccessKeyId>"
        f"<SecretAccessKey>{MADE_UP_KEY}</SecretAccessKey><SessionToken>{session.token}</SessionToken>"
        f"<Expiration>{expires}</Expiration></Credentials></AssumeRoleResult>"
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )


def _error(call: Call, error: StoreError) -> Answer:
    if not call.is_form:
        return _json_answer({"__type": error.code, "message": error.message}, error.status, error.code)
    fault = "Receiver" if error.status >= _SERVER_ERRORS else "Sender"
    return _xml_answer(
        f"<ErrorResponse><Error><Type>{fault}</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>",
        error.status,
    )


def _json_answer(content: dict[str, object], status: int = _OK, error: str | None = None) -> Answer:
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), **({"x-amzn-ErrorType": error} if error else {})}
    return Answer(status, json.dumps(content, ensure_ascii=False).encode(), _JSON, headers)


def _xml_answer(text: str, status: int = _OK) -> Answer:
    return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), _XML)
