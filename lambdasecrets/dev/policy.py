"""The IAM policy that declarations need, and no more: as JSON, for SAM, for the CDK and for Terraform."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from lambdasecrets._declarations import TENANT, Parameter, Secret
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.placeholders import check_texts, fill, fill_name
from lambdasecrets.dev.regions import check_region
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lambdasecrets.errors import Permission

__all__ = ["FORMATS", "Format", "Policy", "PolicyOptions", "make_policy"]

Format = Literal["json", "sam", "cdk", "terraform"]
FORMATS: tuple[Format, ...] = ("json", "sam", "cdk", "terraform")

_VERSION = "2012-10-17"
_GET_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an IAM action
_MANAGED_CHARACTERS = 6_144
_INLINE_CHARACTERS = 10_240
_ACCOUNT = re.compile(r"[0-9]{12}")

# Around what a template fills in, while the rest of a text is escaped. No name has them.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARKED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")

_SIDS = {
    "sts:AssumeRole": "AssumeRoles",
    _GET_SECRET: "ReadSecrets",
    "secretsmanager:BatchGetSecretValue": "PrefetchSecrets",
    "ssm:GetParameter": "ReadParameters",
    "kms:Decrypt": "Decrypt",
}
"""What a statement does, by its last action; statements come in this order."""

_TENANTS_SID = "OfEveryTenant"
_CONTEXT = "kms:EncryptionContext:"
_DOMAIN = ".amazonaws.com"

_Declared = Secret | Parameter
_Conditions = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What a policy is for.

    Attributes:
        form: `json` for a policy document; `sam` for the `Policies` of a function, `cdk` for a Python module,
            `terraform` for a policy document's data source. All but `json` fill in what the deployment knows.
        region: such as `eu-west-1`; None for what the format has for it, which is any for `json`.
        account: twelve digits; None as above.
        partition: such as `aws-cn`; None for that of the Region, or as above.
        kms_keys: ids or ARNs of customer-managed keys, by the name of a secret or parameter; under None for all
            others.
        server: who reads: `extension` or `agent`.
        prefetch: whether the agent is configured to prefetch.
        placeholders: texts for `{VAR}` and `{context.tenant_id}`.
        role: a declared role, for the policy of that role; None for the function's own.
    """

    form: Format = "json"
    region: str | None = None
    account: str | None = None
    partition: str | None = None
    kms_keys: Mapping[str | None, Sequence[str]] = field(default_factory=dict[str | None, Sequence[str]])
    server: Literal["extension", "agent"] = "extension"
    prefetch: bool = False
    placeholders: Mapping[str, str] = field(default_factory=dict[str, str])
    role: str | None = None

    @property
    def is_template(self) -> bool:
        """Whether what is not given can be filled in when it is deployed."""
        return self.form != "json"


class Policy(NamedTuple):
    """A policy, written.

    Attributes:
        text: the document, or the part of a template; no line end.
        notes: what is to be known beside it, a line each.
        roles: the declared roles, which need policies of their own.
    """

    text: str
    notes: tuple[str, ...]
    roles: tuple[str, ...]


def make_policy(declarations: Iterable[_Declared], options: PolicyOptions) -> Policy:
    """Write the policy that allows to read what is declared, and nothing else.

    Args:
        declarations: what is declared.
        options: what it is for.

    Returns:
        The policy: the same for the same declarations, in whatever order and however often.

    Raises:
        InputError: an option cannot be used, or does not fit what is declared.
    """
    every = sorted(set(declarations), key=repr)
    _check_options(every, options)
    mine = [item for item in every if options.role is None or options.role in _name_role(item, options)]
    statements = _make_statements(mine, options)
    document = {"Version": _VERSION, "Statement": [_to_json(statement) for statement in statements]}
    notes = (*_list_notes(mine, options), *_list_size_notes(document))
    roles = (
        () if options.role else tuple(dict.fromkeys(role for item in every for role in _name_role(item, options)[:1]))
    )
    text = (
        _WRITERS[options.form](statements, _list_variables(mine, options)) if options.is_template else _dump(document)
    )
    return Policy(text, notes, roles)


