"""What is said of a value that does not fit, and of what there is nothing said."""

import functools
import json
import signal
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Json,
    RootModel,
    SecretStr,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError, SchemaValidator
from typing_extensions import TypeAliasType, TypedDict

from lambdasecrets._json import find_fault
from lambdasecrets._misfits import _CAUSES, explain_no_object, find_problems, is_from_signal_handler
from tests.labels import label
from tests.properties import bounded


class Database(BaseModel):
    host: str
    port: int = 5432


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    names: list[int]


class First(BaseModel):
    version: Literal[1]
    items: list[int]


class Second(BaseModel):
    version: Literal[2]


class Color(Enum):
    RED = "red"


class ByColor(BaseModel):
    color: Literal[Color.RED]
    size: int


class Aliased(BaseModel):
    first: int = Field(validation_alias=AliasPath("names", 0))
    second: int = Field(validation_alias=AliasChoices("b", AliasPath("c", "d", 1)))
    third: list[int] = Field(default=[], alias="thirdList")


class Open(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, list[int]]


class Place(TypedDict):
    items: list[int]


class Pair(NamedTuple):
    x: int
    y: list[int] = []  # noqa: RUF012 - a default of a named tuple


@dataclass
class Point:
    x: list[int]


class Numbers(RootModel[list[int]]):
    pass


Tree = TypeAliasType("Tree", "dict[str, Tree] | list[int]")
Tagged = Annotated[
    Annotated[Cat, Tag("c")] | Annotated[Dog, Tag("d")],
    Discriminator(lambda data: "c" if "lives" in data else "d"),
]


def raising(error: Callable[[Any], Exception]) -> Callable[[Any], Any]:
    """Make a validator that refuses everything."""

    def refuse(value: Any) -> Any:
        raise error(value)

    return refuse


def problems(declared: Any, text: str) -> list[tuple[str, str]]:
    """List what is shown of a text that does not fit as JSON: places and types."""
    return [(".".join(map(str, problem.location)), problem.type) for problem in _found(declared, text)]


def details(declared: Any, text: str) -> list[str]:
    """List what is said of a text that does not fit as JSON."""
    return [problem.detail for problem in _found(declared, text)]


def _found(declared: Any, text: str) -> list[Any]:
    schema: Any = TypeAdapter(declared).core_schema
    with pytest.raises(Exception) as failure:  # noqa: PT011 - a validator may raise anything
        SchemaValidator(schema).validate_json(text)
    assert isinstance(failure.value, Exception)
    return list(find_problems(failure.value, schema, text))


# --- Where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text", "places"),
    [
        (Database, "{}", ["host"]),
        (list[int], '["a", 1, "b"]', ["0", "2"]),
        (tuple[int, str], '["a"]', ["0", "1"]),
        (tuple[int, ...], '[1, "a"]', ["1"]),
        (set[int], '["a"]', ["0"]),
        (Numbers, '["a"]', ["0"]),
        (list[list[int]], '[[], [1, "a"]]', ["1.1"]),
        (list[Database], '[{"host": "h"}, {"port": "a"}]', ["1.host", "1.port"]),
        (dict[str, list[int]], '{"key": [1, "a"]}', ["*.1"]),
        (dict[str, Database], '{"host": {"port": "a"}}', ["*.host", "*.port"]),
        (dict[int, int], '{"key": 1}', ["*.*"]),
        (list[int] | None, '["a"]', ["0"]),
        (Place, '{"items": ["a"]}', ["items.0"]),
        (Point, '{"x": [1, "a"]}', ["x.1"]),
        (Pair, '["a", ["b"]]', ["0", "1.0"]),
        (Pair, '{"x": "a"}', ["x"]),
        (Cat | Dog, '{"kind": "cat", "names": [1, "a"]}', ["Cat.lives", "Dog.kind", "Dog.names.1"]),
        (Annotated[Cat | Dog, Field(discriminator="kind")], '{"kind": "dog", "names": ["a"]}', ["dog.names.0"]),
        (
            Annotated[First | Second, Field(discriminator="version")],
            '{"version":1, "items":["a"]}',
            ["1.items.0"],
        ),
        (Tagged, '{"names": [1, "a"]}', ["d.kind", "d.names.1"]),
        (list[int] | Database, '["a"]', ["*.0", "Database"]),
        (dict[str, int] | list[Place], '[{"items": [1, "a"]}]', ["*", "*.0.items.1"]),
        (Tree, '{"key": ["a"]}', ["*.*.*", "*.*.*.0", "*"]),
        (Aliased, '{"names": ["a"], "b": "c", "thirdList": ["d"]}', ["names.0", "b", "thirdList.0"]),
        (Aliased, '{"names": [1], "c": {"d": [1, "a"]}}', ["c.d.1"]),
        (Open, '{"key": [1, "a"]}', ["*.1"]),
        (Annotated[list[int], AfterValidator(list)], '["a"]', ["0"]),
        (list[Annotated[int, AfterValidator(abs)]], '["a"]', ["0"]),
        (Json[list[int]], '"[1, \\"a\\"]"', ["*"]),
    ],
    ids=label,
)
def test_places(declared: Any, text: str, places: list[str]) -> None:
    """A place is shown by the names of the declared type and the indexes of its lists, the first and the last too."""
    assert places == [place for place, _ in problems(declared, text)]


