"""Options that repeat: `[tool.lambdasecrets]` in pyproject.toml."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lambdasecrets.dev._cli.console import end_for_input

_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"
_FILE = "pyproject.toml"
_PLACE = "[tool.lambdasecrets"
_PATHS = frozenset({"FILE", "FOLDER"})  # by the word that the help shows


def read_defaults(group: Any) -> dict[str, dict[str, Any]]:
    """Return the defaults of each command's options, from the nearest pyproject.toml that has any.

    A key stands for an option of that name of every command that has it; a table with a command's name is for that
    command alone. Paths count from the file's folder.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        settings = _settings(folder / _FILE)
        if settings is not None:
            return _defaults(settings, group, folder)
    return {}


def _settings(file: Path) -> Mapping[str, Any] | None:
    toml = importlib.import_module(_TOML)
    try:
        content: dict[str, Any] = toml.loads(file.read_text(encoding="utf-8-sig"))
    except OSError:
        return None
    except ValueError as error:  # of TOML and of UTF-8; such a file is every other tool's trouble too
        end_for_input(f"{file}: cannot read it: {error}")
    found = content.get("tool", {}).get("lambdasecrets")
    return None if found is None else _table(found, f"{file}, {_PLACE}]")


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        end_for_input(f"{place}: expected a table.")
    return cast("dict[str, Any]", value)


def _defaults(settings: Mapping[str, Any], group: Any, folder: Path) -> dict[str, dict[str, Any]]:
    commands: dict[str, dict[str, Any]] = {
        name: {_key(option): option for option in command.params if option.param_type_name == "option"}
        for name, command in getattr(group, "commands", {}).items()
    }
    shared = {key: value for key, value in settings.items() if key not in commands}
    for key in shared:
        if not any(key in options for options in commands.values()):
            known = sorted({key for options in commands.values() for key in options})
            end_for_input(f"{folder / _FILE}, {_PLACE}]: no command has an option {key!r}: use {', '.join(known)}.")
    return {
        name: _values({**_of(shared, options), **_own(settings, name, options, folder)}, options, folder)
        for name, options in commands.items()
    }


def _of(shared: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shared.items() if key in options}


def _own(settings: Mapping[str, Any], name: str, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    place = f"{folder / _FILE}, {_PLACE}.{name}]"
    own = _table(settings.get(name, {}), place)
    for key in own:
        if key not in options:
            end_for_input(f"{place}: the command has no option {key!r}: use {', '.join(sorted(options))}.")
    return own


def _values(given: Mapping[str, Any], options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {options[key].name or key: _anchor(value, options[key], folder) for key, value in given.items()}


def _anchor(value: object, option: Any, folder: Path) -> object:
    # Paths are from the file's folder, wherever the command is run.
    is_path = isinstance(value, str) and option.metavar in _PATHS
    return str(folder / str(value)) if is_path else value


def _key(option: Any) -> str:
    return str(option.opts[0]).lstrip("-")
