"""The pytest plugin, in runs of pytest of its own: fixtures, settings, missing values, xdist, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lambdasecrets.dev.testbed  # noqa: F401 - here, so that the inner runs, whose imports are undone, need not

pytest_plugins = ["pytester"]

PLUGIN = "lambdasecrets.dev.pytest_plugin"
SECONDS = 120.0

APP = """
from typing import Annotated
from lambdasecrets import LambdaSecretsError, Parameter, Secret, inject_secrets

@inject_secrets
def handler(event, context, *, host: Annotated[str, Secret("prod/db", key="host")],
            size: Annotated[int, Parameter("/size")] = 50):
    return host, size

def swallow():
    try:
        return handler({}, None)
    except LambdaSecretsError:
        return None
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Make a folder with a handler, where no plugin loads by itself: the others here take seconds."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(app=APP)
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the folder's tests with the plugin."""
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", PLUGIN, *args)


def test_a_test_in_a_few_lines(project: pytest.Pytester) -> None:
    """A test puts values, and calls the handler with a context."""
    project.makepyfile(
        """
        from app import handler

        def test_it(secrets_extension, lambda_context):
            secrets_extension.secrets["prod/db"] = {"host": "db"}
            secrets_extension.parameters["/size"] = 7
            assert handler({}, lambda_context) == ("db", 7)
            assert len(secrets_extension.requests) == 2

        def test_a_default(secrets_extension, lambda_context):
            secrets_extension.secrets["prod/db"] = {"host": "db"}
            assert handler({}, lambda_context) == ("db", 50)
        """
    )
    run(project).assert_outcomes(passed=2)


def test_a_required_name_that_nobody_put(project: pytest.Pytester) -> None:
    """A test whose handler did not get what it requires fails with the name, swallowed or not, and others go on."""
    project.makepyfile(
        """
        from app import handler, swallow

        def test_swallowed(secrets_extension):
            swallow()

        def test_raised(secrets_extension):
            handler({}, None)

        def test_denied(secrets_extension):
            secrets_extension.deny("prod/db")
            swallow()

        def test_put(secrets_extension):
            secrets_extension.secrets["prod/db"] = {"host": "db"}
            swallow()
        """
    )
    result = run(project)

    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(
        [
            "*_ test_swallowed _*",
            "A handler asked for what it requires, and nobody put it into secrets_extension:",
            "  - secrets_extension.secrets?'prod/db'? = ...  (*",
            "*_ test_raised _*",
            "*Captured lambdasecrets*",
            "  - secrets_extension.secrets?'prod/db'? = ...  (*",
        ],
    )
    result.stdout.no_fnmatch_line("*During handling*")


def test_a_missing_name_in_another_fixture(project: pytest.Pytester) -> None:
    """It does not matter who asked for the fixture, or in which test class."""
    project.makepyfile(
        """
        import unittest
        import pytest
        from app import swallow

        @pytest.fixture
        def extension(secrets_extension):
            return secrets_extension

        def test_indirect(extension):
            swallow()

        @pytest.mark.usefixtures("secrets_extension")
        class TestCase(unittest.TestCase):
            def test_case(self):
                swallow()
        """
    )
    run(project).assert_outcomes(failed=2)


def test_other_outcomes_stay(project: pytest.Pytester) -> None:
    """A test that fails by itself, is skipped or is expected to fail is what it is, with or without the fixture."""
    project.makepyfile(
        """
        import pytest

        def test_fails(secrets_extension):
            assert 1 == 2

        def test_skips(secrets_extension):
            pytest.skip("later")

        @pytest.mark.xfail
        def test_expected(secrets_extension):
            assert 1 == 2

        def test_without():
            assert 1 == 2
        """
    )
    result = run(project)

    result.assert_outcomes(failed=2, skipped=1, xfailed=1)
    result.stdout.no_fnmatch_line("*Captured lambdasecrets*")


CONTEXT_TEST = """
def test_it(lambda_context):
    assert 0 < lambda_context.get_remaining_time_in_millis() <= 3000
    assert lambda_context.tenant_id is None
    other = lambda_context(10, tenant_id="acme")
    assert 9000 < other.get_remaining_time_in_millis() <= 10000
    assert other.tenant_id == "acme"
    assert other.aws_request_id != lambda_context.aws_request_id
"""


def test_a_context(project: pytest.Pytester) -> None:
    """The context counts down, and makes others with other times and tenants."""
    project.makepyfile(CONTEXT_TEST)
    run(project).assert_outcomes(passed=1)


# --- Settings -----------------------------------------------------------------------------------------------------

FILE = """
[environment]
STAGE = "test"
[secrets]
"prod/db" = { host = "file" }
"""
FILE_TEST = """
import os
from app import handler

def test_it(secrets_extension):
    assert os.environ["STAGE"] == "test"
    assert handler({}, None) == ("file", 50)
"""
PROFILE_TEST = """
import pytest
from lambdasecrets import NotFoundError, Secret, resolve

def test_it(secrets_extension, lambdasecrets_profile):
    assert lambdasecrets_profile == "agent"
    secrets_extension.deny("b")
    with pytest.raises(Exception) as caught:
        resolve(Secret("b"), str)
    assert type(caught.value).__name__ == "AccessDeniedError"
"""


