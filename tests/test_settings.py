from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambdasecrets import SettingError, _settings
from lambdasecrets._settings import Ages, Limits, Options, read_limits


class OwnError(Exception):
    pass


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        *(
            ({"timeout": value}, "timeout as it is set: it takes a number of seconds above 0")
            for value in (0, 0.0, -1, True, "5", float("nan"), float("inf"))
        ),
        *(
            ({name: value}, f"{name} as it is set: it takes a number of seconds, 0 or more")
            for name in ("max_age", "stale_if_error")
            for value in (-0.5, False, "1", float("nan"), float("inf"))
        ),
        *(
            ({"retry_on": kinds}, "retry_on as it is set: it takes a tuple of exception classes")
            for kinds in ((int,), (OwnError, "x"), (BaseException,), (OwnError("x"),))
        ),
        *(({"fallback": value}, "fallback as it is set: it takes aws") for value in ("gcp", "AWS", True)),
    ],
)
def test_bad_option(arguments: dict[str, Any], expected: str) -> None:
    """An option that cannot be used is refused when it is given, by its name and without its value."""
    with pytest.raises(SettingError) as caught:
        Options(**arguments).check()
    assert f"Cannot use {expected}. Correct it or leave it out." == str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"timeout": 1}, {"timeout": 0.001}, {"max_age": 0, "stale_if_error": 3600.5}, {"retry_on": (OwnError,)}],
)
def test_good_option(arguments: dict[str, Any]) -> None:
    """Options keep what they were given, and None for what they were not."""
    options = Options(**arguments).check()
    nothing = dict.fromkeys(("timeout", "max_age", "stale_if_error", "retry_on"))
    assert nothing | arguments == {name: getattr(options, name) for name in nothing}


@pytest.mark.parametrize(
    ("read", "option", "variable", "default"),
    [
        (lambda limits: limits.timeout, "timeout", "LAMBDASECRETS_TIMEOUT", 5.0),
        (lambda limits: limits.ages.fresh, "max_age", "LAMBDASECRETS_MAX_AGE", 0.0),
        (lambda limits: limits.ages.stale, "stale_if_error", "LAMBDASECRETS_STALE_IF_ERROR", 0.0),
    ],
)
def test_seconds(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[Limits], float], option: str, variable: str, default: float
) -> None:
    """A number of seconds is the option's, else the environment's of this moment, else the default."""
    assert default == read(read_limits(Options()))
    monkeypatch.setenv(variable, "")
    assert default == read(read_limits(Options()))
    for text in ("2.5", "3.5"):
        monkeypatch.setenv(variable, text)
        assert read(read_limits(Options())) == float(text)
    assert read(read_limits(Options()._replace(**{option: 7.0}))) == 7.0  # type: ignore[arg-type]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settled, the options are what was given, else the environment's, else the defaults."""
    monkeypatch.setenv("LAMBDASECRETS_MAX_AGE", "30")
    limits = read_limits(Options(timeout=2, retry_on=(OwnError,)))
    assert Limits(timeout=2.0, ages=Ages(fresh=30.0, stale=0.0), retry_on=(OwnError,), fallback=False) == limits


@pytest.mark.parametrize(
    ("option", "variable", "fallback"),
    [(None, None, False), (None, "", False), (None, "aws", True), ("aws", None, True), ("", "aws", False)],
)
def test_fallback(monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str | None, fallback: bool) -> None:
    """The fallback is off, unless the environment or the option turns it on; the option wins."""
    if variable is not None:
        monkeypatch.setenv("LAMBDASECRETS_FALLBACK", variable)
    assert read_limits(Options(fallback=option).check()).fallback is fallback


def test_stale_counts_from_fresh() -> None:
    """What serves after a failure may be older than what serves anyway by that much."""
    limits = read_limits(Options(max_age=10.0, stale_if_error=5.0))
    assert limits.ages == Ages(fresh=10.0, stale=15.0)


def test_the_longest_timeout() -> None:
    """A timeout that no invocation could reach is its longest, 15 minutes: what waits on sockets has limits too."""
    assert read_limits(Options(timeout=1e300)).timeout == 900.0


