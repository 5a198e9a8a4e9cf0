"""`lambdasecrets init`: what it writes, that it can be read as it is, and that it overwrites nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.check import check, open_secrets_file
from lambdasecrets.dev.discovery import InputError, discover
from lambdasecrets.dev.init import make_secrets_file
from tests.dev.test_schema import HEAD, write_handler
from tests.pages import ROOT


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*arguments: str, texts: dict[str, str] | None = None, models: str = "") -> list[str]:
    """Give the lines of the secrets file for a handler that declares these arguments, the first two left out."""
    write_handler(*arguments, models=models)
    discovery = discover(["app.py:handler"])
    assert discovery.failures == ()
    return make_secrets_file(discovery.found, texts or {}).splitlines()[3:]


def verdicts(text: str, *targets: str) -> list[str]:
    """Check targets over a secrets file; give the verdicts."""
    Path("secrets.toml").write_text(text, encoding="utf-8")
    source = open_secrets_file(Path("secrets.toml"))
    return [row.verdict for row in check(discover(targets, variables=source.environment).found, source, {})]


def test_a_whole_file() -> None:
    """The file has the variables, a line or a table for each value, its type, and defaults as comments."""
    write_handler(
        "database: Annotated[Database, Secret('{STAGE}/db')]",
        "api_key: Annotated[SecretStr, Secret('{STAGE}/stripe', key='api_key')]",
        "token: Annotated[str, Secret('token')]",
        "page_size: Annotated[int, Parameter('/page-size')] = 50",
        "regions: Annotated[list[str], Parameter('/regions')]",
        "banner: Annotated[Database, Parameter('/banner')] = None",
    )
    found = discover(["app.py:handler"]).found

    assert make_secrets_file(found, {"STAGE": "dev"}, "./secrets.schema.json") == (
        "#:schema ./secrets.schema.json\n"
        "# For app.py:handler. The values are made up: replace them.\n"
        "# Keep real ones out of version control.\n"
        "\n"
        "[environment]\n"
        "STAGE = \"dev\" # in Secret('{STAGE}/db'), Secret('{STAGE}/stripe', key='api_key')\n"
        "\n"
        "[secrets]\n"
        'token = "made-up" # str, token of app.py:handler\n'
        "\n"
        '[secrets."dev/db"] # Database, database of app.py:handler\n'
        'host = "made-up" # string\n'
        '# password = "made-up" # string, password (optional)\n'
        "# port = 5432 # integer: Where it listens. (the default)\n"
        "\n"
        '[secrets."dev/stripe"] # SecretStr, api_key of app.py:handler\n'
        'api_key = "made-up" # string, password\n'
        "\n"
        "[parameters]\n"
        '# "/page-size" = 50 # int, page_size of app.py:handler\n'
        '"/regions" = ["made-up"] # list[str], regions of app.py:handler\n'
        "\n"
        '# [parameters."/banner".value] # Database, banner of app.py:handler\n'
        '# host = "made-up" # string\n'
        '# # password = "made-up" # string, password (optional)\n'
        "# # port = 5432 # integer: Where it listens. (the default)\n"
    )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("int", "x = 0"),
        ("bool", "x = false"),
        ("Annotated[int, Field(ge=3)]", "x = 3"),
        ("Annotated[int, Field(gt=3, multiple_of=5)]", "x = 5"),
        ("Annotated[int, Field(lt=-3)]", "x = -4"),
        ("Annotated[float, Field(gt=0, lt=1)]", "x = 0.5"),
        ("Annotated[str, Field(min_length=9)]", 'x = "made-upxx"'),
        ("Annotated[str, Field(max_length=4)]", 'x = "made"'),
        ("Annotated[str, Field(examples=['one', 'two'])]", 'x = "one"'),
        ("Literal['a', 'b']", 'x = "a"'),
        ("Level", 'x = "high"'),
        ("date", 'x = "2026-01-31"'),
        ("timedelta", 'x = "PT1H"'),
        ("int | None", "x = 0"),
        ("bytes", 'x = "made-up"'),
        ("list[int]", "x = [0]"),
        ("Annotated[list[bool], Field(min_length=2)]", "x = [false, false]"),
        ("tuple[int, str]", 'x = [0, "made-up"]'),
        ("dict[str, int]", "x = { key = 0 }"),
        ("dict[str, Any]", "x = {}"),
        ("list[Tree]", 'x = [{ name = "made-up" }]'),
        ("Point | Row", "x = { x = 0 }"),
        ("list[Deep]", f"x = [{'{ below = [' * 4}{'] }' * 4}]"),
    ],
)
def test_a_made_up_value_fits(kind: str, line: str) -> None:
    """A value is made up for its type, and can be read as it."""
    text = "\n".join(write(f"a: Annotated[{kind}, Secret('x')]")).replace("[secrets.x] #", "x = { x = 0 } #")

    assert text.partition(" #")[0].removeprefix("[secrets]\n") == line
    assert verdicts("\n".join(write(f"a: Annotated[{kind}, Secret('x')]")), "app.py:handler") == ["ok"]


@pytest.mark.parametrize(
    ("declared", "line"),
    [
        ("Annotated[Settings, Secret('x')]", "[secrets.x.json]\njson = 0"),
        ("Annotated[Database, Parameter('x')]", '[parameters.x.value]\nhost = "made-up"'),
        ("Annotated[list[int], Parameter('x')]", "[parameters]\nx = [0]"),
        ("Annotated[list[Row], Parameter('x')]", '[parameters]\nx = { value = [{ x = 0 }], type = "String" }'),
        ("Annotated[dict[str, int], Parameter('x')]", '[parameters]\nx = { value = { key = 0 }, type = "String" }'),
        ("Annotated[str, Parameter('/aws/reference/secretsmanager/x')]", '[secrets]\nx = "made-up"'),
        (
            "Annotated[str, Parameter('x:3')]",
            "[parameters]\nx = { versions = [" + ", ".join(['{ value = "made-up" }'] * 3),
        ),
        ("Annotated[str, Parameter('x', version=2)]", '[parameters]\nx = { versions = [{ value = "made-up" }, {'),
        (
            "Annotated[str, Parameter('x', label='L')]",
            '[parameters]\nx = { versions = [{ value = "made-up", labels = ["L"] }]',
        ),
        ("Annotated[str, Parameter('x:L')]", '[parameters]\nx = { versions = [{ value = "made-up", labels = ["L"] }]'),
        (
            "Annotated[int, Secret('x', version_stage='AWSPENDING')]",
            '[secrets]\nx = { versions = [{ string = "0", stages = ["AWSPENDING"] }]',
        ),
        (
            "Annotated[Database, Secret('x', version_id='v1')]",
            '[secrets]\nx = { versions = [{ json = { host = "made-up" }, id = "v1", stages = [] }]',
        ),
        (
            "Annotated[str, Secret('x', version_id='v1', version_stage='AWSPREVIOUS')]",
            '[secrets]\nx = { versions = [{ string = "made-up", id = "v1", stages = ["AWSPREVIOUS"] }]',
        ),
    ],
)
def test_how_a_value_is_written(declared: str, line: str) -> None:
    """What would be taken for settings is put into some; versions, stages and labels are there."""
    lines = write(f"a: {declared}")
    text = "\n".join(line.partition(" #")[0] for line in lines)

    assert text.startswith(line)
    assert verdicts("\n".join(lines), "app.py:handler") == ["ok"]


def test_several_versions_of_a_secret() -> None:
    """A version is made for each that is asked for; the current one comes last."""
    lines = write(
        "a: Annotated[str, Secret('x')]",
        "b: Annotated[str, Secret('x', version_stage='AWSPREVIOUS')]",
        "c: Annotated[str, Secret('x', version_id='v1')]",
        "d: Annotated[str, Parameter('/aws/reference/secretsmanager/x')]",
    )

    assert lines[1].partition(" #")[0] == (
        'x = { versions = [{ string = "made-up", id = "v1", stages = [] }, { string = "made-up", stages = '
        '["AWSPREVIOUS"] }, { string = "made-up", stages = ["AWSCURRENT"] }] }'
    )
    assert verdicts("\n".join(lines), "app.py:handler") == ["ok"] * 4


def test_a_default_that_looks_like_settings() -> None:
    """A default that would be taken for settings is put into some."""
    lines = write("a: Annotated[dict[str, int], Secret('x')] = {'json': 5}")

    assert lines == ["[secrets]", "# x = { json = { json = 5 } } # dict[str, int], a of app.py:handler"]


def test_another_account() -> None:
    """What is read with a role stands under an ARN of the role's account, unless it is declared by its ARN."""
    role = "arn:aws:iam::210987654321:role/reader"
    arn = "arn:aws:secretsmanager:us-east-1:210987654321:secret:by-arn-AbCdEf"
    lines = write(
        f"a: Annotated[str, Secret('shared', role_arn='{role}')]",
        f"b: Annotated[str, Secret('{arn}', role_arn='{role}')]",
        "c: Annotated[str, Secret('shared')]",
    )

    assert [line.partition(" = ")[0] for line in lines[1:]] == [
        '"arn:aws:secretsmanager:us-east-1:210987654321:secret:shared-MadeUp"', f'"{arn}"', "shared",
    ]  # fmt: skip
    assert verdicts("\n".join(lines), "app.py:handler") == ["ok"] * 3


