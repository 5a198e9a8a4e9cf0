"""What a store holds and how it is asked: the contract between the emulator and where its values come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class StoreError(Exception):
    """Say why a store has no answer, in the words of AWS.

    Args:
        code: AWS's error code, such as `ResourceNotFoundException`.
        message: AWS's sentence about it. It never holds a value.
        status: the HTTP status with which AWS sends it.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One version of a secret, with the fields of Secrets Manager's `GetSecretValue`.

    Attributes:
        version_stages: the staging labels of this version, such as `AWSCURRENT`.
        created: when this version was made; aware of its time zone.
        string: the text, or None for a binary secret.
        binary: the bytes, or None for a text.
    """

    arn: str
    name: str
    version_id: str
    version_stages: tuple[str, ...]
    created: datetime
    string: str | None = field(repr=False)
    binary: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredParameter:
    """One version of a parameter, with the fields of Parameter Store's `GetParameter`.

    Attributes:
        type: `String`, `StringList` or `SecureString`.
        value: the text, a StringList joined by commas, the ciphertext of a SecureString that was not
            decrypted, or None for a reference to a binary secret.
        version: 1 and up; 0 for a reference to a secret.
        data_type: `text` and the like; None for a reference to a secret.
        last_modified: when this version was made; aware of its time zone.
        selector: `:1` or `:Dev` when a version or a label was asked for.
        source_result: what Secrets Manager answered, as JSON, for a reference to a secret.
    """

    arn: str
    name: str
    type: str
    value: str | None = field(repr=False)
    version: int
    data_type: str | None
    last_modified: datetime
    selector: str | None
    source_result: str | None = field(default=None, repr=False)


class Store(Protocol):
    """Where secrets and parameters come from: memory, a file, AWS. Called from many threads at once.

    A store may also have `describe(secret_id, *, role_arn=...)`, which gives the staging labels of each version by its
    id, as Secrets Manager's `DescribeSecret`: with it the stand-in's agent asks as the agent does.
    """

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        """Return one version of a secret: `AWSCURRENT` unless told otherwise.

        Args:
            secret_id: a name, an ARN, or an ARN without its random suffix.
            version_id: the version with this id.
            version_stage: the version that carries this staging label.
            role_arn: the role that asks; a bare name is then one of its account. A store that knows no roles need
                not have this argument: it is given only where a request has a role.

        Raises:
            StoreError: it cannot be had; the code says why.
        """
        ...

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        """Return one version of a parameter: the latest unless told otherwise.

        Args:
            name: a name or an ARN, perhaps with a selector: `/orders/size:3`, `/orders/size:Prod`,
                `/aws/reference/secretsmanager/orders:AWSPREVIOUS`.
            version: the version with this number.
            label: the version that carries this label; of a reference, the secret's stage or the id of its version.
            decrypt: give a SecureString's text rather than its ciphertext.

        Raises:
            StoreError: it cannot be had; the code says why.
        """
        ...
