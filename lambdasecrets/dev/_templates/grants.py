"""What the policies of a template allow, as far as that can be known before it is deployed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lambdasecrets.dev._templates.document import CLOSE, OPEN, Template, Texts, as_list, as_table, is_table, mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambdasecrets.errors import Permission

_ARN_PARTS = 6
_P, _R, _A = mark("AWS::Partition"), mark("AWS::Region"), mark("AWS::AccountId")
_SUFFIX = "-??????"

_MANAGED: Mapping[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "PowerUserAccess": ("secretsmanager:*", "ssm:*", "kms:*"),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
    "AmazonSSMFullAccess": ("ssm:*",),
    "AmazonSSMReadOnlyAccess": ("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AWSLambdaBasicExecutionRole": (),
    "AWSLambdaVPCAccessExecutionRole": (),
    "AWSLambdaExecute": (),
    "AWSXRayDaemonWriteAccess": (),
    "AWSXrayWriteOnlyAccess": (),
    "CloudWatchLambdaInsightsExecutionRolePolicy": (),
}
"""What AWS's own policies allow of what is needed here; any other is unknown."""

_READ_PARAMETERS = ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath")
_SAM: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "AWSSecretsManagerGetSecretValuePolicy": ("SecretArn", ("secretsmanager:GetSecretValue",), "{}"),
    "KMSDecryptPolicy": ("KeyId", ("kms:Decrypt",), f"arn:{_P}:kms:{_R}:{_A}:key/{{}}"),
    "SSMParameterReadPolicy": ("ParameterName", _READ_PARAMETERS, f"arn:{_P}:ssm:{_R}:{_A}:parameter/{{}}"),
    "SSMParameterWithSlashPrefixReadPolicy": (
        "ParameterName",
        _READ_PARAMETERS,
        f"arn:{_P}:ssm:{_R}:{_A}:parameter{{}}",
    ),
}
"""SAM's policy templates: their parameter, what they allow, and on what. Others allow nothing that is needed here."""

Answer = Literal["allowed", "missing", "denied", "unknown"]


class _Statement(NamedTuple):
    """A statement of a policy.

    Attributes:
        is_deny: whether it denies.
        actions: patterns.
        resources: patterns; None for one that is unknown.
        is_certain: whether it counts always: it has no condition, and does not say what it is not about.
    """

    is_deny: bool
    actions: tuple[str, ...]
    resources: tuple[str | None, ...]
    is_certain: bool


@dataclass(slots=True)
class Grants:
    """What a role may do.

    Attributes:
        statements: those that are known.
        unknown: why there may be more, or less, in words.
    """

    statements: list[_Statement] = field(default_factory=list[_Statement])
    unknown: list[str] = field(default_factory=list[str])

    def allows(self, permission: Permission) -> Answer:
        """Say whether a permission is among them."""
        found: list[tuple[_Statement, bool | None]] = [
            (statement, _covers_any(statement, permission))
            for statement in self.statements
            if any(_matches_action(pattern, permission.action) for pattern in statement.actions)
        ]
        if any(statement.is_deny and statement.is_certain and covers for statement, covers in found):
            return "denied"
        allows = [(statement, covers) for statement, covers in found if not statement.is_deny]
        if any(statement.is_certain and covers for statement, covers in allows):
            is_open = any(statement.is_deny and covers is not False for statement, covers in found)
            return "unknown" if is_open else "allowed"
        is_open = bool(self.unknown) or any(covers is not False for _, covers in allows)
        return "unknown" if is_open else "missing"


def _matches_action(pattern: str, action: str) -> bool:
    return _match(pattern.lower(), action.lower())


def _covers_any(statement: _Statement, permission: Permission) -> bool | None:
    """Say whether a statement is about a resource: None where that is unknown."""
    answers = [None if pattern is None else _covers(pattern, permission.resource) for pattern in statement.resources]
    return True if True in answers else None if None in answers else False


def _covers(pattern: str, resource: str) -> bool | None:
    """Say whether a pattern is about all of a resource, which can be a pattern itself."""
    if pattern == "*":
        return True
    theirs, ours = _split_arn(pattern), _split_arn(resource)
    if theirs is None or ours is None:
        return pattern == resource or (None if _is_open(pattern) or _is_open(resource) else False)
    if not all(map(_agree, theirs[:5], ours[:5])):
        return False
    if _match(theirs[5], ours[5]):
        return True
    # A whole ARN with a suffix of its own may be the right one.
    name = ours[5].removesuffix(_SUFFIX)
    is_whole = ours[5] != name and re.fullmatch(rf"{re.escape(name)}-[A-Za-z0-9]{{6}}", theirs[5]) is not None
    return None if is_whole or _may_meet(theirs[5], ours[5]) else False


def _split_arn(text: str) -> list[str] | None:
    parts = re.split(rf":(?![^{OPEN}]*{CLOSE})", text, maxsplit=_ARN_PARTS - 1)
    return parts if len(parts) == _ARN_PARTS and parts[0] == "arn" else None


def _agree(theirs: str, ours: str) -> bool:
    """Tell whether two parts of ARNs can be the same place: what only the deployment knows is taken to be right."""
    return ours == "*" or _is_open(ours) or _is_open(theirs) or _match(theirs, ours)


def _is_open(text: str) -> bool:
    return OPEN in text


