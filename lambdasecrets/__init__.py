"""Typed secrets and parameters for AWS Lambda handlers, through the Parameters and Secrets Lambda Extension."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lambdasecrets._declarations import Parameter, Secret
    from lambdasecrets._decorator import aresolve, inject_secrets, resolve
    from lambdasecrets._invocation import invocation
    from lambdasecrets._resolver import ResolvedValue, ResolveEvent, use_session
    from lambdasecrets.errors import (
        AccessDeniedError,
        AnswerError,
        AwsUnavailableError,
        CredentialsRejectedError,
        CredentialsUnavailableError,
        DeadlineExceededError,
        DeclarationError,
        DecryptionError,
        EventLoopError,
        ExtensionNotReadyError,
        ExtensionUnavailableError,
        InvalidValueError,
        InvalidVariableError,
        LambdaSecretsError,
        MarkedForDeletionError,
        MissingVariableError,
        NotFoundError,
        NoTokenError,
        Permission,
        Problem,
        Progress,
        ProtocolError,
        RefreshUnavailableError,
        ResolutionError,
        ServerError,
        SettingError,
        SeveralErrors,
        Subject,
        TokenRejectedError,
        TooManyOpenFilesError,
        UnresolvedError,
        UnsupportedByAgentError,
        UnsupportedByExtensionError,
    )

__all__ = [
    "AccessDeniedError",
    "AnswerError",
    "AwsUnavailableError",
    "CredentialsRejectedError",
    "CredentialsUnavailableError",
    "DeadlineExceededError",
    "DeclarationError",
    "DecryptionError",
    "EventLoopError",
    "ExtensionNotReadyError",
    "ExtensionUnavailableError",
    "InvalidValueError",
    "InvalidVariableError",
    "LambdaSecretsError",
    "MarkedForDeletionError",
    "MissingVariableError",
    "NoTokenError",
    "NotFoundError",
    "Parameter",
    "Permission",
    "Problem",
    "Progress",
    "ProtocolError",
    "RefreshUnavailableError",
    "ResolutionError",
    "ResolveEvent",
    "ResolvedValue",
    "Secret",
    "ServerError",
    "SettingError",
    "SeveralErrors",
    "Subject",
    "TokenRejectedError",
    "TooManyOpenFilesError",
    "UnresolvedError",
    "UnsupportedByAgentError",
    "UnsupportedByExtensionError",
    "aresolve",
    "inject_secrets",
    "invocation",
    "resolve",
    "use_session",
]

_HOMES = (
    "lambdasecrets._declarations",
    "lambdasecrets.errors",
    "lambdasecrets._decorator",
    "lambdasecrets._resolver",
    "lambdasecrets._invocation",
)
"""Where the names of `__all__` are defined: in the first of these that has the name."""

if not TYPE_CHECKING:  # a type checker that saw these functions would accept every misspelt name

    def __getattr__(name: str) -> object:
        """Import a name when it is asked for (PEP 562): pydantic takes most of the time that the whole takes."""
        if name == "errors":
            return import_module("lambdasecrets.errors")
        if name in __all__:
            home = next(filter(lambda home: hasattr(home, name), map(import_module, _HOMES)))
            return globals().setdefault(name, getattr(home, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=import_module(__name__))

    def __dir__() -> list[str]:
        """List what is there to be used, imported already or not."""
        return [*__all__, "errors"]
