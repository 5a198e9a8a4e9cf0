"""Read a secrets file: TOML or JSON, with one clear line for whatever is wrong in it and never a value."""

from __future__ import annotations

import base64
import binascii
import codecs
import importlib
import json
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from lambdasecrets.dev._stores.arns import OWN_ACCOUNT, OWN_REGION
from lambdasecrets.dev._stores.in_process import PARAMETER_TYPES, MemoryStore

_TOML = "tomllib" if sys.version_info >= (3, 11) else "tomli"
_SECRET_CONTENTS = ("string", "json", "binary")
_SECRET_MARKS = (*_SECRET_CONTENTS, "versions")  # a table with one of these is settings, not the secret itself
REGION_FORM = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
ACCOUNT_FORM = re.compile(r"[0-9]{12}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BYTE_ORDER_MARKS = (  # the longest first: one begins like another
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WRAP = " If these are the secret's own keys, write { json = { ... } } around them."
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_PART = re.compile(r"(['\"]).{2,}\1")
_TOML_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)$")


class SecretsFileError(Exception):
    """Say in one line what is wrong in a secrets file, and where.

    Args:
        path: the file.
        place: where in the file, such as `[parameters."/orders/page-size"]`; empty for the whole of it.
        problem: what is wrong there and what to write instead. It never holds a value.
    """

    def __init__(self, path: Path, place: str, problem: str) -> None:
        super().__init__(path, place, problem)
        self.path = path
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{', '.join(filter(None, (str(self.path), self.place)))}: {self.problem}"


@dataclass(frozen=True, slots=True)
class SecretsFile:
    """What a secrets file says.

    Attributes:
        store: its secrets and parameters, those denied that its `denied` names.
        environment: the variables of its `[environment]` table, to be set for the handler.
        faults: what its `[[faults]]` want to go wrong; `Emulator.inject_faults_of` makes it so.
        path: the file; None for what is no file.
    """

    store: MemoryStore
    environment: Mapping[str, str]
    faults: tuple[Mapping[str, object], ...] = ()
    path: Path | None = None


class _Mistake(Exception):  # noqa: N818 - it becomes a SecretsFileError once the path is known
    """A place and a problem."""


def load_secrets_file(path: str | Path) -> SecretsFile:
    """Read a secrets file.

    Args:
        path: a TOML file, or a JSON file when its name ends with `.json`.

    Raises:
        SecretsFileError: the file cannot be read, or something in it is not as it should be.
    """
    try:
        return _read(Path(path))
    except _Mistake as mistake:
        place, problem = mistake.args
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number with thousands of digits
        place, problem = "", f"cannot read the file: {type(error).__name__}."
    # Raised out here: the frames and the errors below hold values.
    raise SecretsFileError(Path(path), place, problem)


def load_store(path: str | Path) -> MemoryStore:
    """Read the secrets and parameters of a secrets file: `load_secrets_file` without the environment."""
    return load_secrets_file(path).store


def _read(path: Path) -> SecretsFile:
    text = _text(path)
    tables = _json_tables(text) if path.suffix == ".json" else _toml_tables(text)
    _only("", tables, ("aws", "denied", "environment", "faults", "secrets", "parameters"))
    home = _home(_table("[aws]", tables.get("aws", {})))
    store = MemoryStore(region=home.get("region", OWN_REGION), account=home.get("account", OWN_ACCOUNT))
    for name, value in _table("[secrets]", tables.get("secrets", {})).items():
        _put_secret(store, name, value)
    for name, value in _table("[parameters]", tables.get("parameters", {})).items():
        _put_parameter(store, name, value)
    variables = _table("[environment]", tables.get("environment", {}))
    environment = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), home["region"]) if "region" in home else {}
    environment |= {name: _variable(name, value) for name, value in variables.items()}
    for name in _strings("", tables, "denied") if "denied" in tables else ():
        store.deny(name)
    return SecretsFile(store, environment, _faults(tables.get("faults", [])), path)


def _faults(value: object) -> tuple[Mapping[str, object], ...]:
    if not _is_list(value):
        raise _Mistake("[[faults]]", f"expected tables, found {_kind(value)}.")
    return tuple(_table(f"[[faults]] {number}", fault) for number, fault in enumerate(value))


def _home(settings: dict[str, Any]) -> dict[str, str]:
    _only("[aws]", settings, ("account", "region"))
    home = {key: _string("[aws]", settings, key) for key in settings}
    if not ACCOUNT_FORM.fullmatch(home.get("account", OWN_ACCOUNT)):
        raise _Mistake("[aws]", "account: expected twelve digits, as a string.")
    if not REGION_FORM.fullmatch(home.get("region", OWN_REGION)):
        raise _Mistake("[aws]", "region: expected a Region, such as us-east-1.")
    return home


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _Mistake("", f"cannot read the file: {error.strerror}.") from None
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise _Mistake("", f"not {encoding.upper().removesuffix('-SIG')} at byte {error.start}.") from None


def _toml_tables(text: str) -> dict[str, Any]:
    toml = importlib.import_module(_TOML)  # here: whoever reads no TOML needs no tomli
    try:
        return toml.loads(text)  # type: ignore[no-any-return]
    except toml.TOMLDecodeError as error:
        message = str(error)
    position = _TOML_POSITION.search(message)
    reason = _QUOTED_PART.sub("'...'", message.partition(" (at ")[0])  # what it quotes may be part of a value
    place = f"line {position[1]}, column {position[2]}" if position else "end of the file"
    raise _Mistake(place, f"not TOML: {reason}.")


