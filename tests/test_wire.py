from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdasecrets import _wire
from tests.properties import bounded

NAMES = st.text(min_size=1)


def _asked(path: str) -> tuple[str, dict[str, list[str]]]:
    """Read a request line as any server would."""
    parts = urlsplit(path)
    return parts.path, parse_qs(parts.query, keep_blank_values=True, strict_parsing=True, errors="strict")


@pytest.mark.parametrize(
    ("expected", "path"),
    [
        ("/secretsmanager/get?secretId=orders%2Fdatabase", _wire.secret_path("orders/database")),
        (
            "/secretsmanager/get?secretId=s&versionStage=AWSPREVIOUS&versionId=7c1e",
            _wire.secret_path("s", version_id="7c1e", version_stage="AWSPREVIOUS"),
        ),
        ("/systemsmanager/parameters/get?name=%2Fp%2Fx&withDecryption=true", _wire.parameter_path("/p/x")),
        ("/systemsmanager/parameters/get?name=p", _wire.parameter_path("p", decrypt=False)),
        (
            "/systemsmanager/parameters/get?name=p&version=3&withDecryption=true",
            _wire.parameter_path("p", version=3),
        ),
        ("/systemsmanager/parameters/get?name=p&label=Dev", _wire.parameter_path("p", label="Dev", decrypt=False)),
        ("/secretsmanager/get?secretId=a%2Bb%20c%23%26%25~%C3%A9", _wire.secret_path("a+b c#&%~é")),
        (
            "/secretsmanager/get?secretId=arn%3Aaws%3Asecretsmanager%3Aeu-west-1%3A123456789012%3Asecret%3As-AbCdEf",
            _wire.secret_path("arn:aws:secretsmanager:eu-west-1:123456789012:secret:s-AbCdEf"),
        ),
        ("/secretsmanager/get?secretId=s&refreshNow=true", _wire.add_refresh(_wire.secret_path("s"))),
    ],
)
def test_request_line(expected: str, path: str) -> None:
    """A declaration becomes the path and query that AWS documents, absent members left out."""
    assert expected == path


@bounded
@given(name=NAMES, stage=st.none() | NAMES, version=st.none() | NAMES)
def test_any_secret_arrives(name: str, stage: str | None, version: str | None) -> None:
    """Whatever Unicode a secret's name, stage and version have, the server reads them as they were declared."""
    members = {"secretId": name, "versionStage": stage, "versionId": version}
    expected = {key: [value] for key, value in members.items() if value is not None}
    path = _wire.secret_path(name, version_id=version, version_stage=stage)
    assert (_wire.SECRETS_PATH, expected) == _asked(path)
    assert path.isascii()


@bounded
@given(name=NAMES, label=NAMES)
def test_any_parameter_arrives(name: str, label: str) -> None:
    """Whatever Unicode a parameter's name and label have, the server reads them as they were declared."""
    expected = {"name": [name], "label": [label], "withDecryption": ["true"]}
    assert (_wire.PARAMETERS_PATH, expected) == _asked(_wire.parameter_path(name, label=label))


@pytest.mark.parametrize(
    ("expected", "text"),
    [(True, "IQoJb3JpZ2luX2VjE=="), (True, ""), (False, "a\nb"), (False, "a\r"), (False, "\x7f"), (False, "tokén")],
)
def test_header_value(expected: bool, text: str) -> None:
    """A token can be sent if it is printable ASCII."""
    assert expected == _wire.is_header_value(text)
