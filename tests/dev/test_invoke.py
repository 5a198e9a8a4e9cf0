import dataclasses
import io
import json
import logging
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets import ExtensionNotReadyError, MissingVariableError, ResolveEvent, UnsupportedByAgentError
from lambdasecrets.dev.discovery import find_root
from lambdasecrets.dev.invoke import (
    HandlerArgumentsError,
    InputError,
    LambdaContext,
    ResultError,
    Target,
    handler_traceback,
    invoke,
    read_event,
    read_variables,
)
from lambdasecrets.dev.stores import MemoryStore, SecretsFile

CANARY = "hunter2-canary"
WATCHED = logging.getLogger("lambdasecrets")

KEY_HANDLER = """
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets, resolve

@inject_secrets
def handler(event, context, *, key: Annotated[str, Secret("{STAGE}/key")]):
    return [event, len(key), resolve(Parameter("/page-size"), int)]
"""


@pytest.fixture
def secrets() -> SecretsFile:
    """A secret, a parameter and a variable."""
    store = MemoryStore()
    store.put_secret("dev/key", CANARY)
    store.put_parameter("/page-size", 25)
    return SecretsFile(store, {"STAGE": "dev"})


NOTHING = SecretsFile(MemoryStore(), {})


def target(folder: Path, code: str, attribute: str = "handler", name: str = "app.py") -> Target:
    """Write a module and name its handler."""
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return Target.parse(f"{path}:{attribute}")


def run(folder: Path, code: str, event: Any = None, secrets: SecretsFile = NOTHING, **options: Any) -> Any:
    """Write a module, invoke its handler and read the result."""
    return json.loads(invoke(target(folder, code), secrets, event, **options))


def test_a_target_is_a_file_or_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends with .py is a file, wherever it is; anything else is a module's name; the rest is the handler's."""
    folder = tmp_path / "some.folder"
    folder.mkdir()
    (tmp_path / "app.py").touch()
    monkeypatch.chdir(folder)
    file, module = Target.parse("../app.py:handler"), Target.parse("orders.api:service.handler")

    assert (folder / ".." / "app.py", "app", "handler") == (file.file, file.module, file.attribute)
    assert (module.file, module.module, module.attribute) == (None, "orders.api", "service.handler")
    assert (folder / "..", folder) == (file.folder, module.folder)


@pytest.mark.parametrize("text", ["", ":", "app.py", "app.handler", "app.py:", ":handler", "app:a..b", ".app:handler"])
def test_what_is_no_target_is_refused(text: str) -> None:
    """A target needs a file or a module, a colon and a name."""
    with pytest.raises(InputError) as caught:
        Target.parse(text)

    assert f"cannot read the target {text!r}: write path/to/app.py:handler or module:handler." == str(caught.value)


def test_a_file_that_is_not_there_is_refused() -> None:
    """The file is looked for before anything is run."""
    with pytest.raises(InputError, match=r"^nowhere/app\.py: there is no such file\.$"):
        Target.parse("nowhere/app.py:handler")


def test_an_attribute_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A dotted name is followed, and the whole of it named where it leads nowhere."""
    missing = target(tmp_path, "class Service: ...", "Service.handler")
    with pytest.raises(InputError) as caught:
        invoke(missing, NOTHING, None)

    assert f"{tmp_path}/app.py has no 'Service.handler'." == str(caught.value)


def test_what_cannot_be_called_is_refused(tmp_path: Path) -> None:
    """A handler has to be a function, or something else that can be called."""
    with pytest.raises(InputError) as caught:
        run(tmp_path, "handler = 7")

    assert f"'handler' of {tmp_path}/app.py is not a function." == str(caught.value)


@pytest.mark.parametrize("module", ["nowhere_to_be_found", "json.nowhere"])
def test_a_module_that_is_not_there_is_refused(module: str) -> None:
    """The error says where it was looked for."""
    with pytest.raises(InputError) as caught:
        invoke(Target.parse(f"{module}:handler"), NOTHING, None)

    assert f"there is no module {module!r} in {Path.cwd()} or installed." == str(caught.value)


