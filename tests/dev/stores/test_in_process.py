import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

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


NAMES = ["dev/db", ARN, ARN.removesuffix("-AbCdEf")]


@pytest.fixture
def own() -> MemoryStore:
    """Make a store in the account and the Region of the ARN."""
    return MemoryStore(region="eu-west-1", account="210987654321", now=lambda: NOW)


@pytest.mark.parametrize("put", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_secret_has_three_names(own: MemoryStore, put: str, name: str) -> None:
    """In the own account and Region a name, its ARN, and its ARN without the suffix are one secret."""
    own.put_secret(ARN, "old")
    own.put_secret(put, "new")

    found, before = own.secret(name), own.secret(name, version_stage="AWSPREVIOUS")

    assert (found.arn, found.name, found.string, before.string) == (ARN, "dev/db", "new", "old")


def test_a_made_up_arn_gives_way_to_the_real_one(own: MemoryStore) -> None:
    """A secret that was put by its name takes the ARN by which it is put later; the one that was made up is gone."""
    own.put_secret("dev/db", "old")
    made_up = own.secret("dev/db").arn
    own.put_secret(ARN, "new")

    assert [own.secret("dev/db", version_stage=stage).arn for stage in ("AWSCURRENT", "AWSPREVIOUS")] == [ARN, ARN]
    assert refusal(lambda: own.secret(made_up)) == NO_SECRET


def test_a_secret_has_one_arn(own: MemoryStore) -> None:
    """A second ARN for the same secret is refused."""
    own.put_secret(ARN, "value")
    other = f"{ARN[:-6]}ZzZzZz"

    with pytest.raises(ValueError, match=r"^Cannot put '.*-ZzZzZz': this secret has the ARN '.*-AbCdEf'\.$"):
        own.put_secret(other, "value")


NO_SECRET = "ResourceNotFoundException: Secrets Manager can't find the specified secret."


def refusal(ask: Callable[[], object]) -> str:
    """Ask for what is refused and give the error's text."""
    with pytest.raises(StoreError) as raised:
        ask()
    return str(raised.value)


OTHER = "arn:aws:secretsmanager:us-east-1:999988887777:secret:dev/db-AbCdEf"
OTHER_ROLE = "arn:aws:iam::999988887777:role/path/reader"
OWN_ROLE = "arn:aws:iam::123456789012:role/reader"
ELSEWHERE = "arn:aws:secretsmanager:us-west-2:123456789012:secret:dev/db-GhIjKl"
ELSEWHERE_OF_OTHER = "arn:aws:secretsmanager:us-west-2:999988887777:secret:dev/db-MnOpQr"


@pytest.mark.parametrize("order", [1, -1])
def test_account_and_region_tell_secrets_apart(store: MemoryStore, order: int) -> None:
    """Secrets of one name in other accounts and Regions are others, in whatever order they are put."""
    values = {"dev/db": "mine", OTHER: "theirs", ELSEWHERE: "elsewhere", ELSEWHERE_OF_OTHER: "theirs elsewhere"}
    for name, value in list(values.items())[::order]:
        store.put_secret(name, value)

    assert values == {name: store.secret(name).string for name in values}
    assert [store.secret(arn[:-7]).string for arn in values if arn != "dev/db"] == list(values.values())[1:]
    assert [store.secret("dev/db", role_arn=role).string for role in (OWN_ROLE, OTHER_ROLE)] == ["mine", "theirs"]
    assert store.secret(ELSEWHERE, role_arn=OTHER_ROLE).string == "elsewhere"


@pytest.mark.parametrize("arn", [OTHER, ELSEWHERE, ELSEWHERE_OF_OTHER])
def test_a_bare_name_is_in_the_own_account_and_region(store: MemoryStore, arn: str) -> None:
    """A secret of another account or Region does not answer to its bare name."""
    store.put_secret(arn, "theirs")

    assert refusal(lambda: store.secret("dev/db")) == NO_SECRET
    assert refusal(lambda: store.secret("dev/db", role_arn=OWN_ROLE)) == NO_SECRET


def test_a_role_reads_in_the_own_region(store: MemoryStore) -> None:
    """A bare name that is asked for with a role of another account is not one of another Region."""
    store.put_secret(ELSEWHERE_OF_OTHER, "theirs elsewhere")
    store.put_secret("dev/db", "mine")

    assert refusal(lambda: store.secret("dev/db", role_arn=OTHER_ROLE)) == NO_SECRET


def test_what_is_no_role_is_refused(store: MemoryStore) -> None:
    """A role is an ARN of a role."""
    store.put_secret("dev/db", "mine")

    assert refusal(lambda: store.secret("dev/db", role_arn="reader")) == "ValidationError: reader is invalid"


def test_a_denied_role_cannot_be_assumed(store: MemoryStore) -> None:
    """A role that is denied reads nothing, and the caller reads on without it."""
    store.put_secret("dev/db", "mine")
    store.deny(OWN_ROLE)

    said = refusal(lambda: store.secret("dev/db", role_arn=OWN_ROLE))

    assert said == denial("sts:AssumeRole", OWN_ROLE).replace("AccessDeniedException", "AccessDenied")
    assert store.secret("dev/db").string == "mine"


def denial(action: str, resource: str, account: str = "123456789012", role: str = "lambdasecrets") -> str:
    """Give AWS's words for a missing permission."""
    return (
        f"AccessDeniedException: User: arn:aws:sts::{account}:assumed-role/{role}/function is not authorized"
        f" to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )


def test_a_whole_arn_is_never_taken_for_a_name(store: MemoryStore) -> None:
    """An ARN that ends in a hyphen and six characters is whole, though a secret has a name that ends like that."""
    store.put_secret("db-abcdef", "value")

    assert refusal(lambda: store.secret("arn:aws:secretsmanager:us-east-1:123456789012:secret:db-abcdef")) == NO_SECRET
    assert store.secret("db-abcdef").string == "value"


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_an_arn_has_the_partition_of_its_region(region: str, partition: str) -> None:
    """The Region decides on the partition in the ARNs that are made up."""
    store = MemoryStore(region=region, account="111122223333")
    store.put_secret("s", "value")
    store.put_parameter("/p", "value")

    assert store.secret("s").arn.startswith(f"arn:{partition}:secretsmanager:{region}:111122223333:secret:s-")
    assert store.parameter("/p").arn == f"arn:{partition}:ssm:{region}:111122223333:parameter/p"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (f"arn:aws:ssm:{'us-east-1:123456789012'}:parameter/x", "not the ARN of a secret"),
        ("arn:aws:secretsmanager:us-east-1:123:secret:x-AbCdEf", "not the ARN of a secret"),
        (f"{ARN}:password::", "not the ARN of a secret"),
        ("a b", "a secret's name has letters, digits and /_\\+=\\.@-! only"),
        ("", "a secret's name has letters, digits and /_\\+=\\.@-! only"),
    ],
)
def test_what_is_no_secrets_name_is_refused(store: MemoryStore, name: str, problem: str) -> None:
    """A secret is put by a name that Secrets Manager takes, or by an ARN of its own kind."""
    with pytest.raises(ValueError, match=f"^{problem}"):
        store.put_secret(name, "value")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (ARN, "not the ARN of a parameter"),
        ("arn:aws:ssm:us-east-1:123456789012:parameter/x:1", "not the ARN of a parameter"),
        ("/x:1", "a parameter's name has letters, digits and ._/- only"),
        ("orders/size", "a path begins with a slash; write '/orders/size'."),
        ("/aws/reference/secretsmanager/x", "a reference is not put; put the secret that it means."),
    ],
)
def test_what_is_no_parameters_name_is_refused(store: MemoryStore, name: str, problem: str) -> None:
    """A parameter is put by a name that Parameter Store takes, or by an ARN of its own kind."""
    with pytest.raises(ValueError, match=f"^{problem}"):
        store.put_parameter(name, "value")


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


