"""`inject_secrets` and `resolve`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Literal, Protocol, TypeVar, cast, overload

from lambdasecrets._compiled import CompiledPlan
from lambdasecrets._handler_call import HandlerCall, Injection, plan_lookup, run_in_thread
from lambdasecrets._hiding import register_boundary
from lambdasecrets._invocation import clean_error, find_invocation
from lambdasecrets._resolver import Arguments, Lookup, OnResolve, find_resolver
from lambdasecrets._settings import EXPECTED_KINDS, Options
from lambdasecrets._signature import handler_plan, publish, value_plan
from lambdasecrets.errors import DeclarationError, ResolutionError, SettingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from lambdasecrets._declarations import Parameter, Secret

PLAN = "__lambdasecrets__"
"""The attribute of a decorated handler that holds its `CompiledPlan`."""

Fallback = Literal["aws", ""]

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
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
) -> Decorator: ...
def inject_secrets(
    handler: Callable[..., object] | None = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    retry_on: Iterable[type[Exception]] | None = None,
    fallback: Fallback | None = None,
    on_resolve: OnResolve | None = None,
    **unknown: object,
) -> object:
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
        retry_on: exceptions of the handler that a rotated secret explains, also as a cause or as a member of a group.
            When it raises one, the values are fetched past every cache, and where one changed the handler runs once
            more. Default: LAMBDASECRETS_RETRY_ON (`package.module.Class`, separated by commas), else none.
        fallback: `aws` to ask AWS itself, through boto3, for what the server on this machine cannot serve.
            Default: LAMBDASECRETS_FALLBACK, else none.
        on_resolve: a function that is called with a `ResolveEvent` after every resolve.
        **unknown: nothing: what there is not is refused, with what to write.

    Returns:
        A plain function with the signature `(event, context)`.

    Raises:
        DeclarationError: at import, for a signature or a declared type that could not be served.
        SettingError: at import, for an option that cannot be used.
        ResolutionError: at an invocation; see `lambdasecrets.errors` for the tree.
    """
    _check_options(inject_secrets, unknown)
    kinds = None if retry_on is None else _list_kinds(retry_on)
    options = Options(timeout, max_age, stale_if_error, kinds, fallback).check()
    check_observer(on_resolve)

    def decorate(handler: Callable[..., object]) -> Callable[..., object]:
        return _wrap(handler, options, on_resolve)

    return decorate if handler is None else decorate(handler)


def _check_options(function: Callable[..., object], unknown: Collection[str]) -> None:
    if unknown:
        from lambdasecrets import _hints  # noqa: PLC0415 - only for mistakes

        raise DeclarationError(*_hints.describe_unknown_option(function, unknown))


def _list_kinds(retry_on: object) -> tuple[type[Exception], ...]:
    if not isinstance(retry_on, Iterable):  # one class, as `except` takes it
        raise SettingError("retry_on", EXPECTED_KINDS)
    return tuple(cast("Iterable[type[Exception]]", retry_on))


def check_observer(on_resolve: object) -> None:
    """Refuse as `on_resolve` what cannot be one.

    Raises:
        SettingError: it cannot be called, or is async.
    """
    if on_resolve is not None and (not callable(on_resolve) or inspect.iscoroutinefunction(on_resolve)):
        raise SettingError("on_resolve", "a plain function of one argument: what is async would never be awaited")


def _wrap(handler: Callable[..., object], options: Options, on_resolve: OnResolve | None) -> Callable[..., object]:
    compiled = CompiledPlan(handler_plan(handler))
    compiled.timeout = options.timeout
    injection = Injection(compiled, options, on_resolve)
    if inspect.iscoroutinefunction(handler):
        wrapper = _make_async_wrapper(handler, injection)
    else:
        wrapper = _make_wrapper(handler, injection)
    publish(wrapper, handler, compiled.plan)
    setattr(wrapper, PLAN, compiled)
    return wrapper


# The frames of the functions below stand in tracebacks. No local of theirs holds a value, and none has an attribute
# that does: what is injected goes to the handler in the expression that resolves it.


def _make_wrapper(handler: Callable[..., Any], injection: Injection) -> Callable[..., object]:
    @wraps(handler)
    def wrapper(*args: object, **overrides: object) -> object:
        try:
            call = HandlerCall(injection)
            try:
                try:
                    result = handler(*args, **overrides, **call.resolve(args, overrides))
                except BaseException as error:
                    if not call.plan_retry(error):
                        raise
                else:
                    is_awaitable = call.hold_awaitable(result)
                    return _finish_later(call, handler, args, overrides) if is_awaitable else result
                try:
                    return call.accept(handler(*args, **overrides, **call.take()))
                except BaseException as error:
                    if call.is_own_failure(error):
                        raise
                call.raise_first()
            finally:
                call.leave()
        except BaseException as error:
            clean_error(error)
            raise

    register_boundary(wrapper)
    return wrapper


def _make_async_wrapper(handler: Callable[..., Awaitable[object]], injection: Injection) -> Callable[..., object]:
    @wraps(handler)
    async def wrapper(*args: object, **overrides: object) -> object:
        try:
            call = HandlerCall(injection)
            try:
                try:
                    return await handler(*args, **overrides, **await call.aresolve(args, overrides))
                except BaseException as error:
                    if not await call.aplan_retry(error):
                        raise
                try:
                    return call.accept(await handler(*args, **overrides, **call.take()))
                except BaseException as error:
                    if call.is_own_failure(error):
                        raise
                call.raise_first()
            finally:
                call.leave()
        except BaseException as error:
            clean_error(error)
            raise

    register_boundary(wrapper)
    return wrapper


