import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdasecrets import Parameter, ResolveEvent, Secret, resolve
from lambdasecrets._sources.forms import Identity, Match, RawValue, make_form, split_selector
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.stores import MemoryStore
from tests.properties import bounded

GOLDEN = Path(__file__).parents[1] / "golden"
SECRET, PARAMETER = make_form(Secret("s")), make_form(Parameter("/p"))
VERSION = "22222222-2222-4222-8222-222222222222"


def read_bare(read: Callable[[dict[str, Any]], RawValue | None], content: dict[str, Any]) -> RawValue | None:
    """Read a body, without what it says of itself."""
    raw = read(content)
    return None if raw is None else raw.replace(identity=None)


def golden(name: str) -> Any:
    """Give the body of a recorded answer."""
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def reference(source: Any, value: str | None = None) -> dict[str, Any]:
    """Give the body for a secret that is read through Parameter Store."""
    text = source if isinstance(source, str) else json.dumps(source)
    return {"Parameter": {"Version": 0, "Value": value, "Type": "SecureString", "SourceResult": text}}


def buffer(binary: bytes, **members: Any) -> dict[str, Any]:
    """Write bytes as Java writes a buffer of them."""
    signed = [item - 256 if item > 127 else item for item in binary]
    return {"hb": signed, "offset": 0, "position": 0, "limit": len(binary), "capacity": len(binary), **members}


def test_a_reference_has_the_version_of_its_secret() -> None:
    """A reference has its secret's version, not the parameter's, which is 0 for ever."""
    raw = read_bare(PARAMETER.read_body, golden("extension_reference.json"))
    assert raw == RawValue('{"user":"Zoë","password":"new"}', None, VERSION)


def test_a_reference_to_a_binary_secret_is_read() -> None:
    """The bytes of a binary secret are in the SourceResult of its reference."""
    raw = read_bare(PARAMETER.read_body, golden("extension_reference_binary.json"))
    assert raw == RawValue(None, b"\x00\xff\xfe>", "11111111-1111-4111-8111-111111111111")


def test_a_reference_over_the_stand_in(emulator: Emulator, store: MemoryStore) -> None:
    """A secret that is read through Parameter Store has its bytes, and another version when it was rotated."""
    events: list[ResolveEvent] = []
    store.put_secret("binary", bytes([0, 127, 128, 255]))
    store.put_secret("text", "old")
    reading = "/aws/reference/secretsmanager/"
    for expected in ("old", "new"):
        store.put_secret("text", expected)
        assert resolve(Parameter(f"{reading}text"), str, on_resolve=events.append) == expected
        assert resolve(Parameter(f"{reading}binary"), bytes, on_resolve=events.append) == bytes([0, 127, 128, 255])
    values = [value for event in events for value in event.values]
    assert [value.changed for value in values] == [False, False, True, False]
    assert len({value.version for value in values}) == 3


