"""The pages about the workshop say what is true: their examples are run, their tables compared."""

import re
from pathlib import Path

import pytest

from lambdasecrets.dev import faults
from lambdasecrets.dev.stores import load_secrets_file

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("example", blocks("secrets-file.md", "toml"))
def test_every_secrets_file_shown_can_be_read(tmp_path: Path, example: str) -> None:
    """Each TOML example of the page is a secrets file."""
    path = tmp_path / "secrets.toml"
    path.write_text(example, encoding="utf-8")

    assert load_secrets_file(path).environment in ({}, {"STAGE": "dev"})


def test_reading_a_secrets_file_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python example of the page prints the place of a mistake, or what a right file holds."""
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("secrets-file.md", "python")
    exec(example, {})  # noqa: S102 - our own page
    Path("secrets.toml").write_text(blocks("secrets-file.md", "toml")[0], encoding="utf-8")
    exec(example, {})  # noqa: S102 - our own page
    first, second = capsys.readouterr().out.splitlines()

    assert first == " cannot read the file: No such file or directory."
    assert second.startswith("{'STAGE': 'dev'} ")


def test_the_emulator_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python examples of the page run, one after the other."""
    namespace: dict[str, object] = {}
    for example in blocks("emulator.md", "python"):
        exec(example, namespace)  # noqa: S102 - our own page

    assert capsys.readouterr().out == "25\n25\ntheirs\n"


def test_every_fault_is_documented() -> None:
    """The page's table names each fault of `EVERY_FAULT`, and no other."""
    table = (DOCS / "emulator.md").read_text(encoding="utf-8").partition("| name | fault |")[2]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z-]+)`", row.split(" | ")[0])]

    assert sorted(names) == sorted(faults.EVERY_FAULT)
