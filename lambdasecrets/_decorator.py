"""`inject_secrets` and `resolve`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, TypeVar, overload

from lambdasecrets import _resolver, _settings
from lambdasecrets._compiled import Prepared
from lambdasecrets._resolver import Call, OnResolve, Resolved
from lambdasecrets._settings import Options
from lambdasecrets._signature import handler_plan, publish, value_plan
from lambdasecrets.errors import ResolutionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lambdasecrets._declarations import Declaration, Parameter, Secret

PLAN = "__lambdasecrets__"
"""The attribute of a decorated handler that holds its `Prepared` plan."""

_NOTHING: frozenset[str] = frozenset()
_CallFor = Callable[[tuple[Any, ...], dict[str, Any]], Call]

_A = TypeVar("_A")
_B = TypeVar("_B")
_R = TypeVar("_R")
_T = TypeVar("_T")
_A_contra = TypeVar("_A_contra", contravariant=True)
_B_contra = TypeVar("_B_contra", contravariant=True)
_R_co = TypeVar("_R_co", covariant=True)


class BoundHandler(Protocol[_B_contra, _R_co]):
    """How a decorated method looks to a type checker once it is taken from its object: `(event, context)`."""

    def __call__(self, event: _B_contra, context: Any, /, **overrides: Any) -> _R_co:
        """Run the handler. Keyword arguments win over what would be injected, and are not fetched."""
        ...


class Handler(Protocol[_A_contra, _B_contra, _R_co]):
    """How a decorated function looks to a type checker: `(event, context)`. At runtime it is a plain function."""

    __name__: str
    __qualname__: str

    def __call__(self, event: _A_contra, context: _B_contra, /, **overrides: Any) -> _R_co:
        """Run the handler. Keyword arguments win over what would be injected, and are not fetched."""
        ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> Handler[_A_contra, _B_contra, _R_co]: ...
    @overload
    def __get__(self, instance: object, owner: type, /) -> BoundHandler[_B_contra, _R_co]: ...


class Decorator(Protocol):
    """What `inject_secrets` with options gives."""

    def __call__(self, handler: Callable[Concatenate[_A, _B, ...], _R], /) -> Handler[_A, _B, _R]:
        """Decorate a handler."""
        ...


@overload
def inject_secrets(handler: Callable[Concatenate[_A, _B, ...], _R], /) -> Handler[_A, _B, _R]: ...
@overload
def inject_secrets(
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    retry_on: Iterable[type[Exception]] | None = None,
    on_resolve: OnResolve | None = None,
) -> Decorator: ...
def inject_secrets(
    handler: Callable[..., Any] | None = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    retry_on: Iterable[type[Exception]] | None = None,
    on_resolve: OnResolve | None = None,
) -> Any:
    """Resolve a handler's declared secrets and parameters before each invocation, and pass them in by keyword.

    The handler takes `(event, context)`, or `(self, event, context)`, and further parameters whose annotations
    carry a `Secret` or a `Parameter`, or are config models. It may be `async def`. A keyword argument that the
    caller gives wins and is not fetched.

    Args:
        handler: the handler, where the decorator is used without parentheses.
        max_age: seconds for which a value is used again without asking the extension. The extension itself keeps
            values for its own TTL (300 s by default), so a value is at most the sum of both old.
            Default: LAMBDASECRETS_MAX_AGE, else 0.
        stale_if_error: seconds, beyond `max_age`, for which the last good value serves after a transient failure.
            Default: LAMBDASECRETS_STALE_IF_ERROR, else 0.
        timeout: seconds that the whole resolve may take; never longer than the invocation has left.
            Default: LAMBDASECRETS_TIMEOUT, else 5.
        retry_on: exceptions of the handler that a rotated secret explains. When it raises one, the values are
            fetched past every cache, and where a version changed the handler runs once more.
            Default: LAMBDASECRETS_RETRY_ON (`package.module.Class`, separated by commas), else none.
        on_resolve: called with a `ResolveEvent` after every resolve.

    Returns:
        A plain function with the signature `(event, context)`.

    Raises:
        DeclarationError: at import, for a signature or a declared type that could not be served.
        SettingError: at import, for an option that cannot be used.
        ResolutionError: at an invocation; see `lambdasecrets.errors` for the tree.
    """
    kinds = None if retry_on is None else tuple(retry_on)
    options = Options(timeout=timeout, max_age=max_age, stale_if_error=stale_if_error, retry_on=kinds).checked()

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        return _decorated(handler, options, on_resolve)

    return decorate if handler is None else decorate(handler)


def _decorated(handler: Callable[..., Any], options: Options, on_resolve: OnResolve | None) -> Callable[..., Any]:
    prepared = Prepared(handler_plan(handler))
    wrap = _async_wrapper if inspect.iscoroutinefunction(handler) else _wrapper
    wrapper = wrap(handler, prepared, _calls(prepared, options, on_resolve))
    publish(wrapper, handler, prepared.plan)
    setattr(wrapper, PLAN, prepared)
    return wrapper


def _wrapper(handler: Callable[..., Any], prepared: Prepared, call_for: _CallFor) -> Callable[..., Any]:
    @wraps(handler)
    def wrapper(*args: Any, **overrides: Any) -> Any:
        if prepared.overrides:
            overrides = {**prepared.overrides, **overrides}
        call = call_for(args, overrides)
        first = _first(call)
        try:
            return handler(*args, **overrides, **first.arguments)
        except call.limits.retry_on:
            second = _second(call, first)
            if second is None:
                raise
        return handler(*args, **overrides, **second.arguments)

    return wrapper


def _async_wrapper(handler: Callable[..., Any], prepared: Prepared, call_for: _CallFor) -> Callable[..., Any]:
    from asyncio import to_thread  # noqa: PLC0415 - whoever writes `async def` has it loaded; others need not

    @wraps(handler)
    async def wrapper(*args: Any, **overrides: Any) -> Any:
        if prepared.overrides:
            overrides = {**prepared.overrides, **overrides}
        call = call_for(args, overrides)
        # In a thread: a wave waits on sockets, and the loop may have other work.
        first = await to_thread(_first, call)
        try:
            return await handler(*args, **overrides, **first.arguments)
        except call.limits.retry_on:
            second = await to_thread(_second, call, first)
            if second is None:
                raise
        return await handler(*args, **overrides, **second.arguments)

    return wrapper


def _calls(prepared: Prepared, options: Options, on_resolve: OnResolve | None) -> _CallFor:
    """Make what says, at each invocation, what is to be resolved."""
    plan, last = prepared.plan, len(prepared.plan.given) - 1
    # Read once, at the first invocation: at import the environment is nobody's business.
    limits = lru_cache(maxsize=1)(partial(_settings.limits, options))

    def call_for(args: tuple[Any, ...], overrides: dict[str, Any]) -> Call:
        if overrides:
            plan.check_keywords(tuple(overrides))
        # Lambda gives the context last; a test may name it.
        context = args[last] if len(args) > last else overrides.get(plan.given[last])
        skip = frozenset(name for name in overrides if name in plan.nodes) if overrides else _NOTHING
        return Call(prepared, limits(), on_resolve, context, skip)

    return call_for


def _first(call: Call) -> Resolved:
    if call.skip and len(call.skip) == len(call.prepared.plan.nodes):
        return Resolved({}, {})
    return _or_raise(_resolver.shared().resolve(call))


def _second(call: Call, first: Resolved) -> Resolved | None:
    return _resolver.shared().renew(call, first) if first.versions else None


def _or_raise(outcome: Resolved | ResolutionError) -> Resolved:
    if isinstance(outcome, ResolutionError):
        raise outcome
    return outcome


@overload
def resolve(
    declaration: Secret | Parameter,
    kind: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    on_resolve: OnResolve | None = None,
) -> _T: ...
@overload
def resolve(
    config: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    on_resolve: OnResolve | None = None,
) -> _T: ...
def resolve(
    what: Any,
    kind: Any = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    on_resolve: OnResolve | None = None,
) -> Any:
    """Resolve a value outside a handler's signature: in a route, a dependency, a script.

    Args:
        what: a config model, a `Secret` or `Parameter`, or an annotation that carries one.
        kind: the type to read it as, where `what` is a declaration.
        max_age: see `inject_secrets`.
        stale_if_error: see `inject_secrets`.
        timeout: seconds that it may take.
        on_resolve: called with a `ResolveEvent`.

    Returns:
        A fresh object of the declared type.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
        SettingError: an option cannot be used.
        ResolutionError: the value was not to be had; see `lambdasecrets.errors` for the tree.
    """
    options = Options(timeout=timeout, max_age=max_age, stale_if_error=stale_if_error).checked()
    prepared = _prepared(what, None) if kind is None else _prepared(kind, what)
    return _or_raise(_resolver.shared().resolve(Call(prepared, _settings.limits(options), on_resolve))).arguments[""]


def _prepared(annotation: Any, declaration: Declaration | None) -> Prepared:
    make = _kept if _is_hashable(annotation) else _kept.__wrapped__
    return make(annotation, declaration)


@lru_cache(maxsize=256)
def _kept(annotation: Any, declaration: Declaration | None) -> Prepared:
    return Prepared(value_plan(annotation, declaration))


def _is_hashable(annotation: Any) -> bool:
    """Tell whether an annotation can be a key: what stands in `Annotated` can be anything."""
    try:
        hash(annotation)
    except TypeError:
        return False
    return True
