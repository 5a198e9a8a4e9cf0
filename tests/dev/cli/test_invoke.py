from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dev.aws_double import AwsDouble, running_aws
from tests.dev.cli.running import run

CANARY = "hunter2-canary"
SECRETS = f"""
[environment]
STAGE = "dev"
[secrets]
"dev/key" = "{CANARY}"
"tenants/acme" = "theirs"
"""
APP = """
import os
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets, resolve

count = []

@inject_secrets
def handler(event, context, *, key: Annotated[str, Secret("{STAGE}/key")]):
    count.append(key)
    return [len(count), len(key)]

def variables(event, context):
    return {name: os.environ.get(name) for name in event}

def tenant(event, context):
    return context.tenant_id

def plain(event, context, *, key: Annotated[str, Secret("{STAGE}/key")]): ...

def failing(event, context):
    count.append(1)
    if len(count) > 1:
        raise ValueError("second")
    return "first"

def swallowing(event, context):
    try:
        resolve(Parameter("/missing"), int)
    except Exception:
        return "swallowed"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a secrets file and handlers."""
    (tmp_path / "secrets.toml").write_text(SECRETS, encoding="utf-8")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(target: str, *options: str) -> tuple[int, str, str]:
    """Run `invoke` with the secrets file."""
    return run("invoke", target, "--secrets", "secrets.toml", *options)


def test_it_repeats() -> None:
    """`--repeat` invokes one environment several times, and tells what the cold and the warm ones cost."""
    code, out, err = invoke("app.py:handler", "--repeat", "3")
    steady = re.sub(r"\d+\.\d ms", "N ms", err).splitlines()

    assert (code, out) == (0, "[1, 14]\n[2, 14]\n[3, 14]\n")
    assert [line for line in steady if line.startswith("Resolved")] == ["Resolved for app.handler in N ms"] * 3
    assert steady[-4:] == [
        "Invocation 1: N ms, cold, after an import of N ms",
        "Invocation 2: N ms, warm",
        "Invocation 3: N ms, warm",
        "Cold N ms, warm N ms (median of 2)",
    ]


def test_it_stops_repeating_where_an_invocation_fails() -> None:
    """What the invocations before have returned, and have cost, is told all the same."""
    code, out, err = invoke("app.py:failing", "--repeat", "3")
    steady = re.sub(r"\d+\.\d ms", "N ms", err).splitlines()

    assert (code, out) == (1, '"first"\n')
    assert steady[0] == "Invocation 1: N ms, cold, after an import of N ms"
    assert steady[-1] == "ValueError: second"


def test_variables_come_from_a_file(folder: Path) -> None:
    """An env file gives variables, and `--env` wins."""
    (folder / ".env").write_text(
        "\ufeff# a comment\n\nA=1\nexport B = 'two words'\nC=\"x=y#z\"\nD=\nE='\nF=it's\n", encoding="utf-8"
    )
    code, out, _ = invoke(
        "app.py:variables", "--event", '["A", "B", "C", "D", "E", "F", "STAGE"]', "--env-file", ".env", "--env", "A=2"
    )

    assert (code, out) == (
        0,
        '{"A": "2", "B": "two words", "C": "x=y#z", "D": "", "E": "\'", "F": "it\'s", "STAGE": "dev"}\n',
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"A=1\n{CANARY}\n".encode(), ".env, line 2: cannot read an environment variable: write NAME=VALUE."),
        (f"A B={CANARY}".encode(), ".env, line 1: cannot read an environment variable: write NAME=VALUE."),
        (b"A=\xff", ".env: not UTF-8 at byte 2."),
        (None, ".env: cannot read the file: No such file or directory."),
    ],
)
def test_an_env_file_that_cannot_be_used_is_one_line(folder: Path, content: bytes | None, problem: str) -> None:
    """The error names the line, and shows nothing of it."""
    if content is not None:
        (folder / ".env").write_bytes(content)

    assert invoke("app.py:handler", "--env-file", ".env") == (2, "", f"Error: {problem}\n")


def test_a_tenant() -> None:
    """`--tenant-id` invokes a function with tenant isolation for a tenant."""
    assert invoke("app.py:tenant", "--tenant-id", "acme") == (0, '"acme"\n', "")


