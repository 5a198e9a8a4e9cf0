# ruff: noqa: D103, UP007, UP045 - the handlers are what is tested, and both ways of writing a union must work

import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Generic, NamedTuple, Optional, TypeVar, Union, get_args

import attrs
import pytest
import typing_extensions
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_settings import BaseSettings
from typing_extensions import TypedDict

from lambdasecrets import DeclarationError, Parameter, Secret
from lambdasecrets._signature import Config, Plan, Slot, handler_plan, is_nullable, key_of_field, publish, value_plan
from tests import deferred

T = TypeVar("T")
U = TypeVar("U")
HERE = "tests.test_signature."
WITHOUT_TYPE = "its annotation is a declaration without a type."
CALLER_GIVES = "the caller gives it: a handler takes an event and a context first. Begin with (event, context, *, ...)."
NO_SUCH_NAME = "its annotation cannot be evaluated: name {!r} is not defined."
NAMES_REMEDY = (
    "Import or define that name at the module's top level: a name that exists only under TYPE_CHECKING, in a function "
    "or in a class cannot be looked up."
)
UNDECLARED = "it carries no declaration and has no default"
OUTERMOST = "Put the declaration outermost: Annotated[type, Secret(...)]. A config model stands by itself."
BY_KEYWORD = (
    "injection is by keyword, and this parameter takes none. Put it behind a `*`, as a keyword parameter of its own."
)

Key = Annotated[str, Secret("key")]
SharedKey = typing_extensions.TypeAliasType("SharedKey", Annotated[str, Secret("key")])
SharedAgain = typing_extensions.TypeAliasType("SharedAgain", SharedKey)
Many = typing_extensions.TypeAliasType("Many", Annotated[list[T], Parameter("/many")], type_params=(T,))
Swapped = typing_extensions.TypeAliasType("Swapped", Annotated[dict[U, T], Secret("map")], type_params=(T, U))
Constant = typing_extensions.TypeAliasType("Constant", Annotated[int, Parameter("/constant")], type_params=(T,))
Noted = Annotated[T, "a note"]
ManyKeys = typing_extensions.TypeAliasType("ManyKeys", list[Key])


class Database(BaseModel):
    host: str
    port: int = 5432


class Box(BaseModel, Generic[T]):
    content: T


class Inner(BaseModel):
    key: Key
    size: Annotated[int, Field(gt=0), Parameter("/size")] = Field(default=50, alias="pageSize", le=100)


class Outer(BaseModel):
    inner: Inner
    database: Annotated[Database, Secret("database")] = Field(description="where the orders are")
    stage: str = "dev"
    labels: list[str] = Field(default_factory=list)


class Boxed(BaseModel):
    box: Box[Annotated[str, Secret("boxed")]]


class Undeclared(BaseModel):
    key: Key
    size: int


class Nested(BaseModel):
    undeclared: Undeclared


class TwiceDeclared(BaseModel):
    key: Annotated[Key, Parameter("/key")]


class Cycle(BaseModel):
    key: Key
    again: "Cycle" = None  # type: ignore[assignment]


class Tree(BaseModel):
    children: list["Tree"]


@dataclass
class Record:
    key: Key


@pydantic_dataclass
class CheckedRecord:
    key: Key


class TypedRecord(TypedDict):
    key: Key


class TupleRecord(NamedTuple):
    key: Key


@attrs.frozen
class AttrsRecord:
    key: Key


@dataclass
class DefaultRecord:
    key: Any = Secret("x")  # noqa: RUF009 - the mistake


class RecordModel(BaseModel):
    record: Record


class Root(RootModel[Key]):
    pass


class RootOfConfig(RootModel[Inner]):
    pass


class ListModel(BaseModel):
    keys: list[Key] = []


class DefaultModel(BaseModel):
    key: str = Secret("x")  # type: ignore[assignment]


class FieldDefaultModel(BaseModel):
    key: str = Field(default=Secret("x"), max_length=3)  # type: ignore[assignment]


class ClassModel(BaseModel):
    key: Annotated[str, Secret] = ""


def of_a_record(name: str, kind: str) -> str:
    """Say what is said of a class that is filled in one piece."""
    return (
        f"fields of {name} carry declarations, but it is {kind}: a config model is a pydantic model. Derive it from "
        f'pydantic.BaseModel; or take them out and write Annotated[{name}, Secret("name")].'
    )


def of_a_root_model(name: str) -> str:
    """Say what is said of a model without fields."""
    return (
        f"{name} is a RootModel: it has no fields that could be filled one by one. Write Annotated[{name}, "
        f'Secret("name")], and take the declaration out of {name}.'
    )


def _value(name: str, declaration: Any, kind: Any, *, optional: bool = False) -> dict[str, Slot]:
    return {name: Slot((name,), declaration, kind, optional=optional)}


