"""A small server on Python's http.server: it answers as the extension does, from the file of its argument."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWERS = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))


class Handler(BaseHTTPRequestHandler):
    """Writes head and body apart, as this module's own handlers do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        body = ANSWERS.get(self.path, "an unexpected error occurred while executing request").encode()
        self.send_response(200 if self.path in ANSWERS else 400)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