# --- What is asked for --------------------------------------------------------------------------------------------


def _check_options(declarations: Sequence[_Declared], options: PolicyOptions) -> None:
    if options.account is not None and not _ACCOUNT.fullmatch(options.account):
        raise InputError("cannot use the account: give its twelve digits.")
    check_region(options.region)
    names = {name for item in declarations for name in (item.name, fill_name(item, options.placeholders))}
    for name in options.kms_keys:
        if name is not None and name not in names:
            raise InputError(f"cannot use a key for {name!r}: it is not declared. What is: {', '.join(sorted(names))}.")
    roles = {role for item in declarations for role in _name_role(item, options)}
    if options.role is not None and options.role not in roles:
        known = ", ".join(sorted(roles)) or "none"
        raise InputError(f"cannot write a policy for {options.role}: no declaration has this role. What is: {known}.")
    for item in declarations:
        check_texts(item, options.placeholders)


def _name_role(declaration: _Declared, options: PolicyOptions) -> list[str]:
    """List the ways to name the role of a declaration: filled in, and as it is declared. None has none."""
    role = declaration.role_arn
    return [] if role is None else list(dict.fromkeys((fill(role, options.placeholders), role)))


def _list_variables(declarations: Iterable[_Declared], options: PolicyOptions) -> list[str]:
    """List the variables whose texts are not given."""
    return sorted({name for item in declarations for name in item.variables} - options.placeholders.keys())


def _is_for_every_tenant(declaration: _Declared, options: PolicyOptions) -> bool:
    return declaration.needs_tenant and TENANT not in options.placeholders


# --- Statements ---------------------------------------------------------------------------------------------------


