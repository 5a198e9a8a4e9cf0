from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import annotated_types
import pydantic
import pytest
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    Field,
    ImportString,
    SecretBytes,
    SecretStr,
    StringConstraints,
    TypeAdapter,
)
from typing_extensions import TypeAliasType

from lambdasecrets._constraints import find_misplaced_constraint
from tests.labels import label

STRIPPED = StringConstraints(strip_whitespace=True)
Tree = TypeAliasType("Tree", "dict[str, Tree]")


class Database(BaseModel):
    password: Annotated[SecretStr, STRIPPED]


class Ordered(BaseModel):
    x: int = 0


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (Annotated[SecretStr, STRIPPED], "strip_whitespace"),
        (Annotated[SecretStr, StringConstraints(to_lower=True)], "to_lower"),
        (Annotated[SecretStr, Field(pattern="a")], "pattern"),
        (Annotated[SecretStr, StringConstraints(min_length=3, pattern="a")], "pattern"),
        (Annotated[SecretStr, Field(gt=3)], "gt"),
        (Annotated[SecretStr | None, STRIPPED], "strip_whitespace"),
        (Annotated[SecretBytes, Field(multiple_of=3)], "multiple_of"),
        (Annotated[pydantic.Secret[int], Field(gt=3)], "gt"),
        (Annotated[AnyUrl, Field(pattern="a")], "pattern"),
        (Annotated[int, Field(max_length=3)], "max_length"),
        (Annotated[int, STRIPPED], "strip_whitespace"),
        (Annotated[float, Field(max_digits=3)], "max_digits"),
        (Annotated[date, Field(min_length=3)], "min_length"),
        (Annotated[list[int], Field(gt=3)], "gt"),
        (Annotated[str, Field(allow_inf_nan=False)], "TypeError"),
        (Annotated[SecretStr | bytes, Field(gt=3)], "gt"),
        (Database, "strip_whitespace"),
        (dict[str, list[Database]], "strip_whitespace"),
    ],
    ids=label,
)
def test_misplaced(declared: Any, expected: str) -> None:
    """A constraint that fails for every value of its type is found, wherever in a type it is."""
    assert expected == find_misplaced_constraint(TypeAdapter(declared).core_schema)


@pytest.mark.parametrize(
    "declared",
    [
        str,
        Annotated[str, STRIPPED, Field(min_length=3, pattern="a")],
        Annotated[SecretStr, Field(min_length=3)],
        Annotated[int, Field(gt=3)],
        Annotated[int, Field(multiple_of=3)],
        Annotated[Decimal, Field(max_digits=3)],
        Annotated[Sequence[int], Field(max_length=3)],
        Annotated[bool, Field(gt=3)],
        Annotated[Literal["a"], STRIPPED],
        Annotated[Literal["other"], STRIPPED],
        Annotated[int | SecretStr, Field(gt=3)],
        Annotated[SecretStr, BeforeValidator(str.strip)],
        Annotated[SecretStr, AfterValidator(lambda value: value), STRIPPED],
        Annotated[SecretStr, annotated_types.Predicate(lambda _: pytest.fail("a function of the user's ran"))],
        Annotated[Ordered, Field(gt=3)],
        Annotated[ImportString, Field(gt=3)],
        Annotated[Tree, Field(min_length=3)],
        Annotated[Tree, Field(gt=3)],
    ],
    ids=label,
)
def test_well_placed(declared: Any) -> None:
    """A constraint that may hold for some value is none, and nothing is found out by running what is not pydantic's."""
    assert find_misplaced_constraint(TypeAdapter(declared).core_schema) is None
