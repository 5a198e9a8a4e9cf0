"""Pools of connections over a real PostgreSQL server whose password moves."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3  # noqa: F401 - loaded beforehand: on a busy machine that takes longer than a login may
import pytest
from psycopg import sql

from examples.rotation.postgresql import HOST, NoServerError, PostgreSQL, running_postgresql
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.e2e._rie import wait_until
from tests.neighbours.conftest import Load

ROLE = "orders"
CONNECTIONS = 4
SHARED_SECONDS = 1.1  # an answer of AWS is shared for 1 s


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """Run PostgreSQL. Where it is not installed the tests are skipped; in CI that is a failure."""
    try:
        with running_postgresql() as running:
            yield running
    except NoServerError as reason:
        if os.environ.get("CI") == "true":
            pytest.exit(str(reason), returncode=1)
        pytest.skip(str(reason))


class Database:
    """The server's one role, and the secret that has its password.

    Args:
        server: where the role is.
        store: where the secret is.
    """

    def __init__(self, server: PostgreSQL, store: MemoryStore) -> None:
        self._port, self._store = server.port, store
        self._admin = server.connect()
        self._admin.execute(sql.SQL("DROP TABLE IF EXISTS orders; DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))
        self._admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        self._admin.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        self._admin.execute(sql.SQL("GRANT ALL ON orders TO {}").format(sql.Identifier(ROLE)))
        self.rotate()

    def rotate(self) -> None:
        """Give the role another password, the secret too, and end its sessions."""
        password = secrets.token_urlsafe()
        change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(password))
        self._admin.execute(change)
        opening = {"host": HOST, "port": self._port, "dbname": "postgres", "username": ROLE, "password": password}
        self._store.put_secret("orders/database", opening)
        self._admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (ROLE,))

    def read_orders(self) -> list[int]:
        """Give what the table has."""
        return [row[0] for row in self._admin.execute("SELECT id FROM orders ORDER BY id")]

    def close(self) -> None:
        """End the administrator's session."""
        self._admin.close()


@pytest.fixture(autouse=True)
def _timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "20")


@pytest.fixture
def database(server: PostgreSQL, store: MemoryStore) -> Iterator[Database]:
    """Give the role a new password."""
    made = Database(server, store)
    yield made
    made.close()


@pytest.fixture(params=["psycopg", "sqlalchemy"])
def example(request: pytest.FixtureRequest, database: Database, load: Load) -> Iterator[Any]:
    """Give an example, and close its pool afterwards."""
    module: Any = load(f"neighbours/pool_of_{request.param}")
    yield module
    if request.param == "psycopg":
        module.pool.close()
    else:
        module.engine.dispose()


@pytest.fixture
def invoke(extension: Emulator, example: Any) -> Callable[[int], None]:
    """Give what invokes the example for an order, and waits until its pool makes no connection any more."""

    def is_settled() -> bool:
        stats: dict[str, int] = example.pool.get_stats() if hasattr(example, "pool") else {}
        return stats.get("pool_size") == stats.get("pool_available")

    def invoke(order_id: int) -> None:
        example.handler({"order_id": order_id}, lambda_context(20))
        wait_until(is_settled, 20, "the pool has settled")

    return invoke


def count_calls(extension: Emulator) -> int:
    """Count how often AWS itself was asked."""
    return sum(request.api is not None for request in extension.requests)


def test_a_rotation_fails_no_invocation(extension: Emulator, database: Database, invoke: Callable[[int], None]) -> None:
    """A pool whose sessions have ended and whose password was rotated gets the new one, by one call to AWS."""
    invoke(1)
    database.rotate()
    invoke(2)
    invoke(3)

    assert (database.read_orders(), count_calls(extension)) == ([1, 2, 3], 1)


def test_several_refused_logins_are_one_call(
    extension: Emulator, database: Database, invoke: Callable[[int], None]
) -> None:
    """Connections that are refused at the same time share one call to AWS, also on the pool's own threads."""
    start = threading.Barrier(CONNECTIONS)

    def invoke_together(order_id: int) -> None:
        start.wait(20)
        invoke(order_id)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(invoke_together, range(CONNECTIONS)))
        database.rotate()
        list(threads.map(invoke_together, range(CONNECTIONS, 2 * CONNECTIONS)))

    assert (database.read_orders(), count_calls(extension)) == (list(range(2 * CONNECTIONS)), 1)


def test_two_rotations(extension: Emulator, database: Database, invoke: Callable[[int], None]) -> None:
    """Each rotation is met anew: what was fetched by hand is not kept for good."""
    for order_id in range(3):
        invoke(order_id)
        database.rotate()
        time.sleep(SHARED_SECONDS)
    invoke(3)

    assert (database.read_orders(), count_calls(extension)) == ([0, 1, 2, 3], 3)


def test_a_wrong_password_goes_on(extension: Emulator, database: Database, store: MemoryStore, example: Any) -> None:
    """Where no password helps the pool's own error goes on, without one in its text."""
    content = {"host": HOST, "port": 1, "dbname": "postgres", "username": ROLE, "password": "canary-wrong"}
    store.put_secret("orders/database", content)
    with pytest.raises(Exception, match=r"connection") as caught:
        example.handler({"order_id": 1}, lambda_context(20))

    assert "canary" not in repr(caught.value)
