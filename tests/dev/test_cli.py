import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS = 60.0  # long enough for a busy machine: no test waits for it
ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
CANARY = "hunter2-canary"

SECRETS = f"""
environment = {{ STAGE = "dev" }}
secrets = {{ "dev/key" = "{CANARY}" }}
parameters = {{ "/page-size" = 25, "/regions" = ["eu-central-1", "eu-west-1"] }}
"""
APP = """
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets

@inject_secrets
def handler(event, context, *, key: Annotated[str, Secret("{STAGE}/key")]):
    print("printed")
    return {"event": event, "key": len(key)}

@inject_secrets
def broken(event, context, *, key: Annotated[str, Secret("{STAGE}/key")]):
    raise ValueError("broken")

@inject_secrets
def refused(event, context, *, key: Annotated[int, Secret("{STAGE}/key")]): ...

@inject_secrets
def missing(event, context, *, size: Annotated[int, Parameter("/missing")] = 50):
    return size

def leaving(event, context):
    raise SystemExit(0)

def lone(event, context):
    return "\\ud800"

def shapeless(event, context):
    return object()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secrets file and handlers."""
    (tmp_path / "secrets.toml").write_text(SECRETS, encoding="utf-8")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def run(
    *arguments: str, folder: Path = ROOT, program: Sequence[str] = ("-m", "lambdasecrets"), given: str = ""
) -> tuple[int, str, str]:
    """Run the command line and return its exit code, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def invoke(folder: Path, target: str, *options: str, given: str = "") -> tuple[int, str, str]:
    """Run `invoke` in a folder with its secrets file."""
    return run("invoke", target, "--secrets", "secrets.toml", *options, folder=folder, given=given)


def steady(text: str) -> str:
    """Put names in the place of what differs from run to run."""
    text = re.sub(r"\d+\.\d ms", "N ms", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    return re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|(?<=on port )\d+", "<now>", text)


def test_the_quickstart() -> None:
    """The quickstart's result is on standard output; what was resolved, without values, on standard error."""
    target, secrets = "examples/quickstart/src/app.py:handler", "examples/quickstart/secrets.toml"
    code, out, err = run("invoke", target, "--secrets", secrets, "--event", '{"order_id": 7}')

    assert code == 0
    assert out == (
        '{"order_id": 7, "database": "orders@db.internal:5432", "api_key_configured": true, "page_size": 25, '
        '"regions": ["eu-central-1", "eu-west-1"]}\n'
    )
    assert steady(err) == (
        "Resolved for app.handler in N ms\n"
        "  PARAMETER  KIND       NAME                 SOURCE  VERSION\n"
        "  database   secret     dev/orders/database  server  <id>\n"
        "  api_key    secret     dev/orders/stripe    server  <id>\n"
        "  page_size  parameter  /orders/page-size    server  1\n"
        "  regions    parameter  /orders/regions      server  1\n"
    )


def test_a_module_and_an_event_from_standard_input(folder: Path) -> None:
    """What the handler prints goes to standard error, so that standard output is the result alone."""
    code, out, err = invoke(folder, "app:handler", "--event", "-", given='{"name": "Grüße"}')

    assert (code, out) == (0, '{"event": {"name": "Grüße"}, "key": 14}\n')
    assert err.startswith("printed\nResolved for app.handler in ")
    assert CANARY not in err


def test_an_event_from_a_file_and_a_variable(folder: Path) -> None:
    """A variable from the command line wins over the file's, here to a secret that is not there."""
    (folder / "event.json").write_text("[1]", encoding="utf-8")
    code, out, err = invoke(folder, "app.py:handler", "--event", "@event.json", "--env", "STAGE=test")

    assert (code, out) == (1, "")
    assert (
        "UnresolvedError: Cannot resolve 'key' of app.handler, Secret('{STAGE}/key') (filled in as 'test/key')" in err
    )
    assert "api error ResourceNotFoundException: " in err


def test_verbose_shows_the_servers_log(folder: Path) -> None:
    """`--verbose` shows every request, and no value."""
    code, _, err = invoke(folder, "app.py:handler", "--verbose")
    lines = steady(err).splitlines()[:4]

    assert code == 0
    assert lines == [
        "[AWS Parameters and Secrets Lambda Extension] <now> INFO Serving on port <now>",
        "[AWS Parameters and Secrets Lambda Extension] <now> INFO ready to serve traffic",
        "GET /secretsmanager/get?secretId=dev%2Fkey: 200",
        "printed",
    ]


