"""`lambdasecrets schema`: the schemas of values, and that of a secrets file, by the library's judgement and others'."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.discovery import InputError, discover
from lambdasecrets.dev.emulator import Emulator
from lambdasecrets.dev.entries import Entries, read_entries
from lambdasecrets.dev.schema import DIALECT, make_file_schema, make_schemas
from lambdasecrets.dev.stores import MemoryStore, SecretsFileError, load_secrets_file
from tests.pages import EVERY_BLOCK

BIN = Path(sys.executable).parent
SECONDS = 60.0
TOML: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
HEAD = """
from __future__ import annotations
import enum
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field, RootModel, SecretBytes, SecretStr
from typing_extensions import TypedDict
from lambdasecrets import Parameter, Secret, inject_secrets

class Database(BaseModel):
    host: str
    password: SecretStr = SecretStr("hidden")
    port: int = Field(5432, description="Where it listens.")

class Settings(BaseModel):
    json_: int = Field(alias="json")

class Tree(BaseModel, extra="forbid"):
    name: str
    below: list[Tree] = []

class Deep(BaseModel):
    below: list[Deep]

class Level(enum.Enum):
    LOW = 1
    HIGH = "high"

@dataclass
class Point:
    x: int

class Row(TypedDict):
    x: int

class Own:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema
        return core_schema.no_info_plain_validator_function(len)

"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_handler(*arguments: str, models: str = "") -> None:
    """Write a handler that declares these arguments."""
    declared = "".join(f"    {argument},\n" for argument in arguments)
    code = f"{HEAD}{models}\n\n@inject_secrets\ndef handler(event, context, *,\n{declared}): ...\n"
    Path("app.py").write_text(code, encoding="utf-8")


def schemas(*arguments: str, texts: dict[str, str] | None = None) -> dict[str, Any]:
    """Give the schemas of the values of a handler that declares these arguments."""
    return make_schemas(read(*arguments, texts=texts))


def read(*arguments: str, texts: dict[str, str] | None = None) -> Entries:
    """Read a handler that declares these arguments."""
    write_handler(*arguments)
    discovery = discover(["app.py:handler"])
    assert discovery.failures == ()
    return read_entries(discovery.found, texts or {})


def file_schema(*arguments: str, texts: dict[str, str] | None = None) -> dict[str, Any]:
    """Give the schema of a secrets file of a handler that declares these arguments."""
    schema = make_file_schema(read(*arguments, texts=texts))
    Draft202012Validator.check_schema(schema)
    return schema


def fits(schema: dict[str, Any], toml: str) -> bool:
    """Tell whether a secrets file fits a schema."""
    return bool(Draft202012Validator(schema).is_valid(TOML.loads(toml)))


# --- Values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        ("str", {"type": "string"}),
        ("SecretStr", {"type": "string", "writeOnly": True, "format": "password"}),
        ("bytes", {"type": "string", "format": "binary"}),
        ("int", {"type": "integer"}),
        ("Annotated[int, Field(ge=1)]", {"type": "integer", "minimum": 1}),
        ("Literal['a', 'b']", {"enum": ["a", "b"], "type": "string"}),
        ("timedelta", {"type": "string", "format": "duration"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("Own", {}),
    ],
)
def test_the_schema_of_a_value(kind: str, schema: dict[str, Any]) -> None:
    """The value of a secret is described by its declared type, and whose it is stands beside it."""
    shown = kind.removeprefix("Annotated[").partition(", Field")[0]
    assert schemas(f"a: Annotated[{kind}, Secret('x')]")["secrets"] == {
        "x": {"$schema": DIALECT, "description": f"{shown}: a of app.py:handler", **schema}
    }


def test_the_schema_of_a_model() -> None:
    """A model is a definition; a default that is hidden is left out, and other members are allowed where they are."""
    (schema,) = schemas("a: Annotated[Database, Secret('x')]")["secrets"].values()
    database = schema["$defs"]["Database"]

    assert (schema["$ref"], database["required"], database["additionalProperties"]) == (
        "#/$defs/Database", ["host"], True,
    )  # fmt: skip
    assert database["properties"] == {
        "host": {"title": "Host", "type": "string"},
        "password": {"title": "Password", "type": "string", "format": "password", "writeOnly": True},
        "port": {"title": "Port", "type": "integer", "default": 5432, "description": "Where it listens."},
    }


