"""From what validating found wrong to what may be shown of it. Loaded when the first value does not fit.

What validating finds quotes its input, and so may everything that a validator of the user's raises. Here is decided
what of it comes from the declared type; nothing else is passed on.
"""

from __future__ import annotations

import builtins
import signal
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic_core import ValidationError, core_schema

from lambdasecrets import _words
from lambdasecrets._json import find_fault, parse_json
from lambdasecrets.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lambdasecrets._json import Fault

Location = tuple[int | str, ...]
Node = dict[str, Any]
"""A part of a schema of pydantic's."""

_UNNAMED = "*"
"""In the place of a name that may come from the value."""

_ERROR_TYPES = frozenset(get_args(core_schema.ErrorType))


def find_problems(error: Exception, schema: Mapping[str, Any], data: object) -> list[Problem]:
    """List what may be shown of an error that validating raised.

    Args:
        error: the error, which may quote the value.
        schema: of the declared type.
        data: what was validated: a text, bytes, or a config model's fields.
    """
    try:
        if not isinstance(error, ValidationError):
            return [Problem((), _name(error))]
        items = cast("list[dict[str, Any]]", error.errors(include_url=False, include_context=False))
        return [_read_item(item, schema, data) for item in items]
    except Exception as problem:  # what a validator put into an error may raise when it is looked at
        if is_from_signal_handler(problem):
            raise
        return [Problem((), _words.FOREIGN_EXCEPTION)]


def explain_no_object(text: str) -> Problem:
    """Say why a text has no members: it is no JSON, or JSON of another kind."""
    fault = find_fault(text)
    if fault is not None:
        return Problem((), "json_invalid", _explain_fault(text, fault) + _MEMBER_OF_AN_OBJECT)
    parsed = parse_json(text)
    twice = _ENCODED_TWICE if _is_encoded_json(parsed) else ""
    return Problem((), "no_json_object", f"is JSON, but {_kind_of(parsed)}{twice}{_MEMBER_OF_AN_OBJECT}")


def is_from_signal_handler(error: BaseException) -> bool:
    """Tell whether a signal's handler raised an error, which is then neither the value's nor the type's."""
    if isinstance(error, ValidationError):
        return False
    handlers = {_code_of(handler) for handler in map(signal.getsignal, signal.valid_signals()) if callable(handler)}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: Callable[..., object]) -> object:
    function = getattr(handler, "func", handler)  # a partial's own
    method: Any = type(function).__call__
    return getattr(function, "__code__", getattr(method, "__code__", handler))


def _name(error: Exception) -> str:
    # The name of a class may be made of a value, unless the class is Python's own.
    kind = type(error)
    return kind.__name__ if getattr(builtins, kind.__name__, None) is kind else _words.FOREIGN_EXCEPTION


# --- Where -----------------------------------------------------------------------------------------------------------


