"""Callables for `Depends`, Powertools' and FastAPI's."""

from __future__ import annotations

from copy import copy
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, overload
from weakref import WeakValueDictionary

from lambdasecrets._declarations import write_type
from lambdasecrets._decorator import PLAN, aresolve, check_observer, compile_value, resolve
from lambdasecrets._settings import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lambdasecrets._declarations import Parameter, Secret
    from lambdasecrets._decorator import Fallback
    from lambdasecrets._resolver import OnResolve

_T = TypeVar("_T")

_SHARED: WeakValueDictionary[tuple[object, ...], Callable[[], object]] = WeakValueDictionary()
"""By all that they were made of. A route holds its own: what no route has any more goes."""


@overload
def dependency(
    declaration: Secret | Parameter,
    kind: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], _T]: ...
@overload
def dependency(
    config: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], _T]: ...
def dependency(
    what: Any,
    kind: Any = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], object]:
    """Make a callable for `Depends` that resolves a value each time when it is called. See `lambdasecrets.resolve`.

    It ends before the invocation does that a decorator, or `lambdasecrets.invocation`, has seen the context of.

    Args:
        what: a config model, a `Secret` or `Parameter`, or an annotation that carries one.
        kind: the type to read it as, where `what` is a declaration.
        max_age: see `lambdasecrets.inject_secrets`.
        stale_if_error: see `lambdasecrets.inject_secrets`.
        timeout: seconds that it may take; never longer than the invocation has left.
        fallback: see `lambdasecrets.inject_secrets`.
        on_resolve: a function that is called with a `ResolveEvent`.

    Returns:
        The callable: the same for the same arguments, so that `dependency_overrides` finds it. `policy`, `check` and
        the other commands find it where a module has it by a name.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
        SettingError: an option cannot be used.
    """

    def provide() -> Any:
        return resolve(
            what,
            kind,
            max_age=max_age,
            stale_if_error=stale_if_error,
            timeout=timeout,
            fallback=fallback,
            on_resolve=on_resolve,
        )

    return _share(provide, what, kind, Options(timeout, max_age, stale_if_error, (), fallback), on_resolve)


@overload
def adependency(
    declaration: Secret | Parameter,
    kind: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], Coroutine[Any, Any, _T]]: ...
@overload
def adependency(
    config: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], Coroutine[Any, Any, _T]]: ...
def adependency(
    what: Any,
    kind: Any = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Callable[[], object]:
    """Make a coroutine function for FastAPI's `Depends`. See `dependency` and `lambdasecrets.aresolve`.

    Args:
        what: a config model, a `Secret` or `Parameter`, or an annotation that carries one.
        kind: the type to read it as, where `what` is a declaration.
        max_age: see `lambdasecrets.inject_secrets`.
        stale_if_error: see `lambdasecrets.inject_secrets`.
        timeout: seconds that it may take; never longer than the invocation has left.
        fallback: see `lambdasecrets.inject_secrets`.
        on_resolve: a function that is called with a `ResolveEvent`.

    Returns:
        The coroutine function: the same for the same arguments, so that `dependency_overrides` finds it.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
        SettingError: an option cannot be used.
    """

    async def provide() -> Any:
        return await aresolve(
            what,
            kind,
            max_age=max_age,
            stale_if_error=stale_if_error,
            timeout=timeout,
            fallback=fallback,
            on_resolve=on_resolve,
        )

    return _share(provide, what, kind, Options(timeout, max_age, stale_if_error, (), fallback), on_resolve)


def _share(
    provide: Callable[[], object], what: object, kind: object, options: Options, on_resolve: object
) -> Callable[[], object]:
    """Check what a callable was made of, and give the one that was made of the same before."""
    options.check()
    check_observer(on_resolve)
    compiled = copy(compile_value(what, kind))  # what is compiled is shared, its timeout is not
    compiled.timeout = options.timeout
    setattr(provide, PLAN, compiled)  # by which `policy` and `check` find it, where a module has it by a name
    # Powertools names a dependency that fails by this.
    provide.__name__ = provide.__qualname__ = write_type(what) if isinstance(what, type) else str(what)
    try:
        return _SHARED.setdefault((iscoroutinefunction(provide), what, kind, options, on_resolve), provide)
    except TypeError:  # what stands in `Annotated` need not be hashable
        return provide