@pytest.mark.parametrize(
    ("kind", "allows"), [("Tree", False), ("Point", True), ("Row", True), ("RootModel[dict[str, int]]", None)]
)
def test_other_members(kind: str, allows: bool | None) -> None:
    """A class with fields says whether it has others."""
    (schema,) = schemas(f"a: Annotated[{kind}, Secret('x')]")["secrets"].values()
    (definition,) = schema.get("$defs", {"": schema}).values()

    assert definition["additionalProperties"] == ({"type": "integer"} if allows is None else allows)


def test_several_declarations_of_a_secret() -> None:
    """What several declarations take of one secret is put together; the same is said once."""
    (schema,) = schemas(
        "a: Annotated[str, Secret('x', key='one')]",
        "b: Annotated[str, Secret('x', key='one')]",
        "c: Annotated[int, Secret('x', key='two')] = 3",
        "d: Annotated[Database, Secret('x')]",
        "e: Annotated[SecretStr, Secret('x', key='one')]",
    )["secrets"].values()
    whole, members = schema["allOf"]

    assert whole == {"$ref": "#/$defs/Database"}
    assert members == {
        "type": "object",
        "properties": {
            "one": {"allOf": [{"type": "string"}, {"type": "string", "writeOnly": True, "format": "password"}]},
            "two": {"type": "integer", "default": 3},
        },
        "required": ["one", "two"],
        "additionalProperties": True,
    }
    assert schema["description"].splitlines()[2] == "int: c of app.py:handler (has a default)"


def test_names() -> None:
    """Names are filled in as far as texts are given; a reference is its secret, a selector is no part of a name."""
    found = schemas(
        "a: Annotated[str, Secret('{STAGE}/{OTHER}')]",
        "b: Annotated[str, Parameter('/aws/reference/secretsmanager/{STAGE}/ref')]",
        "c: Annotated[str, Parameter('/{STAGE}/x:3')]",
        "d: Annotated[str, Secret('a', role_arn='arn:aws:iam::210987654321:role/{STAGE}')]",
        texts={"STAGE": "prod"},
    )

    assert list(found["secrets"]) == ["prod/{OTHER}", "prod/ref", "a (of arn:aws:iam::210987654321:role/prod)"]
    assert list(found["parameters"]) == ["/prod/x"]


def test_defaults() -> None:
    """A default is part of the schema, where it can be written and is not hidden."""
    write_handler(
        "a: Annotated[int, Parameter('/a')] = 1",
        "b: Annotated[SecretStr, Parameter('/b')] = SecretStr('hidden')",
        "c: Annotated[str | None, Parameter('/c')] = None",
        "d: Annotated[str, Parameter('/d')] = object()",
        "config: Config",
        models="class Config(BaseModel):\n    e: Annotated[float, Parameter('/e')] = float('inf')\n"
        "    f: Annotated[str, Parameter('/f')]\n",
    )
    Path("more.py").write_text(
        f"{HEAD}\n@inject_secrets\ndef positional(event, context, g: Annotated[int, Parameter('/g')] = 7): ...\n",
        encoding="utf-8",
    )
    found = make_schemas(read_entries(discover(["app.py:handler", "more.py", "app.py:Config"]).found, {}))

    assert {name: schema.get("default", ...) for name, schema in found["parameters"].items()} == {
        "/a": 1, "/b": ..., "/c": None, "/d": ..., "/e": "Infinity", "/f": ..., "/g": 7,
    }  # fmt: skip


def test_a_type_that_cannot_be_read() -> None:
    """A config model that no handler takes is looked at now: a type that does not decide how it is read is refused."""
    Path("app.py").write_text(f"{HEAD}class Config(BaseModel):\n    a: Annotated[Any, Secret('x')]\n", encoding="utf-8")

    code, out, err = run("schema", "app.py:Config")

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        "Error: Cannot use app.py:Config: Any does not decide how the value is read. Declare a definite"
    )


def test_a_text_that_makes_no_name() -> None:
    """A placeholder's text that makes no name is refused, and not shown."""
    with pytest.raises(InputError, match=r"^cannot use STAGE for Secret\('\{STAGE\}/x'\): ") as caught:
        schemas("a: Annotated[str, Secret('{STAGE}/x')]", texts={"STAGE": "a b"})

    assert "a b" not in str(caught.value)


# --- The secrets file ---------------------------------------------------------------------------------------------

