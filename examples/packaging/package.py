"""Packs a function, or its packages as a layer, for the processor and the Python that it will run on.

python package.py src build/function-arm64.zip --architecture arm64 --python 3.13
python package.py src build/layer-arm64.zip --layer
python package.py src build/function.zip --own-code-only
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
OWN_CODE = shutil.ignore_patterns("__pycache__", "requirements.txt", "test_*.py", "tests", ".*")
# Nothing of it runs in Lambda: programs of the packages, and the tools of lambdasecrets for your machine.
LEFT_OUT = ("bin", "lambdasecrets/dev")
A_DATE = (2020, 1, 1, 0, 0, 0)  # the same for every file: the same content is the same zip, and no new deployment


def main() -> None:
    arguments = read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if not arguments.own_code_only:
            packages = root / "python" if arguments.layer else root
            install(arguments.source / "requirements.txt", packages, arguments)
        if not arguments.layer:
            shutil.copytree(arguments.source, root, ignore=OWN_CODE, dirs_exist_ok=True)
        write_zip(root, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the folder with the code and its requirements.txt")
    parser.add_argument("output", type=Path, help="the zip to write")
    parser.add_argument("--architecture", choices=MACHINES, default="arm64")
    parser.add_argument("--python", default="3.13", help="the version of the function's runtime")
    parser.add_argument("--wheel", action="append", default=[], help="a wheel of your own that is in no index")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--layer", action="store_true", help="the packages alone, as a layer has them")
    what.add_argument("--own-code-only", action="store_true", help="without the packages: they are in a layer")
    return parser.parse_args()


def install(requirements: Path, target: Path, arguments: argparse.Namespace) -> None:
    """Install wheels for Lambda's machine, which is seldom the one that this runs on."""
    machine = MACHINES[arguments.architecture]
    platforms = [f"manylinux2014_{machine}"]
    if arguments.python not in ("3.10", "3.11"):  # these run on Amazon Linux 2, with an older C library
        platforms.append(f"manylinux_2_28_{machine}")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--target", target, "--only-binary", ":all:", "--implementation", "cp"),
            *("--python-version", arguments.python),
            *(part for platform in platforms for part in ("--platform", platform)),
            *("--requirement", requirements),
            *arguments.wheel,
        ],
        check=True,
    )
    for name in LEFT_OUT:
        shutil.rmtree(target / name, ignore_errors=True)


def write_zip(root: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(output, "w", ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                entry = ZipInfo(path.relative_to(root).as_posix(), A_DATE)
                entry.compress_type = ZIP_DEFLATED
                entry.external_attr = 0o644 << 16  # readable by the user that Lambda runs the function as
                archive.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    main()
