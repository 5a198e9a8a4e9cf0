"""A secrets file to begin with: all that handlers declare, with made-up values of the right types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from lambdasecrets._declarations import TENANT, Parameter, Secret, bind
from lambdasecrets.dev._drafts.nodes import Node, resolve
from lambdasecrets.dev._drafts.samples import make_up
from lambdasecrets.dev._drafts.toml import write_comment, write_key, write_value
from lambdasecrets.dev._stores.arns import OWN_REGION, Home, is_arn, role_account, split_selector
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.entries import Entry, read_entries
from lambdasecrets.dev.placeholders import fill_name, list_placeholders
from lambdasecrets.dev.schema import MARKS, combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lambdasecrets.dev.discovery import Found

__all__ = ["make_secrets_file"]

_FEW = 2
_SUFFIX = "-MadeUp"
_CURRENT = "AWSCURRENT"
_LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("pattern", "matches {}"),
)


def make_secrets_file(found: Sequence[Found], texts: Mapping[str, str], schema: str | None = None) -> str:
    """Write a secrets file, in TOML, that has all that is declared.

    Args:
        found: the handlers and config models.
        texts: for `{VAR}` and `{context.tenant_id}`. Where one is not given it is made up from the variable's name.
        schema: where editors find the file's schema; None for nowhere.

    Returns:
        The file. What is required has a made-up value; what has a default stands in a comment.

    Raises:
        InputError: a text makes no name, or none can be made up.
    """
    declarations = [declaration for item in found for declaration in item.declarations]
    filled = _make_up_texts(declarations, texts)
    entries, definitions = read_entries(found, filled)
    writer = _Writer(definitions, filled)
    users = _list_few([item.target for item in found], ", ")
    head = [*([f"#:schema {schema}"] if schema else []), f"# For {users}. The values are made up: replace them."]
    head.append("# Keep real ones out of version control.")
    tables = (writer.write_table(table, entries) for table in ("secrets", "parameters"))
    parts = ["\n".join(head), "\n".join(_write_environment(declarations, filled)), *tables]
    return "\n\n".join(part for part in parts if part) + "\n"


def _make_up_texts(declarations: Iterable[Secret | Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """Give a text for each placeholder: what is given, or the variable's name in small letters."""
    texts: dict[str, str] = {}
    for declaration in declarations:
        for name in list_placeholders(declaration):
            texts[name] = given.get(name, name.rpartition(".")[2].lower())
        faults = bind(declaration, texts, texts.get(TENANT))
        for fault in faults if isinstance(faults, list) else ():
            if fault.variable not in given:
                option = f"--set {fault.variable}=..."
                raise InputError(f"cannot make up {fault.variable} for {declaration}: give it with {option}")
    return texts


def _write_environment(declarations: Iterable[Secret | Parameter], texts: Mapping[str, str]) -> Iterator[str]:
    users: dict[str, dict[str, None]] = {}
    for declaration in declarations:
        for name in declaration.variables:
            users.setdefault(name, {})[str(declaration)] = None
    if users:
        yield "[environment]"
    for name, where in users.items():
        yield f"{name} = {write_value(texts[name])}{write_comment('in ' + _list_few(where, ', '))}"


# --- Entries ------------------------------------------------------------------------------------------------------


