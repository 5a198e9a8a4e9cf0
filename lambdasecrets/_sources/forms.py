"""What each kind of declaration looks like on the wire: its path, its answer, whose value that is, AWS's own call.

Who adds a kind adds its class to `_declarations` and its form here; nothing else of the way of a value asks which kind
it is.
"""

from __future__ import annotations

import binascii
import enum
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, cast

from lambdasecrets import _settings, _wire
from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets._json import parse_object
from lambdasecrets._record import Record

_REFERENCE = "/aws/reference/secretsmanager/"
_CURRENT = "AWSCURRENT"
_PENDING = "AWSPENDING"
_ARN_PARTS = 6
_SUFFIX = r"-[A-Za-z0-9]{6}\Z"
"""What Secrets Manager ends the ARN of a secret with."""
_NO_SUFFIX = r"(?!)"
"""Parameters have none."""
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_BYTE = 256


class Identity(Record):
    """What an answer says of itself. None: it does not say.

    Attributes:
        name: `Name`.
        arn: `ARN`.
        version: `VersionId`, or `Version` as text.
        stages: `VersionStages` of a secret.
        selector: `Selector` of a parameter, without its colon; empty where the answer has none.
    """

    __slots__ = ("arn", "name", "selector", "stages", "version")

    def __init__(
        self,
        name: str | None = None,
        arn: str | None = None,
        version: str | None = None,
        stages: tuple[str, ...] = (),
        selector: str = "",
    ) -> None:
        self.name: str | None = name
        self.arn: str | None = arn
        self.version: str | None = version
        self.stages: tuple[str, ...] = stages
        self.selector: str = selector


class RawValue(Record):
    """A value as AWS holds it. Kept between invocations in the place of a parsed object that a handler could change.

    Attributes:
        text: the text; None where it is binary, or has no value.
        binary: the bytes of a SecretBinary.
        version: the secret's VersionId, or the parameter's Version.
        is_list: whether it is a StringList.
        from_agent: whether the Secrets Manager Agent gave it.
        identity: what the answer says of itself; None: nothing.
    """

    __slots__ = ("binary", "from_agent", "identity", "is_list", "text", "version")

    def __init__(
        self,
        text: str | None,
        binary: bytes | None,
        version: str,
        *,
        is_list: bool = False,
        from_agent: bool = False,
        identity: Identity | None = None,
    ) -> None:
        self.text: str | None = text
        self.binary: bytes | None = binary
        self.version: str = version
        self.is_list: bool = is_list
        self.from_agent: bool = from_agent
        self.identity: Identity | None = identity

    def __repr__(self) -> str:
        """Show which version it is, not what it holds."""
        return f"RawValue(version={self.version!r})"


class Match(enum.Enum):
    """How an answer compares with its request."""

    SAME = enum.auto()
    """All that the request names is what the answer says."""

    SPELLING = enum.auto()
    """It is the same, written in another way: another case, a suffix, a name in the place of an ARN."""

    OTHER = enum.auto()
    """It is another one's value, or another version."""


class Form(ABC):
    """How one declaration is asked for and answered.

    Attributes:
        service: AWS's name of the service that has it.
        aws_service: boto3's name of it.
        ttl_variable: the extension's setting of how long it keeps values of this kind.
        is_known_to_agent: whether the agent serves this kind.
        name: what is asked for, its placeholders filled in.
        role_arn: the role to read it with; None for the function's own.
        is_undecrypted: whether the ciphertext is asked for.
        plain: what nearly every answer is given as its identity, and not one of its own: that it is the right one at
            once, because nothing but the name, and for a secret a stage, is asked for. None: more is asked for.
    """

    service: ClassVar[str]
    aws_service: ClassVar[str]
    ttl_variable: ClassVar[str]
    is_known_to_agent: ClassVar[bool]

    name: str
    role_arn: str | None = None
    is_undecrypted = False
    plain: Identity | None = None

    @abstractmethod
    def make_path(self) -> str:
        """Make the path and query that ask the server on this machine."""

    @abstractmethod
    def read_body(self, content: dict[str, Any]) -> RawValue | None:
        """Read the answer of either server. None: it is not one."""

    @abstractmethod
    def ask_aws(self, client: Any) -> RawValue | None:
        """Ask AWS itself by a client of boto3. None: the answer has no value that can be read."""

    @abstractmethod
    def list_identity(self) -> tuple[object, ...]:
        """List what two calls to AWS have in common that ask for the same."""

    @abstractmethod
    def describe_version(self) -> str | None:
        """Name the version, stage or label that is declared, for an error. None: there is none."""

    def make_pending(self) -> Secret | None:
        """Declare the version on trial of what is declared without version or stage. None: there can be none."""
        return None

    @abstractmethod
    def compare(self, seen: Identity) -> Match:
        """Compare what is asked for with what an answer says of itself.

        On a connection that is used again an answer can come to the wrong request: a server sends one twice, a proxy
        swaps two. Nothing but the answer itself says so.
        """