def _refusal(analysed: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as caught:
        analysed()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return str(caught.value)


# --- What works ----------------------------------------------------------------------------------------------------


def ordinary(
    event: dict[str, Any],
    context: object,
    *,
    database: Annotated[Database, Secret("database")],
    token: Annotated[SecretStr, Secret("token", key="k")],
    sizes: Annotated[list[int], Parameter("/sizes")] = [1],  # noqa: B006 - a default may be anything
    verbose: bool = False,
) -> None: ...


def test_ordinary() -> None:
    """A plan says what to ask for, what to read it as, and whether there is a default."""
    plan = handler_plan(ordinary)
    assert plan.owner == HERE + "ordinary"
    assert plan.given == ("event", "context")
    assert plan.nodes == {
        **_value("database", Secret("database"), Database),
        **_value("token", Secret("token", key="k"), SecretStr),
        **_value("sizes", Parameter("/sizes"), list[int], optional=True),
    }
    assert plan.slots == tuple(plan.nodes.values())


def test_published_signature() -> None:
    """The published signature has what is injected no more, and everything else as it was."""
    waiting = "(event: 'dict[str, Any]', context: 'object', *, verbose: 'bool' = False) -> 'None'"
    evaluated = "(event: dict[str, typing.Any], context: object, *, verbose: bool = False) -> None"
    # Annotations that wait stand in it as text, as they do under the future import.
    assert str(handler_plan(ordinary).signature) == (waiting if sys.version_info >= (3, 14) else evaluated)


def positional(event: Any, context: Any, key: Key, /) -> None: ...
def positional_or_keyword(event: Any, context: Any, key: Key) -> None: ...
def positional_event(event: Any, context: Any, /, *, key: Key) -> None: ...
def unannotated(event, context, *, key: Key): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
def with_keywords(event: Any, context: Any, *, key: Key, **rest: Any) -> None: ...
async def coroutine(event: Any, context: Any, *, key: Key) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [positional_or_keyword, positional_event, unannotated, with_keywords, coroutine],
    ids=lambda it: it.__name__,
)
def test_shapes(handler: Callable[..., Any]) -> None:
    """However event and context are taken, and whatever else there is, a declared parameter is injected."""
    assert _value("key", Secret("key"), str) == handler_plan(handler).nodes


class App:
    def method(self, event: Any, context: Any, *, key: Key) -> None: ...
    def class_method(cls, event: Any, context: Any, *, key: Key) -> None: ...  # noqa: N805 - yet to be decorated
    def too_short(self, event: Any, *, key: Key) -> None: ...


@pytest.mark.parametrize(("first", "handler"), [("self", App.method), ("cls", App.class_method)])
def test_methods(first: str, handler: Callable[..., Any]) -> None:
    """A method's own first argument is given, like event and context."""
    plan = handler_plan(handler)
    assert (first, "event", "context") == plan.given
    assert _value("key", Secret("key"), str) == plan.nodes


def test_closure() -> None:
    """A handler can be defined in a function, with a class of that function."""

    class Local(BaseModel):
        name: str

    def handler(event: Any, context: Any, *, local: Annotated[Local, Secret("local")]) -> None: ...

    plan = handler_plan(handler)
    assert plan.owner == HERE + "test_closure.<locals>.handler"
    assert _value("local", Secret("local"), Local) == plan.nodes


def test_wrapped() -> None:
    """A handler that another decorator wrapped is known by its own signature and names."""

    @functools.wraps(deferred.ordinary)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert handler_plan(deferred.ordinary) == handler_plan(wrapper)


@pytest.mark.parametrize(
    ("kind", "annotation"),
    [
        (str, Key),
        (str, SharedKey),
        (str, SharedAgain),
        (str, typing_extensions.Annotated[str, Secret("key")]),
        (Annotated[str, "a note"], Annotated[str, "a note", Secret("key")]),
        (Annotated[str, "a note", "another"], Annotated[Annotated[str, "a note"], Secret("key"), "another"]),
        (Annotated[str, "another"], Annotated[Key, "another"]),
        (Annotated[str, "another"], Annotated[SharedKey, "another"]),
        (Annotated[str, "a note"], Annotated[Noted[str], Secret("key")]),
        (Optional[str], Key | None),
        (Optional[str], Optional[Key]),
        (Optional[str], Union[None, Key]),
        (Optional[str], SharedKey | None),
        (Optional[str], Annotated[str | None, Secret("key")]),
        (Annotated[Optional[str], "a note"], Annotated[Key | None, "a note"]),
        (int | str, Annotated[int | str, Secret("key")]),
        (Box[int], Annotated[Box[int], Secret("key")]),
        (dict[str, list[int]], Annotated[dict[str, list[int]], Secret("key")]),
        (Tree, Annotated[Tree, Secret("key")]),
        ("Database", Annotated["Database", Secret("key")]),
        (Any, Annotated[Any, Secret("key")]),
    ],
)
def test_annotations(kind: Any, annotation: Any) -> None:
    """However an annotation carries its declaration, the plan has the declaration and the rest of the annotation."""

    def handler(event: Any, context: Any, *, key: annotation) -> None: ...

    expected = Database if kind == "Database" else kind
    assert _value("key", Secret("key"), expected) == handler_plan(handler).nodes


@pytest.mark.parametrize(
    ("declaration", "kind", "annotation"),
    [
        (Parameter("/many"), list[int], Many[int]),
        (Secret("map"), dict[str, int], Swapped[int, str]),
        (Parameter("/constant"), int, Constant[str]),
    ],
)
def test_generic_alias(declaration: Any, kind: Any, annotation: Any) -> None:
    """A generic alias carries its declaration, with its type parameters filled in."""

    def handler(event: Any, context: Any, *, key: annotation) -> None: ...

    assert _value("key", declaration, kind) == handler_plan(handler).nodes


def module(source: str) -> dict[str, Any]:  # pragma: no cover - of no use to older Pythons
    """Run source that older Pythons cannot read; give its names."""
    names = {"__name__": "app", "Annotated": Annotated, "Any": Any, "Parameter": Parameter, "Secret": Secret}
    exec(source, names)  # noqa: S102 - our own
    return names


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the `type` statement is of Python 3.12")
def test_type_statement() -> None:  # pragma: no cover - of no use to older Pythons
    """Aliases by the `type` statement carry their declarations."""
    source = """
type Key = Annotated[str, Secret("key")]
type Many[T] = Annotated[list[T], Parameter("/many")]
type Unseen = Annotated[Nowhere, Secret("unseen")]
type Js = dict[str, Js] | str
type Tree[T] = dict[str, Tree[list[T]]] | T
type Loop = Loop
type Ring = list[Ring | Annotated[str, Secret("inside")]]

def handler(event: Any, context: Any, *, key: Key, many: Many[int], maybe: Key | None = None) -> None: ...
def unseen(event: Any, context: Any, *, key: Unseen) -> None: ...
def recursive(event: Any, context: Js, *, key: Annotated[Js, Secret("key")], other: Js = "", tree: Tree[int] = 0,
              loop: Loop = None) -> None: ...
def ring(event: Any, context: Any, *, key: Ring) -> None: ...
"""
    names = module(source)
    assert handler_plan(names["handler"]).nodes == {
        **_value("key", Secret("key"), str),
        **_value("many", Parameter("/many"), list[int]),
        **_value("maybe", Secret("key"), Optional[str], optional=True),
    }
    assert _value("key", Secret("key"), names["Js"]) == handler_plan(names["recursive"]).nodes
    assert "a declaration stands inside Ring" in _refusal(lambda: handler_plan(names["ring"]))
    assert _refusal(lambda: handler_plan(names["unseen"])) == (
        f"Cannot use parameter 'key' of app.unseen: its annotation cannot be evaluated: name 'Nowhere' is not defined. "
        f"{NAMES_REMEDY}"
    )


