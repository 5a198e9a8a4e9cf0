"""From a handler's signature to a plan: which arguments are to be resolved, from what, into which types.

Everything here runs once, at import, and reads neither the environment nor the network.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from lambdasecrets._declarations import Declaration, write_type
from lambdasecrets._record import Record
from lambdasecrets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from typing import TypeGuard

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from typing_extensions import TypeAliasType

    _Declared = Declaration | type[Declaration]
    """What stands for a declaration: one, or the class of one where somebody forgot the name."""

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


class Slot(Record):
    """One value to resolve.

    Attributes:
        path: where it goes: the parameter's name, or that of a config model's parameter and the way to its field.
        declaration: what to ask for.
        type: what to read it as, the declaration taken out of its metadata.
        optional: whether there is a default for a value that does not exist.
    """

    __slots__ = ("declaration", "optional", "path", "type")

    def __init__(self, path: tuple[str, ...], declaration: Declaration, type: object, *, optional: bool) -> None:  # noqa: A002 - the attribute's name
        self.path, self.declaration, self.type, self.optional = path, declaration, type, optional


class Config(Record):
    """A config model: a pydantic model whose fields carry declarations.

    Attributes:
        path: where it goes.
        model: the class.
        fields: what its fields need; a field without a declaration keeps its default and is not listed.
    """

    __slots__ = ("fields", "model", "path")

    def __init__(self, path: tuple[str, ...], model: type[BaseModel], fields: dict[str, Node]) -> None:
        self.path, self.model, self.fields = path, model, fields


Node = Slot | Config


class Plan(Record):
    """What a handler needs before it can run.

    Attributes:
        owner: the handler as `module.qualname`, or `resolve()`.
        nodes: what to inject, by the parameter's name.
        given: the parameters that the caller gives: (self,) event and context.
        signature: the signature without what is injected.
        keywords: the names that can be given by keyword; None for any.
    """

    __slots__ = ("given", "keywords", "nodes", "owner", "signature")

    def __init__(
        self,
        owner: str,
        nodes: dict[str, Node],
        given: tuple[str, ...] = (),
        signature: inspect.Signature | None = None,
        keywords: frozenset[str] | None = None,
    ) -> None:
        self.owner: str = owner
        self.nodes: dict[str, Node] = nodes
        self.given: tuple[str, ...] = given
        self.signature: inspect.Signature | None = signature
        self.keywords: frozenset[str] | None = keywords

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every value to resolve, in the order of the declarations."""
        return tuple(slots(self.nodes.values()))

    def check_keywords(self, names: Collection[str]) -> None:
        """Refuse what the handler does not take, before anything is resolved for it.

        Args:
            names: of a call's keyword arguments.

        Raises:
            TypeError: one of them is unknown; the message names it.
        """
        unknown = () if self.keywords is None else [name for name in names if name not in self.keywords]
        if unknown:
            raise TypeError(_describe_unknown(self, unknown[0]))


def slots(nodes: Iterable[Node]) -> Iterator[Slot]:
    """List the values that nodes need, those of config models included."""
    for node in nodes:
        if isinstance(node, Slot):
            yield node
        else:
            yield from slots(node.fields.values())


def handler_plan(handler: Callable[..., object]) -> Plan:
    """Analyse a handler's signature.

    Args:
        handler: a function or method `(event, context, *, ...)`, plain or async.

    Raises:
        DeclarationError: a signature that could not be served; the message names the parameter and the remedy.
    """
    function = _check_function(handler)
    owner = _name(function)
    annotations = _Annotations(function)
    signature = annotations.signature()
    given, injectable = _split(owner, list(signature.parameters.values()))
    for parameter in given:
        _check_given(owner, parameter, annotations)
    nodes = {parameter.name: node for parameter in injectable if (node := _node_of(owner, parameter, annotations))}
    if not nodes:
        remedy = 'Declare one, such as `*, database: Annotated[Database, Secret("orders/database")]`.'
        raise DeclarationError(owner, "none of its parameters carries a declaration", remedy)
    _check_wrappers(owner, function, nodes)
    published = [*given, *(parameter for parameter in injectable if parameter.name not in nodes)]
    names = tuple(parameter.name for parameter in given)
    return Plan(owner, nodes, names, signature.replace(parameters=published), _keywords(function, signature))