class SecretForm(Form):
    """A secret of Secrets Manager.

    Args:
        secret: its declaration, the placeholders filled in.
    """

    service = "Secrets Manager"
    aws_service = "secretsmanager"
    ttl_variable = _settings.SECRETS_TTL
    is_known_to_agent = True

    def __init__(self, secret: Secret) -> None:
        self.name, self.role_arn = secret.name, secret.role_arn
        self._version_id, self._declared_stage = secret.version_id, secret.version_stage
        # A version is what it is under any stage.
        self._stage = self._declared_stage or (None if self._version_id else _CURRENT)
        if self._version_id is None and self.role_arn is None:
            self.plain = Identity(self.name)

    def make_path(self) -> str:
        return _wire.secret_path(
            self.name, version_id=self._version_id, version_stage=self._declared_stage, role_arn=self.role_arn
        )

    def read_body(self, content: dict[str, Any]) -> RawValue | None:
        version, text, binary = content.get("VersionId"), content.get("SecretString"), content.get("SecretBinary")
        from_agent = "ResultMetadata" not in content
        if not isinstance(version, str):
            return None
        identity = self.read_identity(content, version)
        if isinstance(text, str) and binary is None:
            return RawValue(text, None, version, from_agent=from_agent, identity=identity)
        decoded = _decode(binary) if text is None else None
        return None if decoded is None else RawValue(None, decoded, version, from_agent=from_agent, identity=identity)

    def read_identity(self, content: dict[str, Any], version: str) -> Identity:
        """Read what an answer says of itself: `plain`, where that is what it says."""
        name, stages = content.get("Name"), content.get("VersionStages")
        if not isinstance(stages, list):
            stages = ()
        if self.plain is not None and name == self.name and self._stage in stages:
            return self.plain
        name, arn = _read_text(content, "Name"), _read_text(content, "ARN")
        return Identity(name, arn, version, tuple(stages))  # pyright: ignore[reportUnknownArgumentType]

    def ask_aws(self, client: Any) -> RawValue | None:
        wanted = {"SecretId": self.name, "VersionId": self._version_id, "VersionStage": self._declared_stage}
        content = client.get_secret_value(**{name: value for name, value in wanted.items() if value is not None})
        binary = content.get("SecretBinary")
        encoded = None if binary is None else binascii.b2a_base64(binary, newline=False).decode()
        # In the form of the extension's answer.
        return self.read_body({**content, "SecretBinary": encoded, "ResultMetadata": {}})

    def list_identity(self) -> tuple[object, ...]:
        return self.aws_service, self.name, self._version_id, self._stage, self.role_arn

    def describe_version(self) -> str | None:
        version, stage = self._version_id, self._declared_stage
        named = [f"version {version!r}"] if version is not None else []
        named += [f"stage {stage!r}"] if stage is not None else []
        return " with ".join(named) or None

    def make_pending(self) -> Secret | None:
        if self._version_id or self._declared_stage:
            return None
        return Secret(self.name, version_stage=_PENDING, role_arn=self.role_arn, literal=True)

    def compare(self, seen: Identity) -> Match:
        if self._version_id is not None and seen.version not in {None, self._version_id}:
            return Match.OTHER
        # A label is no identity but a state: labels move while caches keep answers.
        has_stage = self._stage is None or not seen.stages or self._stage in seen.stages
        name = _worst(self._compare_account(seen), _compare_name(self.name, seen, _SUFFIX))
        return name if has_stage else _worst(name, Match.SPELLING)

    def _compare_account(self, seen: Identity) -> Match:
        """Compare the account with the role's. What is asked by ARN names its account itself."""
        if self.role_arn is None or seen.arn is None or self.name.startswith("arn:"):
            return Match.SAME
        return Match.SAME if _read_account(seen.arn) == _read_account(self.role_arn) else Match.OTHER


