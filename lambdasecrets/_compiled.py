"""A plan made ready: readers at import, request lines as soon as the names are known."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lambdasecrets import _settings, _wire
from lambdasecrets._declarations import Parameter, Secret, VariableFault, bind, describe
from lambdasecrets._parsing import Assembler, Reader, assembler, field_reader, reader
from lambdasecrets._signature import Config, Node, Plan, Slot, key_of_field, slots
from lambdasecrets._sources.request import Request
from lambdasecrets.errors import InvalidVariableError, MissingVariableError, ResolutionError, Subject, combined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_WAVES_KEPT = 16
_Failure = tuple[Slot, VariableFault]
NO_VALUE = object()
"""In the place of a value that does not exist, so that its default applies."""


class Wanted:
    """A value, the request that brings it, and what reads it."""

    def __init__(
        self, slot: Slot, declaration: Secret | Parameter, subject: Subject, path: str, reader: Reader
    ) -> None:
        self.slot, self.declaration, self.subject, self.path, self.reader = slot, declaration, subject, path, reader


class Wave:
    """What one set of declarations comes down to: each distinct request once."""

    def __init__(self, wanted: tuple[Wanted, ...], requests: tuple[Request, ...]) -> None:
        self.wanted, self.requests = wanted, requests


class Prepared:
    """A plan with everything made that import can make: readers, and the wave where no name needs the environment.

    Attributes:
        overrides: values that a test gives in the place of what would be resolved, by the parameter's name.

    Raises:
        DeclarationError: a declared type that cannot be read.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.overrides: dict[str, Any] = {}
        self._readers = {value.path: _reader(plan, value) for value in plan.slots}
        self._assemblers = {node.path: _assembler(plan, node) for node in _configs(plan.nodes.values())}
        self._variables = tuple(dict.fromkeys(name for value in plan.slots for name in value.declaration.variables))
        self._wave = lru_cache(maxsize=_WAVES_KEPT)(self._make_wave)
        self._whole = None if self._variables else self._wave((), frozenset[str]())

    def __repr__(self) -> str:
        """Name the handler."""
        return f"Prepared({self.plan.owner})"

    def wave(self, skip: frozenset[str]) -> Wave | ResolutionError:
        """Say what is to be asked for now.

        Args:
            skip: parameters that the caller gave.
        """
        if isinstance(self._whole, Wave) and not skip:
            return self._whole
        environment = tuple(map(_settings.variable, self._variables))
        made = self._wave(environment, skip)
        # Errors are made anew each time: what is raised is not kept.
        return made if isinstance(made, Wave) else combined([self._error(*failure) for failure in made])

    def _make_wave(self, environment: tuple[str | None, ...], skip: frozenset[str]) -> Wave | list[_Failure]:
        texts = dict(zip(self._variables, environment, strict=True))
        pairs = [(slot, bind(slot.declaration, texts)) for slot in self._slots(skip)]
        failures = [(slot, fault) for slot, faults in pairs if isinstance(faults, list) for fault in faults]
        return failures or _wave_of(self.plan.owner, pairs, self._readers)

    def _error(self, slot: Slot, fault: VariableFault) -> ResolutionError:
        subject = _subject(self.plan.owner, [slot], str(slot.declaration))
        if fault.why is None:
            return MissingVariableError(subject, fault.variable)
        return InvalidVariableError(subject, fault.variable, fault.why, fault.remedy)

    def _slots(self, skip: frozenset[str]) -> list[Slot]:
        return list(slots(node for name, node in self.plan.nodes.items() if name not in skip))

    def arguments(
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
            value = found[node.path] if isinstance(node, Slot) else self._assembled(node, found)
            if isinstance(value, ResolutionError):
                misfits.append(value)
            elif value is not NO_VALUE:
                arguments[name] = value
        return arguments, misfits

    def _assembled(self, node: Config, found: dict[tuple[str, ...], Any]) -> Any:
        fields = {
            name: found[inner.path] if isinstance(inner, Slot) else self._assembled(inner, found)
            for name, inner in node.fields.items()
        }
        error = next((item for item in fields.values() if isinstance(item, ResolutionError)), None)
        if error is not None:
            return error
        given = {key_of_field(node.model, name): item for name, item in fields.items() if item is not NO_VALUE}
        subject = Subject(self.plan.owner, (".".join(node.path),), (node.model.__name__,))
        return self._assemblers[node.path].assemble(given, subject)


def _configs(nodes: Iterable[Node]) -> Iterator[Config]:
    for node in nodes:
        if isinstance(node, Config):
            yield node
            yield from _configs(node.fields.values())


def _reader(plan: Plan, value: Slot) -> Reader:
    make = field_reader if len(value.path) > 1 else reader
    return make(_where(plan, value), value.type)


def _assembler(plan: Plan, config: Config) -> Assembler:
    return assembler(_where(plan, config), config.model)


def _where(plan: Plan, node: Node) -> str:
    return f"{'.'.join(node.path)!r} of {plan.owner}" if node.path else plan.owner


def _wave_of(owner: str, pairs: Sequence[tuple[Slot, Any]], readers: Mapping[tuple[str, ...], Reader]) -> Wave:
    wanted = [
        Wanted(
            value,
            declaration,
            _subject(owner, [value], describe(value.declaration, declaration)),
            _path(declaration),
            readers[value.path],
        )
        for value, declaration in pairs
    ]
    by_path: dict[str, list[Wanted]] = {}
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
    return Wave(tuple(wanted), tuple(requests))


def _subject(owner: str, values: Sequence[Slot], declared: str) -> Subject:
    return Subject(owner, tuple(".".join(value.path) for value in values if value.path), (declared,))


def _path(declaration: Secret | Parameter) -> str:
    if isinstance(declaration, Secret):
        version_id, stage, role = declaration.version_id, declaration.version_stage, declaration.role_arn
        return _wire.secret_path(declaration.name, version_id=version_id, version_stage=stage, role_arn=role)
    version, label, decrypt = declaration.version, declaration.label, declaration.decrypt
    return _wire.parameter_path(declaration.name, version=version, label=label, decrypt=decrypt)
