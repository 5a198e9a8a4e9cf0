"""Read a template, and say what its expressions come to as far as that can be known before it is deployed."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any, TypeGuard, cast

try:
    import yaml
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "Cannot read templates: PyYAML is not installed. Install it with `pip install 'lambdasecrets[cli]'`.",
        name="yaml",
    ) from None

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# Around what is known only when the template is deployed. No name and no ARN has them.
OPEN, CLOSE = "\ue000", "\ue001"

_NO_VALUE = "AWS::NoValue"
_SUBSTITUTE = re.compile(r"\$\{(!?)([^}]*)\}")
_PAIR = 2
_MOST_CHOICES = 64
"""More texts than this that an expression can come to are as good as unknown."""

Texts = tuple[str, ...]
"""What an expression can come to; more than one where a condition or the Region decides."""


class TemplateError(Exception):
    """Say in one line why a template cannot be read."""


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long forms."""


def _construct_function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(cast("yaml.MappingNode", node), deep=True)}  # the last kind there is


def _construct_text(loader: _Loader, node: Any) -> Any:
    return loader.construct_scalar(node)


cast("Any", _Loader).add_multi_constructor("!", _construct_function)  # its types know no reader of ours
# A template's date of 2010 is a text, and so is an account that begins with a zero.
for _tag in ("timestamp", "int"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct_text)


def read_template(path: Path, given: Mapping[str, str]) -> Template:
    """Read a template in YAML or JSON.

    Args:
        path: the file.
        given: texts for the template's parameters.

    Raises:
        TemplateError: it cannot be read, or is no template.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        # JSON is YAML, but read by its own reader in a hundredth of the time.
        content = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        why = f"cannot read the file: {error.strerror}."
    except UnicodeDecodeError as error:
        why = f"not UTF-8 at byte {error.start}."
    except json.JSONDecodeError as error:
        why = f"not JSON: line {error.lineno}, column {error.colno}."
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = f"not YAML: line {mark.line + 1}, column {mark.column + 1}." if mark else "not YAML."
    except (yaml.YAMLError, RecursionError):
        why = "not YAML."
    else:
        if is_table(content) and is_table(content.get("Resources")):
            return Template(content, path.parent, given)
        why = "this is no template: it has no Resources."
    raise TemplateError(f"{path}: {why}")


def is_table(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a value is a table."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a value is a list."""
    return isinstance(value, list)


def as_list(value: object) -> list[Any]:
    """Give a list: a value by itself stands for a list of one, nothing for none."""
    if value is None:
        return []
    return list(value) if is_list(value) else [value]


def as_table(value: object) -> dict[str, Any]:
    """Give a table; an empty one for what is none, or is not there."""
    return value if is_table(value) else {}


def _as_pair(argument: object, default: tuple[object, object] = ("", None)) -> tuple[object, object]:
    """Give the two arguments of a function; for any other number the default."""
    items = argument if is_list(argument) else []
    return (items[0], items[1]) if len(items) == _PAIR else default


def mark(name: str) -> str:
    """Stand for what is known only when the template is deployed."""
    return f"{OPEN}{name}{CLOSE}"


