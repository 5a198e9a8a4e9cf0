"""How requests reach a server: a small protocol, so that what carries them can be exchanged."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Address(NamedTuple):
    """A server on this machine, or on the link (SnapStart's credentials)."""

    host: str
    port: int


class Answer(NamedTuple):
    """What a server said.

    Attributes:
        status: the HTTP status.
        body: at most `MAX_BODY_BYTES`.
    """

    status: int
    body: bytes

    def __repr__(self) -> str:
        """Show the status, not the body."""
        return f"Answer(status={self.status})"


class Fault(enum.Enum):
    """Why there is no answer."""

    REFUSED = "nothing accepted the connection"
    RESET = "the connection was closed before an answer began"
    LOST = "the connection was lost in the middle of the answer"
    TIMED_OUT = "the answer did not end in time"
    GARBLED = "is no HTTP"
    TOO_LARGE = "is larger than any value can be"


class Transport(Protocol):
    """Carries requests to a server.

    An implementation sends nothing but what it is given: no cookies, no credentials of its own, no proxy, and it
    follows no redirect. It does not retry. It serves many threads at once.
    """

    def exchange(
        self, address: Address, lanes: Sequence[Sequence[str]], headers: Mapping[str, str], seconds: float
    ) -> dict[str, Answer | Fault]:
        """Send requests and collect the answers.

        Args:
            address: where to.
            lanes: the paths to GET. Lanes are served at the same time, the paths of one lane one after the other.
            headers: what to send with each; see `_wire.is_header_value`.
            seconds: how long the whole may take, however slowly a server answers.

        Returns:
            For each path its answer, or why there is none.
        """
        ...

    def close(self) -> None:
        """Close every idle connection. The transport can be used again."""
