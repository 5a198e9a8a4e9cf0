"""Finding handlers: every kind of target, every layout, what fails, and what stays behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lambdasecrets._decorator import PLAN
from lambdasecrets.dev.discovery import Discovery, InputError, Target, discover, importable

HANDLER = """
from typing import Annotated
from lambdasecrets import Secret, inject_secrets

@inject_secrets
def handler(event, context, *, key: Annotated[str, Secret("{name}")]):
    return key
"""
CONFIG = """
from typing import Annotated
from pydantic import BaseModel
from lambdasecrets import Secret

class Inner(BaseModel):
    key: Annotated[str, Secret("inner")]

class Config(BaseModel):
    inner: Inner
    own: Annotated[str, Secret("own")]

class Plain(BaseModel):
    host: str
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str = HANDLER.replace("{name}", "a")) -> None:
    """Write a file of the project, a handler by default."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def names(found: Discovery) -> dict[str, list[str]]:
    """List what each thing declares, by its target."""
    assert found.failures == ()
    return {item.target: [slot.declaration.name for slot in item.plan.slots] for item in found.found}


# --- Targets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["app.py:handler", "app.py", "app:handler", "app", ".", "./app.py", "{cwd}", "{cwd}/app.py:handler"]
)
def test_a_handler_by_every_kind_of_target(project: Path, target: str) -> None:
    """A handler is found by its file, its module, and its folder, with and without its name."""
    write("app.py")
    found = discover([target.replace("{cwd}", str(project))])

    assert names(found) in [{"app.py:handler": ["a"]}, {"app:handler": ["a"]}]
    assert [getattr(item.item, PLAN).plan for item in found.found] == [item.plan for item in found.found]


def test_a_file_outside_the_current_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not below the current folder is named by its whole path."""
    write("app.py")
    write("other/empty")
    monkeypatch.chdir("other")

    assert names(discover([f"{project}/app.py"])) == {f"{project}/app.py:handler": ["a"]}


def test_what_is_asked_for_is_what_is_found() -> None:
    """With a name only that is found; without one everything is, once, and a handler's config model is part of it."""
    handler = "\n@inject_secrets\ndef second(event, context, *, config: Config): ..."
    write("app.py", f"from __future__ import annotations\n{HANDLER}{CONFIG}{handler}".replace("{name}", "a"))

    assert names(discover(["app.py:second"])) == {"app.py:second": ["inner", "own"]}
    assert names(discover(["app.py:Inner"])) == {"app.py:Inner": ["inner"]}
    assert names(discover(["app.py"])) == {"app.py:handler": ["a"], "app.py:second": ["inner", "own"]}
    assert names(discover(["app.py", "app.py:handler", "app:Config"])) == {
        "app.py:handler": ["a"],
        "app.py:second": ["inner", "own"],
        "app:Config": ["inner", "own"],
    }


def test_a_config_model_that_no_handler_takes() -> None:
    """A config model for `resolve` is found by itself, and not once more the one inside it."""
    write("config.py", CONFIG)

    assert names(discover(["config.py"])) == {"config.py:Config": ["inner", "own"]}


