"""Looking into pydantic's schemas: their parts, and whose the functions are that they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Node = dict[str, Any]
"""A part of a schema."""

NOT_FOR_READING = frozenset({"serialization", "metadata"})
"""What a schema has beside what it reads by."""


def nodes(part: object) -> Iterator[Node]:
    """List every part of a schema that takes part in reading."""
    if isinstance(part, dict):
        node = cast("Node", part)
        yield node
        part = [item for name, item in node.items() if name not in NOT_FOR_READING]
    if isinstance(part, (list, tuple)):
        for item in cast("Iterable[object]", part):
            yield from nodes(item)


def function_of(node: Node) -> object:
    """Give the function that a part of a schema runs, a partial taken off; None where it runs none."""
    if not str(node.get("type")).startswith("function-"):
        return None
    function: object = node["function"]["function"]
    return getattr(function, "func", function)


def has_foreign_function(node: Node) -> bool:
    """Tell whether a part of a schema runs a function that is not pydantic's own."""
    function = function_of(node)
    module = getattr(function, "__module__", None) or ""
    return function is not None and module.partition(".")[0] not in {"pydantic", "pydantic_core"}
