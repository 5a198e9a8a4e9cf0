"""What collectors of errors send of a handler's frame: real clients, which send to nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.testing import lambda_context
from tests.examples import EXAMPLES
from tests.neighbours.conftest import Load
from tests.pages import ROOT

IN_SECRET_STR = "canary-aa01"
IN_TEXT = "canary-bb02"
FRAMES = {
    "sentry": {"handler.webhook"},
    "sentry_without_locals": set[str](),
    "opentelemetry": set[str](),
    "datadog": set[str](),
    "datadog_replay": {"handler.partner", "handler.webhook"},
    "datadog_replay_redacted": {"handler.webhook"},
}


@pytest.mark.parametrize("collector", FRAMES)
def test_what_is_shown(extension: Emulator, store: MemoryStore, collector: str) -> None:
    """Of the handler's frame, and of what it calls, each shows what the page says."""
    store.put_secret("orders/database", {"host": "db.internal", "password": IN_SECRET_STR})
    store.put_secret("orders/partner", IN_SECRET_STR)
    store.put_secret("orders/webhook", IN_TEXT)
    done = subprocess.run(
        [sys.executable, "-m", "tests.neighbours.collecting", collector],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES / "neighbours"), "DD_TRACE_ENABLED": "false"},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    everything = found.pop("all")
    shown = {place for place, text in found.items() if IN_SECRET_STR in text or IN_TEXT in text}

    assert ("db.internal does not answer" in everything or bool(found), shown) == (True, FRAMES[collector])
    assert (IN_SECRET_STR in everything, IN_TEXT in everything) == (
        "handler.partner" in shown,
        "handler.webhook" in shown,
    )


def test_a_span_says_what_was_resolved(extension: Emulator, store: MemoryStore, load: Load) -> None:
    """The example's span has an event with times and sources, and no value."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # once in a process: no other test has one
    example: Any = load("neighbours/with_opentelemetry")
    store.put_secret("orders/payments", {"api_key": IN_SECRET_STR})

    assert example.handler({}, lambda_context()) is True
    (span,) = exporter.get_finished_spans()
    ((name, facts),) = [(event.name, dict(event.attributes)) for event in span.events]
    assert (name, facts.pop("milliseconds") > 0, facts) == (
        "secrets resolved",
        True,
        {"sources": ("server",), "error": ""},
    )
    assert IN_SECRET_STR not in span.to_json()
