"""The markers that a handler's annotations carry."""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

from lambdasecrets._record import Record
from lambdasecrets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

    from lambdasecrets._names import NameFault
    from lambdasecrets.errors import Permission

TENANT = "context.tenant_id"
"""The one placeholder that is no environment variable: the tenant of the invocation."""

_TENANT_PLACEHOLDER = f"{{{TENANT}}}"
_VARIABLE = r"\{([A-Za-z_][A-Za-z0-9_]*)\}"
_PLACEHOLDER = rf"\{{({re.escape(TENANT)}|[A-Za-z_][A-Za-z0-9_]*)\}}"

# Bytes to take away from a name, so that a name of which nothing is left has allowed characters only. Faster than a
# pattern, and there is none to compile at import.
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SECRET_CHARACTERS = _LETTERS + b"/_+=.@-!"
_PARAMETER_CHARACTERS = _LETTERS + b".-_/"

_LONGEST_SECRET = 512
_LONGEST_PARAMETER = 1011
"""In characters, as AWS has them."""

_BRACES = str.maketrans("{}", "xx")
"""For the braces of a literal name, which stand in no other: what else it has is checked as ever."""

_CREDENTIALS = frozenset(
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", "AWS_TOKEN"}
)
_CREDENTIAL_PREFIXES = ("AWS_BEARER_TOKEN_", "AWS_CONTAINER_")

Server = Literal["extension", "agent"]
AnyDeclaration = TypeVar("AnyDeclaration", bound="Declaration")


class VariableFault(Record):
    """Why a placeholder cannot be filled in. Never holds the text of the variable.

    Attributes:
        variable: the environment variable, or `context.tenant_id`.
        why: what is wrong; None where there is nothing to fill in.
        remedy: what to do about it.
    """

    __slots__ = ("remedy", "variable", "why")

    def __init__(self, variable: str, why: str | None, remedy: str) -> None:
        self.variable, self.why, self.remedy = variable, why, remedy


