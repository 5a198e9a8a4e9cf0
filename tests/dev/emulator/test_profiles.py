from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdasecrets.dev._emulator.profiles import AgentProfile
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore, StoredSecret, StoreError
from tests.dev.asking import ask, ask_on, connected
from tests.golden import SECRET_ARN, VERSION_1, golden, golden_store

SECRET = "/secretsmanager/get?secretId="
PARAMETER = "/systemsmanager/parameters/get?name="
REFERENCE = f"{PARAMETER}/aws/reference/secretsmanager"


class BrokenStore(MemoryStore):
    """A store with a mistake in it, whose message shows a value."""

    def secret(
        self, secret_id: str, *, version_id: str | None = None, version_stage: str | None = None
    ) -> StoredSecret:
        raise ZeroDivisionError("hunter2-canary")


@pytest.fixture
def extension() -> Iterator[Emulator]:
    """Start an extension."""
    with Emulator(golden_store()) as emulator:
        yield emulator


@pytest.fixture
def agent() -> Iterator[Emulator]:
    """Start an agent."""
    with Emulator(golden_store(), profile="agent") as emulator:
        yield emulator


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"{SECRET}s", "extension_secret.json"),
        (f"{SECRET}{SECRET_ARN}", "extension_secret.json"),
        (f"{SECRET}{quote(SECRET_ARN, safe='')}", "extension_secret.json"),
        (f"{SECRET}s&versionStage=AWSPREVIOUS", "extension_secret_previous.json"),
        (f"{SECRET}s&versionId={VERSION_1}", "extension_secret_previous.json"),
        (f"{SECRET}s&secretId=b&anything=else&versionId=", "extension_secret.json"),
        (f"{SECRET}b", "extension_secret_binary.json"),
        (f"{PARAMETER}/p/x", "extension_parameter.json"),
        (f"{PARAMETER}%2Fp%2Fx&withDecryption=false", "extension_parameter.json"),
        ("/systemsmanager/parameters/get/?name=%2Fp%2Fx", "extension_parameter.json"),
        (f"{PARAMETER}/p/list&withDecryption=true", "extension_parameter_list.json"),
        (f"{PARAMETER}/p/secure&withDecryption=true", "extension_parameter_secure.json"),
        (f"{PARAMETER}/p/versions&version=1", "extension_parameter_version.json"),
        (f"{PARAMETER}/p/versions&version=1&label=none", "extension_parameter_version.json"),
        (f"{PARAMETER}/p/versions&label=Dev&version=9", "extension_parameter_label.json"),
        (f"{REFERENCE}/s&withDecryption=true", "extension_reference.json"),
        (f"{REFERENCE}/b&withDecryption=True", "extension_reference_binary.json"),
    ],
)
def test_the_extension_answers_letter_by_letter(extension: Emulator, target: str, name: str) -> None:
    """A 200 of the extension is the recorded body, null members and the order of the keys included."""
    heard = ask(extension, target)

    assert (heard.status, heard.body) == (200, golden(name))


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (f"{SECRET}none", "'none': ResourceNotFoundException: Secrets Manager can't find the specified secret."),
        (
            f"{SECRET}a+b",
            "'a b': ResourceNotFoundException: Secrets Manager can't find the specified secret.",
        ),
        ("/secretsmanager/get", "None: ValidationException: missing parameter secretId"),
        ("/secretsmanager/get?secretId=", "None: ValidationException: missing parameter secretId"),
        ("/systemsmanager/parameters/get", "None: ValidationException: missing parameter name"),
        (f"{PARAMETER}/p/none", "'/p/none': ParameterNotFound: Parameter /p/none not found."),
        (f"{PARAMETER}/p/x&version=one", "'/p/x': ValidationException: version is not a whole number"),
        (
            f"{PARAMETER}/p/x&version=-1",
            "'/p/x': ValidationException: version is not a whole number",
        ),
        (
            f"{REFERENCE}/s",
            (
                "'/aws/reference/secretsmanager/s': ValidationException: WithDecryption flag must be True for"
                " retrieving a Secret Manager secret."
            ),
        ),
    ],
)
def test_the_extension_keeps_the_cause_to_its_log(
    extension: Emulator, caplog: pytest.LogCaptureFixture, target: str, cause: str
) -> None:
    """Whatever AWS refuses is the same 400; the cause is in a line of the log, in the extension's style."""
    heard = ask(extension, target)
    (record,) = caplog.records
    pattern = r"\[AWS Parameters and Secrets Lambda Extension\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d ERROR GET (\S+) (.*)"
    line = re.fullmatch(pattern, record.getMessage(), re.DOTALL)

    assert (heard.status, heard.body) == (400, golden("extension_unresolved.txt"))
    assert (record.name, record.levelno) == ("lambdasecrets.emulator", logging.ERROR)
    assert line is not None
    assert (target.partition("?")[0], cause) == line.groups()


