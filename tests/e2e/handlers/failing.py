"""Handlers that cannot get what they declare."""

from typing import Annotated, Any

from pydantic import BaseModel

from lambdasecrets import Parameter, Secret, inject_secrets


class Database(BaseModel):
    host: str
    port: int


@inject_secrets
def missing_secret(event: Any, context: Any, *, key: Annotated[str, Secret("failing/missing")]) -> None:
    """Ask for a secret that is not there."""


@inject_secrets
def missing_parameter(event: Any, context: Any, *, size: Annotated[int, Parameter("/failing/missing")]) -> None:
    """Ask for a parameter that is not there."""


@inject_secrets
def absent(event: Any, context: Any, *, size: Annotated[int, Parameter("/failing/missing")] = 50) -> int:
    """Ask for a parameter that is not there, and that has a default."""
    return size


@inject_secrets
def present(event: Any, context: Any, *, key: Annotated[str, Secret("failing/present")]) -> str:
    """Ask for a secret that is there."""
    return key


@inject_secrets
def wrong_shape(event: Any, context: Any, *, database: Annotated[Database, Secret("failing/shape")]) -> None:
    """Ask for a secret that is not a database's."""


def warm_or_present(event: str, context: Any) -> str:
    """Answer at once while the environment is made, then ask for the secret."""
    return "warm" if event == "warm" else present(event, context)
