"""For tests of your own: values in the place of what would be resolved, and a stand-in for the extension."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from lambdasecrets import _resolver
from lambdasecrets._decorator import PLAN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path
    from types import TracebackType

    from lambdasecrets._compiled import CompiledPlan
    from lambdasecrets.dev.context import LambdaContext
    from lambdasecrets.dev.testbed import SecretsExtension

__all__ = ["Override", "SecretsExtension", "forget", "lambda_context", "override", "secrets_extension"]

DEFAULT_TIMEOUT_SECONDS = 3.0
"""Lambda's own, for a function that sets none."""

_Function = TypeVar("_Function", bound="Callable[..., object]")


if not TYPE_CHECKING:  # the tools are imported when they are used: a test that overrides everything needs none

    def __getattr__(name: str) -> object:
        """Import the stand-in's class when it is asked for, for the annotations of tests."""
        if name == "SecretsExtension":
            from lambdasecrets.dev.testbed import SecretsExtension  # noqa: PLC0415

            return SecretsExtension
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def override(handler: Callable[..., object], /, **values: object) -> Override:
    """Inject values of your own into a handler, wherever it is called from: a router, a web framework, a queue.

    What is overridden is not fetched; the rest is. A keyword argument of the caller's wins. With every value
    overridden there is no network, no environment and no server. Overrides count in every thread of this process, and
    may be nested: the inner one wins.

    Args:
        handler: a function or method that is decorated with `inject_secrets`.
        **values: by the names of the handler's injected parameters.

    Returns:
        A context manager that is a decorator too, for plain and for async functions.

    Raises:
        TypeError: the handler is not decorated, or has no injected parameter of such a name.
    """
    compiled: CompiledPlan | None = getattr(handler, PLAN, None)
    name = getattr(handler, "__qualname__", type(handler).__name__)
    if compiled is None:
        raise TypeError(f"Cannot override values of {name}: it is not decorated with @inject_secrets.")
    unknown = [value for value in values if value not in compiled.plan.nodes]
    if unknown:
        known = ", ".join(compiled.plan.nodes)
        raise TypeError(f"Cannot override {unknown[0]!r} of {name}: it is not injected there. What is: {known}.")
    return Override(compiled, values)


class Override:
    """What `override` gives: a context manager, and a decorator.

    Args:
        compiled: the handler's plan.
        values: what to inject, by name.
    """

    def __init__(self, compiled: CompiledPlan, values: dict[str, object]) -> None:
        self._compiled, self._values = compiled, values
        self._before: list[dict[str, object]] = []

    def __enter__(self) -> None:
        self._before.append(self._compiled.overrides)
        # A new dict in one step: other threads may be calling the handler.
        self._compiled.overrides = {**self._compiled.overrides, **self._values}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._compiled.overrides = self._before.pop()

    def __call__(self, function: _Function, /) -> _Function:
        """Override while a function runs.

        Raises:
            TypeError: it is a generator or a class, which does not run when it is called.
        """
        if isinstance(function, type) or _is_generator(function):
            what = "class" if isinstance(function, type) else "generator"
            raise TypeError(f"Cannot decorate a {what} with override: write `with override(...)` inside.")
        if inspect.iscoroutinefunction(function):
            return cast("_Function", self._async_wrapper(function))
        return cast("_Function", self._wrapper(function))

    def _wrapper(self, function: Callable[..., object]) -> Callable[..., object]:
        @wraps(function)
        def wrapper(*args: object, **kwargs: object) -> object:
            with self:
                return function(*args, **kwargs)

        return wrapper

    def _async_wrapper(self, function: Callable[..., Awaitable[object]]) -> Callable[..., object]:
        @wraps(function)
        async def wrapper(*args: object, **kwargs: object) -> object:
            with self:
                return await function(*args, **kwargs)

        return wrapper


def _is_generator(function: Callable[..., object]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


@contextmanager
def secrets_extension(
    secrets: str | Path | None = None, *, profile: Literal["extension", "agent"] = "extension"
) -> Generator[SecretsExtension]:
    """Run a stand-in for the extension, empty at first, with an environment that leads to it.

    Requests go over real HTTP to a server in this process, which is started once and cleared for each use. What this
    library remembers is forgotten before and after.

    Args:
        secrets: a secrets file to begin with; its `[environment]` is set too.
        profile: `extension`, or `agent` for the Secrets Manager Agent.

    Yields:
        The stand-in, to put values in.

    Raises:
        AssertionError: at the end, where a handler asked for a required value that nobody put there.
        SecretsFileError: the file cannot be read.
    """
    from lambdasecrets.dev.testbed import run_extension  # noqa: PLC0415 - see above

    with run_extension(secrets, profile) as extension:
        yield extension
        extension.check()


def lambda_context(timeout: float = DEFAULT_TIMEOUT_SECONDS, *, tenant_id: str | None = None) -> LambdaContext:
    """Make what Lambda gives a handler beside the event. Its remaining time counts down from now.

    Args:
        timeout: seconds that the invocation may take.
        tenant_id: the tenant that it is for, where the function isolates tenants.
    """
    from lambdasecrets.dev.context import LambdaContext  # noqa: PLC0415 - see above

    return LambdaContext.from_environment(timeout, tenant_id=tenant_id)


def forget() -> None:
    """Forget what this process remembers: values, absences, connections. A Session of your own stays in use."""
    _resolver.forget()
