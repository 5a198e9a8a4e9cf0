"""JSON Schemas: what they refer to, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = dict[str, Any]
"""A JSON Schema, or a part of one."""

_REFERENCE = "#/$defs/"


def find_definition(node: Node, definitions: Mapping[str, Node]) -> Node:
    """Give what the `$ref` of a schema leads to."""
    return definitions[str(node["$ref"]).removeprefix(_REFERENCE)]


def list_references(part: object) -> Iterator[str]:
    """List the names of the definitions that a part of a schema refers to."""
    if isinstance(part, dict):
        for key, value in cast("Node", part).items():
            if key == "$ref":
                yield str(value).removeprefix(_REFERENCE)
            else:
                yield from list_references(value)
    elif isinstance(part, list):
        for item in cast("list[object]", part):
            yield from list_references(item)


def resolve(node: Node, definitions: Mapping[str, Node]) -> Node:
    """Give a schema with what it refers to; of alternatives the first that is not null."""
    rest = {key: value for key, value in node.items() if key not in {"$ref", "allOf", "anyOf", "oneOf"}}
    parts: list[Node] = [*node.get("allOf", ())]
    if "$ref" in node:
        parts.append(find_definition(node, definitions))
    choices: list[Node] = node.get("anyOf") or node.get("oneOf") or []
    parts += [choice for choice in choices if choice.get("type") != "null"][:1]
    for part in parts:
        rest = _merge(resolve(part, definitions), rest)
    return rest


def _merge(below: Node, above: Node) -> Node:
    merged = {**below, **above}
    if "properties" in merged:
        merged["properties"] = {**below.get("properties", {}), **above.get("properties", {})}
        merged["required"] = [*below.get("required", ()), *above.get("required", ())]
    return merged
