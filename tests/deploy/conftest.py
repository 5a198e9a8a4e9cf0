"""The programs of the environment come first on the PATH: the CDK needs its Node, `sam` its Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT

BIN = Path(sys.executable).parent


@pytest.fixture(scope="session", autouse=True)
def path() -> None:
    """Put them there."""
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Give the library's own wheel, as `make build` made it: no index has this version yet."""
    (built,) = (ROOT / "dist").glob("*.whl")
    return built
