"""The stand-in for tests: one server for many tests, and what a test puts into it."""

from __future__ import annotations

import atexit
import os
import re
import secrets
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from lambdasecrets import _resolver, testing
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.emulator import Emulator, RequestRecord
from lambdasecrets.dev.environment import HIDDEN_FILES, change_environment, find_credential_variables
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import MemoryStore, SecretsFile, StoreError, load_secrets_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Self

    from lambdasecrets import ResolveEvent
    from lambdasecrets.dev.faults import Fault, Refuse
    from lambdasecrets.dev.stores import StoredParameter, StoredSecret

__all__ = ["CallableContext", "Parameters", "Secrets", "SecretsExtension", "run_extension", "stop_servers"]

Profile = Literal["extension", "agent"]

_Stored = TypeVar("_Stored")

_TOKEN_BYTES = 32
_ABSENT = ("ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException")
_REFERENCE = "/aws/reference/secretsmanager/"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Secrets:
    """The secrets of a stand-in, by name or ARN: `secrets["prod/db"] = {"host": "db"}`.

    Args:
        store: holds them.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __setitem__(self, name: str, value: object) -> None:
        """Put a value: a text as it is, bytes as a binary secret, anything else as JSON. A second one rotates."""
        self._store.put_secret(name, value)

    def __delitem__(self, name: str) -> None:
        """Delete a secret.

        Raises:
            KeyError: there is none of this name.
        """
        self._store.delete(name)

    def put(
        self, name: str, value: object, *, version_id: str | None = None, stages: Iterable[str] = ("AWSCURRENT",)
    ) -> str:
        """Put a version with an id or staging labels of its own, and return its id: see `MemoryStore.put_secret`."""
        return self._store.put_secret(name, value, version_id=version_id, stages=stages)


class Parameters:
    """The parameters of a stand-in, by name or ARN: `parameters["/orders/page-size"] = 25`.

    Args:
        store: holds them.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __setitem__(self, name: str, value: object) -> None:
        """Put a value: a text as it is, a list as a StringList, anything else as JSON. A second is a new version."""
        self._store.put_parameter(name, value)

    def __delitem__(self, name: str) -> None:
        """Delete a parameter.

        Raises:
            KeyError: there is none of this name.
        """
        self._store.delete(name)

    def put(self, name: str, value: object, *, type: str | None = None, labels: Iterable[str] = ()) -> int:  # noqa: A002 - AWS's word for it
        """Put a version with a type or labels, and return its number: see `MemoryStore.put_parameter`."""
        return self._store.put_parameter(name, value, type=type, labels=labels)


class SecretsExtension:
    """A stand-in for the extension, or the agent, as a test uses it.

    Args:
        server: the running server.
        store: what it serves.
        environment: the variables that lead to it.

    Attributes:
        secrets: put secrets here: `extension.secrets["prod/db"] = {"host": "db"}`.
        parameters: put parameters here: `extension.parameters["/orders/page-size"] = 25`.
        environment: the variables that are set while it is in use.
    """

    def __init__(self, server: _Server, store: MemoryStore, environment: Mapping[str, str]) -> None:
        self._server, self._store = server, store
        self._required: set[str] = set()
        self.secrets: Secrets = Secrets(store)
        self.parameters: Parameters = Parameters(store)
        self.environment: dict[str, str] = dict(environment)

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return self._server.emulator.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.emulator.port

    @property
    def token(self) -> str:
        """What requests have to bring."""
        return self._server.emulator.token

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests since the test began, the oldest first. They hold names, never a token or a value."""
        return self._server.emulator.requests

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        self._server.emulator.clear_requests()

    def deny(self, name: str) -> None:
        """Refuse a name or ARN from now on, as a missing permission would. It need not exist."""
        self._store.deny(name)

    def fault(self, fault: Fault | Refuse | str, *, times: int | None = 1, match: str = "") -> None:
        """Let something go wrong with the next requests.

        Args:
            fault: one of `lambdasecrets.dev.faults`, or its name in `EVERY_FAULT`, such as `hang`.
            times: for how many requests; None for all that follow.
            match: only for requests with this text in their target, as it is received: percent-encoded.

        Raises:
            ValueError: there is no fault of this name, or times is less than 1.
        """
        if isinstance(fault, str) and fault not in EVERY_FAULT:
            raise ValueError(f"Cannot play the fault {fault!r}: use one of {', '.join(sorted(EVERY_FAULT))}.")
        chosen = EVERY_FAULT[fault] if isinstance(fault, str) else fault
        self._server.emulator.inject(chosen, times=times, match=match)

    def missing(self) -> str:
        """Name each required value that a handler asked for and nobody put here, and say how to; empty for none.

        What was denied on purpose is not missing, nor is what takes its default.
        """
        hints = [hint for name in sorted(self._required) if (hint := self._server.missed[name].hint())]
        if not hints:
            return ""
        listed = "".join(f"\n  - {hint}" for hint in hints)
        return (
            f"A handler asked for what it requires, and nobody put it into secrets_extension:{listed}\n"
            "If it is to be refused, say so: secrets_extension.deny(name)."
        )

    def check(self) -> None:
        """Fail where a required value is missing.

        Raises:
            AssertionError: see `missing`.
        """
        missing = self.missing()
        if missing:
            raise AssertionError(missing)

    def note(self, event: ResolveEvent) -> None:
        """Take note of what a resolve could not do without."""
        if event.error is None:
            return
        text = str(event.error)
        named = f"{text}\n{_fill(text)}"
        optional = {_fill(value.declaration.name) for value in event.values if value.source == "default"}
        self._required |= {name for name in self._server.missed if name in named and name not in optional}


def _fill(text: str) -> str:
    return _PLACEHOLDER.sub(lambda found: os.environ.get(found[1], found[0]), text)


class _Missed(NamedTuple):
    """A lookup that found nothing.

    Attributes:
        look_up: does it again.
        place: where the value would be put, as it is written.
    """

    look_up: Callable[[], object]
    place: str

    def hint(self) -> str | None:
        """Say what is missing and how to put it there; None where it is there by now, or refused on purpose."""
        try:
            self.look_up()
        except StoreError as error:
            return f"{self.place} = ...  ({error.message})" if error.code in _ABSENT else None
        return None


class _Server:
    """A server that outlives tests, and the store of the present one. It is its emulator's `Store`."""

    def __init__(self, profile: Profile) -> None:
        self.profile: Profile = profile
        self.missed: dict[str, _Missed] = {}
        self._store = MemoryStore()
        self.emulator: Emulator = Emulator(self, profile=profile).start()

    def serve(self, store: MemoryStore) -> None:
        """Begin anew: with other values, another token, and nothing of what was before."""
        self._store, self.missed = store, {}
        self.emulator.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.emulator.clear_faults()
        self.emulator.clear_requests()

    def secret(self, secret_id: str, **selector: Any) -> StoredSecret:
        """Return one version of a secret: see `Store.secret`."""
        look_up = partial(self._store.secret, secret_id, **selector)
        return self._note_missed(secret_id, _Missed(look_up, _secret_place(secret_id)), look_up)

    def parameter(self, name: str, **selector: Any) -> StoredParameter:
        """Return one version of a parameter: see `Store.parameter`."""
        look_up = partial(self._store.parameter, name, **selector)
        return self._note_missed(name, _Missed(look_up, _parameter_place(name)), look_up)

    def _note_missed(self, name: str, missed: _Missed, look_up: Callable[[], _Stored]) -> _Stored:
        try:
            return look_up()
        except StoreError:
            self.missed[name] = missed
            raise


