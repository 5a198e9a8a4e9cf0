"""`python -m benchmarks [part ...] [--quick]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from benchmarks import agent, allocations, curves, imports, inprocess, layers, runtime
from benchmarks.report import printed
from benchmarks.results import FOLDER, Part

PARTS: dict[str, tuple[Callable[[], Part], Callable[[], Part]]] = {
    "inprocess": (partial(inprocess.measure, inprocess.FULL), partial(inprocess.measure, inprocess.QUICK)),
    "layers": (partial(layers.measure, layers.FULL), partial(layers.measure, layers.QUICK)),
    "imports": (partial(imports.measure, imports.FULL), partial(imports.measure, imports.QUICK)),
    "allocations": (partial(allocations.measure, allocations.FULL), partial(allocations.measure, allocations.QUICK)),
    "curves": (partial(curves.measure, curves.FULL), partial(curves.measure, curves.QUICK)),
    "agent": (partial(agent.measure, agent.FULL), partial(agent.measure, agent.QUICK)),
    "runtime": (partial(runtime.measure, runtime.FULL), partial(runtime.measure, runtime.QUICK)),
}
"""Each in full, and quick."""


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what resolving costs.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; by default all of them")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see whether it works")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    for name in arguments.parts or PARTS:
        full, quick = PARTS[name]
        part = quick() if arguments.quick else full()
        part.save(FOLDER / "quick" if arguments.quick else FOLDER)
        print(printed(part), flush=True)


if __name__ == "__main__":
    main()
