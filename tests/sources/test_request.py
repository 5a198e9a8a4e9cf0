"""Whose value an answer is: what agrees with its request, what only spells it differently, what is another's."""

from __future__ import annotations

import pytest

from lambdasecrets import Parameter, Secret
from lambdasecrets._sources.request import Identity, Match, compare, split_selector

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
        (Parameter("/p/size", version=3), SIZE_SEEN._replace(selector="3")),
        (Parameter("/p/size:3"), SIZE_SEEN._replace(selector="3")),
        (Parameter("/p/size", label="live"), SIZE_SEEN._replace(selector="live")),
        (Parameter("/p/size:live"), SIZE_SEEN._replace(selector="live")),
        (Parameter(f"{SIZE}:3"), SIZE_SEEN._replace(selector="3")),
        (Parameter(REFERENCE), Identity(REFERENCE, DB, "v1")),
        (Parameter(f"{REFERENCE}:AWSPREVIOUS"), Identity(REFERENCE, DB, "v0", selector="AWSPREVIOUS")),
    ],
)
def test_what_is_asked_for_is_the_same(declaration: Secret | Parameter, seen: Identity) -> None:
    """The answers of both servers, in every form of a name, are the request's own."""
    assert Match.SAME is compare(declaration, seen)


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
        (Parameter("/p/size"), SIZE_SEEN._replace(selector="3")),
        (Parameter("/p/size", label="live"), SIZE_SEEN),
        (Parameter("/p/size", label="live"), SIZE_SEEN._replace(selector="Live")),
    ],
)
def test_another_spelling(declaration: Secret | Parameter, seen: Identity) -> None:
    """Case, suffix, slash and selector are ways of writing."""
    assert Match.SPELLING is compare(declaration, seen)


@pytest.mark.parametrize(
    ("declaration", "seen"),
    [
        (Secret("prod/db"), Identity("prod/key", DB.replace("db", "key"), "v1", CURRENT)),
        (Secret("prod/db"), Identity(None, DB.replace("db", "key"))),
        (Secret(DB), Identity("prod/db", DB.replace("us-east-1", "us-west-2"), "v1", CURRENT)),
        (Secret(DB), Identity("prod/db", DB.replace("123456789012", "999988887777"), "v1", CURRENT)),
        (Secret("db-orders"), Identity("db-users1", None, "v1", CURRENT)),
        (Secret("prod/db", version_id="v1"), DB_SEEN._replace(version="v2")),
        (Secret("prod/db", role_arn=OTHER_ROLE), DB_SEEN),
        (Parameter("/p/size"), Identity("/p/key", SIZE.replace("size", "key"), "3")),
        (Parameter("/p/size"), Identity("/p/size-abcdef", None, "3")),
        (Parameter(SIZE), Identity("/p/size", SIZE.replace("us-east-1", "us-west-2"), "3")),
        (Parameter("/p/size", version=2), SIZE_SEEN._replace(selector="2")),
        (Parameter("/p/size:2"), SIZE_SEEN),
        (Parameter("/p/size", label="live"), SIZE_SEEN._replace(selector="test")),
        (Parameter(REFERENCE), Identity("/aws/reference/secretsmanager/prod/key", None, "v1")),
    ],
)
def test_anothers_value(declaration: Secret | Parameter, seen: Identity) -> None:
    """Another name, place, account or version is another value."""
    assert Match.OTHER is compare(declaration, seen)


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
