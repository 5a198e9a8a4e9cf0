"""The built site, served on this machine, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.window import Window
from tests.pages import ROOT

SITE = ROOT / "site"
SECONDS = 30


class SilentHandler(SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Serve `site/`; give its address."""
    assert (SITE / "index.html").is_file(), "there is no site: `make docs` builds it"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(SECONDS)


def find_program(*names: str) -> str:
    """Find a program of Debian's packages."""
    found = next((path for path in map(shutil.which, names) if path), None)
    assert found, f"{names[0]} is not installed: `apt-get install chromium chromium-driver`"
    return found


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Start Chromium without a window, by its own driver: nothing is downloaded."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = find_program("chromium", "chromium-browser", "google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(find_program("chromedriver"), log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(SECONDS)
    driver.set_script_timeout(SECONDS)
    yield driver
    driver.quit()


@pytest.fixture
def window(driver: Any, site: str) -> Window:
    """Give a window that has forgotten what was chosen before."""
    return Window(driver, site)


def list_pages() -> list[str]:
    """List the addresses of the pages in the site, as their folders."""
    return sorted(
        f"{Path(path).parent.relative_to(SITE).as_posix()}/".removeprefix("./") for path in SITE.rglob("index.html")
    )
