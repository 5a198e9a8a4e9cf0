"""Shares of a core, by Linux's control groups: what Lambda gives a function of so many megabytes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CORE_MEGABYTES = 1769
"""With so much memory a function has a whole core."""

_PERIOD_MICROSECONDS = 20_000  # Lambda's
_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A control group of its own.

    Attributes:
        folder: where the system shows it.
        is_v2: whether it is of version 2.
    """

    folder: Path
    is_v2: bool

    def add(self, processes: Iterable[int]) -> None:
        """Move processes into it."""
        for process in processes:
            _move(process, self.folder)

    def limit(self, megabytes: int | None) -> None:
        """Give its processes together the share of a function with so much memory; None for no limit."""
        quota = None if megabytes is None else _PERIOD_MICROSECONDS * megabytes // CORE_MEGABYTES
        if self.is_v2:
            (self.folder / "cpu.max").write_text(f"{quota or 'max'} {_PERIOD_MICROSECONDS}")
        else:
            (self.folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota or -1))


@contextmanager
def group() -> Iterator[Group]:
    """Make a control group, and take it away afterwards.

    Raises:
        OSError: this user may not, or this system has none.
    """
    is_v2 = (_V2 / "cgroup.controllers").exists()
    parent = _V2 if is_v2 else _V1
    if is_v2:
        (parent / "cgroup.subtree_control").write_text("+cpu")
    made = Group(parent / f"lambdasecrets-{os.getpid()}", is_v2)
    made.folder.mkdir()
    try:
        yield made
    finally:
        for process in (made.folder / "cgroup.procs").read_text().split():
            _move(int(process), parent)
        made.folder.rmdir()


def _move(process: int, folder: Path) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended
        (folder / "cgroup.procs").write_text(str(process))


def descendants(process: int) -> set[int]:
    """List the processes that a process started, and those that they started."""
    children: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        for listed in Path(f"/proc/{process}/task").glob("*/children"):
            children |= set(map(int, listed.read_text().split()))
    return children.union(*map(descendants, children))