FORMS: list[tuple[str, str, bool]] = [
    ("str", 'secrets.x = "text"', True),
    ("str", "secrets.x = 25", True),
    ("str", "secrets.x = { a = 1 }", True),
    ("str", 'secrets.x = { string = "text" }', True),
    ("str", "secrets.x = { string = 5 }", False),
    ("str", 'secrets.x = { string = "text", host = "other" }', False),
    ("int", "secrets.x = 25", True),
    ("int", 'secrets.x = "25"', True),
    ("int", 'secrets.x = " 2_5.0 "', True),
    ("int", 'secrets.x = "many"', False),
    ("int", "secrets.x = 2.5", False),
    ("int", "secrets.x = { a = 1 }", False),
    ("int | None", "secrets.x = 25", True),
    ("int | None", 'secrets.x = "many"', False),
    ("Annotated[int, Field(ge=3)]", "secrets.x = 2", False),
    ("float", 'secrets.x = "1e3"', True),
    ("float", 'secrets.x = "-inf"', True),
    ("float", 'secrets.x = "one"', False),
    ("Decimal", 'secrets.x = "1.50"', True),
    ("bool", "secrets.x = true", True),
    ("bool", 'secrets.x = "yes"', True),
    ("bool", "secrets.x = 1", True),
    ("bool", "secrets.x = [true]", False),
    ("Literal['a', 'b']", 'secrets.x = "a"', True),
    ("Literal['a', 'b']", 'secrets.x = "c"', False),
    ("Level", "secrets.x = { a = 1 }", False),
    ("Level", 'secrets.x = "high"', True),
    ("date", 'secrets.x = "2026-01-31"', True),
    ("bytes", 'secrets.x = "text"', True),
    ("bytes", 'secrets.x = { binary = "AP/+Pg==" }', True),
    ("Database", 'secrets.x = { host = "a", engine = "postgres" }', True),
    ("Database", 'secrets.x = """{"host": "a"}"""', True),
    ("Database", 'secrets.x = { json = { host = "a" } }', True),
    ("Database", 'secrets.x = { versions = [{ json = { host = "a" }, stages = ["AWSCURRENT"] }] }', True),
    ("Database", 'secrets.x = { json = { hosts = "a" } }', False),
    ("Database", 'secrets.x = { hosts = "a" }', False),
    ("Database", "secrets.x = { host = 5 }", False),
    ("Database", 'secrets.x = ["a"]', False),
    ("Settings", "secrets.x = { json = { json = 1 } }", True),
    ("Settings", "secrets.x = { json = 1 }", False),
    ("Tree", 'secrets.x = { name = "a", below = [{ name = "b" }] }', True),
    ("Tree", 'secrets.x = { name = "a", below = [{ nam = "b" }] }', False),
    ("list[int]", "secrets.x = [1, 2]", True),
    ("list[int]", 'secrets.x = ["a"]', False),
    ("str", 'parameters.x = "text"', True),
    ("str", "parameters.x = 25", True),
    ("str", "parameters.x = { a = 1 }", False),
    ("str", 'parameters.x = { value = "a", type = "SecureString", labels = ["b"] }', True),
    ("str", 'parameters.x = { value = "a", type = "Secure" }', False),
    ("int", "parameters.x = 25", True),
    ("int", 'parameters.x = { value = "25" }', True),
    ("int", 'parameters.x = { value = "many" }', False),
    ("int", "parameters.x = { versions = [{ value = 1 }, { value = 2 }] }", True),
    ("int", "parameters.x = { versions = [] }", False),
    ("list[str]", 'parameters.x = ["a", "b"]', True),
    ("list[str]", 'parameters.x = """["a", "b"]"""', True),
    ("list[int]", 'parameters.x = ["a"]', False),
    ("Database", 'parameters.x = { value = { host = "a" } }', True),
    ("Database", 'parameters.x = { value = { hosts = "a" } }', False),
    ("Database", 'parameters.x = { host = "a" }', False),
    ("Database", 'parameters.x = """{"host": "a"}"""', True),
]


@pytest.mark.parametrize(("kind", "toml", "good"), FORMS)
def test_a_file_is_judged_as_the_library_reads_it(kind: str, toml: str, good: bool) -> None:
    """What the schema lets pass can be read as the declared type, and what it refuses cannot."""
    form = "Secret" if toml.startswith("secrets") else "Parameter"
    schema = file_schema(f"a: Annotated[{kind}, {form}('x')]")
    Path("secrets.toml").write_text(toml, encoding="utf-8")
    code, _, _ = run("check", "app.py", "--secrets", "secrets.toml")

    assert (fits(schema, toml), code == 0) == (good, good)


