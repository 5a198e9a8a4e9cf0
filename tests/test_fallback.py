"""`fallback="aws"`: what the server on this machine cannot serve is asked of AWS itself, in the same time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from lambdasecrets import (
    AccessDeniedError,
    ExtensionUnavailableError,
    NotFoundError,
    ResolveEvent,
    Secret,
    SettingError,
    _resolver,
    aresolve,
    inject_secrets,
    resolve,
)
from lambdasecrets._resolver import find_resolver
from lambdasecrets._sources import direct
from lambdasecrets.dev import faults
from lambdasecrets.dev._stores.denying import DenyingStore
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.logs import list_warnings

SECONDS = 6.0
"""A server that hangs has half of it, and boto3's load the rest, on a busy machine too."""
PORT = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let nothing of a test be another's."""
    direct.forget()
    yield
    direct.forget()
    find_resolver().forget()


@pytest.fixture
def aws(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Give a server that is AWS only. On the port of the extension nothing listens."""
    store.put_secret("s", "text")
    with Emulator(DenyingStore(store, ["denied"])) as running, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv(PORT, str(closed.getsockname()[1]))
        yield running


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, aws: Emulator) -> Iterator[Emulator]:
    """Give an extension of its own, with another value than AWS has."""
    behind = MemoryStore()
    behind.put_secret("s", "of the extension")
    with Emulator(behind, token=aws.token) as running:
        monkeypatch.setenv(PORT, str(running.port))
        yield running


@inject_secrets(fallback="aws", timeout=SECONDS)
def handler(event: Any, context: Any, *, text: Annotated[str, Secret("s")]) -> str:
    """Give what was resolved."""
    return text


@inject_secrets(fallback="aws", timeout=SECONDS)
async def coroutine(event: Any, context: Any, *, text: Annotated[str, Secret("s")]) -> str:
    """Give what was resolved."""
    return text


WAYS: dict[str, Any] = {
    "handler": lambda: handler({}, None),
    "async handler": lambda: asyncio.run(coroutine({}, None)),
    # As at import, where no invocation runs.
    "resolve": lambda: resolve(Secret("s"), str, fallback="aws", timeout=SECONDS),
    "aresolve": lambda: asyncio.run(aresolve(Secret("s"), str, fallback="aws", timeout=SECONDS)),
}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("way", WAYS)
def test_a_missing_layer(way: str) -> None:
    """Where nothing listens AWS is asked, whatever asks, inside the time there is."""
    began = time.monotonic()
    assert WAYS[way]() == "text"
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault",
    [faults.EVERY_FAULT[name] for name in ("not-ready", "unresolved", "crowded", "hang")],
    ids=["not ready", "refuses under load", "crowded", "hangs"],
)
def test_a_server_that_cannot_serve(local: Emulator, fault: faults.Fault, way: str) -> None:
    """A server that is not ready, overloaded or silent has half of the time; then AWS is asked."""
    local.inject(fault, times=None)
    began = time.monotonic()
    assert WAYS[way]() == "text"
    assert time.monotonic() - began < SECONDS


@pytest.mark.usefixtures("aws")
def test_says_where_a_value_is_from() -> None:
    """The event says that AWS itself gave the value."""
    events: list[ResolveEvent] = []
    resolve(Secret("s"), str, fallback="aws", timeout=SECONDS, on_resolve=events.append)
    assert [value.source for event in events for value in event.values] == ["aws"]


@pytest.mark.usefixtures("local")
def test_a_server_that_serves_is_not_passed_by(aws: Emulator) -> None:
    """While the server answers AWS is not asked."""
    assert handler({}, None) == "of the extension"
    assert aws.requests == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(("name", "kind"), [("none", NotFoundError), ("denied", AccessDeniedError)])
def test_an_error_is_awss_own(name: str, kind: type[Exception]) -> None:
    """AWS says which it is, where the extension has one word for all."""
    with pytest.raises(kind):
        resolve(Secret(name), str, fallback="aws", timeout=SECONDS)


def test_a_missing_layer_costs_its_wait_once(aws: Emulator) -> None:
    """Twenty invocations ask AWS once, and only the first waits for the layer."""
    seconds: list[float] = []
    for _ in range(20):
        began = time.monotonic()
        assert handler({}, None) == "text"
        seconds.append(time.monotonic() - began)
    assert len(aws.requests) == 1
    assert sum(seconds[1:]) < seconds[0]


def test_a_server_that_hangs_costs_its_wait_once(
    aws: Emulator, local: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a TTL AWS is asked each time, but the server that failed once in 30 s at the most."""
    monkeypatch.setenv("SECRETS_MANAGER_TTL", "0")
    local.inject(faults.Hang(), times=None)
    for _ in range(5):
        assert handler({}, None) == "text"
        direct.forget()  # or its answer would be given for a second
    assert (len(local.requests), len(aws.requests)) == (1, 5)


def test_a_server_that_failed_is_tried_again_briefly(
    aws: Emulator, local: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause the server that failed gets a moment to answer; one that does counts again."""
    monkeypatch.setenv("SECRETS_MANAGER_TTL", "0")
    monkeypatch.setattr(_resolver, "_PROBE_PAUSE_SECONDS", 0.0)
    local.inject(faults.Hang(), times=2)
    assert handler({}, None) == "text"
    direct.forget()
    began = time.monotonic()
    assert handler({}, None) == "text"
    assert time.monotonic() - began < SECONDS / 3
    assert handler({}, None) == "of the extension"
    assert len(aws.requests) == 2


@pytest.mark.usefixtures("aws")
def test_the_value_is_for_who_has_the_option() -> None:
    """Whoever does not ask for it gets the loud error of a missing layer, and nothing that AWS gave."""
    assert handler({}, None) == "text"
    with pytest.raises(ExtensionUnavailableError):
        resolve(Secret("s"), str, max_age=60)


@pytest.mark.usefixtures("aws")
def test_warns_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning in an execution environment says that AWS is asked, and why."""
    monkeypatch.setenv("SECRETS_MANAGER_TTL", "0")
    monkeypatch.setattr(find_resolver(), "_has_warned_of_fallback", False)
    for _ in range(3):
        handler({}, None)
    warnings = list_warnings(caplog)
    assert [text.partition(": ")[0] for text in warnings] == [
        "Asking AWS itself, because the server on this machine cannot serve"
    ]


@pytest.mark.usefixtures("aws")
def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3 the first invocation says what to install."""
    monkeypatch.setattr(direct, "is_installed", lambda: False)
    with pytest.raises(SettingError, match=r"Cannot use fallback as it is set: it takes boto3 to be installed"):
        handler({}, None)