Recursive = typing_extensions.TypeAliasType("Recursive", dict[str, "Recursive"] | str)  # type: ignore[misc]
Growing = typing_extensions.TypeAliasType("Growing", dict[str, "Growing[list[T]]"] | T, type_params=(T,))  # type: ignore[misc]


def test_recursive_alias() -> None:
    """An alias that has itself inside is read as pydantic reads it, and does no harm where it is not injected."""

    def handler(
        event: Any,
        context: Recursive,
        *,
        key: Annotated[Recursive, Secret("key")],
        maybe: Annotated[Recursive | None, Secret("maybe")] = None,
        other: Recursive = "",
        growing: Growing[int] = 0,
    ) -> None: ...

    assert handler_plan(handler).nodes == {
        **_value("key", Secret("key"), Recursive),
        **_value("maybe", Secret("maybe"), Recursive | None, optional=True),
    }


# --- from __future__ import annotations ----------------------------------------------------------------------------


def test_deferred() -> None:
    """Annotations that are text are evaluated, one by one."""
    plan = handler_plan(deferred.ordinary)
    assert plan.nodes == {
        **_value("database", Secret("database"), deferred.Database),
        **_value("key", Secret("key", key="k"), str),
        **_value("sizes", Parameter("/sizes"), list[int] | None, optional=True),
    }
    assert str(plan.signature) == "(event: 'dict[str, Any]', context: 'LambdaContext') -> 'None'"


@pytest.mark.parametrize(
    "handler",
    [deferred.type_checking_event, deferred.App.method, deferred.with_empty_cell()],
    ids=lambda it: it.__name__,
)
def test_type_checking_only_names_of_what_is_given(handler: Callable[..., Any]) -> None:
    """Event, context and the result may be annotated with names that exist only under TYPE_CHECKING."""
    assert _value("key", Secret("key", key="k"), str) == handler_plan(handler).nodes


def test_deferred_closure() -> None:
    """A local class can be named where the handler closes over it."""
    handler, local = deferred.with_closed_over_class()
    assert handler(None, None, local=None) is local
    assert _value("local", Secret("local"), local) == handler_plan(handler).nodes


@pytest.mark.parametrize(
    ("handler", "parameter", "name"),
    [
        (deferred.type_checking_other, "extra", "Extra"),
        (deferred.type_checking_inside, "key", "Unseen"),
        (deferred.with_local_class(), "local", "Local"),
        (deferred.App.with_class_name, "alias", "Alias"),
    ],
)
def test_names_that_cannot_be_looked_up(handler: Callable[..., Any], parameter: str, name: str) -> None:
    """A name that cannot be looked up is refused with the parameter's name and the remedy."""
    assert _refusal(lambda: handler_plan(handler)) == (
        f"Cannot use parameter {parameter!r} of tests.deferred.{handler.__qualname__}: its annotation cannot be "
        f"evaluated: name {name!r} is not defined. {NAMES_REMEDY}"
    )


def test_deferred_bad_declaration() -> None:
    """A wrong declaration in an annotation that is text says where it stands."""
    assert _refusal(lambda: handler_plan(deferred.bad_declaration)) == (
        "Cannot use Secret('') for parameter 'key' of tests.deferred.bad_declaration: name is empty. Give the name or "
        "ARN."
    )


def test_deferred_nonsense() -> None:
    """Text that is no annotation is refused."""
    assert _refusal(lambda: handler_plan(deferred.no_type)) == (
        "Cannot use parameter 'key' of tests.deferred.no_type: its annotation cannot be evaluated: Forward reference "
        "must be an expression -- got '3 +'. Correct the annotation."
    )


def test_deferred_config() -> None:
    """A config model may name classes that are defined after it."""
    assert handler_plan(deferred.config).nodes == {
        "config": Config(
            ("config",),
            deferred.Config,
            {
                "database": Slot(("config", "database"), Secret("database"), deferred.Database, optional=False),
                "later": Slot(("config", "later"), Secret("later"), Optional[deferred.Later], optional=True),
                "size": Slot(("config", "size"), Parameter("/size"), int, optional=True),
            },
        )
    }


@pytest.mark.parametrize("name", ["incomplete", "half_complete"])
def test_incomplete_config(name: str) -> None:
    """A config model whose annotations cannot be looked up is refused with the remedy."""
    handler = getattr(deferred, name)
    model = inspect.signature(handler).parameters["config"].annotation
    assert _refusal(lambda: handler_plan(handler)) == (
        f"Cannot use parameter 'config' of tests.deferred.{name}: {model} is not fully defined: its annotations use a "
        f"name that is not to be found. {NAMES_REMEDY}"
    )


# --- Annotations that wait (Python 3.14) ---------------------------------------------------------------------------

since_3_14 = pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations wait since Python 3.14")

