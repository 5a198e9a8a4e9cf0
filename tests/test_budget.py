"""What an import and an invocation may cost, in counts, which every machine agrees on. `make bench` measures times."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import pytest
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

import lambdasecrets
from lambdasecrets import Secret, inject_secrets
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore

PACKAGE = Path(lambdasecrets.__file__).parent
SECONDS = 60.0

MODULES = 25
MODULES_OF_AN_INVOCATION = 31
OF_PYTHON = "import select, socket, urllib.parse"
"""What this library needs of Python's own beside what pydantic has loaded, which differs between versions."""

COPIES = 3.0
CALLS = 90
CALLS_OF_A_NAME = 22
LARGEST_VALUE = 64 * 1024

PYDANTIC = """
import json, sys
from pydantic import BaseModel, SecretStr, TypeAdapter
TypeAdapter(str)
known = set(sys.modules)
"""
ADDED = "\nprint(json.dumps(sorted(set(sys.modules) - known)))"
UNLOADED = ("concurrent", "email", "http.client", "requests", "ssl", "urllib3")

HANDLER = """
import json, sys
from typing import Annotated
from lambdasecrets import Secret, inject_secrets

@inject_secrets
def handler(event, context, *, a: Annotated[str, Secret("a")], b: Annotated[str, Secret("b")],
            c: Annotated[str, Secret("c")], again: Annotated[str, Secret("c")]): ...
"""

EVENTS = """
from collections import Counter
seen = Counter()
sys.addaudithook(lambda event, _: seen.update([event]))

def invoked():
    seen.clear()
    handler({}, None)
    threads = sum(count for event, count in seen.items() if event.startswith("_thread.start"))
    return {"connections": seen["socket.connect"], "threads": threads}
"""

PEAK = """
import tracemalloc
for _ in range(3):
    handler({}, None)
tracemalloc.start()
handler({}, None)
before, _ = tracemalloc.get_traced_memory()
tracemalloc.reset_peak()
handler({}, None)
print(json.dumps(tracemalloc.get_traced_memory()[1] - before))
"""


def run(source: str) -> Any:
    """Run code in a fresh interpreter, with this process's environment, and give what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def beside_python(modules: list[str]) -> list[str]:
    """Take away what is Python's own."""
    return [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]


@pytest.fixture
def three(store: MemoryStore) -> MemoryStore:
    """Put the handler's values in."""
    for name in "abc":
        store.put_secret(name, name)
    return store


def test_modules_of_the_package() -> None:
    """Importing the package by itself imports none of its modules: what only finds it, as pytest does, pays nothing."""
    added = run(f"import importlib, json, sys, typing\nknown = set(sys.modules)\nimport lambdasecrets{ADDED}")

    assert added == ["lambdasecrets"]


def test_modules_of_an_import() -> None:
    """Importing everything that the library has adds few modules to pydantic's own."""
    added = run(f"{PYDANTIC}from lambdasecrets import *{ADDED}")

    assert len(beside_python(added)) <= MODULES
    assert set(added) - set(beside_python(added)) <= set(run(f"{PYDANTIC}{OF_PYTHON}{ADDED}"))


def test_modules_for_powertools() -> None:
    """What is for functions with Powertools imports nothing of Powertools and no boto3; only a provider does."""
    foreign = "sorted({name.partition('.')[0] for name in sys.modules} & {'aws_lambda_powertools', 'boto3'})"
    face, provider = run(
        "import json, sys\nfrom lambdasecrets import powertools\n"
        f"face = {foreign}\npowertools.ExtensionSecretsProvider\nprint(json.dumps([face, {foreign}]))"
    )

    assert (face, provider) == ([], ["aws_lambda_powertools", "boto3"])


def test_modules_of_an_observed_handler() -> None:
    """Reporting to Powertools loads no boto3."""
    observed = (
        "import json, sys\nfrom aws_lambda_powertools import Logger, Metrics\n"
        "from lambdasecrets.powertools import observe\n"
        "observe(logger=Logger(), metrics=Metrics(namespace='shop'))\nprint(json.dumps('boto3' in sys.modules))"
    )

    assert run(observed) is False


@pytest.mark.usefixtures("emulator", "three")
def test_modules_of_an_invocation() -> None:
    """Plain sockets carry an invocation: it loads neither requests nor an HTTP client."""
    added = run(f"{PYDANTIC}{HANDLER}handler({{}}, None){ADDED}")

    assert [name for name in added if name.startswith(UNLOADED)] == []
    assert len(beside_python(added)) <= MODULES_OF_AN_INVOCATION