def test_what_a_module_fails_to_import_is_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that imports what is not installed is found, and its error goes on."""
    monkeypatch.chdir(tmp_path)
    Path("app_that_fails.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        invoke(Target.parse("app_that_fails:handler"), NOTHING, None)


def test_a_module_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module's name is looked for as `python -m` does, and a method of an object in it is a handler."""
    monkeypatch.chdir(tmp_path)
    code = "class Service:\n    def handler(self, event, context): return event\nservice = Service()"
    Path("app_with_service.py").write_text(code, encoding="utf-8")

    assert invoke(Target.parse("app_with_service:service.handler"), NOTHING, {"a": "ä"}) == '{"a": "ä"}'


@pytest.fixture
def src(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with a package in `src`, and be in it."""
    package = tmp_path / "src" / "orders_of_src"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from orders_of_src import api", encoding="utf-8")
    (package / "names.py").write_text("NAME = 'from src'", encoding="utf-8")
    code = "from orders_of_src.names import NAME\nfrom .names import NAME as SAME\n"
    (package / "api.py").write_text(
        f"{code}def handler(event, context): return [NAME, SAME, __name__]", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["src/orders_of_src/api.py:handler", "orders_of_src.api:handler"])
def test_a_root_is_where_modules_are_imported_from(src: Path, text: str) -> None:
    """With a root a file is the module that it is from there, whether it is named by its file or by its name."""
    found = Target.parse(text, Path("src"))

    assert (found.module, found.attribute) == ("orders_of_src.api", "handler")
    assert found.folder == src / "src"
    assert json.loads(invoke(found, NOTHING, None)) == ["from src", "from src", "orders_of_src.api"]
    assert [name for name in sys.modules if name.startswith("orders_of_src")] == []


@pytest.mark.parametrize(
    ("file", "module"), [("src/orders_of_src/__init__.py", "orders_of_src"), ("src/__init__.py", "__init__")]
)
def test_a_package_is_a_module(src: Path, file: str, module: str) -> None:
    """The file of a package itself is the package."""
    (src / "src" / "__init__.py").touch()

    assert Target.parse(f"{file}:handler", src / "src").module == module


@pytest.mark.parametrize(
    ("text", "root", "problem"),
    [
        ("orders_of_src.api:handler", "nowhere", "nowhere: there is no such folder."),
        ("src/orders_of_src/api.py:handler", "nowhere", "src/orders_of_src/api.py is not in the root nowhere."),
        ("app.py:handler", "src", "app.py is not in the root src."),
    ],
)
def test_a_root_that_cannot_be_used_is_refused(src: Path, text: str, root: str, problem: str) -> None:
    """A root is a folder, and a file is somewhere in it."""
    (src / "app.py").touch()
    with pytest.raises(InputError) as caught:
        Target.parse(text, Path(root))

    assert problem == str(caught.value)


def test_a_module_in_src_is_seen(src: Path) -> None:
    """A module that is one folder further is not there, and the error says how to have it."""
    with pytest.raises(InputError) as caught:
        invoke(Target.parse("orders_of_src.api:handler"), NOTHING, None)

    assert str(caught.value) == (
        f"there is no module 'orders_of_src.api' in {src} or installed. It is in src: add --root src."
    )


def test_the_root_of_a_file_is_seen(src: Path) -> None:
    """What a file fails to import is in a folder above it, which is its root."""
    file = Target.parse("src/orders_of_src/api.py:handler")
    with pytest.raises(ModuleNotFoundError) as caught:
        invoke(file, NOTHING, None)

    assert caught.value.name == "orders_of_src"
    assert find_root("orders_of_src", file.folder) == src / "src"
    assert find_root("nowhere_to_be_found", file.folder) is None
    assert find_root("names", file.folder) is None


def test_a_file_is_run_whatever_its_name(tmp_path: Path) -> None:
    """A file with the name of an imported module is itself run, finds its neighbours, and takes no one's place."""
    (tmp_path / "neighbour_of_json.py").write_text("NAME = 'neighbour'", encoding="utf-8")
    code = "import sys, neighbour_of_json\ndef handler(event, context): return [neighbour_of_json.NAME, __file__, "
    file = target(tmp_path, f"{code}sys.modules[__name__].handler is handler]", name="json.py")

    assert json.loads(invoke(file, NOTHING, None)) == ["neighbour", f"{tmp_path}/json.py", True]
    assert sys.modules["json"] is json


def test_a_file_is_run_anew_each_time(tmp_path: Path) -> None:
    """Every invocation is a cold start, and leaves no module behind."""
    counting = target(tmp_path, "count = []\ndef handler(event, context): count.append(1); return len(count)")

    assert [invoke(counting, NOTHING, None) for _ in range(2)] == ["1", "1"]
    assert "app" not in sys.modules


@pytest.mark.parametrize(("text", "event"), [("{}", {}), ('{"a": [1, null]}', {"a": [1, None]}), ("7", 7)])
def test_an_event_is_json(text: str, event: object) -> None:
    """An event may be any JSON."""
    assert event == read_event(text)


def test_an_event_from_a_file(tmp_path: Path) -> None:
    """`@` and a path reads a file, as UTF-8."""
    path = tmp_path / "event.json"
    path.write_text('{"a": "ä"}', encoding="utf-8")

    assert read_event(f"@{path}") == {"a": "ä"}


def test_an_event_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, as UTF-8."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO('{"a": "ä"}'.encode())))

    assert read_event("-") == {"a": "ä"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a":\n oops}', ", line 2, column 2: not JSON: Expecting value."),
        (b'"\xe4"', ": not UTF-8 at byte 1."),
        (b"[" * 100_000, ": cannot read it: RecursionError."),
        (b"1" * 5_000, ": cannot read it: ValueError."),
    ],
)
def test_what_is_no_event_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    """The error says where the mistake is."""
    path = tmp_path / "event.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_event(f"@{path}")

    assert f"{path}{problem}" == str(caught.value)