def test_handlers_of_classes_and_behind_decorators() -> None:
    """Methods, static methods, bound methods, and functions under other decorators are found; a mock is nothing."""
    write(
        "app.py",
        """
import functools
from typing import Annotated
from lambdasecrets import Secret, inject_secrets

class Anything:
    def __getattr__(self, name):
        return self

anything = Anything()

def log(function):
    @functools.wraps(function)
    def wrapper(event, context):
        return function(event, context)
    return wrapper

class Service:
    @inject_secrets
    def handle(self, event, context, *, key: Annotated[str, Secret("a")]): ...
    @staticmethod
    @inject_secrets
    def static(event, context, *, key: Annotated[str, Secret("b")]): ...

handle = Service().handle

@log
@inject_secrets
def logged(event, context, *, key: Annotated[str, Secret("c")]): ...

class Callable:
    def __init__(self, function):
        self.__wrapped__ = function

wrapped = Callable(logged.__wrapped__)
""",
    )

    assert names(discover(["app.py"])) == {
        "app.py:Service.handle": ["a"],
        "app.py:Service.static": ["b"],
        "app.py:logged": ["c"],
    }
    assert names(discover(["app.py:handle"])) == {"app.py:handle": ["a"]}
    assert names(discover(["app.py:wrapped"])) == {"app.py:wrapped": ["c"]}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("", "cannot read the target '': write path/to/app.py:handler, module:handler, a file, a module or a folder."),
        (":handler", "cannot read the target ':handler': write"),
        ("app.py:", "cannot read the target 'app.py:': write"),
        ("app.py:a..b", "cannot read the target 'app.py:a..b': write"),
        ("not a module", "cannot read the target 'not a module': write"),
        ("none.py", "none.py: there is no such file."),
        ("none.py:handler", "none.py: there is no such file."),
        ("nowhere.to.be.found", "there is no module 'nowhere.to.be.found' in {cwd} or installed."),
        ("json.nowhere:handler", "there is no module 'json.nowhere' in {cwd} or installed."),
        ("app.py:missing", "app.py has no 'missing'."),
        ("app.py:plain", "app.py:plain declares nothing: is @inject_secrets missing?"),
        ("plain.py", "plain.py declares nothing: is @inject_secrets missing?"),
        ("folder", "folder declares nothing: is @inject_secrets missing?"),
        ("folder:handler", "folder is a folder, which has no 'handler': name a file or a module of it."),
    ],
)
def test_a_target_that_cannot_be_used(project: Path, target: str, says: str) -> None:
    """What is no target, is not there, or declares nothing is one line that says what to do."""
    write("app.py", f"{HANDLER}\ndef plain(event, context): ...")
    write("plain.py", "import lambdasecrets\ndef handler(event, context): ...")
    write("folder/empty.txt", "")
    with pytest.raises(InputError) as caught:
        discover([target])

    assert str(caught.value).startswith(says.replace("{cwd}", str(project)))


# --- Layouts ------------------------------------------------------------------------------------------------------

PACKAGE = {
    "src/orders/__init__.py": "",
    "src/orders/models.py": CONFIG,
    "src/orders/api.py": f"from .models import Config\nfrom orders import models\n{HANDLER.replace('{name}', 'api')}",
}


@pytest.mark.parametrize(
    ("target", "root", "prefix"),
    [
        ("src/orders/api.py:handler", None, "src/orders/api.py"),
        ("src/orders/api.py:handler", "src", "src/orders/api.py"),
        ("orders.api:handler", None, "orders.api"),
        ("orders.api:handler", "src", "orders.api"),
        ("src/orders/api.py", None, "src/orders/api.py"),
    ],
)
def test_a_package_below_src(target: str, root: str | None, prefix: str) -> None:
    """A file of a package is imported as part of it, so that its relative and absolute imports work."""
    for path, text in PACKAGE.items():
        write(path, text)
    found = discover([target], root=None if root is None else Path(root))

    assert names(found)[f"{prefix}:handler"] == ["api"]


@pytest.mark.parametrize("target", ["src", ".", "src/orders"])
def test_a_folder_with_a_package(target: str) -> None:
    """A folder gives all that its packages declare."""
    for path, text in PACKAGE.items():
        write(path, text)

    assert names(discover([target])) == {
        "src/orders/api.py:handler": ["api"],
        "src/orders/models.py:Config": ["inner", "own"],
    }


def test_a_package_by_its_name() -> None:
    """A package gives all that its modules declare, and names them as modules."""
    for path, text in PACKAGE.items():
        write(path, text)
    write("src/orders/more/__init__.py", HANDLER.replace("{name}", "more"))

    assert names(discover(["orders"])) == {
        "orders.api:handler": ["api"],
        "orders.models:Config": ["inner", "own"],
        "orders.more:handler": ["more"],
    }
    assert names(discover(["orders.more:handler"])) == {"orders.more:handler": ["more"]}


