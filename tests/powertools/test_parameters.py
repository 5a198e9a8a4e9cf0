from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import (
    BaseProvider,
    clear_caches,
    get_secret,
    get_secrets_by_name,
    set_parameter,
    set_secret,
)
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetParameterError,
    GetSecretError,
    SetParameterError,
    SetSecretError,
    TransformParameterError,
)
from moto import mock_aws

from lambdasecrets import (
    DeclarationError,
    RefreshUnavailableError,
    ResolveEvent,
    SettingError,
    UnresolvedError,
    invocation,
    testing,
)
from lambdasecrets.dev.context import LambdaContext
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.faults import Hang
from lambdasecrets.dev.stores import MemoryStore
from lambdasecrets.powertools import ExtensionSecretsProvider, ExtensionSSMProvider, parameters
from tests.powertools import documented
from tests.test_leaks import VALUE, Watch, check, logged


@pytest.fixture(autouse=True)
def powertools() -> Iterator[None]:
    """Let Powertools forget its providers."""
    yield
    clear_caches()


# --- What Powertools' page shows --------------------------------------------------------------------------------------


def run(imported: str, code: str) -> Any:
    """Run an example with one import or the other."""
    names: dict[str, Any] = {}
    exec(f"{imported}\n{code}", names)  # noqa: S102 - our own
    return names["handler"]({}, None)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Run every example with Powertools' own import, over what stands in for AWS; give the results."""
    credentials = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, text in credentials.items():
            patch.setenv(name, text)
        secrets, ssm = boto3.client("secretsmanager"), boto3.client("ssm")
        for name, text in documented.SECRETS.items():
            secrets.create_secret(Name=name, SecretString=text)
        for name, text in documented.PARAMETERS.items():
            ssm.put_parameter(Name=name, Value=text, Type="String")
        for name, text in documented.SECURE.items():
            ssm.put_parameter(Name=name, Value=text, Type="SecureString")
        results = {name: run(documented.THEIRS, code) for name, code in documented.EXAMPLES.items()}
    clear_caches()
    return results


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("name", documented.EXAMPLES)
def test_with_only_the_import_changed(name: str, expected: dict[str, Any], store: MemoryStore) -> None:
    """An example of Powertools' page gives over the extension what it gives with Powertools' own import."""
    documented.put_values(store)

    assert run(documented.OURS, documented.EXAMPLES[name]) == expected[name]


@pytest.mark.parametrize("name", [name for name, code in documented.EXAMPLES.items() if "Provider(" not in code])
def test_with_no_import_changed(name: str, expected: dict[str, Any], store: MemoryStore, emulator: Emulator) -> None:
    """With our providers as Powertools' defaults, its own functions read through the extension."""
    documented.put_values(store)
    DEFAULT_PROVIDERS["secrets"], DEFAULT_PROVIDERS["ssm"] = ExtensionSecretsProvider(), ExtensionSSMProvider()

    assert run(documented.THEIRS, documented.EXAMPLES[name]) == expected[name]
    assert any(record.api for record in emulator.requests) == (name == "force fetch")


@pytest.mark.usefixtures("emulator")
def test_undone_by_powertools(store: MemoryStore) -> None:
    """`clear_caches` of Powertools takes its default providers back."""
    store.put_secret("key", "k")
    DEFAULT_PROVIDERS["secrets"] = ExtensionSecretsProvider()
    assert get_secret("key") == "k"
    clear_caches()

    assert DEFAULT_PROVIDERS == {}


@pytest.mark.parametrize("kind", [ExtensionSecretsProvider, ExtensionSSMProvider])
def test_is_a_provider(kind: Any) -> None:
    """Ours are providers of Powertools'."""
    assert issubclass(kind, BaseProvider)
    assert isinstance(kind(), BaseProvider)


# --- Values -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
def test_a_binary_secret(store: MemoryStore) -> None:
    """A binary secret is given as bytes, a text as text, also together."""
    store.put_secret("bytes", b"\x00\xff")
    store.put_secret("text", "\x00")
    secrets = ExtensionSecretsProvider()

    assert secrets.get("bytes") == b"\x00\xff"
    assert secrets.get_multiple(["bytes", "text"]) == {"bytes": b"\x00\xff", "text": "\x00"}