def test_an_event_that_cannot_be_read_is_refused() -> None:
    """The error names the file, or says that it is the option's own text."""
    with pytest.raises(InputError, match=r"^nowhere\.json: cannot read the file: No such file or directory\.$"):
        read_event("@nowhere.json")
    with pytest.raises(InputError, match=r"^the event, line 1, column 1: not JSON: Expecting value\.$"):
        read_event("")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("event.json", " To read it from the file, write @event.json."),
        ("nowhere/event.json", " To read it from the file, write @nowhere/event.json."),
        ("order", " To read it from the file, write @order."),
        ("other", ""),
        ("x" * 5000, ""),
        ("x\0", ""),
    ],
)
def test_a_files_name_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, hint: str) -> None:
    """Who forgets the `@` is told of it."""
    monkeypatch.chdir(tmp_path)
    Path("order").touch()
    with pytest.raises(InputError) as caught:
        read_event(text)

    assert f"the event, line 1, column 1: not JSON: Expecting value.{hint}" == str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_an_event_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """An event may begin with a byte order mark, as PowerShell writes it."""
    path = tmp_path / "event.json"
    path.write_text('{"a": "ä"}', encoding=encoding)

    assert read_event(f"@{path}") == {"a": "ä"}
    assert read_event('\ufeff{"a": "ä"}') == {"a": "ä"}


def test_variables_are_names_and_values() -> None:
    """What follows the first `=` is the value, and the last of equal names counts."""
    assert read_variables(["A=1", "B=x=y", "C=", "A=2"]) == {"A": "2", "B": "x=y", "C": ""}


