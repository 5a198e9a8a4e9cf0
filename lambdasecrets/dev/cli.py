"""The door to the command line: it opens only with the `cli` extra installed."""

import sys

_PACKAGES = ("rich", "tomli", "typer", "yaml")
_EXIT_BAD_INPUT = 2


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: always, with the exit code; 2 where the extra `cli` is not installed.
    """
    try:
        from lambdasecrets.dev._cli.app import app  # noqa: PLC0415 - what it imports need not be there
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        sys.stderr.write("The command line needs an extra: pip install 'lambdasecrets[cli]'\n")
        sys.exit(_EXIT_BAD_INPUT)
    app()
