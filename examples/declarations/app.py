"""Every way to declare a value."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# --8<-- [start:alias]
class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


OrdersDatabase = Annotated[Database, Secret("{STAGE}/orders/database")]
# --8<-- [end:alias]

PageSize = Annotated[int, Field(gt=0, le=500), Parameter("/orders/page-size")]


# --8<-- [start:use]
@inject_secrets
def read(event: dict[str, Any], context: "LambdaContext", *, database: OrdersDatabase) -> str:
    return f"reads from {database.host}"


@inject_secrets
def write(event: dict[str, Any], context: "LambdaContext", *, database: OrdersDatabase, page_size: PageSize) -> str:
    return f"writes to {database.host}, {page_size} at a time"


# --8<-- [end:use]


# --8<-- [start:versions]
@inject_secrets
def rotate(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    current: OrdersDatabase,
    previous: Annotated[Database, Secret("{STAGE}/orders/database", version_stage="AWSPREVIOUS")],
    first_page_size: Annotated[int, Parameter("/orders/page-size", version=1)],
    tested_page_size: Annotated[int, Parameter("/orders/page-size", label="tested")],
) -> dict[str, Any]:
    return {
        "password_changed": current.password != previous.password,
        "first_page_size": first_page_size,
        "tested_page_size": tested_page_size,
    }


# --8<-- [end:versions]


# --8<-- [start:members]
@inject_secrets
def charge(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    api_key: Annotated[SecretStr, Secret("{STRIPE_SECRET_ARN}", key="api_key")],
    webhook: Annotated[SecretStr, Secret("{STRIPE_SECRET_ARN}", key="webhook")],
) -> bool:
    return bool(api_key) and bool(webhook)


# --8<-- [end:members]


# --8<-- [start:defaults]
@inject_secrets
def show(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    banner: Annotated[str, Parameter("/orders/banner")] = "Welcome",
    theme: Annotated[str | None, Parameter("/orders/theme")] = None,
) -> dict[str, Any]:
    return {"banner": banner, "theme": theme}


# --8<-- [end:defaults]