def test_an_installed_package(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    """A module that is somewhere on Python's path is found by its name."""
    write("elsewhere/installed_app/__init__.py", "")
    write("elsewhere/installed_app/handlers.py")
    write("elsewhere/installed_module.py")
    monkeypatch.syspath_prepend(str(project / "elsewhere"))

    assert names(discover(["installed_app"])) == {"installed_app.handlers:handler": ["a"]}
    assert names(discover(["installed_app.handlers:handler"])) == {"installed_app.handlers:handler": ["a"]}
    assert names(discover(["installed_module:handler"])) == {"installed_module:handler": ["a"]}


def test_a_namespace_package_needs_the_root() -> None:
    """Folders without an __init__ are a package where the root says so; without it the failure names the root."""
    write("src/orders/models.py", CONFIG)
    write("src/orders/api.py", f"from orders.models import Config\n{HANDLER}")
    (failure,) = discover(["src/orders/api.py"]).failures

    assert str(failure) == (
        "src/orders/api.py: line 1: ModuleNotFoundError: No module named 'orders'. Perhaps --root src"
    )
    assert list(names(discover(["src/orders/api.py:handler"], root=Path("src")))) == ["src/orders/api.py:handler"]


def test_functions_with_a_folder_each() -> None:
    """Modules of the same name in different folders are different modules, with their own helpers."""
    for name in ("orders", "payments"):
        write(f"functions/{name}/app.py", f"import helper\n{HANDLER}".replace('"{name}"', "helper.NAME"))
        write(f"functions/{name}/helper.py", f'NAME = "{name}"')

    assert names(discover(["functions"])) == {
        "functions/orders/app.py:handler": ["orders"],
        "functions/payments/app.py:handler": ["payments"],
    }


def test_a_module_with_the_name_of_another() -> None:
    """A file is what is imported, whatever else has its name."""
    write("json.py")

    assert names(discover(["json.py"])) == {"json.py:handler": ["a"]}
    assert sys.modules["json"].__name__ == "json"
    assert not hasattr(sys.modules["json"], "handler")


def test_what_is_imported_by_several() -> None:
    """What one module defines and others import is found once, under its home; a re-export is found by itself too."""
    write("app.py", "from orders import handler")
    write("orders.py")

    assert names(discover(["."])) == {"orders.py:handler": ["a"]}
    assert names(discover(["app.py"])) == {"app.py:handler": ["a"]}


def test_what_is_left_alone() -> None:
    """Tests, environments, what is built and what does not use the library are not imported."""
    stop = "raise SystemExit\nimport lambdasecrets"
    for path in ("tests/x.py", "test_x.py", "x_test.py", "conftest.py", "setup.py", "node_modules/x.py", ".venv/x.py"):
        write(path, stop)
    write("env/pyvenv.cfg", "")
    write("env/x.py", stop)
    write("script.py", "raise SystemExit")
    write("broken.py", "def")
    write("app.py", f"from common import Secret\n{HANDLER}")
    write("common/__init__.py", "from lambdasecrets import Secret")
    write(
        "second.py", HANDLER.replace("from lambdasecrets import", "from common.declare import").replace("{name}", "b")
    )
    write("common/declare.py", "from . import Secret\nfrom .inner import inject_secrets")
    write("common/inner.py", "from lambdasecrets import inject_secrets")

    assert names(discover(["."])) == {"app.py:handler": ["{name}"], "second.py:handler": ["b"]}


@pytest.mark.parametrize("target", ["app.py:handler", "."])
def test_a_file_outside_the_root(target: str) -> None:
    """A file that is not in the root is refused, and so is a root that is not there."""
    write("app.py")
    write("src/other.py")
    with pytest.raises(InputError, match=r"^app\.py is not in the root src\.$"):
        discover([target], root=Path("src"))
    with pytest.raises(InputError, match=r"^lib: there is no such folder\.$"):
        discover([target], root=Path("lib"))


# --- Failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import nowhere_to_be_found", "line 2: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("from lambdasecrets import Secrt", "line 2: ImportError: cannot import name 'Secrt' from 'lambdasecrets' ("),
        ("x = undefined", "line 2: NameError: name 'undefined' is not defined"),
        ("import os\nos.nothing", "line 3: AttributeError: module 'os' has no attribute 'nothing'"),
        ("def broken(:", "line 2: SyntaxError: invalid syntax"),
        (
            'import os\nos.environ["TABLE"]',
            "line 3: KeyError: 'TABLE'. If it is an environment variable, set it with --set TABLE=VALUE.",
        ),
        ('{}["what: it holds"]', "line 2: KeyError"),
        ('int("hunter2-canary")', "line 2: ValueError"),
        ("import sys\nsys.exit(3)", "line 3: SystemExit"),
        ("import helper\nhelper.fail()", "helper.py, line 2: ZeroDivisionError"),
        (
            "from lambdasecrets import Secret\nSecret('')",
            "line 3: DeclarationError: Cannot use Secret(''): name is empty. Give the name or ARN.",
        ),
        (
            "from lambdasecrets import Secret, resolve\nresolve(Secret('a'), str)",
            "line 3: NoTokenError: Cannot resolve Secret('a') for resolve(): there is no AWS_SESSION_TOKEN",
        ),
    ],
)
def test_a_module_that_fails(monkeypatch: pytest.MonkeyPatch, code: str, says: str) -> None:
    """A module that fails to import is named with the place and the reason, without values, and hides no other."""
    monkeypatch.delenv("TABLE", raising=False)
    write("helper.py", "def fail():\n    1 / 0")
    write("bad.py", f"import lambdasecrets\n{code}\n")
    write("good.py")
    found = discover(["."])
    (failure,) = found.failures

    assert [item.target for item in found.found] == ["good.py:handler"]
    assert str(failure).startswith(f"bad.py: {says}"), str(failure)
    assert "canary" not in str(failure)
    assert "\n" not in str(failure)


