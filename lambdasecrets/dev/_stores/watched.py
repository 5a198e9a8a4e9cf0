"""A secrets file that changes while it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdasecrets.dev._stores.secrets_file import SecretsFile, load_secrets_file

if TYPE_CHECKING:
    from pathlib import Path

    from lambdasecrets.dev._stores.contract import StoredParameter, StoredSecret


class WatchedFile:
    """Serve what a secrets file says, and what it says anew whenever it is asked to look.

    Args:
        path: the file.

    Attributes:
        content: what the file said when it was last right.

    Raises:
        SecretsFileError: the file cannot be used to begin with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look()
        self.content: SecretsFile = load_secrets_file(path)

    @property
    def region(self) -> str:
        """The Region in which bare names are."""
        return self.content.store.region

    @property
    def account(self) -> str:
        """The account in which bare names are."""
        return self.content.store.account

    def reload(self) -> bool:
        """Read the file where it has changed, and tell whether it has.

        Raises:
            SecretsFileError: it has changed and cannot be used; what it said before is served further on.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        self.content = load_secrets_file(self._path)
        return True

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        return self.content.store.secret(
            secret_id, version_id=version_id, version_stage=version_stage, role_arn=role_arn
        )

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        return self.content.store.parameter(name, version=version, label=label, decrypt=decrypt)

    def _look(self) -> object:
        """Return what is another whenever the file is another, in place or moved to its place; None without one."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
