"""`lambdasecrets policy`."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import typer

from lambdasecrets.dev._cli.shared import Root, Set, Targets, refuse_bad_input, refuse_failures
from lambdasecrets.dev.discovery import InputError, discover
from lambdasecrets.dev.invoke import read_variables
from lambdasecrets.dev.policy import Format, Policy, PolicyOptions, make_policy

EXAMPLES = """\b
Examples:
  lambdasecrets policy app.py:handler --account 123456789012 --region eu-west-1 --set STAGE=prod
  lambdasecrets policy src/ --format sam
  lambdasecrets policy src/ --format terraform --kms-key orders/db=arn:aws:kms:eu-west-1:123456789012:key/KEY_ID
  lambdasecrets policy app.py --server agent --prefetch --role arn:aws:iam::210987654321:role/reader

\b
Exit codes:
  0  the policy is on standard output, what is to be known beside it on standard error
  1  a module cannot be imported; the policy is that of the others
  2  a target or an option cannot be used
"""


_Server = Annotated[
    Literal["extension", "agent"], typer.Option(help="Who reads: the extension, or the Secrets Manager Agent.")
]


def write_policy(
    targets: Targets,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = "json",
    account: Annotated[str | None, typer.Option(metavar="ID", help="The account, twelve digits.")] = None,
    region: Annotated[str | None, typer.Option(metavar="REGION", help="The Region, such as eu-west-1.")] = None,
    partition: Annotated[
        str | None, typer.Option(metavar="NAME", help="The partition, such as aws-cn; by default the Region's.")
    ] = None,
    kms_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]ARN",
            help="The customer-managed key of a secret or parameter, or of all others; may be repeated.",
        ),
    ] = None,
    server: _Server = "extension",
    prefetch: Annotated[bool, typer.Option("--prefetch", help="The agent is configured to prefetch.")] = False,
    role: Annotated[
        str | None, typer.Option(metavar="ARN", help="Write the policy of a role that is declared with role_arn.")
    ] = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Write the IAM policy that handlers need: what their declarations read, and nothing else."""
    with refuse_bad_input():
        texts = read_variables(values or ())
        options = PolicyOptions(
            form=form,
            account=account,
            region=region,
            partition=partition,
            kms_keys=_read_keys(kms_key or ()),
            server=server,
            prefetch=prefetch,
            placeholders=texts,
            role=role,
        )
        discovery = discover(targets, root=root, variables=texts)
        policy = make_policy((declared for item in discovery.found for declared in item.declarations), options)
    typer.echo(policy.text)
    for note in _list_notes(policy):
        typer.echo(note, err=True)
    refuse_failures(discovery)


def _list_notes(policy: Policy) -> Iterator[str]:
    yield from (f"Note: {note}" for note in policy.notes)
    yield from (
        f"Note: {role} reads for this function, and needs a policy of its own: --role {role}" for role in policy.roles
    )


def _read_keys(texts: Iterable[str]) -> dict[str | None, list[str]]:
    """Read keys, each written as an ARN or an id, with a name and = before it where it is that name's only."""
    keys: dict[str | None, list[str]] = {}
    for text in texts:
        # At the last equals sign: the name of a secret may have some, a key has none.
        name, equals, key = text.rpartition("=")
        if not key or (equals and not name):
            raise InputError(f"cannot read the key {text!r}: write an ARN, or NAME=ARN.")
        keys.setdefault(name or None, []).append(key)
    return keys
