from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT

_DRILL_SECONDS = 300.0
_POSTGRES = shutil.which("postgres") or next(Path("/usr/lib/postgresql").glob("*/bin/postgres"), None)


@pytest.mark.skipif(_POSTGRES is None, reason="no PostgreSQL server here: apt-get install postgresql")
def test_the_drill_is_as_promised() -> None:
    """With `retry_on` no invocation fails while a real PostgreSQL server's password rotates; without it some do."""
    drill = subprocess.run(
        [sys.executable, "-m", "examples.rotation.drill", "--invocations", "200", "--rotations", "4"],
        cwd=ROOT,
        timeout=_DRILL_SECONDS,
        check=False,
        capture_output=True,
        text=True,
    )
    failed = re.findall(r"^\| (agent|extension) \| .* \| yes \| .* \| \*\*(.*)\*\* \|", drill.stdout, re.MULTILINE)
    expected = [("agent", "0"), ("extension", "0"), ("extension", "0")]
    assert (expected, 0, "") == (failed, drill.returncode, drill.stderr)
