from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.metrics.provider.datadog import DatadogMetrics

from lambdasecrets import (
    MissingVariableError,
    Parameter,
    ResolutionError,
    Secret,
    SettingError,
    SeveralErrors,
    inject_secrets,
    resolve,
)
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import Hang
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.powertools import observe

ROOT = Path(__file__).parents[2]
SECRET = "hunter2"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
PARENT = "53995c3f42cd8ad8"
IN_LAMBDA = {
    "LAMBDA_TASK_ROOT": "/var/task",
    "POWERTOOLS_METRICS_NAMESPACE": "shop",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "_X_AMZN_TRACE_ID": TRACE,
}


@pytest.fixture(autouse=True)
def powertools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Name the service and the namespace; afterwards, empty what all Metrics share."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "shop")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "orders")
    yield
    metrics = Metrics()
    metrics.clear_metrics()
    metrics.clear_default_dimensions()


class Lines(io.StringIO):
    """What a logger writes, as JSON."""

    def read_all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def log() -> Lines:
    """Give a stream for a logger."""
    return Lines()


@pytest.fixture
def logger(log: Lines, request: pytest.FixtureRequest) -> Logger:
    """Give a logger of its own: those of one service share the stream that the first was made with."""
    return Logger(service=request.node.name, stream=log)


def facts(log: Lines) -> list[dict[str, Any]]:
    """Give what each line says of a resolve."""
    return [line["lambdasecrets"] for line in log.read_all()]


def figures(capsys: pytest.CaptureFixture[str]) -> list[dict[str, float]]:
    """Give the figures of each line of metrics that was printed, by name."""
    blobs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        {name: value[0] for name, value in blob.items() if name.startswith("Secrets")}
        for blob in blobs
        if "_aws" in blob
    ]


