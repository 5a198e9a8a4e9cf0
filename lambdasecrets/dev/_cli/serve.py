"""`serve`: the stand-in for processes of any language."""

import json
import logging
import os
import re
import shlex
import signal
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import typer

from lambdasecrets._wire import DEFAULT_PORT
from lambdasecrets.dev._cli.console import (
    AwsOption,
    ProfileOption,
    SecretsOption,
    aws_store,
    choose_source,
    end_for_input,
    show_log,
)
from lambdasecrets.dev._cli.watching import watching
from lambdasecrets.dev.emulator import HEALTH_PATH, Emulator
from lambdasecrets.dev.fault_rules import read_fault
from lambdasecrets.dev.stores import DenyingStore, SecretsFileError, WatchedFile

_HIGHEST_PORT = 65535
_DEFAULT_TTL_SECONDS = 300.0
_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - a variable's name

EPILOG = f"""\b
Examples:
  lambdasecrets serve --secrets secrets.toml
  lambdasecrets serve --secrets secrets.toml --watch --deny dev/orders/stripe --fault latency,seconds=0.5
  lambdasecrets serve --aws --port 0 --profile agent --format json

Standard output gets what the process that is to use it needs in its environment, first of all AWS_SESSION_TOKEN.
Requests are logged on standard error, without values. {HEALTH_PATH} answers without a token.

\b
Exit codes:
  0  Ctrl-C or SIGTERM ended it
  2  what is given, or the port, cannot be used
"""


def serve(
    secrets: SecretsOption = None,
    *,
    aws: AwsOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Serve a changed secrets file within a second.")] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=_HIGHEST_PORT, metavar="PORT", help="The port; 0 for any free one.")
    ] = DEFAULT_PORT,
    profile: ProfileOption = "extension",
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN", help="The session token to ask for.", show_default=f"{_TOKEN}, else a random one"
        ),
    ] = None,
    ttl: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long values are cached; 0 for not at all.")
    ] = _DEFAULT_TTL_SECONDS,
    not_ready: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Serve nothing at first, as the extension before an invocation."),
    ] = 0.0,
    deny: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Refuse a secret or parameter, as a missing permission; may be repeated."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,SETTING=VALUE...]", help="Let something go wrong: latency,seconds=0.5; may be repeated."
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["export", "env", "json"],
        typer.Option(help="How the environment is printed: for a shell, as an env file, or as JSON."),
    ] = "export",
    log: Annotated[Literal["text", "json"], typer.Option(help="How requests are logged.")] = "text",
) -> None:
    """Run the stand-in for the extension until Ctrl-C or SIGTERM, and print how to point a process at it."""
    # SIGINT too: a shell that starts this in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    path = choose_source(secrets, aws=aws)
    if watch and path is None:
        end_for_input("--watch looks at a secrets file: it goes with --secrets.")
    _check_address(host, aws=aws, token=token)
    with suppress(KeyboardInterrupt), show_log(logging.DEBUG, log):
        file = None if path is None else _open(path)
        store = aws_store() if file is None else file
        own_token = token or os.environ.get(_TOKEN)
        emulator = Emulator(
            DenyingStore(store, deny) if deny else store,
            profile=profile,
            host=host,
            port=port,
            token=own_token,
            ready=not not_ready,
            secrets_ttl=ttl,
            parameters_ttl=ttl,
        )

        def begin_anew() -> None:
            emulator.clear_cache()
            emulator.clear_faults()
            if file is not None:
                emulator.inject_faults_of(file.content)
            for rule in map(read_fault, fault or ()):
                emulator.inject(rule.fault, times=rule.times, match=rule.match)

        with _running(emulator, host, port, not_ready):
            _inject(begin_anew)
            variables = {**(file.content.environment if file else {}), **emulator.environment()}
            if token is None and own_token:
                del variables[_TOKEN]  # who has it in its shell has it already
            typer.echo(_print_variables(variables, format))
            with watching(file, begin_anew) if file and watch else nullcontext():
                threading.Event().wait()  # without an end, which is what was asked for: a signal interrupts it


def _open(path: Path) -> WatchedFile:
    try:
        return WatchedFile(path)
    except SecretsFileError as error:
        end_for_input(error)


def _check_address(host: str, *, aws: bool, token: str | None) -> None:
    """Warn where others than this machine are served; end where they would be served an account without a token."""
    if _is_loopback(host):
        return
    if aws and not token:
        end_for_input(f"--aws on {host} serves an account to others: give a --token of your own.")
    typer.echo(
        f"Warning: {host} is no loopback address: whoever reaches this machine, and has the token, reads the values.",
        err=True,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _running(emulator: Emulator, host: str, port: int, not_ready: float) -> Generator[None]:
    try:
        emulator.start()
    except OSError as error:
        remedy = "Choose another one with --port, or 0." if _is_loopback(host) else "Choose others."
        where = f"port {port}" if host == "127.0.0.1" else f"{host}, port {port}"
        end_for_input(f"cannot listen on {where}: {error.strerror}. {remedy}")
    timer = threading.Timer(not_ready, emulator.open_gate)
    timer.daemon = True
    if not_ready:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        emulator.stop()


def _inject(begin: Callable[[], None]) -> None:
    try:
        begin()
    except (SecretsFileError, ValueError) as error:
        end_for_input(error)


def _print_variables(variables: Mapping[str, str], style: Literal["export", "env", "json"]) -> str:
    if style == "json":
        return json.dumps(variables)
    if style == "export":
        return "export " + " ".join(f"{shlex.quote(name)}={shlex.quote(value)}" for name, value in variables.items())
    for name, value in variables.items():
        if re.search(r"[\r\n\0]", value):
            end_for_input(f"an env file cannot carry the line break in {name}: use --format json.")
    return "\n".join(f"{name}={value}" for name, value in variables.items())
