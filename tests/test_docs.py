from __future__ import annotations

import ast
import inspect
import json
import logging
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from lambdasecrets import _settings, errors, inject_secrets
from lambdasecrets.dev import pytest_plugin
from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.invoke import Target, invoke
from lambdasecrets.dev.stores import load_secrets_file
from tests.pages import EVERY_BLOCK, EVERY_HEADING, PAGES, ROOT, Block, headings
from tests.scenes import MADE, SCENES, Records, error_of, failure_of, settled

MARKED = [block for block in EVERY_BLOCK if block.marker]
PUBLIC_MODULES = (
    "lambdasecrets",
    "lambdasecrets.dev.emulator",
    "lambdasecrets.dev.faults",
    "lambdasecrets.dev.stores",
    "lambdasecrets.powertools",
    "lambdasecrets.powertools.parameters",
    "lambdasecrets.settings",
    "lambdasecrets.testing",
)
ERRORS = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, Exception)]


def marked(kind: str) -> list[Block]:
    """List the blocks whose text comes about in this way."""
    return [block for block in MARKED if block.marker.partition(":")[0] == kind]


def subject(block: Block) -> str:
    """Give what a marker says after its kind."""
    return block.marker.partition(": ")[2]


def beside(block: Block, language: str) -> list[str]:
    """List the texts of this language above a block, under its heading."""
    before = EVERY_BLOCK[: EVERY_BLOCK.index(block)]
    return [item.text for item in before if (item.page, item.heading, item.language) == (*place(block), language)]


def place(block: Block) -> tuple[str, str]:
    """Say where a block stands."""
    return block.page, block.heading


def test_every_marker_is_known() -> None:
    """A comment before a block is one of those that a test below looks for."""
    known = {"error", "fails", "logs", "output", "prelude", "result", "tree"}

    assert {block.marker.partition(":")[0] for block in MARKED} == known