def test_the_agents_profile(folder: Path) -> None:
    """`--profile agent` answers as the agent does, which tells what is missing."""
    code, out, err = invoke(folder, "app.py:handler", "--profile", "agent", "--env", "STAGE=test")

    assert (code, out) == (1, "")
    assert "NotFoundError: Cannot resolve 'key' of app.handler, Secret('{STAGE}/key') (filled in as 'test/key')" in err


def test_a_default_has_no_version(folder: Path) -> None:
    """A default is told as such."""
    code, out, err = invoke(folder, "app.py:missing")

    assert (code, out) == (0, "50\n")
    assert "  size       parameter  /missing  default  -\n" in err


def test_an_error_of_the_library_is_told_plainly(folder: Path) -> None:
    """A value that does not fit is told in the error's own words, without a traceback."""
    code, out, err = invoke(folder, "app.py:refused")

    assert (code, out) == (1, "")
    assert steady(err) == (
        "Not all resolved for app.refused in N ms\n"
        "  PARAMETER  KIND    NAME     SOURCE  VERSION\n"
        "  key        secret  dev/key  server  <id>\n"
        "InvalidValueError: Cannot resolve 'key' of app.refused, Secret('{STAGE}/key') (filled in as "
        "'dev/key'): the value does not fit int\n"
        "  - int_parsing (not a whole number)\n"
        "The value itself is not shown. Correct the value in AWS, or the declared type.\n"
    )


def test_an_error_of_the_handler_is_told_with_its_frames(folder: Path) -> None:
    """The traceback is the handler's own."""
    code, out, err = invoke(folder, "app.py:broken")
    traceback = err.partition("Traceback")[2].splitlines()

    assert (code, out) == (1, "")
    assert traceback == [
        " (most recent call last):",
        f'  File "{folder}/app.py", line 12, in broken',
        '    raise ValueError("broken")',
        "ValueError: broken",
    ]


def test_an_error_at_import_is_the_handlers(folder: Path) -> None:
    """A module that cannot be compiled is told with its place, and without this library's frames."""
    (folder / "app.py").write_text("def handler(", encoding="utf-8")
    code, out, err = invoke(folder, "app.py:handler")

    assert (code, out) == (1, "")
    assert f'  File "{folder}/app.py", line 1\n' in err
    assert err.endswith("SyntaxError: '(' was never closed\n")
    assert "invoke.py" not in err


def test_a_handler_that_exits_has_failed(folder: Path) -> None:
    """A handler that ends its process has failed in Lambda, whatever its exit code."""
    code, out, err = invoke(folder, "app.py:leaving")

    assert (code, out) == (1, "")
    assert err.endswith("SystemExit: 0\n")


def test_a_result_that_is_not_json(folder: Path) -> None:
    """A result that Lambda could not send is an error of the handler."""
    code, out, err = invoke(folder, "app.py:shapeless")

    assert (code, out) == (1, "")
    assert err == (
        "Error: Cannot send what the handler returned as JSON: Object of type object is not JSON serializable. Lambda "
        'fails here too, with Runtime.MarshalError. Return plain data, such as `model.model_dump(mode="json")` or '
        "`dataclasses.asdict(item)`.\n"
    )


