from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_MAX_AGE_SECS
from aws_secretsmanager_caching import SecretCacheConfig
from moto import mock_aws

from lambdasecrets import _resolver, use_session
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.invoke import Target, invoke
from lambdasecrets.dev.stores import MemoryStore, SecretsFile, load_secrets_file
from lambdasecrets.testing import lambda_context
from tests.examples import EXAMPLES, list_commands, run_commands, run_tests
from tests.scenes import served

RESULTS: list[tuple[str, Any, Any]] = [
    (
        "quickstart/src/app.py:handler",
        {"order_id": 7},
        {
            "order_id": 7,
            "database": "orders@db.internal:5432",
            "api_key_configured": True,
            "page_size": 25,
            "regions": ["eu-central-1", "eu-west-1"],
        },
    ),
    ("declarations/app.py:read", {}, "reads from db.internal"),
    ("declarations/app.py:write", {}, "writes to db.internal, 50 at a time"),
    (
        "declarations/app.py:rotate",
        {},
        {"password_changed": True, "first_page_size": 10, "tested_page_size": 25},
    ),
    ("declarations/app.py:charge", {}, True),
    ("declarations/app.py:show", {}, {"banner": "Welcome", "theme": None}),
    (
        "config_model/app.py:handler",
        {},
        {"database": "orders@db.internal", "payments_configured": True, "page_size": 25, "attempts": 3},
    ),
    ("methods_async/app.py:handler", {}, {"currency": "EUR", "api_key_configured": True}),
    ("methods_async/app.py:async_handler", {"items": ["tea", "jam"]}, ["tea: 5 EUR", "jam: 5 EUR"]),
    ("home/app.py:handler", {}, "connects to db.internal"),
    ("migrating/after.py:handler", {}, "orders@db.internal"),
    ("migrating/boto3_before.py:handler", {}, "orders@db.internal"),
    ("migrating/powertools_before.py:handler", {}, "orders@db.internal"),
    ("migrating/requests_before.py:handler", {}, "orders@db.internal"),
    ("migrating/settings_before.py:handler", {}, "orders@db.internal"),
    ("recipes/app.py:authorize", {"headers": {"x-api-key": "first-made-up-key"}}, {"isAuthorized": True}),
    ("recipes/app.py:authorize", {"headers": {"x-api-key": "second-made-up-key"}}, {"isAuthorized": True}),
    ("recipes/app.py:authorize", {"headers": {}}, {"isAuthorized": False}),
    ("recipes/app.py:call_partner", {}, True),
    ("recipes/app.py:check_out", {"order_id": 7}, "new checkout"),
    ("recipes/app.py:check_out", {"order_id": 11}, "old checkout"),
    ("recipes/app.py:notify", {}, "https://hooks.internal/orders"),
    ("settings/app.py:handler", {}, {"database": "db.internal", "page_size": 25, "log_level": "INFO"}),
    ("caching/app.py:handler", {}, {"api_key_configured": True}),
    ("connection_pool/app.py:handler", {}, {"logged_in": True, "sessions_made": 1}),
    (
        "powertools/changed_import.py:handler",
        {},
        {"database": "db.internal", "regions": ["eu-central-1", "eu-west-1"], "theme": "plain"},
    ),
    (
        "own_session/app.py:handler",
        {},
        {"api_key_configured": True, "asked": ["/secretsmanager/get?secretId=orders%2Fstripe"]},
    ),
]
RUN_BELOW = {
    "agent",
    "api",
    "container_image",
    "depends",
    "powertools",
    "scheduled_job",
    "several_handlers",
    "shortest",
    "sqs_batch",
    "testing",
}
# tests/neighbours (two); tests/deploy; test_examples_rotation.py; test_docs.py, as a page shows results
RUN_BY_OTHERS = {"fastapi_mangum", "neighbours", "packaging", "rotation", "validators", "values"}


@pytest.fixture(autouse=True)
def own_transport() -> Iterator[None]:
    """Take back the Session that an example hands in."""
    yield
    _resolver.find_resolver().close()
    use_session(None)


