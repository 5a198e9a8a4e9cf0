"""What the commands that run the stand-in have in common: where its values come from, its log."""

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from lambdasecrets.dev._cli.shared import EXIT_BAD_INPUT, end
from lambdasecrets.dev.emulator import RequestRecord  # noqa: TC001 - one rule for all annotations of this folder
from lambdasecrets.dev.stores import Store

ProfileOption = Annotated[
    Literal["extension", "agent"],
    typer.Option(help="The server it stands in for: the extension, or the Secrets Manager Agent."),
]
SecretsOption = Annotated[
    Path | None,
    typer.Option("--secrets", metavar="FILE", help="The secrets file, TOML or JSON: what the server serves."),
]
AwsOption = Annotated[
    bool,
    typer.Option("--aws", help="Serve what AWS has, with this shell's credentials, in the place of a secrets file."),
]


def end_for_input(problem: object) -> NoReturn:
    """End because something that was given cannot be used."""
    end(f"Error: {problem}", EXIT_BAD_INPUT)


def choose_source(secrets: Path | None, *, aws: bool) -> Path | None:
    """Return the secrets file, or None for AWS; end where neither or both are asked for."""
    if (secrets is None) != aws:
        end_for_input("give either --secrets FILE or --aws.")
    return secrets


def aws_store() -> Store:
    """Return AWS as a store; end where boto3 is missing or finds no Region."""
    try:
        from lambdasecrets.dev.aws import AwsStore, SetupError  # noqa: PLC0415 - boto3 loads only where it is used
    except ModuleNotFoundError as error:
        end_for_input(error)
    try:
        return AwsStore()
    except SetupError as error:
        end_for_input(error)


@contextmanager
def show_log(level: int, style: Literal["text", "json"] = "text") -> Generator[None]:
    """Show the emulator's log on standard error, apart from what the handler logs and how."""
    logger, handler = logging.getLogger("lambdasecrets.emulator"), logging.StreamHandler(sys.stderr)
    before = logger.level, logger.propagate
    if style == "json":
        handler.setFormatter(_JsonLines())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _JsonLines(logging.Formatter):
    """Writes each record as one line of JSON: a request with its parts, anything else as a message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
        }
        request: RequestRecord | None = getattr(record, "lambdasecrets_request", None)
        if request is None:
            return json.dumps({**line, "message": record.getMessage()})
        return json.dumps(
            {
                **line,
                "method": request.method,
                "target": request.target,
                "api": request.api,
                "name": request.name,
                "status": request.status,
                "milliseconds": round(request.milliseconds, 3),
                "token_ok": request.token_ok,
                "connection": request.connection,
            }
        )