@pytest.mark.parametrize("value", ["", [], [""]])
def test_an_empty_parameter_is_refused(store: MemoryStore, value: object) -> None:
    """Parameter Store has no empty value."""
    with pytest.raises(ValueError, match=r"^Cannot put an empty value: Parameter Store has none\.$"):
        store.put_parameter("p", value)


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
    store.put_parameter("/p", "mine")
    store.put_parameter(shared, "theirs")
    store.put_parameter(shared, "theirs anew")
    found = store.parameter(shared)

    assert store.parameter("arn:aws:ssm:us-east-1:123456789012:parameter/p").value == "mine"
    assert (found.arn, found.name, found.value, found.version) == (shared, "/shared/x", "theirs anew", 2)


@pytest.mark.parametrize("order", [1, -1])
def test_account_and_region_tell_parameters_apart(store: MemoryStore, order: int) -> None:
    """Parameters of one name in other accounts and Regions are others, and none of them answers to the bare name."""
    values = {
        "arn:aws:ssm:us-east-1:999988887777:parameter/t": "theirs",
        "arn:aws:ssm:us-west-2:123456789012:parameter/t": "elsewhere",
        "arn:aws:ssm:us-west-2:999988887777:parameter/t": "theirs elsewhere",
    }
    for name, value in list(values.items())[::order]:
        store.put_parameter(name, value)
    without = refusal(lambda: store.parameter("/t"))
    store.put_parameter("/t", "mine")

    assert without == "ParameterNotFound: Parameter /t not found."
    assert {**values, "/t": "mine"} == {name: store.parameter(name).value for name in (*values, "/t")}
    assert [store.parameter(arn).arn for arn in values] == list(values)


