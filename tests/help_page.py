"""The page of help texts, made from the commands: `python -m tests.help_page` writes it."""

from __future__ import annotations

from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "help.md"
COMMANDS: tuple[str, ...] = tuple(get_command(app).commands)  # type: ignore[attr-defined]  # a group has them
_HEAD = "# Help texts\n\nWhat `--help` says. How each command is used is said on the page [Command line](cli.md).\n"


def ask_for_help(*command: str) -> str:
    """Give the help of a command, as on a terminal of 80 columns; of the whole without one."""
    done = CliRunner().invoke(app, [*command, "--help"], prog_name="lambdasecrets", env={"COLUMNS": "80"})
    assert done.exit_code == 0
    return done.stdout


def make_page() -> str:
    """Give the page."""
    sections = [("lambdasecrets", ask_for_help()), *((command, ask_for_help(command)) for command in COMMANDS)]
    blocks = (f"\n## `{name} --help`\n\n```text\n{text}```\n" for name, text in sections)
    return "".join([_HEAD, *blocks])


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
