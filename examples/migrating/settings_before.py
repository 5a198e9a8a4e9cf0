"""By pydantic-settings: the password is a variable of the function, for everybody who may look at its configuration."""

from functools import cache
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DB_")

    host: str
    username: str
    password: SecretStr


@cache
def load_settings() -> Settings:
    return Settings()  # type: ignore[call-arg]  # the environment gives what is missing


def handler(event: dict[str, Any], context: object) -> str:
    settings = load_settings()
    return f"{settings.username}@{settings.host}"
