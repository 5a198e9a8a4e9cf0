"""What AWS allows as a name, and what is wrong with a text that is none. Loaded for ARNs, selectors and mistakes."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = r"[A-Za-z0-9/_+=.@!-]+"
_PATH = r"(?!/+$)(?:/[A-Za-z0-9._/-]+|[A-Za-z0-9._-]+)"
_SELECTOR = r"(?::(?:[1-9][0-9]*|[A-Za-z_.-][A-Za-z0-9_.-]*))?"
_REFERENCE = rf"/aws/reference/secretsmanager/{_NAME}(?::{_NAME})?"
_PLACE = r"[a-z0-9-]+:[0-9]{12}"
_PUBLIC_PLACE = r"[a-z0-9-]+::parameter/aws/service/"
_SECRET_ARN = rf"arn:[a-z0-9-]+:secretsmanager:{_PLACE}:secret:{_NAME}"
_PARAMETER_ARN = (
    rf"arn:[a-z0-9-]+:ssm:(?:{_PLACE}:parameter{_REFERENCE}|"
    rf"(?:{_PLACE}:parameter/|{_PUBLIC_PLACE})[A-Za-z0-9._/-]+{_SELECTOR})"
)
_ROLE = r"arn:[A-Za-z0-9_-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+"
"""The agent's own pattern, in ASCII."""

_ANY_SECRET = rf"{_NAME}|{_SECRET_ARN}"
_ANY_PARAMETER = rf"{_PATH}{_SELECTOR}|{_REFERENCE}|{_PARAMETER_ARN}"

_VARIABLE = r"\{[A-Za-z_][A-Za-z0-9_]*\}"
_PLACEHOLDER = r"\{(?:context\.tenant_id|[A-Za-z_][A-Za-z0-9_]*)\}"
_TENANT = "{context.tenant_id}"
_TENANT_ID = r"[A-Za-z0-9._=+@-]{1,256}"
"""Of what AWS allows in a tenant's id, all but the slash, the colon and the space: they could address another name."""

_NO_SUFFIX = r"[A-Za-z0-9]{0,6}"
_ARN_SAMPLES = {1: "aws", 3: "us-east-1", 4: "123456789012"}
_ARN_PARTS = 6

_LONGEST_SECRET = 512
_LONGEST_PARAMETER = 1011
_LONGEST_ARN = 2048

_NAME_RULE = "A secret's name has ASCII letters, digits and /_+=.@-! only."
_PATH_RULE = "A parameter's name has ASCII letters, digits and .-_/ only, and perhaps a version or label behind it."
_ARN_RULE = "It reads arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, perhaps with AWS's own suffix."
_PATH_ARN_RULE = "It reads arn:aws:ssm:REGION:ACCOUNT:parameter/NAME."


class NameFault(NamedTuple):
    """What is wrong with a name or a role. Never holds a part of it.

    Attributes:
        why: what is wrong.
        remedy: what to do.
    """

    why: str
    remedy: str


class Named(NamedTuple):
    """What a declaration says of where its value is.

    Attributes:
        name: its name or ARN.
        role: the role to read it with.
        is_secret: whether it is of Secrets Manager.
        has_version: whether the declaration has a version or label beside the name.
    """

    name: str
    role: str | None
    is_secret: bool
    has_version: bool


def find_fault(named: Named) -> NameFault | None:
    """Say what is wrong with a name and a role that have no placeholders."""
    fault = _find_secret_fault(named.name) if named.is_secret else _find_parameter_fault(named)
    fault = fault or _find_length_fault(named)
    if fault:
        return NameFault(f"its name {fault.why}", fault.remedy)
    if named.role is not None and not re.fullmatch(_ROLE, named.role):
        return NameFault("its role_arn is no ARN of a role", "It reads arn:aws:iam::ACCOUNT:role/NAME.")
    return None


def find_template_fault(named: Named) -> NameFault | None:
    """Say what is wrong with a name and a role whatever their placeholders bring."""
    sample = named._replace(
        name=_sample(named.name, "x" if named.is_secret else "/x"),
        role=None if named.role is None else _sample(named.role, _sample("arn:aws:iam::{A}:role/x", "")),
    )
    return find_fault(sample) or _find_constant_suffix_fault(named)


def find_tenant_fault(text: str | None) -> NameFault | None:
    """Say what is wrong with the id of a tenant, for any name."""
    if text is None:
        return NameFault(
            "the invocation has no tenant: this function is not in tenant isolation mode", _NO_TENANT_REMEDY
        )
    if not re.fullmatch(_TENANT_ID, text):
        why = "the id of the invocation's tenant could address another name"
        return NameFault(why, "In a name it has ASCII letters, digits and ._=+@- only, at most 256 of them.")
    return None


_NO_TENANT_REMEDY = (
    "Create the function with TenancyConfig PER_TENANT, or take {context.tenant_id} out. Where the context comes from "
    "elsewhere, give it a tenant_id."
)


def find_suffix_fault(tail: str) -> NameFault | None:
    """Say whether what follows the tenant in a secret's ARN leaves its end to the tenant.

    AWS ends an ARN in a hyphen and six characters: `secret:acme-XJcPdt` is the whole ARN of `acme`.

    Args:
        tail: what stands behind the tenant.
    """
    if not re.fullmatch(_NO_SUFFIX, tail):
        return None
    why = "its name is an ARN that the tenant ends: the id could be another secret's name and AWS's own suffix"
    return NameFault(why, "Declare the name instead of the ARN, or put something behind the tenant.")