class _Statement(NamedTuple):
    """One statement, which allows.

    Attributes:
        actions: such as `secretsmanager:GetSecretValue`, sorted; the last one names it.
        resources: ARNs, sorted.
        conditions: texts by operator and key.
        is_for_every_tenant: whether it allows what belongs to all tenants.
        sid: what it does.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: _Conditions
    is_for_every_tenant: bool
    sid: str = ""

    @property
    def comment(self) -> str:
        """What is to be known about it; empty for nothing."""
        if not self.is_for_every_tenant:
            return ""
        return "Allows the values of every tenant: a role does not know for which tenant it runs."

    def order(self) -> tuple[object, ...]:
        """Give what it is sorted by."""
        return list(_SIDS).index(self.actions[-1]), self.is_for_every_tenant, self.resources, repr(self.conditions)


_Grant = tuple["Permission", bool]
"""What a declaration needs, and whether that is for every tenant."""


def _make_statements(declarations: Sequence[_Declared], options: PolicyOptions) -> list[_Statement]:
    grants = [grant for item in declarations for grant in _list_grants(item, options)]
    statements = sorted((*_merge_reads(grants), *_merge_decrypts(grants)), key=_Statement.order)
    counts: dict[str, int] = {}
    numbered: list[_Statement] = []
    for statement in statements:
        sid = f"{_SIDS[statement.actions[-1]]}{_TENANTS_SID if statement.is_for_every_tenant else ''}"
        counts[sid] = counts.get(sid, 0) + 1
        numbered.append(statement._replace(sid=f"{sid}{counts[sid] if counts[sid] > 1 else ''}"))
    return numbered


def _list_grants(declaration: _Declared, options: PolicyOptions) -> Iterator[_Grant]:
    keys = options.kms_keys
    own = keys.get(declaration.name) or keys.get(fill_name(declaration, options.placeholders)) or keys.get(None)
    for key in own or (None,):
        for permission in _list_permissions(declaration, key, options):
            if (permission.role is None) == (options.role is None):
                yield permission, _is_for_every_tenant(declaration, options)


def _list_permissions(declaration: _Declared, key: str | None, options: PolicyOptions) -> tuple[Permission, ...]:
    texts = dict(options.placeholders)
    if options.is_template:
        texts = {**{name: _mark(name) for name in declaration.variables}, **texts}
    partition = options.partition or (None if options.region else _pseudo("partition", options))
    try:
        return declaration.permissions(
            server=options.server,
            prefetch=options.prefetch,
            region=options.region or _pseudo("region", options),
            account=options.account or _pseudo("account", options),
            partition=partition,
            kms_key=key,
            placeholders=texts,
        )
    except SettingError as error:
        raise InputError(f"cannot use {error.name}: it takes {error.expected}.") from None


def _mark(name: str) -> str:
    return f"{_OPEN}{name}{_CLOSE}"


def _pseudo(name: str, options: PolicyOptions) -> str | None:
    return _mark(f".{name}") if options.is_template else None


def _merge_reads(grants: Iterable[_Grant]) -> Iterator[_Statement]:
    """Put the actions on one resource together, then the resources with the same actions."""
    actions: dict[tuple[str, str, bool], set[str]] = {}
    for permission, is_for_every_tenant in grants:
        if permission.condition is None:
            # DescribeSecret goes with GetSecretValue; a batch is allowed on all, so it stands apart.
            kind = permission.action if permission.action in _SIDS else _GET_SECRET
            actions.setdefault((permission.resource, kind, is_for_every_tenant), set()).add(permission.action)
    resources: dict[tuple[tuple[str, ...], bool], set[str]] = {}
    for (resource, _, is_for_every_tenant), allowed in actions.items():
        resources.setdefault((tuple(sorted(allowed)), is_for_every_tenant), set()).add(resource)
    for (together, is_for_every_tenant), those in resources.items():
        yield _Statement(together, tuple(sorted(those)), {}, is_for_every_tenant)


def _merge_decrypts(grants: Iterable[_Grant]) -> Iterator[_Statement]:
    """Put the values of one key together: they differ in the name that the key is used for."""
    texts: dict[tuple[str, bool, tuple[tuple[str, str, str], ...]], dict[tuple[str, str], set[str]]] = {}
    for permission, is_for_every_tenant in grants:
        terms = [
            (operator, key, text)
            for operator, pairs in (permission.condition or {}).items()
            for key, text in pairs.items()
        ]
        shared = tuple(
            sorted((operator, key, _localize(text)) for operator, key, text in terms if not key.startswith(_CONTEXT))
        )
        for operator, key, text in terms:
            if key.startswith(_CONTEXT):
                place = (permission.resource, is_for_every_tenant, (*shared, (operator, key, "")))
                texts.setdefault(place, {}).setdefault((operator, key), set()).add(text)
    for (resource, is_for_every_tenant, shared), own in texts.items():
        conditions: dict[str, dict[str, Sequence[str]]] = {}
        for operator, key, text in shared:
            conditions.setdefault(operator, {})[key] = tuple(sorted(own.get((operator, key), {text})))
        yield _Statement(("kms:Decrypt",), (resource,), conditions, is_for_every_tenant)


def _localize(text: str) -> str:
    """Leave to the deployment the end of a service's name: it is another one in China."""
    is_open = text.endswith(f"{_CLOSE}{_DOMAIN}")
    return f"{text.removesuffix(_DOMAIN)}.{_mark('.suffix')}" if is_open else text


# --- What is to be known ------------------------------------------------------------------------------------------


def describe_unserved(parameter: Parameter) -> str:
    """Say that the agent cannot serve what is declared."""
    return f"{parameter} is not served by the agent, which has secrets only."


def _list_notes(declarations: Sequence[_Declared], options: PolicyOptions) -> Iterator[str]:
    if not options.is_template:
        for name in _list_variables(declarations, options):
            yield f"{{{name}}} is not given, and stands as * in the policy: give it with --set {name}=..."
    for declaration in declarations:
        if _is_for_every_tenant(declaration, options):
            yield f"{declaration} allows the values of every tenant: a role does not know for which tenant it runs."
        if options.server == "agent" and isinstance(declaration, Parameter):
            yield describe_unserved(declaration)
        owner = _find_owner(fill_name(declaration, options.placeholders))
        if owner is not None and options.account is not None and owner != options.account:
            yield (
                f"{declaration} belongs to account {owner}: the resource policy that it has there, and the policy of "
                "its key, must allow it to this role too."
            )
    if options.role is not None:
        yield f"{options.role} also needs a trust policy that allows sts:AssumeRole to the function's role."


