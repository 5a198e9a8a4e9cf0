"""Small recipes: values that may be missing, flags, tenants, API keys, databases of RDS, another account's values."""

from hmac import compare_digest
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets, resolve


# --8<-- [start:optional]
@inject_secrets
def greet(
    event: dict[str, Any],
    context: object,
    *,
    banner: Annotated[str, Parameter("/orders/banner")] = "Welcome",
    sentry_dsn: Annotated[SecretStr | None, Secret("orders/sentry")] = None,
) -> dict[str, Any]:
    return {"banner": banner, "reports_errors": sentry_dsn is not None}


# --8<-- [end:optional]


# --8<-- [start:flags]
class Flags(BaseModel, frozen=True):
    new_checkout: bool = False
    percent: int = 0


ALL_OFF = Flags()


@inject_secrets(max_age=30)
def check_out(
    event: dict[str, Any], context: object, *, flags: Annotated[Flags, Parameter("/orders/flags")] = ALL_OFF
) -> str:
    is_chosen = flags.new_checkout and event["order_id"] % 100 < flags.percent
    return "new checkout" if is_chosen else "old checkout"


# --8<-- [end:flags]


# --8<-- [start:tenant]
class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


@inject_secrets
def read_tenant(
    event: dict[str, Any],
    context: object,
    *,
    database: Annotated[Database, Secret("tenants/{context.tenant_id}/database")],
) -> str:
    return database.host


# --8<-- [end:tenant]


# --8<-- [start:tenant_role]
@inject_secrets(fallback="aws")
def read_with_tenants_role(
    event: dict[str, Any],
    context: object,
    *,
    database: Annotated[
        Database,
        Secret(
            "tenants/{context.tenant_id}/database",
            role_arn="arn:aws:iam::123456789012:role/tenants/{context.tenant_id}",
        ),
    ],
) -> str:
    return database.host


# --8<-- [end:tenant_role]


# --8<-- [start:keys]
def is_key(given: str, *keys: SecretStr | None) -> bool:
    """Compare in the same time whatever the difference is."""
    return any(compare_digest(given.encode(), key.get_secret_value().encode()) for key in keys if key)


@inject_secrets(max_age=30, stale_if_error=600)
def authorize(
    event: dict[str, Any],
    context: object,
    *,
    key: Annotated[SecretStr, Secret("orders/api-key")],
    previous: Annotated[SecretStr | None, Secret("orders/api-key", version_stage="AWSPREVIOUS")] = None,
) -> dict[str, bool]:
    return {"isAuthorized": is_key(event["headers"].get("x-api-key", ""), key, previous)}


# --8<-- [end:keys]


# --8<-- [start:rds]
class RdsUser(BaseModel, frozen=True):
    username: str
    password: SecretStr


class Endpoint(BaseModel, frozen=True):
    host: str
    port: int = 5432
    dbname: str


@inject_secrets
def connect(
    event: dict[str, Any],
    context: object,
    *,
    user: Annotated[RdsUser, Secret("{DB_SECRET_ARN}")],  # RDS's own secret has no host
    endpoint: Annotated[Endpoint, Parameter("/orders/database")],
) -> str:
    return f"{user.username}@{endpoint.host}:{endpoint.port}/{endpoint.dbname}"


# --8<-- [end:rds]


# --8<-- [start:account]
PARTNER = "arn:aws:secretsmanager:eu-west-1:999988887777:secret:partner/api-key-a1B2c3"


@inject_secrets
def call_partner(
    event: dict[str, Any],
    context: object,
    *,
    key: Annotated[SecretStr, Secret(PARTNER)],  # a whole ARN: the name alone would be this account's
) -> bool:
    return bool(key)


# --8<-- [end:account]


# --8<-- [start:checked]
def require_https(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError("it has to begin with https://")
    return url


Webhook = Annotated[str, AfterValidator(require_https), Parameter("/orders/webhook")]
# --8<-- [end:checked]


def notify(event: dict[str, Any], context: object) -> str:
    """Say where to: outside a handler's signature, by `resolve`."""
    return resolve(Webhook)
