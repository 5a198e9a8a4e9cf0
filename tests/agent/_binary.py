"""Build Amazon's agent, once: the crate that AWS publishes, pinned, with the dependencies of its own lock file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.pages import ROOT

CRATE = "aws_workload_credentials_provider"
VERSION = "3.1.2"
CACHE = ROOT / ".cache" / "agent"

_NAME = "aws-workload-credentials-provider"
_TOOLS = ("cargo", "cc", "cmake")
_BUILD_SECONDS = 7200.0  # 5 minutes on two quiet cores; a busy machine takes as many times longer as it is busy


class MissingToolError(Exception):
    """The agent cannot be built here; the text says what is missing, in one line."""


def agent_binary(cache: Path = CACHE) -> Path:
    """Return the path of the agent, built once and then kept in the cache folder, by its version.

    Raises:
        MissingToolError: cargo, a C compiler or cmake is not found.
        subprocess.SubprocessError: the build fails.
    """
    kept = cache / VERSION
    if not (kept / "bin" / _NAME).exists():
        _build(kept)
    return kept / "bin" / _NAME


def _build(kept: Path) -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise MissingToolError(f"Cannot build {CRATE}: {', '.join(missing)} not found. Install it and try again.")
    sys.stderr.write(f"\nBuilding {CRATE} {VERSION}: about 5 minutes, once\n")
    kept.parent.mkdir(parents=True, exist_ok=True)
    target = kept.parent / f"{VERSION}-target"  # it stays until all is built: a build that is stopped goes on
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        install = ("cargo", "install", CRATE, "--version", VERSION, "--locked", "--quiet")
        built = Path(folder) / "built"
        subprocess.run(
            [*install, "--root", str(built), "--target-dir", str(target)],
            check=True, stdin=subprocess.DEVNULL, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        built.replace(kept)  # at once: another run never sees half a build
    shutil.rmtree(target)
