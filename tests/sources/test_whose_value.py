"""Answers that come to the wrong request: what is asked again, how often, and what is never given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel

from lambdasecrets import Parameter, ProtocolError, Secret, UnsupportedByExtensionError, inject_secrets, resolve
from lambdasecrets._clock import make_deadline
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.local import LocalSource, Server
from lambdasecrets._sources.request import Fetched, Request
from lambdasecrets._transports import Address, Transport
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from lambdasecrets._wire import parameter_path, secret_path
from lambdasecrets.dev._emulator.http_server import Connection
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.errors import Subject
from lambdasecrets.testing import lambda_context
from tests.serving import answer, serving

SECONDS = 10.0
PLACE = "us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/reader"
OTHER_ROLE = "arn:aws:iam::999988887777:role/reader"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a token: the servers here ask for none."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")


@pytest.fixture(params=["lean", "requests"])
def source(request: pytest.FixtureRequest) -> Iterator[LocalSource]:
    """Ask over each transport."""
    transport: Transport = LeanTransport(RequestsTransport) if request.param == "lean" else RequestsTransport()
    yield LocalSource(transport)
    transport.close()


def wanted(declaration: Secret | Parameter) -> Request:
    """Make the request of a declaration."""
    if isinstance(declaration, Secret):
        path = secret_path(
            declaration.name,
            version_id=declaration.version_id,
            version_stage=declaration.version_stage,
            role_arn=declaration.role_arn,
        )
    else:
        path = parameter_path(declaration.name, decrypt=declaration.decrypt)
    return Request(path, declaration, Subject("app.handler", ("x",), (str(declaration),)))


def secret(name: str, value: str, **members: Any) -> bytes:
    """Write the answer about a secret."""
    body = {
        "ARN": f"arn:aws:secretsmanager:{PLACE}:secret:{name}-a1B2c3",
        "Name": name,
        "SecretString": value,
        "VersionId": f"v-{value}",
        "VersionStages": ["AWSCURRENT"],
        "ResultMetadata": {},
    }
    return answer(json.dumps(body | members).encode())


class Asked:
    """A server that answers by a function, and knows what it was asked.

    Args:
        reply: gives the bytes for a secret's name, and the number of the request on its connection, from 1.
    """

    def __init__(self, reply: Callable[[str, int], bytes]) -> None:
        self.reply = reply
        self.names: list[str] = []
        self.connections = 0

    @contextmanager
    def listening(self) -> Iterator[Server]:
        """Listen on a free port."""
        with serving(self._serve) as server:
            yield Server(Address("127.0.0.1", server.port))

    def _serve(self, connection: Connection) -> None:
        self.connections += 1
        number = 0
        while (request := connection.read_request()) is not None:
            number += 1
            query = parse_qs(urlsplit(request.target).query)
            name = query.get("secretId", query.get("name", [""]))[0]
            self.names.append(name or request.target)
            connection.send(self.reply(name, number))


def texts(fetched: dict[str, Fetched]) -> list[str | type[Exception] | None]:
    """Give the texts of what was fetched, or the errors' types."""
    return [outcome.text if isinstance(outcome, RawValue) else type(outcome) for outcome in fetched.values()]


def fetch(source: LocalSource, server: Server, *names: str) -> list[str | type[Exception] | None]:
    """Ask for secrets that the server is likely to have at hand: over one connection."""
    requests = [wanted(Secret(name)) for name in names]
    return texts(source.fetch(server, requests, make_deadline(SECONDS), likely_cached=True))


def test_swapped_answers_are_asked_for_again(source: LocalSource) -> None:
    """Two answers that come in each other's place are asked for again, each over a connection of its own."""

    def reply(name: str, number: int) -> bytes:
        swapped = {"a": "b", "b": "a"}[name] if asked.connections == 1 else name
        return secret(swapped, f"value of {swapped}")

    asked = Asked(reply)
    with asked.listening() as server:
        assert fetch(source, server, "a", "b") == ["value of a", "value of b"]
    assert (sorted(asked.names), asked.connections) == (["a", "a", "b", "b"], 3)


def test_an_error_beside_a_swapped_answer_is_asked_for_again(source: LocalSource) -> None:
    """An error says not whose it is: where another answer of its connection is wrong it may be another's too."""

    def reply(name: str, number: int) -> bytes:
        if asked.connections > 1:
            return secret(name, f"value of {name}")
        refused = answer(b"an unexpected error occurred while executing request", status="400 Bad Request")
        return {"a": secret("b", "value of b"), "b": refused}[name]

    asked = Asked(reply)
    with asked.listening() as server:
        assert fetch(source, server, "a", "b") == ["value of a", "value of b"]


