"""What commands have in common: arguments, exit codes, and how they end."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lambdasecrets.dev.discovery import Discovery, InputError
from lambdasecrets.dev.stores import SecretsFileError

EXIT_FINDINGS = 1
EXIT_BAD_INPUT = 2
STANDARD_OUTPUT = Path("-")

WHAT_DECLARES = "What declares: path/to/app.py:handler, module:handler, a file, a module, a package or a folder."
Targets = Annotated[list[str], typer.Argument(metavar="TARGET", help=WHAT_DECLARES)]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="FOLDER", help="The folder that modules are imported from, such as src."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="The text of a placeholder, and of the environment variable; may be repeated.",
    ),
]


def end(text: str, code: int) -> NoReturn:
    """Say on standard error why a command ends, and end it.

    Raises:
        Exit: with the code.
    """
    typer.echo(text, err=True)
    raise typer.Exit(code)


@contextmanager
def refuse_bad_input() -> Generator[None]:
    """End with one line, and exit code 2, where what was given cannot be used."""
    try:
        yield
    except (InputError, SecretsFileError) as error:
        end(f"Error: {error}", EXIT_BAD_INPUT)


@contextmanager
def hide_logs() -> Generator[None]:
    """Keep what the library and the stand-in log off the terminal: the command says itself what it has seen."""
    logger, handler = logging.getLogger("lambdasecrets"), logging.NullHandler()
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def report_failures(discovery: Discovery) -> None:
    """Name on standard error the modules that hide what they may declare, a line each."""
    for failure in discovery.failures:
        typer.echo(f"Error: {failure}", err=True)


def refuse_failures(discovery: Discovery) -> None:
    """End where a module cannot be imported: what would be written would not be whole.

    Raises:
        Exit: with the code of findings.
    """
    report_failures(discovery)
    if discovery.failures:
        raise typer.Exit(EXIT_FINDINGS)


def write_new_file(path: Path, text: str) -> None:
    """Write a file that does not exist yet; to standard output for `-`.

    Raises:
        InputError: it exists, or cannot be written.
    """
    if path == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        why = "it exists, and is not overwritten"
    except OSError as error:
        why = f"cannot write the file: {error.strerror}"
    else:
        typer.echo(f"Wrote {path}.", err=True)
        return
    raise InputError(f"{path}: {why}.")
