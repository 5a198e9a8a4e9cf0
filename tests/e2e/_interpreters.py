"""Environments of other Python versions, made once for each interpreter that is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_CACHE = REPOSITORY / ".cache" / "e2e"
_PYENV = Path.home() / ".pyenv" / "versions"
_INSTALL_SECONDS = 600.0
_ASK_SECONDS = 30.0


class NoInterpreterError(Exception):
    """There is no such Python on this machine; the text says so."""


def interpreter(version: str) -> Path:
    """Return the Python of an environment with the library and Amazon's runtime client.

    Args:
        version: such as `3.12`. That of this process is the one at hand.

    Raises:
        NoInterpreterError: neither PATH nor pyenv has it.
    """
    if version == _version_of(sys.executable):
        return Path(sys.executable)
    found = next((path for path in _candidates(version) if _version_of(path) == version), None)
    if found is None:
        raise NoInterpreterError(f"neither PATH nor pyenv has Python {version}")
    return make_environment(_CACHE / version, found, "awslambdaric>=3")


def make_environment(folder: Path, python: str, requirement: str) -> Path:
    """Return the Python of an environment with the library and another package, made where it is not there yet.

    Args:
        folder: of the environment.
        python: what to make it with.
        requirement: what is installed beside the library.
    """
    stamp = folder / "installed"
    if not stamp.exists() or stamp.stat().st_mtime < (REPOSITORY / "pyproject.toml").stat().st_mtime:
        _install(python, folder, requirement)
        stamp.touch()
    return folder / "bin" / "python"


def _candidates(version: str) -> Iterator[str]:
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    yield from map(str, _PYENV.glob(f"{version}.*/bin/python"))


def _version_of(python: str) -> str:
    # A shim of pyenv can be on PATH and still have nothing behind it.
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([python, "-c", show], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    return asked.stdout.strip()


def _install(python: str, environment: Path, requirement: str) -> None:
    print(f"Installing the library for {python}", file=sys.__stderr__, flush=True)
    made = str(environment / "bin" / "python")
    pip = (made, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    subprocess.run([python, "-m", "venv", "--clear", environment], check=True, timeout=_INSTALL_SECONDS)
    subprocess.run([*pip, "--editable", f"{REPOSITORY}[aws]", requirement], check=True, timeout=_INSTALL_SECONDS)