def test_a_missing_decorator_is_told() -> None:
    """A handler without its decorator gets no traceback, but what is missing."""
    code, out, err = invoke("app.py:plain")

    assert (code, out) == (1, "")
    assert err.startswith("TypeError: plain() missing 1 required keyword-only argument: 'key'. Lambda gives a handler ")
    assert "Is @inject_secrets missing" in err


def test_why_not_all_was_resolved_is_told() -> None:
    """An error that the handler has swallowed is told below the table; in short where it ended the invocation."""
    code, out, err = invoke("app.py:swallowing")
    lines = [line for line in err.splitlines() if not line.startswith("[")]

    assert (code, out) == (0, '"swallowed"\n')
    assert lines[0].startswith("Not all resolved for resolve() in ")
    assert lines[1].startswith("  UnresolvedError: Cannot resolve Parameter('/missing')")


def test_a_src_layout(folder: Path) -> None:
    """What a file in `src` fails to import is named with the root that has it; with that root it runs."""
    package = folder / "src" / "orders_of_cli"
    package.mkdir(parents=True)
    (package / "names.py").write_text("NAME = 'n'", encoding="utf-8")
    (package / "api.py").write_text(
        "from orders_of_cli.names import NAME\ndef handler(event, context): return NAME", encoding="utf-8"
    )
    code, out, err = invoke("src/orders_of_cli/api.py:handler")

    assert (code, out) == (1, "")
    assert err.splitlines()[-2:] == [
        "ModuleNotFoundError: No module named 'orders_of_cli'",
        f"orders_of_cli is in {folder}/src: add --root {folder}/src",
    ]
    assert invoke("src/orders_of_cli/api.py:handler", "--root", "src") == (0, '"n"\n', "")
    assert invoke("orders_of_cli.api:handler", "--root", "src") == (0, '"n"\n', "")


@pytest.mark.parametrize("options", [(), ("--root", ".")])
def test_what_is_not_installed_has_no_root(folder: Path, options: tuple[str, ...]) -> None:
    """A module that is nowhere is told without a hint."""
    (folder / "app.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    _, _, err = invoke("app.py:handler", *options)

    assert err.endswith("ModuleNotFoundError: No module named 'nowhere_to_be_found'\n")


def test_faults_and_denied_names_of_the_file(folder: Path) -> None:
    """What the secrets file denies, and lets go wrong, is so for the handler."""
    (folder / "secrets.toml").write_text(f'denied = ["dev/key"]\n{SECRETS}', encoding="utf-8")
    denied = invoke("app.py:handler")
    (folder / "secrets.toml").write_text(f'{SECRETS}[[faults]]\nname = "not-json"\n', encoding="utf-8")
    broken = invoke("app.py:handler")

    assert "api error AccessDeniedException: User: arn:" in denied[2]
    assert "ProtocolError: " in broken[2]
    (folder / "secrets.toml").write_text('[[faults]]\nname = "no"\n', encoding="utf-8")
    assert invoke("app.py:handler")[2].startswith("Error: secrets.toml, [[faults]] 0: there is no fault 'no': use one")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Run AWS, as moto plays it, with a secret."""
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        aws.client("secretsmanager").create_secret(Name="test/key", SecretString="four")
        yield aws


def test_aws_itself(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--aws` gives the stand-in the shell's credentials, and the handler made-up ones."""
    for name, value in aws.environment("secretsmanager:GetSecretValue").items():
        monkeypatch.setenv(name, value)

    assert run("invoke", "app.py:handler", "--aws", "--env", "STAGE=test")[:2] == (0, "[1, 4]\n")
    assert run("invoke", "app.py:variables", "--aws", "--event", '["AWS_ACCESS_KEY_ID"]')[:2] == (
        0,
        '{"AWS_ACCESS_KEY_ID": "made-up"}\n',
    )


def test_neither_a_file_nor_aws() -> None:
    """Where the values come from has to be said."""
    assert run("invoke", "app.py:handler") == (2, "", "Error: give either --secrets FILE or --aws.\n")