def _revalidate(value: Any) -> Any:
    """Raise an error whose places are ints and texts that come from a value."""
    return TypeAdapter(dict[int, dict[int, int]]).validate_python({4711: {1234: value, 0: 1}, 0: value})


class Account(BaseModel):
    pins: dict[int, int] = {}
    codes: list[int] = []


class Nested(BaseModel):
    account: Account

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        return {"account": {"pins": {1234: "no", 0: "no"}, "codes": data["account"]["codes"]}}


@pytest.mark.parametrize(
    ("declared", "text", "places"),
    [
        (Nested, '{"account": {"codes": [1, "a"]}}', ["account.pins.*", "account.pins.*", "account.codes.1"]),
        (Annotated[dict[str, int], AfterValidator(_revalidate)], '{"key": 1}', ["*.*", "*.*.*"]),
        (Annotated[Database, AfterValidator(_revalidate)], '{"host": "h"}', ["*.*", "*"]),
        (list[Annotated[dict[str, int], AfterValidator(_revalidate)]], '[{"key": 1}]', ["0.*.*", "0.*.*.*"]),
        (Annotated[list[int], AfterValidator(_revalidate)], "[1, 2]", ["*.*", "0"]),
        (Annotated[tuple[int, int], BeforeValidator(_revalidate)], "[1, 2]", ["*.*", "0"]),
        (Annotated[list[int], BeforeValidator(lambda _: [1, 2, "a"])], "5", ["*"]),
    ],
    ids=label,
)
def test_a_key_that_is_a_number_is_no_index(declared: Any, text: str, places: list[str]) -> None:
    """A number in a place is shown where the declared type has a list there that is as long, and nowhere else."""
    assert places == [place for place, _ in problems(declared, text)]


def test_many_places() -> None:
    """Of very many misfits the first hundred are looked at, each at the cost of one."""
    found = _found(list[Database], json.dumps([{}] * 5000))
    assert [problem.location for problem in found] == [(index, "host") for index in range(100)]


# --- What ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        (Database, '{"host": 5}', ["a number where a text is declared"]),
        (Database, '{"host": true, "port": null}', [
            "true or false where a text is declared", "null where a whole number is declared",
        ]),
        (list[list[int]], '["a"]', ["a text where a list is declared"]),
        (list[str], "[{}, []]", ["an object where a text is declared", "a list where a text is declared"]),
        (dict[str, str], '{"port": 5432}', [
            "a number where a text is declared; declare a model, or take a member by key=",
        ]),
        (Database, "[]", ["is JSON, but a list where an object is declared"]),
        (list[int], "null", ["is JSON, but null where a list is declared"]),
        (Database, json.dumps('{"host": "h"}'), [
            "is JSON, but a text where an object is declared; the text in it is JSON: it was encoded twice",
        ]),
        (Place, json.dumps({"items": "[1]"}), [
            "a text where a list is declared; the text in it is JSON: it was encoded twice",
        ]),
        (Database, "{}", [""]),
        (list[int], '["a"]', [""]),
        (Annotated[str, BeforeValidator(object.__repr__), AfterValidator(raising(ValueError))], '"a"', [""]),
        (Annotated[str, BeforeValidator(lambda _: object())], '"a"', [""]),
        (Annotated[bytes, BeforeValidator(list)], '"a"', ["a list where bytes is declared"]),
    ],
    ids=label,
)  # fmt: skip
def test_kinds(declared: Any, text: str, expected: list[str]) -> None:
    """A value of another kind is said to be so, with the way to declare several kinds: the kind is no secret."""
    assert expected == details(declared, text)


