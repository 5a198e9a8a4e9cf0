from typing import get_args

import pytest
from pydantic_core import core_schema

from lambdasecrets._words import FOREIGN_EXCEPTION, advise, blames_the_type, describe, expect, is_exception

TYPES = get_args(core_schema.ErrorType)
OWN = ("no_json_object", "no_text_value", "secret_is_binary", "custom_error", FOREIGN_EXCEPTION)


@pytest.mark.parametrize("kind", [*TYPES, *OWN])
def test_every_type_has_its_words(kind: str) -> None:
    """Each error type that pydantic knows, and each of this library's, is said in words."""
    assert describe((), kind) != ""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int_parsing", "not a whole number"),
        ("bool_parsing", "neither true nor false"),
        ("string_type", "not a text"),
        ("model_type", "not an object"),
        ("enum", "not one of the values that are declared"),
        ("extra_forbidden", "a member that is not declared"),
        ("of_tomorrow", ""),
    ],
)
def test_words(kind: str, expected: str) -> None:
    """What pydantic calls by a name of its own is said in plain words; what is not known yet, in none."""
    assert expected == describe((), kind)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("api_key",), "has no member 'api_key'"),
        (("database", "host"), "has no member 'host'"),
        (("*",), "lacks a member"),
        ((), "lacks a member"),
        (("pair", 1), "has too few items"),
    ],
)
def test_absence(location: tuple[str | int, ...], expected: str) -> None:
    """What is missing is named, unless its name may come from the value."""
    assert expected == describe(location, "missing")


def test_what_was_declared() -> None:
    """An error about a kind of value names the kind that was declared."""
    assert [expect(kind) for kind in ("string_type", "set_type", "int_parsing")] == ["a text", "a list", None]


@pytest.mark.parametrize(
    ("kind", "is_fault"),
    [
        ("TypeError", True),
        ("KeyError", True),
        (FOREIGN_EXCEPTION, True),
        ("is_instance_of", True),
        ("int_parsing", False),
        ("value_error", False),
        ("print", False),
        ("KeyboardInterrupt", False),
    ],
)
def test_whose_fault(kind: str, is_fault: bool) -> None:
    """An exception other than ValueError, or a type that no text can become, is a fault of the declared type."""
    assert is_fault == blames_the_type(kind)
    assert not is_exception(kind) or describe((), kind) == "raised by the declared type, or by one of its validators"


CORRECT = "Correct the value in AWS, or the declared type."
NOT_THE_VALUE = (
    "Correct the declared type or its validators, not the value: a validator refuses a value by raising ValueError."
)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], CORRECT),
        (["int_parsing"], CORRECT),
        (["TypeError"], NOT_THE_VALUE),
        (["missing", "is_instance_of"], NOT_THE_VALUE),
        (["no_text_value"], "Where a Parameter refers to a secret, declare the secret itself: Secret(...)."),
        (["secret_is_binary"], "Declare it as bytes or SecretBytes, without key=."),
    ],
)
def test_advice(kinds: list[str], expected: str) -> None:
    """The remedy is about the value only where the value is at fault."""
    assert expected == advise(kinds)
