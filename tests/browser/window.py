"""A window of the browser: its size, what it is asked to look like, and what it has done."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

SECONDS = 20.0


class Window:
    """Shows pages of the site."""

    def __init__(self, driver: Any, site: str) -> None:
        self._driver = driver
        self._site = site
        self.show(1280, "light")
        driver.get(f"{site}404.html")
        driver.execute_script("localStorage.clear(); sessionStorage.clear()")
        self.list_errors()
        self.list_hosts()

    def show(self, width: int, scheme: str) -> None:
        """Set the width in pixels, and the colour scheme of the system."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, page: str) -> None:
        """Load a page of the site, and wait until its scripts have run."""
        self._driver.get(f"{self._site}{page}")
        self.wait("document.readyState === 'complete' && !!document.querySelector('[data-md-component=palette]')")

    def run(self, script: str, *arguments: object) -> Any:
        """Evaluate an expression in the page."""
        return self._driver.execute_script(f"return ({script})", *arguments)

    def wait(self, condition: str) -> Any:
        """Evaluate an expression until it is true; give what it comes to."""
        end = time.monotonic() + SECONDS
        while not (found := self.run(condition)):
            assert time.monotonic() < end, f"not true within {SECONDS} s: {condition}"
            time.sleep(0.05)
        return found

    def find(self, selector: str) -> Any:
        """Find the first element of a selector."""
        return self._driver.find_element("css selector", selector)

    def allow_clipboard(self) -> None:
        """Let the page write and read the clipboard."""
        permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        self._driver.execute_cdp_cmd("Browser.grantPermissions", permissions)

    def copy(self, button: str) -> str:
        """Press a button that copies; give what it copied."""
        self._driver.execute_async_script("navigator.clipboard.writeText('').then(arguments[0])")
        self._driver.execute_cdp_cmd("Runtime.evaluate", {"expression": f"{button}.click()", "userGesture": True})
        end = time.monotonic() + SECONDS
        while not (text := self._driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")):
            assert time.monotonic() < end, f"nothing was copied within {SECONDS} s by {button}"
            time.sleep(0.05)
        return str(text)

    def list_errors(self) -> list[str]:
        """List what the console has got at its levels of warnings and errors since this was last asked."""
        entries = self._driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]

    def list_hosts(self) -> set[str]:
        """List the hosts that were asked for anything since this was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        urls = [item["params"]["request"]["url"] for item in events if item["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if url.startswith("http")}
