"""Handlers whose annotations are text until somebody evaluates them."""
# ruff: noqa: D103 - their names say what they are

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional

from pydantic import BaseModel

from lambdasecrets import Parameter, Secret

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from somewhere import Event, Extra, Unseen  # type: ignore[import-not-found]

Key = Annotated[str, Secret("key", key="k")]


class Database(BaseModel):
    host: str


class Config(BaseModel):
    database: Annotated[Database, Secret("database")]
    later: Annotated[Optional[Later], Secret("later")] = None  # noqa: UP045 - both ways of writing it must work
    size: Annotated[int, Parameter("/size")] = 50


class Later(BaseModel):
    name: str


class Incomplete(BaseModel):
    value: Annotated[Unseen, Secret("unseen")]


class HalfComplete(BaseModel):
    key: Key
    value: Annotated[Unseen, Secret("unseen")]


@dataclass
class Record:
    value: Unseen


def beside_a_record(event: Any, context: Any, *, key: Key, record: Record | None = None) -> None: ...


def ordinary(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    database: Annotated[Database, Secret("database")],
    key: Key,
    sizes: Annotated[list[int] | None, Parameter("/sizes")] = None,
) -> None: ...


def type_checking_event(event: Event, context: LambdaContext, *, key: Key) -> None: ...


def type_checking_other(event: Any, context: Any, *, key: Key, extra: Extra = None) -> None: ...


def type_checking_inside(event: Any, context: Any, *, key: Annotated[Unseen, Secret("key")]) -> None: ...


def bad_declaration(event: Any, context: Any, *, key: Annotated[str, Secret("")]) -> None: ...


def no_type(event: Any, context: Any, *, key: "3 +") -> None: ...  # type: ignore[valid-type]  # noqa: F722


def config(event: Any, context: Any, *, config: Config) -> None: ...


def incomplete(event: Any, context: Any, *, config: Incomplete) -> None: ...


def half_complete(event: Any, context: Any, *, config: HalfComplete) -> None: ...


def with_local_class() -> Callable[..., Any]:
    class Local(BaseModel):
        name: str

    def handler(event: Any, context: Any, *, local: Annotated[Local, Secret("local")]) -> None: ...

    return handler


def with_closed_over_class() -> tuple[Callable[..., Any], type]:
    class Local(BaseModel):
        name: str

    def handler(event: Any, context: Any, *, local: Annotated[Local, Secret("local")]) -> type:
        return Local

    return handler, Local


def with_empty_cell() -> Callable[..., Any]:
    def handler(event: Any, context: Any, *, key: Key) -> Any:
        return unset  # pragma: no cover - that it could is enough

    if TYPE_CHECKING:
        unset = None
    return handler


class App:
    Alias = Annotated[str, Secret("alias")]

    def method(self, event: Any, context: LambdaContext, *, key: Key) -> None: ...

    def with_class_name(self, event: Any, context: Any, *, alias: Alias) -> None: ...
