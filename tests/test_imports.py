from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lambdasecrets

PACKAGE = Path(lambdasecrets.__file__).parent
SECONDS = 60.0  # for a busy machine: an import takes less than one

UNWANTED = (
    "asyncio",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "http.server",
    "lambdasecrets.dev",
    "lambdasecrets.powertools",
    "lambdasecrets.testing",
    "pytest",
    "rich",
    "typer",
)

APP = """
from typing import Annotated, Any
from pydantic import BaseModel
from lambdasecrets import Parameter, Secret, inject_secrets

class Database(BaseModel):
    host: str

class Config(BaseModel):
    database: Annotated[Database, Secret("{STAGE}/database")]

@inject_secrets(max_age=5, stale_if_error=60, timeout=1, retry_on=(ValueError,), on_resolve=print)
def handler(event: Any, context: Any, *, config: Config, size: Annotated[int, Parameter("/{STAGE}/size")] = 50): ...

@inject_secrets
def plain(event: Any, context: Any, *, key: Annotated[str, Secret("{KEY_ARN}", key="k")]): ...
"""

RECORDING = """
import os
from collections.abc import MutableMapping

class Recording(MutableMapping):
    def __init__(self, real):
        self.real, self.read = real, []
    def __getitem__(self, name):
        self.read.append(name)
        return self.real[name]
    def __setitem__(self, name, value):
        self.real[name] = value
    def __delitem__(self, name):
        del self.real[name]
    def __iter__(self):
        self.read.append("every name")
        return iter(self.real)
    def __len__(self):
        return len(self.real)

os.environ = Recording(os.environ)
"""

# Of what this library reads, so that what its dependencies read is theirs.
RECORDED = """
import json
ours = ("AWS_", "KEY_", "LAMBDASECRETS_", "PARAMETERS_", "SECRETS_", "SSM_", "STAGE", "every name")
print(json.dumps([name for name in os.environ.read if name.startswith(ours)]))
"""


def run(source: str, *, path: Path = PACKAGE.parent) -> object:
    """Run code in a fresh interpreter, and give what it prints as JSON."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "PYTHONPATH"
    }
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment | {"PYTHONPATH": str(path)},
        cwd=path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_import_is_lean() -> None:
    """Importing all of the library imports nothing of Powertools, boto3, the workshop, or whatever else can wait."""
    source = (
        f"import json, sys; from lambdasecrets import *; print(json.dumps([m for m in {UNWANTED} if m in sys.modules]))"
    )
    assert run(source) == []


def test_decorating_is_lean() -> None:
    """Decorating handlers imports no more than importing the library does."""
    source = f"{APP}\nimport json, sys; print(json.dumps([m for m in {UNWANTED} if m in sys.modules]))"
    assert run(source) == []


def test_nothing_is_read_at_import() -> None:
    """Importing the library and decorating handlers reads no environment variable."""
    assert run(f"{RECORDING}\n{APP}\n{RECORDED}") == []


def test_recording_records() -> None:
    """The environment of the test above notices who reads it."""
    source = f"{RECORDING}\n{APP}\nplain.__lambdasecrets__.make_batch(frozenset())\n{RECORDED}"
    # The variable is not set: then whether this is a Lambda is looked at, for the error.
    token = [
        "AWS_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    assert run(source) == ["KEY_ARN", *token]


def test_no_socket_at_import() -> None:
    """Importing the library and decorating handlers opens no socket and starts no thread."""
    source = f"""
import json, socket, sys, threading
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith(("socket.connect", "subprocess")) else None)
{APP}
print(json.dumps([seen, threading.active_count()]))
"""
    assert run(source) == [[], 1]


def test_runtime_without_workshop(tmp_path: Path) -> None:
    """The runtime works with the workshop's folder deleted."""
    shutil.copytree(PACKAGE, tmp_path / "lambdasecrets", ignore=shutil.ignore_patterns("dev", "__pycache__"))
    source = f"{APP}\nimport json, lambdasecrets; print(json.dumps([lambdasecrets.__file__, str(plain.__signature__)]))"
    # Since Python 3.14 annotations wait to be evaluated, and stand in the signature as text.
    shown = "(event: 'Any', context: 'Any')" if sys.version_info >= (3, 14) else "(event: Any, context: Any)"
    assert run(source, path=tmp_path) == [str(tmp_path / "lambdasecrets" / "__init__.py"), shown]


def test_all() -> None:
    """`__all__` is sorted, and lists what the package shows beside its module of errors."""
    assert sorted(lambdasecrets.__all__) == lambdasecrets.__all__
    assert set(dir(lambdasecrets)) - {"errors"} == set(lambdasecrets.__all__)


def test_every_name_is_what_a_type_checker_sees() -> None:
    """A name of the package is that of the module from which type checkers see it imported."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imports = {
        str(node.module): node.names
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lambdasecrets.")
    }
    seen = {item.name: getattr(import_module(module), item.name) for module, names in imports.items() for item in names}

    assert {name: getattr(lambdasecrets, name) for name in lambdasecrets.__all__} == seen


def test_a_name_at_a_time() -> None:
    """A declaration or an error is to be had without pydantic, and stays the same object."""
    source = """
import json, sys, lambdasecrets
errors = lambdasecrets.errors
same = lambdasecrets.Secret is lambdasecrets.Secret and lambdasecrets.NotFoundError is errors.NotFoundError
print(json.dumps([same, "pydantic" in sys.modules]))
"""
    assert run(source) == [True, False]


def test_module_of_errors() -> None:
    """`lambdasecrets.errors` is there before anything else was imported."""
    assert run("import json, lambdasecrets; print(json.dumps(lambdasecrets.errors.__name__))") == "lambdasecrets.errors"


def test_misspelt_name() -> None:
    """A name that the package does not have is an AttributeError, with what Python needs for its own suggestion."""
    with pytest.raises(AttributeError) as caught:
        lambdasecrets.inject_secret  # type: ignore[attr-defined]  # noqa: B018

    assert str(caught.value) == "module 'lambdasecrets' has no attribute 'inject_secret'"
    assert (caught.value.name, caught.value.obj) == ("inject_secret", lambdasecrets)


def test_py_typed() -> None:
    """The package says that it is typed."""
    assert (PACKAGE / "py.typed").read_bytes() == b""
