"""The library against Amazon's own agent, over both transports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import pytest

from lambdasecrets import (
    AccessDeniedError,
    DeadlineExceededError,
    DecryptionError,
    ExtensionUnavailableError,
    InvalidValueError,
    LambdaSecretsError,
    NotFoundError,
    Parameter,
    Secret,
    ServerError,
    UnsupportedByAgentError,
    inject_secrets,
    resolve,
)
from tests.agent._gate import Gate, opened_gate
from tests.agent.conftest import TOKEN, Run
from tests.dev.aws_double import AwsDouble
from tests.e2e._rie import free_port

pytestmark = pytest.mark.usefixtures("transport")

AGE_SECONDS = 61
THREADS = 8
FIRST_VERSION = "11111111-2222-4333-8444-555555555555"


class WrongPasswordError(Exception):
    """A database refuses the password."""


@inject_secrets
def three(
    event: Any,
    context: Any,
    *,
    a: Annotated[str, Secret("library/a")],
    b: Annotated[str, Secret("library/b")],
    c: Annotated[str, Secret("library/c")],
) -> list[str]:
    """Show three values; they are made up."""
    return [a, b, c]


@inject_secrets(timeout=5)
def one(event: Any, context: Any, *, a: Annotated[str, Secret("library/a")]) -> str:
    """Show one value."""
    return a


@inject_secrets(retry_on=[WrongPasswordError])
def log_in(event: str, context: Any, *, password: Annotated[str, Secret("library/a")]) -> str:
    """Use the password; the event is the one that the database knows."""
    if password != event:
        raise WrongPasswordError
    return f"connected with {password}"


THREE = ["value of a", "value of b", "value of c"]


@pytest.fixture
def secrets(aws: AwsDouble) -> Any:
    """Give a client of Secrets Manager with three secrets in it."""
    client = aws.client("secretsmanager")
    for name in "abc":
        client.create_secret(Name=f"library/{name}", SecretString=f"value of {name}")
    return client


def outcomes(call: Callable[[], object], until: float, threads: int = THREADS) -> Counter[str]:
    """Call from many threads until a moment; count what came of it."""

    def keep_calling() -> Counter[str]:
        seen: Counter[str] = Counter()
        while time.monotonic() < until:
            try:
                seen[repr(call())] += 1
            except LambdaSecretsError as error:
                seen[type(error).__name__] += 1
        return seen

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(keep_calling) for _ in range(threads)]
        return sum((done.result() for done in running), Counter[str]())


def test_values(run: Run, aws: AwsDouble) -> None:
    """Texts, bytes, members, versions and stages, by names and ARNs with every character that a name may have."""
    client = aws.client("secretsmanager")
    arn = client.create_secret(Name="values/json", SecretString='{"number": 7, "text": "x"}')["ARN"]
    client.create_secret(Name="values/binary", SecretBinary=b"\x00\xff")
    client.create_secret(Name="values/odd_+=.@-name", SecretString="é💥\n")
    client.create_secret(Name="values/large", SecretString="x" * 60_000)
    client.create_secret(Name="values/versions", SecretString="first", ClientRequestToken=FIRST_VERSION)
    client.put_secret_value(SecretId="values/versions", SecretString="second", VersionStages=["AWSCURRENT", "blue"])

    with run():
        read = [
            resolve(Secret("values/json", key="number"), int),
            resolve(Secret(arn, key="text"), str),
            resolve(Secret("values/binary"), bytes),
            resolve(Secret("values/odd_+=.@-name"), str),
            len(resolve(Secret("values/large"), str)),
            resolve(Secret("values/versions"), str),
            resolve(Secret("values/versions", version_stage="AWSPREVIOUS"), str),
            resolve(Secret("values/versions", version_stage="blue"), str),
            resolve(Secret("values/versions", version_id=FIRST_VERSION), str),
        ]

    assert read == [7, "x", b"\x00\xff", "é💥\n", 60_000, "second", "first", "second", "first"]


def test_many_names_at_once(run: Run, secrets: Any) -> None:
    """Several values come in one batch, first from AWS, then from the agent's cache."""
    with run() as agent:
        read = [three({}, None) for _ in range(5)]

    assert (read, agent.log.count("ERROR")) == ([THREE] * 5, 0)


def test_a_start_beside_the_handler(run: Run, secrets: Any) -> None:
    """An invocation that begins before the agent listens waits for it."""
    port = free_port()
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_TOKEN", TOKEN)
        patch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(port))
        early = pool.submit(one, {}, None)
        time.sleep(0.3)
        is_early = not early.done()
        with run(port=port):
            answer = early.result(timeout=10)

    assert (is_early, answer) == (True, "value of a")


def test_not_found(run: Run) -> None:
    """What does not exist is named as such; an optional value takes its default at once."""

    @inject_secrets
    def optional(event: Any, context: Any, *, a: Annotated[str | None, Secret("library/none")] = None) -> str | None:
        return a

    with run():
        with pytest.raises(NotFoundError, match="library/none"):
            resolve(Secret("library/none"), str)
        assert optional({}, None) is None


