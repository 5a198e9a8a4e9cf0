"""A plan made ready: readers at import, request lines as soon as the names are known."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdasecrets import _settings
from lambdasecrets._declarations import Parameter, Secret, VariableFault, bind, describe
from lambdasecrets._parsing import Assembler, Reader, assembler, field_reader, reader
from lambdasecrets._signature import Config, Node, Plan, Slot, is_settings, key_of_field, slots
from lambdasecrets._sources.forms import make_form
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import (
    InvalidValueError,
    InvalidVariableError,
    MissingVariableError,
    ResolutionError,
    Subject,
    combine,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MOST_BATCHES = 16
_Failure = tuple[Slot, VariableFault]
ABSENT = object()
"""In the place of a value that does not exist, so that its default applies."""


class BatchSlot:
    """A value, the request that brings it, and what reads it."""

    def __init__(
        self, slot: Slot, declaration: Secret | Parameter, subject: Subject, path: str, reader: Reader
    ) -> None:
        self.slot, self.declaration, self.subject, self.path, self.reader = slot, declaration, subject, path, reader
        self.key = declaration.key


class Batch:
    """What one set of declarations comes down to: each distinct request once."""

    def __init__(self, slots: tuple[BatchSlot, ...], requests: tuple[Request, ...]) -> None:
        self.slots: tuple[BatchSlot, ...] = slots
        self.requests: tuple[Request, ...] = requests

    def make_pending(self, request: Request) -> Request | None:
        """Give the request for the version on trial of a secret that is declared without version or stage."""
        pending = request.form.make_pending()
        if pending is None:
            return None
        return Request(make_form(pending).make_path(), pending, request.subject, is_optional=True)


class CompiledPlan:
    """A plan with everything made that import can make: readers, and the batch where no name needs the environment.

    Args:
        plan: what the handler declares.

    Attributes:
        overrides: values that a test gives in the place of what would be resolved, by the parameter's name.
        timeout: the decorator's option, in seconds, for the tools; None where it has none.

    Raises:
        DeclarationError: a declared type that cannot be read.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.overrides: dict[str, Any] = {}
        self.timeout: float | None = None
        self._readers = {slot.path: _make_reader(plan, slot) for slot in plan.slots}
        self._assemblers = {node.path: _make_assembler(plan, node) for node in _list_configs(plan.nodes.values())}
        self._variables = tuple(dict.fromkeys(name for slot in plan.slots for name in slot.declaration.variables))
        self._needs_tenant = any(slot.declaration.needs_tenant for slot in plan.slots)
        self._bind_once = lru_cache(maxsize=_MOST_BATCHES)(self._bind)
        is_fixed = not (self._variables or self._needs_tenant)
        self._whole = self._bind_once((), None, frozenset[str]()) if is_fixed else None

    def __repr__(self) -> str:
        """Name the handler."""
        return f"CompiledPlan({self.plan.owner})"

    def make_batch(self, skip: frozenset[str], tenant_id: str | None = None) -> Batch | ResolutionError:
        """Give what is to be asked for now.

        Args:
            skip: parameters that the caller gave.
            tenant_id: the tenant of the invocation.
        """
        if isinstance(self._whole, Batch) and not skip:
            return self._whole
        environment = tuple(map(_settings.read_variable, self._variables))
        bound = self._bind_once(environment, tenant_id if self._needs_tenant else None, skip)
        # Errors are made anew each time: what is raised is not kept.
        return bound if isinstance(bound, Batch) else combine([self._make_error(*failure) for failure in bound])

    def _bind(
        self, environment: tuple[str | None, ...], tenant_id: str | None, skip: frozenset[str]
    ) -> Batch | list[_Failure]:
        texts = dict(zip(self._variables, environment, strict=True))
        pairs = [(slot, bind(slot.declaration, texts, tenant_id)) for slot in self._list_slots(skip)]
        failures = [(slot, fault) for slot, faults in pairs if isinstance(faults, list) for fault in faults]
        return failures or _join(self.plan.owner, pairs, self._readers)

    def _make_error(self, slot: Slot, fault: VariableFault) -> ResolutionError:
        subject = _subject(self.plan.owner, [slot], str(slot.declaration))
        if fault.why is None:
            # A stand-in has a token too: whoever uses one is told of the variable alone.
            return MissingVariableError(subject, fault.variable, is_local=not _settings.has_token())
        return InvalidVariableError(subject, fault.variable, fault.why, fault.remedy)

    def _list_slots(self, skip: frozenset[str]) -> list[Slot]:
        return list(slots(node for name, node in self.plan.nodes.items() if name not in skip))

    def make_arguments(
        self, found: dict[tuple[str, ...], Any], skip: frozenset[str]
    ) -> tuple[dict[str, Any], list[ResolutionError]]:
        """Put the arguments together: config models from their fields. What has no value keeps its default.

        Args:
            found: the values, by the paths in the plan.
            skip: parameters that the caller gave.

        Returns:
            The arguments by name, and the errors of config models that do not fit.
        """
        arguments: dict[str, Any] = {}
        misfits: list[ResolutionError] = []
        for name, node in self.plan.nodes.items():
            if name in skip:
                continue
            value = found[node.path] if isinstance(node, Slot) else self._assemble(node, found)
            if isinstance(value, ResolutionError):
                misfits.append(value)
            elif value is not ABSENT:
                arguments[name] = value
        return arguments, misfits

    def _assemble(self, node: Config, found: dict[tuple[str, ...], Any]) -> Any:
        fields = {
            name: found[inner.path] if isinstance(inner, Slot) else self._assemble(inner, found)
            for name, inner in node.fields.items()
        }
        error = next((item for item in fields.values() if isinstance(item, ResolutionError)), None)
        if error is not None:
            return error
        given = {key_of_field(node.model, name): item for name, item in fields.items() if item is not ABSENT}
        subject = Subject(self.plan.owner, (".".join(node.path),), (node.model.__name__,))
        made = self._assemblers[node.path].assemble(given, subject)
        return _blame_settings(node, made) if isinstance(made, InvalidValueError) and is_settings(node.model) else made


