"""The source for pydantic-settings: what it gives, what it leaves to others, when it asks."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from lambdasecrets import (
    DeclarationError,
    NoTokenError,
    Parameter,
    ResolveEvent,
    Secret,
    SettingError,
    UnresolvedError,
    inject_secrets,
    invocation,
)
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.settings import ExtensionSettingsSource

EVENTS: list[ResolveEvent] = []


class Login(BaseModel):
    user: str
    password: SecretStr


class Part(BaseModel):
    size: Annotated[int, Parameter("/size")] = 1


class Settings(BaseSettings):
    login: Annotated[Login, Secret("login")]
    key: Annotated[str, AfterValidator(lambda text: f"<{text}>"), Secret("key")]
    limit: Annotated[int, Parameter("/limit")] = Field(5, alias="theLimit")
    part: Part = Part()
    host: str
    port: int = 5432

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the others by name, whatever there are
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        source = ExtensionSettingsSource(settings_cls, on_resolve=EVENTS.append)
        return init_settings, others["env_settings"], source


def settings(**given: Any) -> Settings:
    """Make settings; most comes from the sources."""
    return Settings(**given)


def tenants(**given: Any) -> Tenants:
    """Make settings of a tenant."""
    return Tenants(**given)


@pytest.fixture(autouse=True)
def values(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put in what the settings declare, and set what they do not."""
    EVENTS.clear()
    store.put_secret("login", {"user": "u", "password": "p"})
    store.put_secret("key", "k")
    store.put_parameter("/size", "3")
    store.put_parameter("/limit", "7")
    monkeypatch.setenv("HOST", "db.internal")


def targets(emulator: Emulator) -> list[str]:
    """List what was asked for."""
    return sorted(record.target.partition("?")[2].partition("&")[0] for record in emulator.requests)


def test_gives_what_is_declared(emulator: Emulator) -> None:
    """Fields with a declaration come through the extension, asked for together; the others from where they came."""
    made = settings()
    assert (made.login.user, made.key, made.limit, made.part.size) == ("u", "<k>", 7, 3)
    assert (made.host, made.port) == ("db.internal", 5432)
    (event,) = EVENTS
    assert event.owner == f"{__name__}.Settings"
    assert [value.parameter for value in event.values] == [
        "Settings.login",
        "Settings.key",
        "Settings.limit",
        "Settings.part.size",
    ]


def test_asks_for_nothing_that_was_given(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a source before it has given is not asked for."""
    monkeypatch.setenv("KEY", "of the environment")
    made = settings(login={"user": "given", "password": "p"}, theLimit=9)
    assert (made.login.user, made.key, made.limit) == ("given", "<of the environment>", 9)
    assert targets(emulator) == ["name=%2Fsize"]


def test_asks_nobody_where_all_is_given() -> None:
    """Where all is given there need not be a server."""
    made = settings(login={"user": "given", "password": "p"}, key="k", theLimit=9, part=Part())
    assert (made.login.user, EVENTS) == ("given", [])


@pytest.mark.usefixtures("emulator")
def test_leaves_what_does_not_exist_to_the_default(store: MemoryStore) -> None:
    """An optional value that does not exist has its default."""
    store.delete("/limit")
    store.delete("/size")
    made = settings()
    assert (made.limit, made.part.size) == (5, 1)


@pytest.mark.usefixtures("emulator")
def test_what_cannot_be_had_is_an_error(store: MemoryStore) -> None:
    """An error of the library passes as it is, and says which field of which class."""
    store.delete("key")
    with pytest.raises(UnresolvedError, match=rf"'Settings\.key' of {__name__}\.Settings, Secret\('key'\)"):
        settings()


@pytest.mark.usefixtures("emulator")
def test_what_others_give_is_validated_by_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that comes from elsewhere fails as it always did."""
    monkeypatch.delenv("HOST")
    with pytest.raises(ValidationError, match="host"):
        settings()


def test_outside_of_lambda() -> None:
    """Without a token nothing is asked."""
    with pytest.raises(NoTokenError):
        settings()


@pytest.mark.usefixtures("emulator")
def test_as_a_config_model() -> None:
    """The same class can be injected: what the handler got is not asked for again."""

    @inject_secrets
    def handler(event: Any, context: Any, *, config: Settings) -> str:
        return f"{config.key} {config.host}"

    assert handler({}, None) == "<k> db.internal"
    assert EVENTS == []


class Tenants(BaseSettings):
    key: Annotated[str, Secret("{context.tenant_id}/key")]

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # as above
        cls, settings_cls: type[BaseSettings], **others: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (ExtensionSettingsSource(settings_cls),)


class Context:
    tenant_id = "acme"


@pytest.mark.usefixtures("emulator")
def test_in_an_invocation(store: MemoryStore) -> None:
    """Inside an invocation its tenant is known."""
    store.put_secret("acme/key", "of acme")
    with invocation(Context()):
        assert tenants().key == "of acme"


class Undeclared(BaseSettings):
    host: str


def test_nothing_declared() -> None:
    """A settings class without a declaration has no use for the source."""
    with pytest.raises(DeclarationError, match="Undeclared has no field that carries a declaration"):
        ExtensionSettingsSource(Undeclared)


def test_a_bad_option() -> None:
    """A bad option is refused when the source is made."""
    with pytest.raises(SettingError):
        ExtensionSettingsSource(Settings, max_age=-1)


def test_asks_for_no_field_alone() -> None:
    """pydantic-settings may ask for a field: there is nothing to say before all are asked for."""
    source = ExtensionSettingsSource(Settings)
    assert source.get_field_value(Settings.model_fields["key"], "key") == (None, "key", False)


def test_nothing_else_loads_pydantic_settings() -> None:
    """Whoever does not use the source does not need the package."""
    code = "import json, sys\nfrom lambdasecrets import *\nprint(json.dumps('pydantic_settings' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) is False
