"""Members of a JSON object that are no texts. Loaded when `key=` takes the first such one.

A number is more than what a parser makes of it: 3.10 is not 3.1 where a text is declared, and a float holds neither
1e400 nor twenty digits.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from pydantic_core import SchemaValidator, ValidationError, to_json

from lambdasecrets._json import parse_json
from lambdasecrets._schemas import NOT_FOR_READING, has_foreign_function, nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import core_schema

    from lambdasecrets._schemas import Node

_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def write_member(document: str, key: str, member: object) -> str:
    """Give the JSON of a member as it is written in its document.

    Args:
        document: a JSON object.
        key: one of its members.
        member: what was parsed of it.
    """
    if isinstance(member, bool):
        return "true" if member else "false"
    if isinstance(member, int) and 0 < abs(member) < _FEW_DIGITS:
        return str(member)  # JSON has one way to write an integer, but for 0, which may be -0
    return copy_member(document, key)


_FEW_DIGITS = 10**18


def copy_member(document: str, key: str) -> str:
    """Give the JSON of a member, without white space. Its numbers keep the characters that they have there.

    Args:
        document: a JSON object that can be parsed.
        key: one of its members. Of a name twice the last one counts, as for any parser.
    """
    depth, member, copied = 0, list[str](), ""
    for part in _TOKENS.findall(document):
        depth -= part in "}]"
        if depth == 0 or (depth == 1 and part == ","):
            if member and parse_json(member[0]) == key:
                copied = "".join(map(_unescape, member[2:]))
            member = []
        else:
            member.append(part)
        depth += part in "{["
    return copied


def _unescape(part: str) -> str:
    return to_json(parse_json(part)).decode() if "\\" in part else part


class Members:
    """Reads members that are no texts, for one declared type.

    A number, true or false is read by its JSON, so that it becomes whatever pydantic makes of it: a Flag, a duration.
    It is read by its characters, as a text, where a text is declared; or a decimal number, which JSON would round; or
    what a function of the user's reads, which expects the text that it gets for any other value.

    Args:
        schema: of the declared type.
    """

    def __init__(self, schema: Mapping[str, object]) -> None:
        self._schema = schema
        self._scalars: _Scalars | None = None

    write = staticmethod(write_member)

    def choose_json(self, characters: str) -> str | None:
        """Give the JSON to read a scalar by; None where its characters are to be read as a text.

        Args:
            characters: a JSON number, or true or false, as it is written.
        """
        exact = write_exactly(characters)
        if exact is None:
            return None
        if self._scalars is None:
            self._scalars = _Scalars(self._schema)
        return None if self._scalars.are_texts(characters, exact) else exact


class _Scalars:
    """Knows whether a type reads a scalar as a text. See `Members`."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        # Without the user's functions, so that they run once, in the way that is chosen.
        pure = cast("core_schema.CoreSchema", _drop_functions(schema))
        self._pure = SchemaValidator(pure, {"cache_strings": "none", "hide_input_in_errors": True})
        self._prefers_text = any(map(_is_read_as_text, nodes(schema)))
        self._declares_text = any(node.get("type") == "str" for node in nodes(schema))

    def are_texts(self, characters: str, exact: str) -> bool:
        """Tell whether a scalar is to be read by its characters.

        Args:
            characters: the scalar as it is written.
            exact: the JSON to read it by otherwise.
        """
        if self._prefers_text:
            return self._fits_as_text(characters) or not self._fits_as_json(exact)
        return not self._fits_as_json(exact) and (self._declares_text or self._fits_as_text(characters))

    def _fits_as_text(self, characters: str) -> bool:
        return _fits(cast("Callable[[str], object]", self._pure.validate_strings), characters)

    def _fits_as_json(self, characters: str) -> bool:
        return _fits(self._pure.validate_json, characters)


def write_exactly(characters: str) -> str | None:
    """Write a scalar so that no parser makes another value of it.

    Returns:
        The same number, as an integer where it is one; None for a number that a float would make an integer, such as
        1e-400.
    """
    if _INTEGER.fullmatch(characters):
        return "-0.0" if characters == "-0" else characters
    try:
        number = Decimal(characters)
    except InvalidOperation:  # true or false; or an exponent of many digits
        return characters if characters.isalpha() else None
    if not number.is_finite() or not number or number.adjusted() > _LARGEST_EXPONENT:
        return characters
    if number == number.to_integral_value():
        return f"{number:.0f}"
    return None if float(characters).is_integer() else characters


_INTEGER = re.compile(r"-?\d+")
_LARGEST_EXPONENT = 308
"""Of a float; what is larger has more digits than anyone means."""


def _fits(validate: Callable[[str], object], characters: str) -> bool:
    try:
        validate(characters)
    except ValidationError:
        return False
    return True


def _drop_functions(part: object) -> object:
    """Copy a schema without the functions that are not pydantic's own, and without models, which bring theirs."""
    if isinstance(part, (list, tuple)):
        items = [_drop_functions(item) for item in cast("Iterable[object]", part)]
        return tuple(items) if isinstance(part, tuple) else items  # a choice and its label are a tuple
    if not isinstance(part, dict):
        return part
    node = cast("Node", part)
    if node.get("type") == "model" or has_foreign_function(node):
        inner = cast("Node", _drop_functions(node.get("schema", {"type": "any"})))
        return {**inner, "ref": node["ref"]} if "ref" in node else inner
    return {name: _drop_functions(item) for name, item in node.items() if name not in NOT_FOR_READING}


_EXACT = frozenset({"decimal", "fraction"})


def _is_read_as_text(node: Node) -> bool:
    is_after = node.get("type") == "function-after"
    is_coerced = node.get("coerce_numbers_to_str") is True
    is_exact = node.get("type") in _EXACT or node.get("cls") is Fraction  # the latter in pydantic up to 2.13
    return is_exact or is_coerced or (has_foreign_function(node) and not is_after)