@pytest.mark.parametrize("text", ["", CANARY, f"={CANARY}"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    """The error says which one it is without its text, which may be a value."""
    with pytest.raises(InputError) as caught:
        read_variables(["A=1", text])

    assert str(caught.value) == "cannot read environment variable 2: write NAME=VALUE."


def test_the_handler_gets_what_it_declares(tmp_path: Path, secrets: SecretsFile) -> None:
    """Values come through the emulator, names are filled in from the file, and what was resolved is told."""
    events: list[ResolveEvent] = []

    assert run(tmp_path, KEY_HANDLER, {"a": 1}, secrets, on_resolve=events.append) == [{"a": 1}, 14, 25]
    assert [(event.owner, event.values[0].parameter) for event in events] == [("app.handler", "key"), ("resolve()", "")]
    assert CANARY not in repr(events)


def test_values_are_asked_for_anew_each_time(tmp_path: Path, secrets: SecretsFile) -> None:
    """Nothing is remembered from one invocation for the next, whatever `max_age` says."""
    variables = {"LAMBDASECRETS_MAX_AGE": "300"}
    first = run(tmp_path, KEY_HANDLER, None, secrets, variables=variables)
    secrets.store.put_parameter("/page-size", 26)

    assert (first, run(tmp_path, KEY_HANDLER, None, secrets, variables=variables)) == ([None, 14, 25], [None, 14, 26])


def test_a_failed_resolve_is_told(tmp_path: Path, secrets: SecretsFile) -> None:
    """The agent has no parameters: the event says what was resolved before and what failed."""
    events: list[ResolveEvent] = []
    with pytest.raises(UnsupportedByAgentError):
        run(tmp_path, KEY_HANDLER, None, secrets, profile="agent", on_resolve=events.append)

    assert [type(None), UnsupportedByAgentError] == [type(event.error) for event in events]


def test_further_variables_win(tmp_path: Path, secrets: SecretsFile) -> None:
    """An explicit variable wins over the file's: an empty one is none."""
    with pytest.raises(MissingVariableError, match="STAGE"):
        run(tmp_path, KEY_HANDLER, None, secrets, variables={"STAGE": ""})


def test_a_resolve_at_import_fails_as_in_lambda(tmp_path: Path, secrets: SecretsFile) -> None:
    """The server is there while the module is imported, but serves nothing before the invocation."""
    code = "from lambdasecrets import Parameter, resolve\nresolve(Parameter('/page-size'), int)"
    with pytest.raises(ExtensionNotReadyError, match="Was this called while the module was imported"):
        run(tmp_path, code, None, secrets)


LEADING_ELSEWHERE = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SECURITY_TOKEN",
    "AWS_SOMETHING_NEW_NEXT_YEAR",
    "AWS_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, [None, "made-up"]),
        ({"AWS_BEARER_TOKEN_BEDROCK": "given"}, ["given", "made-up"]),
        ({"AWS_ACCESS_KEY_ID": "given"}, [None, "given"]),
    ],
)
def test_a_handler_gets_no_credentials_but_those_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: list[str | None]
) -> None:
    """The developer's own credentials do not reach the handler; `--env` gives it others."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "the-user's")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-user's")
    code = (
        "import os\ndef handler(event, context):"
        " return [os.environ.get(name) for name in ('AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID')]"
    )

    assert expected == run(tmp_path, code, variables=variables)


USER_FILES = {
    "credentials": "[default]\naws_access_key_id = REAL\naws_secret_access_key = REAL\n"
    "[other]\naws_access_key_id = OTHER\naws_secret_access_key = OTHER\n",
    "config": "[profile third]\naws_access_key_id = THIRD\naws_secret_access_key = THIRD\n",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["made-up", "no other", "no third"]),
        ({"AWS_PROFILE": "other"}, ["OTHER", "OTHER", "THIRD"]),
        ({"AWS_DEFAULT_PROFILE": "other"}, ["OTHER", "OTHER", "THIRD"]),
    ],
)
def test_a_profile_is_found_only_where_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: list[str]
) -> None:
    """boto3 finds the made-up keys and no profile, unless `--env` gives the handler one."""
    for name, text in USER_FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    code = """
import boto3
def key(profile=None):
    try:
        return boto3.Session(profile_name=profile).get_credentials().access_key
    except Exception:
        return f"no {profile}"