def test_the_extension_checks_the_token(extension: Emulator) -> None:
    """A wrong token and none at all are a 401 in plain text."""
    heard = [ask(extension, f"{SECRET}s", token=token) for token in ("wrong", "")]

    assert [(401, golden("extension_bad_token.txt"))] * 2 == [(answer.status, answer.body) for answer in heard]


def test_the_extension_is_not_ready_before_the_first_invocation() -> None:
    """Until the gate opens every request is a 400 that says to wait, whatever its token."""
    with Emulator(golden_store(), ready=False) as emulator:
        before = [ask(emulator, f"{SECRET}s", token=token) for token in (emulator.token, "wrong")]
        emulator.open_gate()
        after = ask(emulator, f"{SECRET}s")

    assert [(400, golden("extension_not_ready.txt"))] * 2 == [(answer.status, answer.body) for answer in before]
    assert after.status == 200


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", (404, b"404 page not found")),
        ("GET", "/secretsmanager/get/?secretId=s", (404, b"404 page not found")),
        ("GET", "/v1/s", (404, b"404 page not found")),
        ("POST", f"{SECRET}s", (405, b"Method Not Allowed")),
    ],
)
def test_other_paths_and_methods_of_the_extension(
    extension: Emulator, method: str, target: str, expected: tuple[int, bytes]
) -> None:
    """A path that the extension does not know is a 404, a method other than GET a 405."""
    heard = ask(extension, target, method=method)

    assert expected == (heard.status, heard.body)


def test_a_secure_string_without_decryption_is_a_200(extension: Emulator) -> None:
    """A SecureString that nobody asked to decrypt is ciphertext, with status 200."""
    heard = ask(extension, f"{PARAMETER}/p/secure")

    assert heard.status == 200
    assert b'"Type":"SecureString","Value":"AQIC' in heard.body
    assert b"pass word" not in heard.body


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_a_broken_store_is_an_error_without_its_message(caplog: pytest.LogCaptureFixture, profile: str) -> None:
    """An exception that no store should raise is logged by its type: its message may hold a value."""
    with Emulator(BrokenStore(), profile=profile) as emulator:  # type: ignore[arg-type]
        heard = ask(emulator, f"{SECRET}s")

    assert heard.status == {"extension": 400, "agent": 500}[profile]
    assert caplog.records[-1].getMessage().endswith("'s': InternalFailure: ZeroDivisionError")
    assert b"canary" not in heard.body


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"{SECRET}s", "agent_secret.json"),
        (f"{SECRET}b&secretId=s", "agent_secret.json"),
        (f"{SECRET}s&versionStage=AWSPREVIOUS", "agent_secret_previous.json"),
        (f"/v1/s?versionId={VERSION_1}", "agent_secret_previous.json"),
        (f"/v1/{SECRET_ARN}?refreshNow=false&roleArn=arn:aws:iam::123456789012:role/r", "agent_secret.json"),
        (f"{SECRET}b&refreshNow=TRUE", "agent_secret_binary.json"),
        ("/ping", "agent_healthy.txt"),
    ],
)
def test_the_agent_answers_letter_by_letter(agent: Emulator, target: str, name: str) -> None:
    """A 200 of the agent omits what is absent, gives the date as seconds in a string, and has no Content-Type."""
    heard = ask(agent, target)

    assert (heard.status, heard.body) == (200, golden(name))
    assert "Content-Type" not in heard.headers


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("POST", "/x", {"X_Forwarded_For": "10.0.0.1", "token": ""}, (400, "agent_forwarded.txt")),
        ("POST", "/x", {"token": "wrong"}, (403, "agent_bad_token.txt")),
        ("GET", f"{SECRET}s", {"token": ""}, (403, "agent_bad_token.txt")),
        ("POST", "/x", {}, (405, "agent_not_allowed.txt")),
        ("POST", "/ping", {"token": ""}, (405, "agent_not_allowed.txt")),
        ("GET", "/x", {}, (404, "agent_not_found.txt")),
        ("GET", "/secretsmanager/get/?secretId=s", {}, (404, "agent_not_found.txt")),
        ("GET", f"{PARAMETER}/p/x", {}, (404, "agent_not_found.txt")),
        ("GET", f"{SECRET}s&withDecryption=true", {}, (400, "agent_unknown_parameter.txt")),
        ("GET", "/v1/s?withDecryption=true", {}, (400, "agent_unknown_parameter.txt")),
        ("GET", "/secretsmanager/get", {}, (400, "agent_missing_parameter.txt")),
        ("GET", f"{SECRET}&versionStage=x", {}, (400, "agent_missing_parameter.txt")),
        ("GET", f"{SECRET}none", {}, (400, "agent_missing_secret.json")),
        ("GET", "/v1/none", {}, (400, "agent_missing_secret.json")),
        ("GET", "/ping", {"X_Forwarded_For": "10.0.0.1", "token": ""}, (200, "agent_healthy.txt")),
    ],
)
def test_the_agent_refuses_in_its_order(
    agent: Emulator, method: str, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """The agent looks for a proxy, the token, the method and the path, in this order, except for its health."""
    heard = ask(agent, target, method=method, **headers)

    assert (heard.status, heard.body) == (expected[0], golden(expected[1]))


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (f"{SECRET}s&refreshNow=maybe", b"invalid refreshNow value"),
        ("/v1/s?secretId=s", b"unknown parameter: secretId"),
        ("/v1/", b"missing secret ID"),
    ],
)
def test_the_agent_looks_at_every_member_of_the_query(agent: Emulator, target: str, body: bytes) -> None:
    """A member that the agent does not know, or cannot read, is a 400 that names it."""
    heard = ask(agent, target)

    assert (400, body) == (heard.status, heard.body)


