"""A PostgreSQL server of one's own: in a temporary folder, on loopback, with passwords, gone at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"

_DEBIAN_FOLDER = Path("/usr/lib/postgresql")
_ADMIN = "postgres"
_ACCOUNT = "postgres"  # PostgreSQL refuses to run as root; its packages make this account
_STATEMENT_SECONDS = 10
_INITDB_SECONDS = 60.0
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
# Nothing of it outlives the drill, so nothing needs to reach the disk.
_OPTIONS = {"listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off"}


class NoServerError(Exception):
    """There is no PostgreSQL server here, or it does not start."""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A running server.

    Attributes:
        port: where it listens on loopback.
        admin_password: the administrator's.
    """

    port: int
    admin_password: str = field(repr=False)

    def connect(self) -> psycopg.Connection[Any]:
        """Connect as the administrator. Every statement is a transaction of its own."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            dbname="postgres",
            user=_ADMIN,
            password=self.admin_password,
            connect_timeout=2,
            options=f"-c statement_timeout={_STATEMENT_SECONDS}s",
            autocommit=True,
        )


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """Make a server that asks for SCRAM passwords, run it, and remove it.

    Raises:
        NoServerError: it is not installed, or does not start; the message says why.
    """
    binaries = _binaries()
    server = PostgreSQL(_free_port(), secrets.token_urlsafe())
    with TemporaryDirectory(prefix="rotation-drill-") as name:
        folder = Path(name)
        if _is_root():
            shutil.chown(folder, _ACCOUNT)
        _make(binaries, folder, server.admin_password)
        process = _start(binaries, folder, server.port)
        try:
            _wait_for(server, process, folder)
            yield server
        finally:
            _stop(process)


def _binaries() -> Path:
    """Find the folder of the newest server's programs: Debian keeps it off the PATH."""
    debian = sorted(_DEBIAN_FOLDER.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("postgres")
    if found is None:
        raise NoServerError("Cannot find a PostgreSQL server. Install one, on Debian by `apt-get install postgresql`.")
    return Path(found).parent


def _make(binaries: Path, folder: Path, password: str) -> None:
    (folder / "password").write_text(password, encoding="utf-8")
    account = ["--pgdata=data", f"--username={_ADMIN}", "--pwfile=password", "--auth=scram-sha-256"]
    made = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [binaries / "initdb", *account, "--encoding=UTF8", "--locale=C", "--no-sync"],
        **_identity(folder),
        timeout=_INITDB_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if made.returncode:
        raise NoServerError(f"Cannot make a PostgreSQL server: {made.stdout}")


def _start(binaries: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    options = [f"--{name}={value}" for name, value in {**_OPTIONS, "port": port}.items()]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            [binaries / "postgres", "-D", "data", *options],
            **_identity(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _identity(folder: Path) -> dict[str, Any]:
    account = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if _is_root() else {}
    return {**account, "cwd": folder}


def _is_root() -> bool:
    return os.geteuid() == 0


def _wait_for(server: PostgreSQL, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(psycopg.OperationalError):
            server.connect().close()
            return
        time.sleep(_POLL_SECONDS)
    raise NoServerError(f"PostgreSQL does not start: {(folder / 'log').read_text(encoding='utf-8')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # "fast": without waiting for its clients
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