def test_placeholders() -> None:
    """A text that is not given is made up from the variable's name; where that makes no name it has to be given."""
    lines = write("a: Annotated[str, Secret('tenants/{context.tenant_id}/{STAGE}')]")
    assert lines == [
        "[environment]",
        "STAGE = \"stage\" # in Secret('tenants/{context.tenant_id}/{STAGE}')",
        "",
        "[secrets]",
        '"tenants/tenant_id/stage" = "made-up" # str, a of app.py:handler',
    ]

    with pytest.raises(InputError, match=r"^cannot make up ACCOUNT for Secret\(.*: give it with --set ACCOUNT=\.\.\.$"):
        write("a: Annotated[str, Secret('arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:x-AbCdEf')]")
    with pytest.raises(InputError, match=r"^cannot use STAGE for "):
        write("a: Annotated[str, Secret('{STAGE}/x')]", texts={"STAGE": "a b"})


def test_a_comment_is_one_line() -> None:
    """What a description, or a long list of users, has is put into one line that TOML takes."""
    models = 'class Own(BaseModel):\n    key: str = Field(description="two\\nlines\\x07", pattern="^a", max_length=5)\n'
    lines = write(*(f"a{number}: Annotated[Own, Secret('x')]" for number in range(4)), models=models)

    assert lines == [
        "[secrets.x] # Own, a0 of app.py:handler; Own, a1 of app.py:handler; and 2 more",
        'key = "made-" # string, at most 5 characters, matches ^a: two lines',
    ]


