"""Find handlers and config models, and import their modules: without AWS, a network, or a prepared environment."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
import types
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lambdasecrets import _signature
from lambdasecrets._decorator import PLAN
from lambdasecrets._signature import Config, Plan, value_plan
from lambdasecrets.dev._stores.arns import OWN_REGION
from lambdasecrets.dev.environment import HIDDEN_FILES, change_environment, find_credential_variables
from lambdasecrets.errors import LambdaSecretsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType

    from lambdasecrets._declarations import Parameter, Secret
    from lambdasecrets._signature import Node

__all__ = ["Discovery", "Failure", "Found", "InputError", "Target", "discover", "find_root", "importable"]

_LIBRARY = "lambdasecrets"
_SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "build", "cdk.out", "dist", "node_modules", "site-packages", "test", "tests"}
)
_SKIPPED_FILES = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py|__main__\.py|setup\.py|noxfile\.py")
_SOURCE_FOLDER = "src"

# What modules may need while they are imported, as Lambda gives it: a Region, and keys that lead to no account.
_GIVEN = {
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    **HIDDEN_FILES,
}
_GIVEN_UNLESS_SET = dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), OWN_REGION)

_BOUND = (classmethod, staticmethod, types.MethodType)
# Their texts are made of names; those of other exceptions may hold a value.
_SELF_EXPLAINING = (AttributeError, ImportError, LambdaSecretsError, NameError)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InputError(Exception):
    """Say in one line what cannot be used of what was given, and what to give instead."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a handler is.

    Attributes:
        file: the file of its module; None for a module that is imported by its name.
        module: the name of its module.
        attribute: the handler in the module; dotted for a method of an object there.
        root: the folder from which its module's name counts; None for the file's own, or the current one.
    """

    file: Path | None
    module: str
    attribute: str
    root: Path | None = None

    @classmethod
    def parse(cls, text: str, root: Path | None = None) -> Target:
        """Read `path/to/app.py:handler` or `package.module:handler`.

        Args:
            text: the target.
            root: the folder that Python is to look for modules in, such as `src`.

        Raises:
            InputError: it is neither, there is no such file, or the file is not in the root.
        """
        where, _, attribute = text.rpartition(":")
        is_file = where.endswith(".py")
        if not all(attribute.split(".")) or not (is_file or all(where.split("."))):
            raise InputError(f"cannot read the target {text!r}: write path/to/app.py:handler or module:handler.")
        if not is_file:
            if root is not None and not root.is_dir():
                raise InputError(f"{root}: there is no such folder.")
            return cls(None, where, attribute, root and root.absolute())
        file = Path(where)
        if not file.is_file():
            raise InputError(f"{file}: there is no such file.")
        if root is None:
            return cls(file.absolute(), file.stem, attribute)
        return cls(file.absolute(), _module_name(file, root), attribute, root.absolute())

    @property
    def folder(self) -> Path:
        """What Python puts first on its path: the root; without one the file's folder, or the current one."""
        return self.root or (self.file.parent if self.file else Path.cwd())

    def load(self) -> Callable[[Any, Any], Any]:
        """Import the module and give the handler.

        Raises:
            InputError: there is no such module or attribute, or it cannot be called.
            Exception: whatever the module raises.
        """
        module = self._import() if self.file is None else _execute(self.file, self.module)
        try:
            handler = attrgetter(self.attribute)(module)
        except AttributeError:
            raise InputError(f"{self.file or self.module} has no {self.attribute!r}.") from None
        if not callable(handler):
            raise InputError(f"{self.attribute!r} of {self.file or self.module} is not a function.")
        return handler  # type: ignore[no-any-return]  # a file's content has no type

    def _import(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            # A module that the target itself fails to import is the target's own error.
            if error.name is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise
        root = None if self.root else find_root(self.module, self.folder)
        raise InputError(f"there is no module {self.module!r} in {self.folder} or installed.{_advise(root)}")


def find_root(module: str, folder: Path) -> Path | None:
    """Return the folder from which a module can be imported that cannot be from this one; None where none is seen.

    Args:
        module: the module's name.
        folder: where it was looked for. The folders above it, as far as the current one, and `src` in each are tried.
    """
    above = [folder, *folder.parents]
    here = Path.cwd()
    tried = above[: above.index(here) + 1] if here in above else above[:1]
    name = module.partition(".")[0]
    for root in (root for parent in tried for root in (parent, parent / _SOURCE_FOLDER)):
        if (root / name).is_dir() or (root / f"{name}.py").is_file():
            return None if root == folder else root
    return None


def _advise(root: Path | None) -> str:
    return "" if root is None else f" It is in {_shorten(root)}: add --root {_shorten(root)}."


def _list_imported(root: Path | None, names: Iterable[str]) -> list[str]:
    """Return the modules of these that are files under a root: another run imports them anew."""
    if root is None:
        return []
    files = {name: getattr(sys.modules[name], "__file__", None) for name in names}
    return [name for name, file in files.items() if file is not None and Path(file).is_relative_to(root)]


@contextmanager
def importable(target: Target) -> Generator[None]:
    """Let a target's module be imported as Lambda imports it; afterwards Python's path is as before."""
    path, modules, module = list(sys.path), set(sys.modules), sys.modules.get(target.module)
    sys.path.insert(0, str(target.folder))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in _list_imported(target.root, set(sys.modules) - modules):
            del sys.modules[name]
        if target.file is not None:
            sys.modules.pop(target.module, None)
            if module is not None:
                sys.modules[target.module] = module


# --- Everything that declares something ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A handler or a config model that declares what it needs.

    Attributes:
        target: how it is written for a command: `app.py:handler`, `orders.api:Config`.
        item: the decorated function, or the class.
        plan: what it declares.
        timeout: seconds that resolving may take, as the decorator says; None where it does not.
        modules: those that were imported with it, by name.
    """

    target: str
    item: Any = field(repr=False)
    plan: Plan = field(repr=False)
    timeout: float | None = field(repr=False)
    modules: _Modules = field(repr=False, compare=False)

    @property
    def declarations(self) -> tuple[Secret | Parameter, ...]:
        """What it declares, in order."""
        return tuple(cast("Secret | Parameter", slot.declaration) for slot in self.plan.slots)

    @contextmanager
    def importable(self) -> Generator[None]:
        """Put its modules back in their places, for what looks up names in them later."""
        with self.modules.importable():
            yield


@dataclass(frozen=True, slots=True)
class Failure:
    """A module that cannot be imported.

    Attributes:
        where: its file, or its name.
        why: the reason in one line, without any value.
    """

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What targets come to.

    Attributes:
        found: each handler and config model once. A config model that a handler takes is part of the handler.
        failures: modules that hide what they may have.
    """

    found: tuple[Found, ...]
    failures: tuple[Failure, ...]


def discover(
    targets: Iterable[str], *, root: Path | None = None, variables: Mapping[str, str] | None = None
) -> Discovery:
    """Find every decorated function and every config model, by importing their modules.

    While they are imported, the environment has a Region and made-up keys, and what they print goes to standard error.

    Args:
        targets: each `path/to/app.py:handler`, `package.module:handler`, or without a name a file, a module, a package
            or a folder. In packages and folders those files are imported that have to do with this library; tests are
            not.
        root: the folder from which the names of modules count. By default each file's own, above its packages.
        variables: environment variables for the import.

    Raises:
        InputError: a target is not to be found, declares nothing, or is not in the root.
    """
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: there is no such folder.")
    targets = tuple(targets)
    sources = [source for text in targets for source in _find_sources(text, root)]
    looks: list[_Look] = []
    with _prepare_environment(variables or {}), redirect_stdout(sys.stderr):
        for folder in dict.fromkeys(source.root for source in sources):
            modules = _Modules(folder)
            with modules.importable():
                looks += [_look(source, modules) for source in sources if source.root == folder]
    return _sum_up(targets, looks)


# --- From targets to files ----------------------------------------------------------------------------------------


class _Source(NamedTuple):
    """A module to import.

    Attributes:
        text: the target that it belongs to.
        file: where it is.
        module: its name.
        root: the folder from which its name counts.
        shown: how a target names it.
        attribute: what of it is asked for; None for all.
    """

    text: str
    file: Path
    module: str
    root: Path
    shown: str
    attribute: str | None = None


def _find_sources(text: str, root: Path | None) -> list[_Source]:
    where, colon, attribute = text.rpartition(":") if ":" in text else (text, "", "")
    if not where or (colon and not all(attribute.split("."))):
        raise InputError(_cannot_read(text))
    path = Path(where)
    if path.is_dir():
        if attribute:
            raise InputError(f"{where} is a folder, which has no {attribute!r}: name a file or a module of it.")
        return _find_in_folder(text, path, root)
    if not where.endswith(".py"):
        return _find_module(text, where, attribute, root)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    return [_make_source(text, path, root or _infer_root(path), attribute or None)]


def _cannot_read(text: str) -> str:
    return (
        f"cannot read the target {text!r}: write path/to/app.py:handler, module:handler, a file, a module or a folder."
    )


def _make_source(text: str, file: Path, root: Path, attribute: str | None = None, shown: str = "") -> _Source:
    name = _module_name(file, root)
    return _Source(text, file.absolute(), name, root.absolute(), shown or _shorten(file), attribute)


def _module_name(file: Path, root: Path) -> str:
    try:
        parts = file.resolve().with_suffix("").relative_to(root.resolve()).parts
    except ValueError:
        raise InputError(f"{file} is not in the root {root}.") from None
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _infer_root(file: Path) -> Path:
    folder = file.absolute().parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _shorten(file: Path) -> str:
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def _find_module(text: str, name: str, attribute: str, root: Path | None) -> list[_Source]:
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(_cannot_read(text))
    for base in _list_bases(name, root):
        place = base.joinpath(*name.split("."))
        if place.with_suffix(".py").is_file():
            return [_make_source(text, place.with_suffix(".py"), base, attribute or None, name)]
        if attribute and (place / "__init__.py").is_file():
            return [_make_source(text, place / "__init__.py", base, attribute, name)]
        if not attribute and place.is_dir():
            found = _find_in_folder(text, place, base)
            return [source._replace(shown=source.module) for source in found]
    raise InputError(f"there is no module {name!r} in {root or Path.cwd()} or installed.")


def _list_bases(name: str, root: Path | None) -> list[Path]:
    """List the folders in which a module may be: the root, or the current one and its `src`, then what is installed."""
    bases = [Path.cwd(), Path.cwd() / _SOURCE_FOLDER] if root is None else [root]
    top = name.partition(".")[0]
    spec = importlib.util.find_spec(top)  # of the first part only: that imports nothing
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), *filter(None, [spec.origin])]
    return [*bases, *(Path(place).parent for place in places)]


