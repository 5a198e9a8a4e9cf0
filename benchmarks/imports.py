"""What importing costs: milliseconds and modules, each in fresh processes.

The time is that of the processor: the files are in the system's cache, and other work on the machine does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import Spread
from benchmarks.results import Part, Target

OURS = "lambdasecrets"
PYDANTIC = "from pydantic import BaseModel, SecretStr, TypeAdapter; TypeAdapter(str)"
"""With its first adapter, for which it loads some more: every handler that declares a type has one."""

IMPORTS = {
    OURS: "from lambdasecrets import Parameter, Secret, inject_secrets",  # the package by itself imports nothing
    "http.client": "import http.client",
    "requests": "import requests",
    "boto3": "import boto3",
    "Powertools LambdaContext": "from aws_lambda_powertools.utilities.typing import LambdaContext",
    "Powertools parameters": "from aws_lambda_powertools.utilities import parameters",
    "aws-secretsmanager-caching": "import aws_secretsmanager_caching",
}
"""Each beyond pydantic's own."""

QUICKSTART = {
    "LambdaContext under TYPE_CHECKING": "import app",
    "LambdaContext imported": f"{IMPORTS['Powertools LambdaContext']}; import app",
}
"""The module of the quickstart, in a process that has imported nothing yet."""

TABLE = "import beyond pydantic's own"
QUICKSTART_TABLE = "import of the quickstart"
RATIO = "x"
MILLISECONDS = "ms of processor"
FULL = 15
QUICK = 5

_PROBE = """
import json, sys, time
{before}
known = set(sys.modules)
began = time.process_time()
{imported}
took = (time.process_time() - began) * 1000
print(json.dumps([took, sorted(set(sys.modules) - known)]))
"""
_AT_THE_QUICKSTART = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'examples/quickstart/src')!r})"
_SECONDS = 60.0
_MOST_MILLISECONDS = 15.0
_MOST_MODULES = 25


def measure(rounds: int) -> Part:
    """Measure imports one after the other, round after round, after one that writes the .pyc files."""
    part = Part("imports")
    modules = {name: [len(probe(statement)[1])] for name, statement in IMPORTS.items()}
    probed = [{name: probe(statement)[0] for name, statement in IMPORTS.items()} for _ in range(rounds)]
    took = {name: [found[name] for found in probed] for name in IMPORTS}
    part.add(TABLE, MILLISECONDS, took, "")
    part.add(TABLE, "modules", modules, "")
    part.targets += [
        Target(f"{TABLE}: time", Spread.of(took[OURS]), _MOST_MILLISECONDS, "ms"),
        Target(f"{TABLE}: modules", Spread.of(modules[OURS]), _MOST_MODULES, "modules"),
    ]
    _measure_quickstart(part, rounds)
    return part


def _measure_quickstart(part: Part, rounds: int) -> None:
    """Measure what it costs to import a type for an annotation, side by side."""
    without = next(iter(QUICKSTART))
    modules = {name: [len(probe(statement, _AT_THE_QUICKSTART)[1])] for name, statement in QUICKSTART.items()}
    probed = [
        {name: probe(statement, _AT_THE_QUICKSTART)[0] for name, statement in QUICKSTART.items()} for _ in range(rounds)
    ]
    took = {name: [found[name] for found in probed] for name in QUICKSTART}
    ratios = {name: [found[name] / found[without] for found in probed] for name in QUICKSTART}
    part.add(QUICKSTART_TABLE, MILLISECONDS, took, "")
    part.add(QUICKSTART_TABLE, RATIO, ratios, "")
    part.add(QUICKSTART_TABLE, "modules", modules, "")


def probe(imported: str, before: str = PYDANTIC) -> tuple[float, list[str]]:
    """Import something in a fresh process.

    Returns:
        How many milliseconds it took, and the modules that it added to those of `before`.
    """
    program = _PROBE.format(before=before, imported=imported)
    # Whoever forbids .pyc files here would have our own compiled each time, and not those that pip has compiled.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, timeout=_SECONDS, env=environment
    )
    took, added = json.loads(result.stdout)
    return took, added