def test_every_example_works_at_once() -> None:
    """With what it writes for the examples every one of them runs: made-up values fit the declared types."""
    shutil.copytree(ROOT / "examples", "examples")
    names = ("agent", "config_model", "declarations", "quickstart/src", "values")
    targets = [f"examples/{name}/app.py" for name in names]
    text = make_secrets_file(discover(targets).found, {})

    assert set(verdicts(text, *targets)) == {"ok", "default"}


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["init", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_command() -> None:
    """It writes the file that it says, once: a second time it leaves it alone."""
    write_handler("a: Annotated[int, Parameter('/{STAGE}/a')]")
    first = run("app.py", "--set", "STAGE=dev", "--schema", "x.json")
    text = Path("secrets.toml").read_text(encoding="utf-8")
    second = run("app.py")

    assert first == (0, "", "Wrote secrets.toml.\n")
    assert text.startswith("#:schema x.json\n")
    assert second == (2, "", "Error: secrets.toml: it exists, and is not overwritten.\n")
    assert Path("secrets.toml").read_text(encoding="utf-8") == text


def test_standard_output() -> None:
    """With - in the place of a file nothing is written, and what would be is shown."""
    write_handler("a: Annotated[int, Parameter('/a')]")
    code, out, err = run("app.py", "--secrets", "-")

    assert (code, out.splitlines()[-1], err) == (0, '"/a" = 0 # int, a of app.py:handler', "")
    assert [path.name for path in Path().iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_the_file_of_the_project() -> None:
    """The secrets file that pyproject.toml names is the one that is written."""
    write_handler("a: Annotated[int, Parameter('/a')]")
    Path("pyproject.toml").write_text('[tool.lambdasecrets]\nsecrets = "local.toml"', encoding="utf-8")

    assert run("app.py")[0] == 0
    assert '"/a" = 0' in Path("local.toml").read_text(encoding="utf-8")


def test_a_module_that_cannot_be_imported() -> None:
    """Where a module fails nothing is written: the file would not be whole."""
    Path("app.py").write_text(f"{HEAD}import nowhere", encoding="utf-8")
    code, out, err = run("app.py")

    assert (code, out, err.endswith("ModuleNotFoundError: No module named 'nowhere'\n")) == (1, "", True)
    assert not Path("secrets.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.py"], "Error: none.py: there is no such file.\n"),
        (["app.py", "--secrets", "a.json"], "Error: a.json: it is written in TOML; give it another name.\n"),
        (["app.py", "--secrets", "no/a.toml"], "Error: no/a.toml: cannot write the file: No such file or directory.\n"),
        (["app.py", "--set", "STAGE"], "Error: cannot read environment variable 1: write NAME=VALUE.\n"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    write_handler("a: Annotated[int, Parameter('/a')]")

    assert run(*arguments) == (2, "", says)