@bounded
@given(binary=st.binary(), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_any_bytes(binary: bytes, before: bytes, after: bytes) -> None:
    """Any bytes come out of a buffer as they went in, wherever in its array they stand."""
    written = buffer(before + binary + after, offset=len(before), limit=len(binary))
    raw = read_bare(PARAMETER.read_body, reference({"versionId": VERSION, "secretBinary": written}))
    assert raw == RawValue(None, binary, VERSION)


def test_a_buffer_without_an_offset() -> None:
    """A buffer that tells no offset begins at the beginning of its array."""
    content = reference({"versionId": VERSION, "secretBinary": {"hb": [1, -1], "limit": 2}})
    raw = read_bare(PARAMETER.read_body, content)
    assert raw == RawValue(None, b"\x01\xff", VERSION)


@pytest.mark.parametrize(
    "written",
    [
        None,
        "AP/+Pg==",
        [1, 2],
        {},
        {"hb": [1, 2]},
        {"hb": "ab", "limit": 2},
        buffer(b"ab", limit=3),
        buffer(b"ab", limit=-1),
        buffer(b"ab", limit=2.0),
        buffer(b"ab", limit=True),
        buffer(b"ab", offset=1),
        buffer(b"ab", offset=-1),
        buffer(b"ab", hb=[1, 256]),
        buffer(b"ab", hb=[1, -129]),
        buffer(b"ab", hb=[1, 1.0]),
        buffer(b"ab", hb=[1, True]),
        buffer(b"ab", hb=[1, None]),
    ],
    ids=str,
)
def test_no_buffer(written: Any) -> None:
    """What is no buffer of bytes is no value, and nothing is guessed of it."""
    assert read_bare(PARAMETER.read_body, reference({"versionId": VERSION, "secretBinary": written})) == RawValue(
        None, None, VERSION
    )


@pytest.mark.parametrize("source", ["", "no JSON", "[]", {}, {"versionId": 5}, {"versionId": None}], ids=str)
def test_a_reference_without_a_version(source: Any) -> None:
    """A SourceResult that tells no version leaves the parameter's."""
    assert read_bare(PARAMETER.read_body, reference(source, "text")) == RawValue("text", None, "0")


def test_a_text_counts_before_bytes() -> None:
    """A reference that has a text has no bytes."""
    raw = read_bare(PARAMETER.read_body, reference({"versionId": VERSION, "secretBinary": buffer(b"ab")}, "text"))
    assert raw == RawValue("text", None, VERSION)


def test_other_parameters() -> None:
    """A parameter that is no reference has its own version, and only a StringList is a list."""
    assert read_bare(PARAMETER.read_body, golden("extension_parameter_list.json")) == RawValue(
        "eu-west-1,us-east-1", None, "1", is_list=True
    )
    assert read_bare(PARAMETER.read_body, {"Parameter": {"Version": 3, "Value": "a,b", "Type": "String"}}) == RawValue(
        "a,b", None, "3"
    )


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"Parameter": None},
        {"Parameter": {"Version": "1", "Value": "v"}},
        {"Parameter": {"Version": 1, "Value": 5}},
        {"Parameter": {"Version": 1}},
    ],
    ids=str,
)
def test_no_parameter(content: dict[str, Any]) -> None:
    """A body without the fields of a parameter is none."""
    assert read_bare(PARAMETER.read_body, content) is None


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"VersionId": 5, "SecretString": "v"},
        {"VersionId": VERSION},
        {"VersionId": VERSION, "SecretString": "v", "SecretBinary": "AA=="},
        {"VersionId": VERSION, "SecretString": 5, "SecretBinary": "AA=="},
        {"VersionId": VERSION, "SecretBinary": "no base64"},
        {"VersionId": VERSION, "SecretBinary": "AA"},
    ],
    ids=str,
)
def test_no_secret(content: dict[str, Any]) -> None:
    """A body without the fields of a secret, or with two values, is none."""
    assert read_bare(SECRET.read_body, content) is None


def test_secrets() -> None:
    """A secret is a text or bytes, with its version, from the extension or the agent."""
    assert read_bare(SECRET.read_body, {"VersionId": VERSION, "SecretString": "v"}) == RawValue(
        "v", None, VERSION, from_agent=True
    )
    binary: dict[str, Any] = {"VersionId": VERSION, "SecretString": None, "SecretBinary": "AP8=", "ResultMetadata": {}}
    assert read_bare(SECRET.read_body, binary) == RawValue(None, b"\x00\xff", VERSION)


# --- Whose value it is ----------------------------------------------------------------------------------------------

PLACE = "us-east-1:123456789012"
DB = f"arn:aws:secretsmanager:{PLACE}:secret:prod/db-a1B2c3"
PARTIAL = DB.removesuffix("-a1B2c3")
ROLE = "arn:aws:iam::123456789012:role/reader"
OTHER_ROLE = "arn:aws:iam::999988887777:role/reader"
CURRENT = ("AWSCURRENT",)
SIZE = f"arn:aws:ssm:{PLACE}:parameter/p/size"
REFERENCE = "/aws/reference/secretsmanager/prod/db"
DB_SEEN = Identity("prod/db", DB, "v1", CURRENT)
SIZE_SEEN = Identity("/p/size", SIZE, "3")


