"""A handler that charges an order once, however often its event comes."""

import os
from typing import Annotated, Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from payments import KeyRefusedError, charge
from pydantic import SecretStr

from lambdasecrets import Secret, inject_secrets

table = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="order_id")


@idempotent(persistence_store=table, config=config)
@inject_secrets(retry_on=(KeyRefusedError,))
def handler(
    event: dict[str, Any], context: Any, *, api_key: Annotated[SecretStr, Secret("orders/payments", key="api_key")]
) -> dict[str, str]:
    return {"receipt": charge(event["order_id"], api_key)}
