"""From a handler's signature to a plan: which arguments are to be resolved, from what, into which types.

Everything here runs once, at import, and reads neither the environment nor the network.
"""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from lambdasecrets._declarations import Declaration, written
from lambdasecrets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_ANNOTATED: Any = Annotated
"""For metadata that is known at run time only: type checkers read `Annotated[...]` as an annotation."""

_UNION_ORIGINS = (Union, types.UnionType)
_HANDLER_ARGUMENTS = 2
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_REMEDY_FOR_NAMES = (
    "Import or define that name at the module's top level: a name that exists only under TYPE_CHECKING, in a function "
    "or in a class cannot be looked up."
)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Slot(NamedTuple):
    """One value to resolve.

    Attributes:
        path: where it goes: the parameter's name, or that of a config model's parameter and the way to its field.
        declaration: what to ask for.
        type: what to read it as, the declaration taken out of its metadata.
        optional: whether there is a default for a value that does not exist.
    """

    path: tuple[str, ...]
    declaration: Declaration
    type: Any
    optional: bool


class Config(NamedTuple):
    """A config model: a pydantic model whose fields carry declarations.

    Attributes:
        path: where it goes.
        model: the class.
        fields: what its fields need; a field without a declaration keeps its default and is not listed.
    """

    path: tuple[str, ...]
    model: Any
    fields: dict[str, Node]


Node = Slot | Config


