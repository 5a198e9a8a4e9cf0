"""Secrets and parameters in memory, with the versions, stages and labels of the real services."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeGuard

from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PARAMETER_TYPES = ("String", "StringList", "SecureString")

_CURRENT = "AWSCURRENT"
_PREVIOUS = "AWSPREVIOUS"
_REFERENCE = "/aws/reference/secretsmanager/"
_SECRET_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_SUFFIX_CHARACTERS = 6
_GET_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an IAM action
_GET_PARAMETER = "ssm:GetParameter"
_CIPHERTEXT_HEAD = b"\x01\x02\x02\x00"  # with these bytes KMS ciphertexts begin ("AQIC" in base64)


@dataclass(slots=True)
class _Secret:
    """A secret's versions by their ids, and which version each staging label is on."""

    arn: str
    name: str
    versions: dict[str, StoredSecret] = field(default_factory=dict[str, StoredSecret])
    stages: dict[str, str] = field(default_factory=dict[str, str])

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
        return replace(self.versions[chosen], version_stages=stages)


@dataclass(slots=True)
class _Parameter:
    """A parameter's versions, the first of them number 1, and which version each label is on."""

    arn: str
    name: str
    versions: list[StoredParameter] = field(default_factory=list[StoredParameter])
    labels: dict[str, int] = field(default_factory=dict[str, int])

    def get(self, version: int | None, label: str | None) -> StoredParameter:
        if version is None and label is None:
            return self.versions[-1]
        chosen = self.labels.get(label or "") if version is None else version
        selector = label if version is None else version
        if chosen is None or not 1 <= chosen <= len(self.versions):
            raise StoreError(
                "ParameterVersionNotFound",
                f"Systems Manager could not find version {selector} of {self.name}. Verify the version and try again.",
            )
        return replace(self.versions[chosen - 1], selector=f":{selector}")


class MemoryStore:
    """Hold secrets and parameters in memory. Safe to use from many threads.

    Args:
        region: the region in the ARNs that it makes.
        account: the account in the ARNs that it makes, twelve digits.
        now: tells the time of a new version.
    """

    def __init__(
        self,
        *,
        region: str = "us-east-1",
        account: str = "123456789012",
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._region = region
        self._account = account
        self._now = now
        self._lock = threading.RLock()
        self._secrets: dict[str, _Secret] = {}
        self._parameters: dict[str, _Parameter] = {}
        self._names: dict[str, str] = {}  # by ARN, whole and without its suffix
        self._denied: set[str] = set()

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
            ValueError: the value cannot be JSON or UTF-8, or the version id exists.
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
            ValueError: the type is unknown, the value cannot be JSON or UTF-8, or a StringList's item has a comma.
        """
        chosen = type or ("StringList" if _is_list(value) else "String")
        if chosen not in PARAMETER_TYPES:
            raise ValueError(f"Unknown parameter type {chosen!r}: use one of {', '.join(PARAMETER_TYPES)}.")
        text = _utf8(_parameter_text(value, chosen))
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
            known = self._names.get(name, name)
            if known not in self._secrets and known not in self._parameters:
                raise KeyError(name)
            self._secrets.pop(known, None)
            self._parameters.pop(known, None)

    def deny(self, name: str) -> None:
        """Refuse this name or ARN from now on, as a missing permission would; it need not exist."""
        with self._lock:
            self._denied.add(self._names.get(name, name))

    def secret(
        self, secret_id: str, *, version_id: str | None = None, version_stage: str | None = None
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        with self._lock:
            secret = self._secrets.get(self._permitted_name(secret_id, _GET_SECRET))
            if secret is None:
                raise _no_secret("")
            return secret.get(version_id, version_stage)

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        if name.startswith(_REFERENCE):
            return self._referenced_secret(name, label, decrypt=decrypt)
        with self._lock:
            parameter = self._parameters.get(self._permitted_name(name, _GET_PARAMETER))
            if parameter is None:
                raise StoreError("ParameterNotFound", f"Parameter {name} not found.")
            found = parameter.get(version, label)
        if found.type == "SecureString" and not decrypt:
            return replace(found, value=_ciphertext(found))
        return found

    def _permitted_name(self, name_or_arn: str, action: str) -> str:
        name = self._names.get(name_or_arn, name_or_arn)
        if not self._denied.isdisjoint((name, name_or_arn)):
            raise StoreError(
                "AccessDeniedException",
                f"User is not authorized to perform: {action} on resource: {name_or_arn}"
                f" because no identity-based policy allows the {action} action",
            )
        return name

    def _referenced_secret(self, name: str, label: str | None, *, decrypt: bool) -> StoredParameter:
        if not decrypt:
            raise StoreError(
                "ValidationException", "WithDecryption flag must be True for retrieving a Secret Manager secret."
            )
        secret = self.secret(name.removeprefix(_REFERENCE), version_stage=label)
        return StoredParameter(
            arn=secret.arn,
            name=name,
            type="SecureString",
            value=secret.string,
            version=0,
            data_type=None,
            last_modified=secret.created,
            selector=None if label is None else f":{label}",
            source_result=_source_result(secret),
        )

    def _secret_to_fill(self, name: str) -> _Secret:
        arn = name if name.startswith("arn:") else self._arn("secretsmanager", f"secret:{name}-{_suffix(name)}")
        bare_arn = _SECRET_SUFFIX.sub("", arn)
        known = self._names.get(name, bare_arn.split(":", 6)[-1])
        self._names.update({arn: known, bare_arn: known})
        return self._secrets.setdefault(known, _Secret(arn, known))

    def _parameter_to_fill(self, name: str) -> _Parameter:
        given_arn = name.startswith("arn:")
        arn = name if given_arn else self._arn("ssm", f"parameter/{name.lstrip('/')}")
        known = self._names.get(name, arn.split(":parameter", 1)[-1]) if given_arn else name
        self._names[arn] = known
        return self._parameters.setdefault(known, _Parameter(arn, known))

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._region}:{self._account}:{resource}"


def _no_secret(what: str) -> StoreError:
    return StoreError("ResourceNotFoundException", f"Secrets Manager can't find the specified secret{what}.")


def _suffix(name: str) -> str:
    # Secrets Manager ends an ARN with random characters; here they stay the same from run to run.
    return hashlib.sha256(name.encode()).hexdigest()[:_SUFFIX_CHARACTERS]


def _ciphertext(parameter: StoredParameter) -> str:
    # Made from the name, not from the value: even a digest of a short secret can be guessed back.
    digest = hashlib.sha512(f"{parameter.arn}:{parameter.version}".encode()).digest()
    return base64.b64encode(_CIPHERTEXT_HEAD + digest).decode()


def _source_result(secret: StoredSecret) -> str:
    answer: dict[str, object] = {"CreatedDate": secret.created.timestamp(), "Name": secret.name}
    answer["VersionId"] = secret.version_id
    if secret.binary is None:
        answer["SecretString"] = secret.string
    else:
        answer["SecretBinary"] = base64.b64encode(secret.binary).decode()
    answer["VersionStages"] = secret.version_stages
    answer["ARN"] = secret.arn
    return _json(answer)


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