FAULTS = {
    '{"a":1,}': "a trailing comma at line 1 column 8",
    '{"a":1,\n "b":[1,]}': "a trailing comma at line 2 column 9",
    "{'a':1}": "single quotes where JSON has double quotes at line 1 column 2",
    "{\"a\": 'x'}": "single quotes where JSON has double quotes at line 1 column 7",
    "{\"Zoë\": 'x'}": "single quotes where JSON has double quotes at line 1 column 10",
    "{a:1}": "a name without double quotes at line 1 column 2",
    '{"a":"x\ny"}': "a raw line break inside a text at line 2 column 0",
    '{"a":"x\r\ny"}': "a raw line break inside a text at line 1 column 8",
    '{"a":"x\ty"}': "a raw tab inside a text at line 1 column 8",
    '{"a":"\x00"}': "a control character inside a text at line 1 column 7",
    '\ufeff{"a":1}': "it begins with a byte order mark (BOM) at line 1 column 1",
    "": "it is empty at line 1 column 0",
    " \n": "it is empty at line 2 column 0",
    '{"a": "hun': "it ends too soon at line 1 column 10",
    '{"a":1': "it ends too soon at line 1 column 6",
    "[1": "it ends too soon at line 1 column 2",
    "hunter2": "no JSON value at line 1 column 1",
    "'hunter2'": "no JSON value at line 1 column 1",
    '{"a":trve}': "no JSON value at line 1 column 8",
    '{"a":1} x': "something follows the JSON at line 1 column 9",
    '{"a" 1}': "a colon is missing at line 1 column 6",
    '{"a":1 "b":2}': "a comma or a closing brace is missing at line 1 column 8",
    "[1 2]": "a comma or a closing bracket is missing at line 1 column 4",
    '"\\x"': "no escape that JSON has at line 1 column 3",
    '"\\ud800"': "half an escaped character at line 1 column 8",
    '"\\ud800\\u0041"': "half an escaped character at line 1 column 13",
    "01": "no number as JSON writes it at line 1 column 2",
    "[" * 300: "nested too deeply at line 1 column 202",
    "1" * 5000: "a number with too many digits at line 1 column 4302",
}


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: repr(text[:12]))
def test_what_is_no_json(text: str) -> None:
    """A text that is no JSON is said to be none, with cause and place, for a type and for a member alike."""
    assert details(Database, text) == [f"is no JSON: {FAULTS[text]}"]
    problem = explain_no_object(text)
    assert (problem.type, problem.detail) == (
        "json_invalid",
        f"is no JSON: {FAULTS[text]}; key= takes a member of a JSON object",
    )


def test_an_unknown_fault() -> None:
    """What keeps a text from being JSON in a way that has no words yet is said to be so, and where."""
    assert details(Database, '"\\uZZZZ"') == ["is no JSON: no escape that JSON has at line 1 column 4"]
    assert explain_no_object("\ud800").detail == (
        "is no JSON: not as JSON is written at line 1 column 1; key= takes a member of a JSON object"
    )


@bounded
@given(text=st.text(), before=st.sampled_from(["", "{", "[", '{"a":', '{"a":"', "'", '"\\', "1"]))
def test_a_fault_quotes_nothing(text: str, before: str) -> None:
    """Whatever is no JSON, what is said of it is made of known words and of two numbers."""
    fault = find_fault(before + text)
    if fault is not None:
        assert fault.cause in _CAUSES or fault.cause.startswith(("EOF while parsing a", "control character (\\u0000-"))
        detail = explain_no_object(before + text).detail
        assert f" at line {fault.line} column {fault.column}; " in detail
        assert detail.isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", "is JSON, but a list"),
        ("5", "is JSON, but a number"),
        ("null", "is JSON, but null"),
        ('"hunter2"', "is JSON, but a text"),
        (json.dumps('{"a": 1}'), "is JSON, but a text; the text in it is JSON: it was encoded twice"),
    ],
)
def test_json_without_members(text: str, expected: str) -> None:
    """JSON that is no object is another cause than no JSON, with the kind that it is."""
    problem = explain_no_object(text)
    assert (problem.type, problem.detail) == ("no_json_object", f"{expected}; key= takes a member of a JSON object")


@pytest.mark.parametrize(
    ("declared", "text", "has_hint"),
    [
        (list[str], "eu-west-1,us-east-1", True),
        (tuple[str, ...], "a", True),
        (set[str], "", True),
        (Numbers, "1,2", True),
        (list[str], '["a",]', False),
        (dict[str, str], "a,b", False),
        (list[str] | Database, "a,b", False),
    ],
    ids=label,
)
def test_a_comma_list(declared: Any, text: str, has_hint: bool) -> None:
    """Where a list is declared, a text that is no JSON list is told how a text is split."""
    [detail] = details(declared, text)
    assert has_hint == detail.endswith(
        "; only a StringList is split at commas, any other text by a validator, such as PlainValidator"
    )