LAZY = """
noted = []
def note(what):
    noted.append(what)
    return str

def others(event: Event, context: LambdaContext, *, key: Annotated[str, Secret("key")]) -> Result: ...
def noting(event: note("event"), context: note("context"), *, key: Annotated[str, Secret("key")]) -> note("return"): ...
def raising(event: no() / 0, context: str / 0, *, key: Annotated[str, Secret("key")]) -> str / 0: ...
def later(event, context, *, key: Annotated[Later, Secret("key")]): ...
class Later: ...
def unseen(event, context, *, key: Annotated[Unseen, Secret("key")]): ...
def other(event, context, *, key: Annotated[str, Secret("key")], extra: Extra = None): ...
def bad(event, context, *, key: Annotated[str, Secret("")]): ...
def bad_other(event: Event, context, *, first: Annotated[str, Secret("a")], key: Annotated[str, Secret("")]): ...
def not_text(event, context, *, key: Annotated[int, (lambda: 0), Secret("key")]) -> Result: ...
def not_text_beside(event: str / 0, context, *, key: Annotated[int, (lambda: 0), Secret("key")]): ...
def constant(event: 1 / 0, context, *, key: Annotated[str, Secret("key")]): ...
def generic[T](event: T, context, *, key: Annotated[str, Secret("key")]) -> T: ...

Alias = Annotated[str, Secret("of the module")]
class App:
    Alias = Annotated[str, Secret("of-the-class")]
    def method(self, event: Event, context, *, key: Alias): ...

def closure():
    class Local: ...
    def handler(event: Event, context, *, key: Annotated[Local, Secret("key")]): ...
    return handler, Local
""".replace("of the module", "of-the-module")


@since_3_14
@pytest.mark.parametrize("name", ["others", "raising", "generic"])
def test_waiting_annotations_of_others(name: str) -> None:  # pragma: no cover - of no use to older Pythons
    """What the caller gives, and the result, may be annotated with names that do not exist."""
    assert _value("key", Secret("key"), str) == handler_plan(module(LAZY)[name]).nodes


@since_3_14
def test_waiting_annotations_are_left_alone() -> None:  # pragma: no cover - of no use to older Pythons
    """Analysing and publishing evaluate no result's annotation; what asks for annotations later gets them."""
    names = module(LAZY)

    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    plan = handler_plan(names["noting"])
    publish(wrapper, names["noting"], plan)
    assert "return" not in names["noted"]
    shown = {name: item.annotation for name, item in inspect.signature(wrapper).parameters.items()}
    assert shown == {"event": "note('event')", "context": "note('context')"}
    assert {"event": str, "context": str, "return": str} == wrapper.__annotations__
    assert "return" in names["noted"]


@since_3_14
def test_waiting_annotations_of_a_published_wrapper() -> None:  # pragma: no cover - of no use to older Pythons
    """A wrapper's annotations can be had as text where a name does not exist, and as values where all do."""
    annotationlib = import_module("annotationlib")
    names = module(LAZY)

    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    publish(wrapper, names["others"], handler_plan(names["others"]))
    text = annotationlib.get_annotations(wrapper, format=annotationlib.Format.STRING)
    assert text == {"event": "Event", "context": "LambdaContext", "return": "Result"}
    with pytest.raises(NameError):
        inspect.get_annotations(wrapper)
    names.update(Event=dict, LambdaContext=object, Result=None)
    assert {"event": dict, "context": object, "return": None} == inspect.get_annotations(wrapper)


@since_3_14
def test_waiting_annotations_of_ones_own() -> None:  # pragma: no cover - of no use to older Pythons
    """A declared type can be defined after the handler, in its class or in the function around it."""
    names = module(LAZY)
    local, kind = names["closure"]()
    assert _value("key", Secret("key"), names["Later"]) == handler_plan(names["later"]).nodes
    assert _value("key", Secret("of-the-class"), str) == handler_plan(names["App"].method).nodes
    assert _value("key", Secret("key"), kind) == handler_plan(local).nodes


@since_3_14
def test_waiting_annotations_that_are_no_text() -> None:  # pragma: no cover - of no use to older Pythons
    """An annotation that cannot be told as text is evaluated all the same, whatever another one does."""
    names = module(LAZY)
    for name in ("not_text", "not_text_beside"):
        (slot,) = handler_plan(names[name]).slots
        assert (slot.declaration, get_args(slot.type)[0]) == (Secret("key"), int)


@since_3_14
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unseen", f"parameter 'key' of app.unseen: {NO_SUCH_NAME.format('Unseen')} {NAMES_REMEDY}"),
        ("other", f"parameter 'extra' of app.other: {NO_SUCH_NAME.format('Extra')} {NAMES_REMEDY}"),
        ("constant", "app.constant: its annotations cannot be evaluated: division by zero. Correct the annotation."),
        ("bad", "Secret('') for parameter 'key' of app.bad: name is empty. Give the name or ARN."),
        ("bad_other", "Secret('') for parameter 'key' of app.bad_other: name is empty. Give the name or ARN."),
    ],
)  # fmt: skip
def test_waiting_annotations_that_are_refused(name: str, expected: str) -> None:  # pragma: no cover - as above
    """What cannot be evaluated is refused in the words of the older Pythons' future import."""
    assert f"Cannot use {expected}" == _refusal(lambda: handler_plan(module(LAZY)[name]))


# --- Config models -------------------------------------------------------------------------------------------------


def with_config(event: Any, context: Any, *, outer: Outer) -> None: ...


def test_config() -> None:
    """A model whose fields carry declarations is planned field by field; undeclared fields keep their defaults."""
    size = Slot(("outer", "inner", "size"), Parameter("/size"), inspect.Parameter.empty, optional=True)
    plan = handler_plan(with_config)
    outer = plan.nodes["outer"]
    assert isinstance(outer, Config)
    assert (("outer",), Outer, ["inner", "database"]) == (outer.path, outer.model, list(outer.fields))
    inner = outer.fields["inner"]
    assert isinstance(inner, Config)
    assert (("outer", "inner"), Inner, ["key", "size"]) == (inner.path, inner.model, list(inner.fields))
    assert [("outer", "inner", "key"), size.path, ("outer", "database")] == [value.path for value in plan.slots]
    assert [value.optional for value in plan.slots] == [False, True, False]
    assert [Secret("key"), Parameter("/size"), Secret("database")] == [value.declaration for value in plan.slots]


