"""`lambdasecrets schema`."""

import json
from typing import Annotated

import typer

from lambdasecrets.dev._cli.shared import (
    EXIT_BAD_INPUT,
    WHAT_DECLARES,
    Root,
    Set,
    end,
    refuse_bad_input,
    refuse_failures,
)
from lambdasecrets.dev.discovery import Discovery, discover
from lambdasecrets.dev.entries import read_entries
from lambdasecrets.dev.invoke import read_variables
from lambdasecrets.dev.schema import make_file_schema, make_schemas

EXAMPLES = """\b
Examples:
  lambdasecrets schema app.py:handler
  lambdasecrets schema src/ --file --set STAGE=dev > secrets.schema.json
  lambdasecrets schema --file > secrets.schema.json

\b
Exit codes:
  0  the schemas are on standard output
  1  a module cannot be imported; the schemas are those of the others
  2  a target or an option cannot be used
"""


def write_schema(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="TARGET", help=WHAT_DECLARES, show_default=False)
    ] = None,
    *,
    file: Annotated[
        bool, typer.Option("--file", help="Write the schema of a secrets file with what is declared, for editors.")
    ] = False,
    values: Set = None,
    root: Root = None,
) -> None:
    """Write JSON Schemas of what handlers declare: for those who write the values, or of the secrets file."""
    if not targets and not file:
        end(
            "Error: say whose schemas: a TARGET. The form of any secrets file is to be had with --file.", EXIT_BAD_INPUT
        )
    with refuse_bad_input():
        texts = read_variables(values or ())
        discovery = discover(targets, root=root, variables=texts) if targets else Discovery((), ())
        entries = read_entries(discovery.found, texts)
        written = make_file_schema(entries) if file else make_schemas(entries)
    typer.echo(json.dumps(written, indent=2, ensure_ascii=False))
    refuse_failures(discovery)
