"""The markers that a handler's annotations carry."""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_origin

from lambdasecrets.errors import DeclarationError, Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACEHOLDER = r"\{([A-Za-z_][A-Za-z0-9_]*)\}"

AnyDeclaration = TypeVar("AnyDeclaration", bound="Declaration")


class Declaration:
    """What `Secret` and `Parameter` have in common: equal by kind and content, and not to be changed."""

    # Written out: to make these three as frozen dataclasses would take a tenth of the whole import.
    __slots__ = ("_key", "_name")
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key")

    def __init__(self, name: str, key: str | None) -> None:
        self._name, self._key = name, key

    @property
    def name(self) -> str:
        """The name or ARN. `{VAR}` in it stands for an environment variable, read at the invocation."""
        return self._name

    @property
    def key(self) -> str | None:
        """The member of a JSON object to take instead of the whole value."""
        return self._key

    def __eq__(self, other: object) -> bool:
        """Compare kind and content."""
        return isinstance(other, Declaration) and type(other) is type(self) and _members(self) == _members(other)

    def __hash__(self) -> int:
        """Follow `__eq__`."""
        return hash((type(self), *_members(self).values()))

    def __repr__(self) -> str:
        """Give the declaration as it would be written, without what it leaves to the defaults."""
        shown = [repr(self.name), *(f"{name}={value!r}" for name, value in _settings(self) if name != "name")]
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the name needs, in order."""
        return tuple(re.findall(_PLACEHOLDER, self.name)) if "{" in self.name else ()


class Secret(Declaration):
    """A secret of AWS Secrets Manager.

    Raises:
        DeclarationError: a name that is empty or has a bad placeholder, or an argument of the wrong type.
    """

    __slots__ = ("_version_id", "_version_stage")
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key", "version_id", "version_stage")

    def __init__(
        self, name: str, *, key: str | None = None, version_id: str | None = None, version_stage: str | None = None
    ) -> None:
        super().__init__(name, key)
        self._version_id, self._version_stage = version_id, version_stage
        _check_texts(self, "name", "key", "version_id", "version_stage")
        _check_placeholders(self)

    @property
    def version_id(self) -> str | None:
        """The version's UUID; None for the one that `version_stage` names."""
        return self._version_id

    @property
    def version_stage(self) -> str | None:
        """A staging label; None for AWSCURRENT."""
        return self._version_stage

    @property
    def permission(self) -> Permission:
        """The IAM statement that reading it needs."""
        arn = self.name if self.name.startswith("arn:") else f"arn:aws:secretsmanager:*:*:secret:{self.name}-??????"
        return Permission("secretsmanager:GetSecretValue", arn)


class Parameter(Declaration):
    """A parameter of AWS Systems Manager Parameter Store.

    Raises:
        DeclarationError: a name that is empty or has a bad placeholder, version together with label, or an
            argument of the wrong type.
    """

    __slots__ = ("_decrypt", "_label", "_version")
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key", "version", "label", "decrypt")

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        version: int | None = None,
        label: str | None = None,
        decrypt: bool = True,
    ) -> None:
        super().__init__(name, key)
        self._version, self._label, self._decrypt = version, label, decrypt
        _check_texts(self, "name", "key", "label")
        _check_placeholders(self)
        _check_version(self)

    @property
    def version(self) -> int | None:
        """The version's number; None for the newest."""
        return self._version

    @property
    def label(self) -> str | None:
        """A label of a version; not together with `version`."""
        return self._label

    @property
    def decrypt(self) -> bool:
        """Whether to ask for the clear text of a SecureString; without it a SecureString comes as ciphertext."""
        return self._decrypt

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
    name = re.sub(_PLACEHOLDER, lambda found: environment[found[1]], declaration.name)
    filled = copy(declaration)
    # Past the constructor: braces that came out of a variable are no placeholders.
    object.__setattr__(filled, "_name", name)
    return filled


def written(annotation: Any) -> str:
    """Give an annotation as it would be written, for an error."""
    # On Python 3.10 list[int] passes for a class.
    is_class = isinstance(annotation, type) and get_origin(annotation) is None
    return annotation.__name__ if is_class else str(annotation).replace("typing.", "")


def _members(declaration: Declaration) -> dict[str, Any]:
    return {name: getattr(declaration, name) for name in declaration.__match_args__}


def _settings(declaration: Declaration) -> list[tuple[str, Any]]:
    defaults = {"decrypt": True}
    return [(name, value) for name, value in _members(declaration).items() if value != defaults.get(name)]


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
    if _has_brace(declaration.name) and _has_brace(re.sub(_PLACEHOLDER, "", declaration.name)):
        why = "its name has a brace that is no placeholder"
        remedy = "Write {VARIABLE} for an environment variable; names themselves have no braces."
        raise _wrong(declaration, why, remedy)


def _has_brace(text: str) -> bool:
    return "{" in text or "}" in text


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
