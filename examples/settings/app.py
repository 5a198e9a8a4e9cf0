"""A settings class whose secrets come through the extension, and the rest from the environment."""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lambdasecrets import Parameter, Secret
from lambdasecrets.settings import ExtensionSettingsSource

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


# --8<-- [start:settings]
class Database(BaseModel):
    host: str
    password: SecretStr


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ORDERS_")

    database: Annotated[Database, Secret("{STAGE}/orders/database")]
    page_size: Annotated[int, Parameter("/orders/page-size")] = 50
    log_level: str  # carries no declaration: ORDERS_LOG_LEVEL
    attempts: int = 3

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        extension = ExtensionSettingsSource(settings_cls, max_age=30)
        return init_settings, env_settings, dotenv_settings, extension


@cache
def load_settings() -> Settings:
    """Load them at the first invocation: the extension serves nothing while modules are imported."""
    return Settings()  # type: ignore[call-arg]  # its sources give what is missing


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    settings = load_settings()
    return {
        "database": settings.database.host,
        "page_size": settings.page_size,
        "log_level": settings.log_level,
    }


# --8<-- [end:settings]
