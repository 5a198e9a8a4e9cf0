"""The stand-in for tests: what is put in, what goes wrong, what is missing, and what stays behind of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from lambdasecrets import (
    AccessDeniedError,
    ExtensionUnavailableError,
    Parameter,
    Secret,
    TokenRejectedError,
    UnresolvedError,
    _resolver,
    inject_secrets,
    resolve,
)
from lambdasecrets.dev.faults import EVERY_FAULT
from lambdasecrets.dev.stores import SecretsFileError
from lambdasecrets.dev.testbed import SecretsExtension, run_extension, stop_servers
from tests.reliability.canary import CANARY

SECONDS = 60.0


@inject_secrets(timeout=1)
def handler(
    event: Any,
    context: Any,
    *,
    database: Annotated[str, Secret("{STAGE}/db", key="host")],
    size: Annotated[int, Parameter("/size")] = 50,
) -> tuple[str, int]:
    """Need one value, and take another."""
    return database, size


def missing(act: Any, error: type[Exception] = UnresolvedError) -> str:
    """Say what a stand-in finds missing after an act that fails."""
    with run_extension() as extension:
        with pytest.raises(error):
            act(extension)
        return extension.missing()


# --- What is put in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [("text", str, "text"), (b"\0\xff", bytes, b"\0\xff"), ({"a": [1]}, dict[str, Any], {"a": [1]}), (5, int, 5)],
)
def test_secrets_are_put_by_name(value: object, kind: Any, read: object) -> None:
    """A text, bytes and anything that is JSON is a secret."""
    with run_extension() as extension:
        extension.secrets["a"] = value

        assert resolve(Secret("a"), kind) == read


@pytest.mark.parametrize(("value", "kind"), [("text", str), (["a", "b"], list[str]), (5, int), ({"a": 1}, Any)])
def test_parameters_are_put_by_name(value: object, kind: Any) -> None:
    """A text, a list and anything that is JSON is a parameter."""
    with run_extension() as extension:
        extension.parameters["/a"] = value

        assert resolve(Parameter("/a"), kind if kind is not Any else dict[str, int]) == value


def test_a_second_value_is_a_rotation() -> None:
    """Putting a secret again makes another version current, and the one before AWSPREVIOUS."""
    with run_extension() as extension:
        extension.secrets["a"] = "old"
        extension.secrets["a"] = "new"
        current = resolve(Secret("a"), str), resolve(Secret("a", version_stage="AWSPREVIOUS"), str)

        assert current == ("new", "old")


def test_versions_of_ones_own() -> None:
    """A version gets the id, stages, type and labels that it is put with."""
    with run_extension() as extension:
        version_id = extension.secrets.put("a", "pending", version_id="v" * 32, stages=["AWSPENDING"])
        number = extension.parameters.put("/a", "hidden", type="SecureString", labels=["Dev"])

        assert (version_id, number) == ("v" * 32, 1)
        assert resolve(Secret("a", version_stage="AWSPENDING"), str) == "pending"
        assert resolve(Parameter("/a", label="Dev"), str) == "hidden"
        assert resolve(Parameter("/a", decrypt=False), str) != "hidden"


def test_what_is_deleted_is_gone() -> None:
    """A value that is deleted is not found any more; to delete what is not there is a KeyError."""
    with run_extension() as extension:
        extension.secrets["a"] = extension.parameters["/b"] = "x"
        del extension.secrets["a"]
        del extension.parameters["/b"]
        with pytest.raises(UnresolvedError):
            resolve(Secret("a"), str)
        with pytest.raises(UnresolvedError):
            resolve(Parameter("/b"), str)
        with pytest.raises(KeyError):
            del extension.secrets["a"]
        with pytest.raises(KeyError):
            del extension.parameters["/b"]


def test_shows_no_value() -> None:
    """No representation of the stand-in shows a value."""
    with run_extension() as extension:
        extension.secrets["a"] = extension.parameters["/a"] = CANARY

        assert CANARY not in "".join(map(repr, (extension, extension.secrets, extension.parameters)))


# --- What goes wrong ----------------------------------------------------------------------------------------------


def test_denies() -> None:
    """A name that is denied is refused, and is not missing."""
    with run_extension(profile="agent") as extension:
        extension.deny("a")
        with pytest.raises(AccessDeniedError):
            resolve(Secret("a"), str)

        assert extension.missing() == ""
        extension.check()


@pytest.mark.parametrize("fault", ["refuse", EVERY_FAULT["refuse"]])
def test_plays_faults(fault: Any) -> None:
    """A fault, or the name of one, goes wrong until the test ends."""
    with run_extension() as extension:
        extension.secrets["a"] = "x"
        extension.fault(fault, times=None)
        with pytest.raises(ExtensionUnavailableError):
            resolve(Secret("a"), str, timeout=0.2)
    with run_extension() as extension:
        extension.secrets["a"] = "x"

        assert resolve(Secret("a"), str) == "x"


def test_plays_a_fault_for_one_name() -> None:
    """A fault can be for some requests only."""
    with run_extension() as extension:
        extension.secrets["a"] = extension.secrets["b"] = "x"
        extension.fault("bad-session-token", times=None, match="secretId=a")
        with pytest.raises(TokenRejectedError):
            resolve(Secret("a"), str, timeout=0.2)

        assert resolve(Secret("b"), str) == "x"


def test_an_unknown_fault() -> None:
    """The name of no fault is refused, with those that are."""
    with (
        run_extension() as extension,
        pytest.raises(ValueError, match=r"^Cannot play the fault 'hung': use one of") as e,
    ):
        extension.fault("hung")

    assert "hang" in str(e.value)


# --- What is missing ----------------------------------------------------------------------------------------------


def test_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A required value that nobody put is named as it was asked for; one with a default is not."""
    monkeypatch.setenv("STAGE", "prod")

    assert missing(lambda _: handler({}, None)) == (
        "A handler asked for what it requires, and nobody put it into secrets_extension:\n"
        "  - secrets_extension.secrets['prod/db'] = ...  (Secrets Manager can't find the specified secret.)\n"
        "If it is to be refused, say so: secrets_extension.deny(name)."
    )