class Declaration:
    """What `Secret` and `Parameter` have in common: equal by kind and content, and not to be changed."""

    # Written out: to make these three as frozen dataclasses would take a tenth of the whole import.
    __slots__ = ("_content",)
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key")

    _content: tuple[Any, ...]
    """The values of `__match_args__`, in that order."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        """Refuse arguments that a declaration does not take, with what to write instead."""
        if len(arguments) != 1 or not keywords.keys() <= set(cls.__match_args__):
            _refuse_arguments(cls, arguments, keywords)
        return super().__new__(cls)

    def __init__(self, *content: object) -> None:
        object.__setattr__(self, "_content", content)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: a declaration is shared by all who use its annotation."""
        raise AttributeError(f"a {type(self).__name__} cannot be changed: make another one")

    def __delattr__(self, name: str) -> NoReturn:
        """Refuse, as `__setattr__` does."""
        raise AttributeError(f"a {type(self).__name__} cannot be changed: make another one")

    def __copy__(self) -> Self:
        """Give itself: what cannot be changed needs no copy."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Give itself, as `__copy__` does."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Declaration], tuple[object, ...]]:
        """Pickle by content: it was checked when it was made."""
        return _restore, (type(self), self._content)

    @property
    def name(self) -> str:
        """The name or ARN. `{VAR}` in it stands for an environment variable, read at the invocation."""
        name: str = self._content[0]
        return name

    @property
    def key(self) -> str | None:
        """The member of a JSON object to take instead of the whole value."""
        key: str | None = self._content[1]
        return key

    @property
    def role_arn(self) -> str | None:
        """The role to read it with; None for the function's own."""
        return None

    @property
    def literal(self) -> bool:
        """Whether braces are part of the name, so that nothing is filled in."""
        literal: bool = self._content[-1]
        return literal

    def __eq__(self, other: object) -> bool:
        """Compare kind and content."""
        return isinstance(other, Declaration) and type(other) is type(self) and other._content == self._content

    def __hash__(self) -> int:
        """Follow `__eq__`."""
        return hash((type(self), self._content))

    def __repr__(self) -> str:
        """Give the declaration as it would be written, without what it leaves to the defaults."""
        shown = [repr(self.name), *(f"{name}={value!r}" for name, value in _options(self))]
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that its name and role need, in order."""
        return tuple(name for name in _placeholders(self) if name != TENANT)

    @property
    def needs_tenant(self) -> bool:
        """Whether its name or role has the tenant of the invocation in it."""
        return TENANT in _placeholders(self)


class Secret(Declaration):
    """A secret of AWS Secrets Manager.

    Raises:
        DeclarationError: a name that no secret can have, a bad placeholder, or an argument of the wrong type.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key", "version_id", "version_stage", "role_arn", "literal")

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
        literal: bool = False,
    ) -> None:
        super().__init__(name, key, version_id, version_stage, role_arn, literal)
        _check_texts(self, "name", "key", "version_id", "version_stage", "role_arn")
        _check_flag(self, "literal")
        _check_name(self)

    @property
    def version_id(self) -> str | None:
        """The version's UUID; None for the one that `version_stage` names."""
        version_id: str | None = self._content[2]
        return version_id

    @property
    def version_stage(self) -> str | None:
        """A staging label; None for AWSCURRENT."""
        version_stage: str | None = self._content[3]
        return version_stage

    @property
    def role_arn(self) -> str | None:
        """The role to read it with; None for the function's own. Only the agent and AWS itself know roles."""
        role_arn: str | None = self._content[4]
        return role_arn

    def permissions(
        self,
        *,
        server: Server = "extension",
        prefetch: bool = False,
        region: str | None = None,
        account: str | None = None,
        partition: str | None = None,
        kms_key: str | None = None,
        placeholders: Mapping[str, str] | None = None,
    ) -> tuple[Permission, ...]:
        """List what IAM must allow, so that it can be read.

        Args:
            server: who reads it. The agent asks DescribeSecret too, when a value is due.
            prefetch: whether the agent is configured to prefetch it.
            region: for a name; an ARN says its own. Unknown is `*`.
            account: for a name; an ARN and a role say their own. Unknown is `*`.
            partition: such as `aws-cn`; without it the Region tells.
            kms_key: id or ARN of the customer-managed key that encrypts it.
            placeholders: texts for `{VAR}` and `{context.tenant_id}`; what is not in it is `*`.

        Returns:
            One for each statement. An ARN that ends in a hyphen and six characters counts as whole, as it does in
            AWS, though the name of a secret may end so too.

        Raises:
            SettingError: a server that does not exist, or an alias as key: IAM knows keys by their ids.
        """
        # Only for errors and policies: loaded when used.
        from lambdasecrets import _permissions  # noqa: PLC0415

        access = _permissions.Access(
            server=server,
            is_prefetched=prefetch,
            home=_permissions.Home(partition=partition, region=region, account=account),
            kms_key=kms_key,
            role=_fill_pattern(self, self.role_arn or "", placeholders) or None,
        )
        return _permissions.list_for_secret(self.name, _fill_pattern(self, self.name, placeholders), access)


