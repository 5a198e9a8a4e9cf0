# ruff: noqa: UP007, UP045 - both ways of writing a union must work

import enum
import gc
import ipaddress
import json
import re
import signal
import traceback
import types
import uuid
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ForwardRef, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AnyUrl,
    Base64Bytes,
    Base64Str,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    ImportString,
    InstanceOf,
    Json,
    JsonValue,
    PlainValidator,
    PostgresDsn,
    RootModel,
    SecretBytes,
    SecretStr,
    StrictInt,
    StringConstraints,
    Tag,
    TypeAdapter,
    WrapValidator,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema
from typing_extensions import TypeAliasType, TypedDict

from lambdasecrets import DeclarationError, InvalidValueError, Parameter, Problem, Secret, Subject
from lambdasecrets._decorator import _take
from lambdasecrets._parsing import Unparsed, assembler, field_reader, reader
from lambdasecrets._signature import Config, Node, value_plan
from lambdasecrets._sources.forms import RawValue
from tests.labels import label
from tests.properties import bounded

SUBJECT = Subject("app.handler", ("value",), ("Secret('x')",))
LAMBDASECRETS = str(Path(_take.__code__.co_filename).parent)
T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = 1


class Level(enum.IntEnum):
    LOW = 1


class Database(BaseModel, frozen=True):
    host: str
    password: SecretStr = SecretStr("")
    port: int = 5432


class Strict(BaseModel, extra="forbid", strict=True):
    port: int
    since: Optional[date] = None


class Aliased(BaseModel):
    host: str = Field(alias="hostName")


@dataclass
class Point:
    x: int


class Place(TypedDict):
    x: int


class Pair(NamedTuple):
    x: int
    y: str


class Numbers(RootModel[list[int]]):
    pass


class Word(RootModel[str]):
    pass


class Box(BaseModel, Generic[T]):
    content: T


class Tree(BaseModel):
    children: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Early(BaseModel):
    late: "Late"


class Late(BaseModel):
    x: int


class Half(BaseModel):
    value: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - that is the point


class Unknown:
    pass


class Version(tuple[int, ...]):
    """A type that tells pydantic itself how it is read, in two steps."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        parse = core_schema.no_info_plain_validator_function(lambda text: cls(map(int, text.split("."))))
        return core_schema.chain_schema([core_schema.str_schema(), parse])


class Total(int):
    """A type that is read from JSON, and made of it in a second step."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        add = core_schema.no_info_plain_validator_function(lambda items: cls(sum(items)))
        return core_schema.chain_schema([core_schema.list_schema(core_schema.int_schema()), add])


class Either(str):
    """A type that is one of two, each with its label."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.union_schema([(core_schema.int_schema(), "one"), (core_schema.float_schema(), "other")])


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]
Tagged = Annotated[
    Union[Annotated[Cat, Tag("c")], Annotated[Dog, Tag("d")]],
    Discriminator(lambda data: "c" if "lives" in data else "d"),
]
Named = TypeAliasType("Named", dict[str, int])
UserId = NewType("UserId", int)


def read(declared: Any, text: str, *, key: Optional[str] = None, is_list: bool = False) -> Any:
    """Read a text as a declared type."""
    return reader("here", declared).read(RawValue(text, None, "1", is_list=is_list), key, SUBJECT)


def read_bytes(declared: Any, binary: bytes, *, key: Optional[str] = None) -> Any:
    """Read a binary secret as a declared type."""
    return reader("here", declared).read(RawValue(None, binary, "1"), key, SUBJECT)


def problems(result: Any) -> list[str]:
    """List what does not fit."""
    assert isinstance(result, InvalidValueError), result
    assert result.subject is SUBJECT
    return [str(problem) for problem in result.problems]


def _model(**fields: Any) -> Any:
    return create_model("Made", **fields)


def _raiser(make: Callable[[Any], Exception]) -> Callable[[Any], Any]:
    def refuse(value: Any) -> Any:
        raise make(value)

    return refuse


def refusal(declared: Any) -> str:
    """Say why a declared type is refused."""
    with pytest.raises(DeclarationError) as caught:
        reader("parameter 'x' of app.handler", declared)
    return str(caught.value)


# --- How a value is read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (str, "hunter2", "hunter2"),
        (str, "", ""),
        (str, ' {"a": 1}\n', ' {"a": 1}\n'),
        (str, "null", "null"),
        (SecretStr, "hunter2", SecretStr("hunter2")),
        (pydantic.Secret[str], "hunter2", pydantic.Secret[str]("hunter2")),
        (pydantic.Secret[int], "7", pydantic.Secret[int](7)),
        (int, "50", 50),
        (int, "-9007199254740993", -9007199254740993),
        (StrictInt, "50", 50),
        (float, "2.5", 2.5),
        (bool, "true", True),
        (bool, "0", False),
        (complex, "1+2j", 1 + 2j),
        (Decimal, "0.10", Decimal("0.10")),
        (Fraction, "1/3", Fraction(1, 3)),
        (Color, "red", Color.RED),
        (Level, "1", Level.LOW),
        (Literal["a", "b"], "b", "b"),
        (date, "2026-11-22", date(2026, 11, 22)),
        (datetime, "2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=timezone.utc)),
        (time, "10:30", time(10, 30)),
        (timedelta, "PT90S", timedelta(seconds=90)),
        (uuid.UUID, "8c5a4f0e-6f0f-4b8a-9d27-0a1b2c3d4e5f", uuid.UUID("8c5a4f0e-6f0f-4b8a-9d27-0a1b2c3d4e5f")),
        (AnyUrl, "https://example.com/", AnyUrl("https://example.com/")),
        (PostgresDsn, "postgres://u:p@h:5432/d", PostgresDsn("postgres://u:p@h:5432/d")),
        (ipaddress.IPv4Address, "10.0.0.1", ipaddress.IPv4Address("10.0.0.1")),
        (Path, "/opt/x", Path("/opt/x")),
        (re.Pattern, "a+", re.compile("a+")),
        (ByteSize, "1KiB", ByteSize(1024)),
        (ImportString, "json.dumps", json.dumps),
        (Base64Str, "aGk=", "hi"),
        (Word, "[1]", Word("[1]")),
        (Version, "1.20", Version((1, 20))),
        (Either, "2.5", 2.5),
        (UserId, "7", 7),
        (int | float, "2.5", 2.5),
        (Annotated[str, Field(min_length=3)], "abc", "abc"),
        (Annotated[int, AfterValidator(abs)], "-3", 3),
        (Annotated[int, BeforeValidator(lambda text: text.rstrip("%"))], "50%", 50),
        (Annotated[int, WrapValidator(lambda text, inner: inner(text[1:]))], "v5", 5),
        (Annotated[Unknown, PlainValidator(lambda text: text.upper())], "x", "X"),
        (Optional[int], "50", 50),
        (int | None, "50", 50),
        (Optional[str], "null", "null"),
    ],
    ids=label,
)
def test_text(declared: Any, text: str, expected: Any) -> None:
    """Texts, numbers and the like are read from the text itself."""
    result = read(declared, text)
    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (Database, '{"host": "h", "port": "1"}', Database(host="h", port=1)),
        (Strict, '{"port": 1, "since": "2026-11-22"}', Strict(port=1, since=date(2026, 11, 22))),
        (Aliased, '{"hostName": "h"}', Aliased(hostName="h")),
        (Box[int], '{"content": 1}', Box[int](content=1)),
        (Tree, '{"children": [{}]}', Tree(children=[Tree()])),
        (Numbers, "[1, 2]", Numbers([1, 2])),
        (Total, "[1, 2]", Total(3)),
        (Point, '{"x": 1}', Point(1)),
        (Place, '{"x": 1}', {"x": 1}),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (dict, '{"a": [null, 1.5]}', {"a": [None, 1.5]}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Named, '{"a": 1}', {"a": 1}),
        (Mapping[str, int], '{"a": 1}', {"a": 1}),
        (OrderedDict[str, int], '{"a": 1}', OrderedDict(a=1)),
        (defaultdict[str, int], '{"a": 1}', defaultdict(int, a=1)),
        (Counter[str], '{"a": 1}', Counter("a")),
        (list, "[1, null]", [1, None]),
        (list[int], '[1, "2"]', [1, 2]),
        (list[bytes], '["a"]', [b"a"]),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (set[int], "[1, 1]", {1}),
        (frozenset[str], '["a"]', frozenset("a")),
        (deque[int], "[1]", deque([1])),
        (Sequence[int], "[1]", [1]),
        (pydantic.Secret[Database], '{"host": "h"}', pydantic.Secret[Database](Database(host="h"))),
        (Union[Cat, Dog], '{"kind": "dog", "name": "n"}', Dog(kind="dog", name="n")),
        (Pet, '{"kind": "cat", "lives": 9}', Cat(kind="cat", lives=9)),
        (Tagged, '{"kind": "cat", "lives": 9}', Cat(kind="cat", lives=9)),
        (Annotated[list[int], Field(max_length=2)], "[1]", [1]),
        (list[Annotated[int, AfterValidator(abs)]], "[-1]", [1]),
        (Database | None, '{"host": "h"}', Database(host="h")),
        (Database | None, "null", None),
        (Optional[list[int]], "[1]", [1]),
    ],
    ids=label,
)
def test_json(declared: Any, text: str, expected: Any) -> None:
    """Models and containers are read from the text as JSON."""
    result = read(declared, text)
    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (list[str], "eu-west-1,us-east-1", ["eu-west-1", "us-east-1"]),
        (list, "1,a", ["1", "a"]),
        (list[str], 'a"b,{},null, c ', ['a"b', "{}", "null", " c "]),
        (list[int], "1,2", [1, 2]),
        (list[float], "1.5", [1.5]),
        (list[bool], "true,0", [True, False]),
        (list[Color], "red,red", [Color.RED, Color.RED]),
        (list[date], "2026-11-22", [date(2026, 11, 22)]),
        (list[SecretStr], "a,b", [SecretStr("a"), SecretStr("b")]),
        (tuple[int, str], "1,2", (1, "2")),
        (tuple[int, ...], "1,2,3", (1, 2, 3)),
        (set[int], "1,1,2", {1, 2}),
        (frozenset[str], "a,a", frozenset("a")),
        (Optional[list[int]], "1", [1]),
        (Numbers, "1,2", Numbers([1, 2])),
        (str, "a,b", "a,b"),
        (bytes, "a,b", b"a,b"),
    ],
    ids=label,
)
def test_string_list(declared: Any, text: str, expected: Any) -> None:
    """A StringList is split at its commas for a container, its items read as texts; others get the text."""
    assert expected == read(declared, text, is_list=True)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [(bytes, "é€".encode()), (SecretBytes, SecretBytes("é€".encode())), (bytes | None, "é€".encode())],
)
def test_bytes(declared: Any, expected: Any) -> None:
    """Bytes are a SecretBinary as it is, or the text's UTF-8 bytes."""
    assert expected == read(declared, "é€")
    assert expected == read_bytes(declared, "é€".encode())


