"""A program: a handler in every order of Powertools' decorators and ours, and what Powertools wrote of it, as JSON."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import warnings
from contextlib import redirect_stdout, suppress
from itertools import permutations
from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from lambdasecrets import MissingVariableError, Secret, inject_secrets
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.powertools import observe

warnings.simplefilter("ignore")  # Powertools warns where a handler that failed has added no metrics

daemon = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
daemon.bind(("127.0.0.1", 0))
daemon.setblocking(False)

os.environ["AWS_XRAY_DAEMON_ADDRESS"] = f"127.0.0.1:{daemon.getsockname()[1]}"

log = io.StringIO()
logger, metrics, tracer = Logger(stream=log), Metrics(), Tracer(auto_patch=False)
DECORATORS: dict[str, Any] = {
    "logger": logger.inject_lambda_context,
    "metrics": metrics.log_metrics,
    "tracer": tracer.capture_lambda_handler(capture_response=False),
    "ours": inject_secrets(on_resolve=observe(logger=logger, metrics=metrics, tracer=tracer)),
}


def works(event: Any, context: Any, *, key: Annotated[str, Secret("there")]) -> int:
    """Count an order, as a handler does."""
    metrics.add_metric(name="Orders", unit="Count", value=1)
    return len(key)


def fails(event: Any, context: Any, *, key: Annotated[str, Secret("{MISSING}")]) -> None:
    """Need what is not to be had."""


def received() -> list[dict[str, Any]]:
    """Give the segments that the tracer has sent."""
    documents: list[dict[str, Any]] = []
    with suppress(BlockingIOError):  # what was sent is there at once
        while True:
            documents.append(json.loads(daemon.recv(65536).partition(b"\n")[2]))
    return documents


def observed(order: tuple[str, ...], function: Any) -> dict[str, Any]:
    """Invoke a function in this order of decorators, the outermost first."""
    handler = function
    for name in reversed(order):
        handler = DECORATORS[name](handler)
    log.seek(0)
    log.truncate()
    context = LambdaContext.from_environment(5)
    with redirect_stdout(io.StringIO()) as printed, suppress(MissingVariableError):
        handler({}, context)
    return {
        "order": order,
        "works": function is works,
        "request": context.aws_request_id,
        "lines": [json.loads(line) for line in log.getvalue().splitlines()],
        "metrics": [json.loads(line) for line in printed.getvalue().splitlines()],
        "segments": received(),
    }


if __name__ == "__main__":
    results = [observed(order, function) for order in permutations(DECORATORS) for function in (works, fails)]
    json.dump(results, sys.stdout)
