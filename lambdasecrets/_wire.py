"""What goes over the wire: constants and URL builders. Source: AWS's documentation of the extension and the agent."""

from __future__ import annotations

from urllib.parse import quote

HOST = "127.0.0.1"
"""Where the server listens. An address, not `localhost`: no resolver can send a token to another machine."""

DEFAULT_PORT = 2773
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - a header's name
SECRETS_PATH = "/secretsmanager/get"
PARAMETERS_PATH = "/systemsmanager/parameters/get"

NOT_READY = b"not ready to serve traffic"
"""How the body of the 400 begins that the extension gives before the first invocation has reached it."""

REFUSED_BY_AWS = b"an unexpected error occurred while executing request"
"""The body of the 400 that stands for every error on the AWS side."""

MAX_BODY_BYTES = 1024 * 1024
"""More than any answer can have: a value of 64 KiB, each byte escaped to six, and the envelope."""

_PRINTABLE = bytes(range(ord(" "), ord("~") + 1))


def secret_path(
    name: str, *, version_id: str | None = None, version_stage: str | None = None, role_arn: str | None = None
) -> str:
    """Build the path and query that ask for a secret.

    Args:
        name: name or ARN.
        version_id: the version's UUID.
        version_stage: a staging label, such as AWSPREVIOUS.
        role_arn: the role to read it with; the agent knows roles, the extension does not.
    """
    query = _query(secretId=name, versionStage=version_stage, versionId=version_id, roleArn=role_arn)
    return f"{SECRETS_PATH}?{query}"


def parameter_path(name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = True) -> str:
    """Build the path and query that ask for a parameter.

    Args:
        name: name or ARN.
        version: the version's number.
        label: a label of a version.
        decrypt: ask for the clear text of a SecureString.
    """
    number = None if version is None else str(version)
    decryption = "true" if decrypt else None
    return f"{PARAMETERS_PATH}?{_query(name=name, version=number, label=label, withDecryption=decryption)}"


def add_refresh(path: str) -> str:
    """Ask the agent to pass its cache."""
    return f"{path}&refreshNow=true"


def is_header_value(text: str) -> bool:
    """Tell whether a token can be sent: http.client quotes one that cannot in its error."""
    # Not str.isprintable, which looks each character up: a session token has a thousand, at every invocation.
    return text.isascii() and not text.encode().translate(None, _PRINTABLE)


def _query(**members: str | None) -> str:
    # Nothing is safe: the server reads a raw "+" as a space, and "#", "&" and "%" end or change the query.
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in members.items() if value is not None)
