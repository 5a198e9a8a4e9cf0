"""Rotate a real PostgreSQL server's password while the handler in app.py is invoked, and count what fails.

The secret is in moto's Secrets Manager, and the emulator stands on localhost. A rotation has the four steps of a
rotation function for a single user: create, set, test and finish. Some rotations are cancelled. In every window between
two steps the handler has to connect anew, in an execution environment that is warm and in one that is new.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import logging
import os
import platform
import re
import secrets
import sys
import time
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
from lambdasecrets.testing import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Handler = Callable[["Order", "Context"], Any]

_SECRET = "orders/database"  # noqa: S105 - its name
_ROLE = "orders"
_PAUSE_SECONDS = 1.1
"""Between two steps. An answer of AWS's is shared for 1 s, and no rotation function takes less."""
_WINDOWS = 4
_CONNECT_EVERY = 4
_START_EVERY = 8
"""Which of the invocations connect anew, and which of those begin in a new execution environment."""
_REFUSED = "password authentication failed"
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
        error: what reached Lambda, or None.
        runs: how often the handler ran.
        milliseconds: how long it took.
        is_cut: whether its connection had been ended, without a rotation.
    """

    error: str | None
    runs: int
    milliseconds: float
    is_cut: bool

    @property
    def has_failed(self) -> bool:
        """Whether it failed though the server took connections."""
        return self.error is not None and not self.is_cut


@dataclass(frozen=True, slots=True)
class Round:
    """The invocations with one setting.

    Attributes:
        setting: what they were played with.
        rotations: how often the password was rotated meanwhile.
        cancelled: how many of the rotations were cancelled.
        invocations: in their order.
        orders: how many the database has.
    """

    setting: Setting
    rotations: int
    cancelled: int
    invocations: list[Invocation] = field(repr=False)
    orders: int

    @property
    def failed(self) -> int:
        """How many invocations failed."""
        return sum(item.has_failed for item in self.invocations)

    @property
    def repeated(self) -> list[Invocation]:
        """The invocations in which the handler ran again, and did what it is for."""
        return [item for item in self.invocations if item.runs > 1 and item.error is None]

    @property
    def cut(self) -> list[Invocation]:
        """The invocations whose connection had been ended: a password that is not valid yet must not change a thing."""
        return [item for item in self.invocations if item.is_cut]

    def is_as_promised(self) -> bool:
        """Tell whether `retry_on` did what it is for; without it, whether there was anything to do."""
        has_every_order = self.orders == sum(item.error is None for item in self.invocations)
        most_runs = 2 if self.setting.retries else 1
        shows_the_first_error = all(item.error is not None and _REFUSED not in item.error for item in self.cut)
        return (
            has_every_order
            and shows_the_first_error
            and self.setting.retries == (self.failed == 0)
            and most_runs == max(item.runs for item in self.invocations)
            and len(self.cut) == self.rotations
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
        self._password = secrets.token_urlsafe()
        self._vault.create_secret(Name=_SECRET, SecretString=self._content(self._password))
        self._set(self._password)

    def rotate(self) -> Iterator[str]:
        """Rotate the password in the steps of a rotation function; give the name of the window after each."""
        password = secrets.token_urlsafe()
        pending = self._create(password)
        yield "created"
        self._set(password)
        yield "set"
        self._connect(password).close()
        yield "tested"
        self._finish(password, pending)
        yield "finished"

    def cancel_early(self) -> Iterator[str]:
        """Begin a rotation, and cancel it before the password is set: the pending version stays, and is never valid."""
        self._create(secrets.token_urlsafe())
        yield "created"
        yield "cancelled"

    def cancel_late(self) -> Iterator[str]:
        """Begin a rotation, and take the password back after it was set: the current version is valid again."""
        password = secrets.token_urlsafe()
        pending = self._create(password)
        yield "created"
        self._set(password)
        yield "set"
        self._set(self._password)
        self._vault.update_secret_version_stage(
            SecretId=_SECRET, VersionStage="AWSPENDING", RemoveFromVersionId=pending
        )
        yield "cancelled"

    def end_sessions(self) -> None:
        """End the sessions of the handler, as a restart would."""
        self._admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (_ROLE,))

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

    def _create(self, password: str) -> str:
        stages = ["AWSPENDING"]
        content = self._content(password)
        made = self._vault.put_secret_value(SecretId=_SECRET, SecretString=content, VersionStages=stages)
        return str(made["VersionId"])

    def _finish(self, password: str, pending: str) -> None:
        # Not by update_secret_version_stage: after that moto gives the old version to who names no stage.
        self._vault.put_secret_value(
            SecretId=_SECRET,
            SecretString=self._content(password),
            VersionStages=["AWSCURRENT"],
            ClientRequestToken=pending,
        )
        self._password = password

    def _set(self, password: str) -> None:
        change = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(_ROLE), sql.Literal(password))
        self._admin.execute(change)

    def _connect(self, password: str) -> psycopg.Connection[Any]:
        return psycopg.connect(host=HOST, port=self._port, dbname="postgres", user=_ROLE, password=password)

    def _content(self, password: str) -> str:
        opening = {"host": HOST, "port": self._port, "dbname": "postgres", "username": _ROLE, "password": password}
        return json.dumps(opening)

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


class Environment:
    """An execution environment of Lambda, with what stands on localhost there.

    Args:
        setting: what stands there.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting, self._before = setting, dict(os.environ)
        self._store = AwsStore()
        self._server: Emulator | None = None
        self.start()

    def start(self) -> None:
        """Begin as a new one does: without a connection and without a value. The extension is new too."""
        app.connection.cache_clear()
        forget()
        if self._server is None or self._setting.profile == "extension":
            self._stop()
            self._server = Emulator(self._store, profile=self._setting.profile, secrets_ttl=self._setting.ttl).start()
            os.environ.update(self._server.environment(), SECRETS_MANAGER_TTL=str(self._setting.ttl))

    def close(self) -> None:
        """End it. What led here must not lead the next one's store here."""
        self._stop()
        os.environ.clear()
        os.environ.update(self._before)

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()


