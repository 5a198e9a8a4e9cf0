"""freezegun, which many tests have around a handler: its clocks stand still, the monotonic one too."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import freezegun
import pytest
from freezegun import freeze_time
from requests import Session

from lambdasecrets import LambdaSecretsError, Secret, inject_secrets, resolve, use_session
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context

# freezegun looks at every attribute of every module, so that Powertools imports what it has not yet while the clock is
# frozen already; pydantic then fails at freezegun's datetime.
freezegun.configure(extend_ignore_list=["aws_lambda_powertools"])

pytestmark = pytest.mark.parametrize("transport", ["sockets", "requests"])


@inject_secrets
def handler(event: Any, context: Any, *, key: Annotated[str, Secret("db")]) -> str:
    """Give the value."""
    return key


@pytest.fixture(autouse=True)
def _transport(transport: str, extension: Emulator, store: MemoryStore) -> None:
    store.put_secret("db", "first")
    if transport == "requests":
        use_session(Session())


@pytest.mark.parametrize("moment", ["2020-02-29", "2099-12-31"])
def test_a_frozen_clock(moment: str) -> None:
    """A handler under a frozen clock gets its values."""
    with freeze_time(moment):
        assert handler({}, lambda_context()) == "first"


@pytest.mark.parametrize("fault", ["refuse", "unresolved", "internal-error", "hang", "not-ready"])
def test_what_fails_ends(extension: Emulator, fault: str) -> None:
    """While the clock stands still attempts are counted: what fails for good ends, and not with a foreign error."""
    extension.inject(EVERY_FAULT[fault], times=None)
    with freeze_time("2026-11-30"), pytest.raises(LambdaSecretsError):
        resolve(Secret("db"), str, timeout=0.5)


def test_a_clock_that_moves(extension: Emulator) -> None:
    """What a test lets pass counts as age; where it turns the clock back, no value is fresh for that reason."""
    asked: list[int] = []
    with freeze_time("2026-11-30") as clock:
        for seconds in (0, 59, 2, -3600):
            clock.tick(timedelta(seconds=seconds))
            resolve(Secret("db"), str, max_age=60)
            asked.append(len(extension.requests))

    assert asked == [1, 1, 2, 3]
