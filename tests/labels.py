"""The labels of a test's cases: the same in every process, so that several can share the tests."""

import re


def label(value: object) -> str:
    """Show a value without the addresses of the objects in it."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
