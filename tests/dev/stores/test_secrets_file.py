import base64
import json
import re
from pathlib import Path

import pytest

from lambdasecrets.dev.stores import MemoryStore, SecretsFileError, StoreError, load_secrets_file, load_store

CANARY = "hunter2-canary"


def written(folder: Path, text: str, name: str = "secrets.toml") -> Path:
    """Write a secrets file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_toml_file(tmp_path: Path) -> None:
    """Texts, tables, lists, numbers and booleans become what their names promise, and the variables come along."""
    path = written(
        tmp_path,
        """
        [environment]
        STAGE = "dev"
        RETRIES = 3
        DEBUG = true

        [secrets]
        "dev/key" = "plain"
        "dev/database" = { username = "orders", password = "p" }
        "dev/keys" = ["a", "b"]
        pin = 1234

        [parameters]
        "/orders/page-size" = 25
        "/orders/enabled" = true
        "/orders/factor" = 1.5
        "/orders/regions" = ["eu-central-1", "eu-west-1"]
        "/orders/greeting" = "Grüße"
        """,
    )
    file = load_secrets_file(path)
    secrets = {name: file.store.secret(name).string for name in ("dev/key", "dev/database", "dev/keys", "pin")}
    parameters = [
        (parameter.name, parameter.type, parameter.value)
        for parameter in map(
            file.store.parameter,
            ("/orders/page-size", "/orders/enabled", "/orders/factor", "/orders/regions", "/orders/greeting"),
        )
    ]

    assert file.environment == {"STAGE": "dev", "RETRIES": "3", "DEBUG": "true"}
    assert secrets == {
        "dev/key": "plain",
        "dev/database": '{"username": "orders", "password": "p"}',
        "dev/keys": '["a", "b"]',
        "pin": "1234",
    }
    assert parameters == [
        ("/orders/page-size", "String", "25"),
        ("/orders/enabled", "String", "true"),
        ("/orders/factor", "String", "1.5"),
        ("/orders/regions", "StringList", "eu-central-1,eu-west-1"),
        ("/orders/greeting", "String", "Grüße"),
    ]


def test_a_json_file(tmp_path: Path) -> None:
    """The same file may be JSON, and each table may be missing."""
    path = written(tmp_path, json.dumps({"secrets": {"dev/key": {"a": [1, None]}}}), "secrets.json")

    assert load_store(str(path)).secret("dev/key").string == '{"a": [1, null]}'
    assert load_secrets_file(written(tmp_path, "", "empty.toml")).environment == {}


@pytest.mark.parametrize(
    ("settings", "string", "binary"),
    [
        ('{ string = "text" }', "text", None),
        ('{ json = { json = "a key of its own" } }', '{"json": "a key of its own"}', None),
        ("{ json = [1, 2] }", "[1, 2]", None),
        ('{ binary = "AP/+Pg==" }', None, b"\x00\xff\xfe>"),
        ('{ id = "my id", stages = "mine too" }', '{"id": "my id", "stages": "mine too"}', None),
    ],
)
def test_explicit_secrets(tmp_path: Path, settings: str, string: str | None, binary: bytes | None) -> None:
    """A table with string, json, binary or versions is settings; any other table is the secret itself."""
    secret = load_store(written(tmp_path, f"[secrets]\nkey = {settings}")).secret("key")

    assert (string, binary) == (secret.string, secret.binary)


def test_versions_of_a_secret(tmp_path: Path) -> None:
    """Versions stand oldest first: a later one becomes current unless its stages say otherwise."""
    store = load_store(
        written(
            tmp_path,
            """
            [secrets."dev/key"]
            versions = [
                { string = "first", id = "v1" },
                { json = { a = 1 }, id = "v2" },
                { string = "next", id = "v3", stages = ["AWSPENDING"] },
            ]
            """,
        )
    )

    assert [
        (secret.version_id, secret.string, secret.version_stages)
        for secret in (
            store.secret("dev/key"),
            store.secret("dev/key", version_stage="AWSPREVIOUS"),
            store.secret("dev/key", version_id="v3"),
        )
    ] == [
        ("v2", '{"a": 1}', ("AWSCURRENT",)),
        ("v1", "first", ("AWSPREVIOUS",)),
        ("v3", "next", ("AWSPENDING",)),
    ]


def test_explicit_parameters(tmp_path: Path) -> None:
    """A table is a parameter's settings: its value, type, labels, data type and versions."""
    store = load_store(
        written(
            tmp_path,
            """
            [parameters]
            "/a" = { value = "hidden", type = "SecureString" }
            "/b" = { value = { nested = [1] } }
            "/c" = { value = "ami-1", data_type = "aws:ec2:image", labels = ["Dev"] }
            "/d" = { type = "StringList", versions = [ { value = "a,b", labels = ["Prod"] }, { value = ["c"] } ] }
            """,
        )
    )
    labelled = store.parameter("/d", label="Prod")
    latest = store.parameter("/d")

    assert store.parameter("/a", decrypt=True).value == "hidden"
    assert store.parameter("/b").value == '{"nested": [1]}'
    assert store.parameter("/c", label="Dev").data_type == "aws:ec2:image"
    assert (labelled.value, labelled.version, labelled.type) == ("a,b", 1, "StringList")
    assert (latest.value, latest.version, latest.type) == ("c", 2, "StringList")