def _blame_settings(node: Config, error: InvalidValueError) -> ResolutionError:
    """Say where a value comes from that a settings class has found by itself: it is not in AWS."""
    declared = {*node.fields, *(key_of_field(node.model, name) for name in node.fields)}
    places = {str(problem.location[0]) if problem.location else "" for problem in error.problems}
    if not places or "" in places or places & declared:
        return error
    named, model = " and ".join(sorted(places)), node.model.__name__
    return error.replace_remedy(f"{named} carries no declaration: it is for {model} to find, as in the environment.")


def _list_configs(nodes: Iterable[Node]) -> Iterator[Config]:
    for node in nodes:
        if isinstance(node, Config):
            yield node
            yield from _list_configs(node.fields.values())


def _make_reader(plan: Plan, value: Slot) -> Reader:
    make = field_reader if len(value.path) > 1 else reader
    return make(_where(plan, value), value.type)


def _make_assembler(plan: Plan, config: Config) -> Assembler:
    return assembler(_where(plan, config), config.model)


def _where(plan: Plan, node: Node) -> str:
    return f"{'.'.join(node.path)!r} of {plan.owner}" if node.path else plan.owner


def _join(owner: str, pairs: Sequence[tuple[Slot, Any]], readers: Mapping[tuple[str, ...], Reader]) -> Batch:
    wanted = [
        BatchSlot(
            value,
            declaration,
            _subject(owner, [value], describe(value.declaration, declaration)),
            make_form(declaration).make_path(),
            readers[value.path],
        )
        for value, declaration in pairs
    ]
    by_path: dict[str, list[BatchSlot]] = {}
    for item in wanted:
        by_path.setdefault(item.path, []).append(item)
    requests = [
        Request(
            path,
            items[0].declaration,
            _subject(owner, [item.slot for item in items], items[0].subject.declarations[0]),
            is_optional=all(item.slot.optional for item in items),
        )
        for path, items in by_path.items()
    ]
    return Batch(tuple(wanted), tuple(requests))


def _subject(owner: str, values: Sequence[Slot], declared: str) -> Subject:
    return Subject(owner, tuple(".".join(value.path) for value in values if value.path), (declared,))