def test_a_result_without_utf8_is_escaped(folder: Path) -> None:
    """A lone surrogate, which UTF-8 does not have, is printed as JSON's escape."""
    assert invoke(folder, "app.py:lone") == (0, '"\\ud800"\n', "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nowhere.py:handler",), "nowhere.py: there is no such file."),
        (("app.handler",), "cannot read the target 'app.handler': write path/to/app.py:handler or module:handler."),
        (("app.py:nowhere",), "{folder}/app.py has no 'nowhere'."),
        (("nowhere:handler",), "there is no module 'nowhere' in {folder} or installed."),
        (("app.py:handler", "--event", '{"a" 1}'), "the event, line 1, column 6: not JSON: Expecting ':' delimiter."),
        (("app.py:handler", "--event", "@no.json"), "no.json: cannot read the file: No such file or directory."),
        (("app.py:handler", "--env", "A"), "cannot read environment variable 1: write NAME=VALUE."),
        (("app.py:handler", "--secrets", "no.toml"), "no.toml: cannot read the file: No such file or directory."),
        (("app.py:handler", "--secrets", "bad.toml"), "bad.toml, line 2, column 3: not TOML: Invalid value."),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: tuple[str, ...], error: str) -> None:
    """What cannot be used is named in one line, with its place and without a traceback."""
    (folder / "bad.toml").write_text("\na=\n", encoding="utf-8")

    assert invoke(folder, *arguments) == (2, "", f"Error: {error.format(folder=folder)}\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("invoke",), "Missing argument 'TARGET'."),
        (("invoke", "app.py:handler"), "Error: give either --secrets FILE or --aws."),
        (("serve", "--secrets", "x", "--profile", "both"), "'both' is not one of 'extension', 'agent'."),
        (("serve", "--secrets", "x", "--port", "65536"), "Invalid value for '--port': "),
        (("invoke", "app.py:handler", "--secrets", "x", "--timeout", "nan"), "Invalid value for '--timeout': "),
        (("nowhere",), "No such command 'nowhere'."),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: tuple[str, ...], error: str) -> None:
    """A mistake in the command line is named below the usage."""
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert error in err.splitlines()[-1]


def test_version() -> None:
    """`--version` prints the installed version."""
    code, out, err = run("--version")

    assert (code, err) == (0, "")
    assert re.fullmatch(r"lambdasecrets \d+\.\d+\.\d+\n", out)


@pytest.mark.parametrize("arguments", [("--help",), ()])
def test_help_lists_the_commands(arguments: tuple[str, ...]) -> None:
    """Without a command, the commands are listed, those that the page has headings for."""
    _, out, err = run(*arguments)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    listed = re.findall(r"^  ([a-z][a-z-]*)  +[A-Z]", f"{out}{err}", re.MULTILINE)
    assert sorted(listed) == sorted(re.findall(r"^## `([a-z-]+)`$", page, re.MULTILINE))


@pytest.mark.parametrize("command", ["invoke", "serve"])
def test_help_shows_examples(command: str) -> None:
    """The help of every command has examples, each on a line of its own."""
    code, out, err = run(command, "--help")

    assert (code, err) == (0, "")
    assert re.search(rf"^  Examples:\n    lambdasecrets {command} .*--secrets secrets\.toml", out, re.MULTILINE)


