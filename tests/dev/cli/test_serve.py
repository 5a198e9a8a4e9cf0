from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdasecrets.dev._cli import serve
from tests.dev.aws_double import AwsDouble, running_aws
from tests.dev.cli.running import run, serving, until

KEY = "/secretsmanager/get?secretId=dev%2Fkey"
SIZE = "/systemsmanager/parameters/get?name=%2Fpage-size"
HEALTH = "/_lambdasecrets/health"
NOT_READY = (400, "not ready to serve traffic, please wait")
REFUSED = (400, "an unexpected error occurred while executing request")

SECRETS = """
[environment]
STAGE = "dev"
[secrets]
"dev/key" = "first"
[parameters]
"/page-size" = 25
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secrets file."""
    (tmp_path / "secrets.toml").write_text(SECRETS, encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> None:
    """Move another secrets file into the place of the one that is served, as many editors do."""
    (folder / "new.toml").write_text(text, encoding="utf-8")
    (folder / "new.toml").replace(folder / "secrets.toml")


def test_a_changed_file_is_served_within_a_second(folder: Path) -> None:
    """`--watch` serves new content past the cache; a broken file keeps the last good content and says so."""
    with serving(folder, "--secrets", "secrets.toml", "--watch") as served:
        assert served.ask(KEY)[0] == 200
        write(folder, SECRETS.replace('"first"', '"second"'))
        took = until(lambda: '"second"' in served.ask(KEY)[1])
        write(folder, "[secrets]\nx = ")
        until(lambda: not (folder / "new.toml").exists())
        (folder / "secrets.toml").write_text(f'denied = ["/page-size"]\n{SECRETS}', encoding="utf-8")
        until(lambda: served.ask(SIZE) == REFUSED)
        kept = '"first"' in served.ask(KEY)[1]
        (folder / "secrets.toml").unlink()
        log = served.end()

    assert took < 1.5  # a second, and what a busy machine adds
    assert kept
    assert "The secrets file has changed: its new content is served from now on.\n" in log


def test_a_broken_file_keeps_the_last_good(folder: Path) -> None:
    """Whatever becomes of the file, the last good content is served and the log says why."""
    with serving(folder, "--secrets", "secrets.toml", "--watch") as served:
        write(folder, '[secrets]\n"dev/key" = \n')
        assert served.process.stderr is not None
        line = ""
        while "not TOML" not in line:
            line = served.process.stderr.readline()
        status, body = served.ask(KEY)
        (folder / "secrets.toml").write_text(f'{SECRETS}\n[[faults]]\nname = "nothing"\n', encoding="utf-8")
        while "nothing" not in line:
            line = served.process.stderr.readline()
        served.end()

    assert (status, '"first"' in body) == (200, True)
    assert line.startswith("secrets.toml, [[faults]] 0: there is no fault 'nothing': use one of latency, ")
    assert line.endswith(" The last good content is served further on.\n")


def test_a_token_of_the_shell_is_not_printed(folder: Path) -> None:
    """A token that stands in AWS_SESSION_TOKEN is asked for, and printed nowhere."""
    with serving(folder, "--secrets", "secrets.toml", environment={"AWS_SESSION_TOKEN": "the shell's"}) as served:
        statuses = [served.ask(KEY, token)[0] for token in ("the shell's", "another")]
        log = served.end()

    assert statuses == [200, 401]
    assert "AWS_SESSION_TOKEN" not in served.variables
    assert "the shell's" not in f"{served.printed}{log}"


def test_it_can_play_not_ready(folder: Path) -> None:
    """`--not-ready` refuses for a while as the extension does before the first invocation; its health says so."""
    with serving(folder, "--secrets", "secrets.toml", "--not-ready", "1") as served:
        first, health = served.ask(KEY), json.loads(served.ask(HEALTH, token="")[1])
        until(lambda: served.ask(KEY)[0] == 200)
        after = json.loads(served.ask(HEALTH, token="")[1])
        served.end()

    assert first == NOT_READY
    assert [health, after] == [{"status": "healthy", "profile": "extension", "ready": ready} for ready in (False, True)]


def test_several_names_and_faults_at_once(folder: Path) -> None:
    """What is denied and what goes wrong comes from the file and from the options together."""
    more = 'denied = ["/b"]\n[[faults]]\nname = "unavailable"\nmatch = "page-size"\ntimes = 1\n'
    (folder / "secrets.toml").write_text(f"{more}{SECRETS}\n'/a' = 1\n'/b' = 1\n'/c' = 1\n", encoding="utf-8")
    options = ("--deny", "/a", "--deny", "dev/key", "--fault", "latency,seconds=0.01", "--fault", "bad-gateway,times=1")
    with serving(folder, "--secrets", "secrets.toml", "--log", "json", *options) as served:
        targets = [SIZE, SIZE, KEY, *(f"/systemsmanager/parameters/get?name=/{name}" for name in "abc")]
        statuses = [served.ask(target)[0] for target in targets]
        log = [json.loads(line) for line in served.end().splitlines()]

    assert statuses == [503, 200, 400, 400, 400, 200]
    requests = [line for line in log if "target" in line]
    assert [(line["method"], line["target"], line["status"], line["token_ok"]) for line in requests] == [
        ("GET", target, status, True) for target, status in zip(targets, statuses, strict=True)
    ]
    assert log[0]["message"].endswith(f"Serving on port {served.variables['PARAMETERS_SECRETS_EXTENSION_HTTP_PORT']}")
    assert set(requests[0]) == {
        "time", "level", "method", "target", "api", "name", "status", "milliseconds", "token_ok", "connection",
    }  # fmt: skip


def test_another_address(folder: Path) -> None:
    """It listens on IPv6 too, and warns where others than this machine can reach it."""
    with serving(folder, "--secrets", "secrets.toml", "--host", "::1") as served:
        on_loopback = served.ask(HEALTH, host="::1")[0]
        log = served.end()
    with serving(folder, "--secrets", "secrets.toml", "--host", "0.0.0.0") as served:
        everywhere = served.ask(KEY)[0]
        url = served.variables["AWS_ENDPOINT_URL_SSM"]
        warned = served.end()

    assert (on_loopback, everywhere, url.rpartition(":")[0]) == (200, 200, "http://127.0.0.1")
    assert "Warning" not in log
    assert warned.startswith(
        "Warning: 0.0.0.0 is no loopback address: whoever reaches this machine, and has the token, reads the values.\n"
    )


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Run AWS, as moto plays it, with a secret."""
    with running_aws(tmp_path_factory.mktemp("aws")) as aws:
        aws.client("secretsmanager").create_secret(Name="dev/key", SecretString="of AWS")
        aws.client("secretsmanager").create_secret(Name="dev/other", SecretString="of AWS")
        yield aws


def test_aws_itself(aws: AwsDouble, folder: Path) -> None:
    """`--aws` serves what AWS has, and names can be denied there too."""
    environment = aws.environment("secretsmanager:GetSecretValue")
    with serving(folder, "--aws", "--token", "own", "--deny", "dev/other", environment=environment) as served:
        heard = [served.ask(target) for target in (KEY, "/secretsmanager/get?secretId=dev/other")]
        served.end()

    assert (heard[0][0], '"of AWS"' in heard[0][1], heard[1]) == (200, True, REFUSED)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "give either --secrets FILE or --aws."),
        (("--aws", "--secrets", "x.toml"), "give either --secrets FILE or --aws."),
        (("--aws", "--watch"), "--watch looks at a secrets file: it goes with --secrets."),
        (("--secrets", "no.toml"), "no.toml: cannot read the file: No such file or directory."),
        (
            ("--aws", "--host", "0.0.0.0"),
            "--aws on 0.0.0.0 serves an account to others: give a --token of your own.",
        ),
        (
            ("--secrets", "secrets.toml", "--port", "0", "--fault", "latency,seconds=x"),
            "the fault 'latency' wants a number for 'seconds'.",
        ),
        (
            ("--secrets", "secrets.toml", "--port", "0", "--fault", "latency,times=0"),
            "Cannot inject a fault for less than 1 time.",
        ),
        (
            ("--secrets", "fault.toml", "--port", "0"),
            "fault.toml, [[faults]] 0: Cannot match a target with Refuse: a closed port sees none.",
        ),
        (
            ("--secrets", "secrets.toml", "--host", "host.invalid"),
            "cannot listen on host.invalid, port 2773: Name or service not known. Choose others.",
        ),
        (
            ("--secrets", "line.toml", "--port", "0", "--format", "env"),
            "an env file cannot carry the line break in X: use --format json.",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], problem: str
) -> None:
    """A mistake is named in one line, with exit code 2."""
    monkeypatch.chdir(folder)
    (folder / "fault.toml").write_text('[[faults]]\nname = "refuse"\nmatch = "x"', encoding="utf-8")
    (folder / "line.toml").write_text('[environment]\nX = "a\\nb"', encoding="utf-8")
    code, out, err = run("serve", *arguments)

    assert (code, out) == (2, "")
    assert f"Error: {problem}" in err.splitlines()


@pytest.mark.parametrize("missing", ["boto3", "a Region"])
def test_aws_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str) -> None:
    """Where boto3, or a Region, is missing, the error says so."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    if missing == "boto3":
        monkeypatch.setitem(__import__("sys").modules, "lambdasecrets.dev.aws", None)
    code, out, err = run("serve", "--aws")

    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert ("You must specify a region." in err) == (missing == "a Region")


VARIABLES = {"STAGE": "dev", "TOKEN": "a b'c$(x)`y`"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, VARIABLES["TOKEN"]),
        ({"A;touch hacked;": "x"}, ""),
        ({"$(touch hacked)": "x"}, ""),
        ({"`touch hacked`": "x"}, ""),
    ],
)
def test_what_is_printed_for_a_shell_is_no_command(tmp_path: Path, more: dict[str, str], expected: str) -> None:
    """A shell that reads the line gets the values as they are, and runs nothing of them or of their names."""
    line = serve._print_variables({**VARIABLES, **more}, "export")
    done = subprocess.run(
        ["/bin/sh", "-c", f'{line}; printf "%s" "$TOKEN"'],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.stdout, list(tmp_path.iterdir())) == (expected, [])


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("export", "export STAGE=dev TOKEN='a b'\"'\"'c$(x)`y`'"),
        ("env", "STAGE=dev\nTOKEN=a b'c$(x)`y`"),
        ("json", json.dumps(VARIABLES)),
    ],
)
def test_the_environment_is_printed_for_what_reads_it(style: str, expected: str) -> None:
    """A line for a shell, lines for an env file, an object for everything else."""
    assert expected == serve._print_variables(VARIABLES, style)  # type: ignore[arg-type]


def test_a_port_in_use_elsewhere_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is taken on another loopback address is named with it."""
    monkeypatch.chdir(folder)
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--secrets", "secrets.toml", "--host", "127.0.0.2", "--port", str(port))

    remedy = "Choose another one with --port, or 0."
    assert (code, err) == (2, f"Error: cannot listen on 127.0.0.2, port {port}: Address already in use. {remedy}\n")


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("db", False)]
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    """An address of this machine alone is one of loopback, or its name."""
    assert expected == serve._is_loopback(host)
