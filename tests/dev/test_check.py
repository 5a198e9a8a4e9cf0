"""`lambdasecrets check`: what each declaration comes to over a file, AWS and a server, and how the command ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.check import Checked, Source, check, open_aws, open_endpoint, open_secrets_file
from lambdasecrets.dev.discovery import InputError, discover
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore, StoredSecret, StoreError
from tests.reliability.canary import CANARY

ROLE = "arn:aws:iam::210987654321:role/reader"
SECONDS = 60.0

APP = f"""
from __future__ import annotations
from typing import Annotated
from pydantic import BaseModel, model_validator
from lambdasecrets import Parameter, Secret, inject_secrets

class Database(BaseModel):
    host: str
    port: int = 5432

class Limits(BaseModel):
    least: Annotated[int, Parameter("/least")]
    most: Annotated[int, Parameter("/most")] = 10

    @model_validator(mode="after")
    def check(self) -> Limits:
        if self.least > self.most:
            raise ValueError("{CANARY}")
        return self

class Unused(BaseModel):
    key: Annotated[str, Secret("plain")]

@inject_secrets
def handler(event, context, *, database: Annotated[Database, Secret("{{STAGE}}/db")],
            plain: Annotated[str, Secret("plain")],
            size: Annotated[int, Parameter("/size")] = 50): ...

@inject_secrets
def limited(event, context, *, limits: Limits): ...

@inject_secrets
def tenant(event, context, *, key: Annotated[str, Secret("tenants/{{context.tenant_id}}/key")]): ...

@inject_secrets
def shared(event, context, *, key: Annotated[str, Secret("shared", role_arn="{ROLE}")]): ...
"""
SECRETS = f"""
[environment]
STAGE = "test"
[secrets]
"test/db" = {{ host = "{CANARY}" }}
"plain" = "{CANARY}"
"tenants/acme/key" = "{CANARY}"
"arn:aws:secretsmanager:us-east-1:210987654321:secret:shared-AbCdEf" = "{CANARY}"
[parameters]
"/size" = 7
"/least" = 1
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with handlers and a secrets file the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "secrets.toml").write_text(SECRETS, encoding="utf-8")
    return tmp_path


def rows(target: str, source: Source, placeholders: Mapping[str, str] | None = None) -> list[Checked]:
    """Check a target, and see to it that no value is shown."""
    found = discover([target], variables=source.environment).found
    progress: list[None] = []
    checked = check(found, source, placeholders or {}, lambda: progress.append(None))
    assert CANARY not in repr(checked)
    assert len(progress) == sum(len(item.declarations) for item in found)
    return checked


def brief(checked: list[Checked]) -> dict[str, tuple[str, str]]:
    """Give the verdict and the remedy of each parameter."""
    return {row.parameter: (row.verdict, row.remedy) for row in checked}