# --- Every order of decorators ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def observed() -> list[dict[str, Any]]:
    """Run the program that tries every order, once for the tests below."""
    store = MemoryStore()
    store.put_secret("there", SECRET)
    with Emulator(store) as emulator:
        done = subprocess.run(
            [sys.executable, "-m", "tests.powertools.orders"],
            cwd=ROOT,
            env=os.environ | emulator.environment() | IN_LAMBDA,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
    assert SECRET not in done.stdout + done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def is_outside(result: dict[str, Any], name: str) -> bool:
    """Tell whether a decorator stands outside of ours."""
    order: list[str] = result["order"]
    return order.index(name) < order.index("ours")


def failed(result: dict[str, Any]) -> float:
    """Give the one figure of our metrics that tells success from failure."""
    (figure,) = [blob["SecretsFailed"][0] for blob in result["metrics"] if "SecretsFailed" in blob]
    return float(figure)


def test_every_order_was_tried(observed: list[dict[str, Any]]) -> None:
    """There are 24 orders of four decorators, each with a resolve that works and one that fails."""
    assert len({(*result["order"], result["works"]) for result in observed}) == 48


def test_metrics_in_every_order(observed: list[dict[str, Any]]) -> None:
    """Every resolve has one line of metrics, a failed one too, where `log_metrics` never ran."""
    assert [failed(result) for result in observed] == [0.0, 1.0] * 24


def test_the_line_in_every_order(observed: list[dict[str, Any]]) -> None:
    """Every resolve has one line in the log; only inside `inject_lambda_context` does it have the request's id."""
    assert [len(result["lines"]) for result in observed] == [1] * 48
    assert [result["lines"][0]["level"] for result in observed] == ["INFO", "ERROR"] * 24
    assert [
        result["order"]
        for result in observed
        if (result["lines"][0].get("function_request_id") == result["request"]) != is_outside(result, "logger")
    ] == []


def test_the_subsegment_in_every_order(observed: list[dict[str, Any]]) -> None:
    """Every resolve has one subsegment; only inside `capture_lambda_handler` is it below the handler's."""
    for result in observed:
        ids = {segment["id"]: segment["name"] for segment in result["segments"]}
        (ours,) = [segment for segment in result["segments"] if segment["name"] == "## lambdasecrets"]
        handler = "## works" if result["works"] else "## fails"
        assert ids.get(ours["parent_id"], PARENT) == (handler if is_outside(result, "tracer") else PARENT)


def test_what_the_subsegment_says(observed: list[dict[str, Any]]) -> None:
    """It began when the resolve began; of a failed one it has the error, by which the handler's is marked."""
    worked, failed = observed[0], observed[1]
    (ours, _) = worked["segments"]
    (ours_failed, handler) = failed["segments"]
    resolve = ours["metadata"]["orders"]["resolve"]

    assert resolve == worked["lines"][0]["lambdasecrets"]
    assert ours["end_time"] - ours["start_time"] > resolve["milliseconds"] / 1000 - 1e-5
    assert (ours["annotations"], ours.get("fault")) == ({"SecretsFailed": False}, None)
    assert (ours_failed["annotations"], ours_failed["fault"]) == ({"SecretsFailed": True}, True)
    (exception,) = ours_failed["cause"]["exceptions"]
    assert exception["type"] == "MissingVariableError"
    assert (handler["fault"], handler["cause"]) == (True, exception["id"])


# --- What is reported -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
def test_the_facts(store: MemoryStore, logger: Logger, log: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """A line says of each value what it is, from where and how old; the metrics count them."""
    store.put_secret("key", SECRET)
    store.put_parameter("/size", "3")

    @inject_secrets(max_age=60, on_resolve=observe(logger=logger, metrics=Metrics()))
    def handler(
        event: Any,
        context: Any,
        *,
        key: Annotated[str, Secret("key")],
        size: Annotated[int, Parameter("/size")],
        theme: Annotated[str, Parameter("/theme")] = "plain",
    ) -> int:
        return size

    for _ in range(2):
        handler({}, None)
    first, second = facts(log)
    cold, warm = figures(capsys)

    assert [value["source"] for value in first["values"]] == ["server", "server", "default"]
    assert [value["source"] for value in second["values"]] == ["memory", "memory", "default"]
    assert [value["declaration"] for value in first["values"]] == [
        "Secret('key')",
        "Parameter('/size')",
        "Parameter('/theme')",
    ]
    assert first["handler"] == f"{__name__}.test_the_facts.<locals>.handler"
    assert (first["values"][1]["version"], first["values"][2]["version"], first["errors"]) == ("1", None, [])
    assert (cold["SecretsFromMemory"], cold["SecretsDefault"], cold["SecretsOldestAge"]) == (0, 1, 0)
    assert (warm["SecretsFromMemory"], warm["SecretsDefault"]) == (2, 1)
    assert warm["SecretsOldestAge"] == max(value["age"] for value in second["values"]) > 0
    assert (warm["SecretsResolveTime"], warm["SecretsFailed"]) == (second["milliseconds"], 0)
    assert SECRET not in log.getvalue()


def test_changed_and_stale(store: MemoryStore, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is another than the last time, and one that serves after a failure, are counted."""
    store.put_secret("key", "before")
    report = observe(metrics=Metrics())

    def read() -> None:
        resolve(Secret("key"), str, stale_if_error=300, timeout=0.3, on_resolve=report)

    read()
    store.put_secret("key", "after")
    emulator.clear_cache()
    read()
    emulator.inject(Hang())
    read()

    assert [(one["SecretsChanged"], one["SecretsStale"]) for one in figures(capsys)] == [(0, 0), (1, 0), (0, 1)]


def test_several_causes(logger: Logger, log: Lines) -> None:
    """Of a resolve that fails for several causes the line has the class of each error, and no text of any."""

    @inject_secrets(on_resolve=observe(logger=logger))
    def handler(
        event: Any, context: Any, *, a: Annotated[str, Secret("{A}")], b: Annotated[str, Secret("{B}/{C}")]
    ) -> None: ...

    with pytest.raises(SeveralErrors):
        handler({}, None)

    assert [(line["level"], line["lambdasecrets"]["errors"]) for line in log.read_all()] == [
        ("ERROR", ["MissingVariableError"] * 3)
    ]


def test_the_users_metrics_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours have the namespace, service and default dimensions of the user's; the rest of those is left alone."""
    metrics = Metrics(namespace="shop", service="checkout")
    metrics.set_default_dimensions(stage="prod")
    metrics.add_dimension("tenant", "acme")
    metrics.add_metric(name="Orders", unit="Count", value=1)
    with pytest.raises(MissingVariableError):
        resolve(Secret("{A}"), str, on_resolve=observe(metrics=metrics))
    (blob,) = map(json.loads, capsys.readouterr().out.splitlines())

    (written,) = blob["_aws"]["CloudWatchMetrics"]
    assert (written["Namespace"], written["Dimensions"]) == ("shop", [["stage", "service"]])
    assert (blob["stage"], blob["service"], blob["handler"], blob["SecretsFailed"]) == (
        "prod",
        "checkout",
        "resolve()",
        [1.0],
    )
    assert list(metrics.metric_set) == ["Orders"]


def test_metrics_that_share_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The metrics may be of the kind that shares nothing with others."""
    metrics = EphemeralMetrics(namespace="tests")
    with pytest.raises(MissingVariableError):
        resolve(Secret("{A}"), str, on_resolve=observe(metrics=metrics))

    assert [one["SecretsFailed"] for one in figures(capsys)] == [1.0]


def test_metrics_that_are_disabled(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Powertools' own switch counts for ours, too."""
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    with pytest.raises(MissingVariableError):
        resolve(Secret("{A}"), str, on_resolve=observe(metrics=Metrics()))

    assert figures(capsys) == []


@pytest.mark.usefixtures("emulator")
def test_a_coroutine(
    store: MemoryStore,
    logger: Logger,
    log: Lines,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An async handler, whose values a thread resolves, is reported in the same way."""
    store.put_secret("key", SECRET)

    @inject_secrets(on_resolve=observe(logger=logger, metrics=Metrics(), tracer=Tracer(auto_patch=False)))
    async def handler(event: Any, context: Any, *, key: Annotated[str, Secret("key")]) -> int:
        return len(key)

    assert asyncio.run(handler({}, None)) == len(SECRET)
    assert len(facts(log)) == len(figures(capsys)) == 1
    assert caplog.messages == ["resolved secrets"]


def test_one_that_fails(logger: Logger, log: Lines, caplog: pytest.LogCaptureFixture) -> None:
    """Where one of the three raises, the others get their report all the same, and the error stays the resolve's."""

    class Broken(Tracer):
        """A tracer whose provider does not work."""

        def __init__(self) -> None:
            super().__init__(auto_patch=False)
            self.provider = None  # type: ignore[assignment]  # on purpose

    report = observe(logger=logger, tracer=Broken())
    with pytest.raises(ResolutionError):
        resolve(Secret("{A}"), str, on_resolve=report)

    assert len(facts(log)) == 1
    assert caplog.messages == ["on_resolve of resolve() raised AttributeError", "could not resolve secrets"]


def test_the_page_lists_every_metric(observed: list[dict[str, Any]]) -> None:
    """The documentation has a line for each metric, with its unit."""
    blob = next(blob for blob in observed[0]["metrics"] if "SecretsFailed" in blob)
    written = blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    page = (ROOT / "docs/powertools.md").read_text(encoding="utf-8")

    assert [one["Name"] for one in written if f"| `{one['Name']}` | {one['Unit']} |" not in page] == []


# --- What is refused --------------------------------------------------------------------------------------------------


def test_nothing_to_report_to() -> None:
    """A forgotten argument is refused where it is forgotten."""
    with pytest.raises(SettingError) as raised:
        observe()

    assert str(raised.value) == (
        "Cannot use observe() as it is set: it takes at least one of logger, metrics and tracer. "
        "Correct it or leave it out."
    )


@pytest.mark.parametrize("make", [Metrics, DatadogMetrics])
def test_metrics_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    """Metrics without a namespace, which Powertools refuses at each flush, and other kinds are refused at once."""
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    with pytest.raises(SettingError) as raised:
        observe(metrics=make())

    assert str(raised.value) == (
        "Cannot use metrics as it is set: it takes Powertools' own Metrics with a namespace, or "
        "POWERTOOLS_METRICS_NAMESPACE set. Correct it or leave it out."
    )