def test_an_answer_says_whose_it_is() -> None:
    """Name, ARN, version, stages and selector of an answer are read, and what is no text is not there."""
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-AbCdEf"
    by_arn = make_form(Secret(arn)).read_body(golden("extension_secret.json"))
    labelled = PARAMETER.read_body(golden("extension_parameter_label.json"))
    odd = SECRET.read_body({"VersionId": "v", "SecretString": "s", "Name": 5, "VersionStages": "AWSCURRENT"})
    assert [raw and raw.identity for raw in (by_arn, labelled, odd)] == [
        Identity("s", arn, VERSION, ("AWSCURRENT",)),
        Identity("/p/versions", "arn:aws:ssm:us-east-1:123456789012:parameter/p/versions", "1", selector="Dev"),
        Identity(version="v"),
    ]


@pytest.mark.parametrize(
    ("declaration", "seen", "expected"),
    [
        (Secret("s"), {"Name": "s", "VersionStages": ["mine", "AWSCURRENT"]}, Match.SAME),
        (Secret("s", version_stage="mine"), {"Name": "s", "VersionStages": ["mine"]}, Match.SAME),
        (Secret("s"), {"Name": "s", "VersionStages": ["AWSPREVIOUS"]}, Match.SPELLING),
        (Secret("s"), {"Name": "S", "VersionStages": ["AWSCURRENT"]}, Match.SPELLING),
        (Secret("s"), {"Name": "t", "VersionStages": ["AWSCURRENT"]}, Match.OTHER),
        (Secret("s", version_id="w"), {"Name": "s", "VersionStages": ["AWSCURRENT"]}, Match.OTHER),
        (Secret("s", role_arn=OTHER_ROLE), {"Name": "s", "ARN": DB, "VersionStages": ["AWSCURRENT"]}, Match.OTHER),
        (Parameter("/p"), {"Name": "/p"}, Match.SAME),
        (Parameter("/p"), {"Name": "/p", "Selector": ":2"}, Match.SPELLING),
        (Parameter("/p"), {"Name": "/q"}, Match.OTHER),
    ],
    ids=str,
)
def test_a_bare_name_is_compared_as_a_whole(
    declaration: Secret | Parameter, seen: dict[str, Any], expected: Match
) -> None:
    """An answer with the name that was asked for is the right one only where nothing else of it says otherwise."""
    form = make_form(declaration)
    content = {"VersionId": "v", "SecretString": "s", **seen, "Parameter": {"Version": 1, "Value": "v", **seen}}
    raw = form.read_body(content)

    assert raw is not None
    assert raw.identity is not None
    assert form.compare(raw.identity) is expected


@pytest.mark.parametrize(
    ("declaration", "seen"),
    [
        (Secret("prod/db"), DB_SEEN),
        (Secret(DB), DB_SEEN),
        (Secret(PARTIAL), DB_SEEN),
        (Secret("prod/db", version_id="v1"), DB_SEEN),
        (Secret("prod/db", version_id="v1"), Identity("prod/db", DB, "v1", ("AWSPREVIOUS",))),
        (Secret("prod/db", version_stage="AWSPREVIOUS"), Identity("prod/db", DB, "v0", ("AWSPREVIOUS", "mine"))),
        (Secret("prod/db"), Identity("prod/db", DB, "v1")),
        (Secret("prod/db"), Identity()),
        (Secret("prod/db"), Identity(arn=DB)),
        (Secret(DB), Identity(name="prod/db")),
        (Secret("prod/db", role_arn=ROLE), DB_SEEN),
        (Secret(DB, role_arn=OTHER_ROLE), DB_SEEN),
        (Secret("prod/db", role_arn=OTHER_ROLE), Identity("prod/db", None, "v1", CURRENT)),
        (Parameter("/p/size"), SIZE_SEEN),
        (Parameter(SIZE), SIZE_SEEN),
        (Parameter("plain"), Identity("plain", f"arn:aws:ssm:{PLACE}:parameter/plain", "1")),
        (Parameter("/p/size", version=3), SIZE_SEEN.replace(selector="3")),
        (Parameter("/p/size:3"), SIZE_SEEN.replace(selector="3")),
        (Parameter("/p/size", label="live"), SIZE_SEEN.replace(selector="live")),
        (Parameter("/p/size:live"), SIZE_SEEN.replace(selector="live")),
        (Parameter(f"{SIZE}:3"), SIZE_SEEN.replace(selector="3")),
        (Parameter(REFERENCE), Identity(REFERENCE, DB, "v1")),
        (Parameter(f"{REFERENCE}:AWSPREVIOUS"), Identity(REFERENCE, DB, "v0", selector="AWSPREVIOUS")),
    ],
)
def test_what_is_asked_for_is_the_same(declaration: Secret | Parameter, seen: Identity) -> None:
    """The answers of both servers, in every form of a name, are the request's own."""
    assert Match.SAME is make_form(declaration).compare(seen)


