"""Whatever a type is and however a value does not fit it, nothing of the value shows: every combination, no sample.

Types are built of leaves (each way in which a validator may raise what quotes its input) and branches (each way in
which a type may stand inside another). Values are texts with two canaries, a text and a number, in every shape that
matters.
"""

from __future__ import annotations

import json
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pydantic
import pytest
from pydantic import (
    AfterValidator,
    AliasPath,
    AnyUrl,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Json,
    PlainValidator,
    RootModel,
    SecretStr,
    Tag,
    TypeAdapter,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError
from typing_extensions import TypedDict

from lambdasecrets import InvalidValueError, Secret, Subject
from lambdasecrets._parsing import assembler, field_reader, reader
from lambdasecrets._sources.forms import RawValue

WORD = "C~4~N~4~R~Y~\N{LATIN SMALL LETTER E WITH DIAERESIS}'\"\\~OF~THE~VALUE"
NUMBER = 471123
PIECES = frozenset(
    [text[at : at + 8] for text in (WORD, repr(WORD), ascii(WORD), json.dumps(WORD)) for at in range(len(text) - 7)]
    + [str(NUMBER)[at : at + 4] for at in range(3)]
)
SUBJECT = Subject("app.handler", ("value",), ("Secret('x')",))


# --- Leaves --------------------------------------------------------------------------------------------------------


class QuotingError(Exception):
    """Quotes what it refuses, in every way that an exception can."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"not {value!r}")
        self.value = value
        self.__notes__ = [f"not {value!r}"]


def _name_class(value: Any, *bases: type[Exception]) -> Exception:
    made: Any = type(str(value), bases, {})
    error: Exception = made(value)
    return error


def _revalidate(value: Any) -> Exception:
    """Give the error of another validation, whose places are numbers and names that come from the value."""
    held = {NUMBER: {NUMBER: value, str(value): value}, -NUMBER: value, 0: value}
    try:
        TypeAdapter(dict[int, dict[int, bool]]).validate_python(held)
    except pydantic.ValidationError as error:
        return error
    raise AssertionError(value)  # pragma: no cover - it is no bool, and neither is a key


def _chain(value: Any) -> Exception:
    error = RuntimeError("wrong")
    error.__cause__, error.__context__ = QuotingError(value), KeyError(value)
    return error


ERRORS: dict[str, Callable[[Any], Exception]] = {
    "ValueError": lambda value: ValueError(f"not {value!r}"),
    "AssertionError": AssertionError,
    "KeyError": KeyError,
    "OSError": OSError,
    "UnicodeDecodeError": lambda value: UnicodeDecodeError("utf-8", str(value).encode(), 0, 1, str(value)),
    "of its own": QuotingError,
    "named after the value": lambda value: _name_class(value, Exception),
    "named after the value, a ValueError": lambda value: _name_class(value, ValueError),
    "named after the value, a KeyError": lambda value: _name_class(value, KeyError),
    "custom": lambda value: PydanticCustomError(str(value), "not {value}", {"value": value}),
    "custom, of a known type": lambda value: PydanticCustomError("missing", str(value).replace("{", "")),
    "known": lambda value: PydanticKnownError("json_invalid", {"error": f"{value} at line {NUMBER} column 1"}),
    "of another validation": _revalidate,
    "of a cause": _chain,
}


def raising(error: Callable[[Any], Exception]) -> Callable[[Any], Any]:
    """Make a validator that refuses everything, and quotes it."""

    def refuse(value: Any) -> Any:
        raise error(value)

    return refuse


FORMS: dict[str, Callable[[Any], Any]] = {
    "after": lambda refuse: Annotated[str, AfterValidator(refuse)],
    "after, of a SecretStr": lambda refuse: Annotated[
        SecretStr, AfterValidator(lambda value: refuse(value.get_secret_value()))
    ],
    "before": lambda refuse: Annotated[int | None, BeforeValidator(refuse)],
    "around": lambda refuse: Annotated[str, WrapValidator(lambda value, _: refuse(value))],
    "in its place": lambda refuse: Annotated[Any, PlainValidator(refuse)],
    "after, of a dict": lambda refuse: Annotated[dict[str, Any], AfterValidator(refuse)],
    "after, of a list": lambda refuse: Annotated[list[Any], AfterValidator(refuse)],
    "before, of a list": lambda refuse: Annotated[list[int], BeforeValidator(refuse)],
}


class Color(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


PLAIN: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "Decimal": Decimal,
    "date": date,
    "timedelta": timedelta,
    "UUID": UUID,
    "AnyUrl": AnyUrl,
    "Enum": Color,
    "IntEnum": Level,
    "Literal": Literal["a", 1],
    "short": Annotated[str, Field(max_length=3)],
    "pattern": Annotated[str, Field(pattern="^a$")],
    "secret": pydantic.Secret[int],
    "bytes": Annotated[bytes, Field(max_length=3)],
}
VALIDATED = {
    f"{error} {form}": make(raising(raised)) for error, raised in ERRORS.items() for form, make in FORMS.items()
}


# --- Branches ------------------------------------------------------------------------------------------------------


def _model(**fields: Any) -> Any:
    return create_model("Made", **fields)


def _typed_dict(kind: Any) -> Any:
    return TypedDict("Typed", {"host": kind, "port": int})  # type: ignore[operator]  # kind is a value


def _named_tuple(kind: Any) -> Any:
    return NamedTuple("Named", [("host", kind), ("port", int)])


def _tagged(kind: Any) -> Any:
    one, two = _model(kind=(Literal["c"], "c"), host=(kind, ...)), _model(kind=(Literal["d"], ...), lives=(int, ...))
    return Annotated[Annotated[one, Tag("c")] | Annotated[two, Tag("d")], Discriminator(lambda _: "c")]


def _refusing(kind: Any) -> Any:
    """Make a model whose own validator refuses what its fields accept."""
    refuse: Any = model_validator(mode="before")(raising(_revalidate))
    return create_model("Made", host=(kind, ...), __validators__={"refuse": refuse})


# Of any type: what they are made of here is a value, which a type checker takes for no type.
LIST: Any = list
TUPLE: Any = tuple
DICT: Any = dict
ROOT: Any = RootModel
JSON: Any = Json
BRANCHES: dict[str, Callable[[Any], Any]] = {
    "list": lambda kind: LIST[kind],
    "tuple": lambda kind: TUPLE[kind, kind],
    "dict": lambda kind: DICT[str, kind],
    "dict by it": lambda kind: DICT[kind, int],
    "dict by number": lambda kind: DICT[int, kind],
    "lists of dicts": lambda kind: LIST[DICT[str, LIST[kind]]],
    "too long": lambda kind: Annotated[LIST[kind], Field(max_length=0)],
    "model": lambda kind: _model(host=(kind, ...), port=(int, 1)),
    "model in a model": lambda kind: _model(host=(_model(host=(DICT[int, kind], ...)), ...)),
    "nothing else": lambda kind: _model(__config__=ConfigDict(extra="forbid"), host=(kind, None)),
    "by a path": lambda kind: _model(host=(kind, Field(validation_alias=AliasPath("host", 0)))),
    "union": lambda kind: _model(host=(kind, ...)) | _model(port=(kind, ...)) | LIST[kind],
    "tagged": _tagged,
    "by one of its members": lambda kind: Annotated[
        _model(kind=(Literal["c"], ...), host=(kind, None)) | _model(kind=(Literal["d"], ...)),
        Field(discriminator="kind"),
    ],
    "typed dict": _typed_dict,
    "named tuple": _named_tuple,
    "dataclass": lambda kind: make_dataclass("Made", [("host", kind)]),
    "root": lambda kind: ROOT[kind],
    "JSON in JSON": lambda kind: _model(host=(JSON[kind], ...)),
    "optional": lambda kind: kind | None,
    "refusing": _refusing,
}
INNER = {
    "int": int,
    "dict": dict[int, int],
    **{name: VALIDATED[f"{name} after"] for name in ERRORS},
    **{f"{name} before": VALIDATED[f"{name} before"] for name in ("of another validation", "of its own")},
}
TYPES = {
    **PLAIN,
    **VALIDATED,
    **{f"{inner} in {name}": branch(kind) for name, branch in BRANCHES.items() for inner, kind in INNER.items()},
}


# --- Values --------------------------------------------------------------------------------------------------------

_MEMBERS = {"host": WORD, "port": WORD, WORD: NUMBER, str(NUMBER): {str(NUMBER): [NUMBER, WORD]}}
TEXTS = (
    WORD,
    str(NUMBER),
    f"{WORD},{NUMBER}",
    json.dumps(WORD),
    json.dumps([WORD, NUMBER, {str(NUMBER): WORD}]),
    json.dumps(_MEMBERS),
    json.dumps({"host": NUMBER, "port": NUMBER}),
    json.dumps({"host": [NUMBER, WORD], "kind": WORD}),
    json.dumps({"host": {str(NUMBER): NUMBER, WORD: {WORD: [WORD]}, "host": {str(NUMBER): WORD}}, "kind": "c"}),
    json.dumps({"host": json.dumps([WORD, NUMBER]), "kind": NUMBER}, ensure_ascii=False),
    json.dumps([{"host": [WORD, NUMBER]}, {str(NUMBER): [WORD]}]),
    json.dumps(json.dumps(_MEMBERS)),
    json.dumps(_MEMBERS)[:-1],
    "{" + WORD,
    "\ufeff" + json.dumps(_MEMBERS),
    f"{{'host': '{WORD}'}}",
    f'{{"host": "{NUMBER}\n"}}',
    f'{{"host": {NUMBER}{NUMBER}.5e{NUMBER}}}',
    f'{{"host": {NUMBER},}}',
)
RAWS = [
    *(RawValue(text, None, "1") for text in TEXTS),
    *(RawValue(text, None, "1", is_list=True) for text in TEXTS[:4]),
    RawValue(None, TEXTS[-1].encode(), "1"),
]


def _shown(error: InvalidValueError) -> Iterator[str]:
    """List everything that an error could show to anyone."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)), repr(getattr(error, "__notes__", None)))
    yield from (repr(error.problems), *(problem.words for problem in error.problems))
    yield from traceback.format_exception(error)
    assert (error.__cause__, error.__context__, error.__traceback__) == (None, None, None)


def _leaked(result: Any) -> list[str]:
    """List the pieces of the canaries that an error shows."""
    if not isinstance(result, InvalidValueError):
        return []
    text = "\n".join(_shown(result))
    assert str(pickle.loads(pickle.dumps(result))) == str(result)  # noqa: S301 - made here
    return [piece for piece in PIECES if piece in text]


@pytest.mark.parametrize("name", TYPES)
def test_no_value_shows(name: str) -> None:
    """No type, whatever it is made of, shows eight characters of a value, or four digits, read whole or by key."""
    made = [reader("here", TYPES[name]), field_reader("here", TYPES[name])]
    results = [item.read(raw, key, SUBJECT) for item in made for raw in RAWS for key in (None, "host")]

    assert [leak for result in results for leak in _leaked(result)] == []
    assert any(isinstance(result, InvalidValueError) for result in results)


@pytest.mark.parametrize("name", [*PLAIN, *VALIDATED])
def test_no_field_of_a_config_model_shows(name: str) -> None:
    """Nor does a config model that is put together from what its fields were given."""
    declared: Any = Annotated[TYPES[name], Secret("x")]
    whole = _model(field=(declared, Field(alias="other")), free=(Any, None))
    data = [WORD, NUMBER, [WORD, NUMBER], {WORD: NUMBER}, {NUMBER: WORD}, {"host": [NUMBER, {NUMBER: WORD}]}]
    results = [assembler("here", whole).assemble({"field": item, "free": item}, SUBJECT) for item in data]

    assert [leak for result in results for leak in _leaked(result)] == []


def test_the_canaries_sing() -> None:
    """A canary in an error is found: these tests can fail."""
    assert _leaked(InvalidValueError(SUBJECT, WORD, [])) != []
    assert _leaked(InvalidValueError(SUBJECT, f"Literal[{NUMBER}]", [])) != []
    assert _leaked(InvalidValueError(SUBJECT, "int", [])) == []
    assert _leaked(WORD) == []
