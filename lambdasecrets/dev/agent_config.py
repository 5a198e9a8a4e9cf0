"""The agent's configuration, from what handlers declare: it has their secrets before anybody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets._wire import DEFAULT_PORT
from lambdasecrets.dev._drafts.toml import write_value
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.placeholders import check_texts, fill, fill_name, list_placeholders
from lambdasecrets.dev.policy import describe_unserved
from lambdasecrets.dev.regions import check_region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["AgentConfig", "make_agent_config"]

_CURRENT = "AWSCURRENT"
_MOST_ROLES = 20
"""Of what the agent takes as `max_roles`, and what it takes without it."""


class AgentConfig(NamedTuple):
    """A configuration of the agent.

    Attributes:
        text: TOML, with a line end.
        notes: what is to be known beside it, a line each.
    """

    text: str
    notes: tuple[str, ...]


def make_agent_config(
    declarations: Iterable[Secret | Parameter],
    texts: Mapping[str, str],
    *,
    port: int = DEFAULT_PORT,
    region: str | None = None,
) -> AgentConfig:
    """Write the configuration of an agent that prefetches what is declared.

    Args:
        declarations: what is declared.
        texts: for `{VAR}` in names and roles: the agent fills in nothing.
        port: where the agent is to listen.
        region: for names; None for the Region that the agent finds in its environment.

    Raises:
        InputError: a text is missing, or makes no name; no secret is declared; or the Region cannot be used.
    """
    check_region(region)
    every = list(dict.fromkeys(declarations))
    secrets = dict.fromkeys(_read_secret(item, texts) for item in every if isinstance(item, Secret))
    if not secrets:
        raise InputError("nothing to configure: no secret is declared, and the agent has secrets only.")
    lines = [
        "[capabilities.secrets_manager]",
        f"http_port = {port}",
        *([f"region = {write_value(region)}"] if region else []),
        "",
        "[capabilities.secrets_manager.prefetch] # read when the agent starts",
        "secrets = [",
        *(f"  {write_value({'secret_id': name, 'role_arn': role})}," for name, role in secrets),
        "]",
    ]
    return AgentConfig("\n".join([*lines, ""]), tuple(_list_notes(every, [role for _, role in secrets])))


def _read_secret(declaration: Secret, texts: Mapping[str, str]) -> tuple[str, str | None]:
    """Give the name and the role as the agent is asked for them."""
    missing = [name for name in list_placeholders(declaration) if name not in texts]
    if missing:
        raise InputError(f"{declaration} needs {missing[0]}: give it with --set {missing[0]}=...")
    check_texts(declaration, texts)
    role = declaration.role_arn
    return fill_name(declaration, texts), None if role is None else fill(role, texts)


def _list_notes(declarations: Sequence[Secret | Parameter], roles: Iterable[str | None]) -> Iterator[str]:
    for declaration in declarations:
        if isinstance(declaration, Parameter):
            yield describe_unserved(declaration)
        elif declaration.version_id is not None or declaration.version_stage not in {None, _CURRENT}:
            yield f"{declaration} is read when it is asked for: the agent prefetches {_CURRENT} only."
    count = len({role for role in roles if role is not None})
    if count > _MOST_ROLES:
        yield f"{count} roles are declared, and an agent takes no more than {_MOST_ROLES}."
