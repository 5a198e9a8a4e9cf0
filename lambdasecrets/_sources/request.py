"""One thing to ask for, and what comes back: a raw value or an error. Whose value it is, the answer says itself.

On a connection that is used again an answer can come to the wrong request: a server sends one twice, a proxy swaps
two. Nothing but the answer itself says so.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets.errors import ResolutionError

if TYPE_CHECKING:
    from lambdasecrets.errors import Subject

_REFERENCE = "/aws/reference/secretsmanager/"
_CURRENT = "AWSCURRENT"
_ARN_PARTS = 6
_SUFFIX = r"-[A-Za-z0-9]{6}\Z"
"""What Secrets Manager ends the ARN of a secret with."""
_NO_SUFFIX = r"(?!)"
"""Parameters have none."""


class Request:
    """One thing to ask for, however many declarations want it.

    Args:
        path: the path and query, by which it is known everywhere: name, version, stage and role are all in it.
        declaration: one of those that want it, its placeholders filled in.
        subject: all that want it, for the errors.
        is_optional: whether every one that wants it has a default, so that its absence is no failure to retry.

    Attributes:
        is_secret: whether Secrets Manager has it, and not Parameter Store.
        role_arn: the role to read it with.
        is_undecrypted: whether the ciphertext of a SecureString is asked for.
    """

    def __init__(
        self, path: str, declaration: Secret | Parameter, subject: Subject, *, is_optional: bool = False
    ) -> None:
        self.path: str = path
        self.declaration: Secret | Parameter = declaration
        self.subject: Subject = subject
        self.is_optional: bool = is_optional
        self.is_secret: bool = isinstance(declaration, Secret)
        self.role_arn: str | None = declaration.role_arn if isinstance(declaration, Secret) else None
        self.is_undecrypted: bool = isinstance(declaration, Parameter) and not declaration.decrypt
        # What an answer says that is plainly this one's; a look at each of them takes ten calls.
        self._plain_name, self._plain_stage = _find_plain_identity(declaration)

    def compare(self, seen: Identity) -> Match:
        """Compare what this names with what its answer says of itself."""
        is_plain = seen.name is not None and seen.name == self._plain_name and not seen.selector
        if is_plain and (self._plain_stage is None or self._plain_stage in seen.stages):
            return Match.SAME
        return compare(self.declaration, seen)


def _find_plain_identity(declaration: Secret | Parameter) -> tuple[str | None, str | None]:
    """Give the name and the stage that say all of a declaration; no name where it says more."""
    if isinstance(declaration, Secret):
        is_plain = declaration.version_id is None and declaration.role_arn is None
        return (declaration.name, declaration.version_stage or _CURRENT) if is_plain else (None, None)
    is_plain = declaration.version is None and declaration.label is None and ":" not in declaration.name
    return (declaration.name if is_plain else None), None


class Identity(NamedTuple):
    """What an answer says of itself. None: it does not say.

    Attributes:
        name: `Name`.
        arn: `ARN`.
        version: `VersionId`, or `Version` as text.
        stages: `VersionStages` of a secret.
        selector: `Selector` of a parameter, without its colon; empty where the answer has none.
    """

    name: str | None = None
    arn: str | None = None
    version: str | None = None
    stages: tuple[str, ...] = ()
    selector: str = ""


class RawValue(NamedTuple):
    """A value as AWS holds it. Kept between invocations in the place of a parsed object that a handler could change.

    Attributes:
        text: the text; None where it is binary, or has no value.
        binary: the bytes of a SecretBinary.
        version: the secret's VersionId, or the parameter's Version.
        is_list: whether it is a StringList.
        from_agent: whether the Secrets Manager Agent gave it.
        identity: what the answer says of itself; None: nothing.
    """

    text: str | None
    binary: bytes | None
    version: str
    is_list: bool = False
    from_agent: bool = False
    identity: Identity | None = None

    def __repr__(self) -> str:
        """Show which version it is, not what it holds."""
        return f"RawValue(version={self.version!r})"


Fetched = RawValue | ResolutionError


class Match(enum.Enum):
    """How an answer compares with its request."""

    SAME = enum.auto()
    """All that the request names is what the answer says."""

    SPELLING = enum.auto()
    """It is the same, written in another way: another case, a suffix, a name in the place of an ARN."""

    OTHER = enum.auto()
    """It is another one's value, or another version."""


def compare(declaration: Secret | Parameter, seen: Identity) -> Match:
    """Compare what a request names with what its answer says.

    Args:
        declaration: what was asked for, its placeholders filled in.
        seen: what the answer says of itself.
    """
    if isinstance(declaration, Secret):
        return _worst(_compare_account(declaration, seen), _compare_secret(declaration, seen))
    return _compare_parameter(declaration, seen)


def _worst(one: Match, other: Match) -> Match:
    return other if one is Match.SAME or other is Match.OTHER else one


def _compare_account(secret: Secret, seen: Identity) -> Match:
    """Compare the account with the role's. What is asked by ARN names its account itself."""
    if secret.role_arn is None or seen.arn is None or secret.name.startswith("arn:"):
        return Match.SAME
    return Match.SAME if _read_account(seen.arn) == _read_account(secret.role_arn) else Match.OTHER


def _compare_secret(secret: Secret, seen: Identity) -> Match:
    version_id = secret.version_id
    if version_id is not None and seen.version not in {None, version_id}:
        return Match.OTHER
    # A label is no identity but a state: labels move while caches keep answers.
    stage = secret.version_stage or (None if version_id else _CURRENT)
    has_stage = stage is None or not seen.stages or stage in seen.stages
    name = _compare_name(secret.name, seen, _SUFFIX)
    return name if has_stage else _worst(name, Match.SPELLING)


def _compare_parameter(parameter: Parameter, seen: Identity) -> Match:
    name, selector = split_selector(parameter.name)
    if parameter.version is not None:
        selector = str(parameter.version)
    selector = parameter.label or selector
    if name.startswith(_REFERENCE):
        return _worst(_compare_name(name, seen), _compare_selector(selector, seen))
    if selector.isdecimal():
        # The version says it; how the selector repeats it does not matter.
        is_same = seen.version in {None, selector.lstrip("0")}
        return _compare_name(name, seen) if is_same else Match.OTHER
    return _worst(_compare_name(name, seen), _compare_selector(selector, seen))


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