def _find_in_folder(text: str, folder: Path, root: Path | None) -> list[_Source]:
    sources = [_make_source(text, file, root or _infer_root(file)) for file in _list_files(folder)]
    return _select_relevant(sources)


def _list_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        kept = [name for name in folders if not (name.startswith(".") or name in _SKIPPED_FOLDERS)]
        folders[:] = sorted(name for name in kept if not Path(place, name, "pyvenv.cfg").is_file())
        for name in sorted(files):
            if name.endswith(".py") and not _SKIPPED_FILES.fullmatch(name):
                yield Path(place, name)


def _select_relevant(sources: list[_Source]) -> list[_Source]:
    """Leave out what has nothing to do with this library, itself or by what it imports: an import runs a script."""
    imports = {source: _list_imports(source) for source in sources}
    relevant = {source for source in sources if _LIBRARY in imports[source]}
    while True:
        names = {(source.root, source.module) for source in relevant}
        more = {
            source
            for source in sources
            if source not in relevant and any((source.root, name) in names for name in imports[source])
        }
        if not more:
            return [source for source in sources if source in relevant]
        relevant |= more


def _list_imports(source: _Source) -> set[str]:
    """List the modules that a file imports, by their names and those of the packages that they are in."""
    content = source.file.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        # The import will say what is wrong.
        return {_LIBRARY} if _LIBRARY.encode() in content else set()
    names = {name for node in ast.walk(tree) for name in _name_imports(node, source)}
    return {name.rsplit(".", count)[0] for name in names for count in range(name.count(".") + 1)}


