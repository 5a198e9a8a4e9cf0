"""Asks AWS itself through boto3, which enters here: a session, its clients, a role, one call, and what came of it.

Nothing is kept that could be out of date at the next call: credentials, Region and endpoint are found anew each time.
What is kept are the descriptions of AWS's services that boto3 reads from files, and the credentials of roles.
"""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from lambdasecrets import _settings, _wire
from lambdasecrets._sources import refusals
from lambdasecrets._sources.forms import RawValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader
    from botocore.session import Session

    from lambdasecrets._sources.forms import Form

    _Client = Any
    """A client of botocore's: its methods are made at run time, of the description of its service."""

_ROLES = "sts"
_SURROGATE = "[\ud800-\udfff]"
"""Half a character: Python's JSON, by which boto3 reads, lets it through. Nothing can encode it, and the error of who
tries has the whole text."""
_NO_FILES = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
_NO_PROFILE = {"profile": (None, None, None, None)}
_MADE_UP_KEY = "made-up"
_MADE_UP_REGION = "us-east-1"
_ROLE_SESSION = "lambdasecrets"
_RENEW_SECONDS = 300.0
"""How long before their end a role's credentials are renewed."""
_LEAST_SECONDS = 0.05
_PIECE_BYTES = 65536
_KEY_BYTES = 16

_process_key = os.urandom(_KEY_BYTES)


class Refusal(NamedTuple):
    """What AWS answered in the place of a value.

    Attributes:
        code: AWS's error code.
        message: AWS's sentence. Foreign text: it is compared, never shown.
        status: the HTTP status.
        is_of_role: whether it refused the role, and was not asked for the value.
    """

    code: str
    message: str
    status: int
    is_of_role: bool = False

    def is_of_old_credentials(self) -> bool:
        """Tell whether AWS did not take the credentials of a role, which was assumed before."""
        return not self.is_of_role and refusals.is_of_credentials(self.code)


class Unreached(NamedTuple):
    """That no answer came.

    Attributes:
        endpoint: the scheme, the host and the port that were tried.
        code: the name of boto3's error.
    """

    endpoint: str
    code: str


class Unasked(NamedTuple):
    """That boto3 could not ask.

    Attributes:
        code: the name of its error.
        for_credentials: whether it found no credentials, or none that it could use.
    """

    code: str
    for_credentials: bool


class Unreadable(NamedTuple):
    """That the answer has no value."""


class Mistaken(NamedTuple):
    """That the answer is about another value than was asked for."""


Outcome = RawValue | Refusal | Unreached | Unasked | Unreadable | Mistaken


class _Keys(NamedTuple):
    """Credentials as boto3 takes them."""

    access: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return "_Keys()"


class _Role(NamedTuple):
    """The credentials of a role, for whom they were issued, and when they end, in seconds since 1970."""

    keys: _Keys
    caller: bytes
    ends: float

    def __repr__(self) -> str:
        return f"_Role(ends={self.ends!r})"


