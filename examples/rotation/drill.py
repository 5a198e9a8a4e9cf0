"""Rotate a real PostgreSQL server's password while the handler in app.py is invoked, and count what fails.

The secret is in moto's Secrets Manager, and the emulator stands on localhost. A rotation does what a rotation function
for a single user does. Then it ends the sessions that began with the old password, as a restart would.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import os
import platform
import re
import secrets
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import boto3
import psycopg
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto.server import ThreadedMotoServer
from psycopg import sql

from examples.rotation import app
from examples.rotation.postgresql import HOST, NoServerError, PostgreSQL, running_postgresql
from lambdasecrets import inject_secrets
from lambdasecrets.dev.aws import AwsStore
from lambdasecrets.dev.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECRET = "orders/database"  # noqa: S105 - its name
_ROLE = "orders"
_ROTATION_SECONDS = 30.0
_INVOCATION_MILLISECONDS = 3000  # what a function has unless it is configured
_MARKED = re.compile(r"(?<=<!-- rotation -->\n).*?(?=<!-- /rotation -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round is played with.

    Attributes:
        profile: which server stands on localhost.
        ttl: seconds for which that server keeps a secret.
        retries: whether the handler has its `retry_on`.
    """

    profile: Literal["extension", "agent"]
    ttl: int
    retries: bool


_SETTINGS = (
    Setting("agent", ttl=300, retries=True),
    Setting("extension", ttl=300, retries=True),
    Setting("extension", ttl=1, retries=True),
    Setting("extension", ttl=1, retries=False),
    Setting("extension", ttl=300, retries=False),
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """What became of an invocation.

    Attributes:
        failed: whether its error reached Lambda.
        runs: how often the handler ran.
        milliseconds: how long it took.
    """

    failed: bool
    runs: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Round:
    """The invocations with one setting.

    Attributes:
        setting: what they were played with.
        rotations: how often the password was rotated meanwhile.
        invocations: in their order.
        orders: how many the database has.
    """

    setting: Setting
    rotations: int
    invocations: list[Invocation] = field(repr=False)
    orders: int

    @property
    def failed(self) -> int:
        """How many invocations failed."""
        return sum(item.failed for item in self.invocations)

    @property
    def repeated(self) -> list[Invocation]:
        """The invocations in which the handler ran again."""
        return [item for item in self.invocations if item.runs > 1]

    def is_as_promised(self) -> bool:
        """Tell whether `retry_on` did what it is for; without it, whether there was anything to do."""
        has_every_order = self.orders == len(self.invocations) - self.failed
        most_runs = 2 if self.setting.retries else 1
        return (
            has_every_order
            and self.setting.retries == (self.failed == 0)
            and most_runs == max(item.runs for item in self.invocations)
            and len(self.repeated) <= self.rotations
        )


class Database:
    """The orders' database, and the secret that opens it.

    Args:
        server: where the database is.
    """

    def __init__(self, server: PostgreSQL) -> None:
        self._port = server.port
        self._admin = server.connect()
        self._vault = boto3.client("secretsmanager")
        self._admin.execute("CREATE TABLE orders (id integer PRIMARY KEY)")
        self._admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(_ROLE)))
        self._admin.execute(sql.SQL("GRANT SELECT, INSERT ON orders TO {}").format(sql.Identifier(_ROLE)))
        self._vault.create_secret(Name=_SECRET)
        self.rotate()

    def rotate(self) -> None:
        """Change the password, then the secret, then end the sessions that began before."""
        password = secrets.token_urlsafe()
        change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(_ROLE), sql.Literal(password))
        self._admin.execute(change)
        changed = self._value("SELECT clock_timestamp()")
        content = {"host": HOST, "port": self._port, "dbname": "postgres", "username": _ROLE, "password": password}
        self._vault.put_secret_value(SecretId=_SECRET, SecretString=json.dumps(content))
        self._admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s AND backend_start < %s",
            (_ROLE, changed),
        )

    def clear(self) -> None:
        """Delete the orders."""
        self._admin.execute("TRUNCATE orders")

    def orders(self) -> int:
        """Count the orders."""
        return int(self._value("SELECT count(*) FROM orders"))

    def version(self) -> str:
        """Give the server's version."""
        return str(self._value("SHOW server_version")).split()[0]

    def close(self) -> None:
        """Close the administrator's connection."""
        self._admin.close()

    def _value(self, query: Any) -> Any:
        row = self._admin.execute(query).fetchone()
        return row[0] if row else None