def _find_owner(name: str) -> str | None:
    found = re.match(r"arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):", name)
    return found[1] if found else None


def _list_size_notes(document: Mapping[str, object]) -> Iterator[str]:
    # IAM does not count spaces.
    count = len(re.sub(rf"[{_OPEN}{_CLOSE}]", "", json.dumps(document, separators=(",", ":"))))
    if count > _INLINE_CHARACTERS:
        yield (
            f"The policy has {count:,} characters: the inline policies of a role may have {_INLINE_CHARACTERS:,} "
            f"together, a managed policy {_MANAGED_CHARACTERS:,}. Write one for each handler."
        )
    elif count > _MANAGED_CHARACTERS:
        yield (
            f"The policy has {count:,} characters: a managed policy may have {_MANAGED_CHARACTERS:,}, the inline "
            f"policies of a role {_INLINE_CHARACTERS:,} together."
        )


# --- How it is written --------------------------------------------------------------------------------------------


def _dump(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2)


def _to_json(statement: _Statement) -> dict[str, object]:
    written: dict[str, object] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": list(statement.actions),
        "Resource": list(statement.resources),
    }
    if statement.conditions:
        written["Condition"] = {
            operator: {key: texts[0] if len(texts) == 1 else list(texts) for key, texts in pairs.items()}
            for operator, pairs in statement.conditions.items()
        }
    return written


def _name_variables(variables: Iterable[str], convert: Callable[[str], str]) -> dict[str, str]:
    """Give each variable a name as a template writes it, a different one for each."""
    names: dict[str, str] = {}
    for variable in variables:
        name = wanted = convert(variable) or "value"
        number = 1
        while name in names.values():
            number += 1
            name = f"{wanted}{number}"
        names[variable] = name
    return names


def _comment_variables(names: Mapping[str, str], what: str) -> list[str]:
    if not names:
        return []
    listed = ", ".join(f"{name} ({variable})" for variable, name in names.items())
    return [f"# {what} that stand for the function's environment variables: {listed}."]


