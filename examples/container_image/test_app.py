"""The handler over the values of the secrets file, and the image's parts."""

import re
from pathlib import Path

from app import handler

from lambdasecrets.testing import lambda_context, secrets_extension


def test_an_order() -> None:
    with secrets_extension("secrets.toml"):
        assert handler({"order_id": 7}, lambda_context()) == {"order_id": 7, "api_key_configured": True}


def test_what_is_deployed_has_the_extension() -> None:
    text = Path("Dockerfile").read_text(encoding="utf-8")

    assert re.findall(r"^FROM (\S+) AS (\w+)$", text, re.MULTILINE)[1:] == [
        ("function", "local"),
        ("function", "deployed"),
    ]
    assert "COPY layer/ /opt/" in text.partition("AS deployed")[2]