def load_values(target: str) -> SecretsFile:
    """Load the secrets file of an example, which stands in its folder, above that of the code where there is one."""
    return load_secrets_file(EXAMPLES / target.partition("/")[0] / "secrets.toml")


@contextmanager
def opened(target: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Callable[..., Any], Emulator, MemoryStore]]:
    """Serve an example's values; give its handler, the emulator and the store."""
    file = load_values(target)
    with served(file, monkeypatch) as emulator:
        yield Target.parse(f"{EXAMPLES}/{target}").load(), emulator, file.store


def run(target: str, event: Any) -> Any:
    """Run an example as `lambdasecrets invoke` does."""
    return json.loads(invoke(Target.parse(f"{EXAMPLES}/{target}"), load_values(target), event))


def api_event(path: str) -> dict[str, Any]:
    """Make what API Gateway sends."""
    return {"path": path, "httpMethod": "GET", "headers": {}, "requestContext": {}}


@pytest.mark.parametrize(("target", "event", "result"), RESULTS, ids=[target for target, _, _ in RESULTS])
def test_every_example_runs(target: str, event: Any, result: Any) -> None:
    """A handler in examples/ returns what its page says, over the values beside it."""
    assert result == run(target, event)


def test_no_example_is_forgotten() -> None:
    """Every folder in examples/ is run by a test."""
    folders = {path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("*.py")}

    assert folders == {target.partition("/")[0] for target, _, _ in RESULTS} | RUN_BELOW | RUN_BY_OTHERS


def test_resolving_outside_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A config model and a version of a secret are to be had in a script."""
    with opened("config_model/app.py:report", monkeypatch) as (report, _, _):
        assert report() == "db.internal, before the last rotation old-db.internal"


def test_the_service_beside_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service, and a function, read our own secret and one of another account, with its role."""
    file = load_secrets_file(EXAMPLES / "agent/secrets.toml")
    with served(file, monkeypatch, "agent"):
        connect: Callable[..., Any] = Target.parse(f"{EXAMPLES}/agent/app.py:connect").load()
        handler = Target.parse(f"{EXAMPLES}/agent/app.py:handler").load()

        assert connect() == {"database": "db.internal", "partner_key_configured": True}
        assert handler({}, None) == "orders@db.internal"


def test_a_secret_for_each_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant of the invocation's context is in the name of the secret that is read."""
    with opened("recipes/app.py:read_tenant", monkeypatch) as (handler, _, _):
        assert handler({}, lambda_context(tenant_id="acme")) == "acme.internal"


