"""From raw text to a typed value. pydantic enters here, and no part of a value leaves but in the value itself.

An error is returned here, never raised: the frames of this file hold values in their locals, and a traceback holds
frames. For the same reason pydantic's errors, which quote their input, end here: only `loc` and `type` survive.
"""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args, get_origin

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator, to_json

from lambdasecrets._declarations import write_type
from lambdasecrets._json import parse_json
from lambdasecrets.errors import DeclarationError, InvalidValueError, Problem, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic_core import core_schema

    from lambdasecrets._members import Members
    from lambdasecrets._schemas import Node
    from lambdasecrets._sources.forms import RawValue


_T = TypeVar("_T")


class Kind(enum.Enum):
    """How the text of a value is to be read."""

    TEXT = "text"
    JSON = "JSON"
    BYTES = "bytes"


class Reader:
    """Reads raw values as one declared type. Made once, at import.

    Args:
        checker: knows the declared type.
        kind: how the text is read.
        whole: knows the type that decides how a number is read, where the checker knows only what is left to a config
            model to read.
    """

    def __init__(self, checker: _Checker, kind: Kind, whole: _Checker | None = None) -> None:
        self.checker, self.kind = checker, kind
        self._validate = _validator(checker, kind)
        self._validate_json = checker.validator.validate_json if whole is None else parse_json
        self._schema = (whole or checker).schema
        self._members: Members | None = None

    def read(self, raw: RawValue, key: str | None, subject: Subject) -> object:
        """Read a value.

        Returns:
            A fresh object of the declared type, or an InvalidValueError that holds no part of the value.
        """
        text = raw.text
        if text is None:
            return self._from_bytes(raw.binary, key, subject)
        if key is not None:
            return self._from_member(text, key, subject)
        if raw.is_list and self.kind is Kind.JSON:
            # As a JSON array of texts: pydantic's strings mode knows no lists.
            text = to_json(text.split(",")).decode()
        try:
            # Not by `check`: this is the way of nearly every value, and a call is a tenth of what it takes.
            return self._validate(text)
        except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything, and quote its input
            raised = error
        return self.checker.explain(raised, text, subject)

    def _from_bytes(self, binary: bytes | None, key: str | None, subject: Subject) -> object:
        if binary is None:
            return self.checker.misfit(subject, Problem((), "no_text_value"))
        if self.kind is not Kind.BYTES or key is not None:
            return self.checker.misfit(subject, Problem((), "secret_is_binary"))
        return self.checker.check(self.checker.validator.validate_python, binary, subject)

    def _from_member(self, text: str, key: str, subject: Subject) -> object:
        members = parse_json(text)
        if not isinstance(members, dict):
            from lambdasecrets._misfits import explain_no_object  # noqa: PLC0415 - needed only for what does not fit

            return self.checker.misfit(subject, explain_no_object(text))
        if key not in members:
            return self.checker.misfit(subject, Problem((key,), "missing"))
        member = members[key]
        if member is None:
            return self.checker.check(self.checker.validator.validate_python, None, subject)
        if isinstance(member, str):
            # A member that is a text is read like a whole text. Any other is read by its JSON.
            return self.checker.check(self._validate, member, subject)
        written_there = (self._members or self._load_members()).write(text, key, member)
        is_scalar = self.kind is Kind.TEXT and not isinstance(member, (dict, list))
        return self.checker.check(self._read_scalar if is_scalar else self._validate, written_there, subject)

    def _load_members(self) -> Members:
        # Kept, not imported anew for each member: that takes longer than to read one.
        from lambdasecrets._members import Members  # noqa: PLC0415 - most members are texts

        self._members = Members(self._schema)
        return self._members

    def _read_scalar(self, characters: str) -> object:
        exact = (self._members or self._load_members()).choose_json(characters)
        return self._validate(characters) if exact is None else self._validate_json(exact)


class Unparsed:
    """In the place of a declared type: a value as it is, the text, or the bytes of a binary secret."""


class UnparsedReader(Reader):
    """Gives values as they are."""

    def __init__(self) -> None:
        super().__init__(_checker(Unparsed.__name__, str), Kind.TEXT)

    def read(self, raw: RawValue, key: str | None, subject: Subject) -> object:  # noqa: ARG002 - a reader's shape
        """Give the text, else the bytes, else the InvalidValueError."""
        value = raw.binary if raw.text is None else raw.text
        return self.checker.misfit(subject, Problem((), "no_text_value")) if value is None else value