def publish(wrapper: Callable[..., object], handler: Callable[..., object], plan: Plan) -> None:
    """Give what wraps a handler the handler's signature and annotations, without what is injected.

    Args:
        wrapper: what the caller calls.
        handler: what it wraps.
        plan: the handler's.
    """
    wrapper.__signature__ = plan.signature  # type: ignore[attr-defined]  # inspect reads it
    if sys.version_info >= (3, 14) and _is_lazy(handler):  # pragma: no cover
        from lambdasecrets import _lazy  # noqa: PLC0415 - older Pythons cannot

        _lazy.publish_annotations(wrapper, handler, frozenset(plan.nodes))
    else:
        annotations = inspect.get_annotations(handler)
        wrapper.__annotations__ = {name: kind for name, kind in annotations.items() if name not in plan.nodes}


def value_plan(annotation: object, declaration: object = None) -> Plan:
    """Analyse what `resolve` is asked for.

    Args:
        annotation: a config model, an annotation that carries a declaration, or a type for the declaration.
        declaration: what to ask for, a `Secret` or a `Parameter`.

    Raises:
        DeclarationError: an annotation that carries none, or carries one besides the given one; or what is asked for is
            no declaration.
    """
    _check_asked(annotation, declaration)
    where = f"resolve({write_type(annotation)})"
    whole = annotation if declaration is None else _annotate(annotation, [declaration])
    path = (annotation.__name__,) if _is_model(annotation) and declaration is None else ()
    node = _node(where, path, whole, optional=False)
    if node is None:
        raise DeclarationError(where, *_explain_undeclared(annotation))
    return Plan("resolve()", {"": node})


def _check_asked(annotation: object, declaration: object) -> None:
    if declaration is not None and not isinstance(declaration, Declaration):
        why = f"its first argument is {_article(declaration)}, not a Secret or a Parameter"
        remedy = f'Write resolve(Secret("name"), {write_type(annotation)}).'
        raise DeclarationError(f"resolve(..., {write_type(annotation)})", why, remedy)
    if isinstance(annotation, Declaration):
        remedy = f"Write resolve({annotation}, str), or another type."
        raise DeclarationError(f"resolve({annotation})", "it has no type to read the value as", remedy)


def _article(item: object) -> str:
    return f"the class {item.__name__}" if isinstance(item, type) else f"of type {type(item).__name__}"


def _check_function(handler: object) -> types.FunctionType:
    if not inspect.isfunction(handler):
        why, remedy = "it is no function", "Decorate a function or a method that is defined with def or async def."
        raise DeclarationError(f"{handler!r} as a handler", why, remedy)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise DeclarationError(_name(handler), "it is a generator", "Return a value: Lambda does not iterate.")
    return handler


def _name(handler: types.FunctionType) -> str:
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


def _check_given(owner: str, parameter: inspect.Parameter, annotations: _Annotations) -> None:
    try:
        declarations, _ = _take_declarations(annotations.evaluate(parameter))
    except Exception:  # noqa: BLE001 - it is nobody's: it may name what exists only under TYPE_CHECKING
        declarations = []
    if declarations or _is_declaration(parameter.default):
        why = "the caller gives it: a handler takes an event and a context first"
        raise DeclarationError(f"parameter {parameter.name!r} of {owner}", why, "Begin with (event, context, *, ...).")


def _node_of(owner: str, parameter: inspect.Parameter, annotations: _Annotations) -> Node | None:
    where = f"parameter {parameter.name!r} of {owner}"
    optional = parameter.default is not inspect.Parameter.empty
    annotation = _evaluate_or_raise(where, parameter, annotations)
    _check_default(where, annotation, parameter.default)
    node = _node(where, (parameter.name,), annotation, optional=optional)
    if parameter.kind is inspect.Parameter.VAR_KEYWORD and node is None:
        return None
    if parameter.kind in _VARIADIC or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        why = "injection is by keyword, and this parameter takes none"
        raise DeclarationError(where, why, "Put it behind a `*`, as a keyword parameter of its own.")
    if node is None and not optional:
        raise DeclarationError(where, *_explain_undeclared(annotation))
    return node