@pytest.mark.parametrize(
    ("declaration", "place"),
    [
        (Secret("a"), "secrets['a']"),
        (Parameter("/a"), "parameters['/a']"),
        (Parameter("/aws/reference/secretsmanager/a"), "secrets['a']"),
    ],
    ids=str,
)
def test_says_where_to_put_it(declaration: Any, place: str) -> None:
    """Each kind of declaration is put in its own place."""
    assert f"  - secrets_extension.{place} = ...  (" in missing(lambda _: resolve(declaration, str))


@pytest.mark.parametrize("declaration", [Secret("a", version_stage="AWSPENDING"), Parameter("/a", version=2)], ids=str)
def test_a_version_is_missing(declaration: Any) -> None:
    """A version or a stage that nobody put is missing too."""

    def act(extension: SecretsExtension) -> None:
        extension.secrets["a"] = extension.parameters["/a"] = "x"
        resolve(declaration, str)

    assert "['a']" in missing(act).replace("/a", "a")


def test_what_is_put_later_is_not_missing() -> None:
    """A test may begin without a value and put it later, or refuse it."""

    def act(extension: SecretsExtension) -> None:
        for name in ("a", "b"):
            with pytest.raises(UnresolvedError):
                resolve(Secret(name), str)
        extension.secrets["a"] = "x"
        extension.deny("b")
        resolve(Secret("b"), str)

    assert missing(act) == ""