def test_encoded_bytes() -> None:
    """Bytes that the type decodes are decoded."""
    assert read(Base64Bytes, "aGk=") == b"hi"
    assert read_bytes(Base64Bytes, b"aGk=") == b"hi"


@pytest.mark.parametrize(
    ("declared", "member", "expected"),
    [
        (str, "hunter2", "hunter2"),
        (SecretStr, "", SecretStr("")),
        (str, 1.5, "1.5"),
        (str, True, "true"),
        (str, {"a": [1]}, '{"a":[1]}'),
        (int, 50, 50),
        (int, "50", 50),
        (bool, False, False),
        (bool, "yes", True),
        (float, 1, 1.0),
        (date, "2026-11-22", date(2026, 11, 22)),
        (Database, {"host": "h"}, Database(host="h")),
        (Database, '{"host": "h"}', Database(host="h")),
        (list[int], [1, 2], [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (bytes, "é", "é".encode()),
        (bytes, 5, b"5"),
        (Optional[str], None, None),
        (Optional[Database], None, None),
        (Annotated[Unknown, PlainValidator(repr)], None, "None"),
    ],
)
def test_key(declared: Any, member: Any, expected: Any) -> None:
    """With a key, the member is read: a text like a whole text, anything else by its JSON, null as None."""
    result = read(declared, json.dumps({"other": [], "k": member}), key="k")
    assert expected == result
    assert type(expected) is type(result)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Doubtful(enum.Enum):
    NUMBER = 1
    TEXT = "1"


@pytest.mark.parametrize(
    ("declared", "number", "expected"),
    [
        (str, "3.10", "3.10"),
        (str, "5432", "5432"),
        (str, "1e400", "1e400"),
        (str, "-0", "-0"),
        (str, "1E5", "1E5"),
        (str, "1" * 1000, "1" * 1000),
        (str, "NaN", "NaN"),
        (str, '{"a": [3.10, -0], "b": "1.0"}', '{"a":[3.10,-0],"b":"1.0"}'),
        (Optional[str], "3.10", "3.10"),
        (SecretStr, "0.10", SecretStr("0.10")),
        (Word, "1.0", Word("1.0")),
        (bytes, "3.10", b"3.10"),
        (Annotated[str, AfterValidator(str.title)], "1e5", "1E5"),
        (Annotated[str, Field(coerce_numbers_to_str=True)], "3.10", "3.10"),
        (Annotated[Unknown, PlainValidator(lambda text: text * 2)], "1.0", "1.01.0"),
        (Decimal, "3.10", Decimal("3.10")),
        (Decimal, "0.1234567890123456789012", Decimal("0.1234567890123456789012")),
        (Decimal, "1e400", Decimal("1e400")),
        (Fraction, "0.1234567890123456789012", Fraction("0.1234567890123456789012")),
        (int, "9007199254740993.0", 9007199254740993),
        (int, "1.234567890123456789e18", 1234567890123456789),
        (int, "1" * 1000, int("1" * 1000)),
        (int, "-0", 0),
        (StrictInt, "50", 50),
        (float, "3.10", 3.1),
        (complex, "12345678901234567890123", 12345678901234567890123 + 0j),
        (int | str, "3.10", "3.10"),
        (int | str, "5432", 5432),
        (bool | int, "1", 1),
    ],
    ids=label,
)
def test_key_of_a_number(declared: Any, number: str, expected: Any) -> None:
    """With a key, a number is read by the characters that it has in the JSON: never as another value."""
    result = read(declared, f'{{"other": 1, "k": {number}}}', key="k")
    assert expected == result
    assert type(expected) is type(result)
    assert (
        expected
        == made(_model(field=(Annotated[declared, Secret("x", key="k")], ...)), field=f'{{"k":{number}}}').field
    )


@pytest.mark.parametrize(
    ("declared", "scalar", "expected"),
    [
        (Literal[1, 2], "2", 2),
        (Literal[True], "true", True),
        (Literal["1", 1], "1", 1),
        (Level, "1", Level.LOW),
        (Color, "1", Color.BLUE),
        (Doubtful, "1", Doubtful.NUMBER),
        (Access, "3", Access.READ | Access.WRITE),
        (timedelta, "90", timedelta(seconds=90)),
        (timedelta, "1.5", timedelta(seconds=1.5)),
        (Annotated[timedelta, AfterValidator(abs)], "-90", timedelta(seconds=90)),
        (Annotated[Literal[1, 2], BeforeValidator(lambda value: value)], "2", 2),
        (datetime, "1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)),
        (datetime, "1.7e9", datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)),
        (date, "1699920000", date(2023, 11, 14)),
        (time, "3600", time(1, tzinfo=timezone.utc)),
        (bool, "1", True),
        (bool, "true", True),
        (int, "true", 1),
        (int, "1E5", 100000),
        (ByteSize, "1024", ByteSize(1024)),
        (ipaddress.IPv4Address, "167772161", ipaddress.IPv4Address("10.0.0.1")),
        (pydantic.Secret[int], "1e3", pydantic.Secret[int](1000)),
        (Optional[Literal[1]], "1", 1),
    ],
    ids=label,
)
def test_key_of_a_scalar(declared: Any, scalar: str, expected: Any) -> None:
    """With a key, a number, true or false becomes what pydantic reads from that JSON, in a config model too."""
    result = read(declared, f'{{"k": {scalar}}}', key="k")
    assert expected == result
    assert type(expected) is type(result)
    assert (
        expected
        == made(_model(field=(Annotated[declared, Secret("x", key="k")], ...)), field=f'{{"k":{scalar}}}').field
    )


def test_key_of_many_numbers() -> None:
    """Each number that a reader reads is read for itself."""
    made = reader("here", Union[Literal[1], Decimal])
    raws = [RawValue(text, None, "1") for text in ('{"k": 1}', '{"k": 3.10}', '{"k": "1.50"}')]
    assert [str(made.read(raw, "k", SUBJECT)) for raw in raws] == ["1", "3.10", "1.50"]


def test_key_of_a_number_runs_a_validator_once(runs: "Runs") -> None:
    """A validator of a member runs once, whichever way the member is read."""
    assert read(Annotated[str, AfterValidator(runs.note)], '{"k": 3.10}', key="k") == "3.10"
    assert read(Annotated[timedelta, AfterValidator(runs.note)], '{"k": 90}', key="k") == timedelta(seconds=90)
    assert read(Annotated[Literal[1], BeforeValidator(runs.note)], '{"k": 1}', key="k") == 1
    assert runs.got == ["3.10", timedelta(seconds=90), 1]


def test_key_of_string_list() -> None:
    """With a key, commas part nothing."""
    assert read(list[int], '{"k": [1, 2]}', key="k", is_list=True) == [1, 2]


@pytest.mark.parametrize(("declared", "text"), [(list[int], "[1]"), (dict, "{}"), (Point, '{"x": 1}'), (Tree, "{}")])
def test_fresh(declared: Any, text: str) -> None:
    """Every reading gives a fresh object, which a handler may change."""
    made, raw = reader("here", declared), RawValue(text, None, "1")
    first, second = made.read(raw, None, SUBJECT), made.read(raw, None, SUBJECT)
    assert first == second
    assert first is not second


class Keeping(BaseModel, cache_strings="all"):
    text: str
    inner: Json[dict[str, str]] = {}


@pytest.mark.parametrize(
    ("declared", "text", "key"),
    [
        (dict[str, str], '{"hunter2-name": "hunter2-text"}', None),
        (list[str], '["hunter2-text"]', None),
        (Keeping, '{"text": "hunter2-text", "inner": "{\\"hunter2-name\\": \\"hunter2-inner\\"}"}', None),
        (Optional[Keeping], '{"text": "hunter2-text"}', None),
        (dict[str, str], '{"k": {"hunter2-name": "hunter2-text"}}', "k"),
        (str, '{"k": "hunter2-text"}', "k"),
        (str, '{"k": 3.1415926}', "k"),
        (Annotated[dict[str, str], AfterValidator(dict)], '{"hunter2-name": "hunter2-text"}', None),
        (Annotated[str, StringConstraints(to_upper=True)], "hunter2-text", None),
        (Annotated[str, StringConstraints(strip_whitespace=True)], " hunter2-text ", None),
        (Annotated[SecretStr, BeforeValidator(str.upper)], "hunter2-text", None),
        (Base64Str, "aHVudGVyMi10ZXh0", None),
        (dict[str, SecretStr], '{"hunter2-name": "hunter2-text"}', None),
    ],
    ids=label,
)
@pytest.mark.parametrize("is_field", [False, True])
def test_no_text_is_kept(declared: Any, text: str, key: Optional[str], is_field: bool) -> None:
    """No text of a value stays in pydantic's cache, neither a name nor a member: each reading makes new ones."""
    whole = _model(field=(Annotated[declared, Secret("x", key=key)], ...))
    first, second = (
        list(_texts_of(made(whole, field=text).field if is_field else read(declared, text, key=key))) for _ in range(2)
    )
    assert first == second
    assert len(first) > 0
    assert [one for one, other in zip(first, second, strict=True) if one is other] == []


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _texts_of(list(vars(value).values()))
    elif isinstance(value, dict):
        yield from _texts_of([*value, *value.values()])
    else:
        for item in value:
            yield from _texts_of(item)


def test_raw_hides_the_value() -> None:
    """What is kept between invocations shows no value."""
    assert repr(RawValue("hunter2", b"hunter2", "v1")) == "RawValue(version='v1')"


def test_model_defined_later() -> None:
    """A model that names a later class is read once that class is there."""
    assert read(Early, '{"late": {"x": 1}}') == Early(late=Late(x=1))


# --- What is refused at import -------------------------------------------------------------------------------------

UNDECIDED = (
    "does not decide how the value is read. Declare a definite type, such as str, int, dict[str, str] or a model."
)
ONE_OF_THEM = "Declare one of them, or a union of models."


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (Any, f"Any {UNDECIDED}"),
        (object, f"object {UNDECIDED}"),
        (None, f"None {UNDECIDED}"),
        (T, f"~T {UNDECIDED}"),
        (JsonValue, f"JsonValue {UNDECIDED}"),
        (Json, f"Json {UNDECIDED}"),
        (Iterable[int], f"collections.abc.Iterable[int] {UNDECIDED}"),
        (Callable, f"Callable {UNDECIDED}"),
        (type[int], f"type[int] {UNDECIDED}"),
        (Optional[Any], f"Any | None {UNDECIDED}"),
        (InstanceOf[Unknown], f"Annotated[tests.test_parsing.Unknown, InstanceOf()] {UNDECIDED}"),
        (
            Union[str, dict],
            f"str | dict mixes what is read as text with what is read as JSON. {ONE_OF_THEM}",
        ),
        (int | list[int], f"int | list[int] mixes what is read as text with what is read as JSON. {ONE_OF_THEM}"),
        (str | bytes, f"str | bytes mixes what is read as text with what is read as bytes. {ONE_OF_THEM}"),
        (
            Database | bytes | str,
            (
                "tests.test_parsing.Database | bytes | str mixes what is read as text with what is read as JSON with "
                f"what is read as bytes. {ONE_OF_THEM}"
            ),
        ),
        *(
            (
                declared,
                f"pydantic cannot read {shown} ({why}). Declare a type that pydantic knows, or teach it yours.",
            )
            for declared, shown, why in (
                (Unknown, "Unknown", "PydanticSchemaGenerationError"),
                (ForwardRef("Nowhere"), "ForwardRef('Nowhere')", "PydanticUndefinedAnnotation"),
                (list[ForwardRef("Nowhere")], "list[ForwardRef('Nowhere')]", "PydanticUndefinedAnnotation"),  # type: ignore[misc]
                (
                    Annotated[str, Discriminator("k")],
                    (
                        "Annotated[str, Discriminator(discriminator='k', custom_error_type=None, "
                        "custom_error_message=None, custom_error_context=None)]"
                    ),
                    "TypeError",
                ),
                (
                    Annotated[str, pydantic.StringConstraints(pattern="(")],
                    str(Annotated[str, pydantic.StringConstraints(pattern="(")]).replace("typing.", ""),
                    "SchemaError",
                ),
            )
        ),
    ],
    ids=label,
)
def test_refused(declared: Any, expected: str) -> None:
    """A type that pydantic cannot read, or that does not decide how a value is read, is refused with the remedy."""
    assert f"Cannot use parameter 'x' of app.handler: {expected}" == refusal(declared)