class _Walk:
    """Follows a location through a schema, and through the data, to tell what of it the declared type names.

    A validator of the user's can raise any location, such as that of a dict whose keys are PINs. So a name is shown
    where the schema has it at this place, and an index where the schema has a list here that is as long.

    Args:
        schema: of the declared type.
        data: what was validated, parsed.
    """

    def __init__(self, schema: Mapping[str, Any], data: object) -> None:
        self.shown: Location = ()
        self.is_member_of_dict = False
        self._definitions: dict[str, Node] = {}
        self._enter([cast("Node", schema)], data)

    def follow(self, location: Location) -> None:
        """Go on to a place."""
        while location:
            self.is_member_of_dict = False
            entered = (
                self._enter_field(location)
                or self._enter_choice(location[0])
                or self._enter_item(location[0])
                or self._enter_unnamed(location[0])
            )
            self.shown += entered
            location = location[len(entered) :]

    def reads_a_list(self) -> bool:
        """Tell whether a list, and nothing else, is declared here."""
        return any(map(_is_list, self.nodes)) and not any(map(_is_object, self.nodes))

    def _enter(self, schemas: Iterable[Node], data: object) -> None:
        self.data: object = data
        self.nodes: list[Node] = []
        waiting = list(schemas)
        while waiting:
            node = waiting.pop()
            if any(node is known for known in self.nodes):
                continue
            self.nodes.append(node)
            self._definitions.update((item["ref"], item) for item in node.get("definitions", ()))
            if node["type"] == "definition-ref" and node["schema_ref"] in self._definitions:
                waiting.append(self._definitions[node["schema_ref"]])
            waiting.extend(_parts(node))

    def _enter_field(self, location: Location) -> Location:
        fields = [field for node in self.nodes for field in _fields(node) if location[: len(field[0])] == field[0]]
        if not fields:
            return ()
        path, name, _ = max(fields, key=lambda field: len(field[0]))
        data = self.data
        for part in path:
            data = _member(data, part)
        # A config model's fields come by their names, whatever their aliases.
        self._enter([schema for _, _, schema in fields], _member(self.data, name) if data is None else data)
        return path

    def _enter_choice(self, label: int | str) -> Location:
        chosen = [choice for node in self.nodes for labels, choice in self._choices(node) if label in labels]
        if not chosen:
            return ()
        self._enter(chosen, self.data)
        return (label,)

    def _choices(self, node: Node) -> Iterator[tuple[set[object], Node]]:
        """List the choices of a union, each with the labels that pydantic may put into a location for it."""
        choices = node.get("choices", ())
        if isinstance(choices, dict):
            yield from (({tag, str(tag)}, choice) for tag, choice in cast("dict[object, Node]", choices).items())
            return
        for item in choices:
            choice, label = cast("tuple[Node, str]", item) if isinstance(item, tuple) else (cast("Node", item), None)
            target = self._definitions.get(str(choice.get("schema_ref")), choice)
            yield {label, target["type"], getattr(target.get("cls"), "__name__", None)}, choice

    def _enter_item(self, index: int | str) -> Location:
        lists = [node for node in self.nodes if _is_list(node)]
        if not isinstance(index, int) or not lists:
            return ()
        length = max(_length(self.data), *map(_count_declared_items, lists))
        self._enter([item for node in lists for item in _items(node)], _member(self.data, index))
        return (index if 0 <= index < length else _UNNAMED,)

    def _enter_unnamed(self, part: int | str) -> Location:
        choices = [choice for node in self.nodes for _, choice in self._choices(node)]
        if choices:
            # A union's location begins with a label, here one that pydantic makes up, such as list[int].
            self._enter(choices, self.data)
        else:
            self.is_member_of_dict = True
            self._enter(
                [node[name] for node in self.nodes for name in _VALUES if name in node], _member(self.data, part)
            )
        return (_UNNAMED,)


_VALUES = ("values_schema", "extras_schema")
_NAMED_LISTS = frozenset({"named-tuple", "arguments"})
_LISTS = frozenset({"list", "tuple", "set", "frozenset", "deque", "generator"}) | _NAMED_LISTS
_OBJECTS = frozenset({"model-fields", "dataclass-args", "typed-dict"})
_WRAPPED = ("schema", "json_schema", "lax_schema", "python_schema", "strict_schema", "arguments_schema")


def _is_list(node: Node) -> bool:
    return node["type"] in _LISTS


def _is_object(node: Node) -> bool:
    return node["type"] in _OBJECTS or "values_schema" in node


def _parts(node: Node) -> Iterator[Node]:
    """List the schemas of the same place that a schema is made of."""
    yield from (node[name] for name in _WRAPPED if isinstance(node.get(name), dict))
    yield from node.get("steps", ())
    choices: dict[Any, Any] | list[Any] = node.get("choices", [])
    listed = choices.values() if isinstance(choices, dict) else choices
    yield from (cast("tuple[Node, str]", choice)[0] if isinstance(choice, tuple) else choice for choice in listed)


def _fields(node: Node) -> Iterator[tuple[Location, str, Node]]:
    """List the fields of an object: each way that a location may lead to one, its name, and its schema."""
    if node["type"] not in _OBJECTS | _NAMED_LISTS:
        return
    listed: dict[str, Node] | list[Node] = node.get("fields") or node.get("arguments_schema") or []
    pairs = listed.items() if isinstance(listed, dict) else ((str(item["name"]), item) for item in listed)
    for name, field in pairs:
        yield from ((way, name, field["schema"]) for way in _ways(name, field))


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
    return [items] if isinstance(items, dict) else [*items, *(schema for _, _, schema in _fields(node))]


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


# --- What ------------------------------------------------------------------------------------------------------------


def _read_item(item: dict[str, Any], schema: Mapping[str, Any], data: object) -> Problem:
    walk = _Walk(schema, parse_json(data) if isinstance(data, str) else data)
    walk.follow(item["loc"])
    # A validator can raise PydanticCustomError with any text as its type, its input included.
    kind = item["type"] if item["type"] in _ERROR_TYPES else "custom_error"
    if kind == "json_invalid":
        return Problem(walk.shown, kind, _explain_text(data, walk) if not item["loc"] else "")
    return Problem(walk.shown, kind, _explain_kind(kind, item["input"], walk))


