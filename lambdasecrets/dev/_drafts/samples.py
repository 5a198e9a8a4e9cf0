"""Make up values that fit a JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lambdasecrets.dev._drafts.nodes import Node, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = "made-up"
_TEXTS: Mapping[str, str] = {
    "base64": "bWFkZS11cA==",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "name@example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "json-string": "{}",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""Made-up texts, by the formats of JSON Schema and of pydantic."""

_DEEPEST = 8
"""Objects and lists inside each other, of a type that has itself inside."""


def make_up(schema: Node, definitions: Mapping[str, Node], depth: int = 0) -> object:
    """Make up a value that fits a schema, as far as can be: a pattern, say, is not followed.

    Args:
        schema: a JSON Schema.
        definitions: what it may refer to.
        depth: how deep inside others it is.
    """
    node = resolve(schema, definitions)
    # Of an enumeration a text, if there is one: a text is what is read.
    choices = sorted(node.get("enum", ()), key=lambda choice: not isinstance(choice, str))
    given = [node.get("default"), node.get("const"), *node.get("examples", ()), *choices]
    known = [value for value in given if value is not None]
    kind = node.get("type")
    if known:
        return known[0]
    if kind == "object":
        return _make_up_object(node, definitions, depth + 1)
    if kind == "array":
        return _make_up_array(node, definitions, depth + 1)
    if kind in {"integer", "number"}:
        return _make_up_number(node)
    return False if kind == "boolean" else _make_up_text(node)


def _make_up_object(node: Node, definitions: Mapping[str, Node], depth: int) -> dict[str, object]:
    properties: Mapping[str, Node] = node.get("properties", {})
    others = node.get("additionalProperties")
    if not properties and isinstance(others, dict) and depth < _DEEPEST:
        properties = {"key": cast("Node", others)}
        return {key: make_up(part, definitions, depth) for key, part in properties.items()}
    return {key: make_up(properties[key], definitions, depth) for key in node.get("required", ()) if key in properties}


def _make_up_array(node: Node, definitions: Mapping[str, Node], depth: int) -> list[object]:
    if "prefixItems" in node:
        return [make_up(part, definitions, depth) for part in node["prefixItems"]]
    if depth >= _DEEPEST:  # a type that has itself inside
        return []
    return [make_up(node.get("items", {}), definitions, depth)] * max(1, node.get("minItems", 1))


def _make_up_number(node: Node) -> float:
    limits = cast("dict[str, float]", node)
    step = limits.get("multipleOf", 1)
    low = limits.get("minimum", limits.get("exclusiveMinimum", 0))
    high = limits.get("maximum", limits.get("exclusiveMaximum", low + step))
    first = -(-low // step) * step
    numbers = (0, first, first + step, high, high - step, (low + high) / 2)
    return next((number for number in numbers if _fits(number, limits, is_whole=node["type"] == "integer")), 0)


def _fits(number: float, limits: Mapping[str, float], *, is_whole: bool) -> bool:
    step = limits.get("multipleOf", 1 if is_whole else number or 1)
    return number % step == 0 and (
        limits.get("minimum", number) <= number <= limits.get("maximum", number)
        and limits.get("exclusiveMinimum", number - 1) < number < limits.get("exclusiveMaximum", number + 1)
    )


def _make_up_text(node: Node) -> str:
    text = _TEXTS.get(str(node.get("contentEncoding") or node.get("format")), _TEXT)
    return text.ljust(node.get("minLength", 0), "x")[: node.get("maxLength")]