def test_the_agent_omits_stages_that_are_not_there() -> None:
    """A version without a staging label has no member for them."""
    store = MemoryStore()
    for number in range(3):
        store.put_secret("s", "value", version_id=f"v{number}")
    with Emulator(store, profile="agent") as emulator:
        heard = ask(emulator, f"{SECRET}s&versionId=v0")

    assert list(json.loads(heard.body)) == ["ARN", "Name", "VersionId", "SecretString", "CreatedDate"]


def test_the_agent_limits_its_connections(agent: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more connections open than its limit the agent answers 429 before it looks at anything else."""
    assert AgentProfile._connection_limit == 800
    monkeypatch.setattr(AgentProfile, "_connection_limit", 1)
    with connected(agent) as first, connected(agent) as second:
        ask_on(first, agent, "/ping")
        heard = ask_on(second, agent, "/x", token="")

    assert (heard.status, heard.body) == (429, golden("agent_crowded.txt"))


def test_the_agent_refreshes_past_its_cache() -> None:
    """`refreshNow=true` asks the store, and what it says is what the cache holds from then on."""
    store = MemoryStore()
    store.put_secret("s", "old")
    with Emulator(store, profile="agent", secrets_ttl=300) as emulator:
        ask(emulator, f"{SECRET}s")
        store.put_secret("s", "new")
        heard = [ask(emulator, f"{SECRET}s{more}").body for more in ("", "&refreshNow=true", "")]

    assert [b'"SecretString":"new"' in body for body in heard] == [False, True, True]


def test_the_agent_serves_stale_values_on_transient_errors() -> None:
    """With the upstream's 5xx the agent serves what it has, however old, and passes its status on otherwise."""

    class FailingStore(MemoryStore):
        fails = False

        def secret(
            self, secret_id: str, *, version_id: str | None = None, version_stage: str | None = None
        ) -> StoredSecret:
            if self.fails:
                raise StoreError("TimeoutError", "Timeout", 504)
            return super().secret(secret_id, version_id=version_id, version_stage=version_stage)

    store = FailingStore()
    store.put_secret("s", "value")
    with Emulator(store, profile="agent", secrets_ttl=300) as emulator:
        ask(emulator, f"{SECRET}s")
        store.fails = True
        stale = ask(emulator, f"{SECRET}s&refreshNow=1")
        failed = ask(emulator, f"{SECRET}t")

    assert stale.status == 200
    assert (failed.status, failed.body) == (504, b'{"__type":"TimeoutError","message":"Timeout"}')


class ListeningStore(MemoryStore):
    """A store that notes the name it is asked for."""

    asked = ""

    def secret(
        self, secret_id: str, *, version_id: str | None = None, version_stage: str | None = None
    ) -> StoredSecret:
        self.asked = secret_id
        return super().secret(secret_id, version_id=version_id, version_stage=version_stage)


@pytest.fixture(scope="module", params=["extension", "agent"])
def listening(request: pytest.FixtureRequest) -> Iterator[tuple[Emulator, ListeningStore]]:
    """Start one emulator of each profile for all examples."""
    store = ListeningStore()
    with Emulator(store, profile=request.param) as emulator:
        yield emulator, store


@settings(deadline=None)
@given(name=st.text(min_size=1))
def test_any_name_arrives_as_it_was_encoded(listening: tuple[Emulator, ListeningStore], name: str) -> None:
    """A fully percent-encoded name reaches the store as it was, whatever its characters."""
    emulator, store = listening
    heard = ask(emulator, f"{SECRET}{quote(name, safe='')}")

    assert (heard.status, store.asked) == (400, name)
