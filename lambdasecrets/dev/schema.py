"""JSON Schema (2020-12): of what is declared, for those who write the values, and of a secrets file, for editors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lambdasecrets.dev._drafts.nodes import Node, find_definition, list_references
from lambdasecrets.dev._stores.arns import role_account
from lambdasecrets.dev._stores.in_process import PARAMETER_TYPES
from lambdasecrets.dev._stores.secrets_file import ACCOUNT_FORM, REGION_FORM
from lambdasecrets.dev.entries import Entries, Entry, Kind, Use
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.placeholders import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["DIALECT", "MARKS", "combine", "make_file_schema", "make_schemas"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_WHOLE_NUMBER = r"^\s*[-+]?[0-9][0-9_]*(\.0*)?\s*$"
_NUMBER = r"^\s*[-+]?(\.?[0-9]|[Ii][Nn][Ff]|[Nn][Aa][Nn])"
_ACCOUNT, _REGION = f"^{ACCOUNT_FORM.pattern}$", f"^{REGION_FORM.pattern}$"
_SPECIAL = re.compile(r"[.^$*+?()\[\]{}|\\]")
_ARN_OF_SECRET = "(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)"  # noqa: S105 - a pattern

_TEXT: Node = {"type": "string"}
_TEXTS: Node = {"type": "array", "items": _TEXT}
_SCALAR: Node = {"type": ["string", "number", "boolean"]}
_JSON: Node = {"type": ["object", "array", "number", "boolean"]}
_TABLES = ("secrets", "parameters")
MARKS = frozenset({"string", "json", "binary", "versions"})
"""A secret's table with one of these is settings, not the secret itself."""

_ANY_SECRET: Node = {
    "type": ["string", "number", "boolean", "array", "object"],
    "properties": dict.fromkeys(sorted(MARKS), False),
    "additionalProperties": True,
}


def make_schemas(entries: Entries) -> dict[str, dict[str, Node]]:
    """Write a schema for the value of each secret and parameter.

    Args:
        entries: what is declared.

    Returns:
        Under `secrets` and `parameters` a schema for each name, complete by itself. It describes the text of a value
        that is JSON, numbers and booleans too; of any other it is the text as a string.
    """
    written: dict[str, dict[str, Node]] = {"secrets": {}, "parameters": {}}
    for entry in entries.entries:
        node = combine([(use, use.schema) for use in entry.uses])
        name = entry.name if entry.role is None else f"{entry.name} (of {entry.role})"
        written[entry.table][name] = _complete(_describe(entry, node), entries.definitions)
    return written


