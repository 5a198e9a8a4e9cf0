"""Lambda's side of an extension: the Extensions API, small, over HTTP."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 30.0  # long enough for a busy machine: no test waits for it

Reply = tuple[int, dict[str, str], object]
"""Status, headers, and what goes out as JSON."""


class ExtensionsApi:
    """What an extension asks of Lambda, and what Lambda answers.

    Attributes:
        address: host and port, for AWS_LAMBDA_RUNTIME_API.
        registrations: names of extensions, and the events for which each registered.
        refusal: the sentence with which registrations are refused; None accepts them.
    """

    def __init__(self) -> None:
        self.address = ""
        self.registrations: list[tuple[str, list[str]]] = []
        self.refusal: str | None = None
        self._events: queue.Queue[str] = queue.Queue()
        self._asked = threading.Semaphore(0)

    def send(self, event: str) -> None:
        """Send an event to the extension: `INVOKE` or `SHUTDOWN`."""
        self._events.put(event)

    def wait_for_next(self) -> None:
        """Wait until the extension, once more, says that it is done with the last event."""
        assert self._asked.acquire(timeout=SECONDS)

    def get(self, path: str) -> Reply:
        """Answer a GET."""
        assert path == "/2020-01-01/extension/event/next"
        self._asked.release()
        return 200, {}, {"eventType": self._events.get(timeout=SECONDS)}

    def post(self, path: str, headers: Mapping[str, str], content: Any) -> Reply:
        """Answer a POST."""
        assert path == "/2020-01-01/extension/register"
        self.registrations.append((headers["Lambda-Extension-Name"], content["events"]))
        if self.refusal is not None:
            return 403, {}, {"errorMessage": self.refusal, "errorType": "Extension.InvalidEventType"}
        return 200, {"Lambda-Extension-Identifier": "identifier"}, {"functionName": "function"}


@contextmanager
def serving(api: ExtensionsApi) -> Iterator[None]:
    """Serve on loopback, in threads."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    server.block_on_close = False  # some wait for an event that never comes
    api.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(SECONDS)
        server.server_close()


def _handler(api: ExtensionsApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*api.get(self.path))

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*api.post(self.path, dict(self.headers), content))

        def _send(self, status: int, headers: dict[str, str], content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    return Handler
