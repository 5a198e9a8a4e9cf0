"""A handler whose database does not know the password before last."""

from typing import Annotated, Any

from lambdasecrets import Secret, inject_secrets


class WrongPasswordError(Exception):
    """The database refuses the password."""


@inject_secrets(retry_on=[WrongPasswordError])
def retrying(event: str, context: Any, *, password: Annotated[str, Secret("rotating")]) -> str:
    """Use the password; the event is the one that the database knows."""
    if password != event:
        raise WrongPasswordError
    return f"connected with {password}"


@inject_secrets
def plain(event: Any, context: Any, *, password: Annotated[str, Secret("rotating")]) -> str:
    """Show the password; it is made up."""
    return password
