"""Build and start small programs in other languages; what is built is kept by its source's digest."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.pages import ROOT

CACHE = ROOT / ".cache" / "foreign"
HERE = Path(__file__).parent

_BUILD_SECONDS = 1800.0  # a crate that brings OpenSSL with it, on a busy machine
_RUN_SECONDS = 60.0
_STOP_SECONDS = 10.0


class MissingToolError(Exception):
    """A language's tools are not found; the text says which, in one line."""


def require(*tools: str) -> None:
    """Look for tools on the PATH.

    Raises:
        MissingToolError: one of them is not there.
    """
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise MissingToolError(f"Cannot build what is foreign: {', '.join(missing)} not found.")


def built(source: Path, command: Sequence[str], *tools: str) -> Path:
    """Return a folder with a copy of a source and what a command made of it, made once.

    Args:
        source: a file, or a folder.
        command: what to run in the copy.
        tools: what the command needs.

    Raises:
        MissingToolError: a tool is not there.
        subprocess.SubprocessError: the command fails.
    """
    require(*tools)
    kept = CACHE / f"{source.parent.name}-{source.stem}-{_digest(source, command)}"
    if kept.exists():
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(source, copy) if source.is_dir() else _copy_file(source, copy)
        sys.stderr.write(f"\nBuilding {source.relative_to(ROOT)}\n")
        subprocess.run(command, cwd=copy, check=True, stdin=subprocess.DEVNULL, timeout=_BUILD_SECONDS)
        if not kept.exists():
            copy.replace(kept)  # at once: another run never sees half a build
    return kept


def _copy_file(source: Path, folder: Path) -> None:
    folder.mkdir()
    shutil.copy(source, folder)


def _digest(source: Path, command: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join(command).encode())
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    """Run a server that writes its port as its first line, until the end of the block; give the port."""
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(_STOP_SECONDS)


def output(command: Sequence[str | Path], environ: Mapping[str, str], lines: Sequence[str] = ()) -> str:
    """Run a client to its end, with these lines on its standard input; give what it wrote."""
    done = subprocess.run(
        [str(part) for part in command],
        env={"PATH": os.environ["PATH"], **environ},
        input="".join(f"{line}\n" for line in lines),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=_RUN_SECONDS,
    )
    return done.stdout