def _find_constant_suffix_fault(named: Named) -> NameFault | None:
    is_arn = named.is_secret and named.name.startswith("arn:") and _TENANT in named.name
    return find_suffix_fault(named.name.rpartition(_TENANT)[2]) if is_arn else None


def _sample(template: str, start: str) -> str:
    """Fill a template with what could stand there.

    Args:
        template: the name or the role.
        start: for a variable that the template begins with, which can bring anything.
    """
    if re.match(_VARIABLE, template):
        rest = re.sub(_PLACEHOLDER, "x", re.sub(_VARIABLE, "", template, count=1))
        # A variable can bring most of an ARN, so that there may be colons behind it.
        return start + rest.replace(":", "-")
    parts = template.split(":", _ARN_PARTS - 1)
    if parts[0] != "arn":
        return re.sub(_PLACEHOLDER, "x", template)
    if len(parts) < _ARN_PARTS and "{" in parts[-1]:
        return start
    return ":".join(_sample_part(number, part) for number, part in enumerate(parts))


def _sample_part(number: int, part: str) -> str:
    return re.sub(_PLACEHOLDER, "x", part) if number not in _ARN_SAMPLES or "{" not in part else _ARN_SAMPLES[number]


def _find_secret_fault(name: str) -> NameFault | None:
    if re.fullmatch(_ANY_SECRET, name):
        return None
    return (
        _find_shape_fault(name)
        or _find_secret_arn_fault(name)
        or _find_colon_fault(name)
        or _make_rest_fault(name, _NAME_RULE)
    )


def _find_parameter_fault(named: Named) -> NameFault | None:
    if not re.fullmatch(_ANY_PARAMETER, named.name):
        return (
            _find_shape_fault(named.name)
            or _find_parameter_arn_fault(named.name)
            or _find_path_fault(named.name)
            or _make_rest_fault(named.name, _PATH_RULE)
        )
    if named.has_version and _has_selector(named.name):
        return NameFault("has a version or label already, behind its last colon", "Keep one of the two.")
    return None


def _find_length_fault(named: Named) -> NameFault | None:
    longest = _LONGEST_SECRET if named.is_secret else _LONGEST_PARAMETER
    longest = _LONGEST_ARN if named.name.startswith("arn:") else longest
    return (
        NameFault("is longer than any name", f"AWS allows {longest} characters.") if len(named.name) > longest else None
    )


def _has_selector(name: str) -> bool:
    return ":" in (name.split(":", _ARN_PARTS - 1)[-1] if name.startswith("arn:") else name)


# --- What a text is in the place of a name: said of it, such as "its name has a line break" --------------------------

_SHAPES = (
    (
        r"\{\{resolve:",
        NameFault(
            "is a dynamic reference of CloudFormation, which is filled in by templates and not by code",
            "Give the name or the ARN itself; for one member of a secret write key=.",
        ),
    ),
    (r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", NameFault("has a line break", "Take it out.")),
    (r"[\x00-\x1f\x7f]", NameFault("has a control character", "Take it out.")),
    (
        r"\{context\.",
        NameFault("has a placeholder that does not exist", "Of the context only {context.tenant_id} can be filled in."),
    ),
    (
        r"[{}]",
        NameFault(
            "has a brace that is no placeholder",
            "Write {VARIABLE} for an environment variable; names themselves have no braces.",
        ),
    ),
    ("[\"'`\u2018\u2019\u201c\u201d]", NameFault("has quotation marks", "Take them out.")),
    (r"\s", NameFault("has a space", "Take it out.")),
    (r"\$", NameFault("has a dollar sign", "Write {STAGE} for an environment variable, without it.")),
)


def _find_shape_fault(name: str) -> NameFault | None:
    return next((fault for pattern, fault in _SHAPES if re.search(pattern, name)), None)


def _find_secret_arn_fault(name: str) -> NameFault | None:
    if not name.startswith("arn:"):
        return None
    if _service(name) == "ssm":
        return NameFault("is an ARN of Systems Manager", "Use Parameter for a parameter.")
    if _service(name) != "secretsmanager":
        return NameFault("is the ARN of another service, not of a secret", _ARN_RULE)
    if re.match(rf"{_SECRET_ARN}:", name):
        return NameFault("has more than the ARN of a secret, as ECS writes it", _MEMBER_REMEDY)
    return NameFault("is no whole ARN of a secret", _ARN_RULE)


def _find_parameter_arn_fault(name: str) -> NameFault | None:
    if not name.startswith("arn:"):
        return None
    if _service(name) == "secretsmanager":
        return NameFault("is the ARN of a secret", "Use Secret.")
    if _service(name) != "ssm":
        return NameFault("is the ARN of another service, not of a parameter", _PATH_ARN_RULE)
    return NameFault("is no whole ARN of a parameter", _PATH_ARN_RULE)


_MEMBER_REMEDY = "For one member of a secret write key=, for a version version_stage= or version_id=."


def _service(arn: str) -> str:
    return f"{arn}::".split(":")[2]


def _find_colon_fault(name: str) -> NameFault | None:
    return NameFault("has a colon", _MEMBER_REMEDY) if ":" in name else None


def _find_path_fault(name: str) -> NameFault | None:
    path, colon, _ = name.partition(":")
    if "/" in path and not path.startswith("/"):
        return NameFault("is a path without its first slash", "Begin it with a slash.")
    if colon and re.fullmatch(_PATH, path):
        return NameFault("has no version or label behind its colon", "Write the number of a version, or a label.")
    return None


def _make_rest_fault(name: str, rule: str) -> NameFault:
    if not name.isascii():
        return NameFault("has a character that is not ASCII", rule)
    return NameFault("has a character that no name has", rule)