@pytest.mark.parametrize(
    ("toml", "good"),
    [
        ('secrets.x = { key = "5", host = "a", tree = { name = "a" } }', True),
        ("secrets.x = { key = 5, host = true, tree = { name = 'a' } }", True),
        ("secrets.x = { key = 5, host = { a = 1 }, tree = { name = 'a' } }", True),
        ("secrets.x = { key = 5, host = 'a', tree = '{\"name\": \"a\"}' }", True),
        ("secrets.x = { key = 'five', host = 'a', tree = { name = 'a' } }", False),
        ("secrets.x = { key = 5, tree = { name = 'a' } }", False),
        ("secrets.x = { key = 5, host = 'a' }", False),
        ("secrets.x = { key = 5, host = 'a', tree = { nam = 'a' } }", False),
        ("secrets.x = { key = 5, host = 'a', tree = '{}' }", False),
    ],
)
def test_members(toml: str, good: bool) -> None:
    """Members are written as whole values are. What a JSON text in a text has is not looked at."""
    schema = file_schema(
        "a: Annotated[int, Secret('x', key='key')]",
        "b: Annotated[str, Secret('x', key='host')]",
        "c: Annotated[Tree, Secret('x', key='tree')] = None",
        "d: Annotated[str, Secret('x')]",
    )
    Path("secrets.toml").write_text(toml, encoding="utf-8")
    code, _, _ = run("check", "app.py", "--secrets", "secrets.toml")

    assert (code == 0) == good
    assert fits(schema, toml) == (good or "{}" in toml)


def test_what_is_required() -> None:
    """What has no default has to be there, where its name is known."""
    declared = (
        "a: Annotated[int, Parameter('/a')]",
        "b: Annotated[int, Parameter('/b')] = 1",
        "c: Annotated[int, Parameter('/{STAGE}/c')]",
    )

    assert [fits(file_schema(*declared), toml) for toml in ('parameters."/a" = 1', 'parameters."/b" = 1', "")] == [
        True, False, False,
    ]  # fmt: skip
    assert not fits(file_schema(*declared, texts={"STAGE": "dev"}), 'parameters."/a" = 1')
    assert fits(file_schema("a: Annotated[int, Secret('a')] = 1"), "")


@pytest.mark.parametrize(
    ("toml", "good"),
    [
        ('secrets."prod/a+b" = 1', True),
        ('secrets."prod/a+b" = "many"', False),
        ('secrets."prod/aab" = "many"', True),
        ('secrets."arn:aws:secretsmanager:eu-west-1:210987654321:secret:shared-AbCdEf" = 1', True),
        ('secrets."arn:aws:secretsmanager:eu-west-1:210987654321:secret:shared-AbCdEf" = "many"', False),
        ('secrets."arn:aws:secretsmanager:eu-west-1:999999999999:secret:shared-AbCdEf" = "many"', True),
        ('secrets."arn:aws:secretsmanager:eu-west-1:999999999999:secret:other-AbCdEf" = "many"', False),
        ('secrets.shared = "many"', True),
        ("secrets.shared = { string = 5 }", False),
    ],
)
def test_patterns_of_names(toml: str, good: bool) -> None:
    """A name with a placeholder is a pattern; so is one that is read with a role, by its account's ARN."""
    schema = file_schema(
        "a: Annotated[int, Secret('{STAGE}/a+b')]",
        "b: Annotated[int, Secret('shared', role_arn='arn:aws:iam::210987654321:role/reader')]",
        "c: Annotated[int, Secret('other', role_arn='{ROLE}')]",
    )

    assert fits(schema, toml) == good


@pytest.mark.parametrize(
    ("toml", "good"),
    [
        *((block.text, True) for block in EVERY_BLOCK if (block.page, block.language) == ("secrets-file.md", "toml")),
        ('environment.STAGE = "dev"', True),
        ("environment.STAGE = [1]", False),
        ('environment.1A = "x"', False),
        ('aws = { account = "123456789012", region = "eu-west-1" }', True),
        ('aws = { account = "1" }', False),
        ('aws = { regions = "eu-west-1" }', False),
        ('faults = [{ name = "latency", seconds = 0.5 }]', True),
        ('faults = [{ name = "late" }]', False),
        ("denied = [1]", False),
        ('secret.x = "misspelt"', False),
        ('secrets.x = { string = "a", json = 5, hosts = 1 }', False),
        ("secrets.x = { host = 1 }", True),
        ("parameters.x = { host = 1 }", False),
        ("parameters.x = [1, 2]", True),
    ],
)
def test_the_form_of_any_file(toml: str, good: bool) -> None:
    """Without targets the schema knows the form of the file: what the loader takes, and what it refuses."""
    code, out, err = run("schema", "--file")
    Path("secrets.toml").write_text(toml, encoding="utf-8")

    assert (code, err) == (0, "")
    assert (fits(json.loads(out), toml), can_be_loaded("secrets.toml")) == (good, good)


