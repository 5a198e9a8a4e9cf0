from __future__ import annotations

import http.client
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import lambdasecrets.dev
from lambdasecrets.dev.extension import Settings
from lambdasecrets.errors import SettingError
from tests.dev.aws_double import AwsDouble, running_aws
from tests.dev.extensions_api import SECONDS, ExtensionsApi, serving

LAUNCHER = Path(lambdasecrets.dev.__file__).with_name("lambdasecrets-extension")
TOKEN = "the token"
DEFAULTS = Settings(
    port=2773,
    level=logging.INFO,
    cache_size=1000,
    max_connections=3,
    secrets_ttl=300,
    parameters_ttl=300,
    secrets_timeout=0,
    parameters_timeout=0,
)


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """Give AWS with one secret."""
    with running_aws(tmp_path_factory.mktemp("aws")) as server:
        server.client("secretsmanager").create_secret(Name="a/b", SecretString="the value")
        yield server


@pytest.fixture
def api() -> Iterator[ExtensionsApi]:
    """Give Lambda's side."""
    served = ExtensionsApi()
    with serving(served):
        yield served


@pytest.fixture
def port() -> int:
    """Give the port that the extension is told to use."""
    return free_port()


@pytest.fixture
def environ(api: ExtensionsApi, port: int) -> dict[str, str]:
    """Give the environment of the extension: this process's own, for the sake of coverage, and Lambda's."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
    }


@contextmanager
def started(api: ExtensionsApi, environ: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the extension by its launcher, as Lambda does, and end it by SHUTDOWN."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([LAUNCHER], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            api.send("SHUTDOWN")
            try:
                process.wait(SECONDS)
            finally:
                process.kill()


def ask(port: int, token: str = TOKEN) -> tuple[int, bytes]:
    """Ask the extension for the secret and return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with closing(connection):
        headers = {"X-Aws-Parameters-Secrets-Token": token}
        connection.request("GET", "/secretsmanager/get?secretId=a%2Fb", headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def test_life(api: ExtensionsApi, aws: AwsDouble, environ: dict[str, str], port: int, tmp_path: Path) -> None:
    """It registers under its file's name, is not ready until the first INVOKE, serves, and leaves on SHUTDOWN."""
    with started(api, {**environ, "AWS_ENDPOINT_URL": aws.url}, tmp_path) as process:
        api.wait_for_next()
        before = ask(port)
        api.send("INVOKE")
        api.wait_for_next()
        after = ask(port)
        api.send("INVOKE")
        api.wait_for_next()
        api.send("SHUTDOWN")
        left = process.wait(SECONDS)

    assert api.registrations == [("lambdasecrets-extension", ["INVOKE", "SHUTDOWN"])]
    assert before == (400, b"not ready to serve traffic, please wait")
    assert (after[0], b'"SecretString":"the value"' in after[1]) == (200, True)
    assert left == 0
    assert without_times(tmp_path) == [
        f"[AWS Parameters and Secrets Lambda Extension] INFO Serving on port {port}",
        "[AWS Parameters and Secrets Lambda Extension] INFO ready to serve traffic",
    ]


def without_times(folder: Path) -> list[str]:
    """Return the lines of the extension's log without their dates and times."""
    lines = (folder / "log").read_text().splitlines()
    return [" ".join([*line.split(" ")[:6], *line.split(" ")[8:]]) for line in lines]


def test_the_functions_own_token(api: ExtensionsApi, environ: dict[str, str], port: int, tmp_path: Path) -> None:
    """Only the session token of its own credentials, which are the function's, opens it."""
    with started(api, environ, tmp_path):
        api.wait_for_next()
        api.send("INVOKE")
        api.wait_for_next()

        assert ask(port, token="another") == (401, b"bad session token or header key")


def test_managed_instances(api: ExtensionsApi, environ: dict[str, str], port: int, tmp_path: Path) -> None:
    """On managed instances it registers for SHUTDOWN only, as INVOKE is refused there, and serves at once."""
    with started(api, {**environ, "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"}, tmp_path):
        api.wait_for_next()
        status, _ = ask(port, token="another")

    assert api.registrations == [("lambdasecrets-extension", ["SHUTDOWN"])]
    assert status == 401


def test_leaves_while_aws_hangs(api: ExtensionsApi, environ: dict[str, str], port: int, tmp_path: Path) -> None:
    """On SHUTDOWN it leaves although one of its calls still waits for AWS."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(api, {**environ, "AWS_ENDPOINT_URL": endpoint}, tmp_path) as process:
            api.wait_for_next()
            api.send("INVOKE")
            api.wait_for_next()
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
            with closing(asking):
                headers = {"X-Aws-Parameters-Secrets-Token": TOKEN}
                asking.request("GET", "/secretsmanager/get?secretId=a%2Fb", headers=headers)
                silent.settimeout(SECONDS)
                silent.accept()[0].close()
                api.send("SHUTDOWN")
                left = process.wait(SECONDS)

    assert left == 0


def test_registration_is_refused(api: ExtensionsApi, environ: dict[str, str], tmp_path: Path) -> None:
    """Where Lambda refuses the registration it ends and says why."""
    api.refusal = "INVOKE: ErrorInvalidEventType"

    with started(api, environ, tmp_path) as process:
        left = process.wait(SECONDS)

    assert left == 1
    assert (tmp_path / "log").read_text().splitlines()[-1] == (
        "OSError: Lambda's Extensions API answered register with 403: "
        '{"errorMessage": "INVOKE: ErrorInvalidEventType", "errorType": "Extension.InvalidEventType"}'
    )


def test_quiet(api: ExtensionsApi, environ: dict[str, str], tmp_path: Path) -> None:
    """At level NONE it logs nothing."""
    with started(api, {**environ, "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": "NONE"}, tmp_path):
        api.wait_for_next()
        api.send("INVOKE")
        api.wait_for_next()

    assert (tmp_path / "log").read_text() == ""


def test_defaults() -> None:
    """Without variables, or with empty ones, the settings are those of the layer."""
    assert Settings.read({}) == DEFAULTS
    assert Settings.read({"SECRETS_MANAGER_TTL": "", "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": ""}) == DEFAULTS


def test_settings() -> None:
    """Every variable of the layer counts."""
    variables = {
        "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "true",
        "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "10",
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "4000",
        "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": "WARN",
        "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS": "7",
        "SECRETS_MANAGER_TTL": "1",
        "SSM_PARAMETER_STORE_TTL": "900",
        "SECRETS_MANAGER_TIMEOUT_MILLIS": "250",
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": "1500",
    }

    assert Settings.read(variables) == Settings(
        port=4000,
        level=logging.WARNING,
        cache_size=10,
        max_connections=7,
        secrets_ttl=1,
        parameters_ttl=900,
        secrets_timeout=0.25,
        parameters_timeout=1.5,
    )


def test_cache_is_off() -> None:
    """With the cache turned off its size does not matter."""
    variables = {
        "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "FALSE",
        "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "10",
    }

    assert Settings.read(variables).cache_size == 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED", "yes", "one of TRUE, FALSE"),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE", "1001", "a whole number from 0 to 1000"),
        ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "0", "a whole number from 1 to 65535"),
        ("PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARN, ERROR, NONE"),
        ("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "0", "a whole number from 1"),
        ("SECRETS_MANAGER_TTL", "-1", "a whole number from 0"),
        ("SSM_PARAMETER_STORE_TTL", "1.5", "a whole number from 0"),
        ("SECRETS_MANAGER_TIMEOUT_MILLIS", "\u0663", "a whole number from 0"),
        ("SSM_PARAMETER_STORE_TIMEOUT_MILLIS", "soon", "a whole number from 0"),
    ],
)
def test_wrong_setting(name: str, value: str, expected: Any) -> None:
    """A variable with a value that it cannot have is refused by its name, and the value is not repeated."""
    with pytest.raises(SettingError) as raised:
        Settings.read({name: value})

    assert str(raised.value) == f"Cannot use {name} as it is set: it takes {expected}. Correct it or leave it out."
