"""Web frameworks behind an adapter: FastAPI behind Mangum, Flask behind a WSGI adapter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from lambdasecrets import DeadlineExceededError, Secret, aresolve, resolve
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.examples import run_commands, run_tests
from tests.neighbours.conftest import Load

FASTAPI, FLASK = "fastapi_mangum/app", "neighbours/with_flask"
PASSWORD = "canary-19ab"


def http_event(path: str) -> dict[str, Any]:
    """Make what a function URL or an HTTP API sends."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "orders.example.com"},
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
    }


def body_of(answer: dict[str, Any]) -> Any:
    """Give the status and the body of what goes back."""
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture(autouse=True)
def _values(store: MemoryStore) -> None:
    store.put_secret("orders/database", {"host": "db.internal", "username": "orders", "password": PASSWORD})
    store.put_secret("tenants/acme/key", "theirs")
    store.put_parameter("/orders/regions", ["eu-central-1", "eu-west-1"])


@pytest.mark.parametrize("app", [FASTAPI, FLASK])
def test_routes_read_their_secrets(extension: Emulator, load: Load, app: str) -> None:
    """A route behind the adapter has its values."""
    answer = load(app).handler(http_event("/orders/7"), lambda_context())

    assert body_of(answer) == (200, {"order_id": 7, "read_from": "db.internal"})


def test_a_plain_route_of_fastapi(extension: Emulator, load: Load) -> None:
    """A route that FastAPI runs in a thread has them too."""
    assert body_of(load(FASTAPI).handler(http_event("/regions"), lambda_context())) == (
        200,
        ["eu-central-1", "eu-west-1"],
    )


@pytest.fixture(params=["coroutine", "thread", "flask"])
def add_route(request: pytest.FixtureRequest, load: Load) -> Callable[[Secret], Any]:
    """Give what adds a route `/late` that resolves a secret, each kind of route once; it returns the handler."""

    def add(secret: Secret) -> Any:
        example = load(FLASK if request.param == "flask" else FASTAPI)

        async def read_in_loop() -> str:
            return await aresolve(secret, str, timeout=60.0)

        def read() -> Any:
            return json.dumps(resolve(secret, str, timeout=60.0))

        example.app.get("/late")(read_in_loop if request.param == "coroutine" else read)
        return example.handler

    return add


def test_the_invocations_time_bounds_a_route(extension: Emulator, add_route: Callable[[Secret], Any]) -> None:
    """Inside `invocation` a resolve in a route ends before the invocation does, not after its own timeout."""
    extension.inject(EVERY_FAULT["hang"], times=None)
    handler = add_route(Secret("orders/database"))
    began = time.monotonic()
    try:
        status = handler(http_event("/late"), lambda_context(1.0))["statusCode"]
    except DeadlineExceededError:
        status = 500

    assert (status, time.monotonic() - began < 5.0) == (500, True)


def test_the_invocations_tenant_is_a_routes(extension: Emulator, add_route: Callable[[Secret], Any]) -> None:
    """Inside `invocation` a name with the tenant in it is that of the invocation, whatever runs the route."""
    handler = add_route(Secret("tenants/{context.tenant_id}/key"))
    answer = handler(http_event("/late"), lambda_context(tenant_id="acme"))

    assert (answer["statusCode"], "theirs" in answer["body"]) == (200, True)


@pytest.mark.parametrize("app", [FASTAPI, FLASK])
def test_a_wrong_value_shows_nothing(
    extension: Emulator, store: MemoryStore, load: Load, app: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What the framework logs and answers where a secret does not fit its type has no value in it."""
    store.put_secret("orders/database", {"host": "db.internal", "username": [PASSWORD], "password": PASSWORD})
    answer: Any = None
    try:
        answer = load(app).handler(http_event("/orders/7"), lambda_context())
    except Exception as error:  # noqa: BLE001 - Mangum raises what the application does
        answer = {"statusCode": 500, "body": str(error)}

    assert answer["statusCode"] == 500
    assert PASSWORD not in caplog.text + answer["body"]


def test_the_folder_of_fastapi() -> None:
    """The example's own tests pass, and what its README says of this library's commands works as it is printed."""
    assert run_tests("fastapi_mangum") == (0, 3)
    assert run_commands("fastapi_mangum") == {"invoke": 0, "policy": 0}
