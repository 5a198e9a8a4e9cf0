"""A payment service on loopback, for the examples to call."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SECONDS = 10.0


class Payments:
    """What the service knows and has seen.

    Attributes:
        key: the one that it takes.
        charges: the numbers of the orders that were charged.
        refused: how many requests came with another key.
    """

    def __init__(self) -> None:
        self.url = ""
        self.key = ""
        self.charges: list[int] = []
        self.refused = 0

    def answer(self, authorization: str, order_id: int) -> tuple[int, dict[str, str]]:
        """Charge an order, if the key is right."""
        if authorization != f"Bearer {self.key}":
            self.refused += 1
            return 401, {}
        self.charges.append(order_id)
        return 200, {"receipt": f"receipt-{len(self.charges)}"}


@contextmanager
def running_payments() -> Iterator[Payments]:
    """Serve on loopback, in threads."""
    service = Payments()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = service.answer(self.headers["Authorization"], content["order_id"])
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join(_SECONDS)
        server.server_close()
