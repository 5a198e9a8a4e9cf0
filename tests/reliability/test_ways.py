"""The judges of the long runs: they would see a wrong value, and a child that shows one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.reliability.credentials import CREDENTIALS_FAULTS, CredentialsEndpoint
from tests.reliability.machine import Context, client_of
from tests.reliability.ways import NAMES, WAYS, Asking, One, PasswordRefused, Way, password

SECONDS = 5.0
SHORT_SECONDS = 0.3


@pytest.fixture
def old_server() -> Iterator[Emulator]:
    """Serve passwords that are not valid any more."""
    store = MemoryStore()
    for name in NAMES:
        store.put_secret(name, {"name": name, "password": f"{password(name)}-old"})
    with Emulator(store) as emulator, client_of(emulator.environment(), "lean"):
        yield emulator


@pytest.mark.usefixtures("old_server")
@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_value_is_seen(way: Way) -> None:
    """A value that is not the one of its secret is wrong, however it was asked for."""
    assert Asking(way, One, {}).ask(Context(SECONDS)) == ("wrong value", False)


@pytest.mark.usefixtures("old_server")
def test_a_database_refuses_an_old_password() -> None:
    """A handler with `retry_on` fails with an old password, as it would with a database."""
    asking = Asking("handler", One, {"retry_on": (PasswordRefused,)})
    assert asking.ask(Context(SECONDS)) == ("PasswordRefused", False)


def test_the_endpoint_plays_a_fault_as_often_as_it_is_to() -> None:
    """A fault strikes so many answers, and the next is right."""
    store = MemoryStore()
    store.put_secret("middle", {"name": "middle", "password": password("middle")})
    with (
        Emulator(store) as emulator,
        CredentialsEndpoint(emulator.token) as endpoint,
        client_of(endpoint.lead(emulator.environment()), "lean"),
    ):
        asking = Asking("handler", One, {})
        endpoint.inject(CREDENTIALS_FAULTS["internal-error"], None)
        assert asking.ask(Context(SHORT_SECONDS)) == ("CredentialsUnavailableError", False)
        endpoint.inject(CREDENTIALS_FAULTS["internal-error"], 1)
        assert asking.ask(Context(SECONDS)) == ("value", False)
