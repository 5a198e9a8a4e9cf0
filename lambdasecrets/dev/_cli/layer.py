"""`lambdasecrets layer`."""

from typing import Annotated

import typer

from lambdasecrets.dev._cli.shared import refuse_bad_input
from lambdasecrets.dev.layer import Architecture, Format, describe_layer

EXAMPLES = """\b
Examples:
  lambdasecrets layer --region eu-west-1
  lambdasecrets layer --architecture arm64 --format sam

\b
Exit codes:
  0  what to run, or what to put into the template, is on standard output
  2  an option cannot be used
"""


def show_layer(
    *,
    form: Annotated[
        Format, typer.Option("--format", help="For commands of AWS's command line, or a template.")
    ] = "aws",
    architecture: Annotated[Architecture, typer.Option(help="The function's.")] = "x86_64",
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="The Region, for commands, such as eu-west-1.")
    ] = None,
) -> None:
    """Show how to attach the layer of the real extension, in its newest version."""
    with refuse_bad_input():
        typer.echo(describe_layer(architecture, form, region))
