"""Check declarations against the values that they will meet: each is resolved and read as its type, none is shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin
from urllib.parse import urlsplit

from lambdasecrets import _resolver, resolve
from lambdasecrets._declarations import TENANT, Parameter, Secret, VariableFault, bind, write_type
from lambdasecrets._signature import Config
from lambdasecrets._sources.refusals import read_refusal
from lambdasecrets._sources.request import Request
from lambdasecrets.dev.discovery import InputError
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.environment import change_environment
from lambdasecrets.dev.stores import Store, StoreError, load_secrets_file
from lambdasecrets.errors import (
    AccessDeniedError,
    AnswerError,
    CredentialsRejectedError,
    DecryptionError,
    ExtensionUnavailableError,
    InvalidValueError,
    LambdaSecretsError,
    NotFoundError,
    NoTokenError,
    ResolutionError,
    TokenRejectedError,
    UnresolvedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from lambdasecrets import ResolveEvent
    from lambdasecrets._declarations import Declaration
    from lambdasecrets._signature import Slot
    from lambdasecrets.dev.discovery import Found

__all__ = ["Checked", "Source", "check", "open_aws", "open_endpoint", "open_secrets_file"]

_TIMEOUT_SECONDS = 60.0
_AT_ONCE = 16
_PORT = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
_TOKENS = ("AWS_TOKEN", "AWS_SESSION_TOKEN")
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})

Verdict = Literal[
    "ok", "default", "not found", "denied", "no key", "wrong shape", "not set", "bad name", "refused", "failed"
]

_VERDICTS: tuple[tuple[type[LambdaSecretsError], Verdict], ...] = (
    (NotFoundError, "not found"),
    (AccessDeniedError, "denied"),
    (DecryptionError, "no key"),
    (InvalidValueError, "wrong shape"),
    (UnresolvedError, "refused"),
    (LambdaSecretsError, "failed"),
)
"""What an error comes to; the first that fits."""

_OF_THE_SOURCE = (CredentialsRejectedError, ExtensionUnavailableError, NoTokenError, TokenRejectedError)
"""What fails for every value alike, and says nothing of any."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from.

    Attributes:
        place: how it is called: the secrets file, or AWS.
        store: has the values; None where a server is asked.
        environment: variables that belong to it.
        is_file: whether it is a file that one can put values into.
    """

    place: str
    store: Store | None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    is_file: bool = False


class Checked(NamedTuple):
    """What became of one declaration. It holds no value.

    Attributes:
        target: the handler or config model, as a command names it.
        parameter: the parameter, or the way to a config model's field.
        kind: `secret` or `parameter`; `model` for a config model as a whole.
        name: the name, with its placeholders filled in where that is possible.
        type: the declared type, as written.
        version: the version that was read; None for none.
        verdict: what became of it.
        remedy: what to do about it; empty for nothing.
    """

    target: str
    parameter: str
    kind: str
    name: str
    type: str
    version: str | None
    verdict: Verdict
    remedy: str

    @property
    def is_finding(self) -> bool:
        """Whether it would not work: a default is fine."""
        return self.verdict not in {"ok", "default"}


def open_secrets_file(path: Path) -> Source:
    """Take the values of a secrets file.

    Raises:
        SecretsFileError: the file cannot be read.
    """
    file = load_secrets_file(path)
    return Source(str(path), file.store, file.environment, is_file=True)


def open_aws() -> Source:
    """Take the values of AWS, with the credentials and the Region that boto3 finds.

    Raises:
        InputError: boto3 is not installed, or finds no Region.
    """
    try:
        from lambdasecrets.dev.aws import AwsStore, SetupError  # noqa: PLC0415 - boto3 need not be there
    except ModuleNotFoundError as error:
        raise InputError(str(error)) from None
    try:
        return Source("AWS", AwsStore(max_connections=_AT_ONCE))
    except SetupError as error:
        why = type(error).__name__
    raise InputError(f"cannot ask AWS ({why}): set AWS_REGION, and AWS_PROFILE or other credentials.")


def open_endpoint(url: str) -> Source:
    """Take the values that a server gives which speaks the extension's protocol on this machine.

    Args:
        url: such as `http://127.0.0.1:2773`. The server's token is taken from the environment.

    Raises:
        InputError: it is not on this machine, or there is no token.
    """
    port = _read_local_port(url)
    if port is None:
        raise InputError("cannot use this endpoint: write http://127.0.0.1:PORT. Values are read on this machine only.")
    if not any(os.environ.get(name) for name in _TOKENS):
        raise InputError("an endpoint needs its token: set AWS_SESSION_TOKEN.")
    return Source(url, None, {_PORT: str(port)})


def _read_local_port(url: str) -> int | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets that are no address, or a port that is no number
        return None
    is_plain = (parts.scheme, parts.path.strip("/"), parts.query, parts.username) == ("http", "", "", None)
    return port if is_plain and parts.hostname in _LOCAL_HOSTS else None


# --- Checking -----------------------------------------------------------------------------------------------------


class _Item(NamedTuple):
    """A declaration to be checked, and whose it is."""

    found: Found
    slot: Slot
    declaration: Secret | Parameter


class _Outcome(NamedTuple):
    """What became of a declaration, and the error that says so; None for none."""

    checked: Checked
    error: LambdaSecretsError | None = None


def check(
    found: Sequence[Found],
    source: Source,
    placeholders: Mapping[str, str],
    on_progress: Callable[[], None] = lambda: None,
) -> list[Checked]:
    """Resolve every declaration of handlers and config models, many at a time, and read each value as its type.

    Args:
        found: the handlers and config models.
        source: where the values are.
        placeholders: texts for `{VAR}` and `{context.tenant_id}`, which win over the environment.
        on_progress: called after each declaration.

    Returns:
        What became of each, in their order.

    Raises:
        InputError: the source gives nothing at all, or a placeholder's text cannot be used.
    """
    items = [
        _Item(item, slot, declaration)
        for item in found
        for slot, declaration in zip(item.plan.slots, item.declarations, strict=True)
    ]
    outcomes: dict[int, _Outcome] = {}
    models: dict[int, list[Checked]] = {}

    def examine(number: int) -> None:
        outcomes[number] = _examine(items[number], source, placeholders.get(TENANT))
        on_progress()

    for numbers in _group(items):
        first = items[numbers[0]]
        with _serve(source, placeholders, first.declaration), first.found.importable():
            examine(numbers[0])  # by itself: it imports what all of them need
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(examine, numbers[1:]))
            for one in {id(items[number].found): items[number].found for number in numbers}.values():
                mine = [outcomes.get(number) for number, item in enumerate(items) if item.found is one]
                models[id(one)] = _examine_models(one, mine)
    _refuse_deaf_source(list(outcomes.values()))
    rows: list[Checked] = []
    for one in found:
        rows += [outcomes[number].checked for number, item in enumerate(items) if item.found is one]
        rows += models[id(one)]
    return rows


def _group(items: Sequence[_Item]) -> list[list[int]]:
    """Put together what can be asked at once: modules of one root, of one server."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for number, item in enumerate(items):
        key = (id(item.found.modules), item.declaration.role_arn is not None)
        groups.setdefault(key, []).append(number)
    return list(groups.values())


