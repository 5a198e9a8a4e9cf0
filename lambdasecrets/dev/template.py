"""Check a template against the handlers that it deploys: the layer, variables, permissions and the timeout of each."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lambdasecrets._declarations import TENANT, bind
from lambdasecrets.dev._templates.document import (
    CLOSE,
    OPEN,
    Template,
    TemplateError,
    Texts,
    as_list,
    as_table,
    is_table,
    read_template,
)
from lambdasecrets.dev._templates.grants import Grants, read_grants
from lambdasecrets.dev.discovery import InputError, discover

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from lambdasecrets._declarations import Parameter, Secret
    from lambdasecrets.dev.discovery import Found
    from lambdasecrets.errors import Permission

__all__ = ["Row", "check_template"]

_SAM = "AWS::Serverless::Function"
_PLAIN = "AWS::Lambda::Function"
_EXTENSION = re.compile(r"AWS-Parameters-and-Secrets-Lambda-Extension(-Arm64)?(:|$)")
_PUBLIC = re.compile(r"/aws/service/aws-parameters-and-secrets-lambda-extension/(x86|arm64)/")
_LAYER = "AWS-Parameters-and-Secrets-Lambda-Extension"
_DEFAULT_TIMEOUT_SECONDS = 3.0
_DEFAULT_RESOLVE_SECONDS = 5.0
_TIMEOUT = "LAMBDASECRETS_TIMEOUT"

# Lambda sets them for every function.
_OF_LAMBDA = re.compile(
    r"AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_[A-Z_]+|AWS_XRAY_[A-Z_]+|LAMBDA_(TASK_ROOT|RUNTIME_DIR)|TZ|_HANDLER"
)

Check = Literal["handler", "layer", "variable", "permission", "timeout"]
Verdict = Literal["ok", "finding", "unknown"]


class Row(NamedTuple):
    """What one check of one function came to.

    Attributes:
        function: its logical id.
        check: what was looked at.
        verdict: `unknown` is what cannot be known before it is deployed.
        what: what is so, or what is wrong and what to do.
    """

    function: str
    check: Check
    verdict: Verdict
    what: str


class _Function(NamedTuple):
    """A function of a template.

    Attributes:
        name: its logical id.
        properties: its own over those of all functions.
        is_sam: whether it is a SAM function.
        variables: what each of its environment variables comes to; None where they are unknown.
    """

    name: str
    properties: Mapping[str, Any]
    is_sam: bool
    variables: Mapping[str, Texts | None] | None


def check_template(file: Path, given: Mapping[str, str], *, root: Path | None = None) -> list[Row]:
    """Check every function of a template whose handler declares something.

    Args:
        file: a template of SAM or CloudFormation in YAML or JSON, or one that the CDK has synthesized.
        given: texts for the template's parameters, and for `{context.tenant_id}`.
        root: the folder of the handlers, where the template does not tell: what it deploys is packed elsewhere.

    Returns:
        One row for each thing that was looked at.

    Raises:
        InputError: the template cannot be read, or no function of it declares anything.
    """
    try:
        template = read_template(file, given)
    except TemplateError as error:
        raise InputError(str(error)) from None
    rows = [row for function in _list_functions(template) for row in _check_function(template, function, given, root)]
    if not rows:
        raise InputError(f"{file}: no function of it has a handler that declares anything.")
    return rows


def _list_functions(template: Template) -> Iterator[_Function]:
    for kind in (_SAM, _PLAIN):
        for name, own in template.list_resources(kind):
            properties = _merge(template.globals, own) if kind == _SAM else own
            yield _Function(name, properties, kind == _SAM, _read_variables(template, properties))


def _merge(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Put the Globals of SAM under a function's own: variables and layers are added, all else is replaced."""
    merged = {**shared, **own}
    if isinstance(shared.get("Layers"), list) and isinstance(own.get("Layers"), list):
        merged["Layers"] = [*shared["Layers"], *own["Layers"]]
    above, below = (_find_variables(place) for place in (shared, own))
    if is_table(above) and is_table(below):
        merged["Environment"] = {"Variables": {**above, **below}}
    return merged


