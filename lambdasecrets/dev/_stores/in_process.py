"""Secrets and parameters in memory, with the versions, stages and labels of the real services."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeGuard

from lambdasecrets.dev._stores import arns
from lambdasecrets.dev._stores.arns import OWN_ACCOUNT, OWN_REGION, Home, Identity
from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PARAMETER_TYPES = ("String", "StringList", "SecureString")

_CURRENT = "AWSCURRENT"
_PREVIOUS = "AWSPREVIOUS"
_SUFFIX_CHARACTERS = 6
_GET_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an IAM action
_DESCRIBE_SECRET = "secretsmanager:DescribeSecret"  # noqa: S105 - an IAM action
_GET_PARAMETER = "ssm:GetParameter"
_ASSUME_ROLE = "sts:AssumeRole"
_CIPHERTEXT_HEAD = b"\x01\x02\x02\x00\x78"  # with these bytes KMS ciphertexts begin ("AQICAH" in base64)
_CIPHERTEXT_MORE_BYTES = 160  # than the text has: the key, the initialization vector and the tag
_NOBODY = Identity(Home("", ""), "")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True)
class _Secret:
    """A secret's versions by their ids, and which version each staging label is on."""

    arn: str
    name: str
    has_own_arn: bool = False  # it was given one, rather than a made-up one
    versions: dict[str, StoredSecret] = field(default_factory=dict[str, StoredSecret])
    stages: dict[str, str] = field(default_factory=dict[str, str])

    def take_arn(self, arn: str) -> None:
        if self.has_own_arn and arn != self.arn:
            raise ValueError(f"Cannot put {arn!r}: this secret has the ARN {self.arn!r}.")
        self.arn, self.has_own_arn = arn, True

    def add(self, version: StoredSecret, stages: Iterable[str]) -> None:
        if version.version_id in self.versions:
            raise ValueError(f"Cannot put version id {version.version_id!r} of {self.name!r}: it exists.")
        self.versions[version.version_id] = version
        for stage in stages:
            if stage == _CURRENT and _CURRENT in self.stages:
                self.stages[_PREVIOUS] = self.stages[_CURRENT]
            self.stages[stage] = version.version_id

    def get(self, version_id: str | None, stage: str | None) -> StoredSecret:
        chosen = version_id or self.stages.get(stage or _CURRENT)
        if chosen is None:
            raise _no_secret(f" value for staging label: {stage or _CURRENT}")
        if chosen not in self.versions:
            raise _no_secret(f" value for VersionId: {chosen}")
        if stage is not None and self.stages.get(stage) != chosen:
            raise StoreError(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        stages = tuple(name for name, on in self.stages.items() if on == chosen)
        return replace(self.versions[chosen], arn=self.arn, version_stages=stages)


@dataclass(slots=True)
class _Parameter:
    """A parameter's versions, the first of them number 1, and which version each label is on."""

    arn: str
    name: str
    versions: list[StoredParameter] = field(default_factory=list[StoredParameter])
    labels: dict[str, int] = field(default_factory=dict[str, int])

    def get(self, selector: str | None) -> StoredParameter:
        """Return the latest version, or the one with a number or a label."""
        if selector is None:
            return self.versions[-1]
        number = self.labels.get(selector, 0)
        if selector in map(str, range(1, len(self.versions) + 1)):
            number = int(selector)
        if not number:
            raise StoreError(
                "ParameterVersionNotFound",
                f"Systems Manager could not find version {selector} of {self.name}. Verify the version and try again.",
            )
        return replace(self.versions[number - 1], selector=f":{selector}")


class MemoryStore:
    """Hold secrets and parameters in memory. Safe to use from many threads.

    An entry that is put by a name, or by an ARN of the store's own account and Region, answers to its name, to its
    ARN and, if it is a secret, to its ARN without the suffix. One that is put by an ARN of another account answers to
    that ARN, or to its name where it is asked for with a role of that account; one of another Region to its ARN only.

    Args:
        region: the Region in which bare names are, such as `us-east-1`.
        account: the account in which bare names are, twelve digits.
        now: tells the time of a new version.

    Attributes:
        region: the Region in which bare names are.
        account: the account in which bare names are.
    """

    def __init__(
        self,
        *,
        region: str = OWN_REGION,
        account: str = OWN_ACCOUNT,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.region = region
        self.account = account
        self._home = Home(region, account)
        self._now = now
        self._lock = threading.RLock()
        self._secrets: dict[Identity, _Secret] = {}
        self._parameters: dict[Identity, _Parameter] = {}
        self._secrets_by_arn: dict[str, Identity] = {}
        self._denied_secrets: set[Identity | str] = set()
        self._denied_parameters: set[Identity] = set()
        self._denied_roles: set[str] = set()

    def put_secret(
        self, name: str, value: object, *, version_id: str | None = None, stages: Iterable[str] = (_CURRENT,)
    ) -> str:
        """Add a version to a secret, which is made when it does not exist, and return the version's id.

        A version that becomes `AWSCURRENT` moves `AWSPREVIOUS` to the one that was, as Secrets Manager does.

        Args:
            name: the secret's name, or its full ARN where the ARN matters.
            value: a text as it is, bytes as a binary secret, anything else as JSON.
            version_id: its id; a random UUID without one.
            stages: its staging labels, which leave the versions that had them.

        Raises:
            TypeError: the value cannot be JSON.
            ValueError: the value cannot be JSON or UTF-8, the version id exists, the ARN is no secret's, or the
                secret has another ARN already.
        """
        string = None if isinstance(value, bytes) else _utf8(value if isinstance(value, str) else _json(value))
        binary = value if isinstance(value, bytes) else None
        with self._lock:
            secret = self._secret_to_fill(name)
            chosen = version_id or str(uuid.uuid4())
            secret.add(StoredSecret(secret.arn, secret.name, chosen, (), self._now(), string, binary), stages)
            return chosen

    def put_parameter(
        self,
        name: str,
        value: object,
        *,
        type: str | None = None,  # noqa: A002 - AWS's word for it
        labels: Iterable[str] = (),
        data_type: str = "text",
    ) -> int:
        """Add a version to a parameter, which is made when it does not exist, and return the version's number.

        Args:
            name: the parameter's name, or its full ARN where the ARN matters.
            value: a text as it is, a list joined by commas for a StringList, anything else as JSON.
            type: `String`, `StringList` or `SecureString`; without one a list is a StringList, all else a String.
            labels: its labels, which leave the versions that had them.
            data_type: `text`, `aws:ec2:image` or `aws:ssm:integration`.

        Raises:
            TypeError: the value cannot be JSON.
            ValueError: the type is unknown, the value is empty or cannot be JSON or UTF-8, a StringList's item has a
                comma, or the name is one that Parameter Store does not take.
        """
        chosen = type or ("StringList" if _is_list(value) else "String")
        if chosen not in PARAMETER_TYPES:
            raise ValueError(f"Unknown parameter type {chosen!r}: use one of {', '.join(PARAMETER_TYPES)}.")
        text = _utf8(_parameter_text(value, chosen))
        if not text:
            raise ValueError("Cannot put an empty value: Parameter Store has none.")
        with self._lock:
            parameter = self._parameter_to_fill(name)
            number = len(parameter.versions) + 1
            parameter.versions.append(
                StoredParameter(parameter.arn, parameter.name, chosen, text, number, data_type, self._now(), None)
            )
            parameter.labels.update(dict.fromkeys(labels, number))
            return number

    def delete(self, name: str) -> None:
        """Delete the secret and the parameter with this name or ARN.

        Raises:
            KeyError: there is neither.
        """
        with self._lock:
            secret = self._secrets.pop(self._secret_identity(name, self._home) or _NOBODY, None)
            parameter = self._parameters.pop(arns.parameter_identity(name, self._home) or _NOBODY, None)
            if secret is not None:
                del self._secrets_by_arn[secret.arn]
        if secret is None and parameter is None:
            raise KeyError(name)

    def deny(self, name: str) -> None:
        """Refuse this name or ARN from now on, as a missing permission would; it need not exist.

        Args:
            name: a name or an ARN of a secret or of a parameter, or the ARN of a role, which nobody may assume then.
        """
        with self._lock:
            self._denied_roles.add(name)
            self._denied_secrets.add(self._secret_identity(name, self._home) or name)
            parameter = arns.parameter_identity(arns.split_selector(name)[0], self._home)
            if parameter is not None:
                self._denied_parameters.add(parameter)

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        with self._lock:
            return self._find_allowed_secret(_GET_SECRET, secret_id, role_arn).get(version_id, version_stage)

    def describe(self, secret_id: str, *, role_arn: str | None = None) -> dict[str, tuple[str, ...]]:
        """Return the staging labels of each version of a secret, by its id, as `DescribeSecret` does.

        Raises:
            StoreError: it cannot be had; the code says why.
        """
        with self._lock:
            secret = self._find_allowed_secret(_DESCRIBE_SECRET, secret_id, role_arn)
            return {number: secret.get(number, None).version_stages for number in secret.versions}

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        asked = name if version is None and label is None else f"{name}:{label if version is None else version}"
        bare, selector = arns.split_selector(asked)
        identity = arns.parameter_identity(bare, self._home)
        if identity is None:
            raise _no_parameter(asked)
        with self._lock:
            if identity in self._denied_parameters:
                raise self._caller(None).refusal(_GET_PARAMETER, bare)
            if identity.name.startswith(arns.REFERENCE[1:]):
                return self._follow_reference(identity, selector, decrypt=decrypt)
            parameter = self._parameters.get(identity)
            if parameter is None:
                raise _no_parameter(asked)
            found = parameter.get(selector)
        if found.type == "SecureString" and not decrypt:
            return replace(found, value=_ciphertext(found))
        return found

    def _find_allowed_secret(self, action: str, secret_id: str, role_arn: str | None) -> _Secret:
        caller = self._caller(role_arn)
        identity = self._secret_identity(secret_id, caller.home)
        secret = None if identity is None else self._secrets.get(identity)
        denied = {identity or secret_id, secret_id if secret is None else secret.arn}
        if not self._denied_secrets.isdisjoint(denied):
            raise caller.refusal(action, secret_id)
        if secret is None:
            raise _no_secret("")
        return secret

    def _caller(self, role_arn: str | None) -> _Caller:
        own = _Caller(self._home, "lambdasecrets")
        if role_arn is None:
            return own
        account = arns.role_account(role_arn)
        if account is None:
            raise StoreError("ValidationError", f"{role_arn} is invalid")
        if role_arn in self._denied_roles:
            refusal = own.refusal(_ASSUME_ROLE, role_arn)
            raise StoreError("AccessDenied", refusal.message, 403)  # STS has a code of its own
        return _Caller(Home(self.region, account), role_arn.rpartition("/")[2])

    def _secret_identity(self, name_or_arn: str, home: Home) -> Identity | None:
        known = self._secrets_by_arn.get(name_or_arn)
        identity = arns.secret_identity(name_or_arn, home)
        if known is not None or identity is None:
            return known
        # What looks like a whole ARN is taken for one: an ARN without its suffix cannot end like that.
        return None if arns.is_arn(name_or_arn) and arns.has_suffix(identity.name) else identity

    def _follow_reference(self, reference: Identity, selector: str | None, *, decrypt: bool) -> StoredParameter:
        if not decrypt:
            raise StoreError(
                "ValidationException", "WithDecryption flag must be True for retrieving a Secret Manager secret."
            )
        identity = Identity(reference.home, reference.name.removeprefix(arns.REFERENCE[1:]))
        secret = self._secret_behind(identity, selector)
        return StoredParameter(
            arn=secret.arn,
            name=f"/{reference.name}",
            type="SecureString",
            value=secret.string,
            version=0,
            data_type=None,
            last_modified=secret.created,
            selector=None if selector is None else f":{selector}",
            source_result=_source_result(secret),
        )

    def _secret_behind(self, identity: Identity, selector: str | None) -> StoredSecret:
        where = "when referencing Secrets Manager:"
        secret = self._secrets.get(identity)
        if not self._denied_secrets.isdisjoint((identity, "" if secret is None else secret.arn)):
            refusal = self._caller(None).refusal(_GET_SECRET, identity.name)
            raise StoreError(refusal.code, f"An error occurred ({refusal.code}) {where} {refusal.message}")
        is_id = secret is not None and selector in secret.versions
        try:
            if secret is not None:
                return secret.get(selector if is_id else None, None if is_id else selector)
        except StoreError:
            pass
        name = f"{arns.REFERENCE}{identity.name}{'' if selector is None else f':{selector}'}"
        raise StoreError("ParameterNotFound", f"An error occurred (ParameterNotFound) {where} Secret {name} not found.")

    def _secret_to_fill(self, name: str) -> _Secret:
        identity = arns.secret_to_put(name, self._home)
        made = identity.home.arn("secretsmanager", f"secret:{identity.name}-{_suffix(identity.name)}")
        secret = self._secrets.setdefault(identity, _Secret(made, identity.name))
        if arns.is_arn(name) and arns.has_suffix(name):
            secret.take_arn(name)
        self._secrets_by_arn = {arn: known for arn, known in self._secrets_by_arn.items() if known != identity}
        self._secrets_by_arn[secret.arn] = identity
        return secret

    def _parameter_to_fill(self, name: str) -> _Parameter:
        identity = arns.parameter_to_put(name, self._home)
        arn = name if arns.is_arn(name) else identity.home.arn("ssm", f"parameter/{identity.name}")
        own_name = f"/{identity.name}" if arns.is_arn(name) else name
        return self._parameters.setdefault(identity, _Parameter(arn, own_name))


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, and where a bare name is for it."""

    home: Home
    role: str

    def refusal(self, action: str, resource: str) -> StoreError:
        arn = f"arn:{self.home.partition}:sts::{self.home.account}:assumed-role/{self.role}/function"
        return StoreError(
            "AccessDeniedException",
            f"User: {arn} is not authorized to perform: {action} on resource: {resource}"
            f" because no identity-based policy allows the {action} action",
        )


def _no_secret(what: str) -> StoreError:
    return StoreError("ResourceNotFoundException", f"Secrets Manager can't find the specified secret{what}.")


def _no_parameter(asked: str) -> StoreError:
    return StoreError("ParameterNotFound", f"Parameter {asked} not found.")


def _suffix(name: str) -> str:
    # Secrets Manager ends an ARN with random characters; here they stay the same from run to run.
    return hashlib.sha256(name.encode()).hexdigest()[:_SUFFIX_CHARACTERS]


def _ciphertext(parameter: StoredParameter) -> str:
    # Made from the name, not from the value: even a digest of a short secret can be guessed back. Only the length is
    # the value's, as it is with KMS.
    seed = hashlib.shake_256(f"{parameter.arn}:{parameter.version}".encode())
    noise = seed.digest(len((parameter.value or "").encode()) + _CIPHERTEXT_MORE_BYTES)
    return base64.b64encode(_CIPHERTEXT_HEAD + noise).decode()


def _source_result(secret: StoredSecret) -> str:
    """Return what Parameter Store tells of a secret: Java's way to write its answer, as it was recorded."""
    content: dict[str, object] = (
        {"secretString": secret.string} if secret.binary is None else {"secretBinary": _java_buffer(secret.binary)}
    )
    answer: dict[str, object] = {
        "ARN": secret.arn,
        "name": secret.name,
        "versionId": secret.version_id,
        **content,
        "versionStages": secret.version_stages,
        "createdDate": _java_date(secret.created),
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _java_buffer(content: bytes) -> dict[str, object]:
    size = len(content)
    return {
        "hb": [byte - 256 if byte > 127 else byte for byte in content],  # noqa: PLR2004 - Java's bytes have a sign
        "offset": 0,
        "isReadOnly": False,
        "bigEndian": True,
        "nativeByteOrder": False,
        "mark": -1,
        "position": 0,
        "limit": size,
        "capacity": size,
        "address": 16,
    }


def _java_date(moment: datetime) -> str:
    utc = moment.astimezone(timezone.utc)
    half = "AM" if utc.hour < 12 else "PM"  # noqa: PLR2004 - noon
    return f"{_MONTHS[utc.month - 1]} {utc.day}, {utc.year}, {utc.hour % 12 or 12}:{utc:%M:%S} {half}"


def _parameter_text(value: object, parameter_type: str) -> str:
    if isinstance(value, str):
        return value
    if parameter_type == "StringList" and _is_list(value):
        return ",".join(_items(value))
    return _json(value)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


def _items(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        item = value if isinstance(value, str) else _json(value)
        if "," in item:
            raise ValueError("Cannot put a StringList: an item has a comma, which would make it two.")
        yield item


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    # Raised out here: the encoder's error holds the whole text.
    raise ValueError("Cannot put this text: it has half of a surrogate pair, which UTF-8 cannot carry.")
