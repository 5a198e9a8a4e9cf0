"""Regions as they are given on the command line."""

from __future__ import annotations

import re

from lambdasecrets._permissions import REGION
from lambdasecrets.dev.discovery import InputError

__all__ = ["check_region"]


def check_region(region: str | None) -> None:
    """Refuse what is no Region's code.

    Raises:
        InputError: it is none; the message says how one looks.
    """
    if region is not None and not re.fullmatch(REGION, region):
        raise InputError(f"cannot use the Region {region!r}: give its code, such as eu-west-1.")
