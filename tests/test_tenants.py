"""Tenants of one process: each gets its own value, from the wire and from memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from lambdasecrets import InvalidVariableError, Parameter, Secret, aresolve, inject_secrets, invocation, resolve
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context

TENANTS = ("acme", "globex", "initech")
SECRET = Secret("tenants/{context.tenant_id}/key")
PARAMETER = Parameter("/tenants/{context.tenant_id}/size")


@pytest.fixture(autouse=True)
def _values(emulator: Emulator, store: MemoryStore) -> None:
    for tenant in TENANTS:
        store.put_secret(f"tenants/{tenant}/key", f"key of {tenant}")
        store.put_parameter(f"/tenants/{tenant}/size", f"size of {tenant}")


@inject_secrets(max_age=60)
def handler(event: Any, context: Any, *, key: Annotated[str, SECRET], size: Annotated[str, PARAMETER]) -> list[str]:
    """Give the values of the invocation's tenant, injected and resolved."""
    return [key, size, resolve(SECRET, str, max_age=60)]


@inject_secrets(max_age=60)
async def coroutine(event: Any, context: Any, *, key: Annotated[str, SECRET]) -> list[str]:
    """Do so in a loop, beside others."""
    await asyncio.sleep(0)
    return [key, await aresolve(SECRET, str, max_age=60)]


@pytest.mark.parametrize("transport", ["lean", "requests"])
def test_threads(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """In eight threads no invocation gets another tenant's value."""
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", transport)
    tenants = TENANTS * 50

    def invoke(tenant: str) -> list[str]:
        return handler({}, lambda_context(20, tenant_id=tenant))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(invoke, tenants))

    assert found == [[f"key of {tenant}", f"size of {tenant}", f"key of {tenant}"] for tenant in tenants]


def test_coroutines() -> None:
    """Nor does one of many that run at the same time in a loop."""
    tenants = TENANTS * 10

    async def main() -> list[list[str]]:
        return list(await asyncio.gather(*(coroutine({}, lambda_context(20, tenant_id=name)) for name in tenants)))

    assert asyncio.run(main()) == [[f"key of {tenant}"] * 2 for tenant in tenants]


@pytest.mark.parametrize("tenant_id", [None, "", "acme/key", "acme:1", "a b", "{STAGE}", "globex\n", "a" * 257])
def test_what_is_no_tenant(emulator: Emulator, tenant_id: str | None) -> None:
    """An id that could address another name, or none, is an error that does not show it; nothing is sent."""
    with invocation(lambda_context(tenant_id=tenant_id)), pytest.raises(InvalidVariableError) as caught:
        resolve(SECRET, str)

    assert (caught.value.variable, emulator.requests) == ("context.tenant_id", [])
    assert not tenant_id or tenant_id not in str(caught.value)