class Parameter(Declaration):
    """A parameter of AWS Systems Manager Parameter Store.

    Raises:
        DeclarationError: a name that no parameter can have, a bad placeholder, version together with label, or an
            argument of the wrong type.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ("name", "key", "version", "label", "decrypt", "literal")

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        version: int | None = None,
        label: str | None = None,
        decrypt: bool = True,
        literal: bool = False,
    ) -> None:
        super().__init__(name, key, version, label, decrypt, literal)
        _check_texts(self, "name", "key", "label")
        _check_flag(self, "decrypt")
        _check_flag(self, "literal")
        _check_version(self)
        _check_name(self)

    @property
    def version(self) -> int | None:
        """The version's number; None for the newest."""
        version: int | None = self._content[2]
        return version

    @property
    def label(self) -> str | None:
        """A label of a version; not together with `version`."""
        label: str | None = self._content[3]
        return label

    @property
    def decrypt(self) -> bool:
        """Whether to ask for the clear text of a SecureString; without it a SecureString comes as ciphertext."""
        decrypt: bool = self._content[4]
        return decrypt

    def permissions(
        self,
        *,
        server: Server = "extension",
        prefetch: bool = False,
        region: str | None = None,
        account: str | None = None,
        partition: str | None = None,
        kms_key: str | None = None,
        placeholders: Mapping[str, str] | None = None,
    ) -> tuple[Permission, ...]:
        """List what IAM must allow, so that it can be read.

        Args:
            server: who reads it. The agent serves no parameters, so nothing is added for it.
            prefetch: as `server`.
            region: for a name; an ARN says its own. Unknown is `*`.
            account: for a name; an ARN says its own. Unknown is `*`.
            partition: such as `aws-cn`; without it the Region tells.
            kms_key: id or ARN of the customer-managed key that encrypts it.
            placeholders: texts for `{VAR}` and `{context.tenant_id}`; what is not in it is `*`.

        Returns:
            One for each statement: a reference to a secret needs two.

        Raises:
            SettingError: a server that does not exist, or an alias as key: IAM knows keys by their ids.
        """
        from lambdasecrets import _permissions  # noqa: PLC0415 - as above

        access = _permissions.Access(
            server=server,
            is_prefetched=prefetch,
            home=_permissions.Home(partition=partition, region=region, account=account),
            kms_key=kms_key if self.decrypt else None,
            role=None,
        )
        return _permissions.list_for_parameter(self.name, _fill_pattern(self, self.name, placeholders), access)


def bind(
    declaration: AnyDeclaration, environment: Mapping[str, str | None], tenant_id: str | None = None
) -> AnyDeclaration | list[VariableFault]:
    """Fill in the placeholders of a declaration's name and role, and check what comes of it.

    Args:
        declaration: what to fill in.
        environment: has what `declaration.variables` names. None and the empty text count as not set.
        tenant_id: the invocation's tenant; None where it has none.

    Returns:
        The declaration without placeholders; or what is wrong, once for each variable.
    """
    placeholders = _placeholders(declaration)
    if not placeholders:
        return declaration
    texts = {name: tenant_id if name == TENANT else environment.get(name) for name in placeholders}
    unusable = [fault for name, text in texts.items() if (fault := _find_text_fault(name, text))]
    if unusable:
        return unusable
    filled = {name: text for name, text in texts.items() if text}
    # Past the constructor: braces that came out of a variable are no placeholders.
    bound = _with_texts(declaration, filled)
    wrong = _find_fault(bound) or _find_suffix_fault(declaration, bound.name, filled)
    return _blame(filled, wrong) if wrong else bound


def describe(declaration: Declaration, bound: Declaration) -> str:
    """Give a declaration as it would be written, and after it what its placeholders came to.

    Args:
        declaration: as it stands in the code.
        bound: what `bind` made of it.
    """
    pairs = (("", declaration.name, bound.name), ("role_arn=", declaration.role_arn, bound.role_arn))
    shown = [f"{label}{text!r}" for label, template, text in pairs if template != text]
    return f"{declaration} (filled in as {', '.join(shown)})" if shown else str(declaration)


def write_type(annotation: object) -> str:
    """Give an annotation as it would be written, for an error: the same on every Python."""
    if isinstance(annotation, type) and get_origin(annotation) is None and annotation is not NoneType:
        return annotation.__name__
    return _write_part(annotation)