class Order(dict[str, Any]):
    """An event that counts how often it is read: once in each run of the handler."""

    reads = 0

    def __getitem__(self, key: str) -> Any:
        """Count, and give the item."""
        self.reads += 1
        return super().__getitem__(key)


class Context(LambdaContext):
    """The context of an invocation that has just begun."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Give the milliseconds that are left."""
        return _INVOCATION_MILLISECONDS


def played(setting: Setting, database: Database, invocations: int, rotations: int) -> Round:
    """Invoke the handler in a loop, and rotate the password beside it."""
    # As in a new execution environment, which has no connection yet.
    app.connection.cache_clear()
    database.clear()
    handler = app.handler if setting.retries else inject_secrets(inspect.unwrap(app.handler))
    turns = {(2 * number + 1) * invocations // (2 * rotations) for number in range(rotations)}
    results: list[Invocation] = []
    with (
        Emulator(AwsStore(), profile=setting.profile, secrets_ttl=setting.ttl) as emulator,
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        os.environ.update(emulator.environment(), SECRETS_MANAGER_TTL=str(setting.ttl))
        rotation: Future[None] | None = None
        for number in range(invocations):
            # At least one invocation comes after each rotation and before the next.
            if number in turns or number == invocations - 1:
                _wait_for(rotation)
            results.append(_invoked(handler, Order(order_id=number)))
            if number in turns:
                rotation = beside.submit(database.rotate)
    return Round(setting, rotations, results, database.orders())


def _wait_for(rotation: Future[None] | None) -> None:
    if rotation is not None:
        rotation.result(_ROTATION_SECONDS)


def _invoked(handler: Callable[[Order, Context], Any], order: Order) -> Invocation:
    began = time.perf_counter()
    failed = False
    try:
        handler(order, Context())
    except psycopg.OperationalError:
        failed = True
    return Invocation(failed, order.reads, (time.perf_counter() - began) * 1000)


@contextmanager
def _running_aws() -> Iterator[None]:
    """Run moto's server, and let boto3 find it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    made_up = {f"AWS_{name}": "drill" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")}
    url = "http://{}:{}".format(*server.get_host_and_port())
    os.environ.update(made_up, AWS_ENDPOINT_URL=url, AWS_DEFAULT_REGION="eu-west-1", NO_PROXY=HOST)
    try:
        yield
    finally:
        server.stop()


_HEAD = """\
| on localhost | TTL | `retry_on` | invocations | rotations | failed | handler ran twice | ms | ms when it ran twice |
|---|--:|---|--:|--:|--:|--:|--:|--:|
"""


def _line(result: Round) -> str:
    setting = result.setting
    cells = [
        setting.profile,
        f"{setting.ttl} s",
        "yes" if setting.retries else "no",
        f"{len(result.invocations):,}",
        result.rotations,
        f"**{result.failed:,}**",
        len(result.repeated),
        _milliseconds([item for item in result.invocations if item.runs == 1 and not item.failed]),
        _milliseconds(result.repeated),
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _milliseconds(invocations: list[Invocation]) -> str:
    times = [item.milliseconds for item in invocations]
    return f"{median(times):.1f} (longest {max(times):.0f})" if times else ""


def _machine(database_version: str) -> str:
    today = datetime.now(timezone.utc).date()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{today}, {machine}, {python}, PostgreSQL {database_version}, psycopg {psycopg.__version__}."


def main() -> int:
    """Play every setting, print the table, and write it into a page where one is named."""
    arguments = _arguments()
    with running_postgresql() as server, _running_aws(), closing(Database(server)) as database:
        rounds = [played(setting, database, arguments.invocations, arguments.rotations) for setting in _SETTINGS]
        report = f"Measured {_machine(database.version())}\n\n{_HEAD}{''.join(map(_line, rounds))}"
    print(report)
    if arguments.page is not None:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(_MARKED.sub(lambda _: f"\n{report}\n", page), encoding="utf-8")
    broken = [str(result.setting) for result in rounds if not result.is_as_promised()]
    print("\n".join(["Not as promised:", *broken]) if broken else "Every round is as promised.")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--invocations", type=int, default=2000, help="in each round (default: 2000)")
    parser.add_argument("--rotations", type=int, default=12, help="in each round (default: 12)")
    parser.add_argument("--page", type=Path, help="a page with markers to write the figures between")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoServerError as error:
        sys.exit(str(error))
