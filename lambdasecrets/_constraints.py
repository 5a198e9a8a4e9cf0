"""Constraints on types that cannot have them, such as a pattern on a SecretStr. Loaded where a type has constraints.

pydantic takes them where the type is made, and raises a TypeError for every value. So they are tried here, each on the
type that it constrains, with values that are nobody's.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, cast
from uuid import UUID

from pydantic_core import SchemaError, SchemaValidator, ValidationError

from lambdasecrets._schemas import Node, function_of, has_foreign_function, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import core_schema

_SAMPLES: tuple[object, ...] = (
    "a",
    1,
    1.5,
    True,
    b"a",
    {},
    [],
    Decimal(1),
    date(2000, 1, 1),
    datetime(2000, 1, 1, tzinfo=timezone.utc),
    time(1),
    timedelta(1),
    UUID(int=1),
    "http://localhost/",
    "127.0.0.1",
)
_VALIDATORS = "pydantic._internal._validators"
_APPLIED = "_apply_constraint_with_incompatibility_info"
_UNTRIED = frozenset({"model", "dataclass", "call"})
"""What would run functions of the user's to be made."""


def find_misplaced_constraint(schema: Mapping[str, object]) -> str | None:
    """Give the name of a constraint that fails whatever the value is. None: there is none of which it is known."""
    tried = (_find_refusal(inner, whole) for node in nodes(schema) for inner, whole in _list_constrained(node))
    return next((name for name in tried if name is not None), None)


def _list_constrained(node: Node) -> Iterator[tuple[Node, Node]]:
    """List what a part of a schema constrains: as it is read, and with the constraint."""
    function = function_of(node)
    if node.get("type") == "function-after" and getattr(function, "__module__", None) == _VALIDATORS:
        yield node["schema"], node
    if node.get("type") == "chain":
        steps = cast("list[Node]", node["steps"])
        for at, step in enumerate(steps):
            if getattr(function_of(step), "__name__", "") == _APPLIED:
                yield _chain(steps[:at]), _chain(steps[: at + 1])


def _chain(steps: list[Node]) -> Node:
    return {"type": "chain", "steps": steps}


def _find_refusal(inner: Node, whole: Node) -> str | None:
    if not all(map(_is_harmless, nodes(inner))):
        return None
    try:
        read, constrain = _validator(inner), _validator(whole)
    except SchemaError:  # it refers to a type that is defined outside of it
        return None
    refusals = [_refusal_of(constrain, sample) for sample in _SAMPLES if _reads(read, sample)]
    return None if None in refusals else next(iter(refusals), None)


def _is_harmless(node: Node) -> bool:
    is_import = getattr(function_of(node), "__name__", "") == "import_string"
    return node.get("type") not in _UNTRIED and not has_foreign_function(node) and not is_import


def _validator(schema: Node) -> SchemaValidator:
    return SchemaValidator(cast("core_schema.CoreSchema", schema))


def _reads(validator: SchemaValidator, sample: object) -> bool:
    try:
        validator.validate_python(sample)
    except Exception:  # noqa: BLE001 - what does not read this sample may read another one
        return False
    return True


def _refusal_of(validator: SchemaValidator, sample: object) -> str | None:
    """Give the name of the constraint that cannot be applied; None where it can, whether the sample passes or not."""
    try:
        validator.validate_python(sample)
    except ValidationError:
        return None
    except Exception as error:  # noqa: BLE001 - comparing, and taking a length, run what the type brings with it
        found = re.search(r"constraint '(\w+)'", str(error))
        return found[1] if found else type(error).__name__
    return None
