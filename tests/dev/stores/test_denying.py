import pytest

from lambdasecrets.dev.stores import DenyingStore, MemoryStore, StoreError

HERE = "us-east-1:123456789012"
SECRET_ARN = f"arn:aws:secretsmanager:{HERE}:secret:dev/db-AbCdEf"


@pytest.fixture
def store() -> MemoryStore:
    """Make a store with two of each kind."""
    store = MemoryStore()
    store.put_secret(SECRET_ARN, "value")
    store.put_secret("dev/other", "value")
    store.put_parameter("/dev/size", 1)
    store.put_parameter("plain", 1)
    return store


@pytest.mark.parametrize(
    ("denied", "asked"),
    [
        ("dev/db", "dev/db"),
        ("dev/db", SECRET_ARN),
        ("dev/db", SECRET_ARN[:-7]),
        (SECRET_ARN, SECRET_ARN),
    ],
)
def test_a_secret_is_denied(store: MemoryStore, denied: str, asked: str) -> None:
    """A denied secret is refused by its name and by its ARN, whatever its account, and others are not."""
    denying = DenyingStore(store, [denied])
    with pytest.raises(StoreError) as raised:
        denying.secret(asked)

    assert str(raised.value) == (
        "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/lambdasecrets/function is not authorized"
        f" to perform: secretsmanager:GetSecretValue on resource: {asked} because no identity-based policy allows the"
        " secretsmanager:GetSecretValue action"
    )
    assert denying.secret("dev/other").string == "value"
    assert denying.secret("dev/other", role_arn="arn:aws:iam::123456789012:role/r").string == "value"


@pytest.mark.parametrize(
    ("denied", "asked"),
    [
        ("/dev/size", "/dev/size"),
        ("/dev/size", "/dev/size:1"),
        ("/dev/size", f"arn:aws:ssm:{HERE}:parameter/dev/size"),
        ("plain", f"arn:aws:ssm:{HERE}:parameter/plain:1"),
    ],
)
def test_a_parameter_is_denied(store: MemoryStore, denied: str, asked: str) -> None:
    """A denied parameter is refused with whatever selector, and others are not."""
    denying = DenyingStore(store, [denied])
    other = "plain" if denied == "/dev/size" else "/dev/size"

    with pytest.raises(StoreError, match="ssm:GetParameter"):
        denying.parameter(asked)
    assert denying.parameter(other).value == "1"