def _find_variables(properties: Mapping[str, Any]) -> object:
    environment: object = properties.get("Environment") or {}
    return environment.get("Variables") or {} if is_table(environment) else environment


def _read_variables(template: Template, properties: Mapping[str, Any]) -> Mapping[str, Texts | None] | None:
    variables = _find_variables(properties)
    if not is_table(variables) or any(name.startswith("Fn::") for name in variables):
        return None
    return {name: texts for name, value in variables.items() if (texts := template.evaluate(value)) != ()}


# --- The handler --------------------------------------------------------------------------------------------------


def _check_function(template: Template, function: _Function, given: Mapping[str, str], root: Path | None) -> list[Row]:
    located = _locate_handler(template, function, root)
    if isinstance(located, Row):
        return [located]
    if located is None:
        return []
    target, folder = located
    found, failures = _find_declaring(target, folder)
    if failures:
        return [Row(function.name, "handler", "finding", failure) for failure in failures]
    if not found:
        return []
    declarations = list(dict.fromkeys(declaration for item in found for declaration in item.declarations))
    variables = dict(_check_variables(function, declarations, given))
    wrong = {name for name, row in variables.items() if row.verdict == "finding"}
    readable = [declaration for declaration in declarations if wrong.isdisjoint(declaration.variables)]
    return [
        Row(function.name, "handler", "ok", target),
        _check_layer(template, function),
        *variables.values(),
        *_check_permissions(template, function, readable, given),
        _check_timeout(template, function, found),
    ]


def _locate_handler(template: Template, function: _Function, root: Path | None) -> tuple[str, Path] | Row | None:
    """Give the target of a handler and its root; a row where it is not found; None where it is not Python."""
    properties = function.properties
    handler = _read_handler(template, properties)
    runtime = (template.evaluate(properties.get("Runtime")) or ("python",))[0]
    if handler is None or not (runtime.startswith("python") or OPEN in runtime):
        return None
    module, _, attribute = handler.rpartition(".")
    folders = [folder for folder in (_find_code(template, function), root) if folder is not None]
    for folder in folders:
        file = folder / f"{module.replace('.', '/')}.py"
        if file.is_file():
            return f"{file}:{attribute}", folder
    looked = f"it is not in {' or '.join(map(str, folders))}" if folders else "what it deploys is packed elsewhere"
    return Row(function.name, "handler", "unknown", f"{handler}: {looked}. Name its folder with --root.")


def _read_handler(template: Template, properties: Mapping[str, Any]) -> str | None:
    command = as_table(properties.get("ImageConfig")).get("Command") if _is_image(properties) else None
    texts = template.evaluate(as_list(command)[0] if command else properties.get("Handler"))
    return texts[0] if texts and len(texts) == 1 and "." in texts[0] and OPEN not in texts[0] else None


def _is_image(properties: Mapping[str, Any]) -> bool:
    return properties.get("PackageType") == "Image"


def _find_code(template: Template, function: _Function) -> Path | None:
    """Give the folder that is deployed, where the template names one on this machine."""
    metadata = as_table(template.resources[function.name].get("Metadata"))
    asset, context = metadata.get("aws:asset:path"), metadata.get("DockerContext")
    code = function.properties.get("CodeUri") or function.properties.get("Code")
    path = next((item for item in (asset, context, code) if isinstance(item, str)), "." if function.is_sam else None)
    folder = None if path is None else template.folder / path
    return folder if folder is not None and folder.is_dir() else None


def _find_declaring(target: str, folder: Path) -> tuple[list[Found], list[str]]:
    """Find what a handler declares; where it is a wrapper that hides it, what its module does."""
    for text in (target, target.rpartition(":")[0]):
        try:
            discovery = discover([text], root=folder)
        except InputError as error:
            if not str(error).endswith("is @inject_secrets missing?"):
                return [], [str(error)]
        else:
            return list(discovery.found), [str(failure) for failure in discovery.failures]
    return [], []