@pytest.mark.usefixtures("three")
def test_an_invocation_over_sockets(emulator: Emulator) -> None:
    """A cold invocation opens a connection for each of what the extension serves at once; a warm one opens none."""
    first, second, third = run(f"{HANDLER}{EVENTS}print(json.dumps([invoked(), invoked(), invoked()]))")

    assert first == {"connections": 3, "threads": 0}
    assert [second, third] == [{"connections": 0, "threads": 0}] * 2
    assert Counter({"a": 3, "b": 3, "c": 3}) == asked(emulator)


@pytest.mark.usefixtures("three")
def test_an_invocation_over_requests(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over `requests` a warm invocation opens no connection either, and starts no thread."""
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", "requests")
    first, second, third = run(f"{HANDLER}{EVENTS}print(json.dumps([invoked(), invoked(), invoked()]))")

    assert max(first.values()) <= 3
    assert [second, third] == [{"connections": 0, "threads": 0}] * 2
    assert Counter({"a": 3, "b": 3, "c": 3}) == asked(emulator)


@pytest.mark.usefixtures("three")
def test_an_invocation_from_memory(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within `max_age` an invocation sends nothing."""
    monkeypatch.setenv("LAMBDASECRETS_MAX_AGE", "3600")

    assert run(f"{HANDLER}{EVENTS}invoked()\nprint(json.dumps(invoked()))") == {"connections": 0, "threads": 0}
    assert Counter({"a": 1, "b": 1, "c": 1}) == asked(emulator)


def asked(emulator: Emulator) -> Counter[str]:
    """Count the requests for each secret."""
    return Counter(record.target.partition("secretId=")[2] for record in emulator.requests)


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("transport", ["lean", "requests"])
def test_copies_of_a_value(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """At its peak an invocation holds few copies of a large value."""
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", transport)
    for name, size in {"a": LARGEST_VALUE, "b": 1, "c": 1}.items():
        store.put_secret(name, "x" * size)

    # http.client reads through a buffer of Python's size: 8 KiB, and 128 KiB since Python 3.14.
    assert run(f"{HANDLER}{PEAK}") <= COPIES * LARGEST_VALUE + io.DEFAULT_BUFFER_SIZE


class Counted(str):
    """A type that knows how often pydantic asked what it is."""

    __slots__ = ()
    asked = 0

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        cls.asked += 1
        return handler(str)


@pytest.mark.usefixtures("emulator", "three")
def test_nothing_is_built_at_an_invocation() -> None:
    """Adapters are built while the module is imported, and never again."""

    @inject_secrets
    def handler(event: Any, context: Any, *, a: Annotated[Counted, Secret("a")]) -> str:
        return a

    built = Counted.asked
    assert handler({}, None) == handler({}, None) == "a"
    assert Counted.asked == built > 0


BUILDERS = frozenset({"_join", "bind", "handler_plan", "parameter_path", "quote", "reader", "secret_path"})

WAITS = frozenset({"_give_way", "_left", "_look", "_receive", "_receive_more", "_wait_for_several", "step"})
"""How often these are called for a batch depends on how its answers come, in one piece or in several."""


def calls(function: Callable[[], object]) -> Counter[str]:
    """Run something, and count the calls of the package's functions, by name."""
    names: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:  # pragma: no cover - a profiler is not itself traced
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            names[frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return names


@inject_secrets
def one(event: Any, context: Any, *, a: Annotated[str, Secret("a")]) -> None:
    """Need one value."""


@inject_secrets
def several(
    event: Any,
    context: Any,
    *,
    a: Annotated[str, Secret("a")],
    b: Annotated[str, Secret("b")],
    c: Annotated[str, Secret("c")],
) -> None:
    """Need three values."""


@pytest.mark.usefixtures("emulator", "three")
def test_calls_of_an_invocation() -> None:
    """A warm invocation runs few functions of this package, few more for each further name, and none that prepares."""
    one({}, None)
    several({}, None)
    first, third = calls(lambda: one({}, None)), calls(lambda: several({}, None))

    assert BUILDERS & (first | third).keys() == set()
    assert first.total() <= CALLS
    for counted in (first, third):
        for name in WAITS:
            del counted[name]
    assert third.total() - first.total() <= 2 * CALLS_OF_A_NAME