def handler(event, context): return [key(), key("other"), key("third")]
"""

    assert expected == run(tmp_path, code, variables=variables)


def test_the_handlers_own_session_token_is_the_servers(tmp_path: Path, secrets: SecretsFile) -> None:
    """Where `--env` gives the handler a session token, the server asks for that."""
    assert run(tmp_path, KEY_HANDLER, None, secrets, variables={"AWS_SESSION_TOKEN": "given"}) == [None, 14, 25]


def test_the_context_has_the_account_and_the_tenant(tmp_path: Path) -> None:
    """The function is in the account of the secrets file, and is invoked for the tenant that is given."""
    store = MemoryStore(account="111122223333")
    code = "def handler(event, context): return [context.invoked_function_arn.split(':')[4], context.tenant_id]"

    assert run(tmp_path, code, None, SecretsFile(store, {}), tenant_id="acme") == ["111122223333", "acme"]
    assert run(tmp_path, code) == ["123456789012", None]


def test_the_environment_is_as_in_lambda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's variables are set, and those that would lead elsewhere are not."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in LEADING_ELSEWHERE:
        monkeypatch.setenv(name, "the-user's")
    before = dict(os.environ)
    during = run(tmp_path, "import os\ndef handler(event, context): return dict(os.environ)")
    added = {name: value for name, value in during.items() if before.get(name) != value}
    token, port = added.pop("AWS_SESSION_TOKEN"), added.pop("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT")
    stream, trace = added.pop("AWS_LAMBDA_LOG_STREAM_NAME"), added.pop("_X_AMZN_TRACE_ID")
    url = f"http://127.0.0.1:{port}"

    assert added == {
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": url,
        "AWS_ENDPOINT_URL_SSM": url,
        "AWS_ENDPOINT_URL_STS": url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "app",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/app",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "_HANDLER": "app.handler",
    }
    assert set(LEADING_ELSEWHERE) == before.keys() - during.keys()
    assert token
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", trace)


@pytest.mark.parametrize("ending", ["return 7", "raise KeyError"])
def test_everything_is_as_before_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Whether the handler returns or raises: environment, path, modules and log are what they were."""
    monkeypatch.setenv("AWS_PROFILE", "the-user's")
    code = f"import os, sys\ndef handler(*_):\n    os.environ['X'] = '1'\n    sys.path.append('x')\n    {ending}"

    def state() -> object:
        return dict(os.environ), list(sys.path), set(sys.modules), WATCHED.level, list(WATCHED.filters)

    before = state()
    with suppress(KeyError):
        run(tmp_path, code)

    assert before == state()


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_users_region_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A Region that the user has set is the function's."""
    for other in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "eu-central-1")
    code = "import os\ndef handler(event, context): return [os.environ['AWS_REGION'], context.invoked_function_arn]"

    assert run(tmp_path, code) == ["eu-central-1", "arn:aws:lambda:eu-central-1:123456789012:function:app"]


@pytest.mark.parametrize(("name", "value"), [("A=B", "x"), ("A", f"{CANARY}\0"), ("A", f"{CANARY}\ud800")])
def test_a_variable_that_cannot_be_set_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """What no environment takes is named without its value."""
    with pytest.raises(InputError) as caught:
        run(tmp_path, "", secrets=SecretsFile(MemoryStore(), {name: value}))

    assert f"cannot set the environment variable {name!r}: no system takes this name or value." == str(caught.value)


def test_the_context_is_as_in_lambda(tmp_path: Path) -> None:
    """The context says what the environment says, and has a new request's id."""
    code = "import dataclasses\ndef handler(event, context): return dataclasses.asdict(context)"
    variables = {
        "AWS_LAMBDA_FUNCTION_NAME": "orders",
        "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
        "AWS_REGION": "eu-west-1",
    }
    context = LambdaContext(**run(tmp_path, code, variables=variables))

    assert context == LambdaContext(
        function_name="orders",
        function_version="$LATEST",
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:orders",
        memory_limit_in_mb="128",
        aws_request_id=context.aws_request_id,
        log_group_name="/aws/lambda/app",
        log_stream_name="stream",
        ends=context.ends,
    )
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", context.aws_request_id)


