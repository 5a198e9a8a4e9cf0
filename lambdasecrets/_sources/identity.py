"""Whose value an answer brings: its name, ARN, version and selector against what the request names.

On a connection that is used again an answer can come to the wrong request: a server sends one twice, a proxy swaps
two. Nothing but the answer itself says so.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets._declarations import Secret

if TYPE_CHECKING:
    from lambdasecrets._declarations import Parameter

_REFERENCE = "/aws/reference/secretsmanager/"
_CURRENT = "AWSCURRENT"
_ARN_PARTS = 6
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
"""What Secrets Manager ends the ARN of a secret with."""
_NO_SUFFIX = re.compile(r"(?!)")
"""Parameters have none."""


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


def _worst(*matches: Match) -> Match:
    return max(matches, key=lambda match: match.value)


def _compare_account(secret: Secret, seen: Identity) -> Match:
    """Compare the account with the role's. What is asked by ARN names its account itself."""
    if secret.role_arn is None or seen.arn is None or secret.name.startswith("arn:"):
        return Match.SAME
    return Match.SAME if _read_account(seen.arn) == _read_account(secret.role_arn) else Match.OTHER


def _compare_secret(secret: Secret, seen: Identity) -> Match:
    if secret.version_id is not None and seen.version not in {None, secret.version_id}:
        return Match.OTHER
    # A label is no identity but a state: labels move while caches keep answers.
    stage = secret.version_stage or (None if secret.version_id else _CURRENT)
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


def _compare_name(asked: str, seen: Identity, suffix: re.Pattern[str] = _NO_SUFFIX) -> Match:
    if asked in (seen.name, seen.arn):
        return Match.SAME
    if asked.startswith("arn:"):
        return _compare_arn(asked, seen.arn, suffix)
    if seen.name is None:
        return Match.SAME if seen.arn is None or _is_like(asked, seen.arn, suffix) else Match.OTHER
    return Match.SPELLING if _is_like(asked, seen.name, suffix) else Match.OTHER


def _compare_arn(asked: str, seen: str | None, suffix: re.Pattern[str]) -> Match:
    if seen is None or (seen.startswith(asked) and suffix.fullmatch(seen, len(asked))):
        return Match.SAME
    is_elsewhere = _read_place(asked) != _read_place(seen)
    return Match.SPELLING if not is_elsewhere and _is_like(asked, seen, suffix) else Match.OTHER


def _is_like(asked: str, seen: str, suffix: re.Pattern[str]) -> bool:
    """Tell whether two names differ in their writing only. A suffix may be missing on one side, not on both."""
    one, other = _read_resource(asked), _read_resource(seen)
    return one == other or suffix.sub("", one) == other or one == suffix.sub("", other)


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