def test_config_of_generic() -> None:
    """A generic model with a declaration for its type parameter is a config model."""
    plan = value_plan(Boxed)
    assert (Slot(("Boxed", "box", "content"), Secret("boxed"), str, optional=False),) == plan.slots


def test_constraints_of_fields() -> None:
    """A field's constraints stay with its type."""
    plan = value_plan(Inner)
    kinds = {value.path[-1]: value.type for value in plan.slots}
    assert kinds["key"] is str
    kept = [item for item in Inner.model_fields["size"].metadata if not isinstance(item, Parameter)]
    assert (int, *kept) == get_args(kinds["size"])
    assert len(kept) == 2


class Settings(BaseSettings):
    key: Key
    host: str
    port: int = 5432


def test_settings_class() -> None:
    """A field of a settings class without a declaration is left to that class."""
    plan = value_plan(Settings)
    assert (Slot(("Settings", "key"), Secret("key"), str, optional=False),) == plan.slots


class CustomInit(BaseModel):
    plain: str
    first: str = Field(alias="First")
    second: str = Field(validation_alias=AliasChoices(AliasPath("a", 0), "Second"))
    third: str = Field(validation_alias=AliasPath("a", 0))

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class CustomInitByName(CustomInit):
    model_config = ConfigDict(validate_by_name=True)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (CustomInit, ["plain", "First", "Second", "third"]),
        (CustomInitByName, ["plain", "first", "second", "third"]),
        (Inner, ["key", "size"]),
    ],
)
def test_key_of_field(model: Any, keys: list[str]) -> None:
    """A model that is called with its fields knows them by their aliases, unless it knows their names too."""
    assert keys == [key_of_field(model, name) for name in model.model_fields]
    assert CustomInit(plain="p", First="f", Second="s", a=["t"]).third == "t"


@pytest.mark.parametrize(
    ("expected", "annotation"),
    [
        (True, str | None),
        (True, Optional[list[int]]),
        (True, Annotated[Optional[str], "a note"]),
        (True, typing_extensions.TypeAliasType("Maybe", Optional[str])),
        (False, str),
        (False, list[None]),
        (False, Union[str, int]),
    ],
)
def test_is_nullable(expected: bool, annotation: Any) -> None:
    """A type allows None where None is one of its members."""
    assert expected is is_nullable(annotation)


# --- resolve() -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "plan"),
    [
        (Database, value_plan(Database, Secret("key"))),
        (str, value_plan(Key)),
        (Optional[str], value_plan(Key | None)),
        (list[int], value_plan(list[int], Secret("key"))),
    ],
)
def test_value_plan(kind: Any, plan: Plan) -> None:
    """Outside a handler a plan has one node, which no parameter names."""
    assert Plan("resolve()", {"": Slot((), Secret("key"), kind, optional=False)}) == plan


@pytest.mark.parametrize(
    ("expected", "annotation", "declaration"),
    [
        (f'resolve(str): {UNDECLARED}. Write Annotated[type, Secret("name")], or a default.', str, None),
        (
            (
                "resolve(Database): Database has no field that carries a declaration. Write Annotated[Database, "
                'Secret("name")], or give its fields declarations.'
            ),
            Database,
            None,
        ),
        (
            (
                "resolve(Annotated[str, Secret('key')]): it carries more than one declaration: Secret('key') and "
                "Secret('x'). Keep one of them."
            ),
            Key,
            Secret("x"),
        ),
        (
            (
                "resolve(..., str): its first argument is of type str, not a Secret or a Parameter. Write "
                'resolve(Secret("name"), str).'
            ),
            str,
            "a name",
        ),
        (
            (
                "resolve(..., int | None): its first argument is the class Secret, not a Secret or a Parameter. "
                'Write resolve(Secret("name"), int | None).'
            ),
            Optional[int],
            Secret,
        ),
        (
            (
                "resolve(Secret('x')): it has no type to read the value as. Write resolve(Secret('x'), str), or "
                "another type."
            ),
            Secret("x"),
            None,
        ),
        (
            "resolve(Inner): it has a declaration, and Inner has others inside. Keep the outer one, or those inside.",
            Inner,
            Secret("x"),
        ),
    ],
)
def test_bad_value_plan(expected: str, annotation: Any, declaration: Any) -> None:
    """What resolve cannot serve is refused with the remedy."""
    assert f"Cannot use {expected}" == _refusal(lambda: value_plan(annotation, declaration))


# --- What is refused -----------------------------------------------------------------------------------------------


