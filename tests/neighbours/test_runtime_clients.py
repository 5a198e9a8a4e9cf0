"""Amazon's runtime client, which calls handlers in Lambda: the series of the older runtimes, and the newest."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.invoke import Target, invoke
from lambdasecrets.dev.stores import MemoryStore, SecretsFile
from tests.dev.extensions_api import serving
from tests.e2e._interpreters import REPOSITORY, make_environment
from tests.e2e._runtime_api import RuntimeApi, started

SERIES = ("3", "4")
CANARY = "canary-77d0"
APP = """\
import json
import logging
from typing import Annotated

from lambdasecrets import Secret, inject_secrets


@inject_secrets
def handler(event, context, *, key: Annotated[str, Secret("db")]):
    logging.getLogger().debug("the handler runs")
    return len(key)


@inject_secrets
def tenant(event, context, *, key: Annotated[str, Secret("tenants/{context.tenant_id}/db")]):
    return [context.tenant_id, key]


@inject_secrets
async def coroutine(event, context, *, key: Annotated[str, Secret("db")]):
    return len(key)
"""


@pytest.fixture(params=SERIES)
def python(request: pytest.FixtureRequest) -> Path:
    """Give the Python of an environment with a series of the runtime client."""
    series = request.param
    return make_environment(
        REPOSITORY / f".cache/neighbours/awslambdaric-{series}", sys.executable, f"awslambdaric=={series}.*"
    )


class Function:
    """A function that runs.

    Args:
        api: Lambda's side of it.
        log: where it writes.
    """

    def __init__(self, api: RuntimeApi, log: Path) -> None:
        self._api, self._log = api, log

    def invoke(self, tenant_id: str | None = None) -> Any:
        """Invoke it, and give its answer or its error document."""
        return self._api.answer(self._api.begin({}, tenant_id))

    def read_log(self) -> str:
        """Give what it has written."""
        return self._log.read_text(encoding="utf-8")


@pytest.fixture
def app(tmp_path: Path, emulator: Emulator, store: MemoryStore) -> Path:
    """Put the handlers into a folder, and their values into the store."""
    store.put_secret("db", CANARY)
    store.put_secret("tenants/acme/db", "acme's")
    store.put_secret("tenants/globex/db", "globex's")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


@contextmanager
def running(python: Path, app: Path, handler: str, **variables: str) -> Iterator[Function]:
    """Run a handler by a runtime client."""
    api = RuntimeApi()
    with serving(api):
        environ = {**os.environ, "AWS_LAMBDA_RUNTIME_API": api.address, "AWS_REGION": "us-east-1", **variables}
        log = app / "function.log"
        with started([str(python), "-m", "awslambdaric", f"app.{handler}"], environ, app, log):
            yield Function(api, log)


def test_structured_logs_at_debug(python: Path, app: Path) -> None:
    """With Lambda's JSON logs at DEBUG each resolve is one line of JSON, with texts and numbers and no value."""
    with running(python, app, "handler", AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="DEBUG") as function:
        answers = [function.invoke() for _ in range(2)]
        log = function.read_log()

    lines = [json.loads(line) for line in log.splitlines()]
    facts = [
        {name: type(fact) for name, fact in line.items() if name.startswith("lambdasecrets_")}
        for line in lines
        if line["logger"] == "lambdasecrets"
    ]
    expected = {"owner": str, "values": int, "milliseconds": float, "error": str}
    assert facts == [{f"lambdasecrets_{name}": kind for name, kind in expected.items()}] * len(answers)
    assert (answers, CANARY in log) == ([len(CANARY)] * 2, False)


def test_tenants_of_one_process(python: Path, app: Path) -> None:
    """The context of the client says whose invocation it is, and each tenant gets its own secret."""
    with running(python, app, "tenant") as function:
        answers = [function.invoke(tenant_id) for tenant_id in ("acme", "globex", "acme")]
        error = function.invoke()

    assert answers == [["acme", "acme's"], ["globex", "globex's"], ["acme", "acme's"]]
    assert error["errorType"] == "InvalidVariableError"


def test_a_coroutine_as_the_handler(python: Path, app: Path, store: MemoryStore) -> None:
    """Lambda awaits nothing: an `async def` handler fails there, and `invoke` says so beforehand."""
    with running(python, app, "coroutine") as function:
        error = function.invoke()
    with pytest.raises(Exception, match="coroutine") as caught:
        invoke(Target.parse(f"{app}/app.py:coroutine"), SecretsFile(store, {}), {})

    assert "coroutine is not JSON serializable" in error["errorMessage"]
    assert "asyncio.run" in str(caught.value)
