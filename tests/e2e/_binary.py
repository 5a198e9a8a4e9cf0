"""Get Amazon's Runtime Interface Emulator out of the wheel that carries it."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "rie"

VERSION = "1.170.0"
_REQUIREMENT = f"aws-sam-cli=={VERSION}"
_MEMBER = "samcli/local/rapid/aws-lambda-rie-{}"
HASHES = {
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
}
"""SHA-256 of the binaries in that version: what is run is what was looked at."""
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_DOWNLOAD_SECONDS = 300.0


class NoBinaryError(Exception):
    """There is no emulator for this machine; the text says why."""


class WrongBinaryError(Exception):
    """The binary is another one than is expected; the text says which."""


def rie_binary(cache: Path = CACHE) -> Path:
    """Return the path of the emulator, downloaded once (8 MB) and then kept in the cache folder.

    Raises:
        NoBinaryError: this is not Linux on x86_64 or arm64.
        WrongBinaryError: it does not have the hash that is expected.
        subprocess.SubprocessError: the wheel cannot be downloaded.
    """
    architecture = _ARCHITECTURES.get(platform.machine().lower())
    if sys.platform != "linux" or architecture is None:
        raise NoBinaryError(f"the emulator is not built for {sys.platform} on {platform.machine()}")
    binary = cache / f"aws-lambda-rie-{VERSION}-{architecture}"
    if not binary.exists():
        _unpack(_MEMBER.format(architecture), binary)
    if hashlib.sha256(binary.read_bytes()).hexdigest() != HASHES[architecture]:
        raise WrongBinaryError(f"{binary} does not have the hash of the emulator in {_REQUIREMENT}: delete it.")
    return binary


def _unpack(member: str, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        wheel = _download_wheel(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract(member, folder))
        unpacked.chmod(0o755)
        unpacked.replace(binary)  # at once: another run never sees half a file


def _download_wheel(folder: Path) -> Path:
    print(f"Downloading {_REQUIREMENT} for the Lambda emulator in it", file=sys.__stderr__, flush=True)
    download = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:")
    subprocess.run([*download, "--dest", folder, _REQUIREMENT], check=True, timeout=_DOWNLOAD_SECONDS)
    return next(folder.glob("*.whl"))