def no_arguments() -> None: ...
def no_context(event: Any) -> None: ...
def keyword_context(event: Any, *, context: Any, key: Key) -> None: ...
def star_arguments(*args: Any, **kwargs: Any) -> None: ...
def forgotten_context(event: Any, key: Key, *, other: Key) -> None: ...
def nothing_declared(event: Any, context: Any, *, verbose: bool = False, **rest: Any) -> None: ...
def undeclared(event: Any, context: Any, *, key: Key, size: int) -> None: ...
def no_annotation(event, context, *, key): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
def undeclared_model(event: Any, context: Any, *, database: Database) -> None: ...
def positional_default(event: Any, context: Any, size: int = 1, /, *, key: Key) -> None: ...
def more_arguments(event: Any, context: Any, *args: Any, key: Key) -> None: ...
def declared_arguments(event: Any, context: Any, *keys: Key) -> None: ...
def declared_keywords(event: Any, context: Any, **keys: Key) -> None: ...
def two_declarations(event: Any, context: Any, *, key: Annotated[str, Secret("a"), Parameter("b")]) -> None: ...
def nested_declarations(event: Any, context: Any, *, key: Annotated[Key, Secret("b")]) -> None: ...
def in_list(event: Any, context: Any, *, keys: list[Key]) -> None: ...
def in_list_with_default(event: Any, context: Any, *, keys: list[Key] = []) -> None: ...  # noqa: B006 - never called
def in_whole_alias(event: Any, context: Any, *, keys: ManyKeys) -> None: ...
def in_alias(event: Any, context: Any, *, keys: dict[str, SharedKey]) -> None: ...
def in_union(event: Any, context: Any, *, key: Key | int) -> None: ...
def in_nullable_union(event: Any, context: Any, *, key: Key | int | None) -> None: ...
def in_declared(event: Any, context: Any, *, keys: Annotated[list[Key], Secret("all")]) -> None: ...
def config_in_declared(event: Any, context: Any, *, keys: Annotated[list[Inner], Secret("all")]) -> None: ...
def declared_config(event: Any, context: Any, *, inner: Annotated[Inner, Secret("inner")]) -> None: ...
def optional_config(event: Any, context: Any, *, inner: Inner | None = None) -> None: ...
def list_of_configs(event: Any, context: Any, *, inner: list[Inner]) -> None: ...
def validated_config(event: Any, context: Any, *, inner: Annotated[Inner, AfterValidator(id)]) -> None: ...
def undeclared_field(event: Any, context: Any, *, nested: Nested) -> None: ...
def twice_declared_field(event: Any, context: Any, *, config: TwiceDeclared) -> None: ...
def cycle(event: Any, context: Any, *, cycle: Cycle) -> None: ...
def record(event: Any, context: Any, *, record: Record) -> None: ...
def record_with_default(event: Any, context: Any, *, record: Record = Record("x")) -> None: ...  # noqa: B008 - data
def checked_record(event: Any, context: Any, *, record: CheckedRecord) -> None: ...
def typed_dict(event: Any, context: Any, *, record: TypedRecord) -> None: ...
def named_tuple(event: Any, context: Any, *, record: TupleRecord) -> None: ...
def attrs_class(event: Any, context: Any, *, record: AttrsRecord) -> None: ...
def record_by_default(event: Any, context: Any, *, record: DefaultRecord) -> None: ...
def record_in_model(event: Any, context: Any, *, config: RecordModel) -> None: ...
def list_of_records(event: Any, context: Any, *, records: list[Record]) -> None: ...
def declared_record(event: Any, context: Any, *, record: Annotated[Record, Secret("record")]) -> None: ...
def root_model(event: Any, context: Any, *, root: Root) -> None: ...
def root_of_config(event: Any, context: Any, *, root: RootOfConfig) -> None: ...
def list_in_model(event: Any, context: Any, *, config: ListModel) -> None: ...
def declared_default(event: Any, context: Any, *, key: str = Secret("x")) -> None: ...  # type: ignore[assignment]
def class_as_default(event: Any, context: Any, *, key: Database = Parameter) -> None: ...  # type: ignore[assignment]
def untyped_default(event, context, *, key=Secret("x")): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, B008
def declared_twice(event: Any, context: Any, *, key: Key = Secret("x")) -> None: ...  # type: ignore[assignment]  # noqa: B008 - the mistake
def default_in_model(event: Any, context: Any, *, config: DefaultModel) -> None: ...
def field_default_in_model(event: Any, context: Any, *, config: FieldDefaultModel) -> None: ...
def class_in_annotation(event: Any, context: Any, *, key: Annotated[str, Secret] = "") -> None: ...
def class_made_optional(event: Any, context: Any, *, key: Annotated[str, Parameter] | None = None) -> None: ...
def class_in_model(event: Any, context: Any, *, config: ClassModel) -> None: ...
def bare_declaration(event: Any, context: Any, *, key: Secret("x")) -> None: ...  # type: ignore[valid-type]
def bare_class(event: Any, context: Any, *, key: Secret = None) -> None: ...  # type: ignore[assignment]
def declared_event(event: Any = Secret("x"), context: Any = None, *, key: Key) -> None: ...  # noqa: B008 - the mistake
def undeclared_optional(event: Any, context: Any, *, key: str | None) -> None: ...
def generator(event: Any, context: Any, *, key: Key) -> Iterator[None]:
    yield  # pragma: no cover - never run


