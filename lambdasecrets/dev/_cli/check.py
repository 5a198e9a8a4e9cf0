"""`lambdasecrets check`."""

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from lambdasecrets.dev._cli.shared import EXIT_FINDINGS, Root, Set, hide_logs, refuse_bad_input, report_failures
from lambdasecrets.dev.check import Checked, Source, check, open_aws, open_endpoint, open_secrets_file
from lambdasecrets.dev.discovery import Discovery, InputError, discover
from lambdasecrets.dev.invoke import read_variables

EXAMPLES = """\b
Examples:
  lambdasecrets check app.py:handler --secrets secrets.toml
  lambdasecrets check src/ --aws --set STAGE=prod
  lambdasecrets check src/ --endpoint http://127.0.0.1:2773 --json

\b
Exit codes:
  0  every declaration is met, or takes its default
  1  findings: a declaration is not met, or a module cannot be imported
  2  a target, an option or the source of the values cannot be used
"""

_HEADINGS = ("PARAMETER", "KIND", "NAME", "TYPE", "VERSION", "VERDICT", "WHAT TO DO")
_COLOURS = {True: typer.colors.RED, False: typer.colors.GREEN}
_VERDICT = _HEADINGS.index("VERDICT")


def check_values(
    context: typer.Context,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET",
            help="What declares: path/to/app.py:handler, module:handler, a file, a module, a package or a folder.",
        ),
    ],
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
    values: Set = None,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")] = False,
) -> None:
    """Resolve what handlers declare, and read it as their types. No value is shown."""
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