def test_another_value_is_never_given(source: LocalSource) -> None:
    """A server that answers with another value also when asked alone has no value of this name."""
    asked = Asked(lambda name, number: secret("other", "value of other"))
    with asked.listening() as server:
        assert fetch(source, server, "a") == [ProtocolError]
    assert (asked.names, asked.connections) == (["a", "a"], 2)


@pytest.mark.parametrize("bad", [{"VersionId": "another"}, {"ARN": f"arn:aws:secretsmanager:{PLACE}:secret:b-a1B2c3"}])
def test_another_version_or_arn_is_never_given(source: LocalSource, bad: dict[str, str]) -> None:
    """All that the request names is compared: the version's id, the ARN."""
    arn = f"arn:aws:secretsmanager:{PLACE}:secret:a"
    declared = Secret("a", version_id="v-1") if "VersionId" in bad else Secret(arn)
    asked = Asked(lambda name, number: secret("a", "1", **bad))
    with asked.listening() as server:
        assert texts(source.fetch(server, [wanted(declared)], make_deadline(SECONDS))) == [ProtocolError]


def test_another_spelling_costs_one_request_once(source: LocalSource) -> None:
    """A server with a way of its own to write a name is asked alone once; after that its way is known."""
    asked = Asked(lambda name, number: secret(name.upper(), "value"))
    with asked.listening() as server:
        assert [fetch(source, server, "a") for _ in range(3)] == [["value"]] * 3
    assert len(asked.names) == 4


def test_the_ways_of_a_server_to_write_names_are_bounded() -> None:
    """A server that spells names made at run time takes no more memory with every one."""
    server = Server(Address("127.0.0.1", 1))
    for number in range(1500):
        server.learn_habit(f"/{number}")
    assert len(server.habits) <= 1000
    assert "/1499" in server.habits


def test_what_says_nothing_of_itself_is_taken(source: LocalSource) -> None:
    """An answer without a name or an ARN can only be taken for what was asked."""
    asked = Asked(lambda name, number: answer(b'{"SecretString": "value", "VersionId": "v"}'))
    with asked.listening() as server:
        assert fetch(source, server, "a", "b") == ["value", "value"]
    assert len(asked.names) == 2


def test_two_answers_to_one_request_disturb_no_other(source: LocalSource) -> None:
    """What comes beyond what was asked for is given to nobody, in this batch or in the next."""

    def reply(name: str, number: int) -> bytes:
        twice = secret("a", "value of a") * 2
        return twice if name == "a" and asked.connections == 1 else secret(name, f"value of {name}")

    asked = Asked(reply)
    with asked.listening() as server:
        assert fetch(source, server, "a", "b") == ["value of a", "value of b"]
        assert fetch(source, server, "b") == ["value of b"]


def test_many_wrong_answers_are_asked_for_in_parts(source: LocalSource) -> None:
    """A large batch that is mixed up is asked for again, a bounded number of connections at a time."""
    names = [f"n{number}" for number in range(20)]

    def reply(name: str, number: int) -> bytes:
        shown = name if number == 1 else names[0]
        return secret(shown, f"value of {shown}")

    asked = Asked(reply)
    with asked.listening() as server:
        assert fetch(source, server, *names) == [f"value of {name}" for name in names]
    assert asked.connections == 1 + 19