MISPLACED = (
    "has a constraint that pydantic cannot apply to the type that carries it: {}. Take it out, or check the text "
    "before the type is made of it: Annotated[SecretStr, BeforeValidator(str.strip)]."
)


class Misplaced(BaseModel):
    password: Annotated[SecretStr, StringConstraints(strip_whitespace=True)]


@pytest.mark.parametrize(
    ("declared", "shown", "constraint"),
    [
        (Annotated[SecretStr, StringConstraints(strip_whitespace=True)], "SecretStr", "strip_whitespace"),
        (Annotated[int, Field(max_length=3)], "int", "max_length"),
        (Misplaced, "Misplaced", "strip_whitespace"),
        (list[Misplaced], "list[tests.test_parsing.Misplaced]", "strip_whitespace"),
    ],
    ids=label,
)
def test_refused_constraint(declared: Any, shown: str, constraint: str) -> None:
    """A constraint that fails for every value of its type is refused at import, wherever in the type it stands."""
    expected = f"Cannot use parameter 'x' of app.handler: {shown} {MISPLACED.format(constraint)}"
    assert expected == refusal(declared)
    with pytest.raises(DeclarationError) as caught:
        assembler("parameter 'x' of app.handler", _model(field=(declared, ...)))
    assert MISPLACED.format(constraint) in str(caught.value)


