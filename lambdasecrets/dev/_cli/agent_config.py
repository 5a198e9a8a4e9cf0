"""`lambdasecrets agent-config`."""

from pathlib import Path
from typing import Annotated

import typer

from lambdasecrets._wire import DEFAULT_PORT
from lambdasecrets.dev._cli.shared import Root, Set, Targets, refuse_bad_input, refuse_failures, write_new_file
from lambdasecrets.dev.agent_config import make_agent_config
from lambdasecrets.dev.discovery import discover
from lambdasecrets.dev.invoke import read_variables

EXAMPLES = """\b
Examples:
  lambdasecrets agent-config src/ --set STAGE=prod --region eu-west-1
  lambdasecrets agent-config app.py:service --output /etc/agent.toml --port 2774

\b
Exit codes:
  0  the file is written; what is to be known beside it is on standard error
  1  a module cannot be imported; nothing is written
  2  a target or an option cannot be used, or the file exists
"""

_DEFAULT = Path("agent.toml")
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535
"""As the agent has them."""


def write_agent_config(
    targets: Targets,
    *,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The file to write, in TOML, a new one; - for standard output.")
    ] = _DEFAULT,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=_LOWEST_PORT, max=_HIGHEST_PORT, help="Where the agent is to listen.")
    ] = DEFAULT_PORT,
    region: Annotated[
        str | None,
        typer.Option(metavar="REGION", help="The Region of the secrets; by default that of the agent's environment."),
    ] = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Write the configuration of an agent that has what handlers declare before they ask for it."""
    with refuse_bad_input():
        texts = read_variables(values or ())
        discovery = discover(targets, root=root, variables=texts)
        refuse_failures(discovery)
        declarations = (declared for item in discovery.found for declared in item.declarations)
        config = make_agent_config(declarations, texts, port=port, region=region)
        write_new_file(output, config.text)
    for note in config.notes:
        typer.echo(f"Note: {note}", err=True)
