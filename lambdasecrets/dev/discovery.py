"""Find handlers: where they are, and how their modules are imported."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

__all__ = ["InputError", "Target", "importable"]


class InputError(Exception):
    """Say in one line what cannot be used of what was given, and what to give instead."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a handler is.

    Attributes:
        file: the file of its module; None for a module that is imported by its name.
        module: the name of its module.
        attribute: the handler in the module; dotted for a method of an object there.
    """

    file: Path | None
    module: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `path/to/app.py:handler` or `package.module:handler`.

        Raises:
            InputError: it is neither, or there is no such file.
        """
        where, _, attribute = text.rpartition(":")
        is_file = where.endswith(".py")
        if not all(attribute.split(".")) or not (is_file or all(where.split("."))):
            raise InputError(f"cannot read the target {text!r}: write path/to/app.py:handler or module:handler.")
        if not is_file:
            return cls(None, where, attribute)
        file = Path(where)
        if not file.is_file():
            raise InputError(f"{file}: there is no such file.")
        return cls(file.absolute(), file.stem, attribute)

    @property
    def folder(self) -> Path:
        """What Python puts first on its path: the file's folder; the current one for a module."""
        return self.file.parent if self.file else Path.cwd()

    def load(self) -> Callable[[Any, Any], Any]:
        """Import the module and give the handler.

        Raises:
            InputError: there is no such module or attribute, or it cannot be called.
            Exception: whatever the module raises.
        """
        module = self._imported() if self.file is None else _executed(self.file, self.module)
        try:
            handler = attrgetter(self.attribute)(module)
        except AttributeError:
            raise InputError(f"{self.file or self.module} has no {self.attribute!r}.") from None
        if not callable(handler):
            raise InputError(f"{self.attribute!r} of {self.file or self.module} is not a function.")
        return handler  # type: ignore[no-any-return]  # a file's content has no type

    def _imported(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            # A module that the target itself fails to import is the target's own error.
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise
        raise InputError(f"there is no module {self.module!r} in {self.folder} or installed.")


def _executed(file: Path, name: str) -> ModuleType:
    # Not import_module: it would give a module of that name that was imported before, such as one of Python's own.
    loader = SourceFileLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


@contextmanager
def importable(target: Target) -> Generator[None]:
    """Let a target's module be imported as Lambda imports it; afterwards Python's path is as before."""
    path, module = list(sys.path), sys.modules.get(target.module)
    sys.path.insert(0, str(target.folder))
    try:
        yield
    finally:
        sys.path[:] = path
        if target.file is not None:
            sys.modules.pop(target.module, None)
            if module is not None:
                sys.modules[target.module] = module
