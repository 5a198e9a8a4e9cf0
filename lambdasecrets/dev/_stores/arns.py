"""Names and ARNs: whose entry a text means, in which account and Region."""

from __future__ import annotations

import re
from typing import NamedTuple

OWN_REGION, OWN_ACCOUNT = "us-east-1", "123456789012"
"""Where a stand-in is, and a handler that is run on this machine, unless something says another place."""

REFERENCE = "/aws/reference/secretsmanager/"
"""With this a parameter's name begins that means a secret."""

_SECRET_ARN = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):secret:(?P<name>[A-Za-z0-9/_+=.@!-]+)"
)
_PARAMETER_ARN = re.compile(
    r"arn:aws[a-z-]*:ssm:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})?:parameter(?P<name>/[A-Za-z0-9._/-]+)"
)
_ROLE_ARN = re.compile(r"arn:[\w-]+:iam::(?P<account>[0-9]{12}):role/[\w+=,.@/-]+", re.ASCII)
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9._/-]+")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
_COLONS_OF_ARN = 5
_PUBLIC = "aws/service/"  # parameters that AWS itself publishes: their ARNs have no account

_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)


class Home(NamedTuple):
    """Where an entry is.

    Attributes:
        region: such as `us-east-1`.
        account: twelve digits; empty for what AWS itself publishes.
    """

    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something here."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def partition(self) -> str:
        """The part of AWS that the Region belongs to, such as `aws` or `aws-cn`."""
        return next((partition for prefix, partition in _PARTITIONS if self.region.startswith(prefix)), "aws")


class Identity(NamedTuple):
    """Which secret, or which parameter, is meant: no two entries have the same.

    Attributes:
        name: the name; a parameter's is without a slash in front, as its ARN has it.
    """

    home: Home
    name: str


def is_arn(text: str) -> bool:
    """Tell whether a text is meant as an ARN. A name has no colon, so that no name is."""
    return text.startswith("arn:")


def has_suffix(name: str) -> bool:
    """Tell whether the end of a name looks like the hyphen and six characters that Secrets Manager adds to an ARN."""
    return _SUFFIX.search(name) is not None


def without_suffix(name: str) -> str:
    """Return a name without what looks like the suffix of an ARN."""
    return _SUFFIX.sub("", name)


def secret_identity(name_or_arn: str, home: Home) -> Identity | None:
    """Return the secret that a name or an ARN without its suffix means; None where it can be neither.

    Args:
        name_or_arn: a name, or an ARN whose end counts as part of the name.
        home: where a bare name is looked for.
    """
    if not is_arn(name_or_arn):
        return Identity(home, name_or_arn)
    found = _SECRET_ARN.fullmatch(name_or_arn)
    return None if found is None else Identity(Home(found["region"], found["account"]), found["name"])


def parameter_identity(name_or_arn: str, home: Home) -> Identity | None:
    """Return the parameter that a name or an ARN means, without a selector; None where it can be neither.

    Args:
        name_or_arn: a name or an ARN.
        home: where a bare name is looked for.
    """
    if is_arn(name_or_arn):
        found = _PARAMETER_ARN.fullmatch(name_or_arn)
        if found is None:
            return None
        name, home = found["name"], Home(found["region"], found["account"] or "")
    elif is_path_without_slash(name_or_arn):
        return None
    else:
        name = name_or_arn
    bare = name.removeprefix("/")
    return Identity(Home(home.region, "") if bare.startswith(_PUBLIC) else home, bare)


def is_path_without_slash(name: str) -> bool:
    """Tell whether a parameter's name is a path without its first slash, which Parameter Store does not have."""
    return "/" in name and not name.startswith("/") and not is_arn(name)


def role_account(role_arn: str) -> str | None:
    """Return the account of a role, or None where the text is no role's ARN."""
    found = _ROLE_ARN.fullmatch(role_arn)
    return None if found is None else found["account"]


def split_selector(name_or_arn: str) -> tuple[str, str | None]:
    """Split a parameter's name or ARN into itself and the version or label that it selects.

    More than one selector stays with the name, which is then no name.
    """
    parts = name_or_arn.split(":")
    own = _COLONS_OF_ARN if is_arn(name_or_arn) else 0
    return (name_or_arn, None) if len(parts) != own + 2 else (":".join(parts[:-1]), parts[-1])


def secret_to_put(name_or_arn: str, home: Home) -> Identity:
    """Return the secret that is put by a name or an ARN.

    Raises:
        ValueError: it is neither; the text says why.
    """
    if not is_arn(name_or_arn):
        if not _SECRET_NAME.fullmatch(name_or_arn):
            raise ValueError(_letters("secret", "/_+=.@-!", name_or_arn))
        return Identity(home, name_or_arn)
    found = secret_identity(name_or_arn, home)
    if found is None:
        raise ValueError("not the ARN of a secret; write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX.")
    return found._replace(name=without_suffix(found.name))


def parameter_to_put(name_or_arn: str, home: Home) -> Identity:
    """Return the parameter that is put by a name or an ARN.

    Raises:
        ValueError: it is neither; the text says why.
    """
    if not is_arn(name_or_arn) and not _PARAMETER_NAME.fullmatch(name_or_arn):
        raise ValueError(_letters("parameter", "._/-", name_or_arn))
    if is_path_without_slash(name_or_arn):
        raise ValueError(f"a path begins with a slash; write {'/' + name_or_arn!r}.")
    found = parameter_identity(name_or_arn, home)
    if found is None:
        raise ValueError("not the ARN of a parameter; write arn:aws:ssm:REGION:ACCOUNT:parameter/NAME.")
    if found.name.startswith(REFERENCE[1:]):
        raise ValueError("a reference is not put; put the secret that it means.")
    return found


def _letters(kind: str, signs: str, name: str) -> str:
    problem = f"a {kind}'s name has letters, digits and {signs} only"
    return f"{problem}; write it as it is at run time, with each {{VAR}} filled in." if "{" in name else f"{problem}."
