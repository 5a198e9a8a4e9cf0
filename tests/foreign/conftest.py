from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.foreign._toolchains import MissingToolError

Found = Callable[[Callable[[], list[str | Path]]], list[str | Path]]
"""Takes what builds a program and gives the command that starts it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and no other."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.foreign)


@pytest.fixture(scope="session")
def found(request: pytest.FixtureRequest) -> Found:
    """Build a program where its language is found. Where not the test is skipped; in CI that is a failure."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")

    def found(build: Callable[[], list[str | Path]]) -> list[str | Path]:
        try:
            with capture.global_and_fixture_disabled():  # a build can take minutes: say so
                return build()
        except MissingToolError as reason:
            if os.environ.get("CI") == "true":
                pytest.fail(str(reason))
            pytest.skip(str(reason))

    return found