@pytest.mark.parametrize("account", ["", "123456789012"])
def test_what_aws_publishes_is_in_no_account(store: MemoryStore, account: str) -> None:
    """A public parameter has no account in its ARN."""
    name = "/aws/service/global-infrastructure/regions/us-east-1"
    store.put_parameter(name, "us-east-1")

    assert (
        store.parameter(f"arn:aws:ssm:us-east-1:{account}:parameter{name}").arn
        == f"arn:aws:ssm:us-east-1::parameter{name}"
    )


def test_a_secure_string_without_decryption_is_ciphertext(store: MemoryStore) -> None:
    """A SecureString that is not decrypted looks like KMS's output and shows nothing but the length of its value."""
    store.put_parameter("p", "hunter2", type="SecureString")
    other = MemoryStore()
    other.put_parameter("p", "another", type="SecureString")
    ciphertext = store.parameter("p").value or ""

    assert ciphertext.startswith("AQICAH")
    assert [ciphertext, ciphertext] == [store.parameter("p").value, other.parameter("p").value]
    assert store.parameter("p", decrypt=True).value == "hunter2"


@pytest.mark.parametrize(("value", "characters"), [("x", 224), ("x" * 100, 356), ("ü" * 50, 356), ("x" * 4096, 5684)])
def test_ciphertext_grows_with_its_value(store: MemoryStore, value: str, characters: int) -> None:
    """Ciphertext has more than 200 characters, and the more the longer the value is, as KMS has it."""
    store.put_parameter("p", value, type="SecureString")

    assert len(store.parameter("p").value or "") == characters


def test_a_secret_through_parameter_store(store: MemoryStore) -> None:
    """A reference gives a secret's current version, or the one of a stage, as a SecureString of version 0."""
    store.put_secret("key", "old")
    store.put_secret("key", b"new")
    current = store.parameter("/aws/reference/secretsmanager/key", decrypt=True)
    previous = store.parameter("/aws/reference/secretsmanager/key", label="AWSPREVIOUS", decrypt=True)

    assert (current.type, current.version, current.value, current.selector) == ("SecureString", 0, None, None)
    assert (previous.value, previous.selector) == ("old", ":AWSPREVIOUS")
    assert (current.arn, current.data_type) == (store.secret("key").arn, None)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2022, 11, 16, 8, 22, 40, 499_000, tzinfo=timezone.utc), "Nov 16, 2022, 8:22:40 AM"),
        (datetime(2024, 1, 2, 0, 0, 0, tzinfo=timezone.utc), "Jan 2, 2024, 12:00:00 AM"),
        (datetime(2024, 12, 31, 12, 5, 9, tzinfo=timezone.utc), "Dec 31, 2024, 12:05:09 PM"),
        (datetime(2024, 5, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=2))), "May 31, 2024, 9:59:59 PM"),
    ],
)
def test_a_source_result_has_javas_date(moment: datetime, expected: str) -> None:
    """What Secrets Manager answered to Parameter Store has its date as Java writes it, in UTC."""
    store = MemoryStore(now=lambda: moment)
    store.put_secret("key", "value")
    found = store.parameter("/aws/reference/secretsmanager/key", decrypt=True)

    assert expected == json.loads(found.source_result or "")["createdDate"]


