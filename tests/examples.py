"""The folders of examples/: their own tests, and what their READMEs print."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from tests.pages import ROOT

EXAMPLES = ROOT / "examples"
SECONDS = 120.0

_COMMAND = re.compile(r"^\$ lambdasecrets (.+)$", re.MULTILINE)


def list_commands(folder: str) -> list[list[str]]:
    """List the commands of this library that an example's README prints."""
    text = (EXAMPLES / folder / "README.md").read_text(encoding="utf-8")
    return [shlex.split(line) for line in _COMMAND.findall(text)]


def run_commands(folder: str) -> dict[str, int]:
    """Run the commands of an example's README in its folder, as they are printed; give the exit code of each."""
    return {arguments[0]: _run(folder, "lambdasecrets", *arguments).returncode for arguments in list_commands(folder)}


def run_tests(folder: str) -> tuple[int, int]:
    """Run the tests beside an example in its folder, with its configuration if it has one.

    Returns:
        The exit code, and how many tests passed.
    """
    configuration = () if (EXAMPLES / folder / "pyproject.toml").exists() else ("-c", "/dev/null")
    done = _run(folder, "pytest", "-q", "-p", "no:cacheprovider", *configuration, "test_app.py")
    print(done.stdout)  # noqa: T201 - pytest shows it where the test fails
    return done.returncode, sum(int(count) for count in re.findall(r"(\d+) passed", done.stdout))


def _run(folder: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=EXAMPLES / folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=SECONDS,
    )
