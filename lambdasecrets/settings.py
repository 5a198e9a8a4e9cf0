"""A source for pydantic-settings: the fields of a settings class that carry a declaration come through the extension.

Everything here needs the extra `settings`: `pip install 'lambdasecrets[settings]'`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from lambdasecrets._compiled import CompiledPlan
from lambdasecrets._hiding import register_boundary
from lambdasecrets._invocation import clean_error, find_invocation
from lambdasecrets._resolver import Lookup, find_resolver
from lambdasecrets._settings import Options, read_limits
from lambdasecrets._signature import Config, Plan, key_of_field, value_plan
from lambdasecrets.errors import ResolutionError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from lambdasecrets._decorator import Fallback
    from lambdasecrets._resolver import OnResolve

__all__ = ["ExtensionSettingsSource"]


class ExtensionSettingsSource(PydanticBaseSettingsSource):
    """Gives the fields of a settings class that carry a declaration; the others are left to other sources.

    Its place in what `settings_customise_sources` returns is its precedence, as with every source of pydantic-settings.
    What a source before it has given is not asked for. An optional value that does not exist is left to the sources
    behind it, and to the default.

    Args:
        settings_cls: the settings class.
        max_age: see `lambdasecrets.inject_secrets`.
        stale_if_error: see `lambdasecrets.inject_secrets`.
        timeout: seconds that resolving may take; never longer than the invocation has left.
        fallback: see `lambdasecrets.inject_secrets`.
        on_resolve: a function that is called with a `ResolveEvent`.

    Raises:
        DeclarationError: no field carries a declaration, or one cannot be served.
        SettingError: an option cannot be used.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        *,
        max_age: float | None = None,
        stale_if_error: float | None = None,
        timeout: float | None = None,
        fallback: Fallback | None = None,
        on_resolve: OnResolve | None = None,
    ) -> None:
        super().__init__(settings_cls)
        self._options = Options(timeout, max_age, stale_if_error, (), fallback).check()
        self._on_resolve = on_resolve
        self._compiled = _compile(settings_cls)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[None, str, bool]:  # noqa: ARG002 - its shape
        """Give nothing for a field alone: all are asked for together, when the source is called."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Resolve what no source before this one has given.

        Returns:
            The values, by the keys that the settings class takes them by.

        Raises:
            ResolutionError: a value was not to be had; see `lambdasecrets.errors` for the tree.
        """
        try:
            return self._resolve(self._list_given())
        except BaseException as error:
            clean_error(error)
            raise

    def _list_given(self) -> frozenset[str]:
        given = self.current_state.keys()
        return frozenset(name for name in self._compiled.plan.nodes if {name, self._key(name)} & given)

    def _resolve(self, given: frozenset[str]) -> dict[str, object]:
        if len(given) == len(self._compiled.plan.nodes):
            return {}
        invocation, limits = find_invocation(), read_limits(self._options)
        lookup = Lookup(
            self._compiled,
            limits,
            invocation.make_deadline(limits.timeout),
            on_resolve=self._on_resolve,
            skip=given,
            tenant_id=invocation.tenant_id,
        )
        outcome = find_resolver().resolve(lookup)
        if isinstance(outcome, ResolutionError):
            raise outcome
        return {self._key(name): value for name, value in outcome.values.items()}

    def _key(self, name: str) -> str:
        return key_of_field(self.settings_cls, name)


register_boundary(ExtensionSettingsSource.__call__)


@lru_cache(maxsize=64)
def _compile(settings_cls: type[BaseSettings]) -> CompiledPlan:
    whole = value_plan(settings_cls).nodes[""]
    owner = f"{settings_cls.__module__}.{settings_cls.__qualname__}"
    # Without the class around its fields: it is what calls.
    return CompiledPlan(Plan(owner, whole.fields if isinstance(whole, Config) else {}))