def test_arns_are_names(tmp_path: Path) -> None:
    """A secret or a parameter can stand under its ARN, where the ARN matters."""
    secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/db-AbCdEf"
    parameter = "arn:aws:ssm:eu-west-1:111122223333:parameter/shared/x"
    store = load_store(written(tmp_path, f'[secrets]\n"{secret}" = "s"\n[parameters]\n"{parameter}" = "p"\n'))

    assert (store.secret(secret).name, store.parameter(parameter).name) == ("dev/db", "/shared/x")


def test_two_accounts_in_a_file(tmp_path: Path) -> None:
    """An entry of another account or Region does not answer to a bare name, nor one for the other."""
    text = """
        [secrets]
        "arn:aws:secretsmanager:us-east-1:999988887777:secret:dev/db-AbCdEf" = "theirs"
        "arn:aws:secretsmanager:us-west-2:999988887777:secret:dev/db-AbCdEf" = "elsewhere"
        [parameters]
        "/t" = "mine"
        "arn:aws:ssm:us-east-1:999988887777:parameter/t" = "theirs"
        "arn:aws:ssm:us-west-2:999988887777:parameter/t" = "elsewhere"
        """
    store = load_store(written(tmp_path, text))
    role = "arn:aws:iam::999988887777:role/reader"

    assert [
        store.parameter(name).value
        for name in (
            "/t",
            "arn:aws:ssm:us-east-1:123456789012:parameter/t",
            "arn:aws:ssm:us-east-1:999988887777:parameter/t",
            "arn:aws:ssm:us-west-2:999988887777:parameter/t",
        )
    ] == ["mine", "mine", "theirs", "elsewhere"]
    assert store.secret("dev/db", role_arn=role).string == "theirs"
    assert store.secret("arn:aws:secretsmanager:us-west-2:999988887777:secret:dev/db-AbCdEf").string == "elsewhere"
    with pytest.raises(StoreError):
        store.secret("dev/db")


def test_a_file_has_an_account_and_a_region(tmp_path: Path) -> None:
    """The table [aws] says where bare names are, and the Region goes into the function's environment."""
    file = load_secrets_file(
        written(
            tmp_path,
            """
            [aws]
            account = "111122223333"
            region = "eu-west-1"
            [environment]
            AWS_DEFAULT_REGION = "eu-west-2"
            [secrets]
            "dev/db" = "value"
            """,
        )
    )

    assert (file.store.account, file.store.region) == ("111122223333", "eu-west-1")
    assert file.store.secret("dev/db").arn.startswith("arn:aws:secretsmanager:eu-west-1:111122223333:secret:dev/db-")
    assert file.environment == {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}