def _write_part(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"Annotated[{', '.join([_write_part(arguments[0]), *map(repr, arguments[1:])])}]"
    if origin in {Union, UnionType}:
        return " | ".join(map(_write_part, arguments))
    if annotation.__class__ is list:
        return f"[{', '.join(map(_write_part, cast('list[object]', annotation)))}]"
    if arguments and origin is not Literal:
        return f"{_write_part(origin)}[{', '.join(map(_write_part, arguments))}]"
    return _write_leaf(annotation)


def _write_leaf(annotation: object) -> str:
    if annotation is Ellipsis:
        return "..."
    if annotation in {None, NoneType}:
        return "None"
    if isinstance(annotation, type):
        is_known = annotation.__module__ in {"builtins", "typing"}
        return annotation.__qualname__ if is_known else f"{annotation.__module__}.{annotation.__qualname__}"
    name = getattr(annotation, "__forward_arg__", None)
    return f"ForwardRef({name!r})" if name else str(annotation).replace("typing.", "")


def _restore(kind: type[AnyDeclaration], content: tuple[object, ...]) -> AnyDeclaration:
    declaration = object.__new__(kind)
    object.__setattr__(declaration, "_content", content)
    return declaration


def _options(declaration: Declaration) -> list[tuple[str, object]]:
    defaults = {"decrypt": True, "literal": False}
    pairs = [(name, getattr(declaration, name)) for name in declaration.__match_args__[1:]]
    return [(name, value) for name, value in pairs if value != defaults.get(name)]


# --- Placeholders ---------------------------------------------------------------------------------------------------


def _placeholders(declaration: Declaration) -> tuple[str, ...]:
    text = f"{declaration.name}{declaration.role_arn or ''}"
    return tuple(re.findall(_PLACEHOLDER, text)) if "{" in text and not declaration.literal else ()


def _with_texts(declaration: AnyDeclaration, texts: Mapping[str, str]) -> AnyDeclaration:
    content = {name: getattr(declaration, name) for name in declaration.__match_args__}
    for name in ("name", "role_arn"):
        if content.get(name) is not None:
            content[name] = re.sub(_PLACEHOLDER, lambda found: texts[found[1]], content[name])
    return _restore(type(declaration), tuple(content.values()))


def _fill_pattern(declaration: Declaration, template: str, texts: Mapping[str, str] | None) -> str:
    if declaration.literal:
        return template
    return re.sub(_PLACEHOLDER, lambda found: texts.get(found[1], "*") if texts else "*", template)


def _find_text_fault(variable: str, text: str | None) -> VariableFault | None:
    """Say what is wrong with the text of a variable, whatever it is for."""
    if variable == TENANT:
        from lambdasecrets import _names  # noqa: PLC0415 - few have tenants

        fault = _names.find_tenant_fault(text)
        return VariableFault(TENANT, fault.why, fault.remedy) if fault else None
    if not text:
        return VariableFault(variable, None, "Set it.")
    if not _is_unicode(text):
        return VariableFault(variable, f"the environment variable {variable} is not UTF-8", "Set it to UTF-8 text.")
    return None


def _find_suffix_fault(declaration: Declaration, name: str, texts: Mapping[str, str]) -> NameFault | None:
    """Say whether the name is an ARN whose end the tenant could make AWS's own suffix, and so another secret's ARN."""
    is_arn = isinstance(declaration, Secret) and name.startswith("arn:")
    if not is_arn or _TENANT_PLACEHOLDER not in declaration.name:
        return None
    from lambdasecrets import _names  # noqa: PLC0415 - few have tenants

    tail = declaration.name.rpartition(_TENANT_PLACEHOLDER)[2]
    return _names.find_suffix_fault(re.sub(_VARIABLE, lambda found: texts[found[1]], tail))


def _blame(texts: Mapping[str, str], fault: NameFault) -> list[VariableFault]:
    """Say which variables a name that cannot be used comes from: those that no name could have, or else all."""
    unusable = [name for name, text in texts.items() if text.encode().translate(None, _SECRET_CHARACTERS + b":")]
    blamed = unusable or list(texts)
    named = " and ".join("the tenant" if name == TENANT else name for name in blamed)
    why = f"with {named} filled in, {fault.why}"
    return [VariableFault(blamed[0], why, f"{fault.remedy} Correct what {named} holds, or the declaration.")]


# --- Checks ---------------------------------------------------------------------------------------------------------


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


def _check_flag(declaration: Declaration, name: str) -> None:
    if type(getattr(declaration, name)) is not bool:
        raise _wrong(declaration, f"{name} is not a bool", f"Write {name}=True or {name}=False.")


def _check_version(parameter: Parameter) -> None:
    if parameter.version is not None and parameter.label is not None:
        why = "version and label exclude each other: the extension would use only one of them"
        raise _wrong(parameter, why, "Keep one of the two.")
    if parameter.version is not None and (type(parameter.version) is not int or parameter.version < 1):
        raise _wrong(parameter, "version is not a positive int", "Give the number of the parameter's version.")


def _check_name(declaration: Declaration) -> None:
    placeholders = _placeholders(declaration)
    refused = next((name for name in placeholders if _is_credential(name)), None)
    if refused:
        why = f"{refused} holds credentials, which are no part of a name"
        raise _wrong(declaration, why, "Put what the name needs into a variable of its own.")
    fault = _find_fault(declaration, is_template=bool(placeholders))
    if fault:
        raise _wrong(declaration, *fault)


def _is_credential(variable: str) -> bool:
    return variable.upper() in _CREDENTIALS or variable.upper().startswith(_CREDENTIAL_PREFIXES)


def _find_fault(declaration: Declaration, *, is_template: bool = False) -> NameFault | None:
    """Say what is wrong with a name and a role; with a template, what is wrong whatever its variables bring."""
    is_secret = isinstance(declaration, Secret)
    name = declaration.name.translate(_BRACES) if declaration.literal else declaration.name
    sample = _sample(name, is_secret=is_secret) if is_template else name
    if declaration.role_arn is None and (_is_secret_name(sample) if is_secret else _is_parameter_name(sample)):
        return None
    # Only for ARNs, selectors and mistakes.
    from lambdasecrets import _names  # noqa: PLC0415

    find = _names.find_template_fault if is_template else _names.find_fault
    has_version = isinstance(declaration, Parameter) and bool(declaration.version or declaration.label)
    return find(_names.Named(name, declaration.role_arn, is_secret=is_secret, has_version=has_version))


def _sample(template: str, *, is_secret: bool) -> str:
    """Fill a template with letters. What it begins with can bring a parameter's first slash."""
    start = "" if is_secret or not re.match(_VARIABLE, template) else "/"
    return start + re.sub(_PLACEHOLDER, "x", template)


def _is_secret_name(name: str) -> bool:
    is_short = len(name) <= _LONGEST_SECRET
    return is_short and name.isascii() and not name.encode().translate(None, _SECRET_CHARACTERS)


def _is_parameter_name(name: str) -> bool:
    is_short = len(name) <= _LONGEST_PARAMETER
    if not is_short or not name.isascii() or name.encode().translate(None, _PARAMETER_CHARACTERS):
        return False
    return name[0] == "/" and name.strip("/") != "" if "/" in name else True


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _a(kind: type) -> str:
    return f"of type {kind.__name__}"


def _wrong(declaration: Declaration, why: str, remedy: str) -> DeclarationError:
    return DeclarationError(str(declaration), why, remedy)


def _refuse_arguments(kind: type[Declaration], arguments: tuple[object, ...], keywords: Mapping[str, object]) -> None:
    from lambdasecrets import _hints  # noqa: PLC0415 - only for mistakes

    mistake = _hints.find_mistake(kind.__name__, kind.__match_args__, arguments, keywords)
    if mistake:
        raise DeclarationError(*mistake)