# --- What is called must take what is injected ----------------------------------------------------------------------


def _check_wrappers(owner: str, handler: types.FunctionType, nodes: Iterable[str]) -> None:
    """See that each wrapper between the decorator and the handler takes the arguments, too."""
    for wrapper in _wrappers(handler):
        refused = [] if _takes_any(wrapper) else [name for name in nodes if name not in _names_taken(wrapper)]
        if refused:
            name = f"{wrapper.__globals__.get('__name__')}.{wrapper.__code__.co_name}"
            why = f"it is called through {name}, a decorator's wrapper that does not take {refused[0]!r}"
            remedy = "Put @inject_secrets below that decorator, or let the wrapper take **kwargs and pass them on."
            raise DeclarationError(f"parameter {refused[0]!r} of {owner}", why, remedy)


def _wrappers(handler: types.FunctionType) -> Iterator[types.FunctionType]:
    """List the functions that lead to the handler, all but itself."""
    function: object = handler
    while inspect.isfunction(function) and hasattr(function, "__wrapped__"):
        yield function
        function = vars(function)["__wrapped__"]


def _takes_any(function: types.FunctionType) -> bool:
    return bool(function.__code__.co_flags & inspect.CO_VARKEYWORDS)


def _names_taken(function: types.FunctionType) -> frozenset[str]:
    """List what a function takes by keyword and by name. Its own code says so, not the signature that it shows."""
    code = function.__code__
    return frozenset(code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount])


def _keywords(handler: types.FunctionType, signature: inspect.Signature) -> frozenset[str] | None:
    parameters = signature.parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    unnamed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    own = frozenset(parameter.name for parameter in parameters if parameter.kind not in unnamed)
    return own.union(*(_names_taken(wrapper) for wrapper in _wrappers(handler)))


