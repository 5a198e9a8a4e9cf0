"""The emulator comes by version and hash."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.e2e import _binary
from tests.e2e._binary import HASHES, WrongBinaryError, rie_binary


@pytest.mark.usefixtures("binary")
def test_another_binary_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes under the right version with another content is refused, each time."""

    def give_another(folder: Path) -> Path:
        wheel = folder / "another.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for architecture in HASHES:
                archive.writestr(f"samcli/local/rapid/aws-lambda-rie-{architecture}", "another")
        return wheel

    monkeypatch.setattr(_binary, "_download_wheel", give_another)
    for _ in range(2):
        with pytest.raises(WrongBinaryError, match="does not have the hash of the emulator in aws-sam-cli=="):
            rie_binary(tmp_path)
