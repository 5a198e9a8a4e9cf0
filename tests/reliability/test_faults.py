from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdasecrets import DeadlineExceededError, Subject
from lambdasecrets.dev.faults import EVERY_FAULT
from tests.reliability import faults, machine
from tests.reliability.canary import CANARY, is_shown, watched_logs
from tests.reliability.credentials import CREDENTIALS_FAULTS
from tests.reliability.faults import SERVER_FAULTS, Cell, Seen, expected, off_the_table
from tests.reliability.hostile import HOSTILE_FAULTS
from tests.reliability.strikes import STRIKES
from tests.reliability.ways import WAYS

SHORT_SECONDS = 1.0
_LOAD_SECONDS = 30.0
CELLS = faults.every_cell()


def pick(place: str, fault: str, number: int) -> Cell:
    """Give one cell of a fault, each time another moment, server, transport and way."""
    found = [cell for cell in CELLS if (cell.place, cell.fault) == (place, fault) and not cell.aws]
    lasting = [cell for cell in found if cell.lasts] or found
    return lasting[7 * number % len(lasting)]


SAMPLE = [
    *(pick("server", fault, number) for number, fault in enumerate(SERVER_FAULTS)),
    *(pick("credentials", fault, number) for number, fault in enumerate(CREDENTIALS_FAULTS)),
    *(pick("process", fault, number) for number, fault in enumerate(STRIKES)),
]
"""Every fault, each at another moment, of another server, over another transport than its neighbours."""
VALUE = Cell("chunked", lasts=False, moment="first", server="agent", transport="lean")
ERROR = Cell("not-json", lasts=False, moment="first", server="agent", transport="lean")
STRUCK = Cell("fork", lasts=False, moment="warm", server="agent", transport="lean", place="process")
FROM_AWS = [
    Cell(fault, lasts=lasts, moment="first", server="extension", transport="lean", way=way, aws=aws, place="aws")
    for fault, lasts in (("no-length", False), ("redirect", True))
    for aws, way in faults.WAYS_TO_AWS[1::2]
]
PAGE = "<!-- faults -->\n<!-- /faults -->\n"


def test_the_tables_have_every_fault() -> None:
    """A fault that is learnt must get its row."""
    assert {*EVERY_FAULT, *HOSTILE_FAULTS} == faults.ANSWER_TABLE.keys() == faults.LEAN_TABLE.keys()
    assert CREDENTIALS_FAULTS.keys() == faults.CREDENTIALS_TABLE.keys()
    assert STRIKES.keys() == faults.STRIKES_TABLE.keys()
    assert EVERY_FAULT.keys() - {"refuse"} == faults.AWS_TABLE.keys()


def test_every_square_is_a_cell() -> None:
    """Each way of asking meets each fault, moment, server and transport; AWS is asked for each reason."""
    plain = [cell for cell in CELLS if cell.place == "server" and not cell.aws]
    squares = {(cell.fault, cell.lasts, cell.moment, cell.server, cell.transport) for cell in plain}
    assert len(squares) == len(SERVER_FAULTS) * 2 * len(faults.MOMENTS) * 3 * 3
    for number, part in enumerate((faults.MOMENTS, faults.SERVERS, faults.TRANSPORTS)):
        met = {(cell.way, cell.fault, (cell.moment, cell.server, cell.transport)[number]) for cell in plain}
        assert len(met) == len(WAYS) * len(SERVER_FAULTS) * len(part)
    assert len({(cell.way, cell.server, cell.transport) for cell in plain}) == len(WAYS) * 3 * 3
    assert {(cell.aws, cell.way) for cell in CELLS if cell.place == "aws"} == set(faults.WAYS_TO_AWS)
    assert len(CELLS) == len(set(CELLS))


@pytest.fixture(scope="module")
def _boto3_is_loaded() -> None:
    """Load what asks AWS: while coverage is measured beside others, it takes a process longer than a cell has."""
    faults.run(FROM_AWS[0], _LOAD_SECONDS)


@pytest.mark.usefixtures("_boto3_is_loaded")
@pytest.mark.parametrize("cell", [*SAMPLE, *FROM_AWS], ids=str)
def test_a_fault_ends_as_the_table_says(cell: Cell) -> None:
    """A fault that lasts has the outcome and the number of attempts that the table of answers gives it."""
    seen = faults.run(cell, faults.REMAINING_SECONDS if cell.aws else SHORT_SECONDS)
    # The time is measured by `make faults`, where nothing else runs.
    assert off_the_table(cell, Seen(seen.outcome, seen.attempts, 0.0, seen.leaks)) == ""


def test_aws_serves_where_the_error_is_transient() -> None:
    """What the server cannot serve AWS gives, where it is asked after it."""
    cell = Cell("hang", lasts=True, moment="first", server="agent", transport="lean", aws="fallback")
    assert expected(cell).outcome == "value"


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
    """A run plays its cells in processes of their own, and says of each combination and each row what came of it."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(faults, "stamp", lambda: "today")

    assert faults.main(page, [VALUE, ERROR, STRUCK, FROM_AWS[0]], workers=1) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!-- faults -->\n\nMeasured today: **4 cells in ")
    assert ": 0 cells off the table.**\n\n| asked by | extension, lean | extension, requests |" in text
    assert "| handler |  |  |  | 3 |" in text
    assert "| aresolve, `refresh` | 1 |" in text
    assert "### The server\n\n| fault |  | first | warm | after stale |" in text
    assert "| `chunked` | once | value, asked 1, " in text
    assert "| `not-json` | once | ProtocolError, asked 1, " in text
    assert "### The process\n" in text
    assert "### The credentials endpoint" not in text
    assert "4 of 4 cells, " in capsys.readouterr().out


OTHER = Cell("chunked", lasts=False, moment="first", server="agent", transport="requests")


def replay(monkeypatch: pytest.MonkeyPatch, *runs: dict[Cell, Seen]) -> None:
    """Let each run see what is given."""
    left = iter(runs)
    monkeypatch.setattr(faults, "run_all", lambda cells, workers: next(left).items())


def test_a_cell_off_the_table_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails where a cell is not as expected, and names it; squares that differ show what they had."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    off = {OTHER: Seen("value", 2, 0.2)}
    replay(monkeypatch, {VALUE: Seen("value", 1, 0.1)} | off, off)

    assert faults.main(page, [VALUE, OTHER]) == 1
    assert f"{OTHER}: attempts 2, not in range(1, 2)" in capsys.readouterr().out
    assert "| `chunked` | once | value, asked 1-2, 200 ms |" in page.read_text(encoding="utf-8")


def test_a_disturbed_cell_is_played_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is off the table while other cells are played counts as it is when played alone, and the page says so."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    replay(monkeypatch, {VALUE: Seen("value", 1, 9.0)}, {VALUE: Seen("value", 1, 0.1)})

    assert faults.main(page, [VALUE]) == 0
    assert f"Once more, alone: {VALUE}: seconds 9.000, not at most 0.75" in capsys.readouterr().out
    assert "1 of them once more, alone: 0 cells off the table." in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("seen", [Seen("wrong value", 1, 0.1), Seen("value", 1, 0.1, leaks=True)], ids=str)
def test_a_leak_and_a_wrong_value_count_at_once(seen: Seen) -> None:
    """No other cell explains a wrong value or a leak: it is not played once more."""
    assert off_the_table(VALUE, seen)
    assert not faults.may_be_disturbed(VALUE, seen)


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