async def async_generator(event: Any, context: Any, *, key: Key) -> AsyncIterator[None]:
    yield  # pragma: no cover - never run


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        *(
            (
                handler,
                (
                    "{}: a handler takes an event and a context first. Begin it with (event, context); outside "
                    "handlers "
                    "use resolve()."
                ),
            )
            for handler in (no_arguments, no_context, keyword_context, star_arguments, App.too_short)
        ),
        (
            forgotten_context,
            (
                "parameter 'key' of {}: the caller gives it: a handler takes an event and a context first. Begin with "
                "(event, context, *, ...)."
            ),
        ),
        (
            nothing_declared,
            (
                "{}: none of its parameters carries a declaration. Declare one, such as `*, database: "
                "Annotated[Database, "
                'Secret("orders/database")]`.'
            ),
        ),
        (undeclared, f"parameter 'size' of {{}}: {UNDECLARED}. Write Annotated[type, Secret(\"name\")], or a default."),
        (
            no_annotation,
            f"parameter 'key' of {{}}: {UNDECLARED}. Write Annotated[type, Secret(\"name\")], or a default.",
        ),
        *(
            (handler, f"parameter 'record' of {{}}: {of_a_record(name, kind)}")
            for handler, name, kind in (
                (record, "Record", "a dataclass"),
                (record_with_default, "Record", "a dataclass"),
                (checked_record, "CheckedRecord", "a dataclass"),
                (typed_dict, "TypedRecord", "a TypedDict"),
                (named_tuple, "TupleRecord", "a NamedTuple"),
                (attrs_class, "AttrsRecord", "an attrs class"),
                (record_by_default, "DefaultRecord", "a dataclass"),
            )
        ),
        (
            record_in_model,
            f"field 'record' of RecordModel (parameter 'config' of {{}}): {of_a_record('Record', 'a dataclass')}",
        ),
        (list_of_records, f"parameter 'records' of {{}}: a declaration stands inside list[{HERE}Record]. {OUTERMOST}"),
        (
            declared_record,
            (
                "parameter 'record' of {}: it has a declaration, and Record has others inside. Keep the outer one, or "
                "those inside."
            ),
        ),
        (root_model, f"parameter 'root' of {{}}: {of_a_root_model('Root')}"),
        (root_of_config, f"parameter 'root' of {{}}: {of_a_root_model('RootOfConfig')}"),
        (
            list_in_model,
            (
                f"field 'keys' of ListModel (parameter 'config' of {{}}): a declaration stands inside "
                f"list[Annotated[str, Secret('key')]]. {OUTERMOST}"
            ),
        ),
        *(
            (handler, f"parameter 'key' of {{}}: its default is a declaration, and would be passed as it is. {remedy}")
            for handler, remedy in (
                (declared_default, "Write Annotated[str, Secret('x')], without the default."),
                (class_as_default, 'Write Annotated[Database, Parameter("name")], without the default.'),
                (untyped_default, "Write Annotated[type, Secret('x')], without the default."),
                (declared_twice, "Write Annotated[str, Secret('x')], without the default."),
            )
        ),
        *(
            (
                handler,
                (
                    f"field 'key' of {name} (parameter 'config' of {{}}): its default is a declaration, and would be "
                    f"passed as it is. Write Annotated[{kind}, Secret('x')], without the default."
                ),
            )
            for handler, name, kind in (
                (default_in_model, "DefaultModel", "str"),
                (field_default_in_model, "FieldDefaultModel", "str, MaxLen(max_length=3)"),
            )
        ),
        *(
            (
                handler,
                f"parameter 'key' of {{}}: it carries the class {kind}, and no name. Write Annotated[{annotation}].",
            )
            for handler, kind, annotation in (
                (class_in_annotation, "Secret", 'str, Secret("name")'),
                (class_made_optional, "Parameter", 'str | None, Parameter("name")'),
            )
        ),
        (
            class_in_model,
            (
                "field 'key' of ClassModel (parameter 'config' of {}): it carries the class Secret, and no name. "
                'Write Annotated[str, Secret("name")].'
            ),
        ),
        *(
            (
                handler,
                f"parameter 'key' of {{}}: {WITHOUT_TYPE} Write Annotated[type, {shown}].",
            )
            for handler, shown in (
                (bare_declaration, "Secret('x')"),
                (bare_class, 'Secret("name")'),
            )
        ),
        (
            declared_event,
            f"parameter 'event' of {{}}: {CALLER_GIVES}",
        ),
        (
            undeclared_optional,
            f"parameter 'key' of {{}}: {UNDECLARED}. Write Annotated[type, Secret(\"name\")], or a default: `= None`.",
        ),
        (
            undeclared_model,
            (
                "parameter 'database' of {}: Database has no field that carries a declaration. Write "
                "Annotated[Database, "
                'Secret("name")], or give its fields declarations.'
            ),
        ),
        (positional, f"parameter 'key' of {{}}: {BY_KEYWORD}"),
        (positional_default, f"parameter 'size' of {{}}: {BY_KEYWORD}"),
        (more_arguments, f"parameter 'args' of {{}}: {BY_KEYWORD}"),
        (declared_arguments, f"parameter 'keys' of {{}}: {BY_KEYWORD}"),
        (declared_keywords, f"parameter 'keys' of {{}}: {BY_KEYWORD}"),
        (
            two_declarations,
            (
                "parameter 'key' of {}: it carries more than one declaration: Secret('a') and Parameter('b'). Keep one "
                "of "
                "them."
            ),
        ),
        (
            nested_declarations,
            (
                "parameter 'key' of {}: it carries more than one declaration: Secret('key') and Secret('b'). Keep one "
                "of "
                "them."
            ),
        ),
        *(
            (
                handler,
                (
                    f"parameter 'keys' of {{}}: a declaration stands inside list[Annotated[str, Secret('key')]]. "
                    f"{OUTERMOST}"
                ),
            )
            for handler in (in_list, in_list_with_default)
        ),
        (in_whole_alias, f"parameter 'keys' of {{}}: a declaration stands inside ManyKeys. {OUTERMOST}"),
        (in_alias, f"parameter 'keys' of {{}}: a declaration stands inside dict[str, SharedKey]. {OUTERMOST}"),
        (
            in_union,
            (f"parameter 'key' of {{}}: a declaration stands inside Annotated[str, Secret('key')] | int. {OUTERMOST}"),
        ),
        (
            in_nullable_union,
            (
                f"parameter 'key' of {{}}: a declaration stands inside Annotated[str, Secret('key')] | int | "
                "None. "
                f"{OUTERMOST}"
            ),
        ),
        (
            in_declared,
            (
                "parameter 'keys' of {}: it has a declaration, and list[Annotated[str, Secret('key')]] has others "
                "inside. "
                "Keep the outer one, or those inside."
            ),
        ),
        (
            config_in_declared,
            (
                "parameter 'keys' of {}: it has a declaration, and list[tests.test_signature.Inner] has others inside. "
                "Keep the outer one, or those inside."
            ),
        ),
        (
            declared_config,
            (
                "parameter 'inner' of {}: it has a declaration, and Inner has others inside. Keep the outer one, or "
                "those "
                "inside."
            ),
        ),
        (
            optional_config,
            f"parameter 'inner' of {{}}: a declaration stands inside tests.test_signature.Inner | None. {OUTERMOST}",
        ),
        (
            list_of_configs,
            f"parameter 'inner' of {{}}: a declaration stands inside list[tests.test_signature.Inner]. {OUTERMOST}",
        ),
        (
            validated_config,
            (
                "parameter 'inner' of {}: a declaration stands inside Annotated[tests.test_signature.Inner, "
                f"AfterValidator(func=<built-in function id>)]. {OUTERMOST}"
            ),
        ),
        (
            undeclared_field,
            (
                "field 'size' of Undeclared (field 'undeclared' of Nested (parameter 'nested' of {})): "
                f'{UNDECLARED}. Write Annotated[type, Secret("name")], or a default.'
            ),
        ),
        (
            twice_declared_field,
            (
                "field 'key' of TwiceDeclared (parameter 'config' of {}): it carries more than one declaration: "
                "Secret('key') and Parameter('/key'). Keep one of them."
            ),
        ),
        (
            cycle,
            (
                "field 'again' of Cycle (parameter 'cycle' of {}): Cycle contains itself. Take the field out, or its "
                "declarations."
            ),
        ),
        *(
            (handler, "{}: it is a generator. Return a value: Lambda does not iterate.")
            for handler in (generator, async_generator)
        ),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_refused(handler: Callable[..., Any], expected: str) -> None:
    """A signature that could not be served is refused, with the parameter's name and the remedy."""
    assert "Cannot use " + expected.format(HERE + handler.__qualname__) == _refusal(lambda: handler_plan(handler))


