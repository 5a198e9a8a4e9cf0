from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import GenericAlias, ModuleType
from typing import Any

import pytest

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

Invoke = Callable[[int], Any]

_APP = "examples.rotation.app"


class DriverError(Exception):
    pass


class DriverConnection:
    """A connection, generic as psycopg's is."""

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, orders: list[int]) -> None:
        self.closed = False
        self.is_ended = False
        self._orders = orders

    def execute(self, statement: str, values: tuple[int]) -> None:
        if self.is_ended:
            self.closed = True  # as psycopg has it: noticed when it is used
            raise DriverError("terminating connection due to administrator command")
        self._orders.extend(values)


class Driver(ModuleType):
    """What the example needs of psycopg, and the server behind it."""

    OperationalError = DriverError
    Connection = DriverConnection

    def __init__(self, store: MemoryStore) -> None:
        super().__init__("psycopg")
        self.connections: list[DriverConnection] = []
        self.orders: list[int] = []
        self._store = store
        self._password = ""
        self.rotate("first")

    def connect(self, *, password: str, **given: Any) -> DriverConnection:
        if password != self._password:
            raise DriverError("password authentication failed")
        self.connections.append(DriverConnection(self.orders))
        return self.connections[-1]

    def rotate(self, password: str) -> None:
        self._password = password
        content = {"host": "db.internal", "dbname": "orders", "username": "orders", "password": password}
        self._store.put_secret("orders/database", content)
        self.end_connections()

    def end_connections(self) -> None:
        for connection in self.connections:
            connection.is_ended = True


@pytest.fixture
def driver(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Stand in for psycopg and a server that knows the secret's password."""
    made = Driver(store)
    monkeypatch.setitem(sys.modules, "psycopg", made)
    return made


@pytest.fixture
def invoke(driver: Driver, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Load the example anew and invoke it with an order, beside an agent that keeps secrets for 300 s."""
    sys.modules.pop(_APP, None)
    handler = importlib.import_module(_APP).handler
    with Emulator(store, profile="agent", secrets_ttl=300) as agent:
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        yield lambda order_id: handler({"order_id": order_id}, None)
    del sys.modules[_APP]


def test_a_connection_is_kept(driver: Driver, invoke: Invoke) -> None:
    """Invocations share a connection while the secret stays the same."""
    assert [invoke(1), invoke(2)] == [{"order_id": 1}, {"order_id": 2}]
    assert driver.orders == [1, 2]
    assert len(driver.connections) == 1


def test_a_rotation_fails_no_invocation(driver: Driver, invoke: Invoke) -> None:
    """A rotated password makes the handler run once more, on a connection with the new one, in spite of the cache."""
    invoke(1)
    driver.rotate("second")
    assert invoke(2) == {"order_id": 2}
    assert invoke(3) == {"order_id": 3}
    assert driver.orders == [1, 2, 3]
    assert len(driver.connections) == 2


def test_a_refused_login_fails_no_invocation(driver: Driver, invoke: Invoke) -> None:
    """A new connection that is refused, for a cache gave the old password, makes the handler run once more."""
    invoke(1)
    driver.rotate("second")
    sys.modules[_APP].connection.cache_clear()
    assert invoke(2) == {"order_id": 2}
    assert driver.orders == [1, 2]


def test_a_lost_connection_fails_one_invocation(driver: Driver, invoke: Invoke) -> None:
    """A connection that is lost without a rotation fails one invocation, and the next one makes another."""
    invoke(1)
    driver.end_connections()
    with pytest.raises(DriverError, match=r"^terminating connection due to administrator command$"):
        invoke(2)
    assert invoke(3) == {"order_id": 3}
    assert driver.orders == [1, 3]
    assert len(driver.connections) == 2