class Roles:
    """The credentials of roles. They die with their own end, and with the credentials that assumed the role."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roles: dict[str, _Role] = {}

    def find(self, role_arn: str, caller: bytes) -> _Keys | None:
        """Give the credentials of a role, if they are valid for a while; forget all those of other callers."""
        with self._lock:
            soon = time.time() + _RENEW_SECONDS
            self._roles = {arn: role for arn, role in self._roles.items() if role.caller == caller and role.ends > soon}
            role = self._roles.get(role_arn)
        return None if role is None else role.keys

    def keep(self, role_arn: str, keys: _Keys, caller: bytes, ends: float) -> None:
        """Keep the credentials of a role."""
        with self._lock:
            self._roles[role_arn] = _Role(keys, caller, ends)

    def drop(self, role_arn: str) -> None:
        """Forget the credentials of a role: AWS does not take them."""
        with self._lock:
            self._roles.pop(role_arn, None)


class Caller:
    """Asks AWS for values with what boto3 finds now. Used by the threads of one batch.

    Args:
        seconds: how long connecting, and waiting for an answer, may take.
        roles: the credentials of roles.
        stand_in: the URL of a stand-in that is AWS for this process; None: AWS is what boto3 finds.
        on_load: called whenever modules may have been loaded.
    """

    def __init__(self, seconds: float, roles: Roles, stand_in: str | None, on_load: Callable[[], None]) -> None:
        self._seconds, self._roles, self._stand_in = max(seconds, _LEAST_SECONDS), roles, stand_in
        self._on_load = on_load
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[tuple[str, str | None], _Client] = {}
        self._endpoints: dict[tuple[str, str | None], str] = {}

    def find_endpoint(self, form: Form) -> str | None:
        """Give the endpoint that was asked last for a value, of STS or of its service. None: it was not asked yet."""
        return self._endpoints.get((form.aws_service, form.role_arn))

    def ask(self, form: Form) -> Outcome:
        """Ask for one value, once; or twice, where AWS does not take the credentials that were kept for a role."""
        outcome = self._ask(form)
        if form.role_arn and isinstance(outcome, Refusal) and outcome.is_of_old_credentials():
            self._forget_role(form.aws_service, form.role_arn)
            return self._ask(form)
        return outcome

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _ask(self, form: Form) -> Outcome:
        try:
            raw = form.ask_aws(self._find_client(form.aws_service, form.role_arn))
            return Unreadable() if raw is None or re.search(_SURROGATE, raw.text or "") else raw
        except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the credentials
            return _read_error(error, has_role=form.role_arn is not None)

    def _find_client(self, service: str, role_arn: str | None) -> _Client:
        with self._lock:
            client = self._clients.get((service, role_arn))
            if client is None:
                keys = None if role_arn is None else self._find_keys(service, role_arn)
                client = self._clients[service, role_arn] = self._make_client(service, keys)
                self._endpoints[service, role_arn] = _endpoint(client.meta.endpoint_url)
            return client

    def _forget_role(self, service: str, role_arn: str) -> None:
        self._roles.drop(role_arn)
        with self._lock:
            client = self._clients.pop((service, role_arn), None)
        if client is not None:
            client.close()

    def _find_keys(self, service: str, role_arn: str) -> _Keys:
        caller = _fingerprint(self._find_session())
        kept = self._roles.find(role_arn, caller)
        if kept is not None:
            return kept
        sts = self._make_client(_ROLES, None)
        self._endpoints[service, role_arn] = _endpoint(sts.meta.endpoint_url)
        try:
            issued = sts.assume_role(RoleArn=role_arn, RoleSessionName=_ROLE_SESSION)["Credentials"]
        finally:
            sts.close()
        keys = _Keys(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
        self._roles.keep(role_arn, keys, caller, issued["Expiration"].timestamp())
        return keys

    def _find_session(self) -> Session:
        if self._session is None:
            self._session = _make_session(self._stand_in, self._on_load)
        return self._session

    def _make_client(self, service: str, keys: _Keys | None) -> _Client:
        client = self._open_client(service, keys, self._stand_in)
        url = str(client.meta.endpoint_url)
        if self._stand_in is None and _is_near(url):
            # No proxy has a way to this machine.
            client.close()
            return self._open_client(service, keys, url)
        return client

    def _open_client(self, service: str, keys: _Keys | None, near_url: str | None) -> _Client:
        session = self._find_session()
        from botocore.config import Config

        more: dict[str, Any] = {} if near_url is None else {"proxies": {}}
        if self._stand_in is not None:
            more |= {"use_fips_endpoint": False, "use_dualstack_endpoint": False}
        config = Config(
            connect_timeout=self._seconds,
            read_timeout=self._seconds,
            retries={"total_max_attempts": 1},
            # What AWS says of a name or a version counts, not what boto3 thinks of it.
            parameter_validation=False,
            **more,
        )
        client: _Client = session.create_client(
            service,
            region_name=_find_region(session, self._stand_in),
            endpoint_url=near_url,
            config=config,
            aws_access_key_id=keys and keys.access,
            aws_secret_access_key=keys and keys.secret,
            aws_session_token=keys and keys.token,
        )
        # The attribute is not public: where there is none, answers are read as botocore reads them.
        with suppress(AttributeError):
            client._endpoint.http_session = _BoundedSession(client._endpoint.http_session, self._seconds)  # noqa: SLF001
        self._on_load()
        return client


class _BoundedSession:
    """Carries the requests of a client, and reads of an answer as much as it announces and a value can have.

    botocore reads whatever comes, and takes an answer that was cut for a whole one.

    Args:
        session: botocore's own.
        seconds: how long one answer may take in all.
    """

    def __init__(self, session: Any, seconds: float) -> None:
        self._session, self._seconds = session, seconds

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request, and give its answer with the whole body.

        Raises:
            ConnectionClosedError: the answer was cut, or its end did not come in time.
            _TooLargeError: it is larger than any value can be.
        """
        from botocore.awsrequest import AWSResponse

        ends = time.monotonic() + self._seconds
        request.stream_output = True
        answer = self._session.send(request)
        body = _read_body(answer.raw, request.url, ends)
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Body(body))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Body:
    """A body that was read, as botocore reads one.

    Args:
        content: all of it.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> tuple[bytes, ...]:
        """Give the body in pieces."""
        return (self._content,)


class _TooLargeError(Exception):
    """An answer is larger than any value can be."""


def _read_body(raw: Any, url: str, ends: float) -> bytes:
    from botocore.exceptions import ConnectionClosedError

    # By what is there, so that the clock is looked at; older versions of urllib3 know only whole pieces.
    read, body, piece = getattr(raw, "read1", raw.read), b"", b"-"
    try:
        while piece and len(body) <= _wire.MAX_BODY_BYTES and time.monotonic() < ends:
            piece = read(_PIECE_BYTES)
            body += piece
        is_cut = bool(piece or raw.length_remaining)
    except Exception:  # noqa: BLE001 - whatever it is, the rest did not come
        is_cut = True
    is_too_large = len(body) > _wire.MAX_BODY_BYTES
    if is_too_large or is_cut:
        raw.close()
        raise _TooLargeError if is_too_large else ConnectionClosedError(endpoint_url=url)
    return body


def find_stand_in() -> str | None:
    """Give the URL of the stand-in that is AWS for this process. None: there is none.

    Only a stand-in of ours answers as AWS on the port on which the extension is expected.
    """
    url = os.environ.get(_ENDPOINT, "")
    parts = _split(url)
    is_stand_in = parts is not None and parts.scheme == "http" and _is_near(url) and parts.port == _settings.read_port()
    return url if is_stand_in else None


_ENDPOINT = "AWS_ENDPOINT_URL_SECRETS_MANAGER"


def _make_session(stand_in: str | None, on_load: Callable[[], None]) -> Session:
    from botocore.session import Session

    on_load()
    if stand_in is None:
        session = Session()
    else:
        # No file of the user's is read, so that no profile and no key of theirs can be used.
        session = Session(session_vars={**_NO_FILES, **_NO_PROFILE})
        session.set_credentials(_MADE_UP_KEY, _MADE_UP_KEY, _read_token())
    session.register_component("data_loader", _make_loader(session.get_config_variable("data_path")))
    if "AWS_STS_REGIONAL_ENDPOINTS" not in os.environ:
        # Older versions ask the endpoint of us-east-1, to which a VPC elsewhere has no way.
        session.set_config_variable("sts_regional_endpoints", "regional")
    return session


def _read_token() -> str | None:
    """Read the session token that a stand-in gave out: beside the agent it can be in another variable, or a file."""
    variable = "AWS_SESSION_TOKEN" if "AWS_SESSION_TOKEN" in os.environ else _settings.find_token_variable()
    token = _settings.read_credential(variable) if variable else None
    return None if token is None else token.reveal()


@lru_cache(maxsize=2)
def _make_loader(path: str | None) -> Loader:
    # Kept: it holds what AWS's services are like, and reads megabytes of JSON for it.
    from botocore.loaders import create_loader

    return create_loader(path)


def _find_region(session: Session, stand_in: str | None) -> str | None:
    # boto3 does not look at AWS_REGION, which is all that a container of ECS has.
    found = session.get_config_variable("region") or os.environ.get("AWS_REGION")
    return found or (_MADE_UP_REGION if stand_in else None)


def _fingerprint(session: Session) -> bytes:
    """Tell apart who asks, and where, without keeping credentials."""
    from botocore.exceptions import NoCredentialsError

    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    frozen = credentials.get_frozen_credentials()
    endpoints = [os.environ.get(name) for name in sorted(os.environ) if name.startswith("AWS_ENDPOINT_URL")]
    text = repr((frozen.access_key, frozen.secret_key, frozen.token, endpoints))
    return blake2b(text.encode(), key=_process_key).digest()


def _read_error(error: Exception, *, has_role: bool) -> Outcome:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _read_refusal(error, has_role=has_role)
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        known = error.kwargs
        return Unreached(_endpoint(str(known.get("proxy_url") or known.get("endpoint_url") or "")), name_error(error))
    if isinstance(error, _TooLargeError):
        return Unreadable()
    return Unasked(name_error(error), for_credentials=isinstance(error, _list_credentials_errors()))


def _read_refusal(error: ClientError, *, has_role: bool) -> Refusal | Unasked:
    answer = error.response
    said, status = answer.get("Error", {}), answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(said.get("Code", "unknown"))
    if error.operation_name in {"GetSecretValue", "GetParameter"}:
        return Refusal(code, str(said.get("Message", "")), status)
    if error.operation_name == "AssumeRole" and has_role:
        return Refusal(code, str(said.get("Message", "")), status, is_of_role=True)
    # What boto3 asked for by itself, to have credentials.
    return Unasked(code, for_credentials=True)


def _list_credentials_errors() -> tuple[type[Exception], ...]:
    from botocore import exceptions

    # The newest of them may be missing.
    return tuple(getattr(exceptions, name) for name in _CREDENTIALS_ERRORS if hasattr(exceptions, name))


_CREDENTIALS_ERRORS = (
    "CredentialRetrievalError",
    "LoginError",
    "MetadataRetrievalError",
    "MissingDependencyException",
    "NoAuthTokenError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshWithMFAUnsupportedError",
    "SSOError",
    "TokenRetrievalError",
    "UnknownCredentialError",
)


def name_error(error: BaseException) -> str:
    """Give the class of an error, for an error of ours."""
    # Another library's class can be named after anything.
    kind = type(error)
    return kind.__name__ if kind.__module__.partition(".")[0] in {"botocore", "builtins"} else "an unexpected error"


def _endpoint(url: str) -> str:
    """Give the scheme, the host and the port of a URL: a proxy's can have a password before them."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return "AWS"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a bad port raises when it is looked at
    except ValueError:
        return None
    return parts


def _is_near(url: str) -> bool:
    """Tell whether a URL leads to this machine."""
    parts = _split(url)
    host = (parts and parts.hostname) or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
