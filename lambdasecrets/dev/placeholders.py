"""Fill in placeholders for what is written about names, where none of them is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lambdasecrets._declarations import TENANT, bind
from lambdasecrets.dev.discovery import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lambdasecrets._declarations import Parameter, Secret

__all__ = ["PLACEHOLDER", "check_texts", "fill", "fill_name", "list_placeholders"]

PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.]+)\}")
"""One of them in a name; its group is the variable, or the tenant."""


def fill(text: str, texts: Mapping[str, str]) -> str:
    """Fill in the placeholders whose texts are given; the others stay."""
    return PLACEHOLDER.sub(lambda found: texts.get(found[1], found[0]), text)


def fill_name(declaration: Secret | Parameter, texts: Mapping[str, str]) -> str:
    """Fill in the placeholders of a name whose texts are given; the others stay."""
    return declaration.name if declaration.literal else fill(declaration.name, texts)


def list_placeholders(declaration: Secret | Parameter) -> list[str]:
    """List what a declaration needs to be filled in: variables, and the tenant."""
    return [*declaration.variables, *([TENANT] if declaration.needs_tenant else [])]


def check_texts(declaration: Secret | Parameter, texts: Mapping[str, str]) -> None:
    """Refuse texts that make no name.

    Args:
        declaration: what they are filled into.
        texts: where one that is needed is missing nothing is refused.

    Raises:
        InputError: they make no name; the message has the placeholder and not its text.
    """
    if not set(list_placeholders(declaration)) <= texts.keys():
        return
    faults = bind(declaration, texts, texts.get(TENANT))
    if isinstance(faults, list):
        raise InputError(f"cannot use {faults[0].variable} for {declaration}: {faults[0].why or 'it is empty'}.")
