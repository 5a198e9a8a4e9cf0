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


_COMMANDS = (
    ("invoke", invoke.invoke_command, invoke.EPILOG, "Run a handler on an event, and print what it returns."),
    ("serve", serve.serve, serve.EPILOG, "Run the stand-in for other processes."),
    ("check", check.check_values, check.EXAMPLES, "Check declarations against values, or a template."),
    ("policy", policy.write_policy, policy.EXAMPLES, "Write the IAM policy that handlers need, and no more."),
    ("schema", schema.write_schema, schema.EXAMPLES, "Write JSON Schemas of values, or of the secrets file."),
    ("init", init.write_secrets_file, init.EXAMPLES, "Write a first secrets file, with made-up values."),
    (
        "agent-config",
        agent_config.write_agent_config,
        agent_config.EXAMPLES,
        "Write the agent's configuration: what it prefetches.",
    ),
    ("layer", layer.show_layer, layer.EXAMPLES, "Show how to attach the real extension's layer."),
)
for _name, _command, _epilog, _summary in _COMMANDS:
    app.command(_name, epilog=_epilog, short_help=_summary)(_command)
