"""Say bytes to a server and note all that a client can see of what comes back."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass

_SECONDS = 5.0
_RECEIVED_BYTES = 65536
_PROBE = b"GET /ping HTTP/1.1\r\nHost: probe\r\n\r\n"


@dataclass(frozen=True)
class Said:
    """One answer.

    Attributes:
        line: its version and status.
        names: the names of its headers, as they are written, sorted.
        length: what Content-Length says; None without one.
        body: the bytes behind the head, as many as Content-Length says, none for HEAD.
    """

    line: str
    names: tuple[str, ...]
    length: int | None
    body: bytes


@dataclass(frozen=True)
class Heard:
    """What came back.

    Attributes:
        answers: in their order.
        connection: `open` where a further request was answered; `closed`; or what came in its place.
    """

    answers: tuple[Said, ...]
    connection: str


def say(port: int, sent: bytes, answers: int, *, is_head: bool = False, ends: bool = False) -> Heard:
    """Say bytes on a new connection, read as many answers, then see whether the connection is still of use.

    Args:
        port: the server's.
        sent: what to say.
        answers: how many answers are due; fewer are read where the connection ends.
        is_head: the requests are HEAD, so that their answers have no body.
        ends: say that nothing will follow, and read to the end.
    """
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as plain:
        reader = _Reader(plain)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer may have come all the same
            plain.sendall(sent)
        if ends:
            plain.shutdown(socket.SHUT_WR)
        heard = [reader.answer(is_head=is_head) for _ in range(answers)]
        is_probed = not ends and None not in heard
        return Heard(tuple(filter(None, heard)), _state(plain, reader) if is_probed else reader.rest())


def _state(plain: socket.socket, reader: _Reader) -> str:
    try:
        plain.sendall(_PROBE)
    except OSError:
        return reader.rest()
    probed = reader.answer()
    if probed is None:
        return reader.rest()
    is_healthy = probed.line == "HTTP/1.1 200" and probed.body == b"healthy"
    return "open" if is_healthy else f"{probed.line} {probed.body!r}"


class _Reader:
    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._received = b""
        self._end = ""

    def answer(self, *, is_head: bool = False) -> Said | None:
        """Read one answer; None where none comes."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                return None
        head, _, body = self._received.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        length = re.search(r"\ncontent-length: (\d+)", head.decode("latin-1"), re.IGNORECASE)
        size = int(length[1]) if length and not is_head else 0
        while len(body) < size and self._receive():
            body = self._received[len(head) + 4 :]
        self._received = body[size:]
        names = tuple(sorted(field.partition(":")[0] for field in fields))
        return Said(line[: len("HTTP/1.1 200")], names, int(length[1]) if length else None, body[:size])

    def rest(self) -> str:
        """Read to the end, and say which end it is."""
        while self._receive():
            pass
        return f"{self._end} after {self._received!r}" if self._received else self._end

    def _receive(self) -> bool:
        """Wait for more; False where none comes."""
        if self._end:
            return False
        try:
            received = self._plain.recv(_RECEIVED_BYTES)
        except TimeoutError:
            self._end = "silent"
            return False
        except OSError:
            received = b""
        self._received += received
        self._end = "" if received else "closed"
        return bool(received)