def test_the_remaining_time_counts_down(tmp_path: Path) -> None:
    """The context begins at the timeout and ends at 0."""
    code = """
def handler(event, context):
    first = left = context.get_remaining_time_in_millis()
    while left > 59_990:
        left = context.get_remaining_time_in_millis()
    return [first, left]
"""
    first, left = run(tmp_path, code, timeout=60.0)

    assert 60_000 >= first >= left > 0


def test_a_handler_that_takes_too_long_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A handler is not ended at its timeout, so that it can be debugged, but Lambda would have ended it."""
    code = "def handler(event, context):\n    while context.get_remaining_time_in_millis(): pass\n    return 7"

    assert run(tmp_path, code, timeout=0.002) == 7
    assert caplog.messages == ["The handler took longer than its timeout of 0.002 s: Lambda would have ended it."]


@pytest.mark.parametrize(
    "code", [KEY_HANDLER.replace("def handler", "async def handler"), "async def handler(event, context): ..."]
)
def test_an_async_handler_fails_as_in_lambda(tmp_path: Path, secrets: SecretsFile, code: str) -> None:
    """Lambda's runtime awaits nothing: the coroutine is a result that it cannot send, and the error has the way out."""
    with pytest.raises(ResultError) as caught:
        run(tmp_path, code, None, secrets)

    assert str(caught.value) == (
        "Cannot send what the handler returned as JSON: Object of type coroutine is not JSON serializable. Lambda "
        "fails here too, with Runtime.MarshalError. Lambda calls plain functions and awaits nothing: keep the async "
        "function, with its declarations, under another name, and make the handler "
        "`def handler(event, context): return asyncio.run(main(event, context))`."
    )


def test_the_way_out_of_an_async_handler(tmp_path: Path, secrets: SecretsFile) -> None:
    """A plain handler that runs the async function is what the error advises, and works."""
    code = (
        "import asyncio\n"
        + KEY_HANDLER.replace("def handler", "async def main").replace("resolve(Parameter('/page-size'), int)", "25")
        + "\ndef handler(event, context): return asyncio.run(main(event, context))"
    )

    assert run(tmp_path, code, None, secrets) == [None, 14, 25]


@pytest.mark.parametrize(
    ("signature", "missing"),
    [
        ("event, context, *, key: Annotated[str, Secret('{STAGE}/key')]", "keyword-only argument: 'key'"),
        ("event, context, key, other", "positional arguments: 'key' and 'other'"),
    ],
)
def test_a_missing_decorator_is_seen(tmp_path: Path, signature: str, missing: str) -> None:
    """A handler that wants more than Lambda gives it has lost its decorator."""
    code = f"from typing import Annotated\nfrom lambdasecrets import Secret\ndef handler({signature}): ..."
    with pytest.raises(HandlerArgumentsError) as caught:
        run(tmp_path, code)

    assert str(caught.value).startswith("handler() missing ")
    assert str(caught.value).endswith(
        f"required {missing}. Lambda gives a handler the event and the context only. Is @inject_secrets missing, "
        "or above a decorator that hides the arguments from it?"
    )


@pytest.mark.parametrize(
    "body", ["def inner(*, key): ...\n    inner()", "raise TypeError('missing')", "int([])", "return handler()"]
)
def test_a_type_error_of_the_handler_is_its_own(tmp_path: Path, body: str) -> None:
    """What the handler itself raises is no missing decorator."""
    with pytest.raises(TypeError) as caught:
        run(tmp_path, f"def handler(event, context):\n    {body}")

    assert not isinstance(caught.value, HandlerArgumentsError)


def test_a_handler_with_too_few_parameters_is_its_own(tmp_path: Path) -> None:
    """A handler that takes no context fails as Python has it."""
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given") as caught:
        run(tmp_path, "def handler(event): ...")

    assert type(caught.value) is TypeError


@pytest.mark.parametrize(("level", "lines"), [(logging.DEBUG, 2), (logging.INFO, 0)])
def test_the_log_shows_what_it_would(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secrets: SecretsFile, level: int, lines: int
) -> None:
    """What was resolved is told without a change to what the library's log shows."""
    caplog.set_level(level, logger="lambdasecrets")
    events: list[ResolveEvent] = []
    run(tmp_path, KEY_HANDLER, None, secrets, on_resolve=events.append)

    assert len(events) == 2
    assert lines == sum(record.name == "lambdasecrets" for record in caplog.records)