@contextmanager
def _serve(source: Source, placeholders: Mapping[str, str], declaration: Declaration) -> Generator[None]:
    """Lead this process to the source: through a stand-in, unless it is a server already."""
    with ExitStack() as stack:
        server: Mapping[str, str] = {}
        if source.store is not None:
            # The extension knows no roles.
            profile: Literal["extension", "agent"] = "extension" if declaration.role_arn is None else "agent"
            emulator = Emulator(source.store, profile=profile, max_connections=_AT_ONCE)
            server = stack.enter_context(emulator).environment()
        given = {name: text for name, text in placeholders.items() if name != TENANT}
        try:
            stack.enter_context(change_environment({**server, **source.environment, **given}))
        except ValueError as error:
            raise InputError(str(error)) from None
        _resolver.forget()
        stack.callback(_resolver.forget)
        yield


def _examine(item: _Item, source: Source, tenant_id: str | None) -> _Outcome:
    bound = bind(item.declaration, os.environ, tenant_id)
    if isinstance(bound, list):
        return _Outcome(_tell(item, item.declaration.name, *_explain_fault(bound[0], tenant_id)))
    events: list[ResolveEvent] = []
    kind: Any = item.slot.type
    try:
        resolve(bound, kind, timeout=_TIMEOUT_SECONDS, max_age=0, stale_if_error=0, on_resolve=events.append)
    except LambdaSecretsError as error:
        cause = _find_cause(error, bound, source)
    else:
        return _Outcome(_tell(item, bound.name, "ok", version=events[0].values[0].version))
    if item.slot.optional and isinstance(cause, (NotFoundError, UnresolvedError)):
        return _Outcome(_tell(item, bound.name, "default"))
    return _Outcome(_tell(item, bound.name, *_explain_error(cause, source)), cause)


