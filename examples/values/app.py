"""The declared type decides how a value is read: one argument for each row of the table."""

from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, SecretBytes, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Limits(BaseModel):
    daily: int
    monthly: int


@inject_secrets
def handler(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    banner: Annotated[str, Parameter("/values/banner")],
    page_size: Annotated[int, Parameter("/values/page-size")],
    enabled: Annotated[bool, Parameter("/values/enabled")],
    since: Annotated[date, Parameter("/values/since")],
    mode: Annotated[Mode, Parameter("/values/mode")],
    level: Annotated[Literal["low", "high"], Parameter("/values/level")],
    api_key: Annotated[SecretStr, Secret("values/api-key")],
    limits: Annotated[Limits, Parameter("/values/limits")],
    factors: Annotated[dict[str, float], Parameter("/values/factors")],
    regions: Annotated[list[str], Parameter("/values/regions")],
    ports: Annotated[set[int], Parameter("/values/ports")],
    regions_as_text: Annotated[str, Parameter("/values/regions")],
    certificate: Annotated[bytes, Secret("values/certificate")],
    signing_key: Annotated[SecretBytes, Secret("values/api-key")],
    daily: Annotated[int, Parameter("/values/limits", key="daily")],
    theme: Annotated[str | None, Parameter("/values/theme")],
) -> dict[str, Any]:
    return {name: repr(value) for name, value in locals().items() if name not in {"event", "context"}}
