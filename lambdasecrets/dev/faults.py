"""Faults that the emulator plays on demand, over real sockets.

Each is a frozen dataclass; `EVERY_FAULT` names one of each kind, for tests that go through all of them::

    emulator.inject(faults.Latency(seconds=0.2), times=3)
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from lambdasecrets.dev._emulator import profiles
from lambdasecrets.dev._emulator.http_server import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "EVERY_FAULT",
    "Chunked",
    "DropKeptAlive",
    "Exchange",
    "Fault",
    "Hang",
    "HugeBody",
    "Latency",
    "NoLength",
    "Redirect",
    "Refuse",
    "Reply",
    "ResetBeforeAnswer",
    "ResetInsideAnswer",
    "SlowDrip",
    "Truncated",
]

_BLOCK_BYTES = 64 * 1024


class Exchange(Protocol):
    """One request whose answer is due, as a fault sees it."""

    @property
    def is_reused(self) -> bool:
        """Whether the connection has carried an answer before."""
        ...

    def answer(self) -> Answer:
        """Return the answer that the emulator would give."""
        ...

    def send(self, answer: Answer) -> None:
        """Send an answer as it should be, in one piece."""
        ...

    def begin(self, status: int | None) -> None:
        """Note in the journal that an answer with this status begins, or that none will come; only once.

        A fault that waits begins first: whoever counts the requests must not have to wait for it.
        """
        ...

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, of an answer that has begun.

        Raises:
            OSError: the client left.
        """
        ...

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the client does.

        Raises:
            OSError: the client left.
        """
        ...

    def close(self) -> None:
        """End the connection in good order."""
        ...

    def reset(self) -> None:
        """End the connection with a reset."""
        ...


class Fault(Protocol):
    """Something that goes wrong with the answer to one request."""

    def applies(self, exchange: Exchange) -> bool:
        """Tell whether it can be played on this exchange; if not, it waits for the next."""
        ...

    def play(self, exchange: Exchange) -> None:
        """Answer, or fail to."""
        ...


class _Anywhere:
    """A fault for whatever request comes."""

    def applies(self, exchange: Exchange) -> bool:  # noqa: ARG002 - another fault looks at it
        """Say that it applies."""
        return True


@dataclass(frozen=True)
class Refuse:
    """Refuse connections for a while, as if the layer were not attached, and end those that are open.

    It begins at once and no request is needed: a closed port cannot count. `times=3` makes it three times as
    long, `times=None` until `clear_faults`.

    Attributes:
        seconds: for how long.
    """

    seconds: float = 0.3


@dataclass(frozen=True)
class Latency(_Anywhere):
    """Answer right, but late.

    Attributes:
        seconds: how late.
    """

    seconds: float = 0.1

    def play(self, exchange: Exchange) -> None:
        """Wait, then answer."""
        answer = exchange.answer()
        exchange.begin(answer.status)
        exchange.wait(self.seconds)
        exchange.send(answer)


@dataclass(frozen=True)
class Hang(_Anywhere):
    """Do not answer: wait for the client to leave, then end the connection.

    Attributes:
        seconds: for how long at most.
    """

    seconds: float = 60.0

    def play(self, exchange: Exchange) -> None:
        """Wait, then close."""
        exchange.begin(None)
        exchange.wait(self.seconds)
        exchange.close()


@dataclass(frozen=True)
class ResetBeforeAnswer(_Anywhere):
    """Reset the connection once the request is there."""

    def play(self, exchange: Exchange) -> None:
        """Reset."""
        exchange.begin(None)
        exchange.reset()


@dataclass(frozen=True)
class ResetInsideAnswer(_Anywhere):
    """Send the head and half of the body, then reset the connection."""

    def play(self, exchange: Exchange) -> None:
        """Send half, then reset."""
        _send_half(exchange)
        exchange.reset()


@dataclass(frozen=True)
class Truncated(_Anywhere):
    """Announce the whole body, send half of it and end the connection in good order."""

    def play(self, exchange: Exchange) -> None:
        """Send half, then close."""
        _send_half(exchange)
        exchange.close()


@dataclass(frozen=True)
class SlowDrip(_Anywhere):
    """Answer right, but in drops.

    Attributes:
        part: which part comes in drops; the rest comes at once.
        size: bytes in a drop.
        interval: seconds before each drop.
    """

    part: Literal["head", "body"] = "body"
    size: int = 1
    interval: float = 0.02

    def play(self, exchange: Exchange) -> None:
        """Send drop by drop."""
        answer = exchange.answer()
        head, body = answer.head(length=len(answer.body)), answer.body
        exchange.begin(answer.status)
        for drop in [*self._drops(head), body] if self.part == "head" else [head, *self._drops(body)]:
            exchange.wait(self.interval)
            exchange.send_bytes(drop)

    def _drops(self, data: bytes) -> Iterator[bytes]:
        return (data[start : start + self.size] for start in range(0, len(data), self.size))


@dataclass(frozen=True)
class Reply(_Anywhere):
    """Answer something else: an error, or a 200 that makes no sense.

    Attributes:
        status: the HTTP status.
        body: the whole body.
        content_type: the Content-Type header, or None for none.
    """

    status: int
    body: bytes
    content_type: str | None = "text/plain; charset=utf-8"

    def play(self, exchange: Exchange) -> None:
        """Send it."""
        exchange.send(Answer(self.status, self.body, self.content_type))


@dataclass(frozen=True)
class Redirect(_Anywhere):
    """Answer with a redirect, which no client should follow.

    Attributes:
        location: the URL that it points to.
        status: 301, 302, 303, 307 or 308.
    """

    location: str = "http://127.0.0.1:9/"
    status: int = 302

    def play(self, exchange: Exchange) -> None:
        """Send it."""
        exchange.send(Answer(self.status, b"", headers={"Location": self.location}))


@dataclass(frozen=True)
class HugeBody(_Anywhere):
    """Answer with an endless JSON document, as far as the client reads it.

    Attributes:
        size: its bytes.
        declared: whether Content-Length tells; if not, the end of the connection does.
    """

    size: int = 256 * 1024 * 1024
    declared: bool = True

    def play(self, exchange: Exchange) -> None:
        """Send it block by block."""
        answer = Answer(200, b'{"SecretString":"')
        exchange.begin(answer.status)
        exchange.send_bytes(answer.head(length=self.size if self.declared else None, Connection="close") + answer.body)
        left = self.size - len(answer.body)
        while left > 0:
            exchange.send_bytes(b"x" * min(left, _BLOCK_BYTES))
            left -= _BLOCK_BYTES
        exchange.close()


@dataclass(frozen=True)
class Chunked(_Anywhere):
    """Answer right, with the body in chunks: unusual, but valid.

    Attributes:
        size: bytes in a chunk.
    """

    size: int = 7

    def play(self, exchange: Exchange) -> None:
        """Send it in chunks."""
        answer = exchange.answer()
        parts = [answer.body[start : start + self.size] for start in range(0, len(answer.body), self.size)]
        chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b"")]
        exchange.begin(answer.status)
        exchange.send_bytes(answer.head(Transfer_Encoding="chunked") + b"".join(chunks))


@dataclass(frozen=True)
class NoLength(_Anywhere):
    """Answer right as an HTTP/1.0 server does: the end of the connection is the end of the body."""

    def play(self, exchange: Exchange) -> None:
        """Send it, then close."""
        answer = exchange.answer()
        exchange.begin(answer.status)
        exchange.send_bytes(answer.head(version="HTTP/1.0") + answer.body)
        exchange.close()


@dataclass(frozen=True)
class DropKeptAlive:
    """End a kept-alive connection instead of answering on it; the first request of a connection is left alone."""

    def applies(self, exchange: Exchange) -> bool:
        """Tell whether the connection was kept alive."""
        return exchange.is_reused

    def play(self, exchange: Exchange) -> None:
        """Close."""
        exchange.begin(None)
        exchange.close()


def _send_half(exchange: Exchange) -> None:
    answer = exchange.answer()
    exchange.begin(answer.status)
    exchange.send_bytes(answer.head(length=len(answer.body)) + answer.body[: len(answer.body) // 2])


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, answer.body, answer.content_type)


EVERY_FAULT: Mapping[str, Fault | Refuse] = MappingProxyType(
    {
        "latency": Latency(),
        "refuse": Refuse(),
        "reset-before-answer": ResetBeforeAnswer(),
        "reset-inside-answer": ResetInsideAnswer(),
        "hang": Hang(),
        "slow-head": SlowDrip("head"),
        "slow-body": SlowDrip("body"),
        "not-ready": _reply(profiles.NOT_READY),
        "bad-session-token": _reply(profiles.BAD_SESSION_TOKEN),
        "bad-token": _reply(profiles.AGENT_BAD_TOKEN),
        "unresolved": _reply(profiles.UNRESOLVED),
        "crowded": _reply(profiles.AGENT_CROWDED),
        "internal-error": Reply(500, b"Internal Server Error"),
        "bad-gateway": Reply(502, b"Bad Gateway"),
        "unavailable": Reply(503, b"Service Unavailable"),
        "truncated": Truncated(),
        "not-json": Reply(200, b"<html>It works!</html>"),
        "no-fields": Reply(200, b"{}"),
        "huge-body": HugeBody(),
        "endless-body": HugeBody(declared=False),
        "redirect": Redirect(),
        "chunked": Chunked(),
        "no-length": NoLength(),
        "drop-kept-alive": DropKeptAlive(),
    }
)
