from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from lambdasecrets._places import Map, Walk


class Database(BaseModel):
    hosts: list[str] = []
    pins: dict[int, str] = {}


def walk(declared: Any, data: object, *location: str | int) -> Walk:
    """Follow a location through a type."""
    return Walk(Map(TypeAdapter(declared).core_schema), data, location)


@pytest.mark.parametrize(
    ("declared", "data", "location", "shown"),
    [
        (Database, {"hosts": ["a"]}, ("hosts", 0), ("hosts", 0)),
        (Database, {"hosts": ["a"]}, ("hosts", 1), ("hosts", "*")),
        (Database, {"hosts": ["a"]}, ("hosts", -1), ("hosts", "*")),
        (Database, {"pins": {"4711": "a"}}, ("pins", 4711), ("pins", "*")),
        (Database, {}, ("other", 0, "hosts"), ("*", "*", "*")),
        (list[Database], [{"hosts": ["a"]}], (0, "hosts", 0), (0, "hosts", 0)),
        (tuple[str, str], [], (1,), (1,)),
        (tuple[str, str], [], (2,), ("*",)),
        (tuple[str, ...], [], (0,), ("*",)),
        (str, "text", (0,), ("*",)),
        (list[str], "text", (0,), ("*",)),
        (Database | list[str], ["a"], ("list[str]", 0), ("*", 0)),
    ],
    ids=str,
)
def test_shown(declared: Any, data: object, location: tuple[str | int, ...], shown: tuple[str | int, ...]) -> None:
    """Of a location is shown what the type names, and an index of a list that is as long."""
    assert shown == walk(declared, data, *location).shown


def test_where_it_leads() -> None:
    """A place knows what is declared there."""
    there = walk(Database, {"hosts": []}, "hosts")
    assert (there.place.is_list, there.place.is_object, there.is_in_dict) == (True, False, False)
    inside = walk(Database, {"pins": {}}, "pins", "4711")
    assert (inside.place.is_list, inside.place.is_object, inside.is_in_dict) == (False, False, True)
    assert walk(Database, {}).place.is_object


def test_a_place_is_looked_at_once() -> None:
    """However often a place is come to, it is the same."""
    places = Map(TypeAdapter(list[Database]).core_schema)
    first, second = (Walk(places, [{"hosts": ["a"]}], (0, "hosts")).place for _ in range(2))
    assert first is second