def test_refused_model() -> None:
    """A config model that pydantic cannot read is refused like any type."""
    with pytest.raises(DeclarationError) as caught:
        assembler("parameter 'x' of app.handler", Half)
    assert str(caught.value) == (
        "Cannot use parameter 'x' of app.handler: pydantic cannot read Half (PydanticUndefinedAnnotation). Declare a "
        "type that pydantic knows, or teach it yours."
    )


JsonTree = TypeAliasType("JsonTree", "dict[str, JsonTree] | list[JsonTree]")
JsonOrText = TypeAliasType("JsonOrText", "dict[str, JsonOrText] | str")


def test_recursive_alias() -> None:
    """A type that names itself is read, and refused, like any other."""
    assert read(JsonTree, '{"a": [{"b": []}]}') == {"a": [{"b": []}]}
    assert read(Optional[JsonTree], '{"k": {"a": {}}}', key="k") == {"a": {}}
    assert problems(read(JsonTree, '{"a": 5}')) == ["*.*.*: dict_type", "*.*.*: list_type", "*: list_type"]
    assert refusal(JsonOrText) == (
        "Cannot use parameter 'x' of app.handler: JsonOrText mixes what is read as text with what is read as JSON. "
        f"{ONE_OF_THEM}"
    )


# --- Config models -------------------------------------------------------------------------------------------------


def made(model: Any, /, **texts: Any) -> Any:
    """Make a config model of its fields' texts, or bytes, as an invocation does."""
    config = value_plan(model).nodes[""]
    assert isinstance(config, Config)
    return _assembled(config, texts)


def _assembled(config: Config, texts: dict[str, Any]) -> Any:
    fields = {name: _node(node, texts[name]) for name, node in config.fields.items() if name in texts}
    errors = [field for field in fields.values() if isinstance(field, InvalidValueError)]
    return errors[0] if errors else assembler("here", config.model).assemble(fields, SUBJECT)


def _node(node: Node, text: Any) -> Any:
    if isinstance(node, Config):
        return _assembled(node, text)
    raw = (
        RawValue(None, text, "1")
        if isinstance(text, bytes)
        else RawValue(text, None, "1", is_list="," in text and text[0] not in "[{")
    )
    return field_reader("here", node.type).read(raw, node.declaration.key, SUBJECT)


class Inner(BaseModel):
    key: Annotated[SecretStr, Secret("key", key="k")]
    blob: Annotated[bytes, Secret("blob")] = b""


class AppConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    inner: Inner
    database: Annotated[Database, Secret("database")] = Field(alias="db")
    size: Annotated[int, Parameter("/size"), Field(le=100)] = Field(default=50, ge=10, validation_alias="pageSize")
    regions: Annotated[tuple[str, ...], Parameter("/regions")] = ()
    stage: str = "dev"


def test_config() -> None:
    """A config model is made of its fields, by their names whatever their aliases; the others keep their defaults."""
    config = made(AppConfig, inner={"key": '{"k": "hunter2"}', "blob": b"\0"}, database='{"host": "h"}', regions="a,b")
    assert config == AppConfig.model_construct(
        inner=Inner(key=SecretStr("hunter2"), blob=b"\0"),
        database=Database(host="h"),
        size=50,
        regions=("a", "b"),
        stage="dev",
    )
    assert config.model_fields_set == {"inner", "database", "regions"}


