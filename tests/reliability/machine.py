"""What the long runs share: a context, an environment, progress, and how figures get into the documentation."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import requests

from lambdasecrets import _resolver, use_session

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


class Context:
    """An invocation's context: it knows how much time is left.

    Args:
        seconds: how much there is at the start.
    """

    def __init__(self, seconds: float) -> None:
        self.began = time.monotonic()
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self.began + self.seconds - time.monotonic()) * 1000)


@contextmanager
def client_of(environment: Mapping[str, str], transport: str) -> Iterator[None]:
    """Point this process at a server, over one transport, with no connection and no value from before.

    Args:
        environment: what leads to the server.
        transport: `lean`, `requests`, or `session` for a Session of the user's.
    """
    before = dict(os.environ)
    os.environ.update(environment, LAMBDASECRETS_TRANSPORT="lean" if transport == "session" else transport)
    session = requests.Session() if transport == "session" else None
    use_session(session)
    try:
        yield
    finally:
        _resolver.find_resolver().close()
        use_session(None)
        if session is not None:
            session.close()
        os.environ.clear()
        os.environ.update(before)


def stamp() -> str:
    """Say when and on what a run was made. No host name, no path."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{date}, {os.cpu_count()} cores, {python}, {kernel}"


def say(text: str) -> None:
    """Print a line at once: progress is for who watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Write a Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def write_section(page: Path, name: str, lines: Iterable[str]) -> None:
    """Put lines between a page's markers `<!-- name -->` and `<!-- /name -->`, in the place of what was there.

    Raises:
        ValueError: the page does not have the markers.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"Cannot write section {name!r}: the page has no markers for it.")
    body = "".join(f"{line}\n" for line in lines)
    page.write_text(f"{before}{begin}\n{body}\n{end}{after}", encoding="utf-8")