class Template:
    """A template.

    Args:
        content: what it says.
        folder: where its paths count from.
        given: texts for its parameters.

    Attributes:
        folder: as given.
        resources: by logical id.
    """

    def __init__(self, content: Mapping[str, Any], folder: Path, given: Mapping[str, str]) -> None:
        self.folder, self._given = folder, given
        self.resources: dict[str, dict[str, Any]] = {
            name: resource for name, resource in content["Resources"].items() if is_table(resource)
        }
        self._parameters = as_table(content.get("Parameters"))
        self._mappings = as_table(content.get("Mappings"))
        self.globals: Mapping[str, Any] = as_table(as_table(content.get("Globals")).get("Function"))

    def list_resources(self, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """List the properties of the resources of some types, with their logical ids."""
        for name, resource in self.resources.items():
            if resource.get("Type") in types:
                yield name, resource.get("Properties") or {}

    def type_of(self, name: str) -> str | None:
        """Give the type of a resource; None where there is none of that logical id."""
        resource = self.resources.get(name)
        return None if resource is None else str(resource.get("Type"))

    def evaluate(self, expression: object) -> Texts | None:
        """Say what an expression comes to.

        Returns:
            The texts that it can be, with marks for what the deployment knows; none for no value; None for unknown.
        """
        if isinstance(expression, str):
            return (expression,)
        if isinstance(expression, bool):
            return (json.dumps(expression),)
        if isinstance(expression, (int, float)):
            return (str(expression),)
        if not is_table(expression) or len(expression) != 1:
            return None
        ((function, argument),) = expression.items()
        evaluate = _FUNCTIONS.get(function)
        return None if evaluate is None else evaluate(self, argument)

    def evaluate_list(self, expressions: object) -> list[Texts | None]:
        """Evaluate each item of a list; a condition between lists is unknown."""
        if is_table(expressions) and set(expressions) == {"Fn::If"}:
            return [None]
        return [texts for item in as_list(expressions) if (texts := self.evaluate(item)) != ()]

    def refer(self, argument: object) -> Texts | None:
        name = str(argument)
        if name == _NO_VALUE:
            return ()
        if name in self._given and name in self._parameters:
            return (self._given[name],)
        parameter = self._parameters.get(name)
        if not is_table(parameter) or "Default" not in parameter:
            return (mark(name),)
        default = str(parameter["Default"])
        is_stored = str(parameter.get("Type", "")).startswith("AWS::SSM::Parameter::Value")
        return (f"{{{{resolve:ssm:{default}}}}}" if is_stored else default,)

    def get_attribute(self, argument: object) -> Texts | None:
        parts = argument.split(".", 1) if isinstance(argument, str) else as_list(argument)
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):  # noqa: PLR2004 - a name and an attribute
            return None
        # The Id of a secret is its ARN, as its Ref is.
        is_secret = self.type_of(parts[0]) == "AWS::SecretsManager::Secret" and parts[1] == "Id"
        return (mark(parts[0] if is_secret else ".".join(parts)),)

    def substitute(self, argument: object) -> Texts | None:
        text, own = _as_pair(argument, (argument, {}))
        if not isinstance(text, str) or not is_table(own):
            return None
        parts: list[Texts | None] = []
        end = 0
        for found in _SUBSTITUTE.finditer(text):
            parts.append((text[end : found.start()],))
            parts.append((f"${{{found[2]}}}",) if found[1] else self._look_up(found[2].strip(), own))
            end = found.end()
        return _join("", [*parts, (text[end:],)])

    def _look_up(self, name: str, own: Mapping[str, Any]) -> Texts | None:
        if name in own:
            return self.evaluate(own[name])
        return self.get_attribute(name) if "." in name else self.refer(name)

    def join_list(self, argument: object) -> Texts | None:
        separator, items = _as_pair(argument)
        if not is_list(items) or not isinstance(separator, str):
            return None
        return _join(separator, [self.evaluate(item) for item in items])

    def choose(self, argument: object) -> Texts | None:
        branches = [self.evaluate(branch) for branch in as_list(argument)[1:]]
        if None in branches:
            return None
        return tuple(dict.fromkeys(text for branch in branches if branch for text in branch))

    def find_in_map(self, argument: object) -> Texts | None:
        keys = as_list(argument)
        found: list[object] = [self._mappings.get(str(keys[0]))] if keys else []
        for key in keys[1:3]:
            texts = self.evaluate(key) or ()
            is_open = any(OPEN in text for text in texts) or not texts
            found = [value for table in found for name, value in as_table(table).items() if is_open or name in texts]
        texts_found = [value for value in found if isinstance(value, str)]
        return tuple(dict.fromkeys(texts_found)) if texts_found else None

    def select(self, argument: object) -> Texts | None:
        index, items = _as_pair(argument)
        if is_table(items) and set(items) == {"Fn::Split"}:
            items = self._split(items["Fn::Split"])
        choices = items if is_list(items) else []
        is_one = str(index).isdigit() and int(str(index)) < len(choices)
        return self.evaluate(choices[int(str(index))]) if is_one else None

    def _split(self, argument: object) -> list[str] | None:
        separator, text = _as_pair(argument)
        texts = self.evaluate(text)
        return texts[0].split(str(separator)) if texts and len(texts) == 1 and separator else None


def _join(separator: str, parts: Iterable[Texts | None]) -> Texts | None:
    known = list(parts)
    if any(part is None for part in known):
        return None
    choices = list(product(*[part for part in known if part]))
    return tuple(separator.join(choice) for choice in choices) if len(choices) <= _MOST_CHOICES else None


_FUNCTIONS = {
    "Ref": Template.refer,
    "Fn::FindInMap": Template.find_in_map,
    "Fn::GetAtt": Template.get_attribute,
    "Fn::If": Template.choose,
    "Fn::Join": Template.join_list,
    "Fn::Select": Template.select,
    "Fn::Sub": Template.substitute,
}
