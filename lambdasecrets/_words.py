"""What each type of error means, in words. Loaded when the first value does not fit."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FOREIGN_EXCEPTION = "foreign_exception"
"""In the place of the name of an exception class that is not Python's own: a name can be made of a value."""

_KINDS = {
    "an object": """
        dict_type frozen_dict_type ordered_dict_type counter_type mapping_type model_type model_attributes_type
        dataclass_type dataclass_exact_type arguments_type
    """,
    "a list": """
        list_type tuple_type set_type frozen_set_type deque_type iterable_type named_tuple_type
    """,
    "a text": "string_type string_sub_type json_type",
    "true or false": "bool_type",
    "a whole number": "int_type",
    "a number": "float_type decimal_type fraction_type complex_type",
    "bytes": "bytes_type",
    "a date": "date_type",
    "a time": "time_type",
    "a date and time": "datetime_type",
    "a duration": "time_delta_type",
    "a URL": "url_type",
    "a UUID": "uuid_type",
    "null": "none_required",
}
_KIND_OF_TYPE = {name: kind for kind, names in _KINDS.items() for name in names.split()}

_WORDS = {
    "no such attribute": "no_such_attribute",
    "is no JSON": "json_invalid",
    "refers to itself": "recursion_loop",
    "nested too deeply": "recursion_depth_exceeded",
    "cannot be set": "frozen_field frozen_instance",
    "a member that is not declared": "extra_forbidden unexpected_keyword_argument",
    "a key that is no text": "invalid_key",
    "an attribute cannot be read": "get_attribute_error",
    "its default needs another member, which does not fit": "default_factory_not_called",
    "too small": "greater_than greater_than_equal",
    "too large": "less_than less_than_equal",
    "not a multiple of what is declared": "multiple_of",
    "not a finite number": "finite_number",
    "too short": "too_short",
    "too long": "too_long",
    "cannot be iterated": "iteration_error",
    "not Unicode": "string_unicode bytes_invalid_encoding",
    "a text that is too short": "string_too_short bytes_too_short",
    "a text that is too long": "string_too_long bytes_too_long url_too_long",
    "not of the declared pattern": "string_pattern_mismatch",
    "not ASCII": "string_not_ascii",
    "not one of the values that are declared": "enum literal_error missing_sentinel_error ellipsis_error",
    "an item that a set cannot hold": "set_item_not_hashable",
    "neither true nor false": "bool_parsing",
    "not a whole number": "int_parsing int_from_float",
    "a whole number with too many digits": "int_parsing_size",
    "not a number": "float_parsing decimal_parsing fraction_parsing complex_str_parsing",
    "refused by a validator": "value_error assertion_error custom_error",
    "not a date": "date_parsing date_from_datetime_parsing",
    "a date with a time": "date_from_datetime_inexact",
    "not in the past": "date_past datetime_past",
    "not in the future": "date_future datetime_future",
    "not a time": "time_parsing",
    "not a date and time": "datetime_parsing datetime_from_date_parsing datetime_object_invalid",
    "has a time zone": "timezone_naive",
    "has no time zone": "timezone_aware",
    "another time zone than declared": "timezone_offset",
    "not a duration": "time_delta_parsing",
    "of none of the kinds that are declared": "union_tag_invalid",
    "does not say of which kind it is": "union_tag_not_found",
    "an item too many": "unexpected_positional_argument",
    "given twice": "multiple_argument_values",
    "not a URL": "url_parsing url_syntax_violation",
    "not a URL of a declared scheme": "url_scheme",
    "not a UUID": "uuid_parsing",
    "not a UUID of the declared version": "uuid_version",
    "a number with too many digits": "decimal_max_digits decimal_max_places decimal_whole_digits",
    "is JSON, but no object": "no_json_object",
    "has neither a text nor bytes": "no_text_value",
    "is binary, and read as bytes or SecretBytes only": "secret_is_binary",
    "an object of Python is declared, which no text can be": (
        "needs_python_object is_instance_of is_subclass_of callable_type"
    ),
    "raised by the declared type, or by one of its validators": FOREIGN_EXCEPTION,
}
_WORDS_OF_TYPE = {name: words for words, names in _WORDS.items() for name in names.split()}
_MISSING = frozenset(
    {"missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument"}
)
_FAULTS_OF_THE_TYPE = frozenset({"needs_python_object", "is_instance_of", "is_subclass_of", "callable_type"})


def describe(location: tuple[str | int, ...], kind: str) -> str:
    """Say in words what an error type means. Empty for a type that is not known here.

    Args:
        location: where it is, as it may be shown.
        kind: pydantic's error type, one of this library's, or the name of an exception of Python's.
    """
    if kind in _MISSING:
        return _describe_absence(location)
    if kind in _KIND_OF_TYPE:
        return f"not {_KIND_OF_TYPE[kind]}"
    return _WORDS_OF_TYPE[FOREIGN_EXCEPTION if is_exception(kind) else kind] if is_known(kind) else ""


def is_known(kind: str) -> bool:
    """Tell whether there are words for an error type."""
    return kind in _MISSING or kind in _KIND_OF_TYPE or kind in _WORDS_OF_TYPE or is_exception(kind)


def expect(kind: str) -> str | None:
    """Name what an error type says was declared, such as "a text". None where it is about something else."""
    return _KIND_OF_TYPE.get(kind)


def is_exception(kind: str) -> bool:
    """Tell whether an error type is the name of an exception of Python's."""
    found = getattr(builtins, kind, None)
    return isinstance(found, type) and issubclass(found, Exception)


def blames_the_type(kind: str) -> bool:
    """Tell whether an error says something of the declared type, whatever the value is."""
    return kind in _FAULTS_OF_THE_TYPE or kind == FOREIGN_EXCEPTION or is_exception(kind)


def advise(kinds: Sequence[str]) -> str:
    """Say what to do about errors of these types."""
    if any(map(blames_the_type, kinds)):
        return _CORRECT_THE_TYPE
    return _ADVICE.get(kinds[0], _CORRECT) if kinds else _CORRECT


_CORRECT = "Correct the value in AWS, or the declared type."
_CORRECT_THE_TYPE = (
    "Correct the declared type or its validators, not the value: a validator refuses a value by raising ValueError."
)
_ADVICE = {
    "no_text_value": "Where a Parameter refers to a secret, declare the secret itself: Secret(...).",
    "secret_is_binary": "Declare it as bytes or SecretBytes, without key=.",
}
"""Where there is only one error, which is not about what the value says."""


def _describe_absence(location: tuple[str | int, ...]) -> str:
    name = location[-1] if location else "*"
    if isinstance(name, int):
        return "has too few items"
    return "lacks a member" if name == "*" else f"has no member {name!r}"
