"""Faults that no server of AWS has shown, and that a connection can still bring: answers of others, and floods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from lambdasecrets.dev._emulator.http_server import Answer
from lambdasecrets.dev.faults import Chunked, Exchange, Fault

_REPEATS = 200
_PAUSE_SECONDS = 0.001
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Anywhere:
    """A fault for whatever request comes."""

    def applies(self, exchange: Exchange) -> bool:
        return True


@dataclass(frozen=True)
class AnothersAnswer(_Anywhere):
    """Answer as if another secret had been asked for: two answers have changed places.

    Attributes:
        asked: the name in the right answer.
        given: the name of the other secret.
    """

    asked: str
    given: str

    def play(self, exchange: Exchange) -> None:
        """Send the other one's answer."""
        exchange.send(self.rename(exchange.answer()))

    def rename(self, answer: Answer) -> Answer:
        """Make of an answer the other one's, the value included."""
        return replace(answer, body=answer.body.replace(self.asked.encode(), self.given.encode()))


@dataclass(frozen=True)
class SurplusAnswer(AnothersAnswer):
    """Answer right, and send another secret's answer behind it, which nobody asked for."""

    def play(self, exchange: Exchange) -> None:
        """Send two answers."""
        answer = exchange.answer()
        exchange.begin(answer.status)
        both = (answer, self.rename(answer))
        exchange.send_bytes(b"".join(one.head(length=len(one.body)) + one.body for one in both))


@dataclass(frozen=True)
class Informational(_Anywhere):
    """Send informational answers before the right one.

    Attributes:
        times: how many.
    """

    times: int = 2

    def play(self, exchange: Exchange) -> None:
        """Send them, then answer."""
        answer = exchange.answer()
        exchange.begin(answer.status)
        exchange.send_bytes(_CONTINUE * self.times + answer.head(length=len(answer.body)) + answer.body)


@dataclass(frozen=True)
class Flood(_Anywhere):
    """Begin an answer that never ends, though there is always more of it.

    Attributes:
        begins: what is sent first.
        goes_on: what is sent from then on, for as long as the client reads.
    """

    begins: bytes
    goes_on: bytes

    def play(self, exchange: Exchange) -> None:
        """Send until the client has left."""
        exchange.begin(None)
        exchange.send_bytes(self.begins)
        while True:
            exchange.send_bytes(self.goes_on * _REPEATS)
            exchange.wait(_PAUSE_SECONDS)  # the client is in the same process


HOSTILE_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "anothers-answer": AnothersAnswer("middle", "after"),
        "surplus-answer": SurplusAnswer("middle", "after"),
        "informational": Informational(),
        "tiny-chunks": Chunked(size=1),
        "informational-flood": Flood(b"", _CONTINUE),
        "chunk-flood": Flood(_CHUNKED, b"1\r\nx\r\n"),
        "trailer-flood": Flood(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-Sum: 1\r\n"),
    }
)
"""One of each kind, for a request of `middle` and a neighbour `after`."""
