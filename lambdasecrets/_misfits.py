"""From what validating found wrong to what may be shown of it. Loaded when the first value does not fit.

What validating finds quotes its input, and so may everything that a validator of the user's raises. Here is decided
what of it comes from the declared type; nothing else is passed on.
"""

from __future__ import annotations

import builtins
import signal
from decimal import Decimal
from typing import TYPE_CHECKING, get_args

from pydantic_core import ValidationError, core_schema

from lambdasecrets import _words
from lambdasecrets._json import find_fault, parse_json
from lambdasecrets._places import Map, Place, Walk
from lambdasecrets.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

    from lambdasecrets._json import JsonFault

_MOST_PROBLEMS = 100
"""More are not looked at: a long list of what does not fit has ten thousands of them, and all are the same."""

_ERROR_TYPES = frozenset(get_args(core_schema.ErrorType))


def find_problems(error: Exception, schema: Mapping[str, object], data: object) -> list[Problem]:
    """List what may be shown of an error that validating raised: the first hundred things that it is about.

    Args:
        error: the error, which may quote the value.
        schema: of the declared type.
        data: what was validated: a text, bytes, or a config model's fields.
    """
    try:
        if not isinstance(error, ValidationError):
            return [Problem((), _name(error))]
        items = error.errors(include_url=False, include_context=False)
        return list(map(_Inspector(schema, data).read, items[:_MOST_PROBLEMS]))
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
    method: object = type(function).__call__
    return getattr(function, "__code__", getattr(method, "__code__", handler))


def _name(error: Exception) -> str:
    # The name of a class may be made of a value, unless the class is Python's own.
    kind = type(error)
    return kind.__name__ if getattr(builtins, kind.__name__, None) is kind else _words.FOREIGN_EXCEPTION


# --- What ------------------------------------------------------------------------------------------------------------


class _Inspector:
    """Looks at what validating found, one thing after the other.

    Args:
        schema: of the declared type.
        data: what was validated.
    """

    def __init__(self, schema: Mapping[str, object], data: object) -> None:
        self._map, self._data = Map(schema), data
        self._parsed = parse_json(data) if isinstance(data, str) else data

    def read(self, item: ErrorDetails) -> Problem:
        """Give what may be shown of a thing that was found."""
        walk = Walk(self._map, self._parsed, item["loc"])
        # A validator can raise PydanticCustomError with any text as its type, its input included.
        kind = item["type"] if item["type"] in _ERROR_TYPES else "custom_error"
        if kind == "json_invalid":
            return Problem(walk.shown, kind, self._explain_text(walk.place) if not item["loc"] else "")
        detail = _explain_kind(kind, item["input"], walk)
        if not item["loc"] and isinstance(self._data, str) and self._data.startswith(_BOM):
            detail = f"{detail or _words.describe((), kind)}; {_BEGINS_WITH_BOM}"
        return Problem(walk.shown, kind, detail)

    def _explain_text(self, place: Place) -> str:
        # By another look at the text: a validator can raise pydantic's own error with any words of its own.
        text = self._data if isinstance(self._data, str) else ""
        fault = find_fault(text)
        if fault is None:
            return ""
        is_other_list = place.is_list and not place.is_object and text.lstrip()[:1] not in _OPENING
        return _explain_fault(text, fault) + (_SPLIT_BY_A_VALIDATOR if is_other_list else "")


def _explain_kind(kind: str, came: object, walk: Walk) -> str:
    """Say of which JSON kind a value is, and which was declared. The kind of a value is no secret."""
    declared, found = _words.expect(kind), _kind_of(came)
    if declared is None or not found or found == declared:
        return ""
    is_whole_json = not walk.shown and declared in {"a list", "an object"}
    twice = _ENCODED_TWICE if declared in {"a list", "an object"} and _is_encoded_json(came) else ""
    hint = _ONE_TYPE_FOR_ALL if walk.is_in_dict else ""
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
_BEGINS_WITH_BOM = "it begins with a byte order mark (BOM)"
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


def _explain_fault(text: str, fault: JsonFault) -> str:
    if text.startswith(_BOM):
        cause = _BEGINS_WITH_BOM
    elif not text.strip():
        cause = "it is empty"
    else:
        cause = _name_cause(text, fault)
    return f"is no JSON: {cause} at line {fault.line} column {fault.column}"


def _name_cause(text: str, fault: JsonFault) -> str:
    if fault.cause.startswith("EOF"):
        return "it ends too soon"
    at = _byte_at(text, fault)
    if fault.cause.startswith("control character"):
        return f"{_CONTROLS.get(at, 'a control character')} inside a text"
    if at == b"'" and text.lstrip()[:1] in _OPENING:
        return "single quotes where JSON has double quotes"
    return _CAUSES.get(fault.cause, "not as JSON is written")


def _byte_at(text: str, fault: JsonFault) -> bytes:
    if fault.column == 0:
        return b"\n"
    line = text.encode(errors="replace").split(b"\n")[fault.line - 1]
    return line[fault.column - 1 : fault.column]