def _name_imports(node: ast.AST, source: _Source) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (item.name for item in node.names)
    if isinstance(node, ast.ImportFrom):
        package = source.module.split(".")
        # The package of an `__init__` is itself; one dot is the package, each further one a package up.
        up = node.level - (source.file.name == "__init__.py")
        above = package[: len(package) - up] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        yield from (f"{base}.{item.name}" if base else item.name for item in node.names)


# --- From files to what they declare ------------------------------------------------------------------------------


class _Modules:
    """The modules of one root, which may have the names of another root's: `app` in each function's own folder.

    Args:
        root: the folder that Python looks for them in.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: dict[str, ModuleType] = {}

    @contextmanager
    def importable(self) -> Generator[None]:
        """Let them be imported, or found again; afterwards Python's path and other modules are as before."""
        path, before = list(sys.path), dict(sys.modules)
        sys.path.insert(0, str(self._root))
        importlib.invalidate_caches()
        sys.modules.update(self._own)
        try:
            yield
        finally:
            sys.path[:] = path
            self._take_back(before)

    def _take_back(self, before: Mapping[str, ModuleType]) -> None:
        for name, module in list(sys.modules.items()):
            if before.get(name) is not module and self._has(name, module):
                self._own[name] = sys.modules.pop(name)
                if name in before:
                    sys.modules[name] = before[name]

    def load(self, file: Path, name: str) -> ModuleType:
        """Import a module, unless another one has imported it.

        Raises:
            Exception: whatever it raises.
        """
        module = sys.modules.get(name)
        origin = getattr(module, "__file__", None)
        is_loaded = module is not None and origin is not None and Path(origin).resolve() == file.resolve()
        return module if module is not None and is_loaded else _execute(file, name)

    def _has(self, name: str, module: ModuleType) -> bool:
        # A package without an __init__ has no file, but folders.
        places = [
            Path(place) for place in (getattr(module, "__file__", None), *getattr(module, "__path__", ())) if place
        ]
        is_installed = any("site-packages" in place.parts for place in places)
        is_inside = any(place.resolve().is_relative_to(self._root.resolve()) for place in places)
        return is_inside and not is_installed and name.partition(".")[0] != _LIBRARY