def _json_tables(text: str) -> dict[str, Any]:
    try:
        return _table("", json.loads(text))
    except json.JSONDecodeError as error:
        raise _Mistake(f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}.") from None


def _put_secret(store: MemoryStore, name: str, value: object) -> None:
    place = _place("secrets", name)
    if not _is_table(value) or not _is_settings(value):
        _put(place, store.put_secret, name, value)
        return
    if "versions" not in value:
        _put_secret_version(store, name, place, value)
        return
    _only(place, value, ("versions",), _WRAP)
    for number, version in enumerate(_versions(place, value)):
        _put_secret_version(store, name, f"{place} versions[{number}]", version)


def _is_settings(table: Mapping[str, object]) -> bool:
    return any(mark in table for mark in _SECRET_MARKS)


def _put_secret_version(store: MemoryStore, name: str, place: str, settings: dict[str, Any]) -> None:
    _only(place, settings, (*_SECRET_CONTENTS, "id", "stages"), _WRAP)
    contents = [content for content in _SECRET_CONTENTS if content in settings]
    if len(contents) != 1:
        raise _Mistake(place, f"expected one of string, json and binary, found {' and '.join(contents) or 'none'}.")
    version_id = _string(place, settings, "id") if "id" in settings else None
    stages = _strings(place, settings, "stages") if "stages" in settings else ["AWSCURRENT"]
    value = _secret_value(place, settings, contents[0])
    _put(place, store.put_secret, name, value, version_id=version_id, stages=stages)


def _secret_value(place: str, settings: dict[str, Any], content: str) -> object:
    if content == "json":
        return _structure(place, settings["json"])
    text = _string(place, settings, content)
    return text if content == "string" else _base64(place, text)


def _structure(place: str, value: object) -> object:
    if isinstance(value, str):
        raise _Mistake(place, "json: expected a table or a list; write string = ... for a text that is JSON already.")
    return value


def _put_parameter(store: MemoryStore, name: str, value: object) -> None:
    place = _place("parameters", name)
    if not _is_table(value):
        _put(place, store.put_parameter, name, value)
        return
    if "versions" not in value:
        _put_parameter_version(store, name, place, value)
        return
    shared = {key: item for key, item in value.items() if key != "versions"}
    _only(place, shared, ("type", "data_type"))
    for number, version in enumerate(_versions(place, value)):
        _put_parameter_version(store, name, f"{place} versions[{number}]", {**shared, **version})


def _put_parameter_version(store: MemoryStore, name: str, place: str, settings: dict[str, Any]) -> None:
    _only(place, settings, ("value", "type", "labels", "data_type"), " JSON goes into value = { ... }.")
    if "value" not in settings:
        raise _Mistake(place, "expected a value: write value = ... .")
    options: dict[str, object] = {
        key: _string(place, settings, key) for key in ("type", "data_type") if key in settings
    }
    if options.get("type", "String") not in PARAMETER_TYPES:
        raise _Mistake(place, f"unknown type: use one of {', '.join(PARAMETER_TYPES)}.")
    if "labels" in settings:
        options["labels"] = _strings(place, settings, "labels")
    _put(place, store.put_parameter, name, settings["value"], **options)


def _put(place: str, put: Callable[..., object], name: str, value: object, **options: object) -> None:
    if value is None:
        raise _Mistake(place, "expected a value, found null.")
    try:
        put(name, value, **options)
    except (TypeError, ValueError) as error:
        raise _Mistake(place, f"{error}") from None


def _place(table: str, name: str) -> str:
    return f"[{table}.{name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)}]"


def _is_table(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _table(place: str, value: object) -> dict[str, Any]:
    if not _is_table(value):
        raise _Mistake(place, f"expected a table, found {_kind(value)}.")
    return value


def _versions(place: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    versions = settings["versions"]
    if not _is_list(versions) or not versions:
        raise _Mistake(place, "expected versions = [ { ... }, ... ], the oldest first.")
    return [_table(f"{place} versions[{number}]", version) for number, version in enumerate(versions)]


def _only(place: str, table: Mapping[str, object], known: Collection[str], remedy: str = "") -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise _Mistake(place, f"unknown key {json.dumps(unknown[0])}: expected {', '.join(known)}.{remedy}")


def _string(place: str, settings: dict[str, Any], key: str) -> str:
    value = settings[key]
    if not isinstance(value, str):
        raise _Mistake(place, f"{key}: expected a string, found {_kind(value)}.")
    return value


def _strings(place: str, settings: dict[str, Any], key: str) -> list[str]:
    values = settings[key]
    if not _is_list(values) or not all(isinstance(value, str) for value in values):
        raise _Mistake(place, f"{key}: expected a list of strings.")
    return [str(value) for value in values]


def _variable(name: str, value: object) -> str:
    place = f"[environment] {name if name.isprintable() else ascii(name)}"
    if not _VARIABLE_NAME.fullmatch(name):
        raise _Mistake(place, "a variable's name has ASCII letters, digits and _ only, and begins with no digit.")
    return _scalar(place, value)


def _scalar(place: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float):
        raise _Mistake(place, f"expected a string, a number or a boolean, found {_kind(value)}.")
    return json.dumps(value)


def _base64(place: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _Mistake(place, "binary: not base64.") from None


_KINDS: dict[type[Any], str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a date or a time")
