"""Durable functions, with AWS's own SDK and its test runner."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from lambdasecrets import DeadlineExceededError, Secret, inject_secrets, resolve
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.neighbours._payments import Payments
from tests.neighbours.conftest import Load

pytest.importorskip("aws_durable_execution_sdk_python_testing", reason="the SDK needs Python 3.11")

from aws_durable_execution_sdk_python import DurableContext, InvocationError, durable_execution
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python.lambda_service import InvocationStatus
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestResult, DurableFunctionTestRunner
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore

CANARY = "canary-5b0c"
NAME = "orders/payments"


class LoginError(Exception):
    """The handler was not let in."""


def run(handler: Any, event: object, **options: Any) -> DurableFunctionTestResult:
    """Run an execution to its end; waits take no time."""
    with DurableFunctionTestRunner(handler, **options) as runner:
        return runner.run(input=json.dumps(event))


@pytest.fixture(autouse=True)
def _first_key(store: MemoryStore, payments: Payments) -> None:
    store.put_secret(NAME, {"api_key": CANARY})
    payments.key = CANARY


# --- The example ----------------------------------------------------------------------------------------------------


def test_the_example(extension: Emulator, payments: Payments, load: Load) -> None:
    """Each step is done once, though the handler runs from its top again after the wait."""
    result = run(load("neighbours/durable").handler, {"order_id": 7})

    assert (result.status, result.result) == (
        InvocationStatus.SUCCEEDED,
        '{"deposit": "receipt-1", "rest": "receipt-2"}',
    )
    assert payments.charges == [7, 7]


def test_a_rotation_is_met_in_the_step(extension: Emulator, store: MemoryStore, payments: Payments, load: Load) -> None:
    """A key that the extension still has is refused once, and fetched anew within the step that met it."""
    handler = load("neighbours/durable").handler
    run(handler, {"order_id": 7})
    payments.key = f"{CANARY}-2"
    store.put_secret(NAME, {"api_key": payments.key})
    result = run(handler, {"order_id": 8})

    assert (result.status, payments.charges, payments.refused) == (InvocationStatus.SUCCEEDED, [7, 7, 8, 8], 1)


def test_what_cannot_be_resolved_repeats_the_invocation(extension: Emulator, payments: Payments, load: Load) -> None:
    """With the example's decorator a secret that is not to be had is an error of the invocation alone."""
    handler = load("neighbours/durable").handler
    repeated: list[str] = []

    def invoke(event: Any, context: Any) -> Any:
        try:
            return handler(event, context)
        except InvocationError as error:
            repeated.append(str(error))
            return handler(event, context)  # as Lambda does, which the runner does after 5 s at the earliest

    extension.inject(EVERY_FAULT["bad-session-token"], times=2)
    result = run(invoke, {"order_id": 7})

    assert (result.status, payments.charges, len(repeated)) == (InvocationStatus.SUCCEEDED, [7, 7], 1)
    assert "AWS_SESSION_TOKEN" in repeated[0]


def test_no_secret_is_checkpointed(extension: Emulator, payments: Payments, load: Load) -> None:
    """What the service stores of an execution has results and names, and no value."""
    store = InMemoryExecutionStore()
    run(load("neighbours/durable").handler, {"order_id": 7}, store=store)
    (execution,) = store.list_all()
    stored = json.dumps(execution.to_json_dict())

    assert ("receipt-1" in stored, "receipt-2" in stored, CANARY in stored) == (True, True, False)


# --- What the page says ---------------------------------------------------------------------------------------------


def test_an_unresolved_secret_ends_the_execution(extension: Emulator) -> None:
    """Without it every error does: the SDK takes it for the function's last word."""

    @durable_execution
    @inject_secrets
    def handler(event: Any, context: DurableContext, *, key: Annotated[str, Secret(NAME)]) -> None:
        raise AssertionError  # pragma: no cover - there is no key

    extension.inject(EVERY_FAULT["bad-session-token"], times=2)
    result = run(handler, {})

    assert result.error is not None
    assert (result.status, (result.error.type or "").rpartition(".")[2]) == (
        InvocationStatus.FAILED,
        "TokenRejectedError",
    )


def test_there_is_no_second_run(extension: Emulator, store: MemoryStore) -> None:
    """With `retry_on` outside of a step the error goes on, finished steps stay done, and the next execution works."""
    done: list[str] = []
    passwords = {"valid": "first"}

    @durable_execution
    @inject_secrets(retry_on=(LoginError,))
    def handler(event: Any, context: DurableContext, *, key: Annotated[str, Secret("db")]) -> str:
        context.step(lambda _: done.append("step"), name="once")
        done.append(key)
        if key != passwords["valid"]:
            raise LoginError
        return "in"

    store.put_secret("db", "first")
    run(handler, {})
    passwords["valid"] = "second"
    store.put_secret("db", "second")
    failed, worked = run(handler, {}), run(handler, {})

    assert (failed.status, worked.status) == (InvocationStatus.FAILED, InvocationStatus.SUCCEEDED)
    assert done == ["step", "first", "step", "first", "step", "second"]


def test_values_are_read_anew_after_a_wait(extension: Emulator, store: MemoryStore) -> None:
    """What was injected before a wait is resolved again after it: a replay has what is valid then."""
    seen: list[str] = []

    @durable_execution
    @inject_secrets
    def handler(event: Any, context: DurableContext, *, key: Annotated[str, Secret("db")]) -> None:
        seen.append(key)
        context.step(lambda _: store.put_secret("db", "second"), name="rotate")
        extension.clear_cache()  # the extension's copy is too old by then
        context.wait(Duration.from_days(1))

    store.put_secret("db", "first")
    run(handler, {})

    assert seen == ["first", "second"]


def test_branches_give_their_context(extension: Emulator, store: MemoryStore) -> None:
    """In a parallel branch, on a thread of the SDK's, `context=` says whose time and whose tenant it is."""
    found: list[str] = []

    def read(branch: DurableContext) -> None:
        found.append(resolve(Secret("tenants/{context.tenant_id}/db"), str, context=branch))

    def be_late(branch: DurableContext) -> None:
        try:
            resolve(Secret("late"), str, context=branch)
        except DeadlineExceededError as error:
            found.append(error.bound)

    @durable_execution
    def handler(event: Any, context: DurableContext) -> None:
        context.parallel([read, be_late])

    store.put_secret("tenants/acme/db", "theirs")
    extension.inject(EVERY_FAULT["hang"], times=None, match="late")

    def invoke(event: Any, _: Any) -> Any:
        context: Any = lambda_context(0.8, tenant_id="acme")
        return handler(event, context)

    result = run(invoke, {})

    assert (result.status, sorted(found)) == (InvocationStatus.SUCCEEDED, ["invocation", "theirs"])
