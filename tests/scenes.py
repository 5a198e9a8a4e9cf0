"""What the documentation shows, brought about: each error of the quickstart's handler, and what its code blocks do."""

from __future__ import annotations

import json
import logging
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import EVERY_FAULT, Fault, Refuse, Reply
from lambdasecrets.dev.invoke import Target
from lambdasecrets.dev.stores import MemoryStore, SecretsFile, load_secrets_file
from lambdasecrets.errors import (
    EventLoopError,
    LambdaSecretsError,
    RefreshUnavailableError,
    Subject,
    TooManyOpenFilesError,
)
from tests.pages import ROOT

QUICKSTART = ROOT / "examples/quickstart"
DATABASE = "dev/orders/database"
VALUES: dict[str, object] = {"database": None, "api_key": SecretStr(""), "page_size": 1, "regions": []}


def _agent_error(code: str, message: str = "made up", status: int = 400) -> Reply:
    return Reply(status, json.dumps({"__type": code, "message": message}).encode(), "application/json")


def _deny_and_spoil(store: MemoryStore) -> None:
    store.deny(DATABASE)
    store.put_parameter("/orders/page-size", "many")


@dataclass(frozen=True)
class Scene:
    """What has to be wrong for the quickstart's handler to raise an error.

    Attributes:
        injected: the parameters that the caller does not give.
        profile: the server.
        change: what is done to the values.
        fault: what the server plays at every request.
        variables: environment variables; None removes one.
    """

    injected: tuple[str, ...] = tuple(VALUES)
    profile: Literal["extension", "agent"] = "extension"
    change: Callable[[MemoryStore], object] = bool
    fault: Fault | Refuse | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)


def _by_agent(**changes: Any) -> Scene:
    """Make a scene of the agent, which has no parameters: the handler's first secret alone."""
    return Scene(injected=("database",), profile="agent", **changes)


_MARKED = "You can't perform this operation on the secret because it was marked for deletion."

SCENES = {
    "SettingError": Scene(variables={"LAMBDASECRETS_TIMEOUT": "5 s"}),
    "SeveralErrors": Scene(change=_deny_and_spoil),
    "MissingVariableError": Scene(variables={"STAGE": None}),
    "InvalidVariableError": Scene(variables={"STAGE": '"dev"'}),
    "NoTokenError": Scene(variables={"AWS_SESSION_TOKEN": None}),
    "ExtensionUnavailableError": Scene(fault=EVERY_FAULT["refuse"]),
    "ExtensionNotReadyError": Scene(fault=EVERY_FAULT["not-ready"]),
    "TokenRejectedError": Scene(fault=EVERY_FAULT["bad-session-token"]),
    "DeadlineExceededError": Scene(fault=EVERY_FAULT["hang"], variables={"LAMBDASECRETS_TIMEOUT": "1.0"}),
    "ServerError": Scene(fault=EVERY_FAULT["unavailable"], variables={"LAMBDASECRETS_TIMEOUT": "1.0"}),
    "ProtocolError": Scene(fault=EVERY_FAULT["not-json"]),
    "UnsupportedByAgentError": Scene(profile="agent"),
    "AnswerError": _by_agent(fault=_agent_error("InvalidRequestException")),
    "NotFoundError": _by_agent(change=lambda store: store.delete(DATABASE)),
    "MarkedForDeletionError": _by_agent(fault=_agent_error("InvalidRequestException", _MARKED)),
    "AccessDeniedError": _by_agent(change=lambda store: store.deny(DATABASE)),
    "DecryptionError": _by_agent(fault=_agent_error("DecryptionFailure")),
    "CredentialsUnavailableError": Scene(
        fault=Reply(500, b"no credentials now"),
        variables={
            "AWS_SESSION_TOKEN": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:{port}/credentials",
        },
    ),
    "AwsUnavailableError": Scene(
        injected=("database",),
        fault=EVERY_FAULT["refuse"],
        # Long: boto3 is loaded within it.
        variables={"LAMBDASECRETS_FALLBACK": "aws", "LAMBDASECRETS_TIMEOUT": "20"},
    ),
    "CredentialsRejectedError": _by_agent(fault=_agent_error("ExpiredTokenException")),
    "UnresolvedError": Scene(change=lambda store: store.deny(DATABASE)),
    "InvalidValueError": Scene(
        change=lambda store: store.put_secret(DATABASE, {"host": "db.internal", "user": "orders", "port": "5432 "})
    ),
}
"""By the error's name."""

