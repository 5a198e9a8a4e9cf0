"""The pytest plugin: fixtures over `lambdasecrets.testing`. Until a test asks for one, nothing else is imported."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lambdasecrets.dev.testbed import CallableContext, SecretsExtension

_FILE = "lambdasecrets_secrets_file"
_PROFILE = "lambdasecrets_profile"
_PROFILES = ("extension", "agent")
_FILE_HELP = "secrets file, TOML or JSON, that each use of secrets_extension begins with"
_PROFILE_HELP = "which server secrets_extension is: extension (the default) or agent"

_EXTENSION = pytest.StashKey["SecretsExtension"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings, for the command line and for the configuration file."""
    group = parser.getgroup("lambdasecrets", "lambdasecrets")
    group.addoption("--lambdasecrets-secrets-file", dest=_FILE, metavar="FILE", help=_FILE_HELP)
    group.addoption("--lambdasecrets-profile", dest=_PROFILE, choices=_PROFILES, help=_PROFILE_HELP)
    parser.addini(_FILE, f"{_FILE_HELP}; relative to this file", default="")
    parser.addini(_PROFILE, _PROFILE_HELP, default="extension")


def pytest_configure(config: pytest.Config) -> None:
    """Make the command line's file absolute, because a worker of pytest-xdist may run in another folder."""
    given = config.getoption(_FILE)
    if given:
        setattr(config.option, _FILE, str(config.invocation_params.dir / given))


@pytest.fixture
def lambdasecrets_secrets_file(pytestconfig: pytest.Config) -> Path | None:
    """Name the secrets file that `secrets_extension` begins with; None for none. Override it to choose another."""
    given = pytestconfig.getoption(_FILE) or pytestconfig.getini(_FILE)
    base = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    return base / given if given else None


@pytest.fixture
def lambdasecrets_profile(pytestconfig: pytest.Config) -> str:
    """Say which server `secrets_extension` is: `extension` or `agent`. Override it to choose another."""
    return str(pytestconfig.getoption(_PROFILE) or pytestconfig.getini(_PROFILE))


@pytest.fixture
def secrets_extension(
    request: pytest.FixtureRequest, lambdasecrets_secrets_file: Path | str | None, lambdasecrets_profile: str
) -> Iterator[SecretsExtension]:
    """Run a stand-in for the extension that the environment leads to: `lambdasecrets.testing.secrets_extension`."""
    from lambdasecrets.dev.stores import SecretsFileError  # noqa: PLC0415 - whoever asks for no fixture pays nothing
    from lambdasecrets.dev.testbed import run_extension  # noqa: PLC0415

    if lambdasecrets_profile not in _PROFILES:
        pytest.fail(f"{_PROFILE} takes {' or '.join(_PROFILES)}, not {lambdasecrets_profile!r}.", pytrace=False)
    running = ExitStack()
    try:
        profile: Literal["extension", "agent"] = "agent" if lambdasecrets_profile == "agent" else "extension"
        extension = running.enter_context(run_extension(lambdasecrets_secrets_file, profile))
    except SecretsFileError as error:
        pytest.fail(str(error), pytrace=False)
    with running:
        request.node.stash[_EXTENSION] = extension
        yield extension


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a test that has passed although a handler did not get what it requires. It runs after the test itself."""
    missing = _missing(item)
    if missing:
        pytest.fail(missing, pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Say beside a failure what was missing: the extension's own answer does not tell why it refuses."""
    if call.when == "call" and call.excinfo is not None:
        missing = _missing(item)
        if missing and missing != str(call.excinfo.value):
            item.add_report_section("call", "lambdasecrets", missing)


def _missing(item: pytest.Item) -> str:
    extension = item.stash.get(_EXTENSION, None)
    return "" if extension is None else extension.missing()


@pytest.fixture
def lambda_context() -> CallableContext:
    """Make what Lambda gives beside the event. Time counts down from 3 s; `lambda_context(10)` makes another."""
    from lambdasecrets.dev.testbed import CallableContext  # noqa: PLC0415 - whoever asks for no fixture pays nothing
    from lambdasecrets.testing import DEFAULT_TIMEOUT_SECONDS  # noqa: PLC0415

    return CallableContext.from_environment(DEFAULT_TIMEOUT_SECONDS)