def test_a_json_text_inside() -> None:
    """A text inside JSON that is to be JSON itself is said to be none, without a place."""
    assert problems(dict[str, Json[int]], '{"a": "hunter2,"}') == [("*", "json_invalid")]
    assert details(dict[str, Json[int]], '{"a": "hunter2,"}') == [""]


# --- What is nobody's business --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda value: PydanticCustomError(value, "{v}", {"v": value}), "custom_error"),
        (lambda value: PydanticCustomError("missing", value), "missing"),
        (lambda value: PydanticCustomError("KeyError", value), "custom_error"),
        (lambda value: PydanticKnownError("json_invalid", {"error": f"{value} at line 1 column 1"}), "json_invalid"),
        (ValueError, "value_error"),
        (KeyError, "KeyError"),
        (OSError, "OSError"),
        (lambda value: type(value, (Exception,), {})(value), "foreign_exception"),
        (lambda value: type(value, (KeyError,), {})(value), "foreign_exception"),
        (type("KeyError", (Exception,), {}), "foreign_exception"),
        (type("print", (Exception,), {}), "foreign_exception"),
    ],
)
def test_what_a_validator_raises(error: Callable[[Any], Exception], expected: str) -> None:
    """Of what a validator raises only a type is shown that comes from no value: pydantic's, Python's, or a word."""
    assert problems(Annotated[str, AfterValidator(raising(error))], '"hunter2"') == [("", expected)]
    assert details(Annotated[str, AfterValidator(raising(error))], '"hunter2"') == [""]


def test_an_error_that_raises() -> None:
    """An error that cannot be looked at is one of somebody else, whatever is wrong with it."""

    class Named(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]  # a class can do worse
            raise RuntimeError("hunter2")

    class Evil(Exception, metaclass=Named):  # noqa: N818 - it is evil
        pass

    assert problems(Annotated[str, AfterValidator(raising(Evil))], '"hunter2"') == [("", "foreign_exception")]


def test_a_misplaced_constraint() -> None:
    """A constraint that pydantic cannot apply to a type is pydantic's TypeError."""
    declared = Annotated[SecretStr, StringConstraints(strip_whitespace=True)]
    assert problems(declared, '"hunter2"') == [("", "TypeError")]


# --- Signals -------------------------------------------------------------------------------------------------------


class Handler:
    """Handles a signal in ways that a program may."""

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        raise TimeoutError

    def handle(self, number: int, frame: types.FrameType | None) -> None:
        """Raise, as a method."""
        raise TimeoutError


def handle(number: int, frame: types.FrameType | None) -> None:
    """Raise, as a function."""
    raise TimeoutError


def handle_with(kind: type[Exception], number: int, frame: types.FrameType | None) -> None:
    """Raise, as a partial."""
    raise kind


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
@pytest.mark.parametrize(
    "handler", [handle, Handler().handle, Handler(), functools.partial(handle_with, OSError)], ids=label
)
def test_from_a_signal_handler(handler: Callable[[int, types.FrameType | None], Any]) -> None:
    """What a signal's handler raises is told from what a validator raises, whatever the handler is."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(OSError) as interrupt:  # noqa: PT011 - TimeoutError is one
            signal.raise_signal(signal.SIGALRM)
        with pytest.raises(OSError) as error:  # noqa: PT011 - the same kind
            raising(TimeoutError)("hunter2")
        assert is_from_signal_handler(interrupt.value)
        assert not is_from_signal_handler(error.value)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no such signal")
def test_a_signal_while_an_error_is_looked_at() -> None:
    """What a signal's handler raises goes on, also while an error is looked at."""

    class Ringing(type):
        @property
        def __name__(cls) -> None:  # type: ignore[override]  # a class can do worse
            signal.raise_signal(signal.SIGALRM)

    class Evil(Exception, metaclass=Ringing):  # noqa: N818 - it is evil
        pass

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with pytest.raises(TimeoutError):
            find_problems(Evil(), {"type": "str"}, "hunter2")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_from_no_signal_handler() -> None:
    """What validating finds, and what a class raises when it is called, is no signal's."""
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(Database).validate_json("5")
    assert not is_from_signal_handler(invalid.value)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - an Enum's
        Color("no color")
    assert not is_from_signal_handler(error.value)
