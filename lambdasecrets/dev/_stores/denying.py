"""A store behind a policy that denies some names: for stores that know no `deny` themselves, such as AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdasecrets.dev._stores import arns
from lambdasecrets.dev._stores.contract import Store, StoredParameter, StoredSecret, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NOWHERE = arns.Home("", "")
_CALLER = f"arn:aws:sts::{arns.OWN_ACCOUNT}:assumed-role/lambdasecrets/function"


class DenyingStore:
    """Refuse some names, and ask another store for all others.

    Args:
        store: where the values come from.
        names: names and ARNs. Whoever denies a name denies every ARN of it: this store does not know its own account.
    """

    def __init__(self, store: Store, names: Iterable[str]) -> None:
        self._store = store
        self._names = frozenset(names)

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        self._check(secret_id, "secretsmanager:GetSecretValue")
        role = {} if role_arn is None else {"role_arn": role_arn}
        return self._store.secret(secret_id, version_id=version_id, version_stage=version_stage, **role)

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        self._check(arns.split_selector(name)[0], "ssm:GetParameter")
        return self._store.parameter(name, version=version, label=label, decrypt=decrypt)

    def _check(self, asked: str, action: str) -> None:
        if not self._names.isdisjoint((asked, *_names_in(asked))):
            raise StoreError(
                "AccessDeniedException",
                f"User: {_CALLER} is not authorized to perform: {action} on resource: {asked}"
                f" because no identity-based policy allows the {action} action",
            )


def _names_in(arn: str) -> Iterator[str]:
    """Give the names that an ARN may have: a secret's with and without what looks like its suffix."""
    if not arns.is_arn(arn):
        return
    secret, parameter = arns.secret_identity(arn, _NOWHERE), arns.parameter_identity(arn, _NOWHERE)
    if secret is not None:
        yield from (secret.name, arns.without_suffix(secret.name))
    if parameter is not None:
        yield from (parameter.name, f"/{parameter.name}")