def edit(old: str, new: str) -> Source:
    """Change the secrets file, and open it."""
    path = Path("secrets.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return open_secrets_file(path)


# --- A secrets file -----------------------------------------------------------------------------------------------


def test_all_is_well() -> None:
    """Each declaration is listed with its name filled in, its type and the version that was read."""
    checked = rows("app.py:handler", open_secrets_file(Path("secrets.toml")))
    version = checked[0].version

    assert checked == [
        Checked("app.py:handler", "database", "secret", "test/db", "Database", version, "ok", ""),
        Checked("app.py:handler", "plain", "secret", "plain", "str", checked[1].version, "ok", ""),
        Checked("app.py:handler", "size", "parameter", "/size", "int", "1", "ok", ""),
    ]
    assert len(version or "") == 36
    assert [row.is_finding for row in checked] == [False] * 3


@pytest.mark.parametrize(
    ("old", "new", "parameter", "verdict", "remedy"),
    [
        ('"plain" =', '"plane" =', "plain", "not found", "Put it into secrets.toml."),
        ('"/size" = 7', "", "size", "default", ""),
        (
            '"/size" = 7',
            '"/size" = "many"',
            "size",
            "wrong shape",
            "int_parsing (not a whole number). Correct the value, or the declared type.",
        ),
        (
            "host =",
            "hosts =",
            "database",
            "wrong shape",
            "host: missing (has no member 'host'). Correct the value, or the declared type.",
        ),
        ('STAGE = "test"', "", "database", "not set", "Give it with --set STAGE=..."),
        ('STAGE = "test"', 'STAGE = "a b"', "database", "bad name", "STAGE: "),
    ],
)
def test_a_finding_in_a_file(old: str, new: str, parameter: str, verdict: str, remedy: str) -> None:
    """What is missing, has the wrong shape or has no name is told, with what to do; all else is fine."""
    checked = brief(rows("app.py:handler", edit(old, new)))

    assert (checked[parameter][0], checked[parameter][1].startswith(remedy)) == (verdict, True), checked[parameter]
    assert {name for name, (found, _) in checked.items() if found != "ok"} == {parameter}


def test_a_text_of_ones_own_wins() -> None:
    """A placeholder that is given wins over the file's variable, and over the environment."""
    source = edit('"test/db"', '"mine/db"')

    assert brief(rows("app.py:handler", source, {"STAGE": "mine"}))["database"] == ("ok", "")


def test_a_tenant() -> None:
    """A tenant is given as a placeholder; without one it is not checked, which is a finding."""
    source = open_secrets_file(Path("secrets.toml"))

    assert brief(rows("app.py:tenant", source, {"context.tenant_id": "acme"})) == {"key": ("ok", "")}
    assert brief(rows("app.py:tenant", source)) == {"key": ("not set", "Give it with --set context.tenant_id=...")}
    assert brief(rows("app.py:tenant", source, {"context.tenant_id": "none"}))["key"][0] == "not found"


def test_a_role() -> None:
    """A secret that is read with a role is the one of the role's account."""
    assert brief(rows("app.py:shared", open_secrets_file(Path("secrets.toml")))) == {"key": ("ok", "")}
    source = edit("210987654321", "999988887777")
    assert brief(rows("app.py:shared", source))["key"] == ("not found", "Put it into secrets.toml.")


def test_config_models() -> None:
    """Fields of config models are checked one by one, then the model as a whole; a model by itself too."""
    source = open_secrets_file(Path("secrets.toml"))

    assert brief(rows("app.py:limited", source)) == {"limits.least": ("ok", ""), "limits.most": ("default", "")}
    assert brief(rows("app.py:Unused", source)) == {"key": ("ok", "")}
    assert brief(rows("app.py:limited", edit('"/least" = 1', '"/least" = 11'))) == {
        "limits.least": ("ok", ""),
        "limits.most": ("default", ""),
        "limits": ("wrong shape", "value_error (refused by a validator). Correct the value, or the declared type."),
    }
    (whole,) = [row for row in rows("app.py:Limits", open_secrets_file(Path("secrets.toml"))) if row.kind == "model"]
    assert (whole.parameter, whole.name, whole.verdict) == ("", "Limits", "wrong shape")
    assert len(rows("app.py:limited", edit('"/least" = 11', ""))) == 2


def test_everything_at_once() -> None:
    """Handlers of one module are checked together, in their order, whatever server each needs."""
    checked = rows("app.py", open_secrets_file(Path("secrets.toml")), {"context.tenant_id": "acme"})

    assert [(row.target.partition(":")[2], row.parameter) for row in checked if row.verdict == "ok"] == [
        ("Unused", "key"),
        ("handler", "database"),
        ("handler", "plain"),
        ("handler", "size"),
        ("limited", "limits.least"),
        ("tenant", "key"),
        ("shared", "key"),
    ]


def test_a_variable_that_no_system_takes() -> None:
    """A variable that cannot be set is refused with its name."""
    with pytest.raises(InputError, match=r"^cannot set the environment variable 'STAGE': no system takes"):
        rows("app.py:limited", Source("file", MemoryStore(), {}), {"STAGE": f"{CANARY}\0"})


# --- AWS: a stand-in, through boto3 -------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryStore]:
    """Serve AWS on this machine; give its store."""
    store = MemoryStore()
    store.put_secret("test/db", {"host": CANARY})
    store.put_secret("plain", CANARY)
    store.put_parameter("/size", 7)
    with Emulator(store) as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield store


GIVEN = {"STAGE": "test"}


def test_all_is_well_in_aws(aws: MemoryStore) -> None:
    """Over AWS each declaration is met as over a file."""
    assert set(brief(rows("app.py:handler", open_aws(), GIVEN)).values()) == {("ok", "")}


def test_findings_in_aws(aws: MemoryStore) -> None:
    """AWS's own cause is told, which the extension would not tell: also for what has a default."""
    aws.deny("plain")
    aws.deny("/size")
    aws.delete("test/db")
    checked = brief(rows("app.py:handler", open_aws(), GIVEN))

    assert {name: verdict for name, (verdict, _) in checked.items()} == {
        "database": "not found",
        "plain": "denied",
        "size": "denied",
    }
    assert "secretsmanager:GetSecretValue on " in checked["plain"][1]
    assert "ssm:GetParameter on " in checked["size"][1]


def test_credentials_that_aws_does_not_accept(aws: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS lets nobody in, that is the one cause, and no finding."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    with pytest.raises(InputError, match=r"^cannot check: AWS does not accept the credentials"):
        rows("app.py:handler", open_aws(), GIVEN)


def test_aws_without_a_region(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a Region AWS cannot be asked."""
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(InputError, match=r"^cannot ask AWS \(NoRegionError\): set AWS_REGION, and AWS_PROFILE"):
        open_aws()


def test_aws_without_boto3() -> None:
    """Without boto3 the extra is named."""
    program = "import sys; sys.modules['boto3'] = None; from lambdasecrets.dev.check import open_aws; open_aws()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert "InputError: Cannot use AWS as a store: boto3 is not installed." in done.stderr


class Recovering(MemoryStore):
    """Has nothing when it is asked for the first two times."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def secret(self, secret_id: str, **selector: Any) -> StoredSecret:
        self.asked += 1
        if self.asked < 3:
            raise StoreError("ResourceNotFoundException", "made up")
        return super().secret(secret_id, **selector)


def test_what_comes_too_late() -> None:
    """A value that is there when the cause is asked for was refused all the same."""
    store = Recovering()
    store.put_secret("plain", CANARY)

    assert brief(rows("app.py:Unused", Source("AWS", store)))["key"][0] == "refused"


# --- A server -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["extension", "agent"])
def test_a_server(monkeypatch: pytest.MonkeyPatch, profile: Any) -> None:
    """A server on this machine is asked with the token of the environment."""
    store = MemoryStore()
    store.put_secret("plain", CANARY)
    with Emulator(store, profile=profile) as server:
        monkeypatch.setenv("AWS_SESSION_TOKEN", server.token)
        monkeypatch.setenv("STAGE", "test")
        checked = brief(rows("app.py:handler", open_endpoint(f"http://localhost:{server.port}/")))

    verdicts = {name: verdict for name, (verdict, _) in checked.items()}
    expected = {"extension": ("refused", "default"), "agent": ("not found", "failed")}[profile]
    assert verdicts == {"database": expected[0], "plain": "ok", "size": expected[1]}
    if profile == "extension":
        assert checked["database"][1] == (
            "It is not there, or may not be read, or not decrypted: the server's log tells."
        )


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, or the token is wrong, that is the one cause, and no finding."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    with pytest.raises(InputError, match=r"^cannot check: nothing answered on 127\.0\.0\.1:1 "):
        rows("app.py:handler", open_endpoint("http://127.0.0.1:1"), GIVEN)
    refused = pytest.raises(InputError, match=r"^cannot check: the extension answered 401")
    with Emulator(MemoryStore()) as server, refused:
        rows("app.py:handler", open_endpoint(server.url), GIVEN)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com:2773",
        "http://10.0.0.1:2773",
        "http://127.0.0.1",
        "https://127.0.0.1:2773",
        "http://user@127.0.0.1:2773",
        "http://127.0.0.1:2773/path",
        "http://127.0.0.1:2773?x=y",
        "http://127.0.0.1:port",
        "http://[127.0.0.1:2773",
        "2773",
        "",
    ],
)
def test_a_server_elsewhere(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A server that is not on this machine, or more than an address, is refused."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    with pytest.raises(InputError) as caught:
        open_endpoint(url)

    assert str(caught.value) == (
        "cannot use this endpoint: write http://127.0.0.1:PORT. Values are read on this machine only."
    )


def test_a_server_without_a_token() -> None:
    """A server is asked with a token only."""
    with pytest.raises(InputError, match=r"^an endpoint needs its token: set AWS_SESSION_TOKEN\.$"):
        open_endpoint("http://127.0.0.1:2773")


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str, colours: bool = False) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["check", *arguments], color=colours)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert CANARY not in result.output
    return result.exit_code, result.stdout, result.stderr


