"""The job over values of its own, and over one that its model refuses."""

from collections.abc import Iterator

import pytest
from app import handler

from lambdasecrets import InvalidValueError
from lambdasecrets.testing import SecretsExtension, lambda_context, secrets_extension


@pytest.fixture
def extension() -> Iterator[SecretsExtension]:
    with secrets_extension("secrets.toml") as extension:
        yield extension


def test_the_job(extension: SecretsExtension) -> None:
    result = handler({}, lambda_context())

    assert result == {"sends_to": "reports.internal", "from": "2026-11-23", "days": 7, "attempts": 3}


def test_a_day_that_is_no_monday(extension: SecretsExtension) -> None:
    extension.parameters["/dev/reports/first-day"] = "2026-11-24"

    with pytest.raises(InvalidValueError):
        handler({}, lambda_context())