def play(setting: Setting, database: Database, invocations: int, rotations: int) -> Round:
    """Invoke the handler in every window of every rotation."""
    database.clear()
    handler = app.handler if setting.retries else inject_secrets(inspect.unwrap(app.handler))
    ways = [database.rotate, database.cancel_early, database.rotate, database.cancel_late]
    chosen = [ways[number % len(ways)] for number in range(rotations)]
    orders = itertools.count()
    results: list[Invocation] = []
    in_window = max(invocations // (_WINDOWS * rotations), _START_EVERY)
    with closing(Environment(setting)) as environment:
        for rotation in chosen:
            for window in rotation():
                time.sleep(_PAUSE_SECONDS)
                results += _invoke_in_window(handler, orders, in_window, environment)
                if window == "created":
                    results.append(_invoke_cut(handler, orders, database))
    cancelled = sum(rotation != database.rotate for rotation in chosen)
    return Round(setting, rotations, cancelled, results, database.orders())


def _invoke_in_window(
    handler: _Handler, orders: Iterator[int], invocations: int, environment: Environment
) -> Iterator[Invocation]:
    for number in range(invocations):
        if number % _START_EVERY == _CONNECT_EVERY:
            environment.start()
        elif number % _CONNECT_EVERY == 0:
            app.connection.cache_clear()
        yield _invoke(handler, Order(order_id=next(orders)))


def _invoke_cut(handler: _Handler, orders: Iterator[int], database: Database) -> Invocation:
    """Invoke with a connection that is lost: the error looks like that of a rotation, but no password is to blame."""
    database.end_sessions()
    return _invoke(handler, Order(order_id=next(orders)), is_cut=True)


def _invoke(handler: _Handler, order: Order, *, is_cut: bool = False) -> Invocation:
    began = time.perf_counter()
    error = None
    try:
        handler(order, Context())
    except psycopg.OperationalError as failure:
        error = str(failure)
    return Invocation(error, order.reads, (time.perf_counter() - began) * 1000, is_cut)


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
| on localhost | TTL | `retry_on` | invocations | rotations (cancelled) | failed | ran twice | ms | ms if it ran twice |
|---|--:|---|--:|--:|--:|--:|--:|--:|
"""


def _line(result: Round) -> str:
    setting = result.setting
    cells = [
        setting.profile,
        f"{setting.ttl} s",
        "yes" if setting.retries else "no",
        f"{len(result.invocations):,}",
        f"{result.rotations} ({result.cancelled})",
        f"**{result.failed:,}**",
        len(result.repeated),
        _milliseconds([item for item in result.invocations if item.runs == 1 and item.error is None]),
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
        rounds = [play(setting, database, arguments.invocations, arguments.rotations) for setting in _SETTINGS]
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
    parser.add_argument("--rotations", type=int, default=8, help="in each round (default: 8)")
    parser.add_argument("--page", type=Path, help="a page with markers to write the figures between")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoServerError as error:
        sys.exit(str(error))