@pytest.mark.parametrize("block", marked("error"), ids=str)
def test_every_error_shown_is_real(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of an error is what the quickstart's handler raises."""
    name = subject(block)
    error = error_of(SCENES[name], monkeypatch) if name in SCENES else MADE[name]

    assert (name, settled(block.text)) == (type(error).__name__, settled(error))


@pytest.mark.parametrize("block", marked("fails"), ids=str)
def test_every_check_shown_fails(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Code that is said to fail does, then and with the text that the page says."""
    prelude = "".join(item.text for item in marked("prelude") if item.page == block.page)
    when, _, fault = subject(block).partition(", ")
    code, toml = beside(block, "python")[-1], "".join(beside(block, "toml")[-1:])
    happened, error = failure_of(prelude + code, toml, fault, tmp_path, monkeypatch)

    assert (when, settled(block.text)) == (happened, settled(error))


@pytest.mark.parametrize("block", marked("result"), ids=str)
def test_every_result_shown_is_real(block: Block) -> None:
    """A result is what the handler returns over its secrets file."""
    secrets = load_secrets_file((ROOT / subject(block)).parent / "secrets.toml")
    result = invoke(Target.parse(f"{ROOT}/{subject(block)}"), secrets, {})

    assert json.loads(block.text) == json.loads(result)


@pytest.mark.parametrize("block", marked("logs"), ids=str)
def test_every_log_shown_is_real(block: Block) -> None:
    """What is logged is what the library logs while the handler runs."""
    records, logger = Records(), logging.getLogger("lambdasecrets")
    secrets = load_secrets_file((ROOT / subject(block)).parent / "secrets.toml")
    logger.addHandler(records)
    try:
        invoke(Target.parse(f"{ROOT}/{subject(block)}"), secrets, {})
    finally:
        logger.removeHandler(records)

    assert block.text.splitlines() == records.messages


def test_the_output_of_make_demo() -> None:
    """What `make demo` prints is what the pages say that it prints."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    command = shlex.split(recipe[1].replace("\\\n", " ").replace("$(BIN)/lambdasecrets", ""))
    done = subprocess.run(
        [sys.executable, "-m", "lambdasecrets", *command],
        cwd=ROOT, capture_output=True, check=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    shown = {"make demo": settled(done.stdout), "make demo, standard error": settled(done.stderr)}
    demos = [block for block in marked("output") if subject(block).startswith("make demo")]

    assert [block for block in demos if settled(block.text) != shown[subject(block)]] == []


@pytest.mark.parametrize("block", [item for item in marked("output") if "lambdasecrets " in item.marker], ids=str)
def test_every_output_shown_is_real(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command is said to print is what it prints."""
    change, _, command = subject(block).rpartition("; ")
    monkeypatch.chdir(ROOT / change.removeprefix("cd "))
    done = CliRunner().invoke(app, shlex.split(command)[1:])

    assert settled(block.text) == settled(done.stdout)


def test_the_tree_of_errors() -> None:
    """The tree in the documentation is the one at the top of the file, and has every class of it."""
    (block,) = marked("tree")
    module = inspect.cleandoc(errors.__doc__ or "")
    drawn = "".join(f"{line[4:]}\n" for line in module.splitlines() if line.startswith("    "))

    assert drawn == block.text
    assert {kind.__name__ for kind in ERRORS} == set(re.findall(r"^[ │├└─]*(\w+)", block.text, re.MULTILINE))


def test_the_readmes_handler() -> None:
    """The README shows the first page's handler, then the shortest one with its test, letter by letter."""
    shown = [block.text for block in EVERY_BLOCK if block.page == "README.md" and block.language == "python"]
    files = [ROOT / "examples/home/app.py", ROOT / "examples/shortest/app.py", ROOT / "examples/shortest/test_app.py"]

    assert shown == [file.read_text(encoding="utf-8") for file in files]
    assert [len([line for line in text.splitlines() if line]) < 10 for text in shown[1:]] == [True, True]


def test_the_readmes_badges_are_true() -> None:
    """What a badge says is what pyproject.toml requires."""
    badges = re.findall(r"/badge/([^-]+(?:--[^-]+)*)-(.+?)-\w+\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    versions = re.findall(r"Python :: (3\.\d+)\"", project)

    assert dict(badges) == {
        "python": f"{versions[0]}_to_{versions[-1]}",
        "types": "mypy_and_pyright_strict",
        "branch_coverage": "100%25",
        "license": "Apache--2.0",
    }
    required = ("strict = true", 'typeCheckingMode = "strict"', "fail_under = 100", 'license = "Apache-2.0"')
    assert [line for line in required if line not in project] == []


def test_code_in_the_pages_is_run() -> None:
    """Python in a page is included from an example, or a test runs it where it stands."""
    run_by_others = {"README.md", "emulator.md", "secrets-file.md", "testing.md"}
    inline = [
        (block, following)
        for block, following in pairwise(EVERY_BLOCK)
        if block.language == "python" and not block.text.startswith("--8<--") and block.page not in run_by_others
    ]

    assert [
        str(block)
        for block, following in inline
        if block.marker != "prelude" and not following.marker.startswith("fails: ")
    ] == []


def test_the_test_case_as_shown(tmp_path: Path) -> None:
    """The TestCase on the page about testing passes, beside the shortest handler."""
    (case,) = [block for block in EVERY_BLOCK if block.page == "testing.md" and block.heading == "Without pytest"]
    shutil.copy(ROOT / "examples/shortest/app.py", tmp_path)
    (tmp_path / "test_case.py").write_text(case.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test_case"], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )

    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, b"OK")


def test_every_included_file_is_an_example() -> None:
    """What the pages include is a file in examples/, so that it is run, or a page that is shared with GitHub."""
    included = {name for path in PAGES for name in re.findall(r'--8<-- "([^":]+)', path.read_text(encoding="utf-8"))}

    assert {name for name in included if not name.startswith("examples/")} == {
        "CHANGELOG.md",
        "SECURITY.md",
    }


def test_every_test_named_exists() -> None:
    """Each promise of SECURITY.md names tests that exist, and each names one."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promises = re.findall(r"^\| \d+ \|.*$", text, re.MULTILINE)
    named = [re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise) for promise in promises]

    assert [promise for promise, tests in zip(promises, named, strict=True) if not tests] == []
    assert [f"{file}::{name}" for tests in named for file, name in tests if not is_defined(file, name)] == []


def is_defined(file: str, name: str) -> bool:
    """Tell whether a file has a test of this name."""
    path = ROOT / file
    return path.is_file() and f"def {name}(" in path.read_text(encoding="utf-8")


def is_documented(name: str) -> bool:
    """Tell whether a name has a heading: of its own, or one that the reference makes for it."""
    return any(re.search(rf"(^|[`.]){re.escape(name)}($|[`.(=])", heading) for heading in EVERY_HEADING)


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_every_public_name_has_its_heading(module: str) -> None:
    """What a module's `__all__` names has a heading in the documentation."""
    assert [name for name in import_module(module).__all__ if not is_documented(name)] == []


def test_every_error_has_its_heading() -> None:
    """Each class of the tree has a heading on the page of errors, and its text, unless only others derive from it."""
    shown = {block.heading.strip("`") for block in EVERY_BLOCK if block.page == "errors.md" and block.marker}
    bases = {errors.LambdaSecretsError, errors.ResolutionError}

    assert {kind.__name__ for kind in ERRORS if kind not in bases} == shown - {"Errors"}
    assert [kind.__name__ for kind in ERRORS if f"`{kind.__name__}`" not in EVERY_HEADING] == []


def test_every_setting_has_its_heading() -> None:
    """Each environment variable that is read, and each option, has a heading in the documentation."""
    source = ast.parse(Path(_settings.__file__).read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(source) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    variables = {text for text in texts if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", text)}
    options = set(inspect.signature(inject_secrets).parameters) - {"handler", "unknown"}

    assert variables >= {"LAMBDASECRETS_TIMEOUT", "AWS_SESSION_TOKEN", "SECRETS_MANAGER_TTL"}
    assert [name for name in sorted(variables | options) if not is_documented(name)] == []


def test_every_command_has_its_heading() -> None:
    """Each command has a heading on the command line's page."""
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group has them

    assert {f"`{name}`" for name in commands} - set(headings(ROOT / "docs/cli.md")) == set()


def test_every_fixture_is_documented() -> None:
    """Each fixture of the pytest plugin is described on the page about testing."""
    tree = ast.parse(Path(pytest_plugin.__file__).read_text(encoding="utf-8"))
    fixtures = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and "pytest.fixture" in map(ast.unparse, node.decorator_list)
    ]
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")

    assert len(fixtures) == 4
    assert [name for name in fixtures if f"`{name}`" not in page] == []


def test_every_page_is_listed_for_machines() -> None:
    """`llms.txt` names each page of the site, and no other."""
    listed = re.findall(
        r"\]\(https://[\w./-]+/lambdasecrets/([\w-]*)/?\): ", (ROOT / "docs/llms.txt").read_text(encoding="utf-8")
    )
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}

    assert sorted(listed) == sorted((pages - {"index"}) | {""})


def test_every_message_of_the_troubleshooting_is_real() -> None:
    """What a message is said to have is in a text on the page of errors, under the error that is named."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("## By message")[2]
    rows = re.findall(r"^\| `([^`|]+)` \| (.*) \|$", page, re.MULTILINE)
    texts = {
        block.heading.strip("`"): block.text for block in EVERY_BLOCK if block.page == "errors.md" and block.marker
    }

    assert len(rows) > 10
    assert [
        (part, name) for part, errors in rows for name in re.findall(r"\[`(\w+)`\]", errors) if part not in texts[name]
    ] == []


def list_commands(pattern: str) -> list[tuple[str, list[str]]]:
    """List the command lines that the pages show and that begin so, each with its page."""
    consoles = [(block.page, block.text.replace("\\\n", " ")) for block in EVERY_BLOCK if block.language == "console"]
    lines = [(page, line) for page, text in consoles for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE)]
    parts = [(page, part) for page, line in lines for part in re.split(r" && | > | \| ", line)]
    return [(page, shlex.split(part)) for page, part in parts if re.match(pattern, part)]


def test_every_command_line_shown_can_be_typed() -> None:
    """A command that a page shows exists, and so does each of its options."""
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group has them
    known = {name: {option for item in one.params for option in item.opts} for name, one in commands.items()}
    general = {"--help", "--version", "--install-completion", "--show-completion"}
    shown = list_commands(r"lambdasecrets ")

    assert len(shown) > 20
    assert [
        (page, name, option)
        for page, (_, name, *rest) in shown
        for option in (name, *rest)
        if option.startswith("--") and option.partition("=")[0] not in known.get(name, set()) | general
    ] == []
    assert {name for _, (_, name, *_) in shown if not name.startswith("-")} <= known.keys()


def test_every_target_shown_exists() -> None:
    """A target that a page shows is in the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    named = {name for text in texts for name in re.findall(r"(?:`|^\$ )make ([a-z0-9-]+)", text, re.MULTILINE)}

    assert named - targets == set()
