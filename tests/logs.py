"""What the library itself has logged: other packages in the process log too."""

import logging

import pytest


def list_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """List the texts of the library's own warnings."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "lambdasecrets" and record.levelno == logging.WARNING
    ]