def test_the_table() -> None:
    """Every target has a table of its own, and the last line counts."""
    version = rows("app.py:handler", open_secrets_file(Path("secrets.toml")))[0].version or ""
    code, out, err = run("app.py:handler", "app.py:limited", "--secrets", "secrets.toml")
    lines = [line.split() for line in out.splitlines()]

    assert (code, err, len(version)) == (0, "", 36)
    assert lines[0] == ["app.py:handler"]
    assert lines[1] == ["PARAMETER", "KIND", "NAME", "TYPE", "VERSION", "VERDICT", "WHAT", "TO", "DO"]
    assert [line[0] for line in lines[2:]] == [
        "database", "plain", "size", "app.py:limited", "PARAMETER", "limits.least", "limits.most", "5",
    ]  # fmt: skip
    assert out.splitlines()[-1] == "5 declarations checked, 0 findings."
    assert [line for line in out.splitlines() if line != line.rstrip()] == []


def test_findings() -> None:
    """A finding is exit code 1, with the value's place and what to do, and never the value."""
    edit('"plain" =', '"plane" =')
    code, out, err = run("app.py:handler", "--secrets", "secrets.toml")

    assert (code, err) == (1, "")
    assert "not found  Put it into secrets.toml." in out
    assert out.splitlines()[-1] == "3 declarations checked, 1 finding."