@pytest.mark.parametrize(
    ("size", "kind"), [("9", "greater_than_equal"), ("101", "less_than_equal"), ("x", "int_parsing")]
)
def test_constraints(size: str, kind: str) -> None:
    """A field's own constraints count, whether they stand in its type or in its Field."""
    config = made(AppConfig, inner={"key": '{"k": "hunter2"}'}, database='{"host": "h"}', size=size)
    assert problems(config) == [kind]


def test_missing_field() -> None:
    """A field that got no value and has no default does not fit, by the model's name for it."""
    assert problems(made(AppConfig, inner={"key": '{"k": "x"}'})) == ["db: missing"]


class Everything(BaseModel, strict=True):
    text: Annotated[str, Secret("x")]
    number: Annotated[int, Secret("x")]
    flag: Annotated[bool, Secret("x")]
    day: Annotated[date, Secret("x")]
    unique: Annotated[uuid.UUID, Secret("x")]
    color: Annotated[Color, Secret("x")]
    letter: Annotated[Literal["a"], Secret("x")]
    url: Annotated[AnyUrl, Secret("x")]
    dsn: Annotated[PostgresDsn, Secret("x")]
    address: Annotated[ipaddress.IPv4Address, Secret("x")]
    path: Annotated[Path, Secret("x")]
    secret: Annotated[pydantic.Secret[int], Secret("x")]
    decimal: Annotated[Decimal, Secret("x")]
    encoded: Annotated[Base64Str, Secret("x")]
    binary: Annotated[Base64Bytes, Secret("x")]
    model: Annotated[Database, Secret("x")]
    strict: Annotated[Strict, Secret("x")]
    data: Annotated[Point, Secret("x")]
    typed: Annotated[Place, Secret("x")]
    named: Annotated[Pair, Secret("x")]
    items: Annotated[list[int], Secret("x")]
    pair: Annotated[tuple[int, str], Secret("x")]
    unordered: Annotated[set[int], Secret("x")]
    waiting: Annotated[deque[int], Secret("x")]
    models: Annotated[dict[str, Database], Secret("x")]
    by_number: Annotated[dict[int, str], Secret("x")]
    pet: Annotated[Pet, Secret("x")]
    maybe: Annotated[Optional[int], Secret("x")]
    counted: Annotated[int, AfterValidator(abs), Secret("x")]
    version: Annotated[Version, Secret("x")]


EVERYTHING: dict[str, tuple[str, Any]] = {
    "text": ("hunter2", "hunter2"),
    "number": ("5", 5),
    "flag": ("true", True),
    "day": ("2026-11-22", date(2026, 11, 22)),
    "unique": ("8c5a4f0e-6f0f-4b8a-9d27-0a1b2c3d4e5f", uuid.UUID("8c5a4f0e-6f0f-4b8a-9d27-0a1b2c3d4e5f")),
    "color": ("red", Color.RED),
    "letter": ("a", "a"),
    "url": ("https://example.com/", AnyUrl("https://example.com/")),
    "dsn": ("postgres://u:p@h:5432/d", PostgresDsn("postgres://u:p@h:5432/d")),
    "address": ("10.0.0.1", ipaddress.IPv4Address("10.0.0.1")),
    "path": ("/opt/x", Path("/opt/x")),
    "secret": ("7", pydantic.Secret[int](7)),
    "decimal": ("0.10", Decimal("0.10")),
    "encoded": ("YUdrPQ==", "aGk="),
    "binary": ("YUdrPQ==", b"aGk="),
    "model": ('{"host": "h"}', Database(host="h")),
    "strict": ('{"port": 1}', Strict(port=1)),
    "data": ('{"x": 1}', Point(1)),
    "typed": ('{"x": 1}', {"x": 1}),
    "named": ('[1, "a"]', Pair(1, "a")),
    "items": ("[1]", [1]),
    "pair": ("7,8", (7, "8")),
    "unordered": ("7,8", {7, 8}),
    "waiting": ("[1]", deque([1])),
    "models": ('{"a": {"host": "h"}}', {"a": Database(host="h")}),
    "by_number": ('{"1": "a"}', {1: "a"}),
    "pet": ('{"kind": "dog", "name": "n"}', Dog(kind="dog", name="n")),
    "maybe": ("5", 5),
    "counted": ("-5", 5),
    "version": ("1.20", Version((1, 20))),
}


def test_everything() -> None:
    """A field of any type is read as it is outside a model, even where the model is strict."""
    texts = {name: text for name, (text, _) in EVERYTHING.items()}
    config = made(Everything, **texts)
    assert {name: value for name, (_, value) in EVERYTHING.items()} == dict(config)


def test_strict_inside() -> None:
    """A strict model in a field stays strict about its JSON."""
    texts = {name: text for name, (text, _) in EVERYTHING.items()}
    assert problems(made(Everything, **(texts | {"strict": '{"port": "1"}'}))) == ["port: int_type"]


class Runs:
    """Counts the runs of validators, and keeps what they got."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def note(self, value: Any) -> Any:
        self.got.append(value)
        return value


@pytest.fixture
def runs() -> Runs:
    """Count the runs of a test's validators."""
    return Runs()


@pytest.mark.parametrize(
    ("kind", "text", "got"),
    [
        (lambda note: Annotated[int, AfterValidator(note)], "5", [5]),
        (lambda note: Annotated[int, BeforeValidator(note)], "5", ["5"]),
        (lambda note: Annotated[int, WrapValidator(lambda value, inner: inner(note(value)))], "5", ["5"]),
        (lambda note: Annotated[Unknown, PlainValidator(note)], "5", ["5"]),
        (lambda note: Annotated[int, AfterValidator(note)] | None, "5", [5]),
        (lambda note: list[Annotated[int, AfterValidator(note)]], "[5, 6]", [5, 6]),
        (lambda note: dict[str, Annotated[int, BeforeValidator(note)]], '{"a": "5"}', ["5"]),
        (lambda note: Annotated[bytes, AfterValidator(note)], "5", [b"5"]),
        (lambda note: TypeAliasType("Alias", Annotated[int, AfterValidator(note)]), "5", [5]),
    ],
)
def test_validators_in_a_type_run_once(
    runs: Runs, kind: Callable[[Callable[[Any], Any]], Any], text: str, got: list[Any]
) -> None:
    """A validator in a field's type runs once, on what it would get outside a config model."""
    declared = kind(runs.note)
    outside = read(declared, text)
    assert got == runs.got
    runs.got.clear()
    assert outside == made(_model(field=(Annotated[declared, Secret("x")], ...)), field=text).field
    assert got == runs.got