def _render(text: str, texts: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    """Fill in what is marked, and escape the rest.

    Args:
        text: with marks.
        texts: how the format writes what is marked.
        escape: for the rest.
    """
    parts = _MARKED.split(text)
    return "".join(texts[part] if number % 2 else escape(part) for number, part in enumerate(parts))


def _write_sam(statements: Sequence[_Statement], variables: Sequence[str]) -> str:
    names = _name_variables(variables, lambda name: "".join(part.capitalize() for part in name.split("_")))
    marks = {
        ".partition": "${AWS::Partition}",
        ".region": "${AWS::Region}",
        ".account": "${AWS::AccountId}",
        ".suffix": "${AWS::URLSuffix}",
        **{variable: f"${{{name}}}" for variable, name in names.items()},
    }

    def quote(text: str) -> str:
        return f"{'!Sub ' if _OPEN in text else ''}{json.dumps(_render(text, marks))}"

    lines = [
        *_comment_variables(names, "Parameters of the template"),
        "Policies:",
        f'  - Version: "{_VERSION}"',
        "    Statement:",
    ]
    for statement in statements:
        lines += [f"      # {statement.comment}"] if statement.comment else []
        lines += [f"      - Sid: {statement.sid}", "        Effect: Allow"]
        lines += ["        Action:", *(f"          - {action}" for action in statement.actions)]
        lines += ["        Resource:", *(f"          - {quote(resource)}" for resource in statement.resources)]
        lines += ["        Condition:"] if statement.conditions else []
        for operator, pairs in statement.conditions.items():
            lines.append(f"          {operator}:")
            for key, texts in pairs.items():
                lines += [f"            {key}:", *(f"              - {quote(text)}" for text in texts)]
    return "\n".join(lines)


def _write_cdk(statements: Sequence[_Statement], variables: Sequence[str]) -> str:
    names = _name_variables(variables, _to_argument)
    marks = {
        ".partition": "{Aws.PARTITION}",
        ".region": "{Aws.REGION}",
        ".account": "{Aws.ACCOUNT_ID}",
        ".suffix": "{Aws.URL_SUFFIX}",
        **{variable: f"{{{name}}}" for variable, name in names.items()},
    }

    def quote(text: str) -> str:
        if _OPEN not in text:
            return json.dumps(text)
        return f"f{json.dumps(_render(text, marks, lambda part: part.replace('{', '{{').replace('}', '}}')))}"

    uses_aws = any(f"{_OPEN}." in text for statement in statements for text in _list_texts(statement))
    arguments = f"*, {', '.join(f'{name}: str' for name in names.values())}" if names else ""
    lines = [
        *_comment_variables(names, "Arguments"),
        f"from aws_cdk import {'Aws, ' if uses_aws else ''}aws_iam as iam",
        "",
        "",
        f"def make_statements({arguments}) -> list[iam.PolicyStatement]:",
        "    return [",
    ]
    for statement in statements:
        lines += [f"        # {statement.comment}"] if statement.comment else []
        lines += ["        iam.PolicyStatement(", f'            sid="{statement.sid}",']
        lines += [
            "            actions=[",
            *(f"                {quote(action)}," for action in statement.actions),
            "            ],",
        ]
        lines += [
            "            resources=[",
            *(f"                {quote(item)}," for item in statement.resources),
            "            ],",
        ]
        lines += ["            conditions={"] if statement.conditions else []
        for operator, pairs in statement.conditions.items():
            lines.append(f"                {quote(operator)}: {{")
            for key, texts in pairs.items():
                lines += [
                    f"                    {quote(key)}: [",
                    *(f"                        {quote(text)}," for text in texts),
                    "                    ],",
                ]
            lines.append("                },")
        lines += ["            },"] if statement.conditions else []
        lines.append("        ),")
    return "\n".join([*lines, "    ]"])


def _list_texts(statement: _Statement) -> Iterator[str]:
    yield from statement.resources
    for pairs in statement.conditions.values():
        for texts in pairs.values():
            yield from texts


def _to_argument(variable: str) -> str:
    name = variable.lower().strip("_")
    return f"{name}_" if keyword.iskeyword(name) else f"v{name}" if name[:1].isdigit() else name


def _write_terraform(statements: Sequence[_Statement], variables: Sequence[str]) -> str:
    names = _name_variables(variables, _to_argument)
    marks = {
        ".partition": "${data.aws_partition.lambdasecrets.partition}",
        ".region": "${data.aws_region.lambdasecrets.name}",
        ".account": "${data.aws_caller_identity.lambdasecrets.account_id}",
        ".suffix": "${data.aws_partition.lambdasecrets.dns_suffix}",
        **{variable: f"${{var.{name}}}" for variable, name in names.items()},
    }

    def quote(text: str) -> str:
        return json.dumps(_render(text, marks))

    blocks: list[str] = []
    for statement in statements:
        lines = [f"  # {statement.comment}"] if statement.comment else []
        lines += ["  statement {", f"    sid = {quote(statement.sid)}"]
        lines += ["    actions = [", *(f"      {quote(action)}," for action in statement.actions), "    ]"]
        lines += ["    resources = [", *(f"      {quote(item)}," for item in statement.resources), "    ]"]
        for operator, pairs in statement.conditions.items():
            for key, texts in pairs.items():
                lines += [
                    "",
                    "    condition {",
                    f"      test     = {quote(operator)}",
                    f"      variable = {quote(key)}",
                ]
                lines += ["      values = [", *(f"        {quote(text)}," for text in texts), "      ]", "    }"]
        blocks.append("\n".join([*lines, "  }"]))
    body = "\n\n".join(blocks)
    sources = [name for name in ("aws_caller_identity", "aws_partition", "aws_region") if f"data.{name}." in body]
    head = [*_comment_variables(names, "Variables"), *(f'data "{name}" "lambdasecrets" {{}}' for name in sources)]
    return "\n".join([*head, *([""] if head else []), 'data "aws_iam_policy_document" "lambdasecrets" {', body, "}"])


_WRITERS: dict[str, Callable[[Sequence[_Statement], Sequence[str]], str]] = {
    "sam": _write_sam,
    "cdk": _write_cdk,
    "terraform": _write_terraform,
}