_SUBJECT = Subject("app.handler", ("database",), (f"Secret('{{STAGE}}/orders/database') (filled in as '{DATABASE}')",))
MADE = {
    error.__class__.__name__: error
    for error in (
        TooManyOpenFilesError(_SUBJECT),
        RefreshUnavailableError(_SUBJECT),
        EventLoopError(),
    )
}
"""Errors of what this quickstart does not have, or a test had better not bring about, by name."""

FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "orders", "AWS_REGION": "eu-central-1"}
"""What Lambda sets, as far as errors tell of it."""


@contextmanager
def served(
    file: SecretsFile, monkeypatch: pytest.MonkeyPatch, profile: Literal["extension", "agent"] = "extension"
) -> Iterator[Emulator]:
    """Serve a secrets file, in an environment that leads to it."""
    with Emulator(file.store, profile=profile) as emulator:
        for name, value in {**FUNCTION, **emulator.environment(), **file.environment}.items():
            monkeypatch.setenv(name, value)
        yield emulator


def raised(act: Callable[[], object]) -> LambdaSecretsError | TypeError | None:
    """Give the error that an act raises; None where it raises none."""
    try:
        act()
    except (LambdaSecretsError, TypeError) as error:
        return error
    return None


def error_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> LambdaSecretsError | TypeError | None:
    """Run the quickstart's handler in a scene; give what it raises."""
    file = load_secrets_file(QUICKSTART / "secrets.toml")
    scene.change(file.store)
    with served(file, monkeypatch, scene.profile) as emulator:
        for name, value in scene.variables.items():
            monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value.format(port=emulator.port))
        if scene.fault is not None:
            emulator.inject(scene.fault, times=None)
        handler: Callable[..., object] = Target.parse(f"{QUICKSTART}/src/app.py:handler").load()
        given = {name: value for name, value in VALUES.items() if name not in scene.injected}
        return raised(lambda: handler({"order_id": 7}, None, **given))


def failure_of(
    code: str, toml: str, fault: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, LambdaSecretsError | TypeError | None]:
    """Run a module, then its handler.

    Args:
        code: the module's.
        toml: the secrets file's text.
        fault: a name of `EVERY_FAULT` that the server plays at every request; or empty.
        folder: for the secrets file.
        monkeypatch: for the environment.

    Returns:
        When it fails, and how.
    """
    path = folder / "secrets.toml"
    path.write_text(toml, encoding="utf-8")
    module = types.ModuleType("app")
    monkeypatch.setitem(sys.modules, "app", module)
    with served(load_secrets_file(path), monkeypatch) as emulator:
        if fault:
            emulator.inject(EVERY_FAULT[fault], times=None)
        body = compile(code, "app.py", "exec", dont_inherit=True)
        at_import = raised(lambda: exec(body, module.__dict__))  # noqa: S102 - our own page
        if at_import is not None:
            return "at import", at_import
        return "at an invocation", raised(lambda: module.handler({}, None))


class Records(logging.Handler):
    """Keeps what the library logs, without what the emulator does."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "lambdasecrets":
            self.messages.append(record.getMessage())


def settled(text: Any) -> str:
    """Take out of a text what differs from run to run: times, attempts, ports, version ids."""
    text = re.sub(r"\d+\.\d+ (m?)s\b", r"0.0 \1s", str(text).strip())
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:2773", text)
    text = re.sub(r"asked \d+ times", "asked 2 times", text)
    return re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "00000000-0000-0000-0000-000000000000", text)