class Assembler:
    """Puts a config model together from its fields' values. Made once, at import.

    Args:
        checker: knows the model.
    """

    def __init__(self, checker: _Checker) -> None:
        self.checker = checker
        # Not strict: what `field_reader` leaves as text may have to become a number yet.
        self._validate = partial(checker.validator.validate_python, by_name=True, strict=False)

    def assemble(self, fields: Mapping[str, object], subject: Subject) -> object:
        """Make the model by its own validators.

        Args:
            fields: what was read for its fields, by the fields' names, whatever their aliases.
            subject: what an error is about.

        Returns:
            The model, or an InvalidValueError that holds no part of a value.
        """
        return self.checker.check(self._validate, fields, subject)


class _Checker:
    """Has data validated, and keeps to itself what was seen.

    Args:
        expected: the declared type, as written.
        schema: pydantic's, of the declared type.
    """

    def __init__(self, expected: str, schema: core_schema.CoreSchema) -> None:
        self.expected, self.schema = expected, schema
        # Not the adapter's, which keeps a JSON value's short texts in a cache for as long as the process lives, quotes
        # values in its errors, and shows them to pydantic's plugins.
        self.validator = SchemaValidator(schema, {"cache_strings": "none", "hide_input_in_errors": True})

    def check(self, validate: Callable[[_T], object], data: _T, subject: Subject) -> object:
        """Give what validating makes of the data, or the InvalidValueError."""
        try:
            return validate(data)
        except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything, and quote its input
            raised = error
        return self.explain(raised, data, subject)

    def explain(self, error: Exception, data: object, subject: Subject) -> InvalidValueError:
        """Give what may be shown of an error that validating raised. One of a signal's handler goes on as it is.

        To be called when the error is no longer handled: it would become the context of an interrupt that comes now.
        """
        from lambdasecrets import _misfits  # noqa: PLC0415 - needed only where a value does not fit

        if _misfits.is_from_signal_handler(error):
            raise error
        error.__traceback__ = None  # its frames hold it in turn: without them it ends here, and the value with it
        return InvalidValueError(subject, self.expected, _misfits.find_problems(error, self.schema, data))

    def misfit(self, subject: Subject, problem: Problem) -> InvalidValueError:
        """Give the error of what is not even validated."""
        return InvalidValueError(subject, self.expected, [problem])


def reader(where: str, declared: object) -> Reader:
    """Make the reader of a declared type.

    Args:
        where: the parameter and its handler, for the error.
        declared: the type, the declaration taken out of its metadata.

    Raises:
        DeclarationError: a type that pydantic cannot read, or that does not decide how a value is read.
    """
    if declared is Unparsed:
        return UnparsedReader()
    checker = _checker(where, declared)
    found = set(_kinds(cast("Node", checker.schema), {}))
    kinds = [kind for kind in Kind if kind in found]
    if not kinds or None in found:
        why = f"{write_type(declared)} does not decide how the value is read"
        raise DeclarationError(where, why, "Declare a definite type, such as str, int, dict[str, str] or a model.")
    if len(kinds) > 1:
        mixed = " with ".join(f"what is read as {kind.value}" for kind in kinds)
        why = f"{write_type(declared)} mixes {mixed}"
        raise DeclarationError(where, why, "Declare one of them, or a union of models.")
    return Reader(checker, kinds[0])


def field_reader(where: str, declared: object) -> Reader:
    """Make the reader of a config model's field. See `reader`.

    The model validates what was read by the field's type once more. An object that was made before passes; but a
    function, such as a validator, would run twice. Then the text, or the parsed JSON, is left for the model to read.
    """
    whole = reader(where, declared)
    if not _runs_functions(whole.checker.schema):
        return whole
    unread = _Checker(whole.checker.expected, TypeAdapter(_UNREAD[whole.kind]).core_schema)
    return Reader(unread, whole.kind, whole.checker)


def _validator(checker: _Checker, kind: Kind) -> Callable[[str], object]:
    validator = checker.validator
    if kind is Kind.JSON:
        return validator.validate_json
    if kind is Kind.BYTES:
        return lambda text: validator.validate_python(text.encode())
    return cast("Callable[[str], object]", validator.validate_strings)  # declared for dicts of texts only


def assembler(where: str, model: type) -> Assembler:
    """Make what puts a config model together.

    Args:
        where: the parameter and its handler, for the error.
        model: the class.

    Raises:
        DeclarationError: a model that pydantic cannot read.
    """
    return Assembler(_checker(where, model))