def test_json() -> None:
    """JSON has every declaration, and every module that cannot be imported."""
    Path("bad.py").write_text("import lambdasecrets\nimport nowhere", encoding="utf-8")
    code, out, err = run("app.py:handler", "bad.py", "--secrets", "secrets.toml", "--json")
    written = json.loads(out)

    assert (code, err) == (1, "")
    assert written["failures"] == [{"where": "bad.py", "why": "line 2: ModuleNotFoundError: No module named 'nowhere'"}]
    assert written["checked"][2] == {
        "target": "app.py:handler",
        "parameter": "size",
        "kind": "parameter",
        "name": "/size",
        "type": "int",
        "version": "1",
        "verdict": "ok",
        "remedy": "",
        "is_finding": False,
    }


def test_a_module_that_cannot_be_imported() -> None:
    """A module that fails is a finding, and the others are checked."""
    Path("bad.py").write_text("import lambdasecrets\nimport nowhere", encoding="utf-8")
    code, out, err = run(".", "--secrets", "secrets.toml", "--set", "context.tenant_id=acme")

    assert (code, err) == (1, "Error: bad.py: line 2: ModuleNotFoundError: No module named 'nowhere'\n")
    assert out.splitlines()[-1] == "8 declarations checked, 0 findings."


def test_colours() -> None:
    """On a terminal the verdict is green or red; elsewhere there are no colours."""
    edit('"plain" =', '"plane" =')
    _, coloured, _ = run("app.py:handler", "--secrets", "secrets.toml", colours=True)
    _, plain, _ = run("app.py:handler", "--secrets", "secrets.toml")

    assert ("\x1b[31mnot found\x1b[0m" in coloured, "\x1b[32mok\x1b[0m" in coloured) == (True, True)
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["app.py"], "say where the values are: one of --secrets FILE, --aws and --endpoint URL."),
        (["app.py", "--aws", "--secrets", "secrets.toml"], "say where the values are: one of"),
        (["app.py", "--secrets", "none.toml"], "none.toml: cannot read the file: No such file or directory."),
        (["none.py", "--secrets", "secrets.toml"], "none.py: there is no such file."),
        (["app.py", "--secrets", "secrets.toml", "--set", "STAGE"], "cannot read environment variable 1: write"),
        (["app.py", "--endpoint", "http://example.com:1"], "cannot use this endpoint: write http://127.0.0.1:PORT."),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    code, out, err = run(*arguments)

    assert (code, out, err.startswith(f"Error: {says}"), err.count("\n")) == (2, "", True, 1)


def test_a_default_of_the_project(aws: MemoryStore) -> None:
    """The secrets file that pyproject.toml names is for where nothing else is asked for."""
    Path("pyproject.toml").write_text('[tool.lambdasecrets]\nsecrets = "secrets.toml"', encoding="utf-8")
    aws.put_secret("plain", {"not": "a text"})
    file, instead = run("app.py:handler"), run("app.py:handler", "--aws", "--set", "STAGE=test")

    assert (file[0], instead[0]) == (0, 0)
    assert file[1] != instead[1]
    assert run("app.py:handler", "--secrets", "secrets.toml", "--aws")[0] == 2


def test_progress_on_a_terminal() -> None:
    """On a terminal a bar says how far it is, on standard error; elsewhere there is none."""
    program = (
        "import sys; from lambdasecrets.dev._cli.app import app\n"
        "sys.stderr.isatty = lambda: True\n"
        "app(['check', 'app.py:handler', '--secrets', 'secrets.toml'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, "Checking" in done.stderr, "Checking" in done.stdout) == (0, True, False), done.stderr
    assert run("app.py:handler", "--secrets", "secrets.toml")[2] == ""