async def _finish_later(
    call: HandlerCall, handler: Callable[..., Awaitable[object]], args: tuple[object, ...], overrides: dict[str, object]
) -> object:
    """Await what a plain function returned, such as a decorator's around an `async def`, with the same second run."""
    try:
        call.enter_again()
        try:
            try:
                return await call.take_running()
            except BaseException as error:
                if not await call.aplan_retry(error):
                    raise
            try:
                return call.accept(await handler(*args, **overrides, **call.take()))
            except BaseException as error:
                if call.is_own_failure(error):
                    raise
            call.raise_first()
        finally:
            call.leave()
    except BaseException as error:
        clean_error(error)
        raise


register_boundary(_finish_later)


@overload
def resolve(
    declaration: Secret | Parameter,
    kind: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
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
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
    on_resolve: OnResolve | None = None,
) -> _T: ...
def resolve(
    what: object,
    kind: object = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
    on_resolve: OnResolve | None = None,
    **unknown: object,
) -> object:
    """Resolve a value outside a handler's signature: in a route, a dependency, a script.

    Called in a coroutine it holds up the loop: use `aresolve` there.

    Args:
        what: a config model, a `Secret` or `Parameter`, or an annotation that carries one.
        kind: the type to read it as, where `what` is a declaration.
        max_age: see `inject_secrets`.
        stale_if_error: see `inject_secrets`.
        timeout: seconds that it may take; never longer than the invocation has left.
        fallback: see `inject_secrets`.
        refresh: fetch it past every cache, as `retry_on` does: for a pool whose login is refused, or an item of a
            batch. Within a second of such a fetch its answer serves all who ask.
        context: the invocation's context, where no decorator has seen it; see also `invocation`.
        on_resolve: a function that is called with a `ResolveEvent`.
        **unknown: nothing: what there is not is refused, with what to write.

    Returns:
        A fresh object of the declared type.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
        SettingError: an option cannot be used.
        ResolutionError: the value was not to be had; see `lambdasecrets.errors` for the tree.
    """
    try:
        _check_options(resolve, unknown)
        options = Options(timeout, max_age, stale_if_error, (), fallback).check()
        return _take(_choose(refresh)(_plan(what, kind, options, context, on_resolve)))
    except BaseException as error:
        clean_error(error)
        raise


@overload
async def aresolve(
    declaration: Secret | Parameter,
    kind: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
    on_resolve: OnResolve | None = None,
) -> _T: ...
@overload
async def aresolve(
    config: type[_T],
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
    on_resolve: OnResolve | None = None,
) -> _T: ...
async def aresolve(
    what: object,
    kind: object = None,
    /,
    *,
    max_age: float | None = None,
    stale_if_error: float | None = None,
    timeout: float | None = None,
    fallback: Fallback | None = None,
    refresh: bool = False,
    context: object = None,
    on_resolve: OnResolve | None = None,
    **unknown: object,
) -> object:
    """Resolve a value in a coroutine, without holding up its loop. See `resolve`.

    Args:
        what: a config model, a `Secret` or `Parameter`, or an annotation that carries one.
        kind: the type to read it as, where `what` is a declaration.
        max_age: see `inject_secrets`.
        stale_if_error: see `inject_secrets`.
        timeout: seconds that it may take; never longer than the invocation has left.
        fallback: see `inject_secrets`.
        refresh: fetch it past every cache, as `retry_on` does: for a pool whose login is refused, or an item of a
            batch. Within a second of such a fetch its answer serves all who ask.
        context: the invocation's context, where no decorator has seen it; see also `invocation`.
        on_resolve: a function that is called with a `ResolveEvent`.
        **unknown: nothing: what there is not is refused, with what to write.

    Returns:
        A fresh object of the declared type.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
        SettingError: an option cannot be used.
        ResolutionError: the value was not to be had; see `lambdasecrets.errors` for the tree.
    """
    try:
        _check_options(aresolve, unknown)
        options = Options(timeout, max_age, stale_if_error, (), fallback).check()
        return _take(await run_in_thread(_choose(refresh), _plan(what, kind, options, context, on_resolve)))
    except BaseException as error:
        clean_error(error)
        raise


register_boundary(resolve)
register_boundary(aresolve)


def _plan(what: object, kind: object, options: Options, context: object, on_resolve: OnResolve | None) -> Lookup:
    invocation = find_invocation(context)
    check_observer(on_resolve)
    return plan_lookup(compile_value(what, kind), options, invocation, on_resolve)


def _choose(refresh: bool) -> Callable[[Lookup], Arguments | ResolutionError]:  # noqa: FBT001 - the user's keyword
    resolver = find_resolver()
    return resolver.refresh if refresh else resolver.resolve


def _take(outcome: Arguments | ResolutionError) -> object:
    if isinstance(outcome, ResolutionError):
        raise outcome
    return outcome.values[""]


def compile_value(what: object, kind: object) -> CompiledPlan:
    """Make ready what `resolve` is asked for. See there.

    Raises:
        DeclarationError: `what` carries no declaration, or the type cannot be read.
    """
    annotation, declaration = (what, None) if kind is None else (kind, what)
    make = _compile_once if _is_hashable(annotation) else _compile_once.__wrapped__
    return make(annotation, declaration)


@lru_cache(maxsize=256)
def _compile_once(annotation: object, declaration: object) -> CompiledPlan:
    return CompiledPlan(value_plan(annotation, declaration))


def _is_hashable(annotation: object) -> bool:
    """Tell whether an annotation can be a key: what stands in `Annotated` can be anything."""
    try:
        hash(annotation)
    except TypeError:
        return False
    return True