def test_validators_of_models_run_once(runs: Runs) -> None:
    """Validators of the config model, and of the models in its fields, run once."""

    class Part(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def note_field(cls, value: int) -> int:
            return int(runs.note(value))

        @model_validator(mode="before")
        @classmethod
        def note_input(cls, data: Any) -> Any:
            return runs.note(data)

        @model_validator(mode="after")
        def note_model(self) -> "Part":
            runs.note("part")
            return self

    class Whole(BaseModel):
        part: Annotated[Part, Secret("part")]
        size: Annotated[int, Secret("size")]

        @field_validator("size")
        @classmethod
        def note_field(cls, value: int) -> int:
            return int(runs.note(value))

        @model_validator(mode="after")
        def note_model(self) -> "Whole":
            runs.note("whole")
            return self

    assert made(Whole, part='{"x": 1}', size="2").size == 2
    assert runs.got == [{"x": 1}, 1, "part", 2, "whole"]


def test_null_member_in_a_config_model() -> None:
    """A member that is null reads as None where the field may be None, validators or not."""

    class Plain(BaseModel):
        x: Annotated[Optional[int], Secret("x", key="k")]

    class Validated(BaseModel):
        x: Annotated[Optional[Annotated[int, AfterValidator(abs)]], Secret("x", key="k")]

    class Required(BaseModel):
        x: Annotated[int, AfterValidator(abs), Secret("x", key="k")]

    assert made(Plain, x='{"k": null}').x is None
    assert made(Validated, x='{"k": null}').x is None
    assert problems(made(Required, x='{"k": null}')) == ["x: int_type"]


# --- What does not fit ---------------------------------------------------------------------------------------------


class Refusing(BaseModel):
    host: str
    port: int

    @field_validator("host")
    @classmethod
    def refuse(cls, value: str) -> str:
        raise ValueError(value)


def _raising(make: Callable[[Any], Exception]) -> Any:
    return Annotated[str, AfterValidator(_raiser(make))]


def _revalidating(value: str) -> Any:
    return TypeAdapter(dict[int, dict[str, int]]).validate_python({12345678: {value: value}, -12345678: {}, 7: value})


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (int, "hunter2", ["int_parsing"]),
        (Literal["a"], "hunter2", ["literal_error"]),
        (int, "\ufeff5", ["int_parsing"]),
        (Color, "hunter2", ["enum"]),
        (date, "hunter2", ["date_from_datetime_parsing"]),
        (uuid.UUID, "hunter2", ["uuid_parsing"]),
        (AnyUrl, "hunter2", ["url_parsing"]),
        (Base64Str, "hunter2", ["custom_error"]),
        (int | float, "hunter2", ["int: int_parsing", "float: float_parsing"]),
        (Either, "hunter2", ["one: int_parsing", "other: float_parsing"]),
        (Annotated[str, Field(pattern="^a")], "hunter2", ["string_pattern_mismatch"]),
        (Database, "hunter2", ["json_invalid"]),
        (Database, '{"password": "hunter2"', ["json_invalid"]),
        (Database, "[]", ["model_type"]),
        (
            Database,
            '{"port": "hunter2", "password": 1}',
            ["host: missing", "password: string_type", "port: int_parsing"],
        ),
        (Strict, '{"hunter2": 1}', ["port: missing", "*: extra_forbidden"]),
        (Aliased, '{"hunter2": 1}', ["hostName: missing"]),
        (Point, '{"x": "hunter2"}', ["x: int_parsing"]),
        (Place, "{}", ["x: missing"]),
        (Pair, '["hunter2", 1]', ["0: int_parsing", "1: string_type"]),
        (list[int], '[1, "hunter2"]', ["1: int_parsing"]),
        (tuple[int, int], "[1]", ["1: missing"]),
        (dict[str, int], '{"hunter2": "x"}', ["*: int_parsing"]),
        (dict[int, int], '{"hunter2": 1}', ["*.*: int_parsing"]),
        (dict[str, Database], '{"hunter2": {"port": "x"}}', ["*.host: missing", "*.port: int_parsing"]),
        (Pet, '{"kind": "hunter2"}', ["union_tag_invalid"]),
        (Pet, '{"kind": "cat", "lives": "hunter2"}', ["cat.lives: int_parsing"]),
        (Union[Cat, Database], '{"hunter2": 1}', ["Cat.kind: missing", "Cat.lives: missing", "Database.host: missing"]),
        (Refusing, '{"host": "hunter2"}', ["host: value_error", "port: missing"]),
        (_raising(ValueError), "hunter2", ["value_error"]),
        (_raising(AssertionError), "hunter2", ["assertion_error"]),
        (_raising(KeyError), "hunter2", ["KeyError"]),
        (_raising(TypeError), "hunter2", ["TypeError"]),
        (_raising(lambda value: PydanticCustomError(value, "{v}", {"v": value})), "hunter2", ["custom_error"]),
        (_raising(lambda value: PydanticCustomError("missing", value)), "hunter2", ["missing"]),
        (
            _raising(
                lambda _: PydanticKnownError("too_short", {"field_type": "x", "min_length": 1, "actual_length": 0})
            ),
            "hunter2",
            ["too_short"],
        ),
        (Annotated[str, AfterValidator(_revalidating)], "hunter2", ["*.*: int_parsing", "*: dict_type"]),
        (Annotated[Database, AfterValidator(lambda value: value.no_such)], '{"host": "h"}', ["AttributeError"]),
    ],
    ids=label,
)
def test_problems(declared: Any, text: str, expected: list[str]) -> None:
    """What does not fit shows where and how, by names that the type brings, never by the value's."""
    assert expected == problems(read(declared, text))


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (int, '{"k": "hunter2"}', ["int_parsing"]),
        (int, '{"k": null}', ["int_type"]),
        (str, '{"k": null}', ["string_type"]),
        (str, "{}", ["k: missing"]),
        (str, "hunter2", ["json_invalid"]),
        (str, '["k"]', ["no_json_object"]),
        (str, "null", ["no_json_object"]),
        (list[int], '{"k": "hunter2"}', ["json_invalid"]),
        (list[int], '{"k": 5}', ["list_type"]),
        (int, '{"k": 1e-400}', ["int_parsing"]),
        (int, '{"k": 0.99999999999999999999}', ["int_parsing"]),
        (int, '{"k": 1.5}', ["int_from_float"]),
        (Literal[1, 2], '{"k": 3}', ["literal_error"]),
        (Annotated[str, Field(max_length=3)], '{"k": 3.10}', ["string_too_long"]),
        (Annotated[SecretStr, Field(max_length=3)], '{"k": 3.10}', ["too_long"]),
        (Annotated[int, BeforeValidator(str.strip)], '{"k": 1.5}', ["int_parsing"]),
        (uuid.UUID, '{"k": 5}', ["uuid_type"]),
    ],
)
def test_problems_with_key(declared: Any, text: str, expected: list[str]) -> None:
    """With a key, a member that is missing or does not fit is a problem, and so is what is no JSON object."""
    assert expected == problems(read(declared, text, key="k"))


def test_problems_of_string_list() -> None:
    """An item of a StringList that does not fit shows its index."""
    assert problems(read(list[int], "1,hunter2", is_list=True)) == ["1: int_parsing"]
    assert problems(read(Database, "1,hunter2", is_list=True)) == ["model_type"]


def test_unparsed() -> None:
    """In the place of a type: the text as it is, else the bytes; where there is neither, an error."""
    unparsed = reader("here", Unparsed)
    found = [
        unparsed.read(RawValue(text, binary, "1"), None, SUBJECT) for text, binary in (("1,2", None), (None, b"\xff"))
    ]

    assert found == ["1,2", b"\xff"]
    assert problems(unparsed.read(RawValue(None, None, "1"), None, SUBJECT)) == ["no_text_value"]


