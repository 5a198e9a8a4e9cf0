import enum
import json
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, PlainValidator, RootModel, SecretStr, TypeAdapter

from lambdasecrets._members import Members, copy_member, write_exactly, write_member
from tests.labels import label
from tests.properties import bounded


class Flags(enum.Flag):
    READ = 1
    WRITE = 2


class Word(RootModel[str]):
    pass


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"k": 3.10}', "3.10"),
        ('{"k": 1e400, "other": 2}', "1e400"),
        ('{"other": {"k": 1}, "k": -0}', "-0"),
        ('{"k": 1, "k": 1E5}', "1E5"),
        ('{"k": [1, 2], "other": [3]}', "[1,2]"),
        ('{ "k" : { "a" : [ 3.10 , "x y" ] , "b" : {} } }', '{"a":[3.10,"x y"],"b":{}}'),
        ('{"k": {"a": "\\u00e9 \\" }, {"}}', '{"a":"é \\" }, {"}'),
        ('{"\\u006b": true}', "true"),
        ('{"a": "k", "k": false, "}": "k"}', "false"),
        ('{"a\\\\": 1, "k": NaN}', "NaN"),
    ],
)
def test_copied(document: str, expected: str) -> None:
    """A member is copied without white space, its numbers character by character; of two the last."""
    assert expected == copy_member(document, "k")


@pytest.mark.parametrize(
    ("written", "member"),
    [
        ("5432", 5432),
        ("-1", -1),
        ("-0", 0),
        ("true", True),
        ("false", False),
        ("1.0", 1.0),
        ("1" * 1000, int("1" * 1000)),
        ("[1]", [1]),
    ],
)
def test_written(written: str, member: Any) -> None:
    """A member is written as it is in its document, whether or not that can be told without looking there."""
    assert written == write_member(f'{{"k": {written}}}', "k", member)


MEMBERS = st.recursive(
    st.integers() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@bounded
@given(members=st.dictionaries(st.text(), MEMBERS, min_size=1, max_size=4), is_ascii=st.booleans(), data=st.data())
def test_any_member_is_copied(members: dict[str, Any], is_ascii: bool, data: st.DataObject) -> None:
    """A copy of any member of any object is that member."""
    key = data.draw(st.sampled_from(sorted(members)))
    assert members[key] == json.loads(copy_member(json.dumps(members, ensure_ascii=is_ascii, indent=1), key))


@pytest.mark.parametrize(
    ("characters", "expected"),
    [
        ("5432", "5432"),
        ("true", "true"),
        ("3.10", "3.10"),
        ("9007199254740993.0", "9007199254740993"),
        ("1.234567890123456789e18", "1234567890123456789"),
        ("1E5", "100000"),
        ("-0", "-0.0"),
        ("0e5", "0e5"),
        ("1" + "0" * 60 + ".0", "1" + "0" * 60),
        ("1e400", "1e400"),
        ("-Infinity", "-Infinity"),
        ("NaN", "NaN"),
        ("1e-400", None),
        ("0.99999999999999999999", None),
        ("1e99999999999999999999", None),
    ],
)
def test_exact(characters: str, expected: str | None) -> None:
    """A number is written so that no float changes it; what a float would make an integer is not written."""
    assert expected == write_exactly(characters)


@pytest.mark.parametrize(
    ("declared", "characters", "expected"),
    [
        (str, "3.10", None),
        (SecretStr, "5432", None),
        (Word, "5432", None),
        (Annotated[str, Field(max_length=3)], "5432", None),
        (Annotated[str, Field(coerce_numbers_to_str=True)], "3.10", None),
        (Decimal, "3.10", None),
        (Decimal, "true", None),
        (Fraction, "0.1", None),
        (int, "5432", "5432"),
        (int, "1.5", "1.5"),
        (int, "1e-400", None),
        (Literal[1, 2], "1", "1"),
        (Literal["1", 1], "1", "1"),
        (Flags, "2", "2"),
        (timedelta, "90", "90"),
        (ByteSize, "1e3", "1000"),
        (Annotated[timedelta, AfterValidator(abs)], "90", "90"),
        (Annotated[int, BeforeValidator(lambda text: text.rstrip("%"))], "50", None),
        (Annotated[timedelta, BeforeValidator(lambda value: value)], "90", "90"),
        (Annotated[Any, PlainValidator(repr)], "90", None),
    ],
    ids=label,
)
def test_choice(declared: Any, characters: str, expected: str | None) -> None:
    """A number is read by its JSON, but where a text, a decimal number or a function wants its characters."""
    assert expected == Members(TypeAdapter(declared).core_schema).choose_json(characters)