def test_clear_text_and_ciphertext_never_share_a_connection(emulator: Emulator, store: MemoryStore) -> None:
    """The answers to one parameter with and without decryption look alike, so that they travel apart."""
    store.put_parameter("/p", "clear", type="SecureString")
    requests = [wanted(Parameter("/p")), wanted(Parameter("/p", decrypt=False))]
    source = LocalSource(LeanTransport(RequestsTransport))
    source.fetch(Server(Address("127.0.0.1", emulator.port)), requests, make_deadline(SECONDS), likely_cached=True)
    assert len({record.connection for record in emulator.requests}) == 2
    source.transport.close()


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_no_false_alarms(profile: Any, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form of a name costs one request, from both servers."""
    store.put_secret("prod/db", "1", version_id="v1")
    store.put_secret("prod/db", "2", version_id="v2", stages=["AWSCURRENT", "mine"])
    arn = store.secret("prod/db").arn
    secrets = [
        Secret("prod/db"),
        Secret(arn),
        Secret(arn[:-7]),
        Secret("prod/db", version_id="v1"),
        Secret("prod/db", version_stage="AWSPREVIOUS"),
        Secret("prod/db", version_stage="mine"),
    ]
    store.put_parameter("/p/x", "1", labels=["live"])
    store.put_parameter("/p/x", "2")
    store.put_parameter("plain", "a,b", type="StringList")
    parameter = store.parameter("/p/x").arn
    parameters = [
        Parameter("/p/x"),
        Parameter("plain"),
        Parameter(parameter),
        Parameter("/p/x", version=1),
        Parameter("/p/x", label="live"),
        Parameter("/p/x:1"),
        Parameter("/p/x:live"),
        Parameter("/aws/reference/secretsmanager/prod/db"),
        Parameter("/aws/reference/secretsmanager/prod/db:AWSPREVIOUS"),
    ]
    declared: list[Secret | Parameter] = [*secrets] if profile == "agent" else [*secrets, *parameters]
    with Emulator(store, profile=profile) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        for declaration in declared:
            resolve(declaration, str)
        assert len(emulator.requests) == len(declared)


# --- Roles --------------------------------------------------------------------------------------------------------


def test_a_role_is_asked_of_the_agent(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first secret with a role the server says who it is; then it is asked with the role."""
    store.put_secret("arn:aws:secretsmanager:us-east-1:999988887777:secret:db-a1B2c3", "theirs")
    store.put_secret("db", "ours")
    with Emulator(store, profile="agent") as agent:
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        found = [resolve(Secret("db", role_arn=role), str) for role in (OTHER_ROLE, ROLE, OTHER_ROLE)]
        assert [*found, resolve(Secret("db"), str)] == ["theirs", "ours", "theirs", "ours"]
        assert [record.path for record in agent.requests] == ["/ping", *["/secretsmanager/get"] * 4]


@inject_secrets(max_age=60)
def of_tenant(
    event: Any,
    context: Any,
    *,
    key: Annotated[str, Secret("db", role_arn="arn:aws:iam::{context.tenant_id}:role/reader")],
) -> tuple[str, str]:
    """Show whose invocation it is, and the value."""
    return context.tenant_id, key


@pytest.mark.parametrize("transport", ["lean", "requests"])
def test_two_tenants_with_a_role_each(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """One name and one handler are two values, from the agent and from memory, in the invocations of eight threads."""
    expected = {"999988887777": "theirs", "123456789012": "ours"}
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", transport)
    for account, text in expected.items():
        store.put_secret(f"arn:aws:secretsmanager:us-east-1:{account}:secret:db-a1B2c3", text)
    with Emulator(store, profile="agent") as agent, ThreadPoolExecutor(8) as pool:
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        contexts = [lambda_context(tenant_id=tenant) for tenant in [*expected] * 50]
        found = list(pool.map(lambda context: of_tenant({}, context), contexts))

    assert found == [*expected.items()] * 50


class TwoSecrets(BaseModel):
    mine: Annotated[str, Secret("db")]
    theirs: Annotated[str, Secret("db", role_arn=ROLE)]


def test_a_role_is_not_asked_of_the_extension(emulator: Emulator, store: MemoryStore) -> None:
    """The extension would answer with the caller's own secret: it is not asked, and the others of the batch are."""
    store.put_secret("db", "ours")
    with pytest.raises(UnsupportedByExtensionError):
        resolve(TwoSecrets)
    assert [record.target for record in emulator.requests] == ["/ping", "/secretsmanager/get?secretId=db"]


def test_the_account_of_a_role_is_compared(source: LocalSource) -> None:
    """An answer of another account than the role's is an error, also when asked alone, and the server is asked anew."""
    asked = Asked(lambda name, number: secret(name, "ours") if name else answer(b"healthy"))
    with asked.listening() as server:
        request = wanted(Secret("db", role_arn=OTHER_ROLE))
        assert texts(source.fetch(server, [request], make_deadline(SECONDS))) == [ProtocolError]
        assert (server.is_agent, server.habits) == (None, set())


def test_a_server_that_does_not_say_who_it_is(source: LocalSource) -> None:
    """While nothing says that it is the agent no secret with a role is asked for."""
    asked = Asked(lambda name, number: answer(b"", status="429 Too Many Requests"))
    with asked.listening() as server:
        request = wanted(Secret("db", role_arn=ROLE))
        outcome = source.fetch(server, [request], make_deadline(0.2))[request.path]
    assert (type(outcome).__name__, set(asked.names)) == ("DeadlineExceededError", {"/ping"})