def _execute(file: Path, name: str) -> ModuleType:
    # Not import_module: it would give a module of that name that was imported before, such as one of Python's own.
    parent, _, child = name.rpartition(".")
    package = importlib.import_module(parent) if parent else None
    loader = SourceFileLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file), is_package=file.name == "__init__.py")
    spec.has_location = True
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(str(file.parent))
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    if package is not None:
        setattr(package, child, module)
    return module


class _Look(NamedTuple):
    """What a module has.

    Attributes:
        source: the module.
        found: what it declares.
        failures: why it is not known what it declares.
    """

    source: _Source
    found: list[Found]
    failures: list[Failure]


def _look(source: _Source, modules: _Modules) -> _Look:
    look = _Look(source, [], [])
    try:
        module = modules.load(source.file, source.module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing a module runs whatever it says
        sys.modules.pop(source.module, None)
        look.failures.append(Failure(source.shown, _explain(error, source)))
        return look
    for name, item in _list_items(module, source):
        try:
            declared = _read_plan(item)
        except LambdaSecretsError as error:
            look.failures.append(Failure(f"{source.shown}:{name}", str(error)))
        else:
            if declared is not None:
                look.found.append(Found(f"{source.shown}:{name}", item, *declared, modules))
    return look


def _list_items(module: ModuleType, source: _Source) -> Iterator[tuple[str, Any]]:
    if source.attribute is not None:
        try:
            yield source.attribute, attrgetter(source.attribute)(module)
        except AttributeError:
            raise InputError(f"{source.shown} has no {source.attribute!r}.") from None
        return
    for name, item in vars(module).items():
        yield name, item
        if isinstance(item, type) and item.__module__ == module.__name__:
            yield from ((f"{name}.{inner}", method) for inner, method in vars(item).items())


def _read_plan(item: Any) -> tuple[Plan, float | None] | None:
    """Give what something declares, and how long resolving it may take; None where it declares nothing.

    Raises:
        DeclarationError: a config model that cannot be used.
    """
    if isinstance(item, type):
        # The same question that the signature's analysis asks of an annotation. BaseModel itself has no fields.
        is_config = bool(getattr(item, "model_fields", None)) and _signature.is_config(item)
        return (value_plan(item), None) if is_config else None
    function: object = cast("Any", item).__func__ if isinstance(item, _BOUND) else item
    while function is not None:
        # Statically: a proxy or a mock has, or does, anything when it is asked.
        compiled = inspect.getattr_static(function, PLAN, None)
        if compiled is not None:
            return compiled.plan, compiled.timeout
        function = inspect.getattr_static(function, "__wrapped__", None)
    return None


def _explain(error: BaseException, source: _Source) -> str:
    """Say in one line where and why an import failed, without any value."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{_place(error.filename or '', error.lineno, source)}SyntaxError: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(source.root)]
    place = _place(inside[-1].filename, inside[-1].lineno or 0, source) if inside else ""
    return f"{place}{_name_error(error)}{_hint_root(error, source)}"


def _place(file: str, line: int, source: _Source) -> str:
    is_same = Path(file) == source.file
    return f"line {line}: " if is_same else f"{_shorten(Path(file))}, line {line}: "


def _name_error(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, _SELF_EXPLAINING):
        return f"{name}: {' '.join(str(error).split())}"
    if isinstance(error, KeyError) and error.args and _VARIABLE.fullmatch(str(error.args[0])):
        return (
            f"KeyError: {error.args[0]!r}. If it is an environment variable, set it with --set {error.args[0]}=VALUE."
        )
    return name


def _hint_root(error: BaseException, source: _Source) -> str:
    """Name the folder that has the module which was not found."""
    missing = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if not missing:
        return ""
    bases = [Path.cwd(), Path.cwd() / _SOURCE_FOLDER, *source.root.parents]
    has = [base for base in bases if (base / missing).is_dir() or (base / f"{missing}.py").is_file()]
    return f". Perhaps --root {_shorten(has[0]) or '.'}" if has else ""


def _sum_up(targets: Iterable[str], looks: list[_Look]) -> Discovery:
    answered = {look.source.text for look in looks if look.found or look.failures}
    for text in targets:
        if text not in answered:
            raise InputError(f"{text} declares nothing: is @inject_secrets missing?")
    found: dict[int, tuple[_Source, Found]] = {}
    for look in looks:
        for item in look.found:
            identity = id(item.item if isinstance(item.item, type) else item.plan)
            if identity not in found or _rank(item, look.source) > _rank(item, found[identity][0]):
                found[identity] = (look.source, item)
    used = {id(model) for _, item in found.values() for model in _list_models(_list_nodes(item))}
    kept = (item for source, item in found.values() if source.attribute is not None or id(item.item) not in used)
    return Discovery(tuple(kept), tuple(failure for look in looks for failure in look.failures))


def _rank(item: Found, source: _Source) -> tuple[bool, bool]:
    """Say which of several finds of one item names it: what was asked for, else its home, else what came first."""
    return source.attribute is not None, getattr(item.item, "__module__", None) == source.module


def _list_nodes(item: Found) -> list[Node]:
    nodes = list(item.plan.nodes.values())
    if not isinstance(item.item, type):
        return nodes
    # A config model's own plan is that model, which does not use itself.
    return [inner for node in nodes if isinstance(node, Config) for inner in node.fields.values()]


def _list_models(nodes: Iterable[Node]) -> Iterator[Any]:
    """List the config models that handlers, or other config models, take."""
    for node in nodes:
        if isinstance(node, Config):
            yield node.model
            yield from _list_models(node.fields.values())


def _prepare_environment(variables: Mapping[str, str]) -> AbstractContextManager[None]:
    unset = {name: text for name, text in _GIVEN_UNLESS_SET.items() if name not in os.environ}
    return change_environment({**unset, **_GIVEN, **variables}, without=find_credential_variables(os.environ))
