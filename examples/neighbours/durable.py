"""A durable function: its steps are done once, its secrets are read anew whenever it goes on."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from aws_durable_execution_sdk_python import (
    DurableContext,
    InvocationError,
    StepContext,
    durable_execution,
    durable_step,
)
from aws_durable_execution_sdk_python.config import Duration
from payments import KeyRefusedError, charge
from pydantic import SecretStr

from lambdasecrets import ResolutionError, Secret, inject_secrets, resolve

ApiKey = Annotated[SecretStr, Secret("orders/payments", key="api_key")]


# --8<-- [start:step]
@durable_step
def pay(step: StepContext, order_id: int, api_key: SecretStr) -> str:
    try:
        return charge(order_id, api_key)  # the receipt is checkpointed, the arguments are not
    except KeyRefusedError:  # the SDK retries steps: no `retry_on` outside sees what happens in one
        return charge(order_id, resolve(ApiKey, refresh=True))


# --8<-- [end:step]


# --8<-- [start:again]
def invoke_again(handler: Callable[[Any, DurableContext], Any]) -> Callable[[Any, DurableContext], Any]:
    """Have Lambda repeat the invocation where a secret is not to be had: any other error ends the execution."""

    @wraps(handler)
    def wrapper(event: Any, context: DurableContext) -> Any:
        try:
            return handler(event, context)
        except ResolutionError as error:
            raise InvocationError(str(error)) from error

    return wrapper


# --8<-- [end:again]


# --8<-- [start:handler]
@durable_execution
@invoke_again
@inject_secrets
def handler(event: dict[str, Any], context: DurableContext, *, api_key: ApiKey) -> dict[str, str]:
    deposit = context.step(pay(event["order_id"], api_key))
    context.wait(Duration.from_days(30))
    # Another invocation, from the top: the step above is not done again, and `api_key` is what is valid now.
    rest = context.step(pay(event["order_id"], api_key))
    return {"deposit": deposit, "rest": rest}


# --8<-- [end:handler]
