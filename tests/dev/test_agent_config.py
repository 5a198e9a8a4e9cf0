"""`lambdasecrets agent-config`: what it writes. That the agent takes it is tested in tests/agent."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lambdasecrets import Parameter, Secret
from lambdasecrets.dev._cli.app import app
from lambdasecrets.dev.agent_config import make_agent_config
from lambdasecrets.dev.discovery import InputError, discover
from tests.pages import ROOT

TOML: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
ROLE = "arn:aws:iam::111122223333:role/{STAGE}"
APP = """
from typing import Annotated
from lambdasecrets import Parameter, Secret, inject_secrets

@inject_secrets
def handler(event, context, *, db: Annotated[str, Secret("{STAGE}/db")], size: Annotated[int, Parameter("/size")]): ...
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a handler the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def configure(*declarations: Secret | Parameter, **options: Any) -> dict[str, Any]:
    """Give what a configuration says of Secrets Manager."""
    texts = {"STAGE": "prod", "context.tenant_id": "acme"}
    settings: dict[str, Any] = TOML.loads(make_agent_config(declarations, texts, **options).text)
    (capability,) = settings.pop("capabilities").values()
    assert settings == {}
    assert isinstance(capability, dict)
    return capability


def test_secrets_are_prefetched() -> None:
    """Each secret is prefetched once, as the library asks for it: filled in, with its role."""
    capability = configure(
        Secret("{STAGE}/db"),
        Secret("{STAGE}/db", key="host"),
        Secret("tenants/{context.tenant_id}"),
        Secret("shared", role_arn=ROLE),
        Secret("{x}", literal=True),
        Parameter("/size"),
    )

    assert capability == {
        "http_port": 2773,
        "prefetch": {
            "secrets": [
                {"secret_id": "prod/db"},
                {"secret_id": "tenants/acme"},
                {"secret_id": "shared", "role_arn": "arn:aws:iam::111122223333:role/prod"},
                {"secret_id": "{x}"},
            ]
        },
    }


def test_the_example_says_the_same() -> None:
    """The example's configuration, which `make agent` runs, prefetches what its declarations come to."""
    example = ROOT / "examples" / "agent"
    shown = TOML.loads((example / "agent.toml").read_text(encoding="utf-8"))["capabilities"]["secrets_manager"]
    found = discover([str(example / "app.py")]).found

    assert shown["prefetch"] == configure(*(declared for item in found for declared in item.declarations))["prefetch"]


def test_options() -> None:
    """The port and the Region are where the agent looks for them."""
    capability = configure(Secret("a"), port=2774, region="eu-west-1")

    assert (capability["http_port"], capability["region"]) == (2774, "eu-west-1")


def test_what_is_to_be_known() -> None:
    """What the agent does not prefetch, or not serve, is said beside it."""
    roles = [Secret("a", role_arn=f"arn:aws:iam::111122223333:role/{number}") for number in range(21)]
    declared: list[Secret | Parameter] = [
        Secret("a", version_stage="AWSPREVIOUS"),
        Secret("b", version_stage="AWSCURRENT"),
        Secret("c", version_id="v1"),
        Parameter("/size"),
        *roles,
    ]

    assert make_agent_config(declared, {}).notes == (
        "Secret('a', version_stage='AWSPREVIOUS') is read when it is asked for: the agent prefetches AWSCURRENT only.",
        "Secret('c', version_id='v1') is read when it is asked for: the agent prefetches AWSCURRENT only.",
        "Parameter('/size') is not served by the agent, which has secrets only.",
        "21 roles are declared, and an agent takes no more than 20.",
    )
    assert make_agent_config(roles[:20], {}).notes == ()


@pytest.mark.parametrize(
    ("declaration", "options", "says"),
    [
        (Parameter("/a"), {}, "nothing to configure: no secret is declared, and the agent has secrets only."),
        (Secret("{NAME}"), {}, "Secret('{NAME}') needs NAME: give it with --set NAME=..."),
        (Secret("a", role_arn="{R}"), {}, "Secret('a', role_arn='{R}') needs R: give it with --set R=..."),
        (Secret("{STAGE}/a"), {"texts": {"STAGE": ""}}, "cannot use STAGE for Secret('{STAGE}/a'): it is empty."),
        (Secret("a"), {"region": "here"}, "cannot use the Region 'here': give its code, such as eu-west-1."),
    ],
)
def test_what_cannot_be_configured(declaration: Any, options: dict[str, Any], says: str) -> None:
    """What the agent could not use is refused, with what to do."""
    with pytest.raises(InputError) as caught:
        make_agent_config([declaration], **{"texts": {}, **options})

    assert str(caught.value) == says


# --- The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command; give its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, ["agent-config", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_command(project: Path) -> None:
    """It writes the file that it is told, once: a second time it leaves it alone."""
    options = ("--set", "STAGE=prod", "--output", "here.toml", "--port", "2774", "--region", "eu-west-1")
    first = run("app.py", *options)
    text = (project / "here.toml").read_text(encoding="utf-8")
    second = run("app.py", *options)

    assert first == (
        0, "", "Wrote here.toml.\nNote: Parameter('/size') is not served by the agent, which has secrets only.\n",
    )  # fmt: skip
    assert text == (
        '[capabilities.secrets_manager]\nhttp_port = 2774\nregion = "eu-west-1"\n\n'
        "[capabilities.secrets_manager.prefetch] # read when the agent starts\n"
        'secrets = [\n  { secret_id = "prod/db" },\n]\n'
    )
    assert second == (2, "", "Error: here.toml: it exists, and is not overwritten.\n")
    assert (project / "here.toml").read_text(encoding="utf-8") == text


def test_a_module_that_cannot_be_imported(project: Path) -> None:
    """Where a module fails nothing is written: secrets would be missing in it."""
    (project / "bad.py").write_text("import lambdasecrets\nimport nowhere", encoding="utf-8")
    code, out, err = run(".", "--set", "STAGE=prod")

    assert (code, out) == (1, "")
    assert err == "Error: bad.py: line 2: ModuleNotFoundError: No module named 'nowhere'\n"
    assert not (project / "agent.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["app.py"], "Error: Secret('{STAGE}/db') needs STAGE: give it with --set STAGE=...\n"),
        (["none.py"], "Error: none.py: there is no such file.\n"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], says: str) -> None:
    """Misuse is one line on standard error and exit code 2."""
    assert run(*arguments) == (2, "", says)


@pytest.mark.parametrize("arguments", [[], ["app.py", "--port", "80"]])
def test_a_command_line_that_cannot_be_read(arguments: list[str]) -> None:
    """A wrong command line is exit code 2 too."""
    code, out, _ = run(*arguments)

    assert (code, out) == (2, "")