@pytest.mark.usefixtures("emulator")
def test_each_option_has_its_own_value(store: MemoryStore) -> None:
    """What is asked for with another version, stage, label or decryption is another value, from memory too."""
    old = store.put_secret("key", "old")
    store.put_secret("key", "new")
    store.put_parameter("/pin", "1", type="SecureString")
    store.put_parameter("/pin", "2", type="SecureString")
    secrets, ssm = ExtensionSecretsProvider(), ExtensionSSMProvider()
    found = [
        (
            secrets.get("key"),
            secrets.get("key", VersionStage="AWSPREVIOUS"),
            secrets.get("key", VersionId=old),
            ssm.get("/pin", decrypt=True),
            ssm.get("/pin:1", decrypt=True),
            len(ssm.get("/pin")) > 200,
            ssm.get("/pin", decrypt=True, transform="json"),
        )
        for _ in range(2)
    ]

    assert found == [("new", "old", "old", "2", "1", True, 2)] * 2


@pytest.mark.usefixtures("emulator")
def test_a_fresh_object_each_time(store: MemoryStore) -> None:
    """What a caller does to what it got changes nothing for the next."""
    store.put_secret("login", '{"user": "u"}')
    secrets = ExtensionSecretsProvider()
    secrets.get("login", transform="json").clear()

    assert secrets.get("login", transform="json") == {"user": "u"}


