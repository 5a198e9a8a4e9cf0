"""`make package` packs the API for both processors and every Python, and a layer; what was packed is opened."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.pages import ROOT

pytestmark = pytest.mark.package

PACKER = ROOT / "examples" / "packaging" / "package.py"
SOURCE = ROOT / "examples" / "api" / "src"
BUILD = ROOT / "build" / "package"
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
MOST_BYTES = 6_000_000
"""A third of which would be boto3, which Lambda has."""


def pack(output: Path, wheel: Path, *options: str) -> list[str]:
    """Pack the API; list the names in the zip."""
    command: list[str | Path] = [sys.executable, PACKER, SOURCE, output, *options, "--wheel", wheel]
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    with ZipFile(output) as archive:
        return archive.namelist()


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_function(wheel: Path, architecture: str, python: str) -> None:
    """A zip has the function's code and the wheels for its processor and Python, and nothing of tests or tools."""
    output = BUILD / f"api-{architecture}-{python}.zip"
    names = pack(output, wheel, "--architecture", architecture, "--python", python)
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    compiled = [name for name in names if name.startswith("pydantic_core/") and name.endswith(".so")]
    tag = f"cpython-{python.replace('.', '')}-{MACHINES[architecture]}-linux-gnu"

    assert {"app.py", "lambdasecrets", "pydantic", "pydantic_core", "aws_lambda_powertools"} <= tops
    assert tops & {"bin", "boto3", "botocore", "requirements.txt", "secrets.toml", "test_app.py", "typer"} == set()
    assert [name for name in names if name.startswith("lambdasecrets/dev/") or "__pycache__" in name] == []
    assert compiled == [f"pydantic_core/_pydantic_core.{tag}.so"]
    assert output.stat().st_size < MOST_BYTES


def test_the_layer(wheel: Path) -> None:
    """A layer has the packages below `python/`; the function then is its own code alone."""
    layer = pack(BUILD / "layer-arm64.zip", wheel, "--layer")
    function = pack(BUILD / "api-own-code.zip", wheel, "--own-code-only")

    assert {name.partition("/")[0] for name in layer} == {"python"}
    assert {"python/lambdasecrets/__init__.py", "python/pydantic/__init__.py"} <= set(layer)
    assert function == ["app.py"]


def test_the_same_content_is_the_same_zip(wheel: Path, tmp_path: Path) -> None:
    """What has not changed is no other zip, so that nothing is deployed anew for it."""
    for name in ("first.zip", "second.zip"):
        pack(tmp_path / name, wheel, "--own-code-only")

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_what_is_packed_runs(wheel: Path, tmp_path: Path) -> None:
    """The zip for this processor and this Python, unpacked as Lambda does it, has a handler that answers."""
    architecture = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    output = tmp_path / "function.zip"
    pack(output, wheel, "--architecture", architecture, "--python", HERE)
    with ZipFile(output) as archive:
        archive.extractall(tmp_path / "task")
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import app, pydantic\n"
        "from app import Database, handler\n"
        "database = Database(host='db', username='orders', password='made-up')\n"
        "event = {'version': '2.0', 'rawPath': '/orders/7', 'headers': {'x-api-key': 'key'},\n"
        "         'requestContext': {'http': {'method': 'GET', 'path': '/orders/7'}, 'stage': '$default'}}\n"
        "class Context:\n"
        "    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = 'made-up'\n"
        "answer = handler(event, Context(), database=database, api_key=pydantic.SecretStr('key'))\n"
        "print(json.dumps([answer['body'], pydantic.__file__]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, tmp_path / "task"],
        capture_output=True, check=False, encoding="utf-8", timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    body, file = json.loads(done.stdout.splitlines()[-1])
    assert json.loads(body) == {"order_id": "7", "read_from": "db"}
    assert Path(file).is_relative_to(tmp_path / "task")
