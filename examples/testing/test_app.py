"""Ways to test a handler: with values of your own, and over real HTTP against a stand-in for the extension."""

from typing import Any

import pytest
from app import Database, handler
from pydantic import SecretStr

from lambdasecrets import DeadlineExceededError, InvalidValueError
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.testing import SecretsExtension, override

DATABASE = {"host": "db", "username": "orders", "password": "made-up"}

# --8<-- [start:keyword]
NO_CONTEXT: Any = None  # the handler does not use it, and where there is none the timeout alone bounds a resolve


def test_an_order() -> None:
    database = Database(host="fake", username="orders", password=SecretStr("made-up"))

    assert handler({"order_id": 7}, NO_CONTEXT, database=database, page_size=10) == "7 in fake, 10 at a time"


# --8<-- [end:keyword]


# --8<-- [start:override]
FAKE = Database(host="fake", username="orders", password=SecretStr("made-up"))


@override(handler, database=FAKE, page_size=10)
def test_an_order_with_a_fake() -> None:
    assert handler({"order_id": 7}, NO_CONTEXT) == "7 in fake, 10 at a time"


def test_two_page_sizes() -> None:
    with override(handler, database=FAKE, page_size=10):
        assert handler({"order_id": 7}, NO_CONTEXT) == "7 in fake, 10 at a time"
        with override(handler, page_size=20):
            assert handler({"order_id": 7}, NO_CONTEXT) == "7 in fake, 20 at a time"


# --8<-- [end:override]


# --8<-- [start:fixture]
@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "test")


def test_a_page_size(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    secrets_extension.secrets["test/orders/database"] = DATABASE
    secrets_extension.parameters["/orders/page-size"] = 25

    assert handler({"order_id": 7}, lambda_context) == "7 in db, 25 at a time"


def test_a_page_size_that_is_not_set(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    secrets_extension.secrets["test/orders/database"] = DATABASE

    assert handler({"order_id": 7}, lambda_context) == "7 in db, 50 at a time"


def test_a_rotation(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    for host in ("db", "new-db"):
        secrets_extension.secrets["test/orders/database"] = {**DATABASE, "host": host}

        assert handler({"order_id": 7}, lambda_context) == f"7 in {host}, 50 at a time"


def test_a_secret_of_the_wrong_shape(secrets_extension: SecretsExtension, lambda_context: LambdaContext) -> None:
    secrets_extension.secrets["test/orders/database"] = {"host": "db"}

    with pytest.raises(InvalidValueError) as failure:
        handler({"order_id": 7}, lambda_context)

    assert [str(problem) for problem in failure.value.problems] == ["username: missing", "password: missing"]


def test_an_extension_that_hangs(secrets_extension: SecretsExtension, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "0.2")
    secrets_extension.fault("hang", times=None)

    with pytest.raises(DeadlineExceededError):
        handler({"order_id": 7}, NO_CONTEXT)


# --8<-- [end:fixture]
