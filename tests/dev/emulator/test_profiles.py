from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdasecrets.dev._emulator.http_server import Connection, Request
from lambdasecrets.dev._emulator.profiles import TOKEN_HEADER, AgentProfile, ServerState
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore, StoredSecret, StoreError
from tests.dev.asking import ask, ask_on, connected, say, until
from tests.golden import SECRET_ARN, VERSION_1, golden, golden_store

SECRET = "/secretsmanager/get?secretId="
PARAMETER = "/systemsmanager/parameters/get?name="
REFERENCE = f"{PARAMETER}/aws/reference/secretsmanager"


class BrokenStore(MemoryStore):
    """A store with a mistake in it, whose message shows a value."""

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
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
        (f"{REFERENCE}/s:AWSPREVIOUS&withDecryption=true", "extension_reference_previous.json"),
        (f"{REFERENCE}/s%3AAWSPREVIOUS&withDecryption=true", "extension_reference_previous.json"),
        (f"{REFERENCE}/s&label=AWSPREVIOUS&withDecryption=true", "extension_reference_previous.json"),
        (f"{PARAMETER}/p/versions:1", "extension_parameter_version.json"),
        (f"{PARAMETER}%2Fp%2Fversions%3ADev", "extension_parameter_label.json"),
        (f"{PARAMETER}arn:aws:ssm:us-east-1:123456789012:parameter/p/versions:1", "extension_parameter_version.json"),
    ],
)
def test_the_extension_answers_letter_by_letter(extension: Emulator, target: str, name: str) -> None:
    """A 200 of the extension is the recorded body, null members and the order of the keys included."""
    heard = ask(extension, target)

    assert (heard.status, heard.body) == (200, golden(name))


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (f"{SECRET}none", "ResourceNotFoundException: Secrets Manager can't find the specified secret."),
        (f"{SECRET}a+b", "ResourceNotFoundException: Secrets Manager can't find the specified secret."),
        ("/secretsmanager/get", "ValidationException: missing parameter secretId"),
        ("/secretsmanager/get?secretId=", "ValidationException: missing parameter secretId"),
        ("/systemsmanager/parameters/get", "ValidationException: missing parameter name"),
        (f"{PARAMETER}/p/none", "ParameterNotFound: Parameter /p/none not found."),
        (f"{PARAMETER}/p%0A%1B%E2%80%A8x", r"ParameterNotFound: Parameter /p\n\x1b\u2028x not found."),
        (f"{PARAMETER}/p/x&version=one", "ValidationException: version is not a whole number"),
        (f"{PARAMETER}/p/x&version=-1", "ValidationException: version is not a whole number"),
        (
            f"{REFERENCE}/s",
            ("ValidationException: WithDecryption flag must be True for retrieving a Secret Manager secret."),
        ),
    ],
)
def test_the_extension_keeps_the_cause_to_its_log(
    extension: Emulator, caplog: pytest.LogCaptureFixture, target: str, cause: str
) -> None:
    """Whatever AWS refuses is the same 400; the cause is in one line of the log, as it was recorded."""
    heard = ask(extension, target)
    (record,) = caplog.records
    service, operation = ("Secrets Manager", "GetSecretValue") if "secret" in target[:9] else ("SSM", "GetParameter")
    line = re.fullmatch(
        r"\[AWS Parameters and Secrets Lambda Extension\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d ERROR "
        rf"{operation} request encountered an error: operation error {service}: {operation}, "
        r"https response error StatusCode: 400, RequestID: [0-9a-f-]{36}, api error (.*)",
        record.getMessage(),
    )

    assert (heard.status, heard.body) == (400, golden("extension_unresolved.txt"))
    assert (record.name, record.levelno) == ("lambdasecrets.emulator", logging.ERROR)
    assert line is not None
    assert cause == line[1]


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
    assert caplog.records[-1].getMessage().endswith(": ZeroDivisionError")
    assert b"canary" not in heard.body


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"{SECRET}s", "agent_secret.json"),
        (f"{SECRET}b&secretId=s", "agent_secret.json"),
        (f"{SECRET}s&versionStage=AWSPREVIOUS", "agent_secret_previous.json"),
        (f"/v1/s?versionId={VERSION_1}", "agent_secret_previous.json"),
        (f"/v1/{SECRET_ARN}?refreshNow=false", "agent_secret.json"),
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
        (f"{SECRET}s&refreshNow=maybe&refreshNow=true", b"invalid refreshNow value"),
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
    """A connection over the limit when it was accepted is answered 429 for as long as it lives; health has two more."""
    assert AgentProfile._connection_limit == 800
    monkeypatch.setattr(AgentProfile, "_connection_limit", 1)
    with connected(agent) as second:
        with connected(agent) as first:
            ask_on(first, agent, "/ping")
            heard = [ask_on(second, agent, "/x", token=""), ask_on(second, agent, "/ping")]
        until(lambda: agent._require_server().connections == 1)
        heard += [ask_on(second, agent, f"{SECRET}s"), ask(agent, "/ping")]

    statuses = [answer.status for answer in heard]
    assert statuses == [429, 200, 429, 200]
    assert heard[0].body == heard[2].body == golden("agent_crowded.txt")