@pytest.mark.parametrize(
    ("variable", "value", "read", "expected"),
    [
        *(
            (name, value, read, f"{name} as it is set: it takes a number of seconds, 0 or more")
            for name, read in (
                ("LAMBDASECRETS_MAX_AGE", lambda: read_limits(Options())),
                ("LAMBDASECRETS_STALE_IF_ERROR", lambda: read_limits(Options())),
            )
            for value in ("soon", "-1", "nan", "inf")
        ),
        *(
            (
                "LAMBDASECRETS_TIMEOUT",
                value,
                lambda: read_limits(Options()),
                "LAMBDASECRETS_TIMEOUT as it is set: it takes a number of seconds above 0",
            )
            for value in ("0", "-1", "5s")
        ),
        *(
            (
                "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT",
                value,
                _settings.read_port,
                "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT as it is set: it takes a whole number from 1 to 65535",
            )
            for value in ("0", "65536", "2773.0", "http")
        ),
        *(
            (
                "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS",
                value,
                _settings.read_max_connections,
                "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS as it is set: it takes a whole number from 1",
            )
            for value in ("0", "-3", "many")
        ),
        (
            "LAMBDASECRETS_FALLBACK",
            "boto3",
            lambda: read_limits(Options()),
            "LAMBDASECRETS_FALLBACK as it is set: it takes aws",
        ),
        (
            "LAMBDASECRETS_TRANSPORT",
            "pigeon",
            _settings.read_transport,
            "LAMBDASECRETS_TRANSPORT as it is set: it takes lean or requests",
        ),
        *(
            (
                "LAMBDASECRETS_RETRY_ON",
                value,
                lambda: read_limits(Options()),
                (
                    "LAMBDASECRETS_RETRY_ON as it is set: it takes importable exception classes, as "
                    "`package.module.Class`, separated by commas"
                ),
            )
            for value in (
                "ValueError",
                "builtins.int",
                "builtins.NoSuchError",
                "no_such_package.Error",
                "json.JSONDecodeError,builtins.int",
                ".relative.Error",
                ",",
                f"{__name__.rpartition('.')[0]}.raising.Error",
                f"{__name__.rpartition('.')[0]}.exiting.Error",
            )
        ),
    ],
)
def test_bad_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, read: Callable[[], object], expected: str
) -> None:
    """A variable that cannot be used is named, without its value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError) as caught:
        read()
    assert f"Cannot use {expected}. Correct it or leave it out." == str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is the extension's own setting, else 2773."""
    assert _settings.read_port() == 2773
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "65535")
    assert _settings.read_port() == 65535


def test_max_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of connections is the extension's own setting, else 3."""
    assert _settings.read_max_connections() == 3
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "1000")
    assert _settings.read_max_connections() == 1000


@pytest.mark.parametrize("variable", [_settings.SECRETS_TTL, _settings.PARAMETERS_TTL])
def test_extension_ttl(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The extension's TTL is 300 seconds at the most and by default."""
    assert _settings.read_extension_ttl(variable) == 300.0
    monkeypatch.setenv(variable, "0")
    assert _settings.read_extension_ttl(variable) == 0.0
    monkeypatch.setenv(variable, "301")
    assert _settings.read_extension_ttl(variable) == 300.0


@pytest.mark.parametrize("text", ["5m", "-1", "nan", "inf", "1 s"])
@pytest.mark.parametrize("variable", [_settings.SECRETS_TTL, _settings.PARAMETERS_TTL])
def test_a_ttl_that_the_extension_cannot_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, text: str
) -> None:
    """What the extension cannot read counts as its default here too, with one warning that does not show the text."""
    _settings._parse_ttl.cache_clear()
    monkeypatch.setenv(variable, text)
    assert [_settings.read_extension_ttl(variable) for _ in range(3)] == [300.0] * 3
    assert [record.getMessage() for record in caplog.records] == [
        f"{variable} is no number of seconds: the extension uses its default of 300 s, and so does lambdasecrets."
    ]


def test_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transport is the lean one unless the environment says otherwise."""
    assert _settings.read_transport() == "lean"
    monkeypatch.setenv("LAMBDASECRETS_TRANSPORT", "requests")
    assert _settings.read_transport() == "requests"


def test_retry_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exceptions are the option's, else those that the environment names, else none."""
    assert read_limits(Options()).retry_on == ()
    monkeypatch.setenv("LAMBDASECRETS_RETRY_ON", "json.JSONDecodeError, builtins.PermissionError")
    assert read_limits(Options()).retry_on == (json.JSONDecodeError, PermissionError)
    assert read_limits(Options(retry_on=())).retry_on == ()
    assert read_limits(Options(retry_on=(OwnError,))).retry_on == (OwnError,)