@pytest.mark.parametrize(
    ("declaration", "seen"),
    [
        (Secret("prod/DB"), DB_SEEN),
        (Secret("prod/db-a1B2c3"), DB_SEEN),
        (Secret("prod/db"), Identity("prod/db-a1B2c3", None, "v1")),
        (Secret("prod/db"), Identity(DB, None, "v1")),
        (Secret(DB.replace("prod/db", "prod/DB")), DB_SEEN),
        (Secret("prod/db"), Identity("prod/db", DB, "v1", ("AWSPENDING",))),
        (Secret("prod/db", version_stage="mine"), DB_SEEN),
        (Parameter("p-size"), Identity("/p-size", None, "3")),
        (Parameter(SIZE.replace("size", "Size")), SIZE_SEEN),
        (Parameter("/p/size"), SIZE_SEEN.replace(selector="3")),
        (Parameter("/p/size", label="live"), SIZE_SEEN),
        (Parameter("/p/size", label="live"), SIZE_SEEN.replace(selector="Live")),
    ],
)
def test_another_spelling(declaration: Secret | Parameter, seen: Identity) -> None:
    """Case, suffix, slash and selector are ways of writing."""
    assert Match.SPELLING is make_form(declaration).compare(seen)


@pytest.mark.parametrize(
    ("declaration", "seen"),
    [
        (Secret("prod/db"), Identity("prod/key", DB.replace("db", "key"), "v1", CURRENT)),
        (Secret("prod/db"), Identity(None, DB.replace("db", "key"))),
        (Secret(DB), Identity("prod/db", DB.replace("us-east-1", "us-west-2"), "v1", CURRENT)),
        (Secret(DB), Identity("prod/db", DB.replace("123456789012", "999988887777"), "v1", CURRENT)),
        (Secret("db-orders"), Identity("db-users1", None, "v1", CURRENT)),
        (Secret("prod/db", version_id="v1"), DB_SEEN.replace(version="v2")),
        (Secret("prod/db", role_arn=OTHER_ROLE), DB_SEEN),
        (Parameter("/p/size"), Identity("/p/key", SIZE.replace("size", "key"), "3")),
        (Parameter("/p/size"), Identity("/p/size-abcdef", None, "3")),
        (Parameter(SIZE), Identity("/p/size", SIZE.replace("us-east-1", "us-west-2"), "3")),
        (Parameter("/p/size", version=2), SIZE_SEEN.replace(selector="2")),
        (Parameter("/p/size:2"), SIZE_SEEN),
        (Parameter("/p/size", label="live"), SIZE_SEEN.replace(selector="test")),
        (Parameter(REFERENCE), Identity("/aws/reference/secretsmanager/prod/key", None, "v1")),
    ],
)
def test_anothers_value(declaration: Secret | Parameter, seen: Identity) -> None:
    """Another name, place, account or version is another value."""
    assert Match.OTHER is make_form(declaration).compare(seen)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("/p", ("/p", "")),
        ("/p:3", ("/p", "3")),
        (SIZE, (SIZE, "")),
        (f"{SIZE}:live", (SIZE, "live")),
        (f"{REFERENCE}:v-1", (REFERENCE, "v-1")),
    ],
)
def test_a_selector_stands_at_the_end(name: str, parts: tuple[str, str]) -> None:
    """The last colon of a name, but none of an ARN's own, begins the selector."""
    assert parts == split_selector(name)


@pytest.mark.parametrize(
    ("declaration", "pending"),
    [
        (Secret("db", key="x", role_arn=ROLE), Secret("db", version_stage="AWSPENDING", role_arn=ROLE, literal=True)),
        (Secret("db", version_id="v1"), None),
        (Secret("db", version_stage="AWSPREVIOUS"), None),
        (Parameter("/p"), None),
    ],
)
def test_what_has_a_version_on_trial(declaration: Secret | Parameter, pending: Secret | None) -> None:
    """Only a secret that is declared without version and stage has one."""
    assert pending == make_form(declaration).make_pending()
