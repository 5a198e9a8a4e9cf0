"""Annotations that wait to be evaluated, as they do since Python 3.14 (PEP 649, PEP 749)."""
# Loaded since Python 3.14.

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    import inspect
    from types import FunctionType
    from typing import TYPE_CHECKING, Any

    import annotationlib
    from annotationlib import Format

    if TYPE_CHECKING:
        from collections.abc import Callable

    class _Unevaluated:
        """An annotate function that `annotationlib` takes apart, and cannot call for the values.

        To tell annotations as text, it calls such a function for real once, only to see whether it can.

        Args:
            annotate: the function.
        """

        def __init__(self, annotate: object) -> None:
            self._annotate = annotate

        def __getattr__(self, name: str) -> object:
            return getattr(self._annotate, name)

        def __call__(self, form: int, /) -> dict[str, object]:
            if form != Format.VALUE_WITH_FAKE_GLOBALS:
                raise NotImplementedError
            return {}

    def signature(handler: Callable[..., object]) -> inspect.Signature:
        """Give the signature of a handler, its annotations as text: none is evaluated."""
        function = inspect.unwrap(handler, stop=lambda item: hasattr(item, "__signature__"))
        if not isinstance(function, FunctionType) or hasattr(function, "__signature__"):
            return inspect.signature(function)
        bare = FunctionType(function.__code__, {}, None, function.__defaults__, function.__closure__)
        bare.__kwdefaults__ = function.__kwdefaults__
        texts = _texts(function)
        whole = inspect.signature(bare)
        parameters = [
            parameter.replace(annotation=texts.get(name, inspect.Parameter.empty))
            for name, parameter in whole.parameters.items()
        ]
        return whole.replace(parameters=parameters, return_annotation=texts.get("return", inspect.Signature.empty))

    def _texts(function: FunctionType) -> dict[str, str]:
        annotate: Any = _Unevaluated(function.__annotate__)
        return annotationlib.call_annotate_function(annotate, Format.STRING, owner=function)

    def annotation(function: FunctionType, name: str) -> object:
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

    def publish_annotations(
        wrapper: Callable[..., object], handler: Callable[..., object], hidden: frozenset[str]
    ) -> None:
        """Give a wrapper the annotations of what it wraps, to be evaluated when somebody asks.

        Args:
            wrapper: what the caller calls.
            handler: what it wraps.
            hidden: the parameters that are injected.
        """

        def annotate(form: int, /) -> dict[str, object]:
            annotations = annotationlib.get_annotations(handler, format=Format(form))
            return {name: kind for name, kind in annotations.items() if name not in hidden}

        wrapper.__annotate__ = annotate
