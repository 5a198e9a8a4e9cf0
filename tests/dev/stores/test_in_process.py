import json
import uuid
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdasecrets.dev.stores import MemoryStore, StoredParameter, StoredSecret, StoreError

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
ARN = "arn:aws:secretsmanager:eu-west-1:210987654321:secret:dev/db-AbCdEf"
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
JSON_OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


@pytest.fixture
def store() -> MemoryStore:
    """Make a store whose time stands still."""
    return MemoryStore(now=lambda: NOW)


def test_a_text_is_a_secret_string(store: MemoryStore) -> None:
    """A text comes out as it went in, in a version that is current."""
    version_id = store.put_secret("dev/key", "hunter2")

    assert uuid.UUID(version_id).version == 4
    assert store.secret("dev/key") == StoredSecret(
        arn="arn:aws:secretsmanager:us-east-1:123456789012:secret:dev/key-c3c6c3",
        name="dev/key",
        version_id=version_id,
        version_stages=("AWSCURRENT",),
        created=NOW,
        string="hunter2",
        binary=None,
    )


@settings(deadline=None)
@given(st.binary())
def test_bytes_are_a_binary_secret(value: bytes) -> None:
    """Bytes come out as they went in, and there is no text beside them."""
    store = MemoryStore()
    store.put_secret("key", value)
    secret = store.secret("key")

    assert (secret.binary, secret.string) == (value, None)


@settings(deadline=None)
@given(JSON_OBJECTS)
def test_anything_else_is_json(value: dict[str, object]) -> None:
    """A structure is kept as JSON text."""
    store = MemoryStore()
    store.put_secret("key", value)

    assert json.loads(store.secret("key").string or "") == value


def test_a_new_current_version_makes_the_old_one_previous(store: MemoryStore) -> None:
    """AWSCURRENT moves to the new version and AWSPREVIOUS to the one that was current."""
    first, second, third = (store.put_secret("key", text) for text in ("1", "2", "3"))

    assert (store.secret("key").version_id, store.secret("key").string) == (third, "3")
    assert store.secret("key", version_stage="AWSPREVIOUS").string == "2"
    assert store.secret("key", version_id=first).version_stages == ()
    assert store.secret("key", version_id=second).version_stages == ("AWSPREVIOUS",)


def test_a_version_can_wait_in_a_stage(store: MemoryStore) -> None:
    """A version in AWSPENDING does not touch the current one, and a version may have several stages."""
    store.put_secret("key", "old")
    store.put_secret("key", "new", version_id="v2", stages=("AWSPENDING", "blue"))

    assert store.secret("key").string == "old"
    assert store.secret("key", version_stage="AWSPENDING").version_stages == ("AWSPENDING", "blue")
    assert store.secret("key", version_id="v2", version_stage="blue").string == "new"


@pytest.mark.parametrize(
    ("version_id", "version_stage", "text"),
    [
        (None, "blue", "can't find the specified secret value for staging label: blue."),
        ("v9", None, "can't find the specified secret value for VersionId: v9."),
    ],
)
def test_a_version_that_is_not_there(
    store: MemoryStore, version_id: str | None, version_stage: str | None, text: str
) -> None:
    """An unknown version id or stage is not found, in Secrets Manager's words."""
    store.put_secret("key", "value", version_id="v1")

    with pytest.raises(StoreError) as raised:
        store.secret("key", version_id=version_id, version_stage=version_stage)

    assert str(raised.value) == f"ResourceNotFoundException: Secrets Manager {text}"


def test_a_stage_that_is_on_another_version(store: MemoryStore) -> None:
    """A version id and a stage must name the same version."""
    store.put_secret("key", "value", version_id="v1")

    with pytest.raises(StoreError) as raised:
        store.secret("key", version_id="v1", version_stage="AWSPREVIOUS")

    assert str(raised.value) == (
        "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId."
    )


def test_a_version_id_is_used_once(store: MemoryStore) -> None:
    """Putting a second version with the same id is refused."""
    store.put_secret("key", "value", version_id="v1")

    with pytest.raises(ValueError, match=r"^Cannot put version id 'v1' of 'key': it exists\.$"):
        store.put_secret("key", "other", version_id="v1")


@pytest.mark.parametrize("name", ["dev/db", ARN, ARN.removesuffix("-AbCdEf")])
def test_a_secret_has_three_names(store: MemoryStore, name: str) -> None:
    """A secret is found by its name, its ARN, and its ARN without the six random characters."""
    store.put_secret(ARN, "value")

    assert (store.secret(name).arn, store.secret(name).name) == (ARN, "dev/db")


