"""FastAPI's own `Depends`, behind Mangum, with callables of `lambdasecrets.powertools`."""

# No annotations as texts: FastAPI would not find what is local to a fixture.

import time
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from mangum import Mangum
from pydantic import BaseModel, SecretStr

from lambdasecrets import Secret, invocation
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.powertools import adependency, dependency
from lambdasecrets.testing import lambda_context
from tests.neighbours.test_web import body_of, http_event


class Database(BaseModel, frozen=True):
    host: str
    password: SecretStr


@pytest.fixture(params=[dependency, adependency], ids=["in a thread", "in the loop"])
def depend(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Give what makes the callable of a plain function's kind, then of a coroutine's."""
    return lambda: request.param(Secret("orders/database"), Database, timeout=60.0)


@pytest.fixture
def app(depend: Callable[[], Any]) -> FastAPI:
    """Make an app with a route that depends on a secret, twice."""
    made = FastAPI()

    @made.get("/host")
    async def host(
        database: Annotated[Database, Depends(depend())], again: Annotated[Database, Depends(depend())]
    ) -> dict[str, Any]:
        return {"host": database.host, "is_same": database is again}

    return made


def ask(app: FastAPI, context: Any) -> dict[str, Any]:
    """Send a request through the app, as Lambda would."""
    with invocation(context):
        return Mangum(app, lifespan="off")(http_event("/host"), context)


def test_the_value_of_a_route(app: FastAPI, depend: Callable[[], Any], store: MemoryStore, extension: Emulator) -> None:
    """A route has its value; FastAPI asks once for equal declarations, and documents no parameter for it."""
    store.put_secret("orders/database", {"host": "db.internal", "password": "made up"})

    assert body_of(ask(app, lambda_context())) == (200, {"host": "db.internal", "is_same": True})
    assert len(extension.requests) == 1
    assert "parameters" not in app.openapi()["paths"]["/host"]["get"]


def test_overridden(app: FastAPI, depend: Callable[[], Any]) -> None:
    """`dependency_overrides` finds it by an equal declaration: no server is asked."""
    app.dependency_overrides[depend()] = lambda: Database(host="of the test", password=SecretStr(""))

    assert body_of(ask(app, lambda_context())) == (200, {"host": "of the test", "is_same": True})


def test_ends_before_the_invocation(app: FastAPI, extension: Emulator) -> None:
    """Its deadline is the invocation's, in the loop and in a thread of FastAPI's."""
    extension.inject(EVERY_FAULT["hang"], times=None)
    began = time.monotonic()
    status = ask(app, lambda_context(1.0))["statusCode"]

    assert (status, time.monotonic() - began < 5.0) == (500, True)
