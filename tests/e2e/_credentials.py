"""The credentials endpoint that an environment restored by SnapStart has, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_AUTHORIZATION = "Basic snapstart"
_STOP_SECONDS = 10.0


@contextmanager
def credentials_endpoint(environ: Mapping[str, str]) -> Iterator[dict[str, str | None]]:
    """Serve a role's credentials, and give the changes that SnapStart makes to a function's environment."""
    expires = datetime.now(timezone.utc) + timedelta(hours=6)
    document = {
        "AccessKeyId": environ["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": environ["AWS_SECRET_ACCESS_KEY"],
        "Token": environ["AWS_SESSION_TOKEN"],
        "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(json.dumps(document).encode()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_SESSION_TOKEN": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/2021-04-23/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": _AUTHORIZATION,
        }
    finally:
        server.shutdown()
        thread.join(_STOP_SECONDS)
        server.server_close()


def _handler(document: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers["Authorization"] == _AUTHORIZATION
            self.send_response(200 if is_known else 403)
            self.end_headers()
            self.wfile.write(document if is_known else b"{}")

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    return Handler