class ParameterForm(Form):
    """A parameter of Parameter Store.

    Args:
        parameter: its declaration, the placeholders filled in.
    """

    service = "Parameter Store"
    aws_service = "ssm"
    ttl_variable = _settings.PARAMETERS_TTL
    is_known_to_agent = False

    def __init__(self, parameter: Parameter) -> None:
        self.name, self.is_undecrypted = parameter.name, not parameter.decrypt
        self._version, self._label = parameter.version, parameter.label
        if self._version is None and self._label is None and ":" not in self.name:
            self.plain = Identity(self.name)

    def make_path(self) -> str:
        decrypt = not self.is_undecrypted
        return _wire.parameter_path(self.name, version=self._version, label=self._label, decrypt=decrypt)

    def read_body(self, content: dict[str, Any]) -> RawValue | None:
        if not isinstance(content.get("Parameter"), dict):
            return None
        parameter = cast("dict[str, Any]", content["Parameter"])
        version, text = parameter.get("Version"), parameter.get("Value")
        if not isinstance(version, int) or not isinstance(text, (str, type(None))) or "Value" not in parameter:
            return None
        identity = self.read_identity(parameter, str(version))
        source = parameter.get("SourceResult")
        if isinstance(source, str):
            return _read_reference(parse_object(source), text, str(version), identity)
        return RawValue(text, None, str(version), is_list=parameter.get("Type") == "StringList", identity=identity)

    def read_identity(self, parameter: dict[str, Any], version: str) -> Identity:
        """Read what an answer says of itself: `plain`, where that is what it says."""
        selector = (_read_text(parameter, "Selector") or "").removeprefix(":")
        name = _read_text(parameter, "Name")
        if self.plain is not None and name == self.name and not selector:
            return self.plain
        return Identity(name, _read_text(parameter, "ARN"), version, selector=selector)

    def ask_aws(self, client: Any) -> RawValue | None:
        selector = self._label or self._version
        name = f"{self.name}:{selector}" if selector else self.name
        content = client.get_parameter(Name=name, WithDecryption=not self.is_undecrypted).get("Parameter")
        # In the form of the extension's answer, which has no value rather than leave it out.
        found = {"Value": None, **content} if content else None
        return self.read_body({"Parameter": found, "ResultMetadata": {}})

    def list_identity(self) -> tuple[object, ...]:
        return self.aws_service, self.name, self._version, self._label, self.is_undecrypted

    def describe_version(self) -> str | None:
        if self._version is not None:
            return f"version {self._version}"
        if self._label is not None:
            return f"label {self._label!r}"
        selector = split_selector(self.name)[1]
        return f"version or label {selector!r}" if selector else None

    def compare(self, seen: Identity) -> Match:
        name, selector = split_selector(self.name)
        if self._version is not None:
            selector = str(self._version)
        selector = self._label or selector
        if name.startswith(_REFERENCE):
            return _worst(_compare_name(name, seen), _compare_selector(selector, seen))
        if selector.isdecimal():
            # The version says it; how the selector repeats it does not matter.
            is_same = seen.version in {None, selector.lstrip("0")}
            return _compare_name(name, seen) if is_same else Match.OTHER
        return _worst(_compare_name(name, seen), _compare_selector(selector, seen))


def make_form(declaration: Secret | Parameter) -> Form:
    """Give the form of a declaration whose placeholders are filled in."""
    return SecretForm(declaration) if isinstance(declaration, Secret) else ParameterForm(declaration)


# --- Bodies ---------------------------------------------------------------------------------------------------------


def _read_text(content: dict[str, Any], member: str) -> str | None:
    text = content.get(member)
    return text if isinstance(text, str) else None


