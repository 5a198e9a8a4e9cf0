import pytest

from lambdasecrets.dev import faults
from lambdasecrets.dev.fault_rules import make_fault, read_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency", (faults.Latency(), None, "")),
        ("latency,seconds=0.5,times=3,match=orders", (faults.Latency(0.5), 3, "orders")),
        ("refuse,seconds=2", (faults.Refuse(2.0), None, "")),
        ("huge-body,size=5,declared=False", (faults.HugeBody(5, declared=False), None, "")),
        ("unresolved,status=500,body=hi", (faults.Reply(500, b"hi"), None, "")),
        ("redirect,location=http://x/?a=b", (faults.Redirect("http://x/?a=b"), None, "")),
        ("slow-head,size=2", (faults.SlowDrip("head", 2), None, "")),
    ],
)
def test_a_fault_in_one_line(text: str, expected: object) -> None:
    """A fault is its name and settings after commas; without a number of times it is for all requests."""
    assert expected == read_fault(text)


def test_a_fault_with_settings_of_their_kinds() -> None:
    """A file has numbers and booleans as such."""
    rule = make_fault({"name": "huge-body", "size": 5, "declared": True, "times": 2, "match": "x"})

    assert rule == (faults.HugeBody(5, declared=True), 2, "x")
    assert make_fault({"name": "latency", "seconds": 1}).fault == faults.Latency(1.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latency,seconds", "cannot read the fault 'latency,seconds': write NAME,SETTING=VALUE,..."),
        ("latency,foo=1", "the fault 'latency' has no 'foo': use seconds, times, match."),
        ("slow-body,part=head", "the fault 'slow-body' has no 'part': use size, interval, times, match."),
        ("latency,seconds=x", "the fault 'latency' wants a number for 'seconds'."),
        ("latency,seconds=nan", "the fault 'latency' wants a number for 'seconds'."),
        ("latency,seconds=-1", "the fault 'latency' wants a number for 'seconds'."),
        ("latency,times=1.5", "the fault 'latency' wants a whole number for 'times'."),
        ("huge-body,declared=1", "the fault 'huge-body' wants true or false for 'declared'."),
    ],
)
def test_a_fault_that_cannot_be_read(text: str, problem: str) -> None:
    """The error says what there is."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its text is compared
        read_fault(text)

    assert problem == str(raised.value)


@pytest.mark.parametrize("settings", [{}, {"name": "none"}, {"name": 1}])
def test_an_unknown_fault_is_told_the_known_ones(settings: dict[str, object]) -> None:
    """Whoever misspells a name gets the list."""
    with pytest.raises(
        ValueError, match=r"^there is no fault '.*': use one of latency, refuse, .*, drop-kept-alive\.$"
    ):
        make_fault(settings)
