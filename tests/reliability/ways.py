"""The ways in which a handler asks for its values, and what came of it in each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, SecretStr

from lambdasecrets import (
    ResolutionError,
    ResolveEvent,
    Secret,
    SeveralErrors,
    aresolve,
    inject_secrets,
    invocation,
    resolve,
)
from tests.reliability.canary import CANARY, is_shown
from tests.reliability.machine import Context

Way = Literal["handler", "async handler", "resolve inside", "aresolve"]
WAYS: tuple[Way, ...] = ("handler", "async handler", "resolve inside", "aresolve")
NAMES = ("before", "middle", "after")


class Database(BaseModel, frozen=True):
    """What the secrets hold."""

    name: str
    password: SecretStr


class One(BaseModel):
    """One value."""

    middle: Annotated[Database, Secret("middle")]


class Batch(BaseModel):
    """A batch of values, the one at fault in the middle."""

    before: Annotated[Database, Secret("before")]
    middle: Annotated[Database, Secret("middle")]
    after: Annotated[Database, Secret("after")]


class PasswordRefused(Exception):  # noqa: N818 - what a database would say
    """A login failed."""


class Interrupted(BaseException):
    """A signal's handler ends what runs."""


class InterruptedRead(OSError):  # noqa: N818 - what a signal's handler would raise
    """A signal's handler ends what runs, by an error that looks like one of the network's."""


def password(name: str) -> str:
    """Give the password that a secret has."""
    return f"{CANARY}-{name}"


def is_current(database: Database) -> bool:
    """Tell whether a value is the one that its secret has."""
    return database.password.get_secret_value() == password(database.name)


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked for, and how.

    Attributes:
        way: see `WAYS`.
        model: what is wanted.
        options: of the decorator, or of `resolve`.
    """

    way: Way
    model: type[One | Batch]
    options: Mapping[str, Any]

    def ask(self, context: Context) -> tuple[str, bool]:
        """Ask in an invocation.

        Returns:
            What came of it (`value`, `stale`, `wrong value`, or the names of the errors' classes), and whether an error
            shows a value.
        """
        events: list[ResolveEvent] = []
        try:
            found = _BY_WAY[self.way](self.model, context, {**self.options, "on_resolve": events.append})
        except ResolutionError as error:
            return _name_classes(error), is_shown(error)
        except (PasswordRefused, Interrupted, InterruptedRead) as error:
            return type(error).__name__, is_shown(error)
        values = {name: getattr(found, name) for name in type(found).model_fields}
        if not all(value.name == name and is_current(value) for name, value in values.items()):
            return "wrong value", False
        return "stale" if any(value.source == "stale" for event in events for value in event.values) else "value", False


def _name_classes(error: ResolutionError) -> str:
    """Name the class; of several errors each class once."""
    errors = error.errors if isinstance(error, SeveralErrors) else (error,)
    return " and ".join(sorted({type(item).__name__ for item in errors}))


def _log_in(wanted: Any, options: Mapping[str, Any]) -> Any:
    """Use the values as a handler with `retry_on` does: a database takes the current passwords only."""
    if "retry_on" in options and not all(is_current(value) for _, value in wanted):
        raise PasswordRefused
    return wanted


def _ask_handler(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    def handler(event: object, context: object, *, wanted: Any) -> Any:
        return _log_in(wanted, options)

    handler.__annotations__ = {**handler.__annotations__, "wanted": model}
    return inject_secrets(**options)(handler)(None, context)


def _ask_async_handler(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    async def handler(event: object, context: object, *, wanted: Any) -> Any:
        return _log_in(wanted, options)

    handler.__annotations__ = {**handler.__annotations__, "wanted": model}
    return asyncio.run(inject_secrets(**options)(handler)(None, context))


def _ask_inside(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    with invocation(context):
        return resolve(model, **options)


def _ask_in_coroutine(model: Any, context: Context, options: Mapping[str, Any]) -> Any:
    return asyncio.run(aresolve(model, context=context, **options))


_BY_WAY: Mapping[Way, Callable[[Any, Context, Mapping[str, Any]], Any]] = {
    "handler": _ask_handler,
    "async handler": _ask_async_handler,
    "resolve inside": _ask_inside,
    "aresolve": _ask_in_coroutine,
}