def _examine_models(found: Found, outcomes: Sequence[_Outcome | None]) -> list[Checked]:
    """Put config models together whose fields are fine, for what a model's own validators say of several of them."""
    if any(outcome is None or outcome.checked.is_finding for outcome in outcomes):
        return []
    if any(declaration.needs_tenant or declaration.role_arn for declaration in found.declarations):
        return []
    failed: list[Checked] = []
    for node in found.plan.nodes.values():
        if isinstance(node, Config):
            try:
                resolve(node.model, timeout=_TIMEOUT_SECONDS)
            except InvalidValueError as error:
                path, name = "" if isinstance(found.item, type) else ".".join(node.path), node.model.__name__
                remedy = _write_problems(error)
                failed.append(Checked(found.target, path, "model", name, name, None, "wrong shape", remedy))
    return failed


def _tell(item: _Item, name: str, verdict: Verdict, remedy: str = "", version: str | None = None) -> Checked:
    kind = type(item.declaration).__name__.lower()
    # The plan of a config model by itself begins with the model's own name.
    path = item.slot.path[1:] if isinstance(item.found.item, type) else item.slot.path
    return Checked(item.found.target, ".".join(path), kind, name, _write_type(item.slot.type), version, verdict, remedy)


def _write_type(kind: Any) -> str:
    """Write a declared type without what constrains it."""
    return write_type(get_args(kind)[0] if get_origin(kind) is Annotated else kind)


def _explain_fault(fault: VariableFault, tenant_id: str | None) -> tuple[Verdict, str]:
    if fault.why is None or (fault.variable == TENANT and tenant_id is None):
        return "not set", f"Give it with --set {fault.variable}=..."
    return "bad name", f"{fault.variable}: {_flatten(fault.why)}. {_flatten(fault.remedy)}"


def _find_cause(error: LambdaSecretsError, bound: Secret | Parameter, source: Source) -> LambdaSecretsError:
    """Ask the store why it refuses: the extension gives every cause the same words."""
    if not isinstance(error, UnresolvedError) or source.store is None:
        return error
    try:
        _look_up(source.store, bound)
    except StoreError as refusal:
        request = Request("", bound, error.subject)
        return read_refusal(request, refusal.code, refusal.status, refusal.message, server="aws")
    return error  # it is there by now


def _look_up(store: Store, bound: Secret | Parameter) -> object:
    if isinstance(bound, Parameter):
        return store.parameter(bound.name, version=bound.version, label=bound.label, decrypt=bound.decrypt)
    return store.secret(
        bound.name, version_id=bound.version_id, version_stage=bound.version_stage, role_arn=bound.role_arn
    )


def _explain_error(error: LambdaSecretsError, source: Source) -> tuple[Verdict, str]:
    verdict: Verdict = next(verdict for kind, verdict in _VERDICTS if isinstance(error, kind))
    if isinstance(error, InvalidValueError):
        return verdict, _write_problems(error)
    if isinstance(error, NotFoundError) and source.is_file:
        return verdict, f"Put it into {source.place}."
    if isinstance(error, UnresolvedError):
        return verdict, "It is not there, or may not be read, or not decrypted: the server's log tells."
    if isinstance(error, AnswerError):
        return verdict, _flatten(error.remedy)
    return verdict, _flatten(f"{error.why}. {error.remedy}" if isinstance(error, ResolutionError) else str(error))


def _write_problems(error: InvalidValueError) -> str:
    problems = "; ".join(f"{problem}{f' ({problem.words})' if problem.words else ''}" for problem in error.problems)
    return f"{problems}. Correct the value, or the declared type."


def _flatten(text: str) -> str:
    return " ".join(text.split())


def _refuse_deaf_source(outcomes: Sequence[_Outcome]) -> None:
    """End where the source gives nothing at all: then there is one cause, and it is not in any declaration."""
    asked = [outcome for outcome in outcomes if outcome.checked.verdict not in {"not set", "bad name"}]
    errors = [outcome.error for outcome in asked if isinstance(outcome.error, _OF_THE_SOURCE)]
    if errors and len(errors) == len(asked):
        raise InputError(_flatten(f"cannot check: {errors[0].why}. {errors[0].remedy}"))