def _checker(where: str, declared: Any) -> _Checker:
    try:
        adapter: TypeAdapter[object] = TypeAdapter(declared)
        adapter.rebuild()  # where pydantic waits for names that are yet to be defined: they must be there now
        expected = write_type(get_args(declared)[0] if get_origin(declared) is Annotated else declared)
        checker = _Checker(expected, adapter.core_schema)
    except Exception as error:
        why = f"pydantic cannot read {write_type(declared)} ({type(error).__name__})"
        raise DeclarationError(where, why, "Declare a type that pydantic knows, or teach it yours.") from error
    if _has_constraints(checker.schema):
        _refuse_misplaced_constraint(where, checker)
    return checker


def _has_constraints(schema: object) -> bool:
    """Tell whether pydantic constrains by a function of its own what comes out of a type."""
    if isinstance(schema, dict):
        parts = cast("dict[str, object]", schema)
        function = parts.get("function")
        return _is_constraint(getattr(function, "func", function)) or any(map(_has_constraints, parts.values()))
    return isinstance(schema, (list, tuple)) and any(map(_has_constraints, cast("Iterable[object]", schema)))


def _is_constraint(function: object) -> bool:
    module = getattr(function, "__module__", None)
    return module in {"pydantic._internal._validators", "pydantic._internal._known_annotated_metadata"}


def _refuse_misplaced_constraint(where: str, checker: _Checker) -> None:
    from lambdasecrets._constraints import find_misplaced_constraint  # noqa: PLC0415 - few types have such constraints

    name = find_misplaced_constraint(checker.schema)
    if name is not None:
        why = f"{checker.expected} has a constraint that pydantic cannot apply to the type that carries it: {name}"
        remedy = (
            "Take it out, or check the text before the type is made of it: "
            "Annotated[SecretStr, BeforeValidator(str.strip)]."
        )
        raise DeclarationError(where, why, remedy)


_TEXT_SCHEMAS = """
    str int float bool decimal complex fraction enum literal date time datetime timedelta uuid url multi-host-url
    function-plain
"""
_JSON_SCHEMAS = """
    model model-fields dataclass dataclass-args typed-dict named-tuple call arguments
    dict frozendict ordered-dict counter list deque tuple set frozenset
"""
_KIND_OF_SCHEMA = {
    # A function-plain makes of the text what it likes.
    **dict.fromkeys(_TEXT_SCHEMAS.split(), Kind.TEXT),
    **dict.fromkeys(_JSON_SCHEMAS.split(), Kind.JSON),
    "bytes": Kind.BYTES,
}
_INNER = ("schema", "json_schema", "lax_schema")
_INSTANCES = ("model", "dataclass")
_UNREAD: dict[Kind, Any] = {Kind.TEXT: str | None, Kind.JSON: Any, Kind.BYTES: bytes | None}
"""What a value is before it is read."""


def _kinds(schema: Node, definitions: dict[str, Node]) -> Iterator[Kind | None]:
    """List how the parts of a schema are read. None: one does not decide it."""
    kind = schema["type"]
    if kind == "none":
        return
    if kind == "definitions":
        definitions.update({item["ref"]: item for item in schema["definitions"]})
        yield from _kinds(schema["schema"], definitions)
    elif kind == "definition-ref":
        # Taken out while it is followed: a type that refers to itself, such as JsonValue, comes here again.
        target = definitions.pop(schema["schema_ref"], None)
        yield from _kinds(target, definitions) if target else ()
    elif kind == "model" and schema.get("root_model"):
        yield from _kinds(schema["schema"], definitions)
    elif kind in _KIND_OF_SCHEMA:
        yield _KIND_OF_SCHEMA[kind]
    elif kind in {"union", "tagged-union"}:
        for choice in _choices(schema):
            yield from _kinds(choice, definitions)
    elif kind == "chain":
        yield from _kinds(schema["steps"][0], definitions)
    elif kind != "json" and (inner := next((schema[name] for name in _INNER if name in schema), None)):
        yield from _kinds(inner, definitions)
    else:
        yield None


def _choices(schema: Node) -> Iterable[Node]:
    # A union has schemas, or pairs of a schema and its label; a tagged union has them by their tags.
    choices: dict[object, Node] | list[Node | tuple[Node, str]] = schema["choices"]
    listed = choices.values() if isinstance(choices, dict) else choices
    return (choice[0] if isinstance(choice, tuple) else choice for choice in listed)


def _runs_functions(schema: object) -> bool:
    """Tell whether reading an object that was read before runs a function."""
    if isinstance(schema, dict):
        parts = cast("dict[str, object]", schema)
        kind = str(parts.get("type"))
        # An instance of a model is taken as it is: what its fields run is over.
        return kind.startswith("function-") or (kind not in _INSTANCES and any(map(_runs_functions, parts.values())))
    return isinstance(schema, (list, tuple)) and any(map(_runs_functions, cast("Iterable[object]", schema)))
