"""The mistake of resolving while the module is imported: the extension serves during invocations only."""

from typing import Any

from lambdasecrets import Secret, resolve

KEY = resolve(Secret("failing/present"), str)


def handler(event: Any, context: Any) -> str:
    """Never run: the import fails."""
    return KEY
