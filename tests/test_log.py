"""The library's log: what its records carry, and that no log call breaks an invocation."""

from __future__ import annotations

import logging

import pytest

from lambdasecrets import _log


def test_facts_are_extras_with_a_prefix(caplog: pytest.LogCaptureFixture) -> None:
    """Extras are `lambdasecrets_*` texts and numbers, which every JSON formatter can write."""
    with caplog.at_level(logging.DEBUG, "lambdasecrets"):
        _log.debug("resolved %d", 2, owner="app.handler", milliseconds=1.5)
    record = caplog.records[0]
    extras = {name: value for name, value in vars(record).items() if name.startswith("lambdasecrets_")}
    assert (record.getMessage(), extras) == (
        "resolved 2",
        {"lambdasecrets_owner": "app.handler", "lambdasecrets_milliseconds": 1.5},
    )


def test_a_record_that_is_not_wanted_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Below the logger's level no record is made."""
    with caplog.at_level(logging.WARNING, "lambdasecrets"):
        _log.debug("not wanted")
        assert (caplog.records, _log.is_debugging()) == ([], False)


def test_a_broken_filter_breaks_no_invocation() -> None:
    """What the user's filters, handlers and formatters raise stays in the log call."""

    def refuse(record: logging.LogRecord) -> bool:
        raise TypeError(record.name)

    logger = logging.getLogger("lambdasecrets")
    logger.addFilter(refuse)
    try:
        _log.warn("a warning")
    finally:
        logger.removeFilter(refuse)


def test_a_record_names_where_it_was_written(caplog: pytest.LogCaptureFixture) -> None:
    """The record's place is the caller's, not the log's own."""
    _log.warn("here")
    assert (caplog.records[0].filename, caplog.records[0].levelno) == ("test_log.py", logging.WARNING)