# --- The layer ----------------------------------------------------------------------------------------------------


def _check_layer(template: Template, function: _Function) -> Row:
    if _is_image(function.properties):
        return Row(function.name, "layer", "unknown", f"a container image: see that {_LAYER} is in its /opt.")
    layers = template.evaluate_list(function.properties.get("Layers"))
    attached = [_read_architectures(texts) for texts in layers if texts]
    known = [architectures for architectures in attached if architectures]
    wanted = _read_architecture(template, function.properties)
    if known and wanted is not None and not any(wanted in architectures for architectures in known):
        other = " and ".join(sorted(known[0]))
        return Row(
            function.name, "layer", "finding", f"{_LAYER} is the one for {other}, the function runs on {wanted}."
        )
    if known:
        return Row(function.name, "layer", "ok", _LAYER)
    if any(texts is None or any(OPEN in text for text in texts) for texts in layers):
        return Row(function.name, "layer", "unknown", f"one of its layers may be {_LAYER}.")
    what = f"{_LAYER} is not attached: `lambdasecrets layer` says how."
    return Row(function.name, "layer", "finding", what)


def _read_architectures(texts: Texts) -> set[str]:
    """Give the architectures of the extension that a layer can be; none where it is another layer."""
    found: set[str] = set()
    for text in texts:
        by_arn, by_parameter = _EXTENSION.search(text), _PUBLIC.search(text)
        if by_arn:
            found.add("arm64" if by_arn[1] else "x86_64")
        elif by_parameter:
            found.add("arm64" if by_parameter[1] == "arm64" else "x86_64")
        else:
            return set()
    return found


def _read_architecture(template: Template, properties: Mapping[str, Any]) -> str | None:
    texts = template.evaluate_list(properties.get("Architectures") or ["x86_64"])
    return texts[0][0] if texts and texts[0] and len(texts[0]) == 1 and OPEN not in texts[0][0] else None


# --- Variables ----------------------------------------------------------------------------------------------------


def _check_variables(
    function: _Function, declarations: Iterable[Secret | Parameter], given: Mapping[str, str]
) -> Iterator[tuple[str, Row]]:
    names = dict.fromkeys(name for declaration in declarations for name in declaration.variables)
    for name in names:
        yield name, _check_variable(function, name, declarations, given)


def _check_variable(
    function: _Function, name: str, declarations: Iterable[Secret | Parameter], given: Mapping[str, str]
) -> Row:
    if _OF_LAMBDA.fullmatch(name):
        return Row(function.name, "variable", "ok", f"{name} is set by Lambda.")
    if function.variables is None:
        return Row(function.name, "variable", "unknown", f"{name}: the variables are not written out.")
    if name not in function.variables:
        return Row(function.name, "variable", "finding", f"{name} is not set.")
    return _check_text(function, name, declarations, given)


def _check_text(
    function: _Function, name: str, declarations: Iterable[Secret | Parameter], given: Mapping[str, str]
) -> Row:
    texts = (function.variables or {})[name]
    if texts is None:
        return Row(function.name, "variable", "unknown", f"{name} is set, to what is not known before.")
    for declaration in declarations:
        if name in declaration.variables:
            for text in texts:
                # What the deployment fills in is taken for letters.
                known = dict.fromkeys(declaration.variables, "x") | {name: _fill_marks(text)}
                faults = bind(declaration, known, given.get(TENANT, "x"))
                if isinstance(faults, list) and faults[0].variable == name:
                    why = faults[0].why or "it is empty"
                    return Row(
                        function.name, "variable", "finding", f"{name} for {declaration}: {' '.join(why.split())}."
                    )
    return Row(function.name, "variable", "ok", f"{name} is set.")


def _fill_marks(text: str) -> str:
    return re.sub(f"{OPEN}[^{CLOSE}]*{CLOSE}", "x", text)


