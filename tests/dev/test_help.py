"""The help of every command: its page, its parts, and where it has colours."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.help_page import COMMANDS, PAGE, ask_for_help, make_page
from tests.pages import ROOT, headings

SECONDS = 60.0


def test_the_page_of_help_texts() -> None:
    """The page has the help of every command as it is: `python -m tests.help_page` writes it."""
    assert PAGE.read_text(encoding="utf-8") == make_page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_how_it_ends(command: str) -> None:
    """The help has examples of the command, and its exit codes: always what misuse is."""
    text = ask_for_help(command)

    assert re.search(rf"^  Examples:\n    lambdasecrets {command}\b", text, re.MULTILINE)
    assert re.search(r"^  Exit codes:\n    0  .+\n(    1  .+\n)?    2  .+\n", text, re.MULTILINE)


def test_the_summary_of_every_command_is_whole() -> None:
    """The list of commands cuts no summary short."""
    assert "..." not in ask_for_help().partition("Commands:")[2]


PAGES = {
    "agent-config": ("agent.md", "Prefetch"),
    "check": ("check.md", "A check before deploying"),
    "init": ("schema.md", "A first secrets file"),
    "invoke": ("cli.md", "`invoke`"),
    "layer": ("layer.md", "The layer"),
    "policy": ("policy.md", "IAM: permissions of a role"),
    "schema": ("schema.md", "A schema of each value"),
    "serve": ("cli.md", "`serve`"),
}
"""Where each command is described: the page and the heading."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page(command: str) -> None:
    """The command's page has a heading for it, and a line in a table for each option of its help."""
    page, heading = PAGES[command]
    path = ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))

    assert heading in headings(path)
    assert set(re.findall(r"^  (--[a-z-]+)", ask_for_help(command), re.MULTILINE)) - documented == set()


APP = """
from typing import Annotated
from lambdasecrets import Parameter, inject_secrets

@inject_secrets
def handler(event, context, *, size: Annotated[int, Parameter("/size")] = 50): ...
"""
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.13}
"""
COLOURED = [
    ("check", "app.py", "--secrets", "secrets.toml"),
    ("check", "--template", "template.yaml"),
]
PLAIN = [("nowhere",), ("check", "nowhere.py", "--secrets", "secrets.toml"), ("schema", "app.py"), ("serve",)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a handler, a secrets file and a template."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "secrets.toml").write_text("", encoding="utf-8")
    (tmp_path / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str, terminal: bool) -> bytes:
    """Run a command, on a terminal or with pipes; give all that it writes."""
    command = [sys.executable, "-m", "lambdasecrets", *arguments]
    environment = {**os.environ, "TERM": "xterm"}
    if not terminal:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, timeout=SECONDS)
        return done.stdout + done.stderr
    ours, theirs = pty.openpty()
    with (
        os.fdopen(ours, "rb", buffering=0) as screen,
        subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as running,
    ):
        os.close(theirs)
        shown = b"".join(iter(lambda: read_screen(screen.fileno()), b""))
        running.wait(SECONDS)
    return shown


def read_screen(screen: int) -> bytes:
    """Read what a terminal shows; nothing where the program has ended."""
    try:
        return os.read(screen, 4096)
    except OSError:  # Linux has this in the place of an end
        return b""


@pytest.mark.parametrize("arguments", COLOURED, ids=" ".join)
def test_colours_only_on_a_terminal(folder: Path, arguments: tuple[str, ...]) -> None:
    """Verdicts are coloured on a terminal, and nowhere else."""
    assert b"\x1b[" in run(folder, *arguments, terminal=True)
    assert b"\x1b" not in run(folder, *arguments, terminal=False)


@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
def test_no_colours_through_a_pipe(folder: Path, arguments: tuple[str, ...]) -> None:
    """Results and errors that go elsewhere have no colours."""
    assert b"\x1b" not in run(folder, *arguments, terminal=False)
