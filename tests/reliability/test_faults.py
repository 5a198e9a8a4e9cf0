from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdasecrets import DeadlineExceededError, Subject
from lambdasecrets.dev.faults import EVERY_FAULT
from tests.reliability import faults, machine
from tests.reliability.canary import CANARY, is_shown, watched_logs
from tests.reliability.faults import Cell, Seen, expected, off_the_table

SHORT_SECONDS = 0.6
CELLS = faults.every_cell()
# Every fault that lasts, each at another moment, of another server, over another transport than its neighbours.
SAMPLE = [
    next(cell for cell in CELLS[number % 20 :: 20] if cell.fault == fault and cell.lasts)
    for number, fault in enumerate(EVERY_FAULT)
]
VALUE = Cell("chunked", lasts=False, moment="first", server="agent", transport="lean")
ERROR = Cell("not-json", lasts=False, moment="first", server="agent", transport="lean")
PAGE = "<!-- faults -->\n<!-- /faults -->\n"


def test_the_table_has_every_fault() -> None:
    """A fault that the emulator learns must get its row, and every square of the matrix is a cell."""
    assert EVERY_FAULT.keys() == faults.ANSWER_TABLE.keys() == faults.LEAN_TABLE.keys()
    squares = {(cell.fault, cell.lasts, cell.moment, cell.server, cell.transport) for cell in CELLS}
    assert len(squares) == len(EVERY_FAULT) * 2 * len(faults.MOMENTS) * 3 * 3
    for number, part in enumerate((faults.MOMENTS, faults.SERVERS, faults.TRANSPORTS)):
        met = {(cell.way, cell.fault, (cell.moment, cell.server, cell.transport)[number]) for cell in CELLS}
        assert len(met) == len(faults.WAYS) * len(EVERY_FAULT) * len(part)


@pytest.mark.parametrize("cell", SAMPLE, ids=str)
def test_a_fault_ends_as_the_table_says(cell: Cell) -> None:
    """A fault that lasts has the outcome and the number of attempts that the table of answers gives it."""
    seen = faults.run(cell, SHORT_SECONDS)
    # The time is measured by `make faults`, where nothing else runs.
    assert off_the_table(cell, Seen(seen.outcome, seen.attempts, 0.0, seen.leaks)) == ""


def test_a_stale_value_serves_where_the_error_is_transient() -> None:
    """After a value was held, a transient error comes to `stale`; any other stays what it is."""
    transient, permanent = (
        Cell(fault, lasts=True, moment="after stale", server="agent", transport="lean")
        for fault in ("hang", "no-fields")
    )
    assert [expected(transient).outcome, expected(permanent).outcome] == ["stale", "ProtocolError"]


def test_what_is_off_the_table_is_told() -> None:
    """A cell that is not as expected says in what."""
    assert off_the_table(VALUE, Seen("value", 1, 0.1)) == ""
    assert off_the_table(VALUE, Seen("ServerError", 3, 2.0, leaks=True)) == (
        f"{VALUE}: outcome ServerError, not value; attempts 3, not in range(1, 2); "
        "seconds 2.000, not at most 0.75; leaks True, not False"
    )


def test_the_matrix_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run plays its cells in processes of their own, and says of each row what came of it."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(faults, "stamp", lambda: "today")

    assert faults.main(page, [VALUE, ERROR], workers=1) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!-- faults -->\n\nMeasured today: **2 cells in ")
    assert ": 0 cells off the table.**\n\n| fault |  | first | warm | after stale |" in text
    assert "| `chunked` | once | value, asked 1, " in text
    assert "| `not-json` | once | ProtocolError, asked 1, " in text
    assert "2 of 2 cells, 0 off the table, " in capsys.readouterr().out


def test_a_cell_off_the_table_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails where a cell is not as expected, and names it; squares that differ show what they had."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    other = Cell("chunked", lasts=False, moment="first", server="agent", transport="requests")
    played = [(VALUE, Seen("value", 1, 0.1)), (other, Seen("value", 2, 0.2))]
    monkeypatch.setattr(faults, "run_all", lambda cells, workers: iter(played))

    assert faults.main(page, [VALUE, other]) == 1
    assert f"{other}: attempts 2, not in range(1, 2)" in capsys.readouterr().out
    assert "| `chunked` | once | value, asked 1-2, 200 ms |" in page.read_text(encoding="utf-8")


def test_a_worker_is_quiet() -> None:
    """A worker has loaded what a fallback needs, and prints no warning of the library."""
    log = logging.getLogger("lambdasecrets")
    before = list(log.handlers)
    faults.prepare_worker()
    added = [handler for handler in log.handlers if handler not in before]
    log.handlers[:] = before
    assert [logging.NullHandler] == [type(handler) for handler in added]


def _error(**attributes: object) -> DeadlineExceededError:
    error = DeadlineExceededError(Subject("owner", (), ()), 1.0, "timeout")
    vars(error).update(attributes)
    return error


def _raised_with_local(text: str) -> Exception:
    def fail(value: str) -> None:
        raise KeyError

    try:
        fail(text)
    except KeyError as error:
        return error
    raise AssertionError  # pragma: no cover - it fails


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (_error, False),
        (lambda: _error(detail=CANARY), True),
        (lambda: ValueError(CANARY), True),
        (lambda: _raised_with_local(CANARY), True),
        (lambda: _raised_with_local("harmless"), False),
    ],
)
def test_canaries_are_seen_in_errors(error: Callable[[], Exception], shown: bool) -> None:
    """A canary in a text, an attribute or a local of the traceback is seen."""
    assert is_shown(error()) is shown


def test_canaries_are_seen_in_logs() -> None:
    """A canary in a record's text or in what it carries is seen, at every level, and the level is put back."""
    root = logging.getLogger()
    level, log = root.level, logging.getLogger("anybody's")
    with watched_logs() as watch:
        log.debug("harmless")
        log.debug("a %s", CANARY)
        log.warning("extra", extra={"carried": CANARY})
    log.debug("%s after the watch", CANARY)

    assert (watch.records, watch.leaks, root.level) == (3, 2, level)


def test_a_section_needs_its_markers(tmp_path: Path) -> None:
    """Figures are never put where the page has no place for them."""
    page = tmp_path / "page.md"
    page.write_text("<!-- faults -->\n", encoding="utf-8")
    with pytest.raises(ValueError, match="section 'faults': the page has no markers for it"):
        machine.write_section(page, "faults", [])


def test_the_documentation_has_a_place_for_every_figure() -> None:
    """The page has the markers of all three runs."""
    text = machine.PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text and f"<!-- /{name} -->" in text for name in ("faults", "soak", "fuzz"))


def test_a_stamp_says_when_and_on_what() -> None:
    """Figures come with a date, the cores, Python and the kernel."""
    date, cores, python, kernel = machine.stamp().split(", ")
    assert (len(date), cores.split()[1], python.split()[0]) == (10, "cores", "CPython")
    assert kernel.split()[0] in {"Darwin", "Linux", "Windows"}