def _secret_place(name: str) -> str:
    return f"secrets_extension.secrets[{name!r}]"


def _parameter_place(name: str) -> str:
    if name.startswith(_REFERENCE):
        return _secret_place(name.removeprefix(_REFERENCE).partition(":")[0])
    return f"secrets_extension.parameters[{name!r}]"


_IDLE: dict[Profile, list[_Server]] = {}
"""Servers that no test uses now."""

if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows is without it, and without forks
    # A child has none of its parent's threads.
    os.register_at_fork(after_in_child=_IDLE.clear)


@atexit.register
def stop_servers() -> None:
    """Stop the servers that no test uses. The next test starts another one."""
    while _IDLE:
        for server in _IDLE.popitem()[1]:
            server.emulator.stop()


@contextmanager
def run_extension(file: str | Path | None = None, profile: Profile = "extension") -> Generator[SecretsExtension]:
    """Give a stand-in with nothing of earlier tests, in an environment that leads to it: `testing.secrets_extension`.

    Args:
        file: a secrets file to begin with.
        profile: which server it stands in for.

    Raises:
        SecretsFileError: the file cannot be read.
    """
    loaded = SecretsFile(MemoryStore(), {}) if file is None else load_secrets_file(file)
    idle = _IDLE.setdefault(profile, [])
    server = idle.pop() if idle else _Server(profile)
    server.serve(loaded.store)
    extension = SecretsExtension(server, loaded.store, {**server.emulator.environment(), **loaded.environment})
    try:
        with _lead_to(extension), _observe(extension):
            yield extension
    finally:
        server.serve(MemoryStore())
        _IDLE.setdefault(profile, []).append(server)


def _lead_to(extension: SecretsExtension) -> AbstractContextManager[None]:
    """Set the variables that lead to a stand-in, and take away those that lead to an account."""
    credentials = find_credential_variables(os.environ)
    return change_environment({**HIDDEN_FILES, **extension.environment}, without=credentials)


@contextmanager
def _observe(extension: SecretsExtension) -> Generator[None]:
    testing.forget()
    _resolver.OBSERVERS.append(extension.note)
    try:
        yield
    finally:
        _resolver.OBSERVERS.remove(extension.note)
        testing.forget()


class CallableContext(LambdaContext):
    """A context that makes others: what the fixture `lambda_context` gives."""

    __slots__ = ()

    def __call__(self, timeout: float = testing.DEFAULT_TIMEOUT_SECONDS, *, tenant_id: str | None = None) -> Self:
        """Make another context, whose time counts down from now: see `lambdasecrets.testing.lambda_context`."""
        return self.from_environment(timeout, tenant_id=tenant_id)
