"""The commands. typer enters here."""

import logging
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from lambdasecrets import LambdaSecretsError, ResolvedValue, ResolveEvent
from lambdasecrets._settings import LONGEST_INVOCATION_SECONDS
from lambdasecrets.dev._cli import policy
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.invoke import (
    DEFAULT_TIMEOUT_SECONDS,
    InputError,
    ResultError,
    Target,
    handler_traceback,
    invoke,
    read_event,
    read_variables,
)
from lambdasecrets.dev.stores import SecretsFile, SecretsFileError, load_secrets_file

EXIT_HANDLER_RAISED = 1
EXIT_BAD_INPUT = 2

_DEFAULT_PORT = 2773
_HIGHEST_PORT = 65535
_DEFAULT_TTL_SECONDS = 300.0
_HEADINGS = ("PARAMETER", "KIND", "NAME", "SOURCE", "VERSION")

_INVOKE_EXAMPLES = """\b
Examples:
  lambdasecrets invoke app.py:handler --secrets secrets.toml --event '{"order_id": 7}'
  lambdasecrets invoke app.py:handler --secrets secrets.toml --event @event.json --env STAGE=test
  cat event.json | lambdasecrets invoke orders.api:service.handler --secrets secrets.json --event -

\b
Exit codes:
  0  the handler returned; its result is on standard output, everything else on standard error
  1  the handler, or the import of its module, raised
  2  the target, the event or the secrets file cannot be used
"""
_SERVE_EXAMPLES = """\b
Examples:
  lambdasecrets serve --secrets secrets.toml
  lambdasecrets serve --secrets secrets.toml --port 0 --profile agent --token made-up

Standard output gets one line for the shell of the process that is to use it: export AWS_SESSION_TOKEN=...
Requests are logged on standard error, without values. Ctrl-C or SIGTERM ends it, with exit code 0; the exit code is 2
when the secrets file or the port cannot be used.
"""

# Plain help and errors, the same in every terminal; no pretty tracebacks, because they show locals.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Secrets = Annotated[
    Path, typer.Option("--secrets", metavar="FILE", help="The secrets file, TOML or JSON: what the server serves.")
]
_Profile = Annotated[
    Literal["extension", "agent"],
    typer.Option(help="Which server to be: the Parameters and Secrets Lambda Extension or the Secrets Manager Agent."),
]


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if asked:
        typer.echo(f"lambdasecrets {version('lambdasecrets')}")
        raise typer.Exit


@app.callback()
def lambdasecrets(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run Lambda handlers against a local stand-in for the AWS Parameters and Secrets Lambda Extension."""


app.command("policy", epilog=policy.EXAMPLES)(policy.write_policy)


@app.command("invoke", epilog=_INVOKE_EXAMPLES)
def invoke_command(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The handler: path/to/app.py:handler or module:handler.")
    ],
    secrets: _Secrets,
    *,
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
    profile: _Profile = "extension",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the server's log, with every request.")] = False,
) -> None:
    """Run a handler on an event, and print what it returns as JSON."""
    events: list[ResolveEvent] = []

    def run() -> str:
        return invoke(
            Target.parse(target),
            load_secrets_file(secrets),
            read_event(event),
            timeout=timeout,
            variables=read_variables(env or ()),
            profile=profile,
            on_resolve=events.append,
        )

    # As in Lambda, what a handler prints is log and not result.
    with _emulator_log(logging.DEBUG if verbose else logging.WARNING), redirect_stdout(sys.stderr):
        text, code = _outcome(run)
    for line in (line for resolved in events for line in _table(resolved)):
        typer.echo(line, err=True)
    if code:
        _end(text, code)
    # A lone surrogate has no UTF-8; the escape that takes its place is JSON's own.
    typer.echo(text.encode("utf-8", "backslashreplace"))


@app.command(epilog=_SERVE_EXAMPLES)
def serve(
    secrets: _Secrets,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=_HIGHEST_PORT, metavar="PORT", help="The port on 127.0.0.1; 0 for any free one.")
    ] = _DEFAULT_PORT,
    profile: _Profile = "extension",
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The session token to ask for.", show_default="a random one")
    ] = None,
    ttl: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long values are cached; 0 for not at all.")
    ] = _DEFAULT_TTL_SECONDS,
) -> None:
    """Run the stand-in for the extension until Ctrl-C or SIGTERM, and print how to point a process at it."""
    # SIGINT too: a shell that starts this in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), _emulator_log(logging.DEBUG):
        file = _loaded(secrets)
        emulator = Emulator(file.store, profile=profile, port=port, token=token, secrets_ttl=ttl, parameters_ttl=ttl)
        _start(emulator, port)
        try:
            typer.echo(_exports({**file.environment, **emulator.environment()}))
            threading.Event().wait()  # without an end, which is what was asked for: a signal interrupts it
        finally:
            emulator.stop()


def _outcome(run: Callable[[], str]) -> tuple[str, int]:
    """Give the result or the text of what went wrong, and the exit code."""
    try:
        return run(), 0
    except (InputError, SecretsFileError) as error:
        return f"Error: {error}", EXIT_BAD_INPUT
    except ResultError as error:
        return f"Error: {error}", EXIT_HANDLER_RAISED
    except LambdaSecretsError as error:
        return f"{type(error).__name__}: {error}", EXIT_HANDLER_RAISED
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler may raise anything
        return handler_traceback(error), EXIT_HANDLER_RAISED


def _end(text: str, code: int) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)


def _loaded(path: Path) -> SecretsFile:
    try:
        return load_secrets_file(path)
    except SecretsFileError as error:
        _end(f"Error: {error}", EXIT_BAD_INPUT)


def _start(emulator: Emulator, port: int) -> None:
    try:
        emulator.start()
    except OSError as error:
        why = error.strerror
        _end(f"Error: cannot listen on port {port}: {why}. Choose another one with --port, or 0.", EXIT_BAD_INPUT)


def _exports(variables: dict[str, str]) -> str:
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


@contextmanager
def _emulator_log(level: int) -> Generator[None]:
    """Show the emulator's log on standard error, apart from what the handler logs and how."""
    logger, handler = logging.getLogger("lambdasecrets.emulator"), logging.StreamHandler(sys.stderr)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def _table(event: ResolveEvent) -> list[str]:
    title = f"{'Not all resolved' if event.error else 'Resolved'} for {event.owner} in {event.milliseconds:.1f} ms"
    rows = [_HEADINGS, *map(_row, event.values)] if event.values else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [title, *(_aligned(row, widths) for row in rows)]


def _row(value: ResolvedValue) -> tuple[str, ...]:
    declaration = value.declaration
    kind = type(declaration).__name__.lower()
    return value.parameter or "-", kind, declaration.name, value.source, value.version or "-"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"  {'  '.join(cells)}".rstrip()
