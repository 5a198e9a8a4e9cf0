"""`lambdasecrets check`."""

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from lambdasecrets.dev._cli.shared import (
    EXIT_BAD_INPUT,
    EXIT_FINDINGS,
    Root,
    Set,
    end,
    hide_logs,
    refuse_bad_input,
    report_failures,
)
from lambdasecrets.dev.check import Checked, Source, check, open_aws, open_endpoint, open_secrets_file
from lambdasecrets.dev.discovery import Discovery, InputError, discover
from lambdasecrets.dev.invoke import read_variables
from lambdasecrets.dev.template import Row, check_template

EXAMPLES = """\b
Examples:
  lambdasecrets check app.py:handler --secrets secrets.toml
  lambdasecrets check src/ --aws --set STAGE=prod
  lambdasecrets check src/ --endpoint http://127.0.0.1:2773 --json
  lambdasecrets check --template template.yaml

\b
Exit codes:
  0  every declaration is met, or takes its default; of a template, what is unknown is no finding without --strict
  1  findings: a declaration is not met, or a module cannot be imported
  2  a target, an option or the source of the values cannot be used
"""

_HEADINGS = ("PARAMETER", "KIND", "NAME", "TYPE", "VERSION", "VERDICT", "WHAT TO DO")
_COLOURS = {True: typer.colors.RED, False: typer.colors.GREEN}
_VERDICT = _HEADINGS.index("VERDICT")
_TEMPLATE_COLOURS = {"ok": typer.colors.GREEN, "unknown": typer.colors.YELLOW}


def check_values(
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="What declares: path/to/app.py:handler, module:handler, a file, a module, a package or a folder.",
            show_default=False,
        ),
    ] = None,
    *,
    secrets: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the values of a secrets file.")] = None,
    aws: Annotated[bool, typer.Option("--aws", help="Take the values of AWS, with your own credentials.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Take the values of a server on this machine; its token is in AWS_SESSION_TOKEN.",
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Check a template instead: SAM or CloudFormation, YAML or JSON, or what the CDK has synthesized.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Of a template: what is unknown is a finding.")] = False,
    values: Set = None,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Resolve what handlers declare, and read it as their types; or check the template that deploys them."""
    if template is not None:
        if targets or aws or endpoint is not None:
            end(
                "Error: a template tells what its handlers are: give no TARGET and no source of values.",
                EXIT_BAD_INPUT,
            )
        _check_template(template, values or (), root, is_strict=strict, as_json=as_json)
        return
    if not targets:
        end("Error: say what to check: a TARGET, or --template FILE.", EXIT_BAD_INPUT)
    with refuse_bad_input():
        is_elsewhere = aws or endpoint is not None
        # The file of pyproject.toml is for where nothing else is asked for.
        given = context.get_parameter_source("secrets")
        is_default = given is not None and given.name == "DEFAULT_MAP"
        source = _open_source(None if is_default and is_elsewhere else secrets, endpoint, aws=aws)
        texts = read_variables(values or ())
        discovery = discover(targets, root=root, variables={**source.environment, **texts})
        with hide_logs(), _progress(sum(len(item.declarations) for item in discovery.found)) as advance:
            checked = check(discovery.found, source, texts, advance)
    typer.echo(_to_json(checked, discovery) if as_json else "\n".join(_write_table(checked)))
    if not as_json:
        report_failures(discovery)
    if discovery.failures or any(row.is_finding for row in checked):
        raise typer.Exit(EXIT_FINDINGS)


def _check_template(
    template: Path, values: Sequence[str], root: Path | None, *, is_strict: bool, as_json: bool
) -> None:
    with refuse_bad_input():
        rows = check_template(template, read_variables(values), root=root)
    is_finding = [row.verdict == "finding" or (is_strict and row.verdict == "unknown") for row in rows]
    if as_json:
        typer.echo(json.dumps({"checked": [row._asdict() for row in rows]}, indent=2))
    else:
        typer.echo("\n".join(_write_template_table(rows, is_finding)))
    if any(is_finding):
        raise typer.Exit(EXIT_FINDINGS)


def _write_template_table(rows: Sequence[Row], is_finding: Sequence[bool]) -> list[str]:
    lines: list[str] = []
    for name, group in groupby(zip(rows, is_finding, strict=True), lambda pair: pair[0].function):
        lines.append(name)
        for row, is_bad in group:
            colour = typer.colors.RED if is_bad else _TEMPLATE_COLOURS[row.verdict]
            verdict = typer.style(row.verdict, fg=colour) + " " * (len("finding") - len(row.verdict))
            lines.append(f"  {verdict}  {row.check:<10}  {row.what}")
    unknown = sum(row.verdict == "unknown" for row in rows)
    return [*lines, f"{_count(len(rows), 'check')}, {_count(sum(is_finding), 'finding')}, {unknown} unknown."]


def _open_source(secrets: Path | None, endpoint: str | None, *, aws: bool) -> Source:
    given = [secrets is not None, aws, endpoint is not None]
    if sum(given) != 1:
        raise InputError("say where the values are: one of --secrets FILE, --aws and --endpoint URL.")
    if secrets is not None:
        return open_secrets_file(secrets)
    return open_aws() if endpoint is None else open_endpoint(endpoint)


@contextmanager
def _progress(length: int) -> Generator[Callable[[], None]]:
    """Show on a terminal how far it is."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with typer.progressbar(length=length, label="Checking", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _to_json(checked: Sequence[Checked], discovery: Discovery) -> str:
    rows = [{**row._asdict(), "is_finding": row.is_finding} for row in checked]
    failures = [{"where": failure.where, "why": failure.why} for failure in discovery.failures]
    return json.dumps({"checked": rows, "failures": failures}, indent=2)


def _write_table(checked: Sequence[Checked]) -> list[str]:
    lines: list[str] = []
    for target, group in groupby(checked, lambda row: row.target):
        rows = list(group)
        columns = zip(_HEADINGS, *map(_write_cells, rows), strict=True)
        widths = [max(map(len, column)) for column in columns]
        lines += [target, f"  {_align(_HEADINGS, widths)}"]
        lines += [f"  {_align(_write_cells(row), widths, is_finding=row.is_finding)}" for row in rows]
    findings = sum(row.is_finding for row in checked)
    return [*lines, f"{_count(len(checked), 'declaration')} checked, {_count(findings, 'finding')}."]


def _write_cells(row: Checked) -> tuple[str, ...]:
    return row.parameter or "-", row.kind, row.name, row.type, row.version or "-", row.verdict, row.remedy


def _align(cells: Sequence[str], widths: Sequence[int], *, is_finding: bool | None = None) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    if is_finding is not None:
        verdict = cells[_VERDICT]
        padded[_VERDICT] = padded[_VERDICT].replace(verdict, typer.style(verdict, fg=_COLOURS[is_finding]))
    return "  ".join(padded).rstrip()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
