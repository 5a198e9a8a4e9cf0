"""For functions that use Powertools for AWS Lambda: what it observes, its parameters, its dependencies.

Nothing of Powertools is imported before it is used, and boto3 only with the providers, which Powertools' need it for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lambdasecrets.powertools._dependencies import adependency, dependency
from lambdasecrets.powertools._observability import observe

if TYPE_CHECKING:
    from lambdasecrets.powertools.parameters import ExtensionSecretsProvider, ExtensionSSMProvider

__all__ = ["ExtensionSSMProvider", "ExtensionSecretsProvider", "adependency", "dependency", "observe"]

if not TYPE_CHECKING:  # a type checker that saw this function would accept every misspelt name

    def __getattr__(name: str) -> object:
        """Import a provider when it is asked for: Powertools' base class imports boto3."""
        if name in __all__:
            return globals().setdefault(name, getattr(import_module("lambdasecrets.powertools.parameters"), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=import_module(__name__))
