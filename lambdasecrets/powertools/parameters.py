"""Powertools' parameters, asked of the extension: its functions and its providers, with the import changed.

    from lambdasecrets.powertools import parameters

What the extension cannot do is refused. Importing this imports Powertools' own, and boto3, which they need.
"""

from __future__ import annotations

import os
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from lambdasecrets import _resolver
from lambdasecrets._compiled import CompiledPlan
from lambdasecrets._declarations import Declaration, Parameter, Secret
from lambdasecrets._decorator import check_observer
from lambdasecrets._handler_call import plan_lookup
from lambdasecrets._hiding import register_boundary
from lambdasecrets._invocation import clean_error, find_invocation
from lambdasecrets._parsing import Unparsed
from lambdasecrets._resolver import Arguments, find_resolver
from lambdasecrets._settings import Options
from lambdasecrets._signature import Plan, Slot
from lambdasecrets.errors import DeclarationError, LambdaSecretsError, ResolutionError

try:
    from aws_lambda_powertools.shared.constants import PARAMETERS_MAX_AGE_ENV, PARAMETERS_SSM_DECRYPT_ENV
    from aws_lambda_powertools.shared.functions import resolve_max_age, resolve_truthy_env_var_choice
    from aws_lambda_powertools.utilities.parameters import exceptions
    from aws_lambda_powertools.utilities.parameters.base import BaseProvider, transform_value
    from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_MAX_AGE_SECS
    from aws_lambda_powertools.utilities.parameters.exceptions import (
        GetParameterError,
        GetSecretError,
        SetParameterError,
        SetSecretError,
        TransformParameterError,
    )
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        f"Cannot use Powertools' providers: they import {_missing.name}, which is not installed. "
        "Install it: pip install 'lambdasecrets[aws]'.",
        name=_missing.name,
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lambdasecrets._decorator import Fallback
    from lambdasecrets._resolver import OnResolve

__all__ = [
    "ExtensionSSMProvider",
    "ExtensionSecretsProvider",
    "SSMProvider",
    "SecretsProvider",
    "clear_caches",
    "exceptions",
    "get_parameter",
    "get_parameters_by_name",
    "get_secret",
    "get_secrets_by_name",
]

