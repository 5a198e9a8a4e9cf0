from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdasecrets import NotFoundError, ProtocolError, UnresolvedError
from lambdasecrets._sources.forms import RawValue
from lambdasecrets._sources.request import Request
from lambdasecrets._transports import Address, Answer, NoAnswer
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport
from tests.golden import VERSION_2, golden
from tests.properties import bounded
from tests.reliability import fuzz
from tests.reliability.canary import CANARY
from tests.serving import answer, repeating, serving

SECRET, PARAMETER = fuzz.REQUESTS
NAMES = ("SecretString", "SecretBinary", "VersionId", "Parameter", "Value", "Version", "Type", "__type", "$")
TEXTS = st.sampled_from([*NAMES, "StringList", "ResourceNotFoundException", "YWJj", "a$b"]) | st.text(max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=6), max_leaves=12
)
STATUSES = st.sampled_from([200, 302, 400, 401, 403, 404, 429, 500]) | st.integers(200, 599)
BODIES = DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=80)

HEADERS = st.sampled_from(
    [
        b"Content-Length: 5",
        b"content-length : 5",
        b"Content-Length: +5",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"Content-Encoding: gzip",
        b" folded: 5",
        b"nonsense",
        b"$",
    ]
)
BEGINNINGS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"ICY 200", b""])
ENDS = st.sampled_from([b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhel", b"-1\r\n", b"0x5\r\nhello", b"hello world"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Give bytes that are almost an answer, or hardly one."""
    head = b"\r\n".join([draw(BEGINNINGS), *draw(st.lists(HEADERS, max_size=3))])
    data = head + b"\r\n\r\n" + draw(ENDS | st.binary(max_size=20))
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 3)) :]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client find a token."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{CANARY}-token")


@pytest.fixture(scope="module")
def scripted() -> Iterator[tuple[fuzz.Scripted, Address]]:
    """Give a server that says what a test tells it to say."""
    server = fuzz.Scripted()
    with server.listening() as address:
        yield server, address


@bounded
@given(request=st.sampled_from(fuzz.REQUESTS), status=STATUSES, body=BODIES)
def test_any_answer_is_a_value_or_an_error_of_the_tree(request: Request, status: int, body: bytes) -> None:
    """Whatever a status and a body say, the client raises nothing, and no error shows a part of the body."""
    fuzz.judge_envelope(request, status, body)


@bounded
@given(data=st.binary(max_size=60))
def test_any_bytes_are_judged(data: bytes) -> None:
    """The fuzzer's own inputs, which may be too short to be an answer, are judged in the same way."""
    fuzz.envelope(data)


def test_the_judge_sees_what_the_client_makes_of_an_answer() -> None:
    """A golden answer is its value, a wrong one its error."""
    body = golden("extension_secret.json")
    judged = fuzz.judge_envelope(SECRET, 200, body)
    assert isinstance(judged, RawValue)
    assert RawValue('{"user":"Zoë","password":"new"}', None, VERSION_2) == judged.replace(identity=None)
    assert isinstance(fuzz.judge_envelope(PARAMETER, 200, body), ProtocolError)
    assert isinstance(fuzz.judge_envelope(SECRET, 400, golden("agent_missing_secret.json")), NotFoundError)
    assert isinstance(fuzz.judge_envelope(PARAMETER, 400, golden("extension_unresolved.txt")), UnresolvedError)


def test_a_code_that_is_no_word_is_not_shown() -> None:
    """What stands where AWS's error code should is shown only where it could be one."""
    error = fuzz.judge_envelope(SECRET, 400, b'{"__type": "$"}')
    assert vars(error)["code"] == "unknown"


@bounded
@given(data=streams() | st.binary(max_size=60))
def test_any_bytes_on_a_socket_are_an_answer_or_a_fault(scripted: tuple[fuzz.Scripted, Address], data: bytes) -> None:
    """Whatever a server sends, the lean transport raises nothing, and reads no other answer than `requests`."""
    fuzz.judge_transports(*scripted, data)


@bounded
@given(data=streams() | st.binary(max_size=60))
def test_any_bytes_come_to_an_outcome(data: bytes) -> None:
    """Whatever stands in the place of answers, the lean transport has an outcome for every path."""
    fuzz.http(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (answer(b"hello"), Answer(200, b"hello")),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", Answer(200, b"hello")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", NoAnswer.LOST),
        (b"", NoAnswer.RESET),
        # The canary in this line must not get into urllib3's log.
        (b"HTTP/1.1 200 OK\r\n$\r\nContent-Length: 5\r\n\r\nhello", NoAnswer.LOST),
    ],
)
def test_the_judge_sees_what_the_transport_reads(
    scripted: tuple[fuzz.Scripted, Address], data: bytes, expected: Answer | NoAnswer
) -> None:
    """The judge gives what the lean transport made of the bytes."""
    assert expected == fuzz.judge_transports(*scripted, data)


def test_an_answer_too_many_is_thrown_away() -> None:
    """A connection that was told more than it asked for does not answer the next request with it."""
    transport = LeanTransport(RequestsTransport)
    with serving(repeating(answer(b"mine") + answer(b"another's"))) as server:
        address = Address("127.0.0.1", server.port)
        heard = [transport.exchange(address, [["/"]], {}, 10.0)["/"] for _ in range(2)]
        transport.close()

    assert [Answer(200, b"mine", certain=False)] * 2 == heard


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_seeds_are_judged_right(target: str) -> None:
    """The inputs that a fuzzer begins with do not break a target."""
    for seed in fuzz.seeds(target):
        fuzz.TARGETS[target](seed)


ENGINE = """
import pathlib, sys
folder = pathlib.Path(sys.argv[-1])
assert list(folder.iterdir()), "There are no seeds."
print("#2 INITED cov: 3", "#9 DONE   cov: 41", "stat::number_of_executed_units: 1234", sep="\\n", file=sys.stderr)
sys.exit(sys.argv[1] == "BROKEN")
"""
PAGE = "before\n<!-- fuzz -->\nold\n<!-- /fuzz -->\nafter\n"


def test_figures_are_written_into_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run says for each target how many inputs were tried, and that none broke it."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(fuzz, "stamp", lambda: "today")

    assert fuzz.main(page, 1, [sys.executable, "-c", ENGINE]) == 0
    assert page.read_text(encoding="utf-8") == (
        "before\n<!-- fuzz -->\n\nMeasured today, 1 s each.\n\n"
        "| target | inputs tried | edges reached | **crashes and foreign exceptions** |\n"
        "| --- | --- | --- | --- |\n"
        "| envelope | 1,234 | 41 | **0** |\n"
        "| http | 1,234 | 41 | **0** |\n"
        "| transports | 1,234 | 41 | **0** |\n"
        "\n<!-- /fuzz -->\nafter\n"
    )
    assert "Fuzzing envelope for 1 s ...\n1,234 inputs, 41 edges, no crash\n" in capsys.readouterr().out


def test_a_crash_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that breaks makes the run fail, and what the fuzzer said is shown."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")

    assert fuzz.main(page, 1, [sys.executable, "-c", ENGINE.replace('"BROKEN"', '"http"')]) == 1
    assert "1,234 inputs, 41 edges, crashed\n#2 INITED cov: 3\n" in capsys.readouterr().out
    assert "| http | 1,234 | 41 | **1** |" in page.read_text(encoding="utf-8")