def make_file_schema(entries: Entries) -> Node:
    """Write the schema of a secrets file that has what is declared.

    Args:
        entries: what is declared; nothing for the form of any secrets file.
    """
    required = [table for table in _TABLES if _list_required(entries.entries, table)]
    root: Node = {
        "title": "A secrets file of lambdasecrets",
        "type": "object",
        "properties": {
            **_write_settings(entries.entries),
            "secrets": _write_entries(
                entries, "secrets", _write_secret, {"anyOf": [_ANY_SECRET, _write_secret_settings(_JSON)]}
            ),
            "parameters": _write_entries(entries, "parameters", _write_parameter, _write_any_parameter()),
        },
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
    return _complete(root, entries.definitions)


# --- One value ----------------------------------------------------------------------------------------------------


def _describe(entry: Entry, node: Node) -> Node:
    """Say whose a value is."""
    users = dict.fromkeys(
        f"{use.type}: {use.place}{' (has a default)' if use.is_optional else ''}" for use in entry.uses
    )
    return {"description": "\n".join(users), **node}


def combine(schemas: Sequence[tuple[Use, Node]]) -> Node:
    """Put together what several declarations say of one value.

    Args:
        schemas: declarations, each with a schema of the whole value, or of its member.
    """
    parts: list[Node] = []
    members: dict[str, list[Node]] = {}
    for use, node in schemas:
        key = use.declaration.key
        _add(parts if key is None else members.setdefault(key, []), node)
    if members:
        properties = {key: _join(nodes) for key, nodes in members.items()}
        # All of them: a default is for a value that does not exist, not for a member of one that does.
        needed = {"required": list(members), "additionalProperties": True}
        parts.append({"type": "object", "properties": properties, **needed})
    return _join(parts)


def _add(nodes: list[Node], node: Node) -> None:
    if node not in nodes:
        nodes.append(node)


def _join(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else {"allOf": nodes}


def _complete(node: Node, definitions: Mapping[str, Node]) -> Node:
    """Make a schema of its own: with what it refers to, and its dialect."""
    needed: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        for name in list_references(waiting.pop()):
            if name not in needed:
                needed[name] = definitions[name]
                waiting.append(definitions[name])
    return {"$schema": DIALECT, **node, **({"$defs": dict(sorted(needed.items()))} if needed else {})}


# --- In a secrets file --------------------------------------------------------------------------------------------


def _write_entries(
    entries: Entries, table: str, write: Callable[[Entry, Mapping[str, Node]], Node], other: Node
) -> Node:
    """Write a table of secrets or of parameters: those that are declared, and any other."""
    words: dict[str, dict[str, Node]] = {}
    for entry in entries.entries:
        if entry.table == table:
            word, name = _name_property(entry)
            words.setdefault(word, {})[name] = _describe(entry, write(entry, entries.definitions))
    required = _list_required(entries.entries, table)
    needed = {"required": required} if required else {}
    return {"type": "object", **words, **needed, "additionalProperties": other}


def _list_required(entries: Iterable[Entry], table: str) -> list[str]:
    needed = [_name_property(entry) for entry in entries if entry.table == table and not entry.is_optional]
    return [name for word, name in needed if word == "properties"]


def _name_property(entry: Entry) -> tuple[str, str]:
    """Give the word under which an entry stands in the schema of its table, and its name, or a pattern of names."""
    role = entry.role
    if PLACEHOLDER.search(entry.name) is None and role is None:
        return "properties", entry.name
    pattern = "".join(
        ".+" if number % 2 else _SPECIAL.sub(r"\\\g<0>", part)
        for number, part in enumerate(PLACEHOLDER.split(entry.name))
    )
    account = None if role is None else role_account(role)
    arn = "" if role is None else _ARN_OF_SECRET.replace("[0-9]{12}", account or "[0-9]{12}")
    return "patternProperties", f"^{arn}{pattern}{'(-[A-Za-z0-9]{6})?' if arn else ''}$"


def _write_secret(entry: Entry, definitions: Mapping[str, Node]) -> Node:
    """Write a secret: itself, its JSON as a text, or a table of settings."""
    if entry.is_text:
        content = combine([(use, _admit_texts(use.schema, definitions, anything=_ANY_SECRET)) for use in entry.uses])
        forms = [content]
    else:
        content = combine(list(_list_json(entry, definitions)))
        # A table with such a member is taken for settings: the secret itself goes into `json`.
        forms = [_TEXT] if _list_members(content, definitions) & MARKS else [content, _TEXT]
    return {"anyOf": [*forms, _write_secret_settings(content)]}


def _write_parameter(entry: Entry, definitions: Mapping[str, Node]) -> Node:
    """Write a parameter: itself, its JSON as a text, or a table of settings."""
    if entry.is_text:
        content = combine([(use, _admit_texts(use.schema, definitions, anything=_SCALAR)) for use in entry.uses])
        forms = [content]
    else:
        content = combine(list(_list_json(entry, definitions)))
        # A table is settings: JSON's own goes into `value`.
        forms = [_TEXT] if _list_members(content, definitions) else [content, _TEXT]
        content = {"anyOf": [content, _TEXT]}
    return {"anyOf": [*forms, _write_parameter_settings(content)]}


def _list_json(entry: Entry, definitions: Mapping[str, Node]) -> Iterator[tuple[Use, Node]]:
    """List what declarations say of JSON. One of a text says nothing, if it is of the whole."""
    for use in entry.uses:
        if use.kind is Kind.JSON:
            # A member that is a text is read as a whole value is.
            yield use, use.schema if use.declaration.key is None else {"anyOf": [use.schema, _TEXT]}
        elif use.declaration.key is not None:
            yield use, _admit_texts(use.schema, definitions, anything={})


def _admit_texts(node: Node, definitions: Mapping[str, Node], *, anything: Node) -> Node:
    """Let what is no text be written as one: that is what it is in AWS.

    Args:
        node: a schema of what is read from a text.
        definitions: what it may refer to.
        anything: a schema for what any text is.
    """
    rest = {key: value for key, value in node.items() if key not in {"$ref", "const", "enum", "type"}}
    if "$ref" in node:
        return _admit_texts({**find_definition(node, definitions), **rest}, definitions, anything=anything)
    if "anyOf" in node:
        choices = [_admit_texts(choice, definitions, anything=anything) for choice in node["anyOf"]]
        return {**rest, "anyOf": choices}
    if "enum" in node or "const" in node:
        values: list[object] = node.get("enum", [node.get("const")])
        texts = [json.dumps(value) for value in values if not isinstance(value, str)]
        return {**rest, "enum": [*values, *texts]}
    if node.get("type") in {"integer", "number"}:
        pattern = _WHOLE_NUMBER if node["type"] == "integer" else _NUMBER
        return {**rest, "type": [node["type"], "string"], "pattern": pattern}
    if node.get("type") == "boolean":
        return {**rest, "type": ["boolean", "integer", "string"]}
    is_any = node.get("type") == "string" and node.get("format") in {None, "password"} and "pattern" not in node
    return {**rest, **anything} if is_any else node


def _list_members(node: Node, definitions: Mapping[str, Node], seen: frozenset[str] = frozenset()) -> set[str]:
    """List the members of the objects that a value can be; an unnamed one where it has any."""
    name = str(node.get("$ref", ""))
    found: set[str] = {*node.get("properties", ()), *([""] if node.get("type") == "object" else [])}
    choices: list[Node] = [choice for word in ("allOf", "anyOf", "oneOf") for choice in node.get(word, [])]
    if name and name not in seen:
        choices.append(find_definition(node, definitions))
    return found.union(*(_list_members(choice, definitions, seen | {name}) for choice in choices))


# --- The form of the file -----------------------------------------------------------------------------------------


def _write_table(properties: Mapping[str, Node], needs: Iterable[str]) -> Node:
    """Write a table with these keys and no others, of which it needs one."""
    alternatives = [{"required": [key]} for key in needs]
    return {"type": "object", "properties": dict(properties), "anyOf": alternatives, "additionalProperties": False}


def _write_secret_settings(content: Node) -> Node:
    contents = {"string": _TEXT, "json": content, "binary": {**_TEXT, "contentEncoding": "base64"}}
    version = _write_table({**contents, "id": _TEXT, "stages": _TEXTS}, contents)
    versions = {"type": "array", "minItems": 1, "items": version}
    return _write_table({**version["properties"], "versions": versions}, sorted(MARKS))


def _write_parameter_settings(content: Node) -> Node:
    shared = {"type": {"enum": list(PARAMETER_TYPES)}, "data_type": _TEXT}
    version = _write_table({"value": content, **shared, "labels": _TEXTS}, ["value"])
    versions = {"type": "array", "minItems": 1, "items": version}
    return _write_table({**version["properties"], "versions": versions}, ["value", "versions"])


def _write_any_parameter() -> Node:
    return {"anyOf": [{"type": ["string", "number", "boolean", "array"]}, _write_parameter_settings({})]}


def _write_settings(entries: Iterable[Entry]) -> dict[str, Node]:
    """Write what a file has beside secrets and parameters."""
    names: dict[str, set[str]] = {}
    for use in (use for entry in entries for use in entry.uses):
        for name in use.declaration.variables:
            names.setdefault(name, set()).add(str(use.declaration))
    variables = {name: {**_SCALAR, "description": f"For {', '.join(sorted(where))}"} for name, where in names.items()}
    fault = {
        "type": "object",
        "properties": {
            "name": {"enum": list(EVERY_FAULT)},
            "times": {"type": "integer", "minimum": 0},
            "match": _TEXT,
        },
        "required": ["name"],
        "additionalProperties": _SCALAR,
    }
    return {
        "aws": {
            "type": "object",
            "description": "Where bare names are.",
            "properties": {"account": {**_TEXT, "pattern": _ACCOUNT}, "region": {**_TEXT, "pattern": _REGION}},
            "additionalProperties": False,
        },
        "denied": {**_TEXTS, "description": "Names that are refused, as a missing permission would refuse them."},
        "faults": {"type": "array", "description": "What goes wrong.", "items": fault},
        "environment": {
            "type": "object",
            "description": "Variables that are set for the handler.",
            "properties": variables,
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": _SCALAR,
        },
    }