class _Writer:
    """Writes tables of entries.

    Args:
        definitions: what the schemas of the entries refer to.
        texts: for the placeholders.
    """

    def __init__(self, definitions: Mapping[str, Node], texts: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._texts = texts

    def write_table(self, table: str, entries: Iterable[Entry]) -> str:
        """Write the secrets or the parameters: first what takes a line, then what is a table of its own."""
        mine = [entry for entry in entries if entry.table == table]
        lines = [self._write_line(entry) for entry in mine if not self._is_table(entry)]
        tables = [self._write_members(entry) for entry in mine if self._is_table(entry)]
        return "\n\n".join([*(["\n".join([f"[{table}]", *lines])] if lines else []), *tables])

    def _is_table(self, entry: Entry) -> bool:
        return "properties" in self._read(entry) and not self._list_versions(entry)

    def _read(self, entry: Entry) -> Node:
        return resolve(combine([(use, use.schema) for use in entry.uses]), self._definitions)

    def _write_line(self, entry: Entry) -> str:
        value = make_up(self._read(entry), self._definitions)
        line = f"{write_key(_name(entry))} = {self._write_value(entry, value)}{write_comment(_name_users(entry))}"
        return f"# {line}" if entry.is_optional else line

    def _write_value(self, entry: Entry, value: object) -> str:
        settings, versions = _make_settings(entry.table, value), self._list_versions(entry)
        if versions:
            return write_value({"versions": [{**settings, **version} for version in versions]})
        return write_value(settings if _is_like_settings(entry.table, value) else value)

    def _write_members(self, entry: Entry) -> str:
        node = self._read(entry)
        is_like_settings = not MARKS.isdisjoint(node["properties"])
        place = ".value" if entry.table == "parameters" else ".json" if is_like_settings else ""
        lines = [f"[{entry.table}.{write_key(_name(entry))}{place}]{write_comment(_name_users(entry))}"]
        for key, part in node["properties"].items():
            member = resolve(part, self._definitions)
            about = _explain(member)
            line = f"{write_key(key)} = {write_value(make_up(member, self._definitions))}"
            if key in node.get("required", ()):
                lines.append(f"{line}{write_comment(about)}")
            else:
                note = "the default" if member.get("default") is not None else "optional"
                lines.append(f"# {line}{write_comment(f'{about} ({note})')}")
        return "\n".join(f"# {line}" if entry.is_optional else line for line in lines)

    def _list_versions(self, entry: Entry) -> list[dict[str, object]]:
        """List what sets apart the versions that are asked for, the newest last; none where it is just the newest."""
        return _list_secret_versions(entry) if entry.table == "secrets" else self._list_parameter_versions(entry)

    def _list_parameter_versions(self, entry: Entry) -> list[dict[str, object]]:
        number, labels = 1, dict[str, None]()
        for use in entry.uses:
            declaration = cast("Parameter", use.declaration)
            selector = split_selector(fill_name(declaration, self._texts))[1] or ""
            if selector.isdigit():
                number = max(number, int(selector))
            number = max(number, declaration.version or 1)
            labels |= dict.fromkeys(
                label for label in (declaration.label, "" if selector.isdigit() else selector) if label
            )
        if number == 1 and not labels:
            return []
        return [*({} for _ in range(number - 1)), {"labels": list(labels)} if labels else {}]


def _list_secret_versions(entry: Entry) -> list[dict[str, object]]:
    stages: dict[str, None] = {}
    ids: dict[str, str | None] = {}
    for use in entry.uses:
        declaration = use.declaration
        version_id = declaration.version_id if isinstance(declaration, Secret) else None
        stage = declaration.version_stage if isinstance(declaration, Secret) else None
        if version_id is not None:
            ids[version_id] = stage
        else:
            stages[stage or _CURRENT] = None
    if not ids and list(stages) == [_CURRENT]:
        return []
    versions: list[dict[str, object]] = []
    for one, stage in ids.items():
        versions.append({"id": one, "stages": [stage] if stage else []})
    versions.extend({"stages": [stage]} for stage in sorted(stages, key=lambda stage: stage == _CURRENT))
    return versions


def _make_settings(table: str, value: object) -> dict[str, object]:
    """Put a value into a table of settings."""
    if table == "parameters":
        # As JSON: a list would be a StringList, which has no objects.
        return {"value": value, "type": "String"} if _is_like_settings(table, value) else {"value": value}
    is_structure = isinstance(value, (dict, list))
    return {"json": value} if is_structure else {"string": value if isinstance(value, str) else json.dumps(value)}


def _is_like_settings(table: str, value: object) -> bool:
    """Tell whether a value by itself would be taken for something else."""
    if isinstance(value, dict):
        return table == "parameters" or not MARKS.isdisjoint(cast("dict[str, object]", value))
    items = cast("list[object]", value) if isinstance(value, list) else []
    return table == "parameters" and any(isinstance(item, (dict, list)) for item in items)


def _name(entry: Entry) -> str:
    """Give the name that an entry has in the file: of another account it is an ARN."""
    account = None if entry.role is None or is_arn(entry.name) else role_account(entry.role)
    return (
        entry.name
        if account is None
        else Home(OWN_REGION, account).arn("secretsmanager", f"secret:{entry.name}{_SUFFIX}")
    )


def _name_users(entry: Entry) -> str:
    return _list_few([f"{use.type}, {use.place}" for use in entry.uses], "; ")


def _list_few(texts: Iterable[str], separator: str) -> str:
    """Join texts, each once; of many the first ones."""
    every = list(dict.fromkeys(texts))
    more = f"{separator}and {len(every) - _FEW} more" if len(every) > _FEW else ""
    return f"{separator.join(every[:_FEW])}{more}"


def _explain(node: Node) -> str:
    """Say in a line what a member is."""
    kinds = [json.dumps(value, ensure_ascii=False) for value in node.get("enum", ())] or [node.get("format") or ""]
    words = [str(node.get("type", "any")), *kinds, *(text.format(node[key]) for key, text in _LIMITS if key in node)]
    about = ", ".join(filter(None, words))
    return f"{about}: {node['description']}" if "description" in node else about
