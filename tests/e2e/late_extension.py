"""The extension, but it learns of the first invocation well after the function does: the race made certain."""

import time

from lambdasecrets.dev import extension
from lambdasecrets.dev.emulator import Emulator

LATE_SECONDS = 0.3


class LateEmulator(Emulator):
    """An emulator whose gate is slow."""

    def open_gate(self) -> None:
        """Open it, later."""
        time.sleep(LATE_SECONDS)
        super().open_gate()


if __name__ == "__main__":
    vars(extension)["Emulator"] = LateEmulator
    extension.main()
