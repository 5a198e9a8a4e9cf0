"""Validators for texts that need a hand before they are read: a line break at the end, a list with commas."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, PlainValidator, SecretStr

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

StrippedSecret = Annotated[SecretStr, BeforeValidator(str.strip)]


def split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


@inject_secrets
def handler(
    event: dict[str, Any],
    context: "LambdaContext",
    *,
    api_key: Annotated[StrippedSecret, Secret("validators/api-key")],
    regions: Annotated[list[str], PlainValidator(split), Parameter("/validators/regions")],
) -> dict[str, Any]:
    return {"length": len(api_key.get_secret_value()), "regions": regions}
