"""Places in a declared type: what of the way to a misfit is named by the type, and what comes from the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lambdasecrets._schemas import Node

Location = tuple[int | str, ...]

UNNAMED = "*"
"""In the place of a name that may come from the value."""


class Field(NamedTuple):
    """A field of a model, a dataclass, a typed dict or a named tuple.

    Attributes:
        way: the part of a location that leads to it: its name, its alias, or the path of its alias.
        name: its name.
        schema: how it is read.
    """

    way: Location
    name: str
    schema: Node


class Place:
    """What is declared at one place, whatever is wrapped around it.

    Args:
        nodes: the schemas of this place.
        definitions: the schemas that others refer to.
    """

    def __init__(self, nodes: Sequence[Node], definitions: Mapping[str, Node]) -> None:
        lists = [node for node in nodes if node["type"] in _LISTS]
        self.is_list = len(lists) > 0
        self.is_object = any(node["type"] in _OBJECTS or "values_schema" in node for node in nodes)
        self.fields: dict[int | str, list[Field]] = {}
        for field in (field for node in nodes for field in _fields(node)):
            self.fields.setdefault(field.way[0], []).append(field)
        self.choices = [choice for node in nodes for choice in _choices(node, definitions)]
        self.items = [item for node in lists for item in _items(node)]
        self.values = [node[name] for node in nodes for name in _VALUES if name in node]
        self.length = max(map(_count_declared_items, lists), default=0)


class Map:
    """Knows the places of a declared type. Each is looked at once, however many errors are about it.

    Args:
        schema: of the declared type.
    """

    def __init__(self, schema: Mapping[str, object]) -> None:
        self.root = cast("Node", schema)
        self._definitions: dict[str, Node] = {}
        self._places: dict[tuple[int, ...], Place] = {}

    def find(self, schemas: Sequence[Node]) -> Place:
        """Give the place where these schemas are declared."""
        known = tuple(map(id, schemas))
        if known not in self._places:
            self._places[known] = Place(self._unwrap(schemas), self._definitions)
        return self._places[known]

    def _unwrap(self, schemas: Iterable[Node]) -> list[Node]:
        found: dict[int, Node] = {}
        waiting = list(schemas)
        while waiting:
            node = waiting.pop()
            if id(node) in found:
                continue
            found[id(node)] = node
            self._definitions.update((item["ref"], item) for item in node.get("definitions", ()))
            if node["type"] == "definition-ref" and node["schema_ref"] in self._definitions:
                waiting.append(self._definitions[node["schema_ref"]])
            waiting.extend(_list_wrapped(node))
        return list(found.values())


class Walk:
    """Follows a location through a type, and through the data, to tell what of it may be shown.

    A validator of the user's can raise any location, such as that of a dict whose keys are PINs. So a name is shown
    where the type has it at this place, and an index where the type has a list here that is as long.

    Args:
        type_map: of the declared type.
        data: what was validated, parsed.
        location: where pydantic found something.

    Attributes:
        shown: the location, `*` for each part that the type does not name.
        place: where it leads to.
        is_in_dict: whether that is a value of a dict.
    """

    def __init__(self, type_map: Map, data: object, location: Location) -> None:
        self._map = type_map
        self.shown: Location = ()
        self.is_in_dict = False
        self._enter([type_map.root], data)
        while location:
            self.is_in_dict = False
            entered = (
                self._enter_field(location)
                or self._enter_choice(location[0])
                or self._enter_item(location[0])
                or self._enter_unnamed(location[0])
            )
            self.shown += entered
            location = location[len(entered) :]

    def _enter(self, schemas: Sequence[Node], data: object) -> None:
        self.place, self._data = self._map.find(schemas), data

    def _enter_field(self, location: Location) -> Location:
        named = self.place.fields.get(location[0], ())
        fields = [field for field in named if location[: len(field.way)] == field.way]
        if not fields:
            return ()
        longest = max(fields, key=lambda field: len(field.way))
        data = self._data
        for part in longest.way:
            data = _member(data, part)
        # A config model's fields come by their names, whatever their aliases.
        self._enter([field.schema for field in fields], _member(self._data, longest.name) if data is None else data)
        return longest.way

    def _enter_choice(self, label: int | str) -> Location:
        chosen = [choice for labels, choice in self.place.choices if label in labels]
        if not chosen:
            return ()
        self._enter(chosen, self._data)
        return (label,)

    def _enter_item(self, index: int | str) -> Location:
        if not isinstance(index, int) or not self.place.is_list:
            return ()
        length = max(_length(self._data), self.place.length)
        self._enter(self.place.items, _member(self._data, index))
        return (index if 0 <= index < length else UNNAMED,)

    def _enter_unnamed(self, part: int | str) -> Location:
        if self.place.choices:
            # A union's location begins with a label, here one that pydantic makes up, such as list[int].
            self._enter([choice for _, choice in self.place.choices], self._data)
        else:
            self.is_in_dict = True
            self._enter(self.place.values, _member(self._data, part))
        return (UNNAMED,)


_VALUES = ("values_schema", "extras_schema")
_NAMED_LISTS = frozenset({"named-tuple", "arguments"})
_LISTS = frozenset({"list", "tuple", "set", "frozenset", "deque", "generator"}) | _NAMED_LISTS
_OBJECTS = frozenset({"model-fields", "dataclass-args", "typed-dict"})
_WRAPPED = ("schema", "json_schema", "lax_schema", "python_schema", "strict_schema", "arguments_schema")


def _list_wrapped(node: Node) -> Iterator[Node]:
    """List the schemas of the same place that a schema is made of."""
    yield from (node[name] for name in _WRAPPED if isinstance(node.get(name), dict))
    yield from node.get("steps", ())
    yield from (choice for _, choice in _choices(node, {}))


def _choices(node: Node, definitions: Mapping[str, Node]) -> Iterator[tuple[set[object], Node]]:
    """List the choices of a union, each with the labels that pydantic may put into a location for it."""
    choices: dict[object, Node] | list[Node | tuple[Node, str]] = node.get("choices", [])
    if isinstance(choices, dict):
        yield from (({tag, str(tag)}, choice) for tag, choice in choices.items())
        return
    for item in choices:
        choice, label = item if isinstance(item, tuple) else (item, None)
        target = definitions.get(str(choice.get("schema_ref")), choice)
        yield {label, target["type"], getattr(target.get("cls"), "__name__", None)}, choice


def _fields(node: Node) -> Iterator[Field]:
    if node["type"] not in _OBJECTS | _NAMED_LISTS:
        return
    listed: dict[str, Node] | list[Node] = node.get("fields") or node.get("arguments_schema") or []
    pairs = listed.items() if isinstance(listed, dict) else ((str(item["name"]), item) for item in listed)
    for name, field in pairs:
        yield from (Field(way, name, field["schema"]) for way in _ways(name, field))


def _ways(name: str, field: Node) -> Iterator[Location]:
    yield (name,)
    alias = field.get("validation_alias", field.get("alias"))
    if isinstance(alias, str):
        yield (alias,)
    elif alias:
        # One path, or several of them.
        yield from map(tuple, alias if isinstance(alias[0], list) else [alias])


def _items(node: Node) -> list[Node]:
    items = node.get("items_schema", ())
    return [items] if isinstance(items, dict) else [*items, *(field.schema for field in _fields(node))]


def _count_declared_items(node: Node) -> int:
    """Say how many items a schema declares one by one, so that one of them can be missing."""
    is_open = isinstance(node.get("items_schema"), dict) or "variadic_item_index" in node
    return 0 if is_open else len(_items(node))


def _length(data: object) -> int:
    return len(cast("list[object]", data)) if isinstance(data, list) else 0


def _member(data: object, part: int | str) -> object:
    if isinstance(data, dict):
        return cast("dict[object, object]", data).get(part)
    items = cast("list[object]", data) if isinstance(data, list) else []
    return items[part] if isinstance(part, int) and 0 <= part < len(items) else None