def test_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A placeholder's variable is its text; an empty one counts as not set."""
    assert _settings.read_variable("STAGE_OF_TEST") is None
    monkeypatch.setenv("STAGE_OF_TEST", "")
    assert _settings.read_variable("STAGE_OF_TEST") is None
    monkeypatch.setenv("STAGE_OF_TEST", "prod")
    assert _settings.read_variable("STAGE_OF_TEST") == "prod"


def token() -> str | None:
    """Find the session token."""
    name = _settings.find_token_variable()
    found = _settings.read_credential(name) if name else None
    return None if found is None else found.reveal()


def test_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The session token is the first that is set, in the agent's order."""
    assert token() is None
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "third")
    assert token() == "third"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "second")
    assert token() == "second"
    monkeypatch.setenv("AWS_TOKEN", "first")
    assert token() == "first"
    monkeypatch.setenv("AWS_TOKEN", "")
    assert token() == "second"


def test_token_beside_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a credentials endpoint, what opens it is no token for the extension."""
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "opens the endpoint")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/credentials")
    assert token() is None


def test_token_in_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token can stand in a file, and is read anew every time."""
    file = tmp_path / "token"
    monkeypatch.setenv("AWS_TOKEN", f"file://{file}")
    for text in ("one", "two"):
        file.write_text(f" {text}\n", encoding="utf-8")
        assert text == token()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"two\nlines", "tokén".encode()])
def test_token_in_bad_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there, or holds no token, is an error that shows nothing of it."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    monkeypatch.setenv("AWS_TOKEN", f"file://{tmp_path}/token")
    with pytest.raises(SettingError) as caught:
        token()
    assert str(caught.value) == (
        "Cannot use AWS_TOKEN as it is set: it takes a token, or file:// and the path of a readable file that holds "
        "one. Correct it or leave it out."
    )
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_credentials_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under SnapStart the environment says where the credentials are; outside it there is nothing."""
    assert _settings.read_credentials_uri() is None
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    assert _settings.read_credentials_uri() is None
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
    assert _settings.read_credentials_uri() == "http://169.254.170.23/v1/credentials"


@pytest.mark.skipif(os.name == "nt", reason="a pipe has a name in the file system elsewhere")
@pytest.mark.parametrize("kind", ["pipe", "device", "too large"])
def test_a_token_that_no_file_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    """A pipe or a device can keep its reader waiting for ever: neither is read, nor a large file."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "token"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "too large":
        path.write_text("t" * 100_000, encoding="ascii")
    monkeypatch.setenv("AWS_TOKEN", f"file://{path}")
    with pytest.raises(SettingError, match=r"^Cannot use AWS_TOKEN as it is set"):
        _settings.read_credential("AWS_TOKEN")


def test_variables_are_read_from_whatever_stands_for_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may put a dictionary in the place of `os.environ`; what is set later is seen, what is unset too."""
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "3")
    assert read_limits(Options()).timeout == 3
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "4")
    assert read_limits(Options()).timeout == 4
    monkeypatch.delenv("LAMBDASECRETS_TIMEOUT")
    assert read_limits(Options()).timeout == 5
    monkeypatch.setattr(os, "environ", {"LAMBDASECRETS_TIMEOUT": "6"})
    assert read_limits(Options()).timeout == 6
    monkeypatch.setattr(os, "environ", {})
    assert read_limits(Options()).timeout == 5


class Variables(dict[str, str]):
    """What a test puts in the place of `os.environ`, with a member that `os.environ` has too, and uses otherwise."""

    def __init__(self, **variables: str) -> None:
        super().__init__(variables)
        self._data: dict[str, str] = {}


def test_what_stands_for_the_environment_is_read_by_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only looks like `os.environ` inside is asked, and not looked into."""
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "3")
    assert read_limits(Options()).timeout == 3
    monkeypatch.setattr(os, "environ", Variables(LAMBDASECRETS_TIMEOUT="6"))
    assert read_limits(Options()).timeout == 6
