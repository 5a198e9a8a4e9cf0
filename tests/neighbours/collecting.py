"""Run the handler that fails under a real collector of errors, and print what is in what the collector would send.

A process of its own: collectors change Python's own modules. The command's argument is a function below.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

Found = dict[str, str]
"""What is sent, by the frame and the name that it stands at; by the collector's own word where it has no frames."""


def sentry(*, include_local_variables: bool = True) -> Found:
    """Have Sentry's client collect the error."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    sent: list[Any] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.extend(item.payload.json for item in envelope.items if item.type == "event")

    sentry_sdk.init(dsn="https://key@sentry.invalid/1", transport=Kept, include_local_variables=include_local_variables)
    sentry_sdk.capture_exception(_fail())
    (event,) = sent
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    found = {
        f"{frame['function']}.{name}": json.dumps(shown)
        for frame in frames
        for name, shown in frame.get("vars", {}).items()
    }
    return {**found, "all": json.dumps(event)}


def sentry_without_locals() -> Found:
    """Have it leave out local variables."""
    return sentry(include_local_variables=False)


def opentelemetry() -> Found:
    """Have an OpenTelemetry span record the error."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        with provider.get_tracer("orders").start_as_current_span("handler"):
            _handle()
    except ConnectionError:
        pass
    (span,) = exporter.get_finished_spans()
    return {"all": span.to_json()}


def datadog() -> Found:
    """Have a span of Datadog's tracer take the error, as its error tracking does."""
    from ddtrace.trace import tracer

    span = tracer.trace("handler")
    try:
        with span:
            _handle()
    except ConnectionError:
        pass
    return {"all": json.dumps(span.get_tags())}


def datadog_replay() -> Found:
    """Have Datadog's Exception Replay take the frames apart."""
    from ddtrace.debugging._signal.utils import capture_pairs

    found: Found = {}
    traceback = _fail().__traceback__
    while traceback is not None:
        frame, traceback = traceback.tb_frame, traceback.tb_next
        captured = capture_pairs(frame.f_locals.items())
        found.update({f"{frame.f_code.co_name}.{name}": json.dumps(shown) for name, shown in captured.items()})
    return {**found, "all": json.dumps(found)}


def datadog_replay_redacted() -> Found:
    """Have it leave out what is in a `SecretStr`, too."""
    os.environ["DD_DYNAMIC_INSTRUMENTATION_REDACTED_IDENTIFIERS"] = "secretvalue"
    return datadog_replay()


def _handle() -> None:
    from collected import handler  # type: ignore[import-not-found, unused-ignore]  # the example, on the path

    handler({}, None)


def _fail() -> BaseException:
    try:
        _handle()
    except ConnectionError as error:
        return error
    raise AssertionError


if __name__ == "__main__":
    logging.disable()
    collect: Callable[[], Found] = globals()[sys.argv[1]]
    sys.stdout.write(json.dumps(collect()))
