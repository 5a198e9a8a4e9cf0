"""What GitHub runs for this project: actions by commit, the least permissions, a release without a password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

GITHUB = Path(__file__).parents[1] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="a source distribution has no workflows")


def read(path: Path) -> dict[str, Any]:
    """Read a file of YAML, in which `on` is a boolean."""
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_stand_by_commit(path: Path) -> None:
    """A tag can be moved, a commit cannot; the comment says for people, and for Dependabot, which version it is."""
    used = re.findall(r"uses: .*", path.read_text(encoding="utf-8"))
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_no_more(path: Path) -> None:
    """Only a job that needs it may do more, and no job leaves the repository's credentials on the machine."""
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


def test_a_release_needs_no_password() -> None:
    """PyPI knows the workflow that publishes by its identity, and every file gets an attestation."""
    jobs = read(GITHUB / "workflows" / "release.yml")["jobs"]
    assert {name: job.get("permissions") for name, job in jobs.items()} == {
        "build": None,
        "publish": {"id-token": "write"},
    }
    [publish] = [step for step in jobs["publish"]["steps"] if "pypi-publish" in step["uses"]]
    assert (publish["with"], jobs["publish"]["environment"]["name"]) == ({"attestations": True}, "pypi")
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_dependabot_moves_the_actions() -> None:
    """What stands by commit is raised by a pull request each week."""
    updates = read(GITHUB / "dependabot.yml")["updates"]
    assert ("github-actions", "/", "weekly") in {
        (update["package-ecosystem"], update["directory"], update["schedule"]["interval"]) for update in updates
    }
