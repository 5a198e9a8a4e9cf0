from __future__ import annotations

from pathlib import Path

import pytest

from tests.dev.cli.running import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a handler and a secrets file in folders of their own; be somewhere below it."""
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "secrets.toml").write_text('[environment]\nSTAGE = "dev"', encoding="utf-8")
    package = tmp_path / "src" / "project_of_cli"
    package.mkdir(parents=True)
    code = "def handler(event, context):\n    import os\n    return [os.environ['STAGE'], context.tenant_id]"
    (package / "api.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(package)
    return tmp_path


def configure(folder: Path, text: str) -> None:
    """Write the project's file."""
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def test_options_that_repeat(folder: Path) -> None:
    """A key is for every command that has the option, a table for one; paths count from the file's folder."""
    configure(
        folder,
        """
        [tool.lambdasecrets]
        secrets = "local/secrets.toml"
        root = "src"
        env = ["STAGE=of the project"]
        [tool.lambdasecrets.invoke]
        tenant-id = "acme"
        """,
    )
    target = "project_of_cli.api:handler"

    assert run("invoke", target) == (0, '["of the project", "acme"]\n', "")
    assert run("invoke", target, "--env", "STAGE=x", "--tenant-id", "y") == (0, '["x", "y"]\n', "")
    assert "Error: there is no fault 'no'" in run("serve", "--port", "0", "--fault", "no")[2]


def test_a_project_without_options(folder: Path) -> None:
    """A pyproject.toml without the table is passed by, and so is the one above it where the nearest has it."""
    configure(folder, '[tool.lambdasecrets]\nsecrets = "local/secrets.toml"')
    (folder / "src" / "pyproject.toml").write_text("[tool.other]\nx = 1", encoding="utf-8")

    assert run("invoke", "api.py:handler")[:2] == (0, '["dev", null]\n')


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[tool.lambdasecrets]\nsecret = 1",
            "[tool.lambdasecrets]: no command has an option 'secret': use account, architecture, aws, ",
        ),
        (
            "[tool.lambdasecrets.invoke]\nport = 1",
            "[tool.lambdasecrets.invoke]: the command has no option 'port': use aws, env, ",
        ),
        ("[tool]\nlambdasecrets = 1", "[tool.lambdasecrets]: expected a table."),
        ("[tool.lambdasecrets]\ninvoke = 1", "[tool.lambdasecrets.invoke]: expected a table."),
    ],
)
def test_a_mistake_in_the_table_is_one_line(folder: Path, text: str, problem: str) -> None:
    """What no command has is named with what there is."""
    configure(folder, text)
    code, out, err = run("invoke", "api.py:handler")

    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {folder}/pyproject.toml, {problem}")


def test_a_project_that_cannot_be_read(folder: Path) -> None:
    """A pyproject.toml that is no TOML is named."""
    configure(folder, "[tool")
    code, _, err = run("invoke", "api.py:handler")

    assert code == 2
    assert err.startswith(f"Error: {folder}/pyproject.toml: cannot read it: ")


def test_a_value_of_the_wrong_kind(folder: Path) -> None:
    """A value that the option does not take is refused as on the command line."""
    configure(folder, '[tool.lambdasecrets]\nsecrets = "local/secrets.toml"\ntimeout = "long"')
    code, _, err = run("invoke", "api.py:handler")

    assert code == 2
    assert "Invalid value for '--timeout': " in err