def test_an_arn_puts_into_the_same_secret(store: MemoryStore) -> None:
    """A secret that was made by its ARN gets its next version by its name."""
    store.put_secret(ARN, "old")
    store.put_secret("dev/db", "new")
    store.put_secret(ARN, "newer")

    assert (store.secret(ARN).string, store.secret("dev/db", version_stage="AWSPREVIOUS").string) == ("newer", "new")


def test_a_secret_that_is_not_there(store: MemoryStore) -> None:
    """An unknown name is not found, in Secrets Manager's words."""
    with pytest.raises(StoreError) as raised:
        store.secret("key")

    assert str(raised.value) == "ResourceNotFoundException: Secrets Manager can't find the specified secret."


def test_a_text_is_a_string_parameter(store: MemoryStore) -> None:
    """A text is a parameter of type String, with version 1."""
    number = store.put_parameter("/p/x", "v")

    assert (number, store.parameter("/p/x")) == (
        1,
        StoredParameter(
            arn="arn:aws:ssm:us-east-1:123456789012:parameter/p/x",
            name="/p/x",
            type="String",
            value="v",
            version=1,
            data_type="text",
            last_modified=NOW,
            selector=None,
        ),
    )


@pytest.mark.parametrize(
    ("value", "parameter_type", "expected"),
    [
        (["a", "b"], None, ("StringList", "a,b")),
        ((1, True, 2.5), None, ("StringList", "1,true,2.5")),
        ([], None, ("StringList", "")),
        ("a,b", "StringList", ("StringList", "a,b")),
        ([1, "b"], "String", ("String", '[1, "b"]')),
        (50, None, ("String", "50")),
        (False, None, ("String", "false")),
        ({"a": "ü"}, None, ("String", '{"a": "ü"}')),
        ("x", "SecureString", ("SecureString", "x")),
    ],
)
def test_how_a_value_becomes_a_parameter(
    store: MemoryStore, value: object, parameter_type: str | None, expected: tuple[str, str]
) -> None:
    """A list is a StringList, all else a String; what is no text is JSON."""
    store.put_parameter("p", value, type=parameter_type)
    parameter = store.parameter("p", decrypt=True)

    assert expected == (parameter.type, parameter.value)


def test_an_item_with_a_comma_is_refused(store: MemoryStore) -> None:
    """A StringList cannot carry a comma inside an item."""
    with pytest.raises(ValueError, match=r"^Cannot put a StringList: an item has a comma, which would make it two\.$"):
        store.put_parameter("p", ["a,b"])


def test_an_unknown_type_is_refused(store: MemoryStore) -> None:
    """A parameter has one of Parameter Store's three types."""
    with pytest.raises(
        ValueError, match=r"^Unknown parameter type 'Text': use one of String, StringList, SecureString\.$"
    ):
        store.put_parameter("p", "v", type="Text")


@pytest.mark.parametrize("value", ["\ud800-canary", {"key": "\ud800-canary"}])
def test_a_text_that_utf8_cannot_carry_is_refused_without_showing_it(store: MemoryStore, value: object) -> None:
    """Half a surrogate pair is refused, and the error keeps nothing of the text."""
    with pytest.raises(ValueError, match=r"half of a surrogate pair") as raised:
        store.put_secret("key", value)

    assert raised.value.args == ("Cannot put this text: it has half of a surrogate pair, which UTF-8 cannot carry.",)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("third", 3, None)),
        ({"version": 2}, ("second", 2, ":2")),
        ({"label": "Dev"}, ("second", 2, ":Dev")),
        ({"label": "Prod"}, ("first", 1, ":Prod")),
    ],
)
def test_a_parameter_by_version_and_label(
    store: MemoryStore, options: dict[str, object], expected: tuple[str, int, str | None]
) -> None:
    """A version or a label selects, and a label that moved is on its last version only."""
    store.put_parameter("p", "first", labels=("Dev", "Prod"))
    store.put_parameter("p", "second", labels=["Dev"])
    store.put_parameter("p", "third")
    parameter = store.parameter("p", **options)  # type: ignore[arg-type]

    assert expected == (parameter.value, parameter.version, parameter.selector)


