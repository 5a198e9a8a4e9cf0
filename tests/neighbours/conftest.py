from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import forget
from tests.examples import EXAMPLES
from tests.neighbours._payments import Payments, running_payments

Load = Callable[[str], ModuleType]
"""Takes an example, such as `neighbours/batch`, and gives its module."""

_LEFT_OPEN = ("unclosed event loop", r"unclosed <socket\.socket .*family=(1|AddressFamily\.AF_UNIX),")
"""The warnings of an event loop that nobody has closed: it has a pair of these sockets."""

# `make neighbours` installs what these tests are about; elsewhere there is nothing to import.
collect_ignore_glob = [] if find_spec("mangum") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.neighbours)


@pytest.fixture(autouse=True)
def leave_no_loop() -> Iterator[None]:
    """Take away the event loops that a neighbour has left open, in the test that it left them in."""
    yield
    with warnings.catch_warnings():
        for left in _LEFT_OPEN:
            warnings.filterwarnings("ignore", left, ResourceWarning)
        asyncio.set_event_loop(None)
        gc.collect()


@pytest.fixture
def payments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Payments]:
    """Run the service that the examples call."""
    with running_payments() as service:
        monkeypatch.setenv("PAYMENTS_URL", service.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield service


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import an example as Lambda does, from its own folder; forget its modules afterwards."""
    before = set(sys.modules)
    folders: set[Path] = set()

    def load(example: str) -> ModuleType:
        path = EXAMPLES / example
        folders.add(path.parent)
        monkeypatch.syspath_prepend(path.parent)
        return importlib.import_module(path.name)

    yield load
    for path in (path for folder in folders for path in folder.glob("*.py")):
        if path.stem not in before:
            sys.modules.pop(path.stem, None)


@pytest.fixture
def extension(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Stand in for the extension as Lambda has it: what it has read it keeps for 300 s."""
    forget()
    with Emulator(store, secrets_ttl=300.0, parameters_ttl=300.0) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running
    forget()