def _describe_unknown(plan: Plan, name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    close = get_close_matches(name, plan.keywords or (), n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"It takes {', '.join(map(repr, plan.nodes))}."
    return f"{plan.owner}() got an unexpected keyword argument {name!r}. {hint}"


# --- Declarations in annotations ------------------------------------------------------------------------------------


def _is_declaration(item: object) -> TypeGuard[_Declared]:
    """Tell whether this is a declaration, or the class of one where somebody forgot the name."""
    return isinstance(item, Declaration) or (isinstance(item, type) and issubclass(item, Declaration))


def _check_default(where: str, annotation: object, default: object) -> None:
    if _is_declaration(default):
        kind = "type" if annotation is inspect.Parameter.empty else write_type(_take_declarations(annotation)[1])
        remedy = f"Write {_write_corrected(kind, default)}, without the default."
        raise DeclarationError(where, "its default is a declaration, and would be passed as it is", remedy)


def _write_corrected(kind: str, declaration: object) -> str:
    """Write a type with its declaration as they should stand."""
    head = kind[:-1] if kind.startswith("Annotated[") else f"Annotated[{kind}"
    return f"{head}, {_example(declaration)}]"


def _example(declaration: object) -> str:
    """Write a declaration as it should stand."""
    return f'{write_type(declaration)}("name")' if isinstance(declaration, type) else str(declaration)


def _explain_undeclared(annotation: object) -> tuple[str, str]:
    """Say why what should carry a declaration carries none, and the remedy."""
    if not _is_model(annotation):
        default = "a default: `= None`" if types.NoneType in get_args(annotation) else "a default"
        return "it carries no declaration and has no default", f'Write Annotated[type, Secret("name")], or {default}.'
    name = annotation.__name__
    if not annotation.__pydantic_complete__:
        return f"{name} is not fully defined: its annotations use a name that is not to be found", _REMEDY_FOR_NAMES
    remedy = f'Write Annotated[{name}, Secret("name")], or give its fields declarations.'
    return f"{name} has no field that carries a declaration", remedy


def _node(
    where: str, path: tuple[str, ...], annotation: object, *, optional: bool, above: tuple[object, ...] = ()
) -> Node | None:
    if _is_declaration(annotation):
        why = "its annotation is a declaration without a type"
        raise DeclarationError(where, why, f"Write {_write_corrected('type', annotation)}.")
    declarations, kind = _take_declarations(annotation)
    if len(declarations) > 1:
        listed = " and ".join(map(str, declarations))
        raise DeclarationError(where, f"it carries more than one declaration: {listed}", "Keep one of them.")
    if declarations:
        return Slot(path, _check_declaration(where, declarations[0], kind), kind, optional=optional)
    if is_config(kind):
        return _config(where, path, kind, above)
    if _carries(kind):
        why = f"a declaration stands inside {write_type(annotation)}"
        remedy = "Put the declaration outermost: Annotated[type, Secret(...)]. A config model stands by itself."
        raise DeclarationError(where, why, remedy)
    return None


def _check_declaration(where: str, declaration: _Declared, kind: object) -> Declaration:
    if isinstance(declaration, type):
        why = f"it carries the class {write_type(declaration)}, and no name"
        raise DeclarationError(where, why, f"Write {_write_corrected(write_type(kind), declaration)}.")
    _check_inner(where, kind)
    return declaration


def _check_inner(where: str, kind: object) -> None:
    if _carries(kind) or is_config(kind):
        why = f"it has a declaration, and {write_type(kind)} has others inside"
        raise DeclarationError(where, why, "Keep the outer one, or those inside.")


def _config(where: str, path: tuple[str, ...], kind: type, above: tuple[object, ...]) -> Config:
    if kind in above:
        raise DeclarationError(where, f"{kind.__name__} contains itself", "Take the field out, or its declarations.")
    model = _check_config(where, kind)
    nodes: dict[str, Node] = {}
    for name, field in _fields(model).items():
        place = f"field {name!r} of {model.__name__} ({where})"
        optional = not field.is_required()
        annotation = _field_annotation(field)
        _check_default(place, annotation, field.default)
        node = _node(place, (*path, name), annotation, optional=optional, above=(*above, model))
        if node is None and not optional and not is_settings(model):
            raise DeclarationError(place, *_explain_undeclared(annotation))
        if node is not None:
            nodes[name] = node
    return Config(path, model, nodes)


def _check_config(where: str, kind: type) -> type[BaseModel]:
    name = kind.__name__
    if _is_model(kind) and not kind.__pydantic_complete__:
        raise DeclarationError(where, *_explain_undeclared(kind))
    if getattr(kind, "__pydantic_root_model__", False):
        why = f"{name} is a RootModel: it has no fields that could be filled one by one"
        remedy = f'Write Annotated[{name}, Secret("name")], and take the declaration out of {name}.'
        raise DeclarationError(where, why, remedy)
    if not _is_model(kind):
        why = f"fields of {name} carry declarations, but it is {_record_kind(kind)}: a config model is a pydantic model"
        remedy = f'Derive it from pydantic.BaseModel; or take them out and write Annotated[{name}, Secret("name")].'
        raise DeclarationError(where, why, remedy)
    return kind


def is_settings(model: type) -> bool:
    """Tell whether a model finds values by itself: pydantic-settings leaves nothing else to tell it by."""
    return hasattr(model, "settings_customise_sources")


def key_of_field(model: type[BaseModel], name: str) -> str:
    """Give the key that a field's value is passed to its model by.

    A model with an `__init__` of its own, such as a settings class, is called with it, and knows a field by its alias.
    Every other model is validated by name.

    Args:
        model: the class.
        name: the field's.
    """
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    if by_name or not model.__pydantic_custom_init__:
        return name
    alias = model.model_fields[name].validation_alias
    choices = getattr(alias, "choices", [alias])
    return next((choice for choice in choices if isinstance(choice, str)), name)


def is_nullable(annotation: object) -> bool:
    """Tell whether a type allows None, as `T | None` does."""
    alias = _alias(annotation)
    if alias is not None:
        return is_nullable(_expand(alias, annotation))
    if get_origin(annotation) is Annotated:
        return is_nullable(get_args(annotation)[0])
    return types.NoneType in get_args(annotation)


def _field_annotation(field: FieldInfo) -> object:
    # pydantic takes the outermost Annotated apart; put it together again, so that one analysis serves both.
    return _annotate(field.annotation, field.metadata)


def _take_declarations(annotation: object, seen: tuple[object, ...] = ()) -> tuple[list[_Declared], object]:
    """Take the declarations out of an annotation; give them and the annotation without them.

    Args:
        annotation: what stands there.
        seen: the aliases that led here: one can have itself inside.
    """
    alias = _alias(annotation)
    if alias is not None:
        found, kind = ([], None) if alias in seen else _take_declarations(_expand(alias, annotation), (*seen, alias))
        # Without a declaration it stays an alias: pydantic knows what to do with one that has itself inside.
        return (found, kind) if found else ([], annotation)
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        found, kind = _take_declarations(inner, seen)
        mine = [item for item in metadata if _is_declaration(item)]
        others = [item for item in metadata if not _is_declaration(item)]
        return found + mine, _annotate(kind, others)
    if get_origin(annotation) in _UNION_ORIGINS:
        return _take_from_optional(annotation, seen)
    return [], annotation


def _annotate(kind: object, metadata: list[object]) -> object:
    parts = (kind, *metadata)
    return _ANNOTATED[parts] if metadata else kind


def _take_from_optional(annotation: object, seen: tuple[object, ...]) -> tuple[list[_Declared], object]:
    """See through `Annotated[T, Secret(...)] | None`: an alias that is made optional where it is used."""
    members = [member for member in get_args(annotation) if member is not types.NoneType]
    if len(members) == len(get_args(annotation)) or len(members) > 1:
        return [], annotation
    found, kind = _take_declarations(members[0], seen)
    return (found, Union[kind, None]) if found else ([], annotation)  # noqa: UP007 - kind is a value


def _alias(annotation: object) -> TypeAliasType | None:
    """Give the alias that a `type X = ...` statement made; None where this is none."""
    alias: object = get_origin(annotation) or annotation
    return alias if _is_alias(alias) else None


def _is_alias(item: object) -> TypeGuard[TypeAliasType]:
    # By name: typing's and typing_extensions' are two classes.
    return type(item).__name__ == "TypeAliasType"


def _expand(alias: TypeAliasType, annotation: object) -> object:
    """Give what an alias stands for, its type parameters filled in as an annotation has them."""
    arguments = dict(zip(alias.__type_params__, get_args(annotation), strict=False))
    parameters = getattr(alias.__value__, "__parameters__", ()) if arguments else ()
    return alias.__value__[tuple(arguments[item] for item in parameters)] if parameters else alias.__value__


def _carries(annotation: object, seen: tuple[object, ...] = ()) -> bool:
    """Tell whether a declaration, or a config model, stands inside an annotation."""
    alias = _alias(annotation)
    if alias is not None and alias not in seen and _carries(_expand(alias, annotation), (*seen, alias)):
        return True
    return any(_is_declared(argument, seen) or _carries(argument, seen) for argument in get_args(annotation))


def _is_declared(annotation: object, seen: tuple[object, ...]) -> bool:
    declarations, kind = _take_declarations(annotation)
    return bool(declarations) or is_config(kind, seen)


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    # By its shape, not its class: this room does without pydantic.
    return isinstance(annotation, type) and isinstance(getattr(annotation, "model_fields", None), dict)


def is_config(annotation: object, seen: tuple[object, ...] = ()) -> TypeGuard[type]:
    """Tell whether a field of a class, or of a class in its fields, carries a declaration."""
    if annotation in seen or not (_is_model(annotation) or _record_kind(annotation)):
        return False
    return any(
        _is_declaration(default) or _is_declared(kind, (*seen, annotation)) or _carries(kind, (*seen, annotation))
        for kind, default in _members(annotation)
    )


def _members(kind: object) -> list[tuple[object, object]]:
    """List the annotations and the defaults of a class's fields."""
    if _is_model(kind):
        return [(_field_annotation(field), field.default) for field in _fields(kind).values()]
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a class that nobody asked for may name what exists only under TYPE_CHECKING
        return []
    return [(hint, getattr(kind, name, None)) for name, hint in hints.items()]


_RECORD_KINDS = {
    "__dataclass_fields__": "a dataclass",
    "__attrs_attrs__": "an attrs class",
    "_field_defaults": "a NamedTuple",
    "__total__": "a TypedDict",
}


def _record_kind(annotation: object) -> str | None:
    """Say what kind of class with fields this is, where it is no model."""
    if not isinstance(annotation, type):
        return None
    return next((kind for mark, kind in _RECORD_KINDS.items() if hasattr(annotation, mark)), None)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """List a model's fields. What they call by the name of a later class is looked up now."""
    if not model.__pydantic_complete__:
        model.model_rebuild(raise_errors=False)
    return model.model_fields


# --- Evaluating annotations -----------------------------------------------------------------------------------------


class _Annotations:
    """A handler's annotations, each evaluated by itself: another's TYPE_CHECKING-only name does no harm.

    Args:
        handler: the function, or a wrapper of it.
    """

    def __init__(self, handler: types.FunctionType) -> None:
        self._handler = handler
        function = inspect.unwrap(handler)
        self._function = function if inspect.isfunction(function) else handler
        self._scope = _scope(self._function)

    def signature(self) -> inspect.Signature:
        """Give the signature; annotations that wait to be evaluated stand in it as text."""
        if sys.version_info >= (3, 14) and _is_lazy(self._handler):  # pragma: no cover
            from lambdasecrets import _lazy  # noqa: PLC0415 - older Pythons cannot

            try:
                return _lazy.signature(self._handler)
            except Exception as error:  # noqa: BLE001 - telling annotations as text runs what they say without a name
                why = f"its annotations cannot be evaluated: {error}"
            raise DeclarationError(_name(self._handler), why, "Correct the annotation.")
        return inspect.signature(self._handler)

    def evaluate(self, parameter: inspect.Parameter) -> object:
        """Give what a parameter's annotation stands for."""
        try:
            return _evaluate(parameter.annotation, self._scope)
        except Exception as error:  # noqa: BLE001 - evaluating an annotation runs whatever it says
            problem = error
        if sys.version_info >= (3, 14) and _is_lazy(self._handler):  # pragma: no cover
            # Not every expression can be told as text: a lambda cannot.
            from lambdasecrets import _lazy  # noqa: PLC0415 - older Pythons cannot

            whole = _lazy.annotation(self._function, parameter.name)
            if whole is not None:
                return _evaluate(whole, self._scope)
        raise problem


def _is_lazy(handler: Callable[..., object]) -> bool:  # pragma: no cover - since Python 3.14
    """Tell whether annotations wait to be evaluated, as they do since Python 3.14 (PEP 649)."""
    return getattr(inspect.unwrap(handler), "__annotate__", None) is not None


def _scope(function: types.FunctionType) -> Mapping[str, object]:
    """Give the names that annotations can use: the module's, those the function closes over, and those of its class."""
    names = {item.__name__: item for item in getattr(function, "__type_params__", ())}
    cells = {**_cells(function), **_cells(getattr(function, "__annotate__", None))}
    own_class: Mapping[str, object] = cells.get("__classdict__", {})
    return {**function.__globals__, **cells, **own_class, **names}


def _cells(function: object) -> dict[str, Any]:
    code, closure = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    cells = zip(code.co_freevars, closure or (), strict=True) if code else ()
    return {name: cell.cell_contents for name, cell in cells if _is_filled(cell)}


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


def _evaluate(annotation: object, scope: Mapping[str, object]) -> object:
    if annotation is inspect.Parameter.empty:
        return annotation
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    evaluated = typing.get_type_hints(holder, dict(scope), include_extras=True)["value"]
    _carries(evaluated)  # looks into `type X = ...` statements, which wait until somebody does
    return evaluated


def _evaluate_or_raise(where: str, parameter: inspect.Parameter, annotations: _Annotations) -> object:
    try:
        return annotations.evaluate(parameter)
    except Exception as error:  # noqa: BLE001 - evaluating an annotation runs whatever it says
        problem = error
    if isinstance(problem, DeclarationError):
        raise DeclarationError(f"{problem.where} for {where}", problem.why, problem.remedy)
    remedy = _REMEDY_FOR_NAMES if isinstance(problem, NameError) else "Correct the annotation."
    raise DeclarationError(where, f"its annotation cannot be evaluated: {problem}", remedy)