def test_a_failure_without_a_line_of_ones_own() -> None:
    """What fails outside the project's files has its reason, and no line."""
    write("orders/__init__.py", "")
    write("orders/api.py", "import lambdasecrets\n")
    Path("orders/api.py").write_bytes(b"import lambdasecrets\n\xff")
    (failure,) = discover(["orders.api"]).failures

    assert str(failure).startswith("orders.api: ")


def test_a_config_model_that_cannot_be_used() -> None:
    """A config model with a field that nothing fills is a failure of its own."""
    write("app.py", f"{HANDLER}{CONFIG}\n    secret: Annotated[str, Secret('x')]")
    found = discover(["app.py"])

    assert [failure.where for failure in found.failures] == ["app.py:Plain"]
    assert "field 'host' of Plain" in found.failures[0].why


# --- What it does to the process ----------------------------------------------------------------------------------

PRINTING = f"""
import os
print("printed", os.environ["AWS_REGION"], os.environ.get("AWS_PROFILE"), os.environ["AWS_ACCESS_KEY_ID"],
      os.environ["STAGE"])
{HANDLER}
"""


def test_the_environment_of_an_import(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A module finds a Region and made-up keys, and variables that are given; what it prints is no output."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "mine")
    before = dict(os.environ)
    write("app.py", PRINTING)
    discover(["app.py"], variables={"STAGE": "test"})
    captured = capsys.readouterr()

    assert (captured.out, captured.err) == ("", "printed us-east-1 None made-up test\n")
    assert dict(os.environ) == before


def test_the_region_is_ones_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A Region that is set stays."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    write("app.py", PRINTING)
    discover(["app.py"], variables={"STAGE": "test"})

    assert capsys.readouterr().err == "printed eu-west-1 None made-up test\n"


def test_nothing_stays_behind() -> None:
    """Python's path and modules are as before, and what was found can have its modules back for a while."""
    path, modules = list(sys.path), set(sys.modules)
    write("orders/__init__.py", "")
    write("orders/api.py")
    (found,) = discover(["orders.api"]).found

    assert (sys.path, set(sys.modules) - modules) == (path, set())
    for _ in range(2):
        with found.importable():
            assert sys.modules["orders.api"].__dict__["handler"] is found.item
    assert (sys.path, set(sys.modules) - modules) == (path, set())


def test_a_module_of_the_same_name_comes_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was there before is there afterwards, and one that was loaded from the same file is used."""
    write("elsewhere/app_of_mine.py", "NUMBER = 1")
    write("app_of_mine.py")
    monkeypatch.syspath_prepend(str(project / "elsewhere"))
    import app_of_mine  # type: ignore[import-not-found]

    assert names(discover(["app_of_mine.py"])) == {"app_of_mine.py:handler": ["a"]}
    assert sys.modules["app_of_mine"] is app_of_mine
    del sys.modules["app_of_mine"]


# --- Targets of `invoke` ------------------------------------------------------------------------------------------


def test_a_target_with_a_root(project: Path) -> None:
    """With a root a file is imported as the module that it is from there."""
    write("src/orders/__init__.py", "")
    write("src/orders/api.py", "from . import models\ndef handler(event, context): return __name__")
    write("src/orders/models.py", "")
    target = Target.parse("src/orders/api.py:handler", Path("src"))
    with importable(target):
        handler = target.load()
        name = handler(None, None)

    assert (target.module, target.folder, name) == ("orders.api", project / "src", "orders.api")
    assert Target.parse("orders.api:handler", Path("src")).folder == project / "src"


def test_a_target_outside_its_root() -> None:
    """A file that is not in the root is refused."""
    write("app.py")
    with pytest.raises(InputError, match=r"^app\.py is not in the root src\.$"):
        Target.parse("app.py:handler", Path("src"))
