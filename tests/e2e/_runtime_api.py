"""Lambda's side of a whole environment: the Runtime API beside the Extensions API, for concurrent invocations.

Amazon's emulator runs managed instances only as root, under a user of its own, and with /var/task: so this is the
part of it that a test needs.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.dev.extensions_api import SECONDS, ExtensionsApi, Reply

_INVOCATION = "/2018-06-01/runtime/invocation/"


class RuntimeApi(ExtensionsApi):
    """What a runtime and an extension ask of Lambda, and what Lambda answers."""

    def __init__(self) -> None:
        super().__init__()
        self._invocations: queue.Queue[tuple[str, object, str | None]] = queue.Queue()
        self._answers: dict[str, queue.Queue[Any]] = {}

    def begin(self, event: object, tenant_id: str | None = None) -> str:
        """Offer an invocation, perhaps for a tenant, to whichever worker asks next, and return its id."""
        request_id = str(uuid.uuid4())
        self._answers[request_id] = queue.Queue()
        self._invocations.put((request_id, event, tenant_id))
        return request_id

    def answer(self, request_id: str) -> Any:
        """Wait for what the handler answers, or for its error document."""
        return self._answers[request_id].get(timeout=SECONDS)

    def get(self, path: str) -> Reply:
        """Answer a GET."""
        if path != f"{_INVOCATION}next":
            return super().get(path)
        request_id, event, tenant_id = self._invocations.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + SECONDS) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:function",
        }
        if tenant_id is not None:
            headers["Lambda-Runtime-Aws-Tenant-Id"] = tenant_id
        return 200, headers, event

    def post(self, path: str, headers: Mapping[str, str], content: Any) -> Reply:
        """Answer a POST."""
        if not path.startswith(_INVOCATION):
            return super().post(path, headers, content)
        request_id = path.removeprefix(_INVOCATION).partition("/")[0]
        self._answers[request_id].put(content)
        return 202, {}, {"status": "OK"}


@contextmanager
def started(command: list[str], environ: Mapping[str, str], folder: Path, log: Path) -> Iterator[None]:
    """Run a process and what it forks, and end all of it.

    Args:
        command: what to run.
        environ: all of its environment.
        folder: where it runs.
        log: what it prints goes there.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(SECONDS)
