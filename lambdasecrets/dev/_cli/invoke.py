"""`invoke`: one handler, one event, as in Lambda."""

import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from lambdasecrets import LambdaSecretsError, ResolvedValue, ResolveEvent
from lambdasecrets._settings import LONGEST_INVOCATION_SECONDS
from lambdasecrets.dev._cli.console import (
    AwsOption,
    ProfileOption,
    SecretsOption,
    aws_store,
    choose_source,
    show_log,
)
from lambdasecrets.dev._cli.shared import EXIT_BAD_INPUT, end
from lambdasecrets.dev.discovery import InputError, Target, find_root
from lambdasecrets.dev.invoke import (
    DEFAULT_TIMEOUT_SECONDS,
    HandlerArgumentsError,
    Invocation,
    ResultError,
    handler_traceback,
    invoke,
    read_env_file,
    read_event,
    read_variables,
)
from lambdasecrets.dev.stores import SecretsFileError, load_secrets_file

EXIT_FAILED = 1
_HEADINGS = ("PARAMETER", "KIND", "NAME", "SOURCE", "VERSION")

EPILOG = """\b
Examples:
  lambdasecrets invoke app.py:handler --secrets secrets.toml --event '{"order_id": 7}'
  lambdasecrets invoke app.py:handler --secrets secrets.toml --event @event.json --env STAGE=test
  lambdasecrets invoke src/orders/api.py:handler --root src --secrets secrets.toml --env-file .env --repeat 3
  cat event.json | lambdasecrets invoke orders.api:service.handler --aws --event -

\b
Exit codes:
  0  the handler returned; its result is on standard output, everything else on standard error
  1  the handler, or the import of its module, raised
  2  the target, the event or the secrets file cannot be used
"""


def invoke_command(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The handler: path/to/app.py:handler or module:handler.")
    ],
    secrets: SecretsOption = None,
    *,
    aws: AwsOption = False,
    event: Annotated[
        str, typer.Option(metavar="JSON", help="The event: JSON, @ and a file, or - for standard input.")
    ] = "{}",
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.001,
            max=LONGEST_INVOCATION_SECONDS,
            help="The function's timeout, from which the context counts down.",
        ),
    ] = DEFAULT_TIMEOUT_SECONDS,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An environment variable for the handler; may be repeated."),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="A file of such variables, one on each line; --env wins."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder from which modules are imported, such as src.")
    ] = None,
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, help="Invoke it so often: once cold, then warm, with what each cost.")
    ] = 1,
    tenant_id: Annotated[
        str | None,
        typer.Option("--tenant-id", metavar="ID", help="The tenant, of a function with tenant isolation."),
    ] = None,
    profile: ProfileOption = "extension",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the server's log, with every request.")] = False,
) -> None:
    """Run a handler on an event, and print what it returns as JSON."""
    path = choose_source(secrets, aws=aws)
    invocations: list[Invocation] = []
    events: list[ResolveEvent] = []

    def run() -> None:
        invoke(
            Target.parse(target, root),
            aws_store() if path is None else load_secrets_file(path),
            read_event(event),
            timeout=timeout,
            variables={**(read_env_file(env_file) if env_file else {}), **read_variables(env or ())},
            profile=profile,
            tenant_id=tenant_id,
            repeat=repeat,
            on_resolve=events.append,
            on_end=invocations.append,
        )

    # As in Lambda, what a handler prints is log and not result.
    with show_log(logging.DEBUG if verbose else logging.WARNING), redirect_stdout(sys.stderr):
        text, code = _run(run, target, root)
    for line in (line for resolved in events for line in _table(resolved, text)):
        typer.echo(line, err=True)
    for line in _costs(invocations) if repeat > 1 else ():
        typer.echo(line, err=True)
    for invocation in invocations:
        # A lone surrogate has no UTF-8; the escape that takes its place is JSON's own.
        typer.echo(invocation.result.encode("utf-8", "backslashreplace"))
    if code:
        end(text, code)


def _run(run: Callable[[], None], target: str, root: Path | None) -> tuple[str, int]:
    """Give the text of what went wrong, if anything has, and the exit code."""
    try:
        run()
    except (InputError, SecretsFileError) as error:
        return f"Error: {error}", EXIT_BAD_INPUT
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler may raise anything
        return _explain(error, target, root), EXIT_FAILED
    return "", 0


def _explain(error: BaseException, target: str, root: Path | None) -> str:
    """Tell in one line what this library has a name for, and anything else with the handler's frames."""
    if isinstance(error, ResultError):
        return f"Error: {error}"
    if isinstance(error, HandlerArgumentsError):
        return f"TypeError: {error}"
    if isinstance(error, LambdaSecretsError):
        return f"{type(error).__name__}: {error}"
    hint = _hint_root(error, target) if isinstance(error, ModuleNotFoundError) and root is None else ""
    return f"{handler_traceback(error)}{hint}"


def _hint_root(error: ModuleNotFoundError, target: str) -> str:
    found = find_root(error.name, Target.parse(target).folder) if error.name else None
    return "" if found is None else f"\n{error.name} is in {found}: add --root {shlex.quote(str(found))}"


def _costs(invocations: Sequence[Invocation]) -> Iterator[str]:
    """Tell what each invocation took: the cold one with the import of its module, the warm ones in the middle."""
    for number, invocation in enumerate(invocations, 1):
        imported = invocation.import_milliseconds
        kind = "warm" if imported is None else f"cold, after an import of {imported:.1f} ms"
        yield f"Invocation {number}: {invocation.milliseconds:.1f} ms, {kind}"
    warm = [invocation.milliseconds for invocation in invocations[1:]]
    if warm:
        yield f"Cold {invocations[0].milliseconds:.1f} ms, warm {median(warm):.1f} ms (median of {len(warm)})"


def _table(event: ResolveEvent, told: str) -> list[str]:
    title = f"{'Not all resolved' if event.error else 'Resolved'} for {event.owner} in {event.milliseconds:.1f} ms"
    rows = [_HEADINGS, *map(_row, event.values)] if event.values else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [title, *(_align(row, widths) for row in rows)]
    # Where it ended the invocation its text comes at the end.
    if event.error is not None and str(event.error) not in told:
        lines += [f"  {line}" for line in f"{type(event.error).__name__}: {event.error}".splitlines()]
    return lines


def _row(value: ResolvedValue) -> tuple[str, ...]:
    declaration = value.declaration
    kind = type(declaration).__name__.lower()
    return value.parameter or "-", kind, declaration.name, value.source, value.version or "-"


def _align(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"  {'  '.join(cells)}".rstrip()
