"""The markers that a handler's annotations carry."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from lambdasecrets.errors import DeclarationError, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

AnyDeclaration = TypeVar("AnyDeclaration", bound="Declaration")


@dataclass(frozen=True, slots=True, repr=False)
class Declaration:
    """What `Secret` and `Parameter` have in common.

    Attributes:
        name: the name or ARN. `{VAR}` in it stands for an environment variable, read at the invocation.
        key: the member of a JSON object to take instead of the whole value.
    """

    name: str
    key: str | None

    def __repr__(self) -> str:
        """Give the declaration as it would be written, without what it leaves to the defaults."""
        shown = [repr(self.name), *(f"{name}={value!r}" for name, value in _settings(self) if name != "name")]
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the name needs, in order."""
        return tuple(_PLACEHOLDER.findall(self.name))


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Secret(Declaration):
    """A secret of AWS Secrets Manager.

    Attributes:
        version_id: the version's UUID; None for the one that `version_stage` names.
        version_stage: a staging label; None for AWSCURRENT.

    Raises:
        DeclarationError: a name that is empty or has a bad placeholder, or an argument of the wrong type.
    """

    version_id: str | None
    version_stage: str | None

    def __init__(
        self, name: str, *, key: str | None = None, version_id: str | None = None, version_stage: str | None = None
    ) -> None:
        _set(self, name=name, key=key, version_id=version_id, version_stage=version_stage)
        _check_texts(self, "name", "key", "version_id", "version_stage")
        _check_placeholders(self)

    @property
    def permission(self) -> Permission:
        """The IAM statement that reading it needs."""
        arn = self.name if self.name.startswith("arn:") else f"arn:aws:secretsmanager:*:*:secret:{self.name}-??????"
        return Permission("secretsmanager:GetSecretValue", arn)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Parameter(Declaration):
    """A parameter of AWS Systems Manager Parameter Store.

    Attributes:
        version: the version's number; None for the newest.
        label: a label of a version; not together with `version`.
        decrypt: ask for the clear text of a SecureString; without it a SecureString comes as ciphertext.

    Raises:
        DeclarationError: a name that is empty or has a bad placeholder, version together with label, or an
            argument of the wrong type.
    """

    version: int | None
    label: str | None
    decrypt: bool

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        version: int | None = None,
        label: str | None = None,
        decrypt: bool = True,
    ) -> None:
        _set(self, name=name, key=key, version=version, label=label, decrypt=decrypt)
        _check_texts(self, "name", "key", "label")
        _check_placeholders(self)
        _check_version(self)

    @property
    def permission(self) -> Permission:
        """The IAM statement that reading it needs."""
        arn = f"arn:aws:ssm:*:*:parameter/{self.name.removeprefix('/')}"
        return Permission("ssm:GetParameter", self.name if self.name.startswith("arn:") else arn)


def bound(declaration: AnyDeclaration, environment: Mapping[str, str]) -> AnyDeclaration:
    """Fill in the placeholders of a declaration's name.

    Args:
        declaration: what to fill in.
        environment: has every one of `declaration.variables`.
    """
    if not declaration.variables:
        return declaration
    name = _PLACEHOLDER.sub(lambda found: environment[found[1]], declaration.name)
    filled = object.__new__(type(declaration))
    # Past the constructor: braces that came out of a variable are no placeholders.
    _set(filled, **{field.name: getattr(declaration, field.name) for field in fields(declaration)} | {"name": name})
    return filled


def written(annotation: Any) -> str:
    """Give an annotation as it would be written, for an error."""
    # On Python 3.10 list[int] passes for a class.
    is_class = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation.__name__ if is_class else str(annotation).replace("typing.", "")


def _set(declaration: Declaration, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(declaration, name, value)


def _settings(declaration: Declaration) -> list[tuple[str, Any]]:
    defaults = {"decrypt": True}
    pairs = ((field.name, getattr(declaration, field.name)) for field in fields(declaration))
    return [(name, value) for name, value in pairs if value != defaults.get(name)]


def _check_texts(declaration: Declaration, *names: str) -> None:
    for name in names:
        value: object = getattr(declaration, name)
        if value is None and name != "name":
            continue
        if not isinstance(value, str):
            raise _wrong(declaration, f"{name} is {_a(type(value))}", f"Give {name} as a str.")
        if not value.strip():
            raise _wrong(declaration, f"{name} is empty", f"Give the {name}" + (" or ARN." if name == "name" else "."))
        if not _is_unicode(value):
            raise _wrong(declaration, f"{name} has a lone surrogate", "Give text that UTF-8 can encode.")


def _check_placeholders(declaration: Declaration) -> None:
    rest = _PLACEHOLDER.sub("", declaration.name)
    if "{" in rest or "}" in rest:
        why = "its name has a brace that is no placeholder"
        remedy = "Write {VARIABLE} for an environment variable; names themselves have no braces."
        raise _wrong(declaration, why, remedy)


def _check_version(parameter: Parameter) -> None:
    if parameter.version is not None and parameter.label is not None:
        why = "version and label exclude each other: the extension would use only one of them"
        raise _wrong(parameter, why, "Keep one of the two.")
    if parameter.version is not None and (type(parameter.version) is not int or parameter.version < 1):
        raise _wrong(parameter, "version is not a positive int", "Give the number of the parameter's version.")
    if type(parameter.decrypt) is not bool:
        raise _wrong(parameter, "decrypt is not a bool", "Write decrypt=True or decrypt=False.")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _a(kind: type) -> str:
    return f"of type {kind.__name__}"


def _wrong(declaration: Declaration, why: str, remedy: str) -> DeclarationError:
    return DeclarationError(str(declaration), why, remedy)
