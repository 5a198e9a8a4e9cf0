"""Run a handler as Lambda does: under Amazon's Runtime Interface Emulator, by Amazon's runtime client."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lambdasecrets.dev

HANDLERS = Path(__file__).parent / "handlers"
LAUNCHER = Path(lambdasecrets.dev.__file__).with_name("lambdasecrets-extension")
EXTENSIONS = Path("/opt/extensions")
INVOCATIONS = "/2015-03-31/functions/function/invocations"

_POLL_SECONDS = 0.02
_START_SECONDS = 20.0
_INVOKE_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOCK_SECONDS = 300.0  # another run of these tests may hold it


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Look every few milliseconds whether something is so.

    Raises:
        TimeoutError: it did not become so in time.
    """
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s until {what}")
        time.sleep(_POLL_SECONDS)


def accepts(port: int) -> bool:
    """Tell whether something listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def installed_extension(launcher: Path = LAUNCHER) -> Iterator[Path]:
    """Have the extension in /opt/extensions, alone on this machine, and take it away afterwards.

    Raises:
        OSError: /opt is not writable.
    """
    existed = EXTENSIONS.exists()
    EXTENSIONS.mkdir(exist_ok=True)
    installed = EXTENSIONS / launcher.name
    with _locked(EXTENSIONS):
        try:
            shutil.copy(launcher, installed)
            yield installed
        finally:
            installed.unlink(missing_ok=True)
    if not existed:
        with contextlib.suppress(OSError):  # another run has put its own in
            EXTENSIONS.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        wait_until(lambda: _has_lock(descriptor), _LOCK_SECONDS, f"no other run uses {folder}")
        yield
    finally:
        os.close(descriptor)


def _has_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class Function:
    """A Lambda function under the emulator.

    Attributes:
        port: where it takes invocations.
        output: the file with all that the emulator, the extension and the handler wrote.
    """

    port: int
    output: Path

    def invoke(self, event: object = None, *, tenant_id: str | None = None) -> Any:
        """Invoke it, perhaps for a tenant, and return its answer, or the error document of a handler that raised."""
        headers = {} if tenant_id is None else {"X-Amz-Tenant-Id": tenant_id}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_INVOKE_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", INVOCATIONS, json.dumps(event), headers)
            content = connection.getresponse().read()
        try:
            return json.loads(content)
        except ValueError:
            return content.decode()  # the emulator's own sentence, such as "Task timed out after 1.00 seconds"

    @property
    def log(self) -> str:
        """All lines so far."""
        return self.output.read_text(errors="replace")

    @property
    def init_milliseconds(self) -> list[float]:
        """How long each INIT took, as the emulator reports it."""
        return [float(found) for found in re.findall(r"INIT REPORT\(durationMs: ([\d.]+)\)", self.log)]

    @property
    def invoke_milliseconds(self) -> list[float]:
        """How long each invocation took that ended, as the emulator reports it."""
        return [float(found) for found in re.findall(r"INVOKE RTDONE\(.*duration: ([\d.]+)ms\)", self.log)]

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Wait until the log has a text: output of several processes arrives when it does.

        Raises:
            TimeoutError: it does not come.
        """
        wait_until(lambda: self.log.count(text) >= times, _STOP_SECONDS, f"{text!r} is in the log:\n{self.log}")


@contextmanager
def running_function(
    binary: Path, handler: str, environ: Mapping[str, str], folder: Path, *, python: Path
) -> Iterator[Function]:
    """Run a handler under the emulator. INIT begins with the first invocation, SHUTDOWN with the end of the block.

    Args:
        binary: the emulator.
        handler: `module.function` in the folder `handlers`.
        environ: the function's environment; nothing is added to it but PATH.
        folder: for the output.
        python: the interpreter, with awslambdaric.
    """
    port = free_port()
    output = folder / "function.log"
    command = [
        str(binary),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
        *(str(python), "-m", "awslambdaric", handler),
    ]
    path = f"{python.parent}:{os.environ['PATH']}"  # the launcher's python3 is the same one
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=HANDLERS,
            env={"PATH": path, **environ},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        with _ended(process):
            wait_until(lambda: accepts(port), _START_SECONDS, "the emulator listens")
            yield Function(port, output)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process and all that it started: kindly, which is SHUTDOWN, then for good."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_SECONDS)