def test_a_log_that_the_handler_turned_off_stays_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, secrets: SecretsFile
) -> None:
    """`logging.config` turns off the loggers that it does not know: what was resolved is told all the same."""
    monkeypatch.setattr(WATCHED, "disabled", False)
    events: list[ResolveEvent] = []
    code = f"import logging\nlogging.getLogger('lambdasecrets').disabled = True\n{KEY_HANDLER}"
    run(tmp_path, code, None, secrets, on_resolve=events.append)

    assert len(events) == 2
    assert WATCHED.disabled
    assert not [record for record in caplog.records if record.name == "lambdasecrets"]


def test_a_decimal_is_a_number(tmp_path: Path) -> None:
    """Decimals, which DynamoDB gives, become numbers, as Lambda's own encoder does it."""
    code = "from decimal import Decimal\ndef handler(event, context): return [Decimal('7'), Decimal('1.10')]"

    assert invoke(target(tmp_path, code), NOTHING, None) == "[7, 1.1]"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "class Order: name = 'CANARY'\ndef handler(*_): return [Order()]",
            "Object of type Order is not JSON serializable",
        ),
        ("def handler(*_): return {('CANARY',): 1}", "keys must be str, int, float, bool or None, not tuple"),
        ("def handler(*_):\n    it = ['CANARY']\n    it.append(it)\n    return it", "Circular reference detected"),
    ],
)
def test_a_result_that_is_not_json_is_refused(tmp_path: Path, code: str, why: str) -> None:
    """The error says what is wrong, in words that name types and never values."""
    with pytest.raises(ResultError) as caught:
        run(tmp_path, code.replace("CANARY", CANARY))

    assert str(caught.value) == (
        f"Cannot send what the handler returned as JSON: {why}. Lambda fails here too, with Runtime.MarshalError. "
        'Return plain data, such as `model.model_dump(mode="json")` or `dataclasses.asdict(item)`.'
    )
    assert why == caught.value.why


def test_a_traceback_is_the_handlers_own(tmp_path: Path, secrets: SecretsFile) -> None:
    """The frames of this library, of asyncio and of the import system are left out, and so are locals."""
    code = """
def handler(event, context): import asyncio; asyncio.run(main(event, context))
async def main(event, context):
    secret = "hunter2" "-canary"
    try:
        broken()
    except KeyError as error:
        raise RuntimeError("outer") from error

def broken():
    {}["missing"]
"""
    with pytest.raises(RuntimeError) as caught:
        run(tmp_path, code, None, secrets)
    lines = [line.strip() for line in handler_traceback(caught.value).splitlines() if "^" not in line]

    assert lines == [
        "Traceback (most recent call last):",
        f'File "{tmp_path}/app.py", line 6, in main',
        "broken()",
        f'File "{tmp_path}/app.py", line 11, in broken',
        '{}["missing"]',
        "KeyError: 'missing'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        f'File "{__file__}", line {caught.traceback[0].lineno + 1}, in test_a_traceback_is_the_handlers_own',
        "run(tmp_path, code, None, secrets)",
        f'File "{__file__}", line {caught.traceback[1].lineno + 1}, in run',
        "return json.loads(invoke(target(folder, code), secrets, event, **options))",
        f'File "{tmp_path}/app.py", line 2, in handler',
        "def handler(event, context): import asyncio; asyncio.run(main(event, context))",
        f'File "{tmp_path}/app.py", line 8, in main',
        'raise RuntimeError("outer") from error',
        "RuntimeError: outer",
    ]


def test_the_context_is_a_plain_object(tmp_path: Path) -> None:
    """A context compares and shows itself without the clock."""
    shown = run(tmp_path, "def handler(event, context): return repr(context)")

    assert "function_name='app'" in shown
    assert "ends" not in shown
    assert len(dataclasses.fields(LambdaContext)) == 11