def _may_meet(theirs: str, ours: str) -> bool:
    """Tell whether two texts may be the same once the deployment has filled in what is marked."""
    if not (_is_open(theirs) or _is_open(ours)):
        return False
    wild = re.compile(f"{OPEN}[^{CLOSE}]*{CLOSE}")
    return _match(wild.sub("*", theirs), wild.sub("x", ours)) or _match(wild.sub("*", ours), wild.sub("x", theirs))


def _match(pattern: str, text: str) -> bool:
    """Match as IAM does; a star of the text stands for itself, so that only a star is as wide."""
    regex = "".join(".*" if sign == "*" else "[^*]" if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch(regex, text, re.DOTALL) is not None


# --- From a template ----------------------------------------------------------------------------------------------


def read_grants(template: Template, properties: Mapping[str, Any], *, is_sam: bool) -> Grants:
    """Read what the role of a function may do.

    Args:
        template: has the role.
        properties: of the function.
        is_sam: whether it is a SAM function, which makes its own role from `Policies`.
    """
    grants = Grants()
    if "Role" in properties:
        _read_role(template, properties["Role"], grants)
    elif is_sam:
        _read_policies(template, properties.get("Policies"), grants)
        if "PermissionsBoundary" in properties:
            grants.unknown.append("a permissions boundary")
    return grants


def _read_role(template: Template, expression: object, grants: Grants) -> None:
    name = _find_reference(template.evaluate(expression))
    if template.type_of(name) != "AWS::IAM::Role":
        grants.unknown.append("a role that is not in this template")
        return
    role = as_table(template.resources[name].get("Properties"))
    for policy in as_list(role.get("Policies")):
        _read_document(template, policy.get("PolicyDocument") if is_table(policy) else None, grants)
    for arn in as_list(role.get("ManagedPolicyArns")):
        _read_managed(template, arn, grants)
    if "PermissionsBoundary" in role:
        grants.unknown.append("a permissions boundary")
    for _, policy in template.list_resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
        roles = [*as_list(policy.get("Roles")), *as_list(policy.get("RoleName"))]
        if any(template.evaluate(item) in ((mark(name),), (str(role.get("RoleName")),)) for item in roles):
            _read_document(template, policy.get("PolicyDocument"), grants)


def _find_reference(texts: Texts | None) -> str:
    """Give the logical id of the resource, or of the resource's ARN, that an expression comes to; empty for another."""
    found = re.fullmatch(rf"{OPEN}([^{CLOSE}.]+)(\.Arn)?{CLOSE}", texts[0]) if texts and len(texts) == 1 else None
    return found[1] if found else ""


def _read_policies(template: Template, policies: object, grants: Grants) -> None:
    for policy in as_list(policies):
        if is_table(policy) and "Statement" in policy:
            _read_document(template, policy, grants)
        elif is_table(policy) and not next(iter(policy), "Fn::").startswith(("Fn::", "Ref")):
            _read_sam_templates(template, policy, grants)
        else:
            _read_managed(template, policy, grants)


def _read_sam_templates(template: Template, policy: Mapping[str, Any], grants: Grants) -> None:
    for name, arguments in policy.items():
        if name in _SAM and is_table(arguments):
            parameter, actions, resource = _SAM[name]
            texts = template.evaluate(arguments.get(parameter))
            resources = tuple(resource.format(text) for text in texts) if texts else (None,)
            grants.statements.append(_Statement(is_deny=False, actions=actions, resources=resources, is_certain=True))


def _read_managed(template: Template, expression: object, grants: Grants) -> None:
    texts = template.evaluate(expression)
    local = _find_reference(texts)
    end = texts[0].rpartition("/")[2] if texts and len(texts) == 1 else OPEN
    name = "" if _is_open(end) else end
    if template.type_of(local) == "AWS::IAM::ManagedPolicy":
        document = as_table(template.resources[local].get("Properties")).get("PolicyDocument")
        _read_document(template, document, grants)
    elif name in _MANAGED:
        grants.statements.append(_Statement(is_deny=False, actions=_MANAGED[name], resources=("*",), is_certain=True))
    else:
        grants.unknown.append(f"the policy {name}" if name else "a policy that is not in this template")


def _read_document(template: Template, document: object, grants: Grants) -> None:
    if not is_table(document) or "Statement" not in document:
        grants.unknown.append("a policy that is not written out")
        return
    for statement in as_list(document["Statement"]):
        if is_table(statement) and "Effect" in statement:
            grants.statements.append(_read_statement(template, statement))
        else:
            grants.unknown.append("a statement under a condition")


def _read_statement(template: Template, statement: Mapping[str, Any]) -> _Statement:
    actions = template.evaluate_list(statement.get("Action"))
    resources = template.evaluate_list(statement.get("Resource"))
    is_whole = "NotAction" not in statement and "NotResource" not in statement and "Condition" not in statement
    return _Statement(
        is_deny=statement["Effect"] == "Deny",
        actions=tuple(_only(texts) or "*" for texts in actions) or ("*",),
        resources=tuple(_only(texts) for texts in resources) or (None,),
        is_certain=is_whole and all(_only(texts) for texts in actions),
    )


def _only(texts: Texts | None) -> str | None:
    """Give the text that an expression comes to; None where it is unknown, or one of several."""
    return texts[0] if texts is not None and len(texts) == 1 else None