# --- Permissions --------------------------------------------------------------------------------------------------


def _check_permissions(
    template: Template, function: _Function, declarations: Iterable[Secret | Parameter], given: Mapping[str, str]
) -> Iterator[Row]:
    grants = read_grants(template, function.properties, is_sam=function.is_sam)
    seen: set[tuple[str, str]] = set()
    for declaration in declarations:
        texts = _fill_placeholders(function, declaration, given)
        if texts is None:
            what = f"what {declaration} needs: a variable that is not known before decides."
            yield Row(function.name, "permission", "unknown", what)
            continue
        for permission in declaration.permissions(placeholders=texts):
            wanted = _point_to_resource(template, declaration, permission, texts)
            if permission.role is None and (wanted.action, wanted.resource) not in seen:
                seen.add((wanted.action, wanted.resource))
                yield _judge_permission(function, grants, wanted)


def _fill_placeholders(
    function: _Function, declaration: Secret | Parameter, given: Mapping[str, str]
) -> dict[str, str] | None:
    """Give the texts of a declaration's placeholders; None where one is not known."""
    texts = {TENANT: given[TENANT]} if TENANT in given else {}
    for name in declaration.variables:
        found = (function.variables or {}).get(name)
        if _OF_LAMBDA.fullmatch(name):
            continue
        if found is None or len(found) != 1:
            return None
        texts[name] = found[0]
    return texts


def _point_to_resource(
    template: Template, declaration: Secret | Parameter, permission: Permission, texts: Mapping[str, str]
) -> Permission:
    """Take a name that is all reference to a secret of the template for what it is: the secret's ARN."""
    text = texts.get(declaration.name.strip("{}"), "")
    found = re.fullmatch(f"{OPEN}([^{CLOSE}.]+){CLOSE}", text)
    is_secret = found is not None and template.type_of(found[1]) == "AWS::SecretsManager::Secret"
    is_read = permission.action == "secretsmanager:GetSecretValue"
    return permission._replace(resource=text) if is_secret and is_read else permission


def _judge_permission(function: _Function, grants: Grants, permission: Permission) -> Row:
    what = f"{permission.action} on {_show(permission.resource)}"
    answer = grants.allows(permission)
    if answer == "allowed":
        return Row(function.name, "permission", "ok", what)
    if answer == "denied":
        return Row(function.name, "permission", "finding", f"{what} is denied by a statement of the role.")
    if answer == "missing":
        return Row(function.name, "permission", "finding", f"{what} is missing: `lambdasecrets policy` writes it.")
    why = grants.unknown[0] if grants.unknown else "a statement that is not wholly known"
    return Row(function.name, "permission", "unknown", f"{what}: {why} decides.")


def _show(resource: str) -> str:
    return resource.replace(OPEN, "${").replace(CLOSE, "}")


# --- The timeout --------------------------------------------------------------------------------------------------


def _check_timeout(template: Template, function: _Function, found: Iterable[Found]) -> Row:
    own = _read_seconds(template.evaluate(function.properties.get("Timeout", _DEFAULT_TIMEOUT_SECONDS)))
    variables = function.variables or {}
    default = _read_seconds(variables[_TIMEOUT]) if _TIMEOUT in variables else _DEFAULT_RESOLVE_SECONDS
    options = [default if item.timeout is None else item.timeout for item in found]
    if own is None or function.variables is None or any(option is None for option in options):
        return Row(function.name, "timeout", "unknown", "one of the timeouts is not known before it is deployed.")
    longest = max(option for option in options if option is not None)
    what = f"the function has {own:g} s, resolving may take {longest:g} s"
    if own > longest:
        return Row(function.name, "timeout", "ok", f"{what}.")
    return Row(
        function.name, "timeout", "finding", f"{what}: raise Timeout, or lower the option `timeout` or {_TIMEOUT}."
    )


def _read_seconds(texts: Texts | None) -> float | None:
    try:
        seconds = float(texts[0]) if texts and len(texts) == 1 else math.nan
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
