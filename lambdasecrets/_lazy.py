"""Annotations that wait to be evaluated, as they do since Python 3.14 (PEP 649, PEP 749). Loaded there only."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):  # pragma: no cover - older Pythons never come here
    import inspect
    from typing import TYPE_CHECKING, Any

    import annotationlib
    from annotationlib import Format

    if TYPE_CHECKING:
        from collections.abc import Callable

    def signature(handler: Callable[..., Any]) -> inspect.Signature:
        """Give the signature of a handler, its annotations as text: none is evaluated."""
        return inspect.signature(handler, annotation_format=Format.STRING)

    def annotation(function: Callable[..., Any], name: str) -> Any:
        """Give a parameter's annotation; a name in it that does not exist stays a forward reference.

        Args:
            function: what is annotated.
            name: the parameter.

        Returns:
            The annotation; None where another one of the function's cannot be evaluated.
        """
        try:
            return annotationlib.get_annotations(function, format=Format.FORWARDREF)[name]
        except Exception:  # noqa: BLE001 - evaluating an annotation runs whatever it says
            return None

    def publish_annotations(wrapper: Callable[..., Any], handler: Callable[..., Any], hidden: frozenset[str]) -> None:
        """Give a wrapper the annotations of what it wraps, to be evaluated when somebody asks.

        Args:
            wrapper: what the caller calls.
            handler: what it wraps.
            hidden: the parameters that are injected.
        """

        def annotate(form: int, /) -> dict[str, Any]:
            annotations = annotationlib.get_annotations(handler, format=Format(form))
            return {name: kind for name, kind in annotations.items() if name not in hidden}

        wrapper.__annotate__ = annotate
