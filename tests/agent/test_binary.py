from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent._binary import VERSION, MissingToolError, agent_binary
from tests.pages import ROOT


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tools that the build needs there is no build, and one line names them."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        agent_binary(tmp_path)

    assert str(caught.value) == (
        "Cannot build aws_workload_credentials_provider: cargo, cc, cmake not found. Install it and try again."
    )


def test_what_is_built_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built is found again by its version, without any tool."""
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = tmp_path / VERSION / "bin/aws-workload-credentials-provider"
    binary.parent.mkdir(parents=True)
    binary.touch()

    assert agent_binary(tmp_path) == binary


@pytest.mark.parametrize(("ci", "expected"), [("false", 0), ("true", 1)])
def test_a_missing_toolchain(tmp_path: Path, ci: str, expected: int) -> None:
    """Where the agent cannot be built the tests are skipped with that line; in CI the run fails with it."""
    code = (
        "import sys, pathlib, pytest\n"
        "from tests.agent import _binary\n"
        f"_binary.agent_binary.__defaults__ = (pathlib.Path({str(tmp_path)!r}),)\n"
        "sys.exit(pytest.main(['-q', '-m', 'agent', '-p', 'no:cacheprovider', 'tests/agent/test_speed.py']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={"PATH": str(tmp_path), "CI": ci}, capture_output=True, check=False, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == expected
    assert done.stdout.count("Cannot build aws_workload_credentials_provider") == 1
