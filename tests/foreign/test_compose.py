"""The example for Docker Compose: a Node program with localhost:2773 written in, and the stand-in in its network."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.foreign._toolchains import require
from tests.foreign.conftest import Found
from tests.pages import ROOT

EXAMPLE = ROOT / "examples" / "compose"
SECONDS = 60.0

# One network for two processes, as `network_mode: "service:app"` has it, apart from this machine's.
SHARED_NETWORK = """
ip link set lo up
{python} -m lambdasecrets {command} >/dev/null 2>serve.log &
stand_in=$!
AWS_SESSION_TOKEN=local node app.mjs
code=$?
kill $stand_in
wait $stand_in
exit $code
"""


def node() -> list[str | Path]:
    """Give the command that runs a script in a network of its own."""
    require("node", "unshare", "ip")
    return ["unshare", "--map-root-user", "--net", "sh", "-c"]


def stand_in_command() -> str:
    """Read the stand-in's command from the compose file."""
    (line,) = [line for line in (EXAMPLE / "compose.yaml").read_text("utf-8").splitlines() if "command:" in line]
    words = line.partition("[")[2].rstrip("]").split(", ")
    return shlex.join(words)


def test_two_containers_share_localhost(found: Found, tmp_path: Path) -> None:
    """The program finds the stand-in, which starts after it, where the extension would be."""
    shutil.copytree(EXAMPLE, tmp_path / "example")
    script = SHARED_NETWORK.format(python=shlex.quote(sys.executable), command=stand_in_command())
    done = subprocess.run(
        [*found(node), script],
        cwd=tmp_path / "example",
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip("this system lets nobody have a network of their own")

    assert (done.returncode, done.stdout, done.stderr) == (0, "db.internal 25\n", "")


def test_the_stand_in_is_in_the_network_of_the_program() -> None:
    """The compose file says what the test above plays."""
    text = (EXAMPLE / "compose.yaml").read_text("utf-8")

    assert 'network_mode: "service:app"' in text
    assert stand_in_command() == "serve --secrets secrets.toml --token local --watch"
