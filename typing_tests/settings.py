"""The source for pydantic-settings is one of its sources, and takes its options by keyword."""

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from typing_extensions import assert_type

from lambdasecrets.settings import ExtensionSettingsSource
from typing_tests.models import OrdersDatabase


class Settings(BaseSettings):
    database: OrdersDatabase


def accepted() -> None:
    source: PydanticBaseSettingsSource = ExtensionSettingsSource(Settings, max_age=30, timeout=2.5, fallback="aws")
    assert_type(ExtensionSettingsSource(Settings), ExtensionSettingsSource)
    assert_type(source.settings_cls, type[BaseSettings])


def rejected() -> None:
    ExtensionSettingsSource()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ExtensionSettingsSource(OrdersDatabase)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ExtensionSettingsSource(Settings, 30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ExtensionSettingsSource(Settings, fallback="gcp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
