"""Faults as a secrets file or the command line wants them: by their names, with settings."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from lambdasecrets.dev.faults import EVERY_FAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambdasecrets.dev.faults import Fault, Refuse

__all__ = ["FaultRule", "make_fault", "read_fault"]


class FaultRule(NamedTuple):
    """A fault as a secrets file or the command line wants it: the arguments of `Emulator.inject`.

    Attributes:
        fault: what goes wrong.
        times: for how many requests; None for all.
        match: only for requests with this text in their target.
    """

    fault: Fault | Refuse
    times: int | None
    match: str


_FIXED = frozenset({"content_type", "part"})
"""What the names of the faults already decide."""
_KINDS: Mapping[type, str] = MappingProxyType({bool: "true or false", int: "a whole number", float: "a number"})


def read_fault(text: str) -> FaultRule:
    """Read a fault from one line: its name, and settings after commas, as in `latency,seconds=0.5,match=orders`.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    name, *settings = text.split(",")
    pairs = [setting.partition("=") for setting in settings]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError(f"cannot read the fault {text!r}: write NAME,SETTING=VALUE,...")
    return make_fault({"name": name, **{key: value for key, _, value in pairs}})


def make_fault(settings: Mapping[str, object]) -> FaultRule:
    """Make a fault of `EVERY_FAULT` with settings of its own.

    Args:
        settings: its `name`; `times` (all requests without it) and `match`; the fields of the fault, such as `seconds`.

    Raises:
        ValueError: there is no such fault, or a setting that it does not have or take.
    """
    name = str(settings.get("name", ""))
    fault: Any = EVERY_FAULT.get(name)
    if fault is None:
        raise ValueError(f"there is no fault {name!r}: use one of {', '.join(EVERY_FAULT)}.")
    fields_of_it = {field.name: getattr(fault, field.name) for field in fields(fault) if field.name not in _FIXED}
    known: dict[str, Any] = {**fields_of_it, "times": 1, "match": ""}
    given = {key: value for key, value in settings.items() if key != "name"}
    for key in given:
        if key not in known:
            raise ValueError(f"the fault {name!r} has no {key!r}: use {', '.join(known)}.")
    values = {key: _convert(name, key, known[key].__class__, value) for key, value in given.items()}
    rule = FaultRule(fault, values.pop("times", None), values.pop("match", ""))
    return rule._replace(fault=replace(fault, **values))


def _convert(name: str, key: str, kind: type, value: object) -> Any:
    """Read a setting, which is a text on the command line and what it is in a file."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if kind is bytes:
            return str(value).encode()
        if kind is str:
            return str(value)
        number = float(str(value))
        if math.isfinite(number) and number >= 0 and (kind is float or number.is_integer()):
            return kind(number)
    except (KeyError, ValueError):
        pass
    raise ValueError(f"the fault {name!r} wants {_KINDS[kind]} for {key!r}.")
