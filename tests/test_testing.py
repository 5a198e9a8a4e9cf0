"""`lambdasecrets.testing`, as the author of tests meets it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import unittest
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import requests
from pydantic import BaseModel

import lambdasecrets.testing
from lambdasecrets import NotFoundError, Parameter, Secret, UnresolvedError, inject_secrets, resolve, use_session
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.testbed import SecretsExtension
from lambdasecrets.testing import forget, lambda_context, override, secrets_extension

SECONDS = 60.0


class Database(BaseModel, frozen=True):
    host: str


FAKE = Database(host="fake")


@inject_secrets
def handler(
    event: Any,
    context: Any,
    *,
    database: Annotated[Database, Secret("db")],
    size: Annotated[int, Parameter("/size")] = 50,
) -> tuple[str, int]:
    """Need one value, and take another."""
    return database.host, size


@inject_secrets
async def coroutine(event: Any, context: Any, *, database: Annotated[Database, Secret("db")]) -> str:
    """Need one value."""
    return database.host


class Service:
    @inject_secrets
    def handle(self, event: Any, context: Any, *, database: Annotated[Database, Secret("db")]) -> str:
        return database.host


# --- override -----------------------------------------------------------------------------------------------------


def test_overrides_everything() -> None:
    """With every value overridden a handler needs no server, no token and no keyword."""
    with override(handler, database=FAKE, size=1):
        assert handler({}, None) == ("fake", 1)


def test_overrides_a_part() -> None:
    """What is overridden is not fetched; the rest is."""
    with secrets_extension() as extension, override(handler, database=FAKE):
        extension.parameters["/size"] = 7

        assert handler({}, None) == ("fake", 7)
        assert [record.target for record in extension.requests] == [
            "/systemsmanager/parameters/get?name=%2Fsize&withDecryption=true"
        ]


def test_the_callers_value_wins_over_an_override() -> None:
    """A keyword argument of the caller's wins."""
    with override(handler, database=FAKE, size=1):
        assert handler({}, None, size=2) == ("fake", 2)


def test_overrides_may_be_nested() -> None:
    """The inner override wins while it lasts, and leaves the outer one as it was."""
    with override(handler, database=FAKE, size=1):
        with override(handler, size=2):
            assert handler({}, None) == ("fake", 2)
        assert handler({}, None) == ("fake", 1)


def test_an_override_ends_with_an_error() -> None:
    """An exception ends the override and goes on."""
    with pytest.raises(ZeroDivisionError), override(handler, database=FAKE, size=1):
        raise ZeroDivisionError
    with secrets_extension() as extension:
        extension.secrets["db"] = {"host": "real"}

        assert handler({}, None) == ("real", 50)


def test_overrides_in_every_thread() -> None:
    """What is overridden here is overridden for a handler that another thread calls."""
    results: list[object] = []
    with override(handler, database=FAKE, size=1):
        thread = threading.Thread(target=lambda: results.append(handler({}, None)))
        thread.start()
        thread.join(SECONDS)

    assert results == [("fake", 1)]


def test_overrides_methods() -> None:
    """A method is overridden through its class or its object."""
    with override(Service.handle, database=FAKE):
        assert Service().handle({}, None) == "fake"
    with override(Service().handle, database=FAKE):
        assert Service().handle({}, None) == "fake"


def test_overrides_coroutines() -> None:
    """An async handler is overridden as any other."""
    with override(coroutine, database=FAKE):
        assert asyncio.run(coroutine({}, None)) == "fake"


@override(handler, database=FAKE, size=3)
def test_decorates_a_test() -> None:
    """As a decorator it overrides while the test runs."""
    assert handler({}, None) == ("fake", 3)


def test_a_decorated_test_runs_twice() -> None:
    """A decorated function overrides each time that it is called, and keeps its name and arguments."""

    @override(handler, database=FAKE)
    def act(size: int) -> tuple[str, int]:
        return handler({}, None, size=size)

    assert (act(1), act(size=2), act.__name__) == (("fake", 1), ("fake", 2), "act")


def test_decorates_a_coroutine() -> None:
    """A decorated coroutine function overrides until it has run, not only until it is called."""

    @override(coroutine, database=FAKE)
    async def act() -> str:
        await asyncio.sleep(0)
        return await coroutine({}, None)

    assert asyncio.run(act()) == "fake"


def generator() -> Iterator[None]:
    """Yield once."""
    yield  # pragma: no cover - it is what it is, and never runs


async def async_generator() -> AsyncIterator[None]:
    """Yield once."""
    yield  # pragma: no cover - it is what it is, and never runs


@pytest.mark.parametrize(
    ("what", "kind"), [(generator, "generator"), (async_generator, "generator"), (Service, "class")]
)
def test_what_cannot_be_decorated(what: Any, kind: str) -> None:
    """A generator or a class does not run when it is called, so it is refused with the way out."""
    with pytest.raises(TypeError) as caught:
        override(handler, database=FAKE)(what)

    assert str(caught.value) == f"Cannot decorate a {kind} with override: write `with override(...)` inside."


def test_a_misspelt_override() -> None:
    """A value that is not injected is refused at once, with the names that are."""
    with pytest.raises(TypeError) as caught:
        override(handler, databse=FAKE)

    assert str(caught.value) == (
        "Cannot override 'databse' of handler: it is not injected there. What is: database, size."
    )