@pytest.mark.parametrize("handler", [Database, functools.partial(ordinary), print, staticmethod(ordinary), None])
def test_no_function(handler: Any) -> None:
    """Only functions are handlers."""
    assert _refusal(lambda: handler_plan(handler)) == (
        f"Cannot use {handler!r} as a handler: it is no function. Decorate a function or a method that is defined with "
        "def or async def."
    )


def test_a_record_that_cannot_be_looked_into() -> None:
    """A class that names what exists only under TYPE_CHECKING does no harm where it is not injected."""
    assert _value("key", Secret("key", key="k"), str) == handler_plan(deferred.beside_a_record).nodes


# --- Calls ---------------------------------------------------------------------------------------------------------


def passing(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap as most decorators do."""

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any, dry: bool = False, **kwargs: Any) -> Any:
        return handler(event, context, **kwargs)  # pragma: no cover - never called

    return wrapper


def dropping(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap as some decorators do, which pass on what Lambda gives only."""

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any, /) -> Any:
        return handler(event, context)  # pragma: no cover - never called

    return wrapper


@pytest.mark.parametrize("wrap", [dropping, lambda it: dropping(passing(it)), lambda it: passing(dropping(it))])
def test_wrapper_that_takes_no_keyword(wrap: Callable[..., Any]) -> None:
    """A wrapper between the decorator and the handler that does not take what is injected is refused."""
    assert _refusal(lambda: handler_plan(wrap(ordinary))) == (
        f"Cannot use parameter 'database' of {HERE}ordinary: it is called through tests.test_signature.wrapper, a "
        "decorator's wrapper that does not take 'database'. Put @inject_secrets below that decorator, or let the "
        "wrapper take **kwargs and pass them on."
    )


def test_wrapper_that_names_what_it_takes() -> None:
    """A wrapper may take what is injected by name, and shows another signature than its own."""

    @functools.wraps(forwarded)
    def wrapper(event: Any, context: Any, *, key: str) -> Any: ...

    assert _value("key", Secret("key"), str) == handler_plan(wrapper).nodes
    wrapper.__wrapped__ = functools.partial(forwarded)
    assert _value("key", Secret("key"), str) == handler_plan(wrapper).nodes


def forwarded(event: Any, context: Any, *, key: Key) -> None: ...


@pytest.mark.parametrize(
    ("handler", "names"),
    [
        (ordinary, ["database", "verbose", "event", "context"]),
        (positional_event, ["key"]),
        (with_keywords, ["key", "anything"]),
        (App.method, ["key", "event"]),
        (passing(ordinary), ["database", "dry", "context"]),
    ],
)
def test_keywords(handler: Callable[..., Any], names: list[str]) -> None:
    """What the handler, or a wrapper of it, takes by keyword can be given."""
    handler_plan(handler).check_keywords(names)


@pytest.mark.parametrize(
    ("handler", "name", "hint"),
    [
        (ordinary, "databse", "Did you mean 'database'?"),
        (ordinary, "contxt", "Did you mean 'context'?"),
        (passing(ordinary), "databse", "Did you mean 'database'?"),
        (ordinary, "zzz", "It takes 'database', 'token', 'sizes'."),
        (positional_event, "event", "It takes 'key'."),
    ],
)
def test_unknown_keyword(handler: Callable[..., Any], name: str, hint: str) -> None:
    """A misspelt override is named, with the nearest that there is."""
    with pytest.raises(TypeError) as caught:
        handler_plan(handler).check_keywords(["context", name] if name != "event" else [name])
    owner = HERE + handler.__qualname__
    assert f"{owner}() got an unexpected keyword argument {name!r}. {hint}" == str(caught.value)


def test_publish() -> None:
    """A wrapper shows the handler's signature and annotations without what is injected."""

    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    publish(wrapper, deferred.ordinary, handler_plan(deferred.ordinary))
    assert str(inspect.signature(wrapper)) == "(event: 'dict[str, Any]', context: 'LambdaContext') -> 'None'"
    assert {"event", "context", "return"} == set(inspect.get_annotations(wrapper))


def test_injected_twice() -> None:
    """What is injected once is not injected again: a published signature has no declarations."""
    plan = handler_plan(ordinary)

    @functools.wraps(ordinary)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    wrapper.__signature__ = plan.signature  # type: ignore[attr-defined]
    assert _refusal(lambda: handler_plan(wrapper)) == (
        f"Cannot use {HERE}ordinary: none of its parameters carries a declaration. Declare one, such as `*, database: "
        'Annotated[Database, Secret("orders/database")]`.'
    )