def denied(action: str) -> tuple[str, str]:
    """Give AWS's error for what a role may not do."""
    who = "User: arn:aws:sts::123456789012:assumed-role/function/x is not authorized to perform:"
    why = f"because no identity-based policy allows the {action} action"
    return "AccessDeniedException", f"{who} {action} on resource: library/a {why}"


def test_access_denied(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """What the agent's role may not read is named as such."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}):
        gate.errors["GetSecretValue"] = denied("secretsmanager:GetSecretValue")
        with pytest.raises(AccessDeniedError) as caught:
            one({}, None)

    assert "secretsmanager:GetSecretValue" in str(caught.value)


def test_a_key_that_may_not_be_used(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """A secret whose KMS key the role may not use is named as such."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}):
        gate.errors["GetSecretValue"] = ("AccessDeniedException", "Access to KMS is not allowed")
        with pytest.raises(DecryptionError, match="kms:Decrypt"):
            one({}, None)


def test_a_value_of_another_shape(run: Run, secrets: Any) -> None:
    """For a value of another shape the error tells where, and never what."""
    with run(), pytest.raises(InvalidValueError) as caught:
        resolve(Secret("library/a"), int)

    assert "value of a" not in str(caught.value)


def test_a_parameter(run: Run) -> None:
    """The agent has no parameters, and the error says so."""
    with run(), pytest.raises(UnsupportedByAgentError):
        resolve(Parameter("/library/size"), int)


def test_a_wrong_token(run: Run, secrets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong token is an error at once, and names no value of a token."""
    with run():
        monkeypatch.setenv("AWS_TOKEN", "another-token")
        with pytest.raises(LambdaSecretsError) as caught:
            one({}, None)

    assert type(caught.value).__name__ == "TokenRejectedError"
    assert "another-token" not in str(caught.value)


def test_a_token_in_a_file(run: Run, secrets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agent and library both read `file://`, and take the line break off."""
    (tmp_path / "token").write_text("token-of-a-file\n")
    link = f"file://{tmp_path}/token"
    with run(environ={"AWS_TOKEN": link}):
        monkeypatch.setenv("AWS_TOKEN", link)
        answer = one({}, None)

    assert answer == "value of a"


def test_a_rotation(run: Run, secrets: Any) -> None:
    """After a failed login the handler runs again with the value that is new in AWS, past the agent's cache."""
    with run():
        first = log_in("value of a", None)
        secrets.put_secret_value(SecretId="library/a", SecretString="rotated")
        stale = one({}, None)
        rotated = [log_in("rotated", None) for _ in range(3)]

    assert (first, stale, rotated) == ("connected with value of a", "value of a", ["connected with rotated"] * 3)


def test_a_login_that_no_rotation_explains(run: Run, secrets: Any) -> None:
    """Where the secret did not change, the handler's own error goes on."""
    with run(), pytest.raises(WrongPasswordError):
        log_in("another password", None)


def test_a_rotation_is_seen_when_the_value_is_due(run: Run, secrets: Any) -> None:
    """A new value comes by itself when the agent's time to live is over."""
    with run(cache={"ttl_seconds": 1}):
        before = one({}, None)
        secrets.put_secret_value(SecretId="library/a", SecretString="rotated")
        time.sleep(1.1)
        after = one({}, None)

    assert (before, after) == ("value of a", "rotated")


def test_a_deletion(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """A secret marked for deletion is served on from the agent's cache, due or not; once it is gone, no more."""
    marked = "You can't perform this operation on the secret because it was marked for deletion."
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}, cache={"ttl_seconds": 1}):
        one({}, None)
        secrets.delete_secret(SecretId="library/a")
        gate.errors["GetSecretValue"] = ("InvalidRequestException", marked)
        time.sleep(1.1)
        due = one({}, None)
        with pytest.raises(LambdaSecretsError) as new_name:
            resolve(Secret("library/a", version_stage="AWSCURRENT"), str)
        secrets.delete_secret(SecretId="library/a", ForceDeleteWithoutRecovery=True)
        time.sleep(1.1)
        with pytest.raises(NotFoundError):
            one({}, None)

    assert due == "value of a"
    assert "deletion" in str(new_name.value)


def test_what_is_asked_of_aws(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """A first read is GetSecretValue; one that is due DescribeSecret, and GetSecretValue where it has rotated."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}, cache={"ttl_seconds": 1}):
        gate.calls.clear()
        one({}, None)
        one({}, None)
        first = list(gate.calls)
        time.sleep(1.1)
        one({}, None)
        due = list(gate.calls)
        secrets.put_secret_value(SecretId="library/a", SecretString="rotated")
        time.sleep(1.1)
        one({}, None)
        rotated = list(gate.calls)

    assert first == ["GetSecretValue"]
    assert due[1:] == ["DescribeSecret"]
    assert rotated[2:] == ["DescribeSecret", "GetSecretValue"]


def test_describe_secret_is_denied(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """A role without DescribeSecret works until the value is due; then the error names that permission."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}, cache={"ttl_seconds": 1}):
        gate.errors["DescribeSecret"] = denied("secretsmanager:DescribeSecret")
        first = one({}, None)
        time.sleep(1.1)
        with pytest.raises(AccessDeniedError) as caught:
            one({}, None)

    assert first == "value of a"
    assert "secretsmanager:DescribeSecret" in str(caught.value)


def test_aws_is_slow(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """While AWS takes its time the invocation waits, as long as its own time allows."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}):
        gate.delay = 0.5
        began = time.monotonic()
        answer = one({}, None)
        waited = time.monotonic() - began

    assert answer == "value of a"
    assert waited > 0.5


def test_aws_hangs(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """While AWS does not answer the agent does not either, and the invocation ends in its own time."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}):
        gate.is_dead = True
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            resolve(Secret("library/a"), str, timeout=1)
        waited = time.monotonic() - began

    assert 0.9 < waited < 3


def test_aws_refuses(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """While AWS cannot be reached the agent says 502; what it has already is served on."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}, cache={"ttl_seconds": 1}):
        three({}, None)
        gate.refuse()
        time.sleep(1.1)
        stale = resolve(Secret("library/a"), str, timeout=10)
        with pytest.raises((ServerError, DeadlineExceededError)):
            resolve(Secret("library/other"), str, timeout=4)

    assert stale == "value of a"


def test_aws_fails(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """A failure of AWS comes as its status after the agent's own three tries; what it has already is served on."""
    with opened_gate(aws.url) as gate, run(environ={"AWS_ENDPOINT_URL": gate.url}, cache={"ttl_seconds": 1}):
        one({}, None)
        gate.failure = 503
        time.sleep(1.1)
        stale = resolve(Secret("library/a"), str, timeout=10)
        gate.calls.clear()
        with pytest.raises((ServerError, DeadlineExceededError)):
            resolve(Secret("library/b"), str, timeout=4)

    assert stale == "value of a"
    assert gate.calls.count("GetSecretValue") >= 3


def test_connections_end_under_load(run: Run, secrets: Any) -> None:
    """The agent ends every connection after 61 s, used or not; no invocation of eight threads notices."""
    with run():
        three({}, None)
        seen = outcomes(lambda: three({}, None), time.monotonic() + AGE_SECONDS + 2)

    assert set(seen) == {repr(THREE)}
    assert sum(seen.values()) > 100


def test_a_restart_under_load(run: Run, secrets: Any) -> None:
    """While the agent restarts, the invocations of eight threads wait for it."""
    port = free_port()
    seen: list[Counter[str]] = []
    with run(port=port):
        one({}, None)
        load = threading.Thread(target=lambda: seen.append(outcomes(lambda: one({}, None), time.monotonic() + 4)))
        load.start()
        time.sleep(1)
    time.sleep(0.2)
    with run(port=port):
        load.join(30)

    assert set(seen[0]) == {repr("value of a")}


def test_more_threads_than_connections(run: Run, secrets: Any) -> None:
    """With fewer connections allowed than threads at work, every invocation gets its values all the same."""
    with run(max_conn=4):
        seen = outcomes(lambda: three({}, None), time.monotonic() + 3, threads=6)

    assert set(seen) == {repr(THREE)}


def test_nothing_listens() -> None:
    """Where there is no agent the error says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_TOKEN", TOKEN)
        patch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(free_port()))
        with pytest.raises(ExtensionUnavailableError):
            resolve(Secret("library/a"), str, timeout=1)


def test_prefetched_values(run: Run, secrets: Any, aws: AwsDouble) -> None:
    """What the agent was told to fetch at its start is there without a call to AWS."""
    listed = '[{ secret_id = "library/a" }, { secret_id = "library/b" }, { secret_id = "library/c" }]'
    actions = ("secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "sts:GetCallerIdentity")
    with opened_gate(aws.url) as gate:
        environ = {**aws.environment(*actions), "AWS_ENDPOINT_URL": gate.url}
        with run(environ=environ, prefetch={"secrets": listed}):
            _wait_for(gate, "BatchGetSecretValue")
            read = three({}, None)

    assert read == THREE
    assert "GetSecretValue" not in gate.calls


def _wait_for(gate: Gate, call: str) -> None:
    end = time.monotonic() + 10
    while call not in gate.calls:
        assert time.monotonic() < end, f"The agent did not ask for {call}."
        time.sleep(0.01)
    time.sleep(0.2)  # its answer has to arrive


def test_the_agents_log_has_no_value(run: Run, secrets: Any) -> None:
    """What the agent writes names no value, so that its log can be shown."""
    with run() as agent:
        three({}, None)
        text = agent.log

    assert [value for value in THREE if value in text] == []
