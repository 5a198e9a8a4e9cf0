"""Records of boto3 that hold tokens and answers: dropped in our threads, and in no other."""

from __future__ import annotations

import logging
import threading

import pytest

from lambdasecrets._sources.log_filter import LogFilter
from tests.dev.asking import SECONDS


@pytest.mark.parametrize("name", ["boto3", "botocore.parsers", "s3transfer.x", "urllib3.connectionpool"])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL])
def test_drops_records(caplog: pytest.LogCaptureFixture, name: str, level: int) -> None:
    """Nothing that boto3 and what is below it say is logged for a while, whatever the level."""
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger(name)
    with LogFilter().drop_records():
        logger.log(level, "the token")
    logger.log(level, "of the user's")
    assert caplog.messages == ["of the user's"]


def test_leaves_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Loggers of other names, and other threads, are heard meanwhile."""
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("botocore.parsers")
    thread = threading.Thread(target=logger.debug, args=("another thread's",))
    with LogFilter().drop_records():
        thread.start()
        thread.join(SECONDS)
        logging.getLogger("botocore_of_theirs").debug("another logger's")
        logging.getLogger("app").debug("the handler's")
    assert caplog.messages == ["another thread's", "another logger's", "the handler's"]


def test_covers_loggers_that_are_made_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    """What a module logs that was loaded meanwhile is dropped too, once it is covered."""
    caplog.set_level(logging.DEBUG)
    log_filter = LogFilter()
    with log_filter.drop_records():
        logger = logging.getLogger(f"botocore.made_at_{id(log_filter)}")
        log_filter.cover()
        logger.debug("the token")
    assert caplog.messages == []


def test_leaves_no_filter_behind() -> None:
    """After the last use every logger has the filters that it had, those of the user's made meanwhile too."""
    logger = logging.getLogger("botocore.parsers")
    mine, later = logging.Filter("botocore"), logging.Filter("botocore")
    before = list(logger.filters)
    logger.addFilter(mine)
    log_filter = LogFilter()
    with log_filter.drop_records():
        logger.addFilter(later)
        with log_filter.drop_records():
            pass
        assert not logger.filter(logging.makeLogRecord({"name": "botocore.parsers"}))
    after = list(logger.filters)
    logger.removeFilter(mine)
    logger.removeFilter(later)
    assert after == [*before, mine, later]


def test_survives_what_is_raised_inside(caplog: pytest.LogCaptureFixture) -> None:
    """An exception leaves no filter behind."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyError), LogFilter().drop_records():
        raise KeyError
    logging.getLogger("botocore").debug("of the user's")
    assert caplog.messages == ["of the user's"]