Transform = Literal["json", "binary", "auto"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_ERRORS = "_errors"
"""The key of the names that failed, where a batch goes on without them."""
_OWN = "Use Powertools' own provider for it."
_REMEDY = "Leave it out, or use Powertools' own provider."


def _raising(kind: type[Exception]) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a method raise an error of Powertools' in the place of this library's, without frames that hold values."""

    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(method)
        def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                try:
                    return method(*args, **kwargs)
                except LambdaSecretsError as error:
                    raise kind(str(error)) from error
            except BaseException as error:
                clean_error(error)
                raise

        register_boundary(wrapper)
        return wrapper

    return decorate


class _ExtensionProvider(BaseProvider):
    """What both providers share. Values are remembered where all of the library's are, and not in `store`."""

    def __init__(
        self,
        config: None = None,
        boto_config: None = None,
        boto3_session: None = None,
        boto3_client: None = None,
        *,
        timeout: float | None = None,
        stale_if_error: float | None = None,
        fallback: Fallback | None = None,
        on_resolve: OnResolve | None = None,
    ) -> None:
        clients = {
            "config": config,
            "boto_config": boto_config,
            "boto3_session": boto3_session,
            "boto3_client": boto3_client,
        }
        for name, given in clients.items():
            if given is not None:
                raise DeclarationError(
                    f"{type(self).__name__}({name}=...)",
                    "it is the extension that asks AWS, as the function's role and in its Region",
                    _REMEDY,
                )
        super().__init__()  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        self._options = Options(timeout, None, stale_if_error, (), fallback).check()
        check_observer(on_resolve)
        self._on_resolve = on_resolve

    def clear_cache(self) -> None:
        """Forget every value that this process remembers, those of other providers and of handlers among them."""
        clear_caches()

    def _resolve(
        self, declarations: Mapping[str, Declaration], max_age: int | None, *, refresh: bool = False
    ) -> Arguments | ResolutionError:
        """Ask for all values together."""
        seconds = max(resolve_max_age(os.getenv(PARAMETERS_MAX_AGE_ENV, DEFAULT_MAX_AGE_SECS), max_age), 0)
        compiled = _compile(tuple(declarations.items()))
        lookup = plan_lookup(compiled, self._options._replace(max_age=seconds), find_invocation(), self._on_resolve)
        resolver = find_resolver()
        return resolver.refresh(lookup) if refresh else resolver.resolve(lookup)

    def _fetch(
        self, declarations: Mapping[str, Declaration], max_age: int | None, *, refresh: bool = False
    ) -> dict[str, str | bytes]:
        """Give all values, or raise why not."""
        outcome = self._resolve(declarations, max_age, refresh=refresh)
        if isinstance(outcome, ResolutionError):
            raise outcome
        return outcome.values

    def _find(self, declarations: Mapping[str, Declaration], max_age: int | None) -> dict[str, str | bytes]:
        """Give the values that are to be had."""
        if not declarations:
            return {}
        outcome = self._resolve(declarations, max_age)
        if isinstance(outcome, Arguments):
            return outcome.values
        failed = outcome.subject.parameters or declarations
        return self._find({name: one for name, one in declarations.items() if name not in failed}, max_age)


class ExtensionSecretsProvider(_ExtensionProvider):
    """In the place of Powertools' `SecretsProvider`: secrets of the function's account and Region, by the extension.

    Args:
        config: refused, as the three that follow: it is the extension that asks AWS.
        boto_config: refused.
        boto3_session: refused.
        boto3_client: refused.
        timeout: seconds that a call may take; never longer than the invocation has left.
        stale_if_error: see `lambdasecrets.inject_secrets`.
        fallback: see `lambdasecrets.inject_secrets`.
        on_resolve: a function that is called with a `ResolveEvent`.

    Raises:
        DeclarationError: an argument that is refused.
        SettingError: an option that cannot be used.
    """

    @overload
    def get(
        self,
        name: str,
        max_age: int | None = None,
        transform: None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> str | bytes: ...
    @overload
    def get(
        self,
        name: str,
        max_age: int | None = None,
        transform: Transform | None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> Any: ...
    @_raising(GetParameterError)
    def get(
        self,
        name: str,
        max_age: int | None = None,
        transform: Transform | None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> object:
        """Give a secret.

        Args:
            name: its name or ARN.
            max_age: seconds for which it is used again without asking; default POWERTOOLS_PARAMETERS_MAX_AGE, else 300.
            transform: `json`, `binary` for base64, or `auto` for what the name ends in.
            force_fetch: ask past every cache, as `refresh=True` of `lambdasecrets.resolve` does.
            **sdk_options: `VersionId` and `VersionStage`; any other is refused.

        Returns:
            Its text, or the bytes of a binary one; or what the transform makes of it, a fresh object each time.

        Raises:
            GetParameterError: it is not to be had; `__cause__` is this library's error.
            TransformParameterError: the transform fails on it. Nothing of the error holds the secret.
        """
        values = self._fetch({name: _make_secret(name, **sdk_options)}, max_age, refresh=force_fetch)
        return _transform(name, values[name], transform)

    def _get(self, name: str, **sdk_options: Any) -> Any:
        return self.get(name, 0, **sdk_options)

    # Powertools' own differs from its base in the same way.
    @_raising(GetSecretError)
    def get_multiple(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        names: Sequence[str],
        max_age: int | None = None,
        transform: Transform | None = None,
        raise_on_transform_error: bool = False,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> dict[str, Any]:
        """Give several secrets, asked for together.

        Args:
            names: their names or ARNs.
            max_age: see `get`.
            transform: see `get`.
            raise_on_transform_error: whether a secret that the transform fails on is an error; else it is None.
            force_fetch: see `get`.
            **sdk_options: refused, `Filters` among them.

        Returns:
            The secrets, by what they were asked for by.

        Raises:
            GetSecretError: one of them is not to be had. Powertools' own leaves it out without a word.
            TransformParameterError: see `raise_on_transform_error`.
        """
        if isinstance(names, str) or not names:
            raise GetSecretError("Cannot get secrets: `names` takes a list of at least one name.")
        if sdk_options:
            raise GetSecretError(f"Cannot pass {', '.join(sdk_options)}: the extension reads by name only. {_OWN}")
        declarations = {name: _make_secret(name) for name in names}
        return _transform_all(
            self._fetch(declarations, max_age, refresh=force_fetch),
            dict.fromkeys(names, transform),
            raise_on_error=raise_on_transform_error,
        )

    def _get_multiple(self, path: Sequence[str], **sdk_options: Any) -> dict[str, Any]:
        return self.get_multiple(path, 0, **sdk_options)

    def set(self, name: str, value: object, **options: object) -> NoReturn:
        """Refuse: the extension only reads.

        Raises:
            SetSecretError: always.
        """
        raise SetSecretError(f"Cannot set {name!r}: the extension only reads. {_OWN}")


class ExtensionSSMProvider(_ExtensionProvider):
    """In the place of Powertools' `SSMProvider`: parameters of the function's account and Region, by the extension.

    It takes what `ExtensionSecretsProvider` takes.
    """

    @overload  # type: ignore[override]  # Powertools' own differs from its base in the same way
    def get(
        self,
        name: str,
        max_age: int | None = None,
        transform: None = None,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> str: ...
    @overload
    def get(
        self,
        name: str,
        max_age: int | None = None,
        transform: Transform | None = None,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> Any: ...
    @_raising(GetParameterError)
    def get(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str,
        max_age: int | None = None,
        transform: Transform | None = None,
        decrypt: bool | None = None,
        force_fetch: bool = False,
        **sdk_options: object,
    ) -> object:
        """Give a parameter.

        Args:
            name: its name or ARN, with a version or a label where it is to have one: `/orders/size:3`.
            max_age: seconds for which it is used again without asking; default POWERTOOLS_PARAMETERS_MAX_AGE, else 300.
            transform: `json`, `binary` for base64, or `auto` for what the name ends in.
            decrypt: whether to decrypt a SecureString; default POWERTOOLS_PARAMETERS_SSM_DECRYPT, else no, as with
                Powertools' own: it comes as ciphertext. A `lambdasecrets.Parameter` is decrypted by default.
            force_fetch: ask past every cache, as `refresh=True` of `lambdasecrets.resolve` does.
            **sdk_options: refused.

        Returns:
            Its text, or what the transform makes of it, a fresh object each time.

        Raises:
            GetParameterError: it is not to be had; `__cause__` is this library's error.
            TransformParameterError: the transform fails on it. Nothing of the error holds the value.
        """
        declaration = _make_parameter(name, decrypt=decrypt, **sdk_options)
        values = self._fetch({name: declaration}, max_age, refresh=force_fetch)
        return _transform(name, values[name], transform)

    def _get(self, name: str, **sdk_options: Any) -> Any:
        return self.get(name, 0, **sdk_options)

    @_raising(GetParameterError)
    def get_parameters_by_name(
        self,
        parameters: Mapping[str, Mapping[str, object] | None],
        transform: Transform | None = None,
        decrypt: bool | None = None,
        max_age: int | None = None,
        raise_on_error: bool = True,
    ) -> dict[str, Any]:
        """Give several parameters; those of the same `max_age` are asked for together.

        Args:
            parameters: for each name its own `transform`, `decrypt` and `max_age`, where they differ.
            transform: see `get`.
            decrypt: see `get`.
            max_age: see `get`.
            raise_on_error: whether a parameter that is not to be had is an error. If not, its name is in the list under
                `_errors`, and what a transform fails on is None.

        Returns:
            The values, by name.

        Raises:
            GetParameterError: see `raise_on_error`. Without it: a parameter is named `_errors`.
            TransformParameterError: see `raise_on_error`.
        """
        if not raise_on_error and _ERRORS in parameters:
            raise GetParameterError(
                f"Cannot get a parameter named {_ERRORS!r} with raise_on_error=False: the key is taken."
            )
        wanted: dict[str, dict[str, Any]] = {
            name: {"decrypt": decrypt, **(own or {})} for name, own in parameters.items()
        }
        transforms: dict[str, Transform | None] = {
            name: own.pop("transform", None) or transform for name, own in wanted.items()
        }
        ages = {name: own.pop("max_age", max_age) for name, own in wanted.items()}
        declarations = {name: _make_parameter(name, **own) for name, own in wanted.items()}
        found: dict[str, str | bytes] = {}
        for age in dict.fromkeys(ages.values()):
            group = {name: one for name, one in declarations.items() if ages[name] == age}
            found |= self._fetch(group, age) if raise_on_error else self._find(group, age)
        values = _transform_all(found, transforms, raise_on_error=raise_on_error)
        return values if raise_on_error else {_ERRORS: [name for name in parameters if name not in found], **values}

    def get_multiple(self, path: str, *options: object, **sdk_options: object) -> NoReturn:
        """Refuse: the extension reads by name only.

        Raises:
            GetParameterError: always.
        """
        raise GetParameterError(
            f"Cannot get the parameters below {path!r}: the extension reads by name only. "
            f"Name them with get_parameters_by_name. {_OWN}"
        )

    def _get_multiple(self, path: str, **sdk_options: object) -> NoReturn:
        self.get_multiple(path, **sdk_options)

    def set(self, name: str, value: object, **options: object) -> NoReturn:
        """Refuse: the extension only reads.

        Raises:
            SetParameterError: always.
        """
        raise SetParameterError(f"Cannot set {name!r}: the extension only reads. {_OWN}")


# --- Declarations and values ------------------------------------------------------------------------------------------


def _make_secret(
    name: str,
    *,
    VersionId: Any = None,
    VersionStage: Any = None,
    **unknown: object,
) -> Declaration:
    # As they were given: a secret refuses what is no text.
    _refuse(name, unknown, "the extension takes VersionId and VersionStage")
    return Secret(name, version_id=VersionId, version_stage=VersionStage, literal=_has_braces(name))


def _make_parameter(name: str, *, decrypt: bool | None, **unknown: object) -> Declaration:
    _refuse(name, unknown, "the extension takes a version or a label in the name only, as in `/orders/size:3`")
    is_wanted = resolve_truthy_env_var_choice(os.getenv(PARAMETERS_SSM_DECRYPT_ENV, "false"), decrypt)
    return Parameter(name, decrypt=is_wanted, literal=_has_braces(name))


def _has_braces(name: object) -> bool:
    """Tell whether a name has what would be a placeholder of this library's: Powertools knows none.

    Not `literal` for all, which every error would show.
    """
    return not {"{", "}"}.isdisjoint(str(name))


def _refuse(name: str, unknown: Mapping[str, object], why: str) -> None:
    if unknown:
        raise DeclarationError(f"{', '.join(unknown)} for {name!r}", why, _REMEDY)


@lru_cache(maxsize=256)
def _compile(declarations: tuple[tuple[str, Declaration], ...]) -> CompiledPlan:
    is_one = len(declarations) == 1  # then an error need not name it twice
    slots = {name: Slot(() if is_one else (name,), one, Unparsed, optional=False) for name, one in declarations}
    return CompiledPlan(Plan("resolve()", {**slots}))


def _transform(name: str, value: str | bytes, transform: Transform | None) -> object:
    if not transform:
        return value
    try:
        return transform_value(value, transform, raise_on_transform_error=True, key=name)
    except Exception as error:  # noqa: BLE001 - it may be of any kind, and most hold the value
        kind = type(error.__cause__ or error).__name__
    # Not in the `except`: an error of JSON, or of an encoding, holds all that it could not read.
    raise TransformParameterError(
        f"Cannot transform the value of {name!r} by {transform!r} ({kind}): `json` takes JSON, `binary` takes base64, "
        "and `auto` goes by what the name ends in. Correct the value or the transform."
    )


def _transform_all(
    values: Mapping[str, str | bytes], transforms: Mapping[str, Transform | None], *, raise_on_error: bool
) -> dict[str, object]:
    transformed: dict[str, object] = {}
    for name, value in values.items():
        try:
            transformed[name] = _transform(name, value, transforms[name])
        except TransformParameterError:
            if raise_on_error:
                raise
            transformed[name] = None
    return transformed


# --- Powertools' functions --------------------------------------------------------------------------------------------

SecretsProvider = ExtensionSecretsProvider
SSMProvider = ExtensionSSMProvider

_secrets = ExtensionSecretsProvider()
_parameters = ExtensionSSMProvider()


@overload
def get_secret(
    name: str, transform: None = None, force_fetch: bool = False, max_age: int | None = None, **sdk_options: object
) -> str: ...
@overload
def get_secret(
    name: str,
    transform: Transform | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: object,
) -> Any: ...
def get_secret(
    name: str,
    transform: Transform | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: object,
) -> object:
    """Give a secret. See `ExtensionSecretsProvider.get`; its type is Powertools' own, though a binary one is bytes."""
    return _secrets.get(name, max_age, transform, force_fetch, **sdk_options)


def get_secrets_by_name(
    names: Sequence[str],
    transform: Transform | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: Any,
) -> dict[str, Any]:
    """Give several secrets, asked for together. See `ExtensionSecretsProvider.get_multiple`."""
    return _secrets.get_multiple(names, max_age, transform, force_fetch=force_fetch, **sdk_options)


@overload
def get_parameter(
    name: str,
    transform: None = None,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: object,
) -> str: ...
@overload
def get_parameter(
    name: str,
    transform: Transform | None = None,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: object,
) -> Any: ...
def get_parameter(
    name: str,
    transform: Transform | None = None,
    decrypt: bool | None = None,
    force_fetch: bool = False,
    max_age: int | None = None,
    **sdk_options: object,
) -> object:
    """Give a parameter. See `ExtensionSSMProvider.get`."""
    return _parameters.get(name, max_age, transform, decrypt, force_fetch, **sdk_options)


def get_parameters_by_name(
    parameters: Mapping[str, Mapping[str, object] | None],
    transform: Transform | None = None,
    decrypt: bool | None = None,
    max_age: int | None = None,
    raise_on_error: bool = True,
) -> dict[str, Any]:
    """Give several parameters. See `ExtensionSSMProvider.get_parameters_by_name`."""
    return _parameters.get_parameters_by_name(parameters, transform, decrypt, max_age, raise_on_error)


def clear_caches() -> None:
    """Forget every value that this process remembers, those of handlers among them."""
    _resolver.forget()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> NoReturn:
        """Say where the rest is."""
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}: for what the extension cannot do, use "
            "aws_lambda_powertools.utilities.parameters",
            name=name,
        )