class Plan(NamedTuple):
    """What a handler needs before it can run.

    Attributes:
        owner: the handler as `module.qualname`, or `resolve()`.
        nodes: what to inject, by the parameter's name.
        given: the parameters that the caller gives: (self,) event and context.
        signature: the signature without what is injected.
    """

    owner: str
    nodes: dict[str, Node]
    given: tuple[str, ...] = ()
    signature: inspect.Signature | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every value to resolve, in the order of the declarations."""
        return tuple(slots(self.nodes.values()))


def slots(nodes: Iterable[Node]) -> Iterator[Slot]:
    """List the values that nodes need, those of config models included."""
    for node in nodes:
        if isinstance(node, Slot):
            yield node
        else:
            yield from slots(node.fields.values())


def handler_plan(handler: Callable[..., Any]) -> Plan:
    """Analyse a handler's signature.

    Args:
        handler: a function or method `(event, context, *, ...)`, plain or async.

    Raises:
        DeclarationError: a signature that could not be served; the message names the parameter and the remedy.
    """
    signature = _signature_of(handler)
    owner = _name(handler)
    scope = _scope(handler)
    given, injectable = _split(owner, list(signature.parameters.values()))
    for parameter in given:
        _check_given(owner, parameter, scope)
    nodes = {parameter.name: node for parameter in injectable if (node := _node_of(owner, parameter, scope))}
    if not nodes:
        remedy = 'Declare one, such as `*, database: Annotated[Database, Secret("orders/database")]`.'
        raise DeclarationError(owner, "none of its parameters carries a declaration", remedy)
    published = [*given, *(parameter for parameter in injectable if parameter.name not in nodes)]
    return Plan(owner, nodes, tuple(parameter.name for parameter in given), signature.replace(parameters=published))


def value_plan(annotation: Any, declaration: Declaration | None = None) -> Plan:
    """Analyse what `resolve` is asked for.

    Args:
        annotation: a config model, an annotation that carries a declaration, or a type for the declaration.
        declaration: what to ask for.

    Raises:
        DeclarationError: an annotation that carries none, or carries one besides the given one.
    """
    where = f"resolve({written(annotation)})"
    whole = annotation if declaration is None else Annotated[annotation, declaration]
    path = (annotation.__name__,) if _is_model(annotation) and declaration is None else ()
    node = _node(where, path, whole, optional=False)
    if node is None:
        raise DeclarationError(where, *_undeclared(annotation))
    return Plan("resolve()", {"": node})


def _signature_of(handler: Callable[..., Any]) -> inspect.Signature:
    if not inspect.isfunction(handler):
        why, remedy = "it is no function", "Decorate a function or a method that is defined with def or async def."
        raise DeclarationError(f"{handler!r} as a handler", why, remedy)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise DeclarationError(_name(handler), "it is a generator", "Return a value: Lambda does not iterate.")
    return inspect.signature(handler)


def _name(handler: Callable[..., Any]) -> str:
    return f"{handler.__module__}.{handler.__qualname__}"


def _split(owner: str, parameters: list[inspect.Parameter]) -> tuple[list[inspect.Parameter], list[inspect.Parameter]]:
    """Part what the caller gives (self, event, context) from what can be injected."""
    is_method = bool(parameters) and parameters[0].name in {"self", "cls"}
    count = _HANDLER_ARGUMENTS + is_method
    given = [parameter for parameter in parameters[:count] if parameter.kind in _POSITIONAL]
    if len(given) < count:
        remedy = "Begin it with (event, context); outside handlers use resolve()."
        raise DeclarationError(owner, "a handler takes an event and a context first", remedy)
    return given, parameters[count:]


def _check_given(owner: str, parameter: inspect.Parameter, scope: Mapping[str, Any]) -> None:
    try:
        declarations, _ = _declared(_evaluated(parameter.annotation, scope))
    except Exception:  # noqa: BLE001 - it is nobody's: it may name what exists only under TYPE_CHECKING
        return
    if declarations:
        why = "the caller gives it: a handler takes an event and a context first"
        raise DeclarationError(f"parameter {parameter.name!r} of {owner}", why, "Begin with (event, context, *, ...).")


def _node_of(owner: str, parameter: inspect.Parameter, scope: Mapping[str, Any]) -> Node | None:
    where = f"parameter {parameter.name!r} of {owner}"
    optional = parameter.default is not inspect.Parameter.empty
    annotation = _evaluated_or_raise(where, parameter.annotation, scope)
    node = _node(where, (parameter.name,), annotation, optional=optional)
    if parameter.kind is inspect.Parameter.VAR_KEYWORD and node is None:
        return None
    if parameter.kind in _VARIADIC or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        why = "injection is by keyword, and this parameter takes none"
        raise DeclarationError(where, why, "Put it behind a `*`, as a keyword parameter of its own.")
    if node is None and not optional:
        raise DeclarationError(where, *_undeclared(annotation))
    return node


def _undeclared(annotation: Any) -> tuple[str, str]:
    """Say why what should carry a declaration carries none, and the remedy."""
    if not _is_model(annotation):
        return "it carries no declaration and has no default", 'Write Annotated[type, Secret("name")], or a default.'
    name = annotation.__name__
    if not annotation.__pydantic_complete__:
        return f"{name} is not fully defined: its annotations use a name that is not to be found", _REMEDY_FOR_NAMES
    remedy = f'Write Annotated[{name}, Secret("name")], or give its fields declarations.'
    return f"{name} has no field that carries a declaration", remedy


def _node(
    where: str, path: tuple[str, ...], annotation: Any, *, optional: bool, above: tuple[Any, ...] = ()
) -> Node | None:
    declarations, kind = _declared(annotation)
    if len(declarations) > 1:
        listed = " and ".join(map(str, declarations))
        raise DeclarationError(where, f"it carries more than one declaration: {listed}", "Keep one of them.")
    if declarations:
        _check_inner(where, kind)
        return Slot(path, declarations[0], kind, optional)
    if _is_config(kind):
        return _config(where, path, kind, above)
    if _carries(kind):
        why = f"a declaration stands inside {written(annotation)}"
        remedy = "Put the declaration outermost: Annotated[type, Secret(...)]. A config model stands by itself."
        raise DeclarationError(where, why, remedy)
    return None


def _check_inner(where: str, kind: Any) -> None:
    if _carries(kind) or _is_config(kind):
        why = f"it has a declaration, and {written(kind)} has others inside"
        raise DeclarationError(where, why, "Keep the outer one, or those inside.")


def _config(where: str, path: tuple[str, ...], model: Any, above: tuple[Any, ...]) -> Config:
    if model in above:
        raise DeclarationError(where, f"{model.__name__} contains itself", "Take the field out, or its declarations.")
    if not model.__pydantic_complete__:
        raise DeclarationError(where, *_undeclared(model))
    nodes: dict[str, Node] = {}
    for name, field in _fields(model).items():
        place = f"field {name!r} of {model.__name__} ({where})"
        optional = not field.is_required()
        annotation = _field_annotation(field)
        node = _node(place, (*path, name), annotation, optional=optional, above=(*above, model))
        if node is None and not optional:
            raise DeclarationError(place, *_undeclared(annotation))
        if node is not None:
            nodes[name] = node
    return Config(path, model, nodes)


def _field_annotation(field: Any) -> Any:
    # pydantic takes the outermost Annotated apart; put it together again, so that one analysis serves both.
    return _annotated(field.annotation, field.metadata)


def _declared(annotation: Any) -> tuple[list[Declaration], Any]:
    """Take the declarations out of an annotation; give them and the annotation without them."""
    annotation = _unaliased(annotation)
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        found, kind = _declared(inner)
        mine = [item for item in metadata if isinstance(item, Declaration)]
        others = [item for item in metadata if not isinstance(item, Declaration)]
        return found + mine, _annotated(kind, others)
    if get_origin(annotation) in _UNION_ORIGINS:
        return _declared_optional(annotation)
    return [], annotation


def _annotated(kind: Any, metadata: list[Any]) -> Any:
    parts = (kind, *metadata)
    return _ANNOTATED[parts] if metadata else kind


def _declared_optional(annotation: Any) -> tuple[list[Declaration], Any]:
    """See through `Annotated[T, Secret(...)] | None`: an alias that is made optional where it is used."""
    members = [member for member in get_args(annotation) if member is not types.NoneType]
    if len(members) == len(get_args(annotation)) or len(members) > 1:
        return [], annotation
    found, kind = _declared(members[0])
    return (found, Union[kind, None]) if found else ([], annotation)  # noqa: UP007 - kind is a value


def _unaliased(annotation: Any) -> Any:
    """Give what a `type X = ...` statement stands for, its type parameters filled in."""
    alias = get_origin(annotation) or annotation
    # By name: typing's and typing_extensions' are two classes.
    if type(alias).__name__ != "TypeAliasType":
        return annotation
    arguments = dict(zip(alias.__type_params__, get_args(annotation), strict=False))
    parameters = getattr(alias.__value__, "__parameters__", ()) if arguments else ()
    filled = alias.__value__[tuple(arguments[item] for item in parameters)] if parameters else alias.__value__
    return _unaliased(filled)


def _carries(annotation: Any) -> bool:
    """Tell whether a declaration, or a config model, stands inside an annotation."""
    return any(_is_declared(argument) or _carries(argument) for argument in get_args(_unaliased(annotation)))


def _is_declared(annotation: Any) -> bool:
    declarations, kind = _declared(annotation)
    return bool(declarations) or _is_config(kind)


def _is_model(annotation: Any) -> bool:
    # By its shape, not its class: this room does without pydantic.
    return isinstance(annotation, type) and isinstance(getattr(annotation, "model_fields", None), dict)


def _is_config(annotation: Any, above: tuple[Any, ...] = ()) -> bool:
    """Tell whether a field of a model, or of a model in its fields, carries a declaration."""
    if not _is_model(annotation) or annotation in above:
        return False
    fields = (_field_annotation(field) for field in _fields(annotation).values())
    return any(_declared(field)[0] or _is_config(field, (*above, annotation)) for field in fields)


def _fields(model: Any) -> dict[str, Any]:
    """List a model's fields. What they call by the name of a later class is looked up now."""
    if not model.__pydantic_complete__:
        model.model_rebuild(raise_errors=False)
    fields: dict[str, Any] = model.model_fields
    return fields