@pytest.mark.parametrize(("what", "name"), [(generator, "generator"), (Service(), "Service")])
def test_an_undecorated_handler(what: Any, name: str) -> None:
    """What is not decorated with `inject_secrets` cannot be overridden."""
    with pytest.raises(TypeError) as caught:
        override(what, database=FAKE)

    assert str(caught.value) == f"Cannot override values of {name}: it is not decorated with @inject_secrets."


# --- secrets_extension, forget, lambda_context --------------------------------------------------------------------


def test_serves_what_is_put() -> None:
    """A handler gets over real HTTP what a test puts in."""
    with secrets_extension() as extension:
        extension.secrets["db"] = {"host": "real"}
        extension.parameters["/size"] = 7

        assert handler({}, None) == ("real", 7)


def test_serves_a_file(tmp_path: Path) -> None:
    """It begins with a secrets file, and with the variables that the file sets."""
    path = tmp_path / "secrets.toml"
    path.write_text('[environment]\nSTAGE = "test"\n[secrets]\n"test/db" = { host = "file" }\n', encoding="utf-8")
    with secrets_extension(path):
        assert resolve(Secret("{STAGE}/db", key="host"), str) == "file"
    assert "STAGE" not in os.environ


def test_is_the_agent() -> None:
    """With the agent's profile, its errors name the cause."""
    with pytest.raises(NotFoundError), secrets_extension(profile="agent"):
        resolve(Secret("db"), str)


def test_as_a_decorator() -> None:
    """It decorates a function too."""

    @secrets_extension()
    def act() -> str | None:
        return os.environ.get("AWS_SESSION_TOKEN")

    assert act() is not None
    assert os.environ.get("AWS_SESSION_TOKEN") is None


def test_a_required_value_that_nobody_put() -> None:
    """Leaving it fails where a handler asked for a required value that is not there, even if the test swallowed it."""
    with pytest.raises(AssertionError) as caught, secrets_extension(), pytest.raises(UnresolvedError):
        handler({}, None)

    assert str(caught.value).splitlines()[1] == (
        "  - secrets_extension.secrets['db'] = ...  (Secrets Manager can't find the specified secret.)"
    )


def test_an_error_of_the_test_goes_on() -> None:
    """An exception of the test's own is not replaced."""
    with pytest.raises(UnresolvedError), secrets_extension():
        handler({}, None)


class TestWithUnittest(unittest.TestCase):
    """A test case without pytest's fixtures."""

    def setUp(self) -> None:
        # enterContext is Python 3.11's.
        manager = secrets_extension()
        self.extension = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)

    def test_a_handler(self) -> None:
        """In a TestCase a handler gets what was put in."""
        self.extension.secrets["db"] = {"host": "unittest"}
        self.assertEqual(("unittest", 50), handler({}, None))  # noqa: PT009 - it is about unittest


def test_forgets_absences() -> None:
    """An optional value that was absent a moment ago is asked for again after `forget`."""
    with secrets_extension() as extension:
        extension.secrets["db"] = {"host": "real"}
        before = handler({}, None)
        extension.parameters["/size"] = 7
        forget()

        assert (before, handler({}, None)) == (("real", 50), ("real", 7))


def test_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting before anything was resolved is fine, also where a setting is wrong."""
    use_session(None)
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", "pigeon")
    forget()
    forget()


def test_keeps_a_session() -> None:
    """A Session of one's own goes on carrying the requests."""
    session = requests.Session()
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    with secrets_extension() as extension:
        use_session(session)
        extension.secrets["db"] = {"host": "real"}
        forget()

        assert resolve(Secret("db"), Database) == Database(host="real")
        assert seen == [200]


def test_a_context_counts_down() -> None:
    """The context's time counts down from the timeout."""
    context = lambda_context(2)

    assert isinstance(context, LambdaContext)
    assert 0 < context.get_remaining_time_in_millis() <= 2000
    assert 2000 < lambda_context().get_remaining_time_in_millis() <= 3000
    assert lambda_context(0).get_remaining_time_in_millis() == 0


def test_a_context_has_a_tenant() -> None:
    """A context is for the tenant that it is given, or for none."""
    assert (lambda_context(tenant_id="acme").tenant_id, lambda_context().tenant_id) == ("acme", None)


# --- What it imports ----------------------------------------------------------------------------------------------


def test_names_are_all_there() -> None:
    """Each name of `__all__` is to be had, the stand-in's class included."""
    assert [name for name in lambdasecrets.testing.__all__ if not hasattr(lambdasecrets.testing, name)] == []
    assert lambdasecrets.testing.SecretsExtension is SecretsExtension
    assert not hasattr(lambdasecrets.testing, "SecretExtension")


def test_imports_the_tools_when_they_are_used() -> None:
    """Overriding imports nothing of the tools, and no pytest."""
    source = """
import json, sys
from lambdasecrets.testing import forget, override
forget()
print(json.dumps([name for name in sys.modules if name.startswith(("lambdasecrets.dev", "pytest", "_pytest"))]))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, timeout=SECONDS)

    assert json.loads(done.stdout) == []
