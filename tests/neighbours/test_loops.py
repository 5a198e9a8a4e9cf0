"""Other ways to run many things at once: uvloop, trio, threads, gevent and eventlet."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Any

import pytest
import trio
import uvloop

from lambdasecrets import DeadlineExceededError, EventLoopError, Secret, aresolve, inject_secrets, resolve
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.neighbours.conftest import Load

GREEN = """\
import sys, warnings
warnings.simplefilter("ignore")  # eventlet says that it is deprecated
library, when = sys.argv[1:]

def patch():
    if library == "gevent":
        from gevent import monkey
        monkey.patch_all()
    else:
        import eventlet
        eventlet.monkey_patch()

if when == "before":
    patch()
from lambdasecrets import Secret, resolve
from lambdasecrets._transports import sockets
if when == "after":
    patch()

def read(**options):
    return resolve(Secret("db"), str, timeout=30, **options)

if library == "gevent":
    import gevent
    jobs = [gevent.spawn(read) for _ in range(5)]
    values = [job.get() for job in jobs]
else:
    import eventlet
    jobs = [eventlet.spawn(read) for _ in range(5)]
    values = [job.wait() for job in jobs]
print([*values, read(refresh=True)])
"""


@inject_secrets
async def handler(event: Any, context: Any, *, key: Annotated[str, Secret("db")]) -> list[str]:
    """Give the value, injected and resolved."""
    return [key, await aresolve(Secret("db"), str)]


@pytest.fixture(autouse=True)
def _value(extension: Emulator, store: MemoryStore) -> None:
    store.put_secret("db", "first")


def test_uvloop() -> None:
    """A coroutine runs on uvloop as on asyncio's own loop."""
    assert uvloop.run(handler({}, None)) == ["first", "first"]


def test_trio_gets_a_clear_error() -> None:
    """What is awaited needs an asyncio loop, and says so."""
    with pytest.raises(EventLoopError, match="no asyncio event loop runs it"):
        trio.run(handler, {}, None)


def test_a_thread_of_trios() -> None:
    """Under trio `resolve` works in a thread, which holds up nothing."""

    async def main() -> str:
        return await trio.to_thread.run_sync(resolve, Secret("db"), str)

    assert trio.run(main) == "first"


def test_threads_of_ones_own(extension: Emulator, store: MemoryStore, load: Load) -> None:
    """A thread that is given the context ends with the invocation, and not after its own timeout."""
    for shop in ("a", "b"):
        store.put_secret(f"shops/{shop}/key", shop)
    example = load("neighbours/threads")
    assert example.handler({"shops": ["a", "b"]}, lambda_context()) == {"a": True, "b": True}

    extension.inject(EVERY_FAULT["hang"], times=None)
    with pytest.raises(DeadlineExceededError) as caught:
        example.handler({"shops": ["a", "b"]}, lambda_context(0.6))
    assert caught.value.bound == "invocation"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("transport", ["sockets", "requests"])
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_green_threads(library: str, transport: str, when: str) -> None:
    """Patched before the library is imported, or after, green threads get their values, a fresh one too."""
    variables = {"LAMBDASECRETS_TRANSPORT": "requests"} if transport == "requests" else {}
    done = subprocess.run(
        [sys.executable, "-c", GREEN, library, when],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )

    assert done.stdout == f"{['first'] * 6}\n", done.stderr