def test_a_file_denies_and_lets_go_wrong(tmp_path: Path) -> None:
    """Names under `denied` are refused, and faults are told with their settings."""
    text = (
        'denied = ["x", "/y"]\n[[faults]]\nname = "latency"\nseconds = 0.5\n[secrets]\nx = "x"\n[parameters]\n"/y" = 1'
    )
    file = load_secrets_file(written(tmp_path, text))

    for ask in (lambda: file.store.secret("x"), lambda: file.store.parameter("/y")):
        with pytest.raises(StoreError, match="AccessDeniedException"):
            ask()
    assert file.faults == ({"name": "latency", "seconds": 0.5},)
    assert file.path == tmp_path / "secrets.toml"


def test_names_that_aws_gives_are_names(tmp_path: Path) -> None:
    """The name of a managed secret has an exclamation mark."""
    store = load_store(written(tmp_path, '[secrets]\n"rds!cluster-0f1e" = "managed"'))

    assert store.secret("rds!cluster-0f1e").string == "managed"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize(("name", "text"), [("s.toml", '[secrets]\nx = "ü"\n'), ("s.json", '{"secrets": {"x": "ü"}}')])
def test_a_file_with_a_byte_order_mark(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    """A mark of the byte order, as PowerShell writes it, says how to read the file."""
    path = tmp_path / name
    mark = "\ufeff" if encoding.endswith("e") else ""
    path.write_bytes((mark + text).encode(encoding))

    assert load_store(path).secret("x").string == "ü"


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
def test_a_file_with_any_line_ends(tmp_path: Path, line_end: str) -> None:
    """A line break in a text is a line feed, however the file's lines end."""
    path = tmp_path / "secrets.toml"
    path.write_bytes(line_end.join(["[secrets]", 'x = """a', 'b"""', ""]).encode())

    assert load_store(path).secret("x").string == "a\nb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[secrets]\nx = 1\nx = 2\n\n", "line 3, column 6: not TOML: Cannot overwrite a value."),
        (f"[secrets]\n{CANARY} {CANARY}", "line 2, column 16: not TOML: Expected '=' after a key in a key/value pair."),
        (f'[secrets]\nx = "{CANARY}', "end of the file: not TOML: Unterminated string."),
        (f"[secrets]\n['{CANARY}']\n['{CANARY}']", "line 3, column 18: not TOML: Cannot declare ('...',) twice."),
        ("[secret]\nx = 1", 'unknown key "secret": expected aws, denied, environment, faults, secrets, parameters.'),
        ("secrets = 1", "[secrets]: expected a table, found a number."),
        ("parameters = [1]", "[parameters]: expected a table, found a list."),
        (
            "[environment]\nx = 2024-01-02",
            "[environment] x: expected a string, a number or a boolean, found a date or a time.",
        ),
        (
            '[secrets]\n"{STAGE}/x" = 1',
            (
                '[secrets."{STAGE}/x"]: a secret\'s name has letters, digits and /_+=.@-! only;'
                " write it as it is at run time, with each {VAR} filled in."
            ),
        ),
        ('[secrets]\n"a b" = 1', '[secrets."a b"]: a secret\'s name has letters, digits and /_+=.@-! only.'),
        ('[parameters]\n"a+b" = 1', '[parameters."a+b"]: a parameter\'s name has letters, digits and ._/- only.'),
        (
            '[parameters]\n"orders/size" = 1',
            "[parameters.\"orders/size\"]: a path begins with a slash; write '/orders/size'.",
        ),
        (
            '[parameters]\n"/aws/reference/secretsmanager/x" = 1',
            ('[parameters."/aws/reference/secretsmanager/x"]: a reference is not put; put the secret that it means.'),
        ),
        *(
            (
                f'[parameters]\n"/x" = {empty}',
                '[parameters."/x"]: Cannot put an empty value: Parameter Store has none.',
            )
            for empty in ("[]", '""', '{ value = "" }')
        ),
        (
            '[secrets]\n"arn:aws:ssm:us-east-1:123456789012:parameter/x" = 1',
            (
                '[secrets."arn:aws:ssm:us-east-1:123456789012:parameter/x"]: not the ARN of a secret;'
                " write arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX."
            ),
        ),
        ("denied = 1", "denied: expected a list of strings."),
        ("faults = 1", "[[faults]]: expected tables, found a number."),
        ("faults = [1]", "[[faults]] 0: expected a table, found a number."),
        ("[aws]\naccount = 123456789012", "[aws]: account: expected a string, found a number."),
        ('[aws]\naccount = "12345678901"', "[aws]: account: expected twelve digits, as a string."),
        ('[aws]\nregion = "Frankfurt"', "[aws]: region: expected a Region, such as us-east-1."),
        ("[aws]\nregoin = 1", '[aws]: unknown key "regoin": expected account, region.'),
        *(
            (
                f"[environment]\n{json.dumps(name)} = 1",
                (
                    f"[environment] {shown}: a variable's name has ASCII letters, digits and _ only,"
                    " and begins with no digit."
                ),
            )
            for name, shown in (
                ("", ""),
                ("A;touch x", "A;touch x"),
                ("$(touch x)", "$(touch x)"),
                ("A=B", "A=B"),
                ("1A", "1A"),
                ("Ä", "Ä"),
                ("A\nB", r"'A\nB'"),
            )
        ),
        (
            f'[secrets]\nx = {{ string = "{CANARY}", user = "u" }}',
            (
                '[secrets.x]: unknown key "user": expected string, json, binary, id, stages.'
                " If these are the secret's own keys, write { json = { ... } } around them."
            ),
        ),
        (
            f'[secrets]\nx = {{ string = "{CANARY}", binary = "{CANARY}" }}',
            "[secrets.x]: expected one of string, json and binary, found string and binary.",
        ),
        (
            '[secrets]\nx = { versions = [{ id = "v1" }] }',
            "[secrets.x] versions[0]: expected one of string, json and binary, found none.",
        ),
        (
            '[secrets]\nx = { versions = [], stages = ["a"] }',
            (
                '[secrets.x]: unknown key "stages": expected versions.'
                " If these are the secret's own keys, write { json = { ... } } around them."
            ),
        ),
        ("[secrets]\nx = { versions = [] }", "[secrets.x]: expected versions = [ { ... }, ... ], the oldest first."),
        ("[secrets]\nx = { versions = 1 }", "[secrets.x]: expected versions = [ { ... }, ... ], the oldest first."),
        (f'[secrets]\nx = {{ versions = ["{CANARY}"] }}', "[secrets.x] versions[0]: expected a table, found a string."),
        ("[secrets]\nx = { string = 1 }", "[secrets.x]: string: expected a string, found a number."),
        ('[secrets]\nx = { string = "a", id = true }', "[secrets.x]: id: expected a string, found a boolean."),
        ('[secrets]\nx = { string = "a", stages = [1] }', "[secrets.x]: stages: expected a list of strings."),
        ('[secrets]\nx = { string = "a", stages = "b" }', "[secrets.x]: stages: expected a list of strings."),
        (
            f'[secrets]\nx = {{ json = "{CANARY}" }}',
            "[secrets.x]: json: expected a table or a list; write string = ... for a text that is JSON already.",
        ),
        (f'[secrets]\nx = {{ binary = "{CANARY}" }}', "[secrets.x]: binary: not base64."),
        ("[secrets]\nx = { a = 2024-01-02 }", "[secrets.x]: Object of type date is not JSON serializable"),
        (
            '[secrets]\nx = { versions = [{ string = "a", id = "v" }, { string = "b", id = "v" }] }',
            "[secrets.x] versions[1]: Cannot put version id 'v' of 'x': it exists.",
        ),
        (
            f'[parameters]\n"/x" = {{ vaule = "{CANARY}" }}',
            (
                '[parameters."/x"]: unknown key "vaule": expected value, type, labels, data_type.'
                " JSON goes into value = { ... }."
            ),
        ),
        ('[parameters]\n"/x" = { type = "String" }', '[parameters."/x"]: expected a value: write value = ... .'),
        (
            '[parameters]\n"/x" = { value = 1, type = "Text" }',
            '[parameters."/x"]: unknown type: use one of String, StringList, SecureString.',
        ),
        (
            '[parameters]\n"/x" = { value = 1, labels = 2 }',
            '[parameters."/x"]: labels: expected a list of strings.',
        ),
        (
            '[parameters]\n"/x" = { versions = [{ value = 1 }], labels = ["a"] }',
            '[parameters."/x"]: unknown key "labels": expected type, data_type.',
        ),
        (
            f'[parameters]\n"/x" = ["a,{CANARY}"]',
            '[parameters."/x"]: Cannot put a StringList: an item has a comma, which would make it two.',
        ),
    ],
)
def test_a_mistake_in_a_toml_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    """Whatever is wrong, the error names the file, the place and the remedy, in one line without a value."""
    path = written(tmp_path, text)

    with pytest.raises(SecretsFileError) as raised:
        load_secrets_file(path)

    between = ", " if re.match(r"(\[|line|end)", expected) else ": "
    assert f"{path}{between}{expected}" == str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{{"secrets": {{"x": "{CANARY}"', ", line 1, column 35: not JSON: Expecting ',' delimiter."),
        ("[]", ": expected a table, found a list."),
        ('{"secrets": null}', ", [secrets]: expected a table, found null."),
        ('{"secrets": {"x": null}}', ", [secrets.x]: expected a value, found null."),
        (
            '{"secrets": {"x": "\\ud800"}}',
            ", [secrets.x]: Cannot put this text: it has half of a surrogate pair, which UTF-8 cannot carry.",
        ),
        ("[" * 100_000, ": cannot read the file: RecursionError."),
    ],
)
def test_a_mistake_in_a_json_file_is_one_clear_line(tmp_path: Path, text: str, expected: str) -> None:
    """JSON gets the same errors as TOML."""
    path = written(tmp_path, text, "secrets.json")

    with pytest.raises(SecretsFileError) as raised:
        load_secrets_file(path)

    assert f"{path}{expected}" == str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named, with the system's reason."""
    with pytest.raises(SecretsFileError) as raised:
        load_secrets_file(tmp_path / "none.toml")

    assert f"{tmp_path / 'none.toml'}: cannot read the file: No such file or directory." == str(raised.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'x = "\xff"', "UTF-8 at byte 5"),
        (b'\xef\xbb\xbfx = "\xff"', "UTF-8 at byte 5"),
        (b"\xff\xfex", "UTF-16 at byte 2"),
    ],
)
def test_a_file_that_is_not_utf8(tmp_path: Path, content: bytes, expected: str) -> None:
    """A file in another encoding is refused at the byte where it shows."""
    path = tmp_path / "secrets.toml"
    path.write_bytes(content)

    with pytest.raises(SecretsFileError) as raised:
        load_secrets_file(path)

    assert f"{path}: not {expected}." == str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        f'[secrets]\nx = {{ string = "{CANARY}", binary = "{base64.b64encode(CANARY.encode()).decode()}" }}',
        f'[secrets]\nx = {{ a = "{CANARY}", b = 2024-01-02 }}',
        f'[secrets]\nx = "{CANARY}"\ny = "{CANARY}',
    ],
)
def test_the_error_holds_nothing_of_the_file(tmp_path: Path, text: str) -> None:
    """Neither the error, nor what led to it, nor a frame's variables hold a value."""
    path = written(tmp_path, text)
    with pytest.raises(SecretsFileError) as raised:
        load_secrets_file(path)
    error = raised.value
    frames = [entry.frame.f_locals for entry in raised.traceback[1:]]

    assert (error.__cause__, error.__context__) == (None, None)
    assert CANARY not in f"{error!r} {error.args} {vars(error)} {frames}"


def test_a_secret_cannot_be_had_from_the_wrong_table(tmp_path: Path) -> None:
    """Secrets and parameters are apart, as the two services are."""
    store = load_store(written(tmp_path, '[secrets]\nx = "s"'))

    assert isinstance(store, MemoryStore)
    with pytest.raises(StoreError):
        store.parameter("x")
