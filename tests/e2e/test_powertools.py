from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dev.aws_double import AwsDouble
from tests.e2e._rie import Function
from tests.e2e.conftest import Run

POWERTOOLS = {"POWERTOOLS_TRACE_DISABLED": "true", "POWERTOOLS_SERVICE_NAME": "orders"}
GET_ORDER = {
    "httpMethod": "GET",
    "path": "/orders/7",
    "resource": "/orders/{order_id}",
    "headers": {},
    "multiValueHeaders": {},
    "requestContext": {"stage": "test", "requestId": "id", "path": "/orders/7"},
}


@pytest.fixture(autouse=True)
def _key(aws: AwsDouble) -> None:
    keys = {"api_key": "made up", "route_key": "invented"}
    aws.client("secretsmanager").create_secret(Name="powertools/key", SecretString=json.dumps(keys))


def json_lines(function: Function) -> list[dict[str, Any]]:
    """Return the structured lines of a function's log."""
    return [json.loads(line) for line in function.log.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("order", ["inside", "outside"])
def test_stacked(run: Run, order: str) -> None:
    """Injection works under Powertools' decorators and over them; each resolve is reported; no line shows the value."""
    with run(f"powertools.{order}", **POWERTOOLS) as function:
        answers = [function.invoke({"order_id": number}) for number in (7, 8)]

    lines = json_lines(function)
    placed = [line for line in lines if line.get("message") == "order placed"]
    assert answers == [{"order_id": 7, "key": "made up"}, {"order_id": 8, "key": "made up"}]
    assert [(line["order_id"], line["key"], line["cold_start"]) for line in placed] == [
        (7, "**********", True),
        (8, "**********", False),
    ]
    assert [line["Orders"] for line in lines if "Orders" in line] == [[1.0], [1.0]]
    assert [line["lambdasecrets"]["values"][0]["source"] for line in lines if "lambdasecrets" in line] == ["server"] * 2
    assert [line["SecretsFailed"] for line in lines if "SecretsFailed" in line] == [[0.0]] * 2
    assert "made up" not in function.log


def test_wrong_event(run: Run) -> None:
    """An event that the parser refuses fails as it would without injection."""
    with run("powertools.inside", **POWERTOOLS) as function:
        error = function.invoke({"order_id": "seven"})

    assert error["errorType"] == "ValidationError"


def test_resolver(run: Run) -> None:
    """Behind an API Gateway resolver a route has the handler's value, and can resolve its own."""
    with run("powertools.api", **POWERTOOLS) as function:
        answer = function.invoke(GET_ORDER)

    assert (answer["statusCode"], json.loads(answer["body"])) == (
        200,
        {"order_id": "7", "keys": ["made up", "invented"]},
    )