@pytest.mark.parametrize(("declared", "key"), [(str, None), (Database, None), (bytes, "k"), (list[int], None)])
def test_binary_is_no_text(declared: Any, key: Optional[str]) -> None:
    """A SecretBinary is read as bytes only."""
    assert problems(read_bytes(declared, b'{"k": 1}', key=key)) == ["secret_is_binary"]


@pytest.mark.parametrize("declared", [str, Database, bytes, Optional[str]])
def test_no_value(declared: Any) -> None:
    """A parameter without a value, as a reference to a binary secret is, does not fit."""
    assert problems(reader("here", declared).read(RawValue(None, None, "0"), None, SUBJECT)) == ["no_text_value"]


def test_message() -> None:
    """A value that does not fit is reported whole, with the type as written and without the value."""
    declared = Annotated[Database, AfterValidator(lambda value: value)]
    error = read(declared, '{"port": "hunter2"}')
    assert str(error) == (
        "Cannot resolve 'value' of app.handler, Secret('x'): the value does not fit Database\n"
        "  - host: missing (has no member 'host')\n"
        "  - port: int_parsing (not a whole number)\n"
        "The value itself is not shown. Correct the value in AWS, or the declared type."
    )
    assert error.problems == (Problem(("host",), "missing"), Problem(("port",), "int_parsing"))


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (Annotated[SecretStr, AfterValidator(str.strip)], "TypeError"),
        (Annotated[SecretStr, AfterValidator(lambda value: value.strip())], "AttributeError"),
        (Annotated[SecretStr, AfterValidator(_raiser(lambda value: OwnError(value)))], "foreign_exception"),  # noqa: PLW0108 - is defined below
    ],
)
def test_message_of_a_type_that_fails(declared: Any, kind: str) -> None:
    """An error of the type is not blamed on the value: the message names the type and says nothing of AWS."""
    assert str(read(declared, "hunter2")) == (
        "Cannot resolve 'value' of app.handler, Secret('x'): the declared type SecretStr fails\n"
        f"  - {kind} (raised by the declared type, or by one of its validators)\n"
        "The value itself is not shown. Correct the declared type or its validators, not the value: a validator "
        "refuses a value by raising ValueError."
    )


class OwnError(Exception):
    pass


def test_message_of_a_text_with_a_byte_order_mark() -> None:
    """A byte order mark, which nobody sees, is named where a text does not fit."""
    assert str(read(int, "\ufeff50")).splitlines()[1] == (
        "  - int_parsing (not a whole number; it begins with a byte order mark (BOM))"
    )
    assert read(str, "\ufeff50") == "\ufeff50"


def test_message_of_a_type_that_no_text_becomes() -> None:
    """A model with a field that only Python can fill is a fault of the type, not of the value."""
    made = _model(host=(str, ...), lock=(InstanceOf[Unknown], ...))
    assert str(read(made, '{"host": "h", "lock": 1}')) == (
        "Cannot resolve 'value' of app.handler, Secret('x'): the declared type Made fails\n"
        "  - lock: needs_python_object (an object of Python is declared, which no text can be)\n"
        "The value itself is not shown. Correct the declared type or its validators, not the value: a validator "
        "refuses a value by raising ValueError."
    )


def test_config_message() -> None:
    """A config model that does not fit is reported by its own name."""

    class Whole(BaseModel):
        size: Annotated[int, Secret("size")]

        @model_validator(mode="after")
        def refuse(self) -> "Whole":
            raise ValueError(self.size)

    assert str(made(Whole, size="12345678")) == (
        "Cannot resolve 'value' of app.handler, Secret('x'): the value does not fit Whole\n"
        "  - value_error (refused by a validator)\n"
        "The value itself is not shown. Correct the value in AWS, or the declared type."
    )


# --- Properties ----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
JSON_OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


@bounded
@given(text=st.text())
def test_any_text(text: str) -> None:
    """Any text comes out as it went in, as a text, a secret and bytes."""
    assert text == read(str, text)
    assert text == read(SecretStr, text).get_secret_value()
    assert text == read(bytes, text).decode()
    assert text == read(Word, text).root


@bounded
@given(members=JSON_OBJECTS, is_ascii=st.booleans())
def test_any_json_object(members: dict[str, Any], is_ascii: bool) -> None:
    """Any JSON object comes out as it went in."""
    text = json.dumps(members, ensure_ascii=is_ascii)
    assert members == read(dict, text)
    assert members == read(Optional[dict[str, JsonValue]], text)


@bounded
@given(binary=st.binary())
def test_any_bytes(binary: bytes) -> None:
    """Any bytes come out as they went in."""
    assert binary == read_bytes(bytes, binary)
    assert binary == read_bytes(SecretBytes, binary).get_secret_value()


@bounded
@given(members=JSON_OBJECTS, key=st.text(), text=st.text())
def test_any_member(members: dict[str, Any], key: str, text: str) -> None:
    """Any text under any key comes out as it went in, whatever stands beside it."""
    assert text == read(str, json.dumps(members | {key: text}), key=key)


@bounded
@given(members=JSON_OBJECTS, key=st.text())
def test_any_nested_object(members: dict[str, Any], key: str) -> None:
    """Any JSON object under any key comes out as it went in, as an object and as a text."""
    assert members == read(dict, json.dumps({key: members}), key=key)
    assert members == read(dict, json.dumps({key: json.dumps(members)}), key=key)


@bounded
@given(items=st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"])), min_size=1))
def test_any_string_list(items: list[str]) -> None:
    """Any items without commas come out of a StringList as they went in."""
    assert items == read(list[str], ",".join(items), is_list=True)
    assert tuple(items) == read(tuple[str, ...], ",".join(items), is_list=True)


class OwnInterrupt(BaseException):
    pass


def _interrupting(kind: type[BaseException]) -> Any:
    def interrupt(value: Any) -> Any:
        raise kind(value)

    return Annotated[str, AfterValidator(interrupt)]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, OwnInterrupt])
@pytest.mark.parametrize("key", [None, "k"])
def test_an_interrupt_goes_on(kind: type[BaseException], key: Optional[str]) -> None:
    """What is no Exception is nobody's to catch: it leaves a validator, and this library, as it is."""
    with pytest.raises(kind) as caught:
        read(_interrupting(kind), '{"k": 3.10}', key=key)
    assert type(caught.value) is kind
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
@pytest.mark.parametrize("kind", [TimeoutError, OSError, OwnInterrupt])
def test_an_alarm_goes_on(kind: type[BaseException]) -> None:
    """What a signal's handler raises while a validator runs is not taken for an error of the type."""

    def ring(number: int, frame: Optional[types.FrameType]) -> None:
        raise kind

    def wait(_: str) -> None:
        signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(kind):
            read(Annotated[str, BeforeValidator(wait)], "hunter2")
    finally:
        signal.signal(signal.SIGALRM, before)


class InterruptedName(type):
    """Its classes interrupt whoever looks at their names."""

    @property
    def __name__(cls) -> None:  # type: ignore[override]  # a class can do worse
        raise KeyboardInterrupt


