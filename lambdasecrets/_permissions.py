"""What IAM must allow, so that a declaration can be read. Loaded for errors and policies only.

The table of it is in docs/declarations.md.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lambdasecrets.errors import Permission, SettingError

ANY = "*"

_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
REGION = r"[a-z]+(?:-[a-z]+)+-[0-9]+"
_SERVERS = ("extension", "agent")
_ARN_PARTS = 6
_SUFFIX = "-??????"
"""For what AWS adds to a secret's name in its ARN. Six question marks: `-*` would match other secrets."""

_REFERENCES = "/aws/reference/secretsmanager/"
_PUBLIC = "/aws/service/"


class Home(NamedTuple):
    """Where a name is.

    Attributes:
        partition: such as `aws-cn`; None for that of the Region.
        region: None for any.
        account: None for any.
    """

    partition: str | None
    region: str | None
    account: str | None


class Access(NamedTuple):
    """Who reads, and how.

    Attributes:
        server: `extension` or `agent`.
        is_prefetched: whether the agent fetches it before it is asked.
        home: where names are.
        kms_key: the customer-managed key.
        role: the ARN of the role to read with.
    """

    server: str
    is_prefetched: bool
    home: Home
    kms_key: str | None
    role: str | None


def list_for_secret(declared: str, name: str, access: Access) -> tuple[Permission, ...]:
    """List what reading a secret needs.

    Args:
        declared: its name, with placeholders.
        name: the same, filled in.
        access: who reads it.
    """
    _check(access)
    home = _find_home(name, access)
    resource = _secret_resource(declared, name, home)
    reads = [Permission("secretsmanager:GetSecretValue", resource, role=access.role)]
    if access.server == "agent":
        reads.append(Permission("secretsmanager:DescribeSecret", resource, role=access.role))
    if access.server == "agent" and access.is_prefetched:
        reads.append(Permission("secretsmanager:BatchGetSecretValue", ANY, role=access.role))
    assumed = [Permission("sts:AssumeRole", access.role)] if access.role else []
    return (*assumed, *reads, *_list_for_key(resource, "secretsmanager", "SecretARN", home, access))


def list_for_parameter(declared: str, name: str, access: Access) -> tuple[Permission, ...]:
    """List what reading a parameter needs.

    Args:
        declared: its name, with placeholders.
        name: the same, filled in.
        access: who reads it.
    """
    _check(access)
    home = _find_home(name, access)
    resource = _parameter_resource(declared, name, home)
    read = Permission("ssm:GetParameter", resource)
    path = _without_selector(_parts(name)[-1].removeprefix("parameter") if _is_arn(name) else name)
    if not path.startswith(_REFERENCES):
        return (read, *_list_for_key(resource, "ssm", "PARAMETER_ARN", home, access))
    secret = _arn(home, "secretsmanager", f"secret:{path.removeprefix(_REFERENCES)}{_SUFFIX}")
    key = _list_for_key(secret, "secretsmanager", "SecretARN", home, access)
    return (read, Permission("secretsmanager:GetSecretValue", secret), *key)


def _check(access: Access) -> None:
    if access.server not in _SERVERS:
        raise SettingError("server", " or ".join(map(repr, _SERVERS)))
    if access.kms_key is not None and re.search(r"(^|:)alias/", access.kms_key):
        raise SettingError("kms_key", "the id or ARN of a key, not an alias: IAM does not look behind aliases")


def _find_home(name: str, access: Access) -> Home:
    """Say where a value is: an ARN knows best, then the role, whose account a bare name is looked up in."""
    partition, region, account = access.home
    if _is_arn(name):
        _, partition, _, region, account, _ = _parts(name)
        return Home(partition, region or None, account)
    role = _parts(access.role) if access.role and _is_arn(access.role) else None
    account = role[4] if role else account
    return Home(partition or _partition(region) or (role[1] if role else None), region, account)


def _partition(region: str | None) -> str | None:
    if region is None or not re.fullmatch(REGION, region):
        return None
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")


def _secret_resource(declared: str, name: str, home: Home) -> str:
    if _is_unknown(declared, name):
        return name
    if not _is_arn(name):
        return _arn(home, "secretsmanager", f"secret:{name}{_SUFFIX}")
    return name if re.search(r"-[A-Za-z0-9]{6}$", name) else f"{name}{_SUFFIX}"


def _parameter_resource(declared: str, name: str, home: Home) -> str:
    if _is_unknown(declared, name):
        return name
    if _is_arn(name):
        return _without_selector(name)
    path = _without_selector(name)
    if path.startswith(_PUBLIC):
        home = home._replace(account="")
    return _arn(home, "ssm", f"parameter/{path.removeprefix('/')}")


def _is_unknown(declared: str, name: str) -> bool:
    """Tell whether a name is all placeholder, and what it stands for can be an ARN as well as a name."""
    is_placeholder = re.fullmatch(r"\{[A-Za-z_][A-Za-z0-9_]*\}", declared) is not None
    return is_placeholder and (name == ANY or ("ARN" in declared.upper() and not _is_arn(name)))


def _is_arn(name: str) -> bool:
    return name.startswith("arn:") and len(_parts(name)) == _ARN_PARTS


def _parts(arn: str) -> list[str]:
    # Not at the colons of `${AWS::Region}`, which a template's own parameters have.
    return re.split(r":(?![^{]*\})", arn, maxsplit=_ARN_PARTS - 1)


def _without_selector(name: str) -> str:
    return re.sub(r":[A-Za-z0-9_+=.@!*-]+$", "", name)


def _arn(home: Home, service: str, resource: str) -> str:
    account = ANY if home.account is None else home.account
    return f"arn:{home.partition or ANY}:{service}:{home.region or ANY}:{account}:{resource}"


def _list_for_key(resource: str, service: str, context: str, home: Home, access: Access) -> tuple[Permission, ...]:
    if access.kms_key is None:
        return ()
    key = access.kms_key if access.kms_key.startswith("arn:") else _arn(home, "kms", f"key/{access.kms_key}")
    domain = "amazonaws.com.cn" if home.partition == "aws-cn" else "amazonaws.com"
    pairs = {
        "kms:ViaService": f"{service}.{home.region or ANY}.{domain}",
        f"kms:EncryptionContext:{context}": resource,
    }
    condition: dict[str, dict[str, str]] = {}
    for name, text in pairs.items():
        operator = "StringLike" if "*" in text or "?" in text else "StringEquals"
        condition.setdefault(operator, {})[name] = text
    return (Permission("kms:Decrypt", key, condition, access.role),)
