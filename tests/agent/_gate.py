"""A way between the agent and AWS that can be slow, closed or dead, and that notes what is asked of AWS."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from lambdasecrets.dev._emulator.http_server import Answer, Connection, Request, Server
from tests.serving import serving

_CALL_SECONDS = 10.0
_JSON = "application/x-amz-json-1.1"
_OF_STS = ("AssumeRole", "GetCallerIdentity")
_XML_ERROR = (
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{}</Code>'
    "<Message>{}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
)
_FOR_EVER = 3600.0
_OWN = {"content-length", "transfer-encoding", "connection", "date", "content-type"}


@dataclass
class Gate:
    """What stands between.

    Attributes:
        aws: AWS's own URL.
        calls: the operations that were asked for, such as `DescribeSecret`.
        delay: seconds before a call goes on.
        is_dead: whether a call is never answered.
        failure: the status that is answered in AWS's place; None for AWS's own answers.
        errors: by operation, the code and the sentence of an error that AWS would give: moto has words of its own.
    """

    aws: str
    calls: list[str] = field(default_factory=list[str])
    delay: float = 0.0
    is_dead: bool = False
    failure: int | None = None
    errors: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    server: Server | None = None

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL has to be."""
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.port}"

    def refuse(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        assert self.server is not None
        self.server.refuse()

    def serve(self, connection: Connection) -> None:
        """Pass on what comes over one connection."""
        while (request := connection.read_request()) is not None:
            operation = _operation(request)
            self.calls.append(operation)
            if self.is_dead:
                connection.wait(_FOR_EVER)
                return
            connection.wait(self.delay)
            connection.send((self._refusal(operation) or self._answer(request)).encode(request))

    def _refusal(self, operation: str) -> Answer | None:
        if self.failure is not None:
            return Answer(self.failure, b"{}", _JSON)
        if operation not in self.errors:
            return None
        code, message = self.errors[operation]
        if operation in _OF_STS:
            return Answer(403, _XML_ERROR.format(code, message).encode(), "text/xml")
        return Answer(400, json.dumps({"__type": code, "Message": message}).encode(), _JSON)

    def _answer(self, request: Request) -> Answer:
        upstream = http.client.HTTPConnection(self.aws.removeprefix("http://"), timeout=_CALL_SECONDS)
        with contextlib.closing(upstream):
            upstream.request(request.method, request.target, request.body, dict(request.headers))
            response = upstream.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _OWN}
            return Answer(response.status, response.read(), response.getheader("Content-Type"), headers)


def _operation(request: Request) -> str:
    target = request.headers.get("x-amz-target", "")
    return target.partition(".")[2] or dict(parse_qsl(request.body.decode())).get("Action", "")


@contextmanager
def opened_gate(aws: str) -> Iterator[Gate]:
    """Open a way to AWS until the end of the block."""
    gate = Gate(aws)
    with serving(gate.serve) as gate.server:
        yield gate