ROLE = "arn:aws:iam::123456789012:role/r"
ROLE_TEXT = b"invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>"


@pytest.mark.parametrize(
    "role",
    [
        "",
        "bad",
        f"{ROLE} ",
        f"{ROLE}\n",
        "arn:aws:iam::12345678901:role/r",
        "arn:aws:iam:eu-west-1:123456789012:role/r",
        "arn:aws:iam::123456789012:user/r",
        "arn:aws:iam::123456789012:role/",
        "arn::iam::123456789012:role/r",
    ],
    ids=repr,
)
def test_the_agent_checks_a_role(agent: Emulator, role: str) -> None:
    """What is no role's ARN is a 400 that shows the pattern, whatever the name; a missing name comes first."""
    heard = [ask(agent, f"{SECRET}{name}&roleArn={quote(role, safe='')}") for name in ("s", "none", "")]

    bodies = [(answer.status, answer.body) for answer in heard]
    assert bodies == [(400, ROLE_TEXT)] * 2 + [(400, golden("agent_missing_parameter.txt"))]


class RoleStore:
    """A store with a value of its own for each role."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.refused = ""

    def secret(self, secret_id: str, *, role_arn: str | None = None, **_: object) -> StoredSecret:
        self.asked.append(role_arn)
        if self.refused and self.refused in (role_arn or ""):
            raise StoreError("AccessDenied", "User: x is not authorized to perform: sts:AssumeRole", 403)
        if secret_id == "denied":
            raise StoreError("AccessDeniedException", "Access to KMS is not allowed", 400)
        secret = MemoryStore()
        secret.put_secret(secret_id, role_arn or "none")
        return secret.secret(secret_id)


def role_answer(agent: AgentProfile, store: RoleStore, role: str | None, name: str = "s") -> tuple[int, bytes]:
    """Ask a profile, without a server, for a name with a role."""
    target = f"{SECRET}{name}" + ("" if role is None else f"&roleArn={role}")
    answer = agent.answer(
        Request("GET", target, "HTTP/1.1", {TOKEN_HEADER: "t"}),
        store,  # type: ignore[arg-type]  # no cache in front of it
        ServerState("t", is_ready=True, connections=1),
    )
    return answer.status, answer.body


def test_the_agent_asks_with_the_role() -> None:
    """A role goes to the store with its name, and none does where the request has none."""
    agent, store = AgentProfile(), RoleStore()
    bodies = [json.loads(role_answer(agent, store, role)[1]) for role in (None, ROLE, f"{ROLE}2")]

    assert [body["SecretString"] for body in bodies] == ["none", ROLE, f"{ROLE}2"]


def test_the_agent_limits_its_roles() -> None:
    """The 21st role is a 400 that names it, for as long as the agent runs; those before are still served."""
    agent, store = AgentProfile(), RoleStore()
    statuses = [role_answer(agent, store, f"{ROLE}{number}")[0] for number in (*range(20), 19)]
    status, body = role_answer(agent, store, f"{ROLE}20")

    assert statuses == [200] * 21
    assert (status, json.loads(body)) == (
        400,
        {
            "__type": "MaxRolesExceeded",
            "message": (
                "The maximum number of assumed roles (20) has been reached. Unable to assume the following role to "
                f"create a client: {ROLE}20"
            ),
        },
    )
    assert len(store.asked) == 21


def test_a_role_that_the_agent_may_not_assume() -> None:
    """A refused AssumeRole is a 403 in the agent's own words, and takes no place among the roles."""
    agent, store = AgentProfile(), RoleStore()
    store.refused = "refused"
    refused = [role_answer(agent, store, f"{ROLE}-refused-{number}") for number in range(21)]

    assert {(status, json.loads(body)["__type"]) for status, body in refused} == {(403, "AccessDeniedException")}
    assert json.loads(refused[0][1])["message"] == f"Failed to create caching client from role: {ROLE}-refused-0"
    assert role_answer(agent, store, ROLE)[0] == 200


