"""What a resolve did, for Powertools' Logger, Metrics and Tracer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lambdasecrets._resolver import call_observer
from lambdasecrets.errors import SettingError, SeveralErrors

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger, Metrics, Tracer
    from aws_lambda_powertools.metrics import EphemeralMetrics

    from lambdasecrets._resolver import OnResolve, ResolveEvent

_NAME = "lambdasecrets"
_DIGITS = 3


def observe(
    *, logger: Logger | None = None, metrics: Metrics | EphemeralMetrics | None = None, tracer: Tracer | None = None
) -> Callable[[ResolveEvent], None]:
    """Make an `on_resolve` that reports to Powertools: names, versions and times, never a value.

    Args:
        logger: gets one line for every resolve, at INFO, or at ERROR where it failed, with the facts under
            `lambdasecrets`.
        metrics: gives its namespace, its service and its default dimensions to a line of metrics (EMF) for every
            resolve. It is written at once: `log_metrics` never runs where a resolve outside of it fails. What the
            handler adds to its own metrics, its dimensions too, stays apart.
        tracer: gets one subsegment for every resolve, with the time that it took, under what is open in that thread.

    Returns:
        A function for the option `on_resolve` of `inject_secrets`, `resolve` and all else that has it. Where one of
        the three fails, the others are reported to, and the invocation goes on.

    Raises:
        SettingError: none of the three is given, or the metrics have no namespace or are no EMF metrics.
    """
    reports: list[OnResolve] = []
    if tracer is not None:
        reports.append(_make_trace_report(tracer))  # first, as its subsegment ends when it is reported
    if metrics is not None:
        reports.append(_make_metrics_report(metrics))
    if logger is not None:
        reports.append(_make_log_report(logger))
    if not reports:
        raise SettingError("observe()", "at least one of logger, metrics and tracer")

    def report(event: ResolveEvent) -> None:
        for one in reports:
            call_observer(one, event)

    return report


def _make_log_report(logger: Logger) -> OnResolve:
    def report(event: ResolveEvent) -> None:
        extra = {_NAME: _describe(event)}
        if event.error is None:
            logger.info("resolved secrets", extra=extra)
        else:
            logger.error("could not resolve secrets", extra=extra)

    return report


def _make_metrics_report(metrics: Metrics | EphemeralMetrics) -> OnResolve:
    from aws_lambda_powertools.metrics import EphemeralMetrics  # whoever has metrics has it loaded

    if not _has_namespace(metrics):
        raise SettingError("metrics", "Powertools' own Metrics with a namespace, or POWERTOOLS_METRICS_NAMESPACE set")

    def report(event: ResolveEvent) -> None:
        # Of its own, which shares nothing with the user's: another thread may be adding to those.
        own = EphemeralMetrics(
            namespace=metrics.namespace, service=metrics.service, default_dimensions={**metrics.default_dimensions}
        )
        for name, (unit, value) in _count(event).items():
            own.add_metric(name=name, unit=unit, value=value)
        own.add_metadata("handler", event.owner)
        own.flush_metrics()

    return report


def _has_namespace(metrics: object) -> bool:
    """Tell whether these are metrics of the kind that is written as EMF, which need a namespace."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, Metrics

    return isinstance(metrics, (Metrics, EphemeralMetrics)) and bool(metrics.namespace)


def _make_trace_report(tracer: Tracer) -> OnResolve:
    recorder: Any = tracer.provider  # X-Ray's, or one of the user's own

    def report(event: ResolveEvent) -> None:
        ended = time.time()
        with recorder.in_subsegment(name=f"## {_NAME}") as subsegment:
            subsegment.start_time = ended - event.milliseconds / 1000
            subsegment.put_annotation("SecretsFailed", event.error is not None)
            subsegment.put_metadata("resolve", _describe(event), tracer.service or _NAME)
            if event.error is not None:
                subsegment.add_exception(event.error, [])

    return report


def _describe(event: ResolveEvent) -> dict[str, object]:
    """Give the facts of an event as what JSON knows."""
    return {
        "handler": event.owner,
        "milliseconds": round(event.milliseconds, _DIGITS),
        "values": [
            {
                "parameter": value.parameter,
                "declaration": repr(value.declaration),
                "version": value.version,
                "source": value.source,
                "changed": value.changed,
                "age": round(value.age, _DIGITS),
            }
            for value in event.values
        ],
        "errors": _list_errors(event),
    }


def _list_errors(event: ResolveEvent) -> list[str]:
    if event.error is None:
        return []
    errors = event.error.errors if isinstance(event.error, SeveralErrors) else (event.error,)
    return [type(error).__name__ for error in errors]


def _count(event: ResolveEvent) -> dict[str, tuple[str, float]]:
    """Give the metrics of an event, by name: the unit and the figure."""
    sources = [value.source for value in event.values]
    return {
        "SecretsResolveTime": ("Milliseconds", round(event.milliseconds, _DIGITS)),
        "SecretsOldestAge": ("Seconds", round(max((value.age for value in event.values), default=0.0), _DIGITS)),
        "SecretsFromMemory": ("Count", sources.count("memory")),
        "SecretsStale": ("Count", sources.count("stale")),
        "SecretsDefault": ("Count", sources.count("default")),
        "SecretsChanged": ("Count", sum(value.changed for value in event.values)),
        "SecretsFailed": ("Count", int(event.error is not None)),
    }