def _explain_text(data: object, walk: _Walk) -> str:
    # By another look at the text: a validator can raise pydantic's own error with any words of its own.
    text = data if isinstance(data, str) else ""
    fault = find_fault(text)
    if fault is None:
        return ""
    is_other_list = walk.reads_a_list() and text.lstrip()[:1] not in _OPENING
    return _explain_fault(text, fault) + (_SPLIT_BY_A_VALIDATOR if is_other_list else "")


def _explain_kind(kind: str, came: object, walk: _Walk) -> str:
    """Say of which JSON kind a value is, and which was declared. The kind of a value is no secret."""
    declared, found = _words.expect(kind), _kind_of(came)
    if declared is None or not found or found == declared:
        return ""
    is_whole_json = not walk.shown and declared in {"a list", "an object"}
    twice = _ENCODED_TWICE if declared in {"a list", "an object"} and _is_encoded_json(came) else ""
    hint = _ONE_TYPE_FOR_ALL if walk.is_member_of_dict else ""
    return f"{'is JSON, but ' if is_whole_json else ''}{found} where {declared} is declared{twice}{hint}"


_OPENING = ("{", "[")
"""How a document begins that is meant to be a JSON object or list."""
_MEMBER_OF_AN_OBJECT = "; key= takes a member of a JSON object"
_ENCODED_TWICE = "; the text in it is JSON: it was encoded twice"
_ONE_TYPE_FOR_ALL = "; declare a model, or take a member by key="
_SPLIT_BY_A_VALIDATOR = "; only a StringList is split at commas, any other text by a validator, such as PlainValidator"


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    return next((kind for kind, types in _KINDS.items() if isinstance(value, types)), "")


_KINDS: dict[str, tuple[type, ...]] = {
    "true or false": (bool,),
    "a number": (int, float, Decimal),
    "a text": (str,),
    "bytes": (bytes,),
    "a list": (list, tuple, set, frozenset),
    "an object": (dict,),
}


def _is_encoded_json(value: object) -> bool:
    return isinstance(value, str) and isinstance(parse_json(value), (dict, list))


# --- Why it is no JSON -----------------------------------------------------------------------------------------------

_BOM = "\ufeff"
_CAUSES = {
    "trailing comma": "a trailing comma",
    "key must be a string": "a name without double quotes",
    "expected `:`": "a colon is missing",
    "expected `,` or `}`": "a comma or a closing brace is missing",
    "expected `,` or `]`": "a comma or a closing bracket is missing",
    "trailing characters": "something follows the JSON",
    "expected value": "no JSON value",
    "expected ident": "no JSON value",
    "invalid number": "no number as JSON writes it",
    "number out of range": "a number with too many digits",
    "recursion limit exceeded": "nested too deeply",
    "invalid escape": "no escape that JSON has",
    "unexpected end of hex escape": "half an escaped character",
    "lone leading surrogate in hex escape": "half an escaped character",
    "invalid unicode code point": "no character of Unicode",
}
"""The parser's own words, none of which quotes anything, in plainer ones."""
_CONTROLS = {b"\n": "a raw line break", b"\r": "a raw line break", b"\t": "a raw tab"}


def _explain_fault(text: str, fault: Fault) -> str:
    if text.startswith(_BOM):
        cause = "it begins with a byte order mark (BOM)"
    elif not text.strip():
        cause = "it is empty"
    else:
        cause = _name_cause(text, fault)
    return f"is no JSON: {cause} at line {fault.line} column {fault.column}"


def _name_cause(text: str, fault: Fault) -> str:
    if fault.cause.startswith("EOF"):
        return "it ends too soon"
    at = _byte_at(text, fault)
    if fault.cause.startswith("control character"):
        return f"{_CONTROLS.get(at, 'a control character')} inside a text"
    if at == b"'" and text.lstrip()[:1] in _OPENING:
        return "single quotes where JSON has double quotes"
    return _CAUSES.get(fault.cause, "not as JSON is written")


def _byte_at(text: str, fault: Fault) -> bytes:
    if fault.column == 0:
        return b"\n"
    line = text.encode(errors="replace").split(b"\n")[fault.line - 1]
    return line[fault.column - 1 : fault.column]