def test_another_error_is_not_a_missing_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the wrong shape fails by itself; a default beside it is not missing."""
    monkeypatch.setenv("STAGE", "prod")

    def act(extension: SecretsExtension) -> None:
        extension.secrets["prod/db"] = {"port": 1}
        handler({}, None)

    assert missing(act, Exception) == ""


# --- One server for many tests ------------------------------------------------------------------------------------


def test_one_server_for_many_tests() -> None:
    """The server stays; values, requests, denials and the token do not."""
    with run_extension() as first:
        first.secrets["a"] = "x"
        first.deny("b")
        resolve(Secret("a"), str)
        before = (first.port, first.token, len(first.requests))
        first.clear_requests()
        cleared = first.requests
    with run_extension() as second:
        second.secrets["b"] = "y"

        assert (second.port, second.requests, cleared) == (before[0], [], [])
        assert before[2] == 1
        assert second.token != before[1]
        assert second.url == f"http://127.0.0.1:{second.port}"
        assert resolve(Secret("b"), str) == "y"
        with pytest.raises(UnresolvedError):
            resolve(Secret("a"), str)


def test_two_at_once_have_a_server_each() -> None:
    """A stand-in inside another one takes nothing from it."""
    with run_extension() as outer:
        outer.secrets["a"] = "outer"
        with run_extension() as inner:
            inner.secrets["a"] = "inner"
            first = resolve(Secret("a"), str)

        assert (first, resolve(Secret("a"), str)) == ("inner", "outer")


def test_forgets_what_an_earlier_test_learnt() -> None:
    """An absence that one test met is not known to the next."""
    results = []
    for size in (None, 7):
        with run_extension() as extension:
            os.environ["STAGE"] = "prod"
            extension.secrets["prod/db"] = {"host": "db"}
            if size is not None:
                extension.parameters["/size"] = size
            results.append(handler({}, None))
    del os.environ["STAGE"]

    assert results == [("db", 50), ("db", 7)]


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variables that lead to it, and those of its file, are set meanwhile; what leads elsewhere is taken away."""
    path = tmp_path / "secrets.toml"
    path.write_text('[environment]\nSTAGE = "file"\n', encoding="utf-8")
    for name in ("AWS_TOKEN", "AWS_PROFILE", "STAGE", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "mine")
    before = dict(os.environ)
    with run_extension(path) as extension:
        inside = dict(os.environ)

        assert extension.environment == {name: inside[name] for name in extension.environment}
        assert (inside["STAGE"], inside["AWS_SESSION_TOKEN"]) == ("file", extension.token)
        assert {"AWS_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"} & inside.keys() == set()
    assert dict(os.environ) == before


def test_nobody_observes_afterwards() -> None:
    """After a test nothing is observed, however it ended."""
    with pytest.raises(ZeroDivisionError), run_extension():
        raise ZeroDivisionError
    assert _resolver.OBSERVERS == []


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A secrets file with a mistake is refused before anything is set."""
    before = dict(os.environ)
    with pytest.raises(SecretsFileError):
        run_extension(tmp_path / "none.toml").__enter__()
    assert dict(os.environ) == before


def test_servers_stop() -> None:
    """Servers that no test uses can be stopped; the next test starts another."""
    with run_extension():
        pass
    stop_servers()
    stop_servers()
    with run_extension() as extension:
        extension.secrets["a"] = "x"

        assert resolve(Secret("a"), str) == "x"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_fork_has_servers_of_its_own() -> None:
    """A forked child does not count on the threads of its parent's server."""
    source = """
import json, os
from lambdasecrets import Secret, resolve
from lambdasecrets.dev.testbed import run_extension
with run_extension() as extension:
    port = extension.port
child = os.fork()
with run_extension() as extension:
    extension.secrets["a"] = "x"
    good = resolve(Secret("a"), str) == "x" and (extension.port == port) == bool(child)
if not child:
    os._exit(0 if good else 1)
print(json.dumps([good, os.waitpid(child, 0)[1]]))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, timeout=SECONDS)

    assert json.loads(done.stdout) == [True, 0]