def test_a_role_for_each_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant is in the role, too, which AWS is asked with."""
    with opened("recipes/app.py:read_with_tenants_role", monkeypatch) as (handler, emulator, _):
        assert handler({}, lambda_context(20, tenant_id="acme")) == "acme.internal"
        asked = [(request.api, request.name) for request in emulator.requests if request.api]

    assert asked == [
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/tenants/acme"),
        ("secretsmanager:GetSecretValue", "tenants/acme/database"),
    ]


@mock_aws
def test_before_a_migration_from_the_caching_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler over aws-secretsmanager-caching says the same, by the defaults that its page names."""
    for name, value in {"STAGE": "dev", "AWS_DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)
    secret = {"host": "db.internal", "username": "orders", "password": "made-up"}
    boto3.client("secretsmanager").create_secret(Name="dev/orders/database", SecretString=json.dumps(secret))
    handler = Target.parse(f"{EXAMPLES}/migrating/caching_before.py:handler").load()

    assert handler({}, None) == "orders@db.internal"
    assert SecretCacheConfig().secret_refresh_interval == 3600
    assert int(DEFAULT_MAX_AGE_SECS) == 300


def test_one_session_for_each_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs on a frozen model is made once, and again when the secret has rotated."""
    with opened("connection_pool/app.py:handler", monkeypatch) as (handler, _, store):
        made = [handler({}, None)["sessions_made"] for _ in range(3)]
        store.put_secret("orders/warehouse", {"username": "orders", "password": "another made-up password"})
        made += [handler({}, None)["sessions_made"] for _ in range(3)]

    assert made == [1, 1, 1, 2, 2, 2]


def test_max_age_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a `max_age` the extension is asked at the first of several invocations."""
    with opened("caching/app.py:handler", monkeypatch) as (handler, emulator, _):
        results = [handler({}, None) for _ in range(3)]
        asked = len(emulator.requests)

    assert (results, asked) == ([{"api_key_configured": True}] * 3, 1)


def test_routes_and_what_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Routes get injected and resolved values; each resolve has a line in the log and one of metrics."""
    order = run("powertools/app.py:handler", api_event("/orders/7"))
    regions = run("powertools/app.py:handler", api_event("/regions"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    resolved = [line["lambdasecrets"] for line in lines if "lambdasecrets" in line]

    assert json.loads(order["body"]) == {"order_id": "7", "read_from": "db.internal"}
    assert json.loads(regions["body"]) == {"regions": ["eu-central-1", "eu-west-1"]}
    assert [[value["declaration"] for value in one["values"]] for one in resolved] == [
        ["Secret('orders/database')"],
        ["Secret('orders/database')"],
        ["Parameter('/orders/regions')"],
    ]
    assert [line["SecretsFailed"] for line in lines if "SecretsFailed" in line] == [[0.0]] * 3
    assert [name for line in lines for name in ("OrdersRead", "RegionsRead") if name in line] == [
        "OrdersRead",
        "RegionsRead",
    ]


def test_routes_that_depend_on_values() -> None:
    """A route asks for what it names."""
    order = run("depends/app.py:handler", api_event("/orders/7"))
    regions = run("depends/app.py:handler", api_event("/regions"))

    assert json.loads(order["body"]) == {"order_id": "7", "read_from": "db.internal"}
    assert json.loads(regions["body"]) == {"regions": ["eu-central-1", "eu-west-1"]}


def test_powertools_own_functions() -> None:
    """With the extension's providers as its defaults, Powertools' own functions read through the extension."""
    try:
        result = run("powertools/default_providers.py:handler", {})
    finally:
        clear_caches()

    assert result == {"database": "db.internal", "regions": ["eu-central-1", "eu-west-1"]}


PASSED = {
    "api": 3,
    "container_image": 2,
    "depends": 1,
    "quickstart": 3,
    "scheduled_job": 2,
    "several_handlers": 2,
    "shortest": 1,
    "sqs_batch": 4,
    "testing": 8,
}


COMMANDS = {
    "quickstart": {"invoke": 0},
    "scheduled_job": {"invoke": 0, "policy": 0},
    "several_handlers": {"check": 0, "policy": 0, "invoke": 0},
    "sqs_batch": {"invoke": 0, "policy": 0},
}
RUN_IN_NEIGHBOURS = {"fastapi_mangum"}
NEEDS_A_DATABASE = {"rotation"}


def test_no_test_of_an_example_is_forgotten() -> None:
    """Every folder in examples/ that has a test is among those below, or runs where its packages are installed."""
    folders = {path.relative_to(EXAMPLES).parts[0] for path in EXAMPLES.rglob("test_*.py")}

    assert folders == set(PASSED) | RUN_IN_NEIGHBOURS


@pytest.mark.parametrize("folder", PASSED)
def test_the_tests_of_an_example(folder: str) -> None:
    """The tests beside an example pass in its folder, with its own configuration where it has one."""
    assert run_tests(folder) == (0, PASSED[folder])


def test_no_command_of_an_example_is_forgotten() -> None:
    """Every folder whose README prints a command of this library is among those below, or cannot run here."""
    folders = {path.parent.name for path in EXAMPLES.glob("*/README.md") if list_commands(path.parent.name)}

    assert folders == set(COMMANDS) | RUN_IN_NEIGHBOURS | NEEDS_A_DATABASE


@pytest.mark.parametrize("folder", COMMANDS)
def test_the_commands_of_an_example(folder: str) -> None:
    """What the README beside an example prints works there, as it is printed."""
    assert run_commands(folder) == COMMANDS[folder]