@pytest.mark.parametrize("config", ["pyproject", "pytest.ini"])
def test_a_file_in_the_configuration(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    """The configuration names a secrets file, relative to itself, wherever pytest is started."""
    if config == "pyproject":
        project.makepyprojecttoml('[tool.pytest.ini_options]\nlambdasecrets_secrets_file = "data/secrets.toml"')
    else:
        project.makeini("[pytest]\nlambdasecrets_secrets_file = data/secrets.toml")
    (project.path / "data").mkdir()
    (project.path / "data/secrets.toml").write_text(FILE, encoding="utf-8")
    project.makepyfile(FILE_TEST)
    monkeypatch.chdir(project.path / "data")
    run(project, "..").assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_a_file_on_the_command_line(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    """The command line names a secrets file, relative to where pytest is started, and wins over the configuration."""
    project.makeini("[pytest]\nlambdasecrets_secrets_file = none.toml\nlambdasecrets_profile = extension")
    (project.path / "secrets.toml").write_text(FILE, encoding="utf-8")
    project.makepyfile(FILE_TEST)
    run(project, "--lambdasecrets-secrets-file", "secrets.toml", *workers).assert_outcomes(passed=1)


def test_no_configuration_file(project: pytest.Pytester) -> None:
    """Where there is no configuration file, there is no secrets file either."""
    project.makepyfile("def test_it(lambdasecrets_secrets_file): assert lambdasecrets_secrets_file is None")
    run(project).assert_outcomes(passed=1)


@pytest.mark.parametrize("how", ["ini", "option", "fixture"])
def test_the_profile(project: pytest.Pytester, how: str) -> None:
    """The configuration, the command line and a fixture of the project's own choose the server."""
    project.makepyfile(PROFILE_TEST)
    if how == "ini":
        project.makeini("[pytest]\nlambdasecrets_profile = agent")
    if how == "fixture":
        project.makeconftest("import pytest\n@pytest.fixture\ndef lambdasecrets_profile(): return 'agent'")
    run(project, *(["--lambdasecrets-profile=agent"] if how == "option" else [])).assert_outcomes(passed=1)


def test_settings_are_fixtures(project: pytest.Pytester) -> None:
    """A module overrides the secrets file for its own tests."""
    (project.path / "other.toml").write_text(FILE, encoding="utf-8")
    project.makepyfile(
        f"import pytest\n{FILE_TEST}\n@pytest.fixture\ndef lambdasecrets_secrets_file(): return 'other.toml'"
    )
    run(project).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("lambdasecrets_profile = agnet", "lambdasecrets_profile takes extension or agent, not 'agnet'."),
        ("lambdasecrets_secrets_file = none.toml", "*none.toml: cannot read the file: No such file or directory."),
    ],
)
def test_a_setting_that_cannot_be_used(project: pytest.Pytester, config: str, says: str) -> None:
    """A wrong setting is one line, and no traceback."""
    project.makeini(f"[pytest]\n{config}")
    project.makepyfile("def test_it(secrets_extension): pass")
    result = run(project)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_settings_are_listed(project: pytest.Pytester) -> None:
    """Pytest's own help and list of fixtures name them, with what they do."""
    result = run(project, "--help")
    result.stdout.fnmatch_lines(["*--lambdasecrets-secrets-file=FILE*", "*--lambdasecrets-profile={extension,agent}*"])
    result.stdout.fnmatch_lines_random(["*lambdasecrets_secrets_file (string)*", "*lambdasecrets_profile (string)*"])
    result = run(project, "--fixtures")
    result.stdout.fnmatch_lines_random(
        ["secrets_extension *", "lambda_context *", "lambdasecrets_profile *", "lambdasecrets_secrets_file *"]
    )


# --- xdist, and the cost ------------------------------------------------------------------------------------------


def test_workers_do_not_meet(project: pytest.Pytester) -> None:
    """Under pytest-xdist each worker has a server of its own, and each test finds what it put."""
    project.makepyfile(
        """
        import pytest
        from app import handler, swallow

        @pytest.mark.parametrize("n", range(12))
        def test_it(secrets_extension, n):
            if n % 4 == 3:
                return swallow()
            secrets_extension.secrets["prod/db"] = {"host": f"db{n}"}
            assert handler({}, None) == (f"db{n}", 50)
        """
    )
    result = project.runpytest_subprocess("-p", "xdist", "-p", PLUGIN, "-n", "2")

    result.assert_outcomes(passed=9, failed=3)
    result.stdout.fnmatch_lines(["*secrets_extension.secrets?'prod/db'? = ...*"])


def test_the_entry_point(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin loads by itself where it is installed, unless plugins are turned off."""
    project.makepyfile("def test_it(secrets_extension): pass")
    project.runpytest_inprocess().assert_outcomes(errors=1)
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    project.runpytest_inprocess().assert_outcomes(passed=1)


PROBE = """
import json, sys
import pytest
known = set(sys.modules)
import lambdasecrets.dev.pytest_plugin
print(json.dumps(sorted(set(sys.modules) - known)))
"""


def test_what_the_plugin_imports() -> None:
    """A run of pytest that asks for no fixture imports nothing of the library but the plugin."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True, timeout=SECONDS)

    assert json.loads(done.stdout) == ["lambdasecrets", "lambdasecrets.dev", "lambdasecrets.dev.pytest_plugin"]
