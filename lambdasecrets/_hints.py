"""What to write instead of arguments that a declaration does not take. Loaded for such a mistake only."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_NAMES = (
    "arn",
    "id",
    "name",
    "path",
    "parameter",
    "parameter_name",
    "secret",
    "secret_arn",
    "secret_id",
    "secret_name",
)
_KEYS = ("attribute", "field", "json_field", "json_key", "member")
_OPTIONS = {
    "default": "Give the argument a default: `= None`.",
    "max_age": "It is an option of inject_secrets and resolve.",
    "optional": "Give the argument a default: `= None`.",
    "stale_if_error": "It is an option of inject_secrets and resolve.",
    "timeout": "It is an option of inject_secrets and resolve.",
    "transform": "The declared type decides how the value is read.",
    "ttl": "It is an option of inject_secrets and resolve, and is called max_age there.",
    **dict.fromkeys(("account", "region", "region_name"), "Give the ARN in the place of the name."),
    **dict.fromkeys(_KEYS, "Write key=."),
    **dict.fromkeys(_NAMES, "The name or ARN is the first argument."),
}
_OF_KIND = {
    "Secret": {
        **dict.fromkeys(("decrypt", "with_decryption"), "A secret is always decrypted."),
        **dict.fromkeys(("label", "stage"), "Write version_stage=."),
        **dict.fromkeys(("assume_role", "role"), "Write role_arn=."),
        "version": "Write version_id= or version_stage=.",
    },
    "Parameter": {
        **dict.fromkeys(("decryption", "with_decryption"), "Write decrypt=."),
        **dict.fromkeys(("stage", "version_stage"), "Write label=."),
        **dict.fromkeys(("assume_role", "role", "role_arn"), "Parameters are read with the function's own role."),
        "version_id": "Write version=.",
    },
}


def find_mistake(
    kind: str, accepted: Sequence[str], arguments: Sequence[object], keywords: Mapping[str, object]
) -> tuple[str, str, str] | None:
    """Say what is wrong with the arguments of a declaration.

    Args:
        kind: `Secret` or `Parameter`.
        accepted: what it takes, the name first.
        arguments: those given by position.
        keywords: those given by keyword.

    Returns:
        Where, why and the remedy; None where nothing is.
    """
    unknown = [name for name in keywords if name not in accepted]
    if unknown:
        return f"{kind}(..., {unknown[0]}=...)", "there is no such argument", _hint(kind, accepted[1:], unknown[0])
    if len(arguments) > 1:
        where = f"{kind}({', '.join(['...'] * len(arguments))})"
        why = "it takes the name by position and all else by keyword"
        return where, why, f'For one member of a JSON object write {kind}("name", key="member").'
    if not arguments and "name" not in keywords:
        return f"{kind}(...)", "it has no name", f'Write {kind}("name").'
    return None


_OPTION_HINTS = {
    **dict.fromkeys(("cache", "cache_ttl", "expire", "expires", "max_cache_age", "ttl"), "Write max_age=, in seconds."),
    **dict.fromkeys(("deadline", "timeout_seconds"), "Write timeout=, in seconds."),
    **dict.fromkeys(("force_fetch", "force_refresh", "refresh"), "Write refresh=True, in resolve and aresolve."),
    **dict.fromkeys(("callback", "on_event", "on_resolved"), "Write on_resolve=."),
    **dict.fromkeys(
        ("retry", "retries", "on_error"), "Write retry_on=, the exceptions that a rotated secret explains."
    ),
    **dict.fromkeys(("region", "region_name"), "Declare the ARN: it has its Region."),
}


def describe_unknown_option(function: Callable[..., object], unknown: Iterable[str]) -> tuple[str, str, str]:
    """Say what to write in the place of an option that there is not.

    Args:
        function: what was called.
        unknown: the names of the options.

    Returns:
        Where, why and the remedy.
    """
    first = next(iter(unknown))
    accepted = list(function.__kwdefaults__ or {})
    close = get_close_matches(first.lower(), accepted, n=1)
    nearest = f"Write {close[0]}=." if close else f"It takes {', '.join(f'{item}=' for item in accepted)}."
    where = f"{function.__name__}({first}=...)"
    return where, "there is no such option", _OPTION_HINTS.get(first.lower()) or nearest


def _hint(kind: str, accepted: Collection[str], unknown: str) -> str:
    # boto3's own spelling is a name of several words, too: SecretId.
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unknown).lower()
    hint = _OF_KIND.get(kind, {}).get(name) or _OPTIONS.get(name)
    close = get_close_matches(name, accepted, n=1)
    return hint or (f"Write {close[0]}=." if close else f"It takes {', '.join(f'{item}=' for item in accepted)}.")
