"""The handler under test."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@inject_secrets
def handler(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    database: Annotated[Database, Secret("{STAGE}/orders/database")],
    page_size: Annotated[int, Parameter("/orders/page-size")] = 50,
) -> str:
    return f"{event['order_id']} in {database.host}, {page_size} at a time"
