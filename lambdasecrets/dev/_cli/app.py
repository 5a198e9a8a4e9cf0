"""The command line: its commands and what they have in common. typer enters in this folder."""

from importlib.metadata import version
from typing import Annotated

import typer

from lambdasecrets.dev._cli import agent_config, check, init, invoke, layer, policy, schema, serve
from lambdasecrets.dev._cli.project import read_defaults

# Plain help and errors, the same in every terminal; no pretty tracebacks, because they show locals.
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if asked:
        typer.echo(f"lambdasecrets {version('lambdasecrets')}")
        raise typer.Exit


@app.callback()
def lambdasecrets(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run Lambda handlers against a local stand-in for the AWS Parameters and Secrets Lambda Extension.

    Options that repeat can stand in pyproject.toml, in [tool.lambdasecrets].
    """
    context.default_map = read_defaults(context.command)


app.command("check", epilog=check.EXAMPLES)(check.check_values)
app.command("policy", epilog=policy.EXAMPLES)(policy.write_policy)
app.command("init", epilog=init.EXAMPLES)(init.write_secrets_file)
app.command("schema", epilog=schema.EXAMPLES)(schema.write_schema)
app.command("agent-config", epilog=agent_config.EXAMPLES)(agent_config.write_agent_config)
app.command("layer", epilog=layer.EXAMPLES)(layer.show_layer)
app.command("invoke", epilog=invoke.EPILOG)(invoke.invoke_command)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