def _decode(binary: Any) -> bytes | None:
    # binascii alone would pass over what is no base64.
    return binascii.a2b_base64(binary) if isinstance(binary, str) and re.fullmatch(_BASE64, binary) else None


def _read_reference(secret: dict[str, Any], text: str | None, parameter: str, identity: Identity) -> RawValue:
    """Read a secret that came through Parameter Store. Its own version, and its bytes, are in the SourceResult.

    Args:
        secret: the SourceResult.
        text: the parameter's value; None for a binary secret.
        parameter: the parameter's own version, which is 0 whatever becomes of the secret.
        identity: what the answer says of itself.
    """
    version = secret.get("versionId")
    binary = _read_buffer(secret.get("secretBinary")) if text is None else None
    return RawValue(text, binary, version if isinstance(version, str) else parameter, identity=identity)


def _read_buffer(buffer: object) -> bytes | None:
    """Read bytes as Java writes a buffer of them: signed, in an array that may be longer than they are."""
    if not isinstance(buffer, dict):
        return None
    members = cast("dict[str, Any]", buffer)
    array, offset, limit = members.get("hb"), members.get("offset", 0), members.get("limit")
    if not isinstance(array, list) or not _is_count(offset) or not _is_count(limit):
        return None
    signed = cast("list[object]", array)[offset : offset + limit]
    read = [item % _BYTE for item in signed if type(item) is int and -_BYTE // 2 <= item < _BYTE]
    return bytes(read) if len(read) == limit else None


def _is_count(number: object) -> bool:
    return type(number) is int and number >= 0


# --- Whose value it is ----------------------------------------------------------------------------------------------


def _worst(one: Match, other: Match) -> Match:
    return other if one is Match.SAME or other is Match.OTHER else one


def _compare_selector(asked: str, seen: Identity) -> Match:
    if asked == seen.selector:
        return Match.SAME
    is_like = not asked or not seen.selector or asked.casefold() == seen.selector.casefold()
    return Match.SPELLING if is_like else Match.OTHER


def _compare_name(asked: str, seen: Identity, suffix: str = _NO_SUFFIX) -> Match:
    if asked in (seen.name, seen.arn):
        return Match.SAME
    if asked.startswith("arn:"):
        return _compare_arn(asked, seen.arn, suffix)
    if seen.name is None:
        return Match.SAME if seen.arn is None or _is_like(asked, seen.arn, suffix) else Match.OTHER
    return Match.SPELLING if _is_like(asked, seen.name, suffix) else Match.OTHER


def _compare_arn(asked: str, seen: str | None, suffix: str) -> Match:
    if seen is None or (seen.startswith(asked) and re.fullmatch(suffix, seen[len(asked) :])):
        return Match.SAME
    is_elsewhere = _read_place(asked) != _read_place(seen)
    return Match.SPELLING if not is_elsewhere and _is_like(asked, seen, suffix) else Match.OTHER


def _is_like(asked: str, seen: str, suffix: str) -> bool:
    """Tell whether two names differ in their writing only. A suffix may be missing on one side, not on both."""
    one, other = _read_resource(asked), _read_resource(seen)
    return one == other or re.sub(suffix, "", one) == other or one == re.sub(suffix, "", other)


def _read_resource(name: str) -> str:
    resource = name.split(":", _ARN_PARTS)[-1] if name.startswith("arn:") and name.count(":") >= _ARN_PARTS else name
    if name.startswith("arn:") and ":parameter/" in name:
        resource = name.partition(":parameter/")[2]
    return split_selector(resource.removeprefix(_REFERENCE))[0].lstrip("/").casefold()


def split_selector(name: str) -> tuple[str, str]:
    """Part a parameter's name from the selector at its end, which is empty where there is none."""
    base, colon, selector = name.rpartition(":")
    if not colon or (name.startswith("arn:") and base.count(":") < _ARN_PARTS - 1):
        return name, ""
    return base, selector


def _read_place(arn: str) -> list[str]:
    """Give the Region and the account of an ARN."""
    return arn.split(":")[3:5]


def _read_account(arn: str) -> str:
    return "".join(arn.split(":")[4:5])
