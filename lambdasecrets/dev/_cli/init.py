"""`lambdasecrets init`."""

from pathlib import Path
from typing import Annotated

import typer

from lambdasecrets.dev._cli.shared import Root, Set, Targets, refuse_bad_input, refuse_failures, write_new_file
from lambdasecrets.dev.discovery import InputError, discover
from lambdasecrets.dev.init import make_secrets_file
from lambdasecrets.dev.invoke import read_variables

EXAMPLES = """\b
Examples:
  lambdasecrets init app.py:handler
  lambdasecrets init src/ --secrets local/secrets.toml --set STAGE=dev --schema secrets.schema.json

\b
Exit codes:
  0  the file is written
  1  a module cannot be imported; nothing is written
  2  a target or an option cannot be used, or the file exists
"""

_DEFAULT = Path("secrets.toml")


def write_secrets_file(
    targets: Targets,
    *,
    secrets: Annotated[
        Path, typer.Option(metavar="FILE", help="The file to write, in TOML, a new one; - for standard output.")
    ] = _DEFAULT,
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Name in it the schema that editors check it by: what `schema --file` writes."
        ),
    ] = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Write a secrets file to begin with: all that handlers declare, with made-up values of the right types."""
    with refuse_bad_input():
        if secrets.suffix == ".json":
            raise InputError(f"{secrets}: it is written in TOML; give it another name.")
        texts = read_variables(values or ())
        discovery = discover(targets, root=root, variables=texts)
        refuse_failures(discovery)
        write_new_file(secrets, make_secrets_file(discovery.found, texts, schema))