def _scope(handler: Callable[..., Any]) -> Mapping[str, Any]:
    """Give the names that the handler's annotations can use: its module's, and those it closes over."""
    function = inspect.unwrap(handler)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {**function.__globals__, **{name: cell.cell_contents for name, cell in cells if _is_filled(cell)}}


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _evaluated(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """Evaluate an annotation by itself, so that another parameter's TYPE_CHECKING-only name does no harm."""
    if annotation is inspect.Parameter.empty:
        return annotation
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    evaluated = typing.get_type_hints(holder, dict(scope), include_extras=True)["value"]
    _carries(evaluated)  # looks into `type X = ...` statements, which wait until somebody does
    return evaluated


def _evaluated_or_raise(where: str, annotation: Any, scope: Mapping[str, Any]) -> Any:
    try:
        return _evaluated(annotation, scope)
    except Exception as error:  # noqa: BLE001 - evaluating an annotation runs whatever it says
        problem = error
    if isinstance(problem, DeclarationError):
        raise DeclarationError(f"{problem.where} for {where}", problem.why, problem.remedy)
    remedy = _REMEDY_FOR_NAMES if isinstance(problem, NameError) else "Correct the annotation."
    raise DeclarationError(where, f"its annotation cannot be evaluated: {problem}", remedy)