def can_be_loaded(path: str) -> bool:
    """Tell whether a stand-in could serve a secrets file."""
    try:
        with Emulator(MemoryStore()) as emulator:
            emulator.inject_faults_of(load_secrets_file(path))
    except SecretsFileError:
        return False
    return True


def test_variables_are_offered() -> None:
    """The variables of names are properties of the environment's table, with where they are needed."""
    schema = file_schema("a: Annotated[int, Secret('{STAGE}/a')]", "b: Annotated[int, Secret('{STAGE}/b')]")

    assert schema["properties"]["environment"]["properties"] == {
        "STAGE": {
            "type": ["string", "number", "boolean"],
            "description": "For Secret('{STAGE}/a'), Secret('{STAGE}/b')",
        }
    }


GOOD = """#:schema ./secrets.schema.json
[secrets]
"prod/key" = { versions = [{ string = "old" }, { string = "new" }] }
[secrets."prod/db"]
host = "db.internal"
engine = "postgres"
[parameters]
"/size" = 25
"/regions" = ["eu-west-1"]
"""


def judge(tool: str) -> tuple[int, str]:
    """Let a tool judge the secrets file by the schema that its first line names."""
    by = {
        "tombi": ["lint", "--offline", "secrets.toml"],
        "check-jsonschema": ["--schemafile", "secrets.schema.json", "secrets.toml"],
    }
    done = subprocess.run([BIN / tool, *by[tool]], capture_output=True, check=False, timeout=SECONDS, encoding="utf-8")
    return done.returncode, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("tool", ["tombi", "check-jsonschema"])
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", None),
        ('host = "db.internal"', "host = 5", "tring"),
        ('host = "db.internal"', 'hosts = "db.internal"', "host"),
        ('"/size" = 25', '"/size" = "many"', "many"),
        ('"/regions" = ["eu-west-1"]', "", "/regions"),
        ('{ string = "new" }', "{ strings = 5 }", "strings"),
        ("[parameters]", "[parameter]", "parameter"),
    ],
)
def test_editors_read_it(tool: str, old: str, new: str, says: str | None) -> None:
    """tombi, for editors, and check-jsonschema accept a good file silently, and name what is wrong in a bad one."""
    write_handler(
        "db: Annotated[Database, Secret('prod/db')]",
        "key: Annotated[SecretStr, Secret('{STAGE}/key')]",
        "size: Annotated[int, Parameter('/size')] = 50",
        "regions: Annotated[list[str], Parameter('/regions')]",
    )
    _, out, _ = run("schema", "app.py", "--file")
    Path("secrets.schema.json").write_text(out, encoding="utf-8")
    assert old in GOOD
    Path("secrets.toml").write_text(GOOD.replace(old, new), encoding="utf-8")
    code, text = judge(tool)

    assert (code == 0) == (says is None)
    assert ("Warning" in text or "rror" in text) == (says is not None)
    assert (says or "") in text


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    """Run a command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_command() -> None:
    """The schemas are all there is on standard output."""
    write_handler("a: Annotated[int, Parameter('/{STAGE}/a')]")
    code, out, err = run("schema", "app.py", "--set", "STAGE=prod")

    assert (code, list(json.loads(out)["parameters"]), err) == (0, ["/prod/a"], "")


def test_a_module_that_cannot_be_imported() -> None:
    """A module that fails is named; the schemas are those of the others, and the exit code says that some may lack."""
    write_handler("a: Annotated[int, Parameter('/a')]")
    Path("bad.py").write_text("import lambdasecrets\nimport nowhere", encoding="utf-8")
    code, out, err = run("schema", ".")

    assert (code, list(json.loads(out)["parameters"])) == (1, ["/a"])
    assert err == "Error: bad.py: line 2: ModuleNotFoundError: No module named 'nowhere'\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Error: say whose schemas: a TARGET. The form of any secrets file is to be had with --file.\n"),
        (["none.py"], "Error: none.py: there is no such file.\n"),
        (["app.py", "--set", "STAGE"], "Error: cannot read environment variable 1: write NAME=VALUE.\n"),
        (["app.py", "--set", "STAGE="], "Error: cannot use STAGE for Parameter('/{STAGE}/a'): it is empty.\n"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    write_handler("a: Annotated[int, Parameter('/{STAGE}/a')]")

    assert run("schema", *arguments) == (2, "", says)
