"""What the tests share: an environment without traces of this machine, and an emulator that it leads to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Loaded before any test: a thread that loads it in one test would still run in the next, whose own warning filters
# can make its import fail halfway.
import lambdasecrets._transports.requests  # noqa: F401
from lambdasecrets import use_session
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

_READ = ("AWS_", "LAMBDASECRETS_", "PARAMETERS_SECRETS_EXTENSION_", "SECRETS_MANAGER_", "SSM_PARAMETER_STORE_")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away what this library reads; afterwards, let it forget what it was told."""
    for name in [name for name in os.environ if name.startswith(_READ)]:
        monkeypatch.delenv(name)
    yield
    use_session(None)


@pytest.fixture
def store() -> MemoryStore:
    """Give the emulator's store, to put values in."""
    return MemoryStore()


@pytest.fixture
def emulator(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Stand in for the extension, with an environment that leads to it."""
    with Emulator(store) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running