@pytest.mark.usefixtures("emulator")
def test_decryption_by_the_environment(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powertools' variable decides where the call does not."""
    store.put_parameter("/pin", "1234", type="SecureString")
    monkeypatch.setenv("POWERTOOLS_PARAMETERS_SSM_DECRYPT", "true")

    assert parameters.get_parameter("/pin") == "1234"
    assert parameters.get_parameter("/pin", decrypt=False) != "1234"


def test_braces_are_no_placeholders(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powertools knows no placeholders: braces are part of a name."""
    monkeypatch.setenv("STAGE", "prod")
    with pytest.raises(GetParameterError):
        parameters.get_secret("{STAGE}/key")

    assert {record.target for record in emulator.requests} == {"/secretsmanager/get?secretId=%7BSTAGE%7D%2Fkey"}


# --- Age --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "max_age", "asked"), [("", None, 1), ("", 0, 3), ("", -1, 3), ("0", None, 3), ("0", 60, 1)]
)
def test_how_often_it_asks(
    store: MemoryStore, emulator: Emulator, *, variable: str, max_age: int | None, asked: int
) -> None:
    """A value is used again for `max_age`, else for what Powertools' variable says, else for its 300 s."""
    store.put_secret("key", "k")
    with pytest.MonkeyPatch.context() as patch:
        if variable:
            patch.setenv("POWERTOOLS_PARAMETERS_MAX_AGE", variable)
        for _ in range(3):
            parameters.get_secret("key", max_age=max_age)

    assert len(emulator.requests) == asked


@pytest.mark.parametrize("clear", [parameters.clear_caches, ExtensionSecretsProvider().clear_cache, testing.forget])
def test_forgets(store: MemoryStore, emulator: Emulator, clear: Any) -> None:
    """What is remembered can be forgotten."""
    store.put_secret("key", "k")
    parameters.get_secret("key")
    clear()
    parameters.get_secret("key")

    assert len(emulator.requests) == 2


def test_batches(store: MemoryStore, emulator: Emulator) -> None:
    """What has the same `max_age` is asked for together, and what is remembered not again."""
    for name in ("/a", "/b", "/c"):
        store.put_parameter(name, name)
    events: list[ResolveEvent] = []
    ssm = ExtensionSSMProvider(on_resolve=events.append)
    wanted = {"/a": {}, "/b": {"max_age": 0}, "/c": {}}
    first, second = ssm.get_parameters_by_name(wanted), ssm.get_parameters_by_name(wanted)

    assert first == second == {"/a": "/a", "/b": "/b", "/c": "/c"}
    assert [[value.parameter for value in event.values] for event in events] == [["/a", "/c"], [""]] * 2
    assert len(emulator.requests) == 4


# --- Fetched past the caches ------------------------------------------------------------------------------------------


def test_force_fetch(store: MemoryStore, emulator: Emulator) -> None:
    """`force_fetch` passes every cache, and what it brings is what is remembered."""
    store.put_secret("key", "old")
    store.put_parameter("/size", "1")
    before = parameters.get_secret("key"), parameters.get_parameter("/size")
    store.put_secret("key", "new")
    store.put_parameter("/size", "2")
    kept = parameters.get_secret("key"), parameters.get_parameter("/size")
    forced = parameters.get_secret("key", force_fetch=True), parameters.get_parameter("/size", force_fetch=True)
    batch = parameters.get_secrets_by_name(["key"], force_fetch=True)
    after = parameters.get_secret("key"), parameters.get_parameter("/size")

    assert (before, kept, forced, batch, after) == (
        ("old", "1"),
        ("old", "1"),
        ("new", "2"),
        {"key": "new"},
        ("new", "2"),
    )
    assert [record.api for record in emulator.requests] == [
        None,
        None,
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
    ]


def test_force_fetch_by_the_agent(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In front of the agent it is the agent that fetches anew, without boto3."""
    store.put_secret("key", "old")
    with Emulator(store, profile="agent") as agent:
        for name, value in agent.environment().items():
            monkeypatch.setenv(name, value)
        assert parameters.get_secret("key") == "old"
        store.put_secret("key", "new")
        assert parameters.get_secret("key", force_fetch=True) == "new"

    assert [record.api for record in agent.requests] == [None, None]


@pytest.mark.usefixtures("emulator")
def test_force_fetch_by_nobody(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where boto3 is not installed and it is not the agent that serves, it says so."""
    store.put_secret("key", "k")
    monkeypatch.setattr("lambdasecrets._sources.direct.is_installed", lambda: False)
    with pytest.raises(GetParameterError, match="boto3") as raised:
        parameters.get_secret("key", force_fetch=True)

    assert isinstance(raised.value.__cause__, RefreshUnavailableError)


# --- Errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
def test_what_is_not_to_be_had() -> None:
    """The error is Powertools', its text and its cause are this library's."""
    with pytest.raises(GetParameterError) as raised:
        parameters.get_secret("missing")

    assert isinstance(raised.value.__cause__, UnresolvedError)
    assert str(raised.value) == str(raised.value.__cause__)
    assert str(raised.value).startswith("Cannot resolve Secret('missing') for resolve(): AWS refused")


def test_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever handles Powertools' error handles all that this library raises."""
    monkeypatch.setenv("LAMBDASECRETS_TIMEOUT", "soon")
    with pytest.raises(GetParameterError, match="LAMBDASECRETS_TIMEOUT") as raised:
        parameters.get_secret("key")

    assert isinstance(raised.value.__cause__, SettingError)


@pytest.mark.usefixtures("emulator")
def test_a_batch_that_lacks_one(store: MemoryStore) -> None:
    """A secret of a batch that is not to be had is an error that names it; Powertools leaves it out."""
    store.put_secret("key", "k")
    with pytest.raises(GetSecretError, match="Secret\\('missing'\\)"):
        parameters.get_secrets_by_name(["key", "missing"])


@pytest.mark.usefixtures("emulator")
def test_a_batch_that_goes_on(store: MemoryStore) -> None:
    """Without `raise_on_error` what failed is listed, whatever failed, and what a transform fails on is None."""
    store.put_parameter("/there", "no JSON")
    wanted = {"/gone": {"max_age": 0}, "/there": {}, "/nothing": {}, "/neither": {}}
    found = parameters.get_parameters_by_name(wanted, transform="json", raise_on_error=False)

    assert found == {"_errors": ["/gone", "/nothing", "/neither"], "/there": None}
    with pytest.raises(TransformParameterError):
        parameters.get_parameters_by_name({"/there": {}}, transform="json")
    with pytest.raises(GetParameterError, match="the key is taken"):
        parameters.get_parameters_by_name({"_errors": {}}, raise_on_error=False)


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("text", [f"{VALUE}{{", f"{VALUE}\udcff".encode("utf-8", "surrogateescape")])
@pytest.mark.parametrize("transform", ["json", "binary", "xml"])
def test_a_transform_that_fails(store: MemoryStore, text: str | bytes, transform: Any) -> None:
    """An error of a transform, and all that hangs on it, shows nothing of the secret."""
    store.put_secret("bad", text)
    secrets = ExtensionSecretsProvider()
    watch = Watch(VALUE)
    with logged() as said:
        for call in (
            lambda: secrets.get("bad", transform=transform),
            lambda: secrets.get_multiple(["bad"], transform=transform, raise_on_transform_error=True),
            lambda: parameters.get_secret("bad", transform),
        ):
            with pytest.raises(TransformParameterError) as raised:
                call()
            assert (raised.value.__cause__, raised.value.__context__) == (None, None)
            check(watch, raised.value)
    check(watch, said)

    assert secrets.get_multiple(["bad"], transform=transform) == {"bad": None}


def test_the_text_of_a_transform_that_fails() -> None:
    """The error says what failed, and what to do."""
    with pytest.raises(TransformParameterError) as raised:
        parameters._transform("bad", "{hunter2", "json")

    assert str(raised.value) == (
        "Cannot transform the value of 'bad' by 'json' (JSONDecodeError): `json` takes JSON, `binary` takes base64, "
        "and `auto` goes by what the name ends in. Correct the value or the transform."
    )


def test_ends_before_the_invocation(emulator: Emulator) -> None:
    """A call ends before the invocation does, and what it raises says so."""
    emulator.inject(Hang(), times=None)
    with invocation(LambdaContext.from_environment(0.4)), pytest.raises(GetParameterError, match="the invocation"):
        parameters.get_secret("key")


def test_a_timeout_of_its_own(emulator: Emulator) -> None:
    """A provider takes this library's options."""
    emulator.inject(Hang(), times=None)
    with pytest.raises(GetParameterError, match=r"0\.20 s"):
        ExtensionSecretsProvider(timeout=0.2).get("key")
    with pytest.raises(SettingError, match="timeout"):
        ExtensionSecretsProvider(timeout=-1)
    with pytest.raises(SettingError, match="on_resolve"):
        ExtensionSSMProvider(on_resolve=1)  # type: ignore[arg-type]  # on purpose


# --- What is refused --------------------------------------------------------------------------------------------------

SECRETS, SSM = ExtensionSecretsProvider(), ExtensionSSMProvider()
LEAVE = "Leave it out, or use Powertools' own provider."
OWN = "Use Powertools' own provider for it."
OPTIONS = "Cannot use Foo, Bar for 'a': the extension takes VersionId and VersionStage."
SELECTOR = "the extension takes a version or a label in the name only, as in `/orders/size:3`."
SLASH = "its name is a path without its first slash. Begin it with a slash."
EMPTY = "Cannot get secrets: `names` takes a list of at least one name."
PATH = "the extension reads by name only. Name them with get_parameters_by_name."
REFUSED: dict[str, tuple[type[Exception], Callable[[], object]]] = {
    f"{OPTIONS} {LEAVE}": (GetParameterError, lambda: SECRETS.get("a", Foo=1, Bar=2)),
    f"Cannot use Version for '/a': {SELECTOR} {LEAVE}": (GetParameterError, lambda: SSM.get("/a", Version=3)),
    f"Cannot use Parameter('a/b', decrypt=False): {SLASH}": (GetParameterError, lambda: SSM.get("a/b")),
    "Cannot use Secret(None): name is of type NoneType. Give name as a str.": (
        GetParameterError,
        lambda: SECRETS.get(cast("str", None)),
    ),
    EMPTY: (GetSecretError, lambda: SECRETS.get_multiple([])),
    f"Cannot pass Filters: the extension reads by name only. {OWN}": (
        GetSecretError,
        lambda: SECRETS.get_multiple(["a"], Filters=[]),
    ),
    f"Cannot get the parameters below '/a': {PATH} {OWN}": (
        GetParameterError,
        lambda: SSM.get_multiple("/a", recursive=True),
    ),
    f"Cannot set 'a': the extension only reads. {OWN}": (SetSecretError, lambda: SECRETS.set("a", "x")),
    f"Cannot set '/a': the extension only reads. {OWN}": (
        SetParameterError,
        lambda: SSM.set("/a", "x", overwrite=True),
    ),
}
"""By what they say: the error, and what is refused."""


@pytest.mark.parametrize("text", REFUSED)
def test_refuses(text: str) -> None:
    """What the extension cannot do is refused with a sentence, before anything is asked."""
    kind, call = REFUSED[text]
    with pytest.raises(kind) as raised:
        call()

    assert str(raised.value) == text


def test_refuses_a_name_in_the_place_of_a_list() -> None:
    """The letters of a name are not taken for names."""
    with pytest.raises(GetSecretError) as raised:
        SECRETS.get_multiple("a")

    assert str(raised.value) == EMPTY


def test_names_where_the_rest_is() -> None:
    """What of Powertools' module is not in ours is said where to find."""
    with pytest.raises(AttributeError) as raised:
        _ = parameters.get_parameters  # type: ignore[attr-defined]  # a type checker says so, too

    assert str(raised.value) == (
        "module 'lambdasecrets.powertools.parameters' has no attribute 'get_parameters': for what the extension cannot "
        "do, use aws_lambda_powertools.utilities.parameters"
    )


@pytest.mark.parametrize("name", ["config", "boto_config", "boto3_session", "boto3_client"])
@pytest.mark.parametrize("kind", [ExtensionSecretsProvider, ExtensionSSMProvider])
def test_refuses_a_client(kind: Any, name: str) -> None:
    """A client, a session or a Region of the user's own is refused: it is not this process that asks AWS."""
    with pytest.raises(DeclarationError) as raised:
        kind(**{name: object()})

    assert str(raised.value) == (
        f"Cannot use {kind.__name__}({name}=...): it is the extension that asks AWS, as the function's role and in its "
        "Region. Leave it out, or use Powertools' own provider."
    )


def test_refuses_behind_powertools_functions() -> None:
    """Powertools' own functions say what their default providers say."""
    DEFAULT_PROVIDERS["secrets"], DEFAULT_PROVIDERS["ssm"] = ExtensionSecretsProvider(), ExtensionSSMProvider()
    with pytest.raises(SetSecretError, match="only reads"):
        set_secret("a", "x")
    with pytest.raises(SetParameterError, match="only reads"):
        set_parameter("/a", "x")
    with pytest.raises(GetSecretError, match="Filters"):
        get_secrets_by_name(["a"], Filters=[])


def test_its_base_class_finds_the_abstract_methods(store: MemoryStore, emulator: Emulator) -> None:
    """What Powertools' base class asks of a provider is there: it asks past what is remembered, and of no path."""
    store.put_secret("key", "k")
    store.put_parameter("/size", "1")
    for _ in range(2):
        assert (SECRETS._get("key"), SECRETS._get_multiple(["key"]), SSM._get("/size")) == ("k", {"key": "k"}, "1")
    with pytest.raises(GetParameterError, match="by name only"):
        SSM._get_multiple("/size")

    assert len(emulator.requests) == 6


# --- What is imported -------------------------------------------------------------------------------------------------


def printed(code: str) -> str:
    """Run code in a fresh interpreter, and give what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


ASKING_WITHOUT_BOTO3 = """
import sys
sys.modules["boto3"] = None
import lambdasecrets.powertools
try:
    from lambdasecrets.powertools import ExtensionSecretsProvider
except ModuleNotFoundError as error:
    print(error.name, error)
"""
ASKING_FOR_WHAT_IS_NOT_THERE = """
import sys
import lambdasecrets.powertools as face
try:
    face.ExtensionProvider
except AttributeError as error:
    print(error, "boto3" in sys.modules)
"""


def test_without_boto3() -> None:
    """Where boto3 is not installed, the error of whoever asks for a provider names the extra."""
    assert printed(ASKING_WITHOUT_BOTO3) == (
        "boto3 Cannot use Powertools' providers: they import boto3, which is not installed. "
        "Install it: pip install 'lambdasecrets[aws]'.\n"
    )


def test_a_misspelt_name() -> None:
    """What is not there is not looked for in the module of the providers."""
    text = "module 'lambdasecrets.powertools' has no attribute 'ExtensionProvider'"

    assert printed(ASKING_FOR_WHAT_IS_NOT_THERE) == f"{text} False\n"