def test_a_role_that_may_not_read() -> None:
    """What AWS refuses to the role itself is passed on as it is."""
    status, body = role_answer(AgentProfile(), RoleStore(), ROLE, "denied")

    assert (status, json.loads(body)) == (
        400,
        {"__type": "AccessDeniedException", "message": "Access to KMS is not allowed"},
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"token": "wrong", "X_Vault_Token": "$"}, 200),
        ({"token": "$", "X_Vault_Token": "wrong"}, 200),
        ({"token": "wrong", "X_Vault_Token": "wrong"}, 403),
    ],
)
def test_the_agents_two_token_headers(agent: Emulator, headers: dict[str, str], expected: int) -> None:
    """One right token in one of the two headers is enough, and is noted as right."""
    heard = ask(agent, f"{SECRET}s", **{name: value.replace("$", agent.token) for name, value in headers.items()})

    assert heard.status == expected
    assert [record.token_ok for record in agent.requests] == [expected == 200]


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_head_has_no_body(profile: Literal["extension", "agent"]) -> None:
    """HEAD is refused without a body, and the connection goes on."""
    with Emulator(golden_store(), profile=profile) as emulator, connected(emulator) as connection:
        heard = [ask_on(connection, emulator, f"{SECRET}s", method=method) for method in ("HEAD", "GET")]

    assert [(answer.status, bool(answer.body)) for answer in heard] == [(405, False), (200, True)]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("agent", [b"content-length: 0", b"connection: close", b"", b""]),
        (
            "extension",
            [
                b"Content-Type: text/plain; charset=utf-8",
                b"Content-Length: 15",
                b"Connection: close",
                b"",
                b"400 Bad Request",
            ],
        ),
    ],
)
def test_what_is_no_request(profile: Literal["extension", "agent"], expected: list[bytes]) -> None:
    """What is no HTTP is a 400 and the end of the connection: the agent's is empty."""
    with Emulator(golden_store(), profile=profile) as emulator:
        heard = say(emulator, b"garbage\r\n\r\n").split(b"\r\n")

    assert heard[0] == b"HTTP/1.1 400 Bad Request"
    assert [line for line in heard[1:] if not line.lower().startswith(b"date: ")] == expected


def test_a_fragment_is_dropped_by_the_agent(agent: Emulator) -> None:
    """What follows a `#` is not a part of the name."""
    heard = say(agent, f"GET {SECRET}s#x HTTP/1.0\r\n{TOKEN_HEADER}: {agent.token}\r\n\r\n".encode())

    assert heard.startswith(b"HTTP/1.0 200 OK\r\n")


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_the_absolute_form_is_understood(profile: Literal["extension", "agent"]) -> None:
    """A target with scheme and host is answered like one without."""
    with Emulator(golden_store(), profile=profile) as emulator:
        heard = [ask(emulator, f"{prefix}{SECRET}s") for prefix in ("", emulator.url, "https://elsewhere")]

    assert [answer.status for answer in heard] == [200, 200, 200]


def test_an_internal_failure_of_the_agent() -> None:
    """What the agent says of its own failures is their name and nothing else."""
    with Emulator(BrokenStore(), profile="agent") as emulator:
        heard = ask(emulator, f"{SECRET}s")

    assert (heard.status, heard.body) == (500, b'{"__type":"InternalFailure"}')


@pytest.mark.parametrize(("profile", "expected"), [("extension", 1), ("agent", 0)])
def test_whose_small_writes_are_delayed(
    monkeypatch: pytest.MonkeyPatch, profile: Literal["extension", "agent"], expected: int
) -> None:
    """The agent leaves Nagle's algorithm on, as its binary does: a client must not wait for a second answer of it."""
    seen: list[int] = []

    def look(connection: Connection, *_: object) -> None:
        seen.append(connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Connection, "read_request", look)
    with Emulator(golden_store(), profile=profile) as emulator:
        say(emulator, b"")

    assert [bool(option) for option in seen] == [bool(expected)]


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
    """With the upstream's 5xx the agent serves what it has, however old; a refresh, or a new name, gets the status."""

    class FailingStore(MemoryStore):
        fails = False

        def secret(
            self,
            secret_id: str,
            *,
            version_id: str | None = None,
            version_stage: str | None = None,
            role_arn: str | None = None,
        ) -> StoredSecret:
            if self.fails:
                raise StoreError("TimeoutError", "Timeout", 504)
            return super().secret(secret_id, version_id=version_id, version_stage=version_stage, role_arn=role_arn)

    store = FailingStore()
    store.put_secret("s", "value")
    with Emulator(store, profile="agent", secrets_ttl=0.001) as emulator:
        ask(emulator, f"{SECRET}s")
        store.fails = True
        time.sleep(0.002)
        stale = ask(emulator, f"{SECRET}s")
        failed = [ask(emulator, f"{SECRET}{rest}") for rest in ("s&refreshNow=1", "t")]

    assert stale.status == 200
    assert [(one.status, one.body) for one in failed] == [(504, b'{"__type":"TimeoutError","message":"Timeout"}')] * 2


class ListeningStore(MemoryStore):
    """A store that notes the name it is asked for."""

    asked = ""

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        self.asked = secret_id
        return super().secret(secret_id, version_id=version_id, version_stage=version_stage, role_arn=role_arn)


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
