"""What handlers declare, put together by the names under which it is kept, with a JSON Schema of each value."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_json

from lambdasecrets import _parsing, _signature
from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets._parsing import Kind
from lambdasecrets._signature import Slot
from lambdasecrets.dev._drafts.nodes import Node
from lambdasecrets.dev._stores.arns import REFERENCE, split_selector
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.placeholders import check_texts, fill, fill_name
from lambdasecrets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import core_schema

    from lambdasecrets.dev.discovery import Found

__all__ = ["Entries", "Entry", "Kind", "Use", "read_entries"]

Table = Literal["secrets", "parameters"]

_HIDDEN = "**********"  # in the place of what SecretStr and SecretBytes hold
_MODE: Literal["validation"] = "validation"


@dataclass(frozen=True, slots=True)
class Use:
    """One declaration of an entry.

    Attributes:
        target: the handler or config model, as a command names it.
        parameter: the parameter, or the way to a config model's field; empty for a dependency, which is one value.
        declaration: as it is declared.
        type: the declared type, as written.
        kind: how the text of the value, or of the member, is read.
        is_optional: whether there is a default for a value that does not exist.
        schema: of the value, or of the member. Its definitions are in `Entries.definitions`.
    """

    target: str
    parameter: str
    declaration: Secret | Parameter
    type: str
    kind: Kind
    is_optional: bool
    schema: Node

    @property
    def place(self) -> str:
        """Where it is declared, in words."""
        return f"{self.parameter} of {self.target}".removeprefix(" of ")


@dataclass(frozen=True, slots=True)
class Entry:
    """A secret or a parameter, with every declaration of it.

    Attributes:
        table: where it is kept.
        name: its name or ARN, filled in as far as texts are given. What refers to a secret has the secret's name.
        role: the role that it is read with, filled in likewise; a bare name is then one of the role's account.
        uses: in the order of the declarations.
    """

    table: Table
    name: str
    role: str | None
    uses: tuple[Use, ...]

    @property
    def is_optional(self) -> bool:
        """Whether every declaration has a default."""
        return all(use.is_optional for use in self.uses)

    @property
    def is_text(self) -> bool:
        """Whether it is read as a text by all, whole: it is no JSON to anybody."""
        return all(use.declaration.key is None and use.kind is not Kind.JSON for use in self.uses)


class Entries(NamedTuple):
    """What targets need.

    Attributes:
        entries: each secret and parameter once.
        definitions: what `$ref`s of their schemas lead to, by name.
    """

    entries: tuple[Entry, ...]
    definitions: dict[str, Node]


def read_entries(found: Sequence[Found], texts: Mapping[str, str]) -> Entries:
    """Put together what handlers and config models declare.

    Args:
        found: the handlers and config models.
        texts: for `{VAR}` and `{context.tenant_id}`; what is not in it stays in the names.

    Raises:
        InputError: a text makes no name, or a config model has a type that cannot be read.
    """
    uses: list[tuple[Use, core_schema.CoreSchema]] = []
    for item in found:
        with item.importable():
            uses += [_read_use(item, slot, default) for slot, default in _list_slots(item)]
    schemas, definitions = _Writer().generate_definitions(
        [(number, _MODE, schema) for number, (_, schema) in enumerate(uses)]
    )
    entries: dict[tuple[Table, str, str | None], Entry] = {}
    for number, (use, _) in enumerate(uses):
        check_texts(use.declaration, texts)
        place = _find_place(use.declaration, texts)
        known = entries.get(place, Entry(*place, ()))
        whole = replace(use, schema={**schemas[number, _MODE], **use.schema})
        entries[place] = replace(known, uses=(*known.uses, whole))
    return Entries(tuple(entries.values()), {str(name): schema for name, schema in definitions.items()})


def _read_use(found: Found, slot: Slot, default: object) -> tuple[Use, core_schema.CoreSchema]:
    """Read a declaration. Of its schema there is only the default yet."""
    try:
        reader = _parsing.reader(found.target, slot.type)
    except DeclarationError as error:  # of a handler it would be known since its import
        raise InputError(" ".join(str(error).split())) from None
    declaration = cast("Secret | Parameter", slot.declaration)
    # The plan of a config model by itself begins with the model's own name.
    path = ".".join(slot.path[1:] if isinstance(found.item, type) else slot.path)
    known = _write_default(default)
    return Use(
        found.target, path, declaration, reader.checker.expected, reader.kind, slot.optional, known
    ), reader.checker.schema


def _find_place(declaration: Secret | Parameter, texts: Mapping[str, str]) -> tuple[Table, str, str | None]:
    name = fill_name(declaration, texts)
    if isinstance(declaration, Secret):
        return "secrets", name, None if declaration.role_arn is None else fill(declaration.role_arn, texts)
    bare, _ = split_selector(name)
    if bare.startswith(REFERENCE):
        return "secrets", bare.removeprefix(REFERENCE), None
    return "parameters", bare, None


# --- Schemas ------------------------------------------------------------------------------------------------------


class _Writer(GenerateJsonSchema):
    """Writes pydantic's schemas for people: without what cannot be written, and without a word about it."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as the base class has it

    def handle_invalid_for_json_schema(self, schema: object, error_info: str) -> Node:  # noqa: ARG002 - the base's
        """Let anything be what JSON Schema has no words for."""
        return {}

    def model_schema(self, schema: core_schema.ModelSchema) -> Node:
        """Write a model's."""
        return _open(super().model_schema(schema))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Node:
        """Write a dataclass's."""
        return _open(super().dataclass_schema(schema))

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> Node:
        """Write a typed dict's."""
        return _open(super().typed_dict_schema(schema))

    def encode_default(self, dft: Any) -> Any:
        """Leave out a default that would not be shown.

        Raises:
            PydanticSerializationError: it cannot be written.
        """
        return _encode(dft)


def _open(schema: Node) -> Node:
    """Say that other members are allowed, where they are: some editors warn of what is not said."""
    return (
        {**schema, "additionalProperties": schema.get("additionalProperties", True)}
        if "properties" in schema
        else schema
    )


# --- Defaults -----------------------------------------------------------------------------------------------------


def _list_slots(found: Found) -> Iterator[tuple[Slot, object]]:
    """List what is declared, each with its default; what no value can be where there is none."""
    return _walk(found.plan.nodes, {} if isinstance(found.item, type) else _read_defaults(found.item))


def _walk(nodes: Mapping[str, _signature.Node], defaults: Mapping[str, object]) -> Iterator[tuple[Slot, object]]:
    for name, node in nodes.items():
        if isinstance(node, Slot):
            yield node, defaults.get(name, ...)
        else:
            yield from _walk(node.fields, {field: info.default for field, info in node.model.model_fields.items()})


def _read_defaults(handler: Any) -> dict[str, object]:
    """Give the defaults of a function's arguments. Its signature is not asked for: it would evaluate annotations."""
    function: Any = inspect.unwrap(getattr(handler, "__func__", handler))
    positional = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return {**dict(zip(reversed(names), reversed(positional), strict=False)), **(function.__kwdefaults__ or {})}


def _write_default(default: object) -> Node:
    try:
        return {"default": _encode(default)}
    except PydanticSerializationError:
        return {}


def _encode(default: object) -> object:
    text = to_json(default, inf_nan_mode="strings").decode()
    if _HIDDEN in text:
        raise PydanticSerializationError(_HIDDEN)
    written: object = json.loads(text)
    return written