def test_a_source_result_has_javas_buffer(store: MemoryStore) -> None:
    """The bytes of a binary secret are numbers with a sign in Java's buffer."""
    store.put_secret("key", bytes(range(256)))
    found = store.parameter("/aws/reference/secretsmanager/key", decrypt=True)
    buffer = json.loads(found.source_result or "")["secretBinary"]

    assert buffer == {
        "hb": [*range(128), *range(-128, 0)],
        "offset": 0,
        "isReadOnly": False,
        "bigEndian": True,
        "nativeByteOrder": False,
        "mark": -1,
        "position": 0,
        "limit": 256,
        "capacity": 256,
        "address": 16,
    }


def test_a_reference_in_an_arn(store: MemoryStore) -> None:
    """A reference may stand in an ARN of the own account; of another one it does not mean the own secret."""
    store.put_secret("key", "value")
    reference = "parameter/aws/reference/secretsmanager/key"

    assert store.parameter(f"arn:aws:ssm:us-east-1:123456789012:{reference}", decrypt=True).value == "value"
    with pytest.raises(StoreError, match="ParameterNotFound"):
        store.parameter(f"arn:aws:ssm:us-east-1:999988887777:{reference}", decrypt=True)


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ("/aws/reference/secretsmanager/key", ("ssm:GetParameter", "/aws/reference/secretsmanager/key", "")),
        ("key", ("secretsmanager:GetSecretValue", "key", "when referencing Secrets Manager: ")),
        ("arn", ("secretsmanager:GetSecretValue", "key", "when referencing Secrets Manager: ")),
    ],
)
def test_a_reference_needs_two_permissions(store: MemoryStore, denied: str, expected: tuple[str, str, str]) -> None:
    """A reference is denied by itself or by the secret behind it, and the error says which."""
    store.put_secret("key", "value")
    store.deny(store.secret("key").arn if denied == "arn" else denied)
    action, resource, where = expected
    said = refusal(lambda: store.parameter("/aws/reference/secretsmanager/key", label="AWSCURRENT", decrypt=True))

    assert said.endswith(denial(action, resource).partition(": ")[2])
    assert where in said


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


@pytest.mark.parametrize("denied", NAMES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", [1, -1])
def test_denying_a_secret(own: MemoryStore, denied: str, name: str, order: int) -> None:
    """A denied secret is refused under all of its names, whether it was denied before it was there or after."""
    acts: list[Callable[[], object]] = [lambda: own.put_secret(ARN, "value"), lambda: own.deny(denied)]
    for act in acts[::order]:
        act()

    said = refusal(lambda: own.secret(name))

    assert said == denial("secretsmanager:GetSecretValue", name, "210987654321")


def test_denying_is_for_one_account(store: MemoryStore) -> None:
    """Who denies a secret of one account does not deny that of another."""
    for name in ("dev/db", OTHER):
        store.put_secret(name, "value")
    store.deny(OTHER)
    said = refusal(lambda: store.secret("dev/db", role_arn=OTHER_ROLE))

    assert said == denial("secretsmanager:GetSecretValue", "dev/db", "999988887777", "reader")
    assert store.secret("dev/db").string == "value"


@pytest.mark.parametrize("name", ["/p/x", "/p/x:1", "arn:aws:ssm:us-east-1:123456789012:parameter/p/x"])
def test_denying_what_does_not_exist(store: MemoryStore, name: str) -> None:
    """A denied name is denied rather than not found, as AWS has it, whatever is selected of it."""
    store.deny("/p/x")

    said = refusal(lambda: store.parameter(name))

    assert said == denial("ssm:GetParameter", name.removesuffix(":1"))