@pytest.mark.parametrize(("options", "selector"), [({"version": 0}, "0"), ({"version": 2}, "2"), ({"label": "x"}, "x")])
def test_a_parameter_version_that_is_not_there(store: MemoryStore, options: dict[str, object], selector: str) -> None:
    """An unknown version or label is not found, in Parameter Store's words."""
    store.put_parameter("p", "v")

    with pytest.raises(StoreError) as raised:
        store.parameter("p", **options)  # type: ignore[arg-type]

    assert str(raised.value) == (
        f"ParameterVersionNotFound: Systems Manager could not find version {selector} of p."
        " Verify the version and try again."
    )


def test_a_parameter_that_is_not_there(store: MemoryStore) -> None:
    """An unknown name is not found."""
    with pytest.raises(StoreError) as raised:
        store.parameter("/p/x")

    assert str(raised.value) == "ParameterNotFound: Parameter /p/x not found."


def test_a_parameter_has_an_arn(store: MemoryStore) -> None:
    """A parameter is found by its ARN, and can be made by one of another account."""
    shared = "arn:aws:ssm:eu-west-1:999999999999:parameter/shared/x"
    store.put_parameter("p", "mine")
    store.put_parameter(shared, "theirs")
    store.put_parameter(shared, "theirs anew")

    assert store.parameter("arn:aws:ssm:us-east-1:123456789012:parameter/p").value == "mine"
    assert (store.parameter(shared).name, store.parameter("/shared/x").value) == ("/shared/x", "theirs anew")


def test_a_secure_string_without_decryption_is_ciphertext(store: MemoryStore) -> None:
    """A SecureString that is not decrypted looks like KMS's output and stays the same, whatever its value."""
    store.put_parameter("p", "hunter2", type="SecureString")
    other = MemoryStore()
    other.put_parameter("p", "something else", type="SecureString")
    ciphertext = store.parameter("p").value or ""

    assert ciphertext.startswith("AQIC")
    assert [ciphertext, ciphertext] == [store.parameter("p").value, other.parameter("p").value]
    assert store.parameter("p", decrypt=True).value == "hunter2"


def test_a_secret_through_parameter_store(store: MemoryStore) -> None:
    """A reference gives a secret's current version, or the one of a stage, as a SecureString of version 0."""
    store.put_secret("key", "old")
    store.put_secret("key", b"new")
    current = store.parameter("/aws/reference/secretsmanager/key", decrypt=True)
    previous = store.parameter("/aws/reference/secretsmanager/key", label="AWSPREVIOUS", decrypt=True)

    assert (current.type, current.version, current.value, current.selector) == ("SecureString", 0, None, None)
    assert (previous.value, previous.selector) == ("old", ":AWSPREVIOUS")
    assert (current.arn, current.data_type) == (store.secret("key").arn, None)


def test_a_reference_wants_decryption(store: MemoryStore) -> None:
    """A secret through Parameter Store without decryption is refused, as AWS refuses it."""
    store.put_secret("key", "value")

    with pytest.raises(StoreError) as raised:
        store.parameter("/aws/reference/secretsmanager/key")

    assert str(raised.value) == (
        "ValidationException: WithDecryption flag must be True for retrieving a Secret Manager secret."
    )


def test_deleting(store: MemoryStore) -> None:
    """Deleting takes the secret and the parameter of a name, and may take one made anew."""
    store.put_secret("x", "value")
    store.put_parameter("x", "value")
    store.delete("x")
    store.put_secret("x", "new")
    store.delete(store.secret("x").arn)

    for gone in (store.secret, store.parameter):
        with pytest.raises(StoreError):
            gone("x")
    with pytest.raises(KeyError, match=r"^'x'$"):
        store.delete("x")


@pytest.mark.parametrize("denied", ["dev/db", ARN])
def test_denying_a_secret(store: MemoryStore, denied: str) -> None:
    """A denied secret is refused under all of its names, with the action that is missing."""
    store.put_secret(ARN, "value")
    store.deny(denied)

    with pytest.raises(StoreError) as raised:
        store.secret(ARN)

    assert str(raised.value) == (
        "AccessDeniedException: User is not authorized to perform: secretsmanager:GetSecretValue on resource:"
        f" {ARN} because no identity-based policy allows the secretsmanager:GetSecretValue action"
    )


def test_denying_what_does_not_exist(store: MemoryStore) -> None:
    """A denied name is denied rather than not found, as AWS has it."""
    store.deny("/p/x")

    with pytest.raises(StoreError) as raised:
        store.parameter("/p/x")

    assert str(raised.value) == (
        "AccessDeniedException: User is not authorized to perform: ssm:GetParameter on resource: /p/x"
        " because no identity-based policy allows the ssm:GetParameter action"
    )
