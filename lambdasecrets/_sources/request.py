"""One thing to ask for, and what comes back: a raw value or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets.errors import ResolutionError

if TYPE_CHECKING:
    from lambdasecrets._sources.identity import Identity
    from lambdasecrets.errors import Subject


class Request:
    """One thing to ask for, however many declarations want it.

    Args:
        path: the path and query, by which it is known everywhere: name, version, stage and role are all in it.
        declaration: one of those that want it, its placeholders filled in.
        subject: all that want it, for the errors.
        is_optional: whether every one that wants it has a default, so that its absence is no failure to retry.

    Attributes:
        is_secret: whether Secrets Manager has it, and not Parameter Store.
        role_arn: the role to read it with.
        is_undecrypted: whether the ciphertext of a SecureString is asked for.
    """

    def __init__(
        self, path: str, declaration: Secret | Parameter, subject: Subject, *, is_optional: bool = False
    ) -> None:
        self.path, self.declaration, self.subject, self.is_optional = path, declaration, subject, is_optional
        self.is_secret = isinstance(declaration, Secret)
        self.role_arn = declaration.role_arn if isinstance(declaration, Secret) else None
        self.is_undecrypted = isinstance(declaration, Parameter) and not declaration.decrypt


class RawValue(NamedTuple):
    """A value as AWS holds it. Kept between invocations in the place of a parsed object that a handler could change.

    Attributes:
        text: the text; None where it is binary, or has no value.
        binary: the bytes of a SecretBinary.
        version: the secret's VersionId, or the parameter's Version.
        is_list: whether it is a StringList.
        from_agent: whether the Secrets Manager Agent gave it.
        identity: what the answer says of itself; None: nothing.
    """

    text: str | None
    binary: bytes | None
    version: str
    is_list: bool = False
    from_agent: bool = False
    identity: Identity | None = None

    def __repr__(self) -> str:
        """Show which version it is, not what it holds."""
        return f"RawValue(version={self.version!r})"


Fetched = RawValue | ResolutionError