@pytest.mark.parametrize("command", ["invoke", "serve"])
def test_every_option_is_documented(command: str) -> None:
    """The page's table lists the options of each command, in the help's order."""
    _, out, _ = run(command, "--help")
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{command}`\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)

    assert documented == re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE)


@pytest.mark.parametrize(
    "door",
    [
        "from lambdasecrets.dev.cli import main; main()",
        "import runpy; runpy.run_module('lambdasecrets', None, '__main__')",
    ],
)
def test_without_the_extra_it_says_what_to_install(door: str) -> None:
    """Without the extra, the script and `python -m` print one line."""
    # None in sys.modules is Python's own way to say that a module is not to be had.
    result = run(program=("-c", f"import sys; sys.modules['typer'] = None; {door}"))

    assert result == (2, "", "The command line needs an extra: pip install 'lambdasecrets[cli]'\n")


def test_another_missing_module_is_no_missing_extra() -> None:
    """What is missing for another reason is not explained away."""
    missing = "import sys; sys.modules['lambdasecrets.dev.emulator'] = None"
    code, out, err = run(program=("-c", f"{missing}; from lambdasecrets.dev.cli import main; main()"))

    assert (code, out) == (1, "")
    # Since Python 3.15 there is a hint behind it.
    assert "\nModuleNotFoundError: import of lambdasecrets.dev.emulator halted; None in sys.modules" in err


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `serve` in a folder with its secrets file; give the process and the line that it prints."""
    command = [sys.executable, "-m", "lambdasecrets", "serve", "--secrets", "secrets.toml", *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        too_late = threading.Timer(SECONDS, process.kill)
        too_late.start()
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            too_late.cancel()
            process.kill()


def ask(port: int, token: str, target: str) -> tuple[int, str]:
    """Ask by plain HTTP and return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("GET", target, headers={"X-Aws-Parameters-Secrets-Token": token})
    answer = connection.getresponse()
    status, body = answer.status, answer.read().decode()
    connection.close()
    return status, body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_until_a_signal(folder: Path, number: signal.Signals) -> None:
    """It prints where it is, answers, logs requests without values, and ends well."""
    with serving(folder, "--port", "0", "--token", "a b") as (process, line):
        found = re.fullmatch(
            r"export STAGE=dev AWS_ACCESS_KEY_ID=made-up AWS_ENDPOINT_URL_SECRETS_MANAGER=http://127\.0\.0\.1:\d+ "
            r"AWS_ENDPOINT_URL_SSM=http://127\.0\.0\.1:\d+ AWS_ENDPOINT_URL_STS=http://127\.0\.0\.1:\d+ "
            r"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false AWS_SECRET_ACCESS_KEY=made-up AWS_SESSION_TOKEN='a b' "
            r"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=(\d+)\n",
            line,
        )
        assert found
        status, body = ask(int(found[1]), "a b", "/secretsmanager/get?secretId=dev%2Fkey")
        refused = ask(int(found[1]), "x", "/secretsmanager/get?secretId=dev%2Fkey")
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)

    assert (status, CANARY in body, refused) == (200, True, (401, "bad session token or header key"))
    assert (process.returncode, out) == (0, "")
    assert steady(err) == (
        "[AWS Parameters and Secrets Lambda Extension] <now> INFO Serving on port <now>\n"
        "GET /secretsmanager/get?secretId=dev%2Fkey: 200\n"
        "GET /secretsmanager/get?secretId=dev%2Fkey: 401\n"
    )


def test_a_process_finds_the_server(folder: Path) -> None:
    """What is printed is all that a process needs."""
    program = "from lambdasecrets import Parameter, resolve; print(resolve(Parameter('/regions'), list[str]))"
    with serving(folder, "--port", "0") as (_, line):
        done = subprocess.run(
            ["sh", "-c", f'{line.strip()}; exec "$0" -c "$1"', sys.executable, program],  # noqa: S607 - any shell
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )

    assert (done.stdout, done.stderr) == ("['eu-central-1', 'eu-west-1']\n", "")


def test_serve_as_the_agent(folder: Path) -> None:
    """The agent has its own answers, and a longer limit of its cache."""
    with serving(folder, "--port", "0", "--profile", "agent", "--ttl", "3601") as (process, line):
        status, body = ask(int(line.rpartition("=")[2]), "x", "/secretsmanager/get?secretId=dev%2Fkey")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=SECONDS)

    assert (status, body) == (403, "Bad Token")
    assert "WARN TTL 3601 is more than 3600 seconds, using 3600\n" in err


def test_a_port_in_use_is_one_line(folder: Path) -> None:
    """A port that is taken is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--secrets", "secrets.toml", "--port", str(port), folder=folder)

    assert result == (
        2,
        "",
        f"Error: cannot listen on port {port}: Address already in use. Choose another one with --port, or 0.\n",
    )


def test_serve_refuses_a_bad_secrets_file(folder: Path) -> None:
    """A secrets file that cannot be used is named in one line, with the place."""
    (folder / "bad.json").write_text("{\n  oops\n}", encoding="utf-8")

    assert run("serve", "--secrets", "bad.json", folder=folder) == (
        2,
        "",
        "Error: bad.json, line 2, column 3: not JSON: Expecting property name enclosed in double quotes.\n",
    )


def test_serve_ends_though_the_shell_ignores_interrupts(folder: Path) -> None:
    """A shell that starts it in the background has SIGINT ignored: it ends it all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with serving(folder, "--port", "0") as (process, _):
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=SECONDS)
    finally:
        signal.signal(signal.SIGINT, before)

    assert process.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The completion of a shell that can have it names the commands."""
    monkeypatch.setenv("_LAMBDASECRETS_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", "lambdasecrets ")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "lambdasecrets ")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    _, out, _ = run(
        program=("-c", "import sys; sys.argv = ['lambdasecrets']; from lambdasecrets.dev.cli import main; main()")
    )

    assert "invoke" in out
    assert "serve" in out
