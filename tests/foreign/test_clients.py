"""The stand-in against clients of other languages: each has an HTTP stack of its own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.dev.asking import ask
from tests.foreign._toolchains import HERE, built, output
from tests.foreign.conftest import Found

CLIENTS = HERE / "clients"
FIRST_VERSION = "11111111-2222-4333-8444-555555555555"
DATABASE = '{"host": "db.internal", "port": 5432}'

Answers = list[tuple[int, bytes]]
Client = tuple[Callable[[], list[str | Path]], Callable[[str], Answers]]


def go() -> list[str | Path]:
    """Build the client on Go's net/http."""
    return [built(CLIENTS / "go", ["go", "build", "-o", "client", "."], "go") / "client"]


def node(name: str) -> list[str | Path]:
    """Install what the clients on Node need; give the one of this name."""
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    return ["node", built(CLIENTS / "node", install, "node", "npm") / name]


def java() -> list[str | Path]:
    """Compile the client on Java's HttpClient."""
    return ["java", "-cp", built(CLIENTS / "Client.java", ["javac", "Client.java"], "javac", "java"), "Client"]


def rust() -> list[str | Path]:
    """Build the client on the crate that is published for the extension, with the OpenSSL it brings only if need be."""
    tools = ("cargo", "cc", "perl", "make")
    command = [*(["env", "OPENSSL_NO_VENDOR=1"] if has_openssl() else []), "cargo", "build", "--quiet"]
    return [built(CLIENTS / "rust", command, *tools) / "target/debug/foreign-client"]


def has_openssl() -> bool:
    """Tell whether this system has OpenSSL to build with: what the crate brings takes minutes to compile."""
    finder = shutil.which("pkg-config")
    return finder is not None and subprocess.run([finder, "--exists", "openssl"], check=False).returncode == 0


def of_json(written: str) -> Answers:
    """Read a line of JSON for each answer."""
    return [(status, body.encode()) for status, body in map(json.loads, written.splitlines())]


def of_base64(written: str) -> Answers:
    """Read a line with status and body for each answer."""
    parts = (line.split(" ") for line in written.splitlines())
    return [(int(status), base64.b64decode(body)) for status, body in parts]


EVERY_CLIENT: dict[str, Client] = {
    "go": (go, of_json),
    "fetch": (lambda: node("fetch.mjs"), of_json),
    "axios": (lambda: node("axios.mjs"), of_json),
    "java": (java, of_base64),
}


@pytest.fixture
def store() -> MemoryStore:
    """Give a store with what the clients ask for."""
    store = MemoryStore()
    store.put_secret("database", DATABASE)
    store.put_secret("dev/odd_+=.@-name", "é💥\n")
    store.put_secret("binary", b"\x00\xff")
    store.put_secret("large", "x" * 60_000)
    store.put_secret("versions", "first", version_id=FIRST_VERSION)
    store.put_secret("versions", "second")
    store.put_parameter("/size", "25")
    store.put_parameter("/secure", "pass word", type="SecureString")
    return store


def targets(store: MemoryStore) -> list[str]:
    """List what the clients ask for."""
    secret, parameter = "/secretsmanager/get?secretId=", "/systemsmanager/parameters/get?name="
    return [
        f"{secret}database",
        f"{secret}{quote('dev/odd_+=.@-name', safe='')}",
        f"{secret}{quote(store.secret('database').arn, safe='')}",
        f"{secret}binary",
        f"{secret}large",
        f"{secret}versions&versionStage=AWSPREVIOUS",
        f"{secret}versions&versionId={FIRST_VERSION}",
        f"{secret}missing",
        f"{secret}",
        f"{parameter}%2Fsize",
        f"{parameter}%2Fsecure&withDecryption=true",
        "/x",
        "/ping",
        f"{secret}database",
    ]


@pytest.mark.parametrize("profile", ["extension", "agent"])
@pytest.mark.parametrize("name", EVERY_CLIENT)
def test_a_client_gets_every_answer(
    found: Found, store: MemoryStore, name: str, profile: Literal["extension", "agent"]
) -> None:
    """Each client gets every answer as it is, and keeps its connections."""
    build, read = EVERY_CLIENT[name]
    command = found(build)
    asked = targets(store)
    with Emulator(store, profile=profile) as emulator:
        written = output(command, {"BASE": emulator.url, "TOKEN": emulator.token}, asked)
        connections = {record.connection for record in emulator.requests}
        expected = [(heard.status, heard.body) for heard in (ask(emulator, target) for target in asked)]

    assert read(written) == expected
    assert len(connections) <= 2  # a client may open the next before it sees that the last is free


@pytest.mark.parametrize("profile", ["extension", "agent"])
@pytest.mark.parametrize("name", EVERY_CLIENT)
def test_a_client_with_a_wrong_token(
    found: Found, store: MemoryStore, name: str, profile: Literal["extension", "agent"]
) -> None:
    """Each client hears that its token is wrong."""
    build, read = EVERY_CLIENT[name]
    command = found(build)
    with Emulator(store, profile=profile) as emulator:
        written = output(command, {"BASE": emulator.url, "TOKEN": "wrong"}, targets(store)[:2])

    expected = {"extension": (401, b"bad session token or header key"), "agent": (403, b"Bad Token")}[profile]
    assert read(written) == [expected] * 2


def test_the_crate_for_the_extension(found: Found, store: MemoryStore) -> None:
    """What aws-parameters-and-secrets-lambda 1.0.0 can ask of the real extension, the stand-in answers."""
    command = found(rust)
    with Emulator(store) as emulator:
        environ = {
            "AWS_SESSION_TOKEN": emulator.token,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(emulator.port),
            "VERSION": FIRST_VERSION,
        }
        got = json.loads(output(command, environ))
    arn = store.parameter("/secure").arn
    refusal = "received an error response from the Secrets Manager extension: HTTP status client error"

    assert json.loads(got.pop("raw")) == json.loads(DATABASE)
    assert (got.pop("missing").partition(" (")[0], got.pop("wrong token").partition(" (")[0]) == (refusal, refusal)
    assert got == {
        "single": "db.internal",
        "typed": ["db.internal", "5432"],
        "stage": "first",
        "version": "first",
        "parameter": 25,
        "full": [arn, "text", "/secure", "SecureString", "pass word", "1"],
    }
