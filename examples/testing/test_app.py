"""Two ways to test a handler: with values of your own, and over real HTTP against the emulator."""

from collections.abc import Iterator
from typing import Any

import pytest
from app import Database, handler
from pydantic import SecretStr

from lambdasecrets import InvalidValueError
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

# --8<-- [start:keyword]
NO_CONTEXT: Any = None  # the handler does not use it, and where there is none the timeout alone bounds a resolve


def test_an_order() -> None:
    database = Database(host="fake", username="orders", password=SecretStr("made-up"))

    assert handler({"order_id": 7}, NO_CONTEXT, database=database, page_size=10) == "7 in fake, 10 at a time"


# --8<-- [end:keyword]


# --8<-- [start:emulator]
@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryStore]:
    store = MemoryStore()
    store.put_secret("test/orders/database", {"host": "db", "username": "orders", "password": "made-up"})
    with Emulator(store) as emulator:
        for name, value in (emulator.environment() | {"STAGE": "test"}).items():
            monkeypatch.setenv(name, value)
        yield store


def test_a_page_size_that_is_not_set(store: MemoryStore) -> None:
    assert handler({"order_id": 7}, NO_CONTEXT) == "7 in db, 50 at a time"


def test_a_page_size(store: MemoryStore) -> None:
    store.put_parameter("/orders/page-size", 25)

    assert handler({"order_id": 7}, NO_CONTEXT) == "7 in db, 25 at a time"


def test_a_rotation(store: MemoryStore) -> None:
    store.put_secret("test/orders/database", {"host": "new-db", "username": "orders", "password": "made-up-too"})

    assert handler({"order_id": 7}, NO_CONTEXT) == "7 in new-db, 50 at a time"


def test_a_secret_of_the_wrong_shape(store: MemoryStore) -> None:
    store.put_secret("test/orders/database", {"host": "db"})

    with pytest.raises(InvalidValueError) as failure:
        handler({"order_id": 7}, NO_CONTEXT)

    assert [str(problem) for problem in failure.value.problems] == ["username: missing", "password: missing"]


# --8<-- [end:emulator]