def test_an_interrupt_while_an_error_is_looked_at_carries_nothing() -> None:
    """An interrupt that comes while the library looks at an error, which may quote the value, is without it."""
    interrupting = InterruptedName("Interrupting", (Exception,), {})
    for key in (None, "k"):
        with pytest.raises(KeyboardInterrupt) as caught:
            read(_raising(interrupting), '{"k": "hunter2"}', key=key)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_no_error_is_left_behind() -> None:
    """An error of validating is gone when it was looked at, without waiting for the garbage collector."""
    raised: list[weakref.ref[Exception]] = []

    def refuse(value: Any) -> Any:
        error = QuotingError(value)
        raised.append(weakref.ref(error))
        raise error

    gc.disable()
    try:
        for key in (None, "k"):
            assert problems(read(Annotated[str, AfterValidator(refuse)], '{"k": "hunter2"}', key=key)) == [
                "foreign_exception"
            ]
        assert [ref() for ref in raised] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("declared", [int, Database, dict[str, int], Annotated[Database, AfterValidator(abs)]])
def test_pydantics_own_error_quotes_nothing(declared: Any) -> None:
    """Even pydantic's own error, which never leaves, does not show what was read."""
    with pytest.raises(pydantic.ValidationError) as caught:
        reader("here", declared)._validate('{"port": "hunter2", "hunter2": "hunter2"}')
    assert "hunter2" not in str(caught.value).replace("\nhunter2\n", "")


def test_too_deep() -> None:
    """JSON that is nested too deeply, and a validator that is, are errors like any other."""

    def recurse(value: Any) -> Any:
        return recurse(value)

    deep = '{"k": ' + "[" * 5000 + "]" * 5000 + "}"
    assert problems(read(dict[str, Any], deep)) == ["json_invalid"]
    assert problems(read(list[Any], deep, key="k")) == ["json_invalid"]
    assert problems(read(Annotated[str, AfterValidator(recurse)], "hunter2")) == ["RecursionError"]


class QuotingError(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__(f"not {value!r}")
        self.value = value


def _quoting_value_error(value: Any) -> Exception:
    return ValueError(f"not {value!r}")


def _quoting_custom_error(value: Any) -> Exception:
    return PydanticCustomError(str(value), "not {value}", {"value": value})


MAKERS: list[Callable[[Any], Exception]] = [QuotingError, _quoting_value_error, _quoting_custom_error, KeyError]
LEAVES: list[Any] = [
    int,
    float,
    bool,
    date,
    Decimal,
    uuid.UUID,
    AnyUrl,
    Color,
    Literal["a", "b"],
    Annotated[str, Field(max_length=3)],
    Annotated[SecretStr, Field(max_length=3)],
    Annotated[str, AfterValidator(_revalidating)],
    *map(_raising, MAKERS),
]
BRANCHES: list[Callable[[Any], Any]] = [
    lambda kind: list[kind],  # type: ignore[valid-type]
    lambda kind: dict[kind, int],  # type: ignore[valid-type]
    lambda kind: dict[str, kind],  # type: ignore[valid-type]
    lambda kind: tuple[kind, kind],  # type: ignore[valid-type]
    lambda kind: Annotated[list[kind], Field(max_length=0)],  # type: ignore[valid-type]
    lambda kind: _model(host=(kind, ...)),
    lambda kind: _model(__config__=ConfigDict(extra="forbid"), port=(kind, ...), host=(kind, None)),
    lambda kind: Union[_model(host=(kind, ...)), _model(port=(kind, ...))],
    lambda _: Annotated[_model(host=(Any, ...)), AfterValidator(_raiser(QuotingError))],
    lambda _: Annotated[dict[str, Any], AfterValidator(_raiser(_quoting_value_error))],
]
KINDS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(lambda make, kind: make(kind), st.sampled_from(BRANCHES), inner),
    max_leaves=3,
)
# Without small letters: no word of a message can pass for a leak.
CANARIES = st.text(st.characters(exclude_categories=["Ll", "Cs"]), min_size=8, max_size=30)
TEXTS: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda canary: json.dumps([canary, canary]),
    lambda canary: json.dumps({canary: canary}),
    lambda canary: json.dumps({"host": canary}),
    lambda canary: json.dumps({"host": {canary: [canary]}, "port": canary, canary: 1}),
    lambda canary: json.dumps({"host": [[canary]]}, ensure_ascii=False),
    lambda canary: json.dumps({"host": canary})[:-1],
    lambda canary: "{" + canary,
]


def _shown(error: BaseException) -> Iterator[str]:
    """List everything that an error could show to anyone."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)), repr(getattr(error, "__notes__", None)))
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in trace.stack:
        if frame.filename.startswith(LAMBDASECRETS):
            yield repr(frame.locals)
    yield from trace.format_exception_only()
    assert (error.__cause__, error.__context__) == (None, None)


def _pieces(canary: str) -> set[str]:
    """List every eight characters in a row, as they are and as Python or JSON would escape them."""
    whole = {canary, repr(canary)[1:-1], ascii(canary)[1:-1], json.dumps(canary)[1:-1]}
    return {text[start : start + 8] for text in whole for start in range(len(text) - 7)}


def _assert_shows_nothing(result: Any, canary: str) -> None:
    if not isinstance(result, InvalidValueError):
        return
    with pytest.raises(InvalidValueError) as caught:
        _take(result)
    text = "\n".join(_shown(caught.value))
    assert {piece for piece in _pieces(canary) if piece in text} == set()


@bounded
@given(kind=KINDS, canary=CANARIES, write=st.sampled_from(TEXTS), key=st.sampled_from([None, "host"]))
def test_nothing_leaks(kind: Any, canary: str, write: Callable[[str], str], key: Optional[str]) -> None:
    """Whatever the type and however the value does not fit, no eight characters of it in a row are shown."""
    _assert_shows_nothing(read(kind, write(canary), key=key), canary)
    _assert_shows_nothing(read(kind, write(canary), is_list=True), canary)
    _assert_shows_nothing(read_bytes(kind, write(canary).encode()), canary)


@bounded
@given(kind=KINDS, canary=CANARIES, write=st.sampled_from(TEXTS), refuse=st.sampled_from(MAKERS))
def test_nothing_leaks_of_config_models(
    kind: Any, canary: str, write: Callable[[str], str], refuse: Callable[[Any], Exception]
) -> None:
    """A config model that does not fit shows no eight characters in a row of its fields' values."""

    class Whole(BaseModel):
        free: Annotated[str, Secret("free")]
        field: Annotated[kind, Secret("field")] = None

        @model_validator(mode="after")
        def refuse(self) -> "Whole":
            raise refuse(repr(self))

    _assert_shows_nothing(made(Whole, free=canary, field=write(canary)), canary)
    _assert_shows_nothing(made(Whole, free=canary), canary)


def test_the_canary_sings() -> None:
    """The search for leaks finds one where there is one."""
    leaking = InvalidValueError(SUBJECT, "hunter2hunter2", [])
    with pytest.raises(AssertionError):
        _assert_shows_nothing(leaking, "hunter2hunter2")
