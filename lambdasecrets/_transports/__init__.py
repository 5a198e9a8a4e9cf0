"""How requests reach a server: a small protocol, so that what carries them can be exchanged."""

from __future__ import annotations

import enum
import errno
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lambdasecrets._record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lambdasecrets._hiding import Token

_SENDABLE = re.compile("[!-~]+")
REMEMBERED = 256
"""How many paths and addresses are kept as what they are sent as: a handler has few, names made at run time can be
many."""

CONNECTION_LIMIT_STATUS = 429
"""The agent counts its connections when it accepts them: one over its limit answers this for as long as it lives, so
it is not used again."""

REQUEST_TIMEOUT_STATUS = 408
"""What some servers send on an idle connection before they close it."""

NO_DESCRIPTOR_LEFT = frozenset({errno.EMFILE, errno.ENFILE})
"""The errors of a system that has no file descriptor for another socket."""


class Address(NamedTuple):
    """A server on this machine, or on the link (SnapStart's credentials)."""

    host: str
    port: int


class Answer(Record):
    """What a server said.

    Attributes:
        status: the HTTP status.
        body: at most `MAX_BODY_BYTES`.
        connection: the number of its connection within the exchange: equal numbers are the same connection.
        certain: False where something came on that connection that nobody had asked for. Then this may be the answer to
            another request.
    """

    __slots__ = ("body", "certain", "connection", "status")

    def __init__(self, status: int, body: bytes, connection: int = 0, *, certain: bool = True) -> None:
        self.status, self.body, self.connection, self.certain = status, body, connection, certain

    def __repr__(self) -> str:
        """Show the status, not the body."""
        return f"Answer(status={self.status})"


class NoAnswer(enum.Enum):
    """Why there is no answer. Each value goes on from "the answer"."""

    REFUSED = "cannot be had: nothing accepted the connection"
    RESET = "cannot be had: the connection was closed before it began"
    LOST = "was lost: the connection was closed in the middle of it"
    TIMED_OUT = "did not end in time"
    GARBLED = "is no HTTP"
    TOO_LARGE = "is larger than any value can be"
    EXHAUSTED = "cannot be had: this process has no file descriptor left for a connection"
    UNSENDABLE = "cannot be had: the address or the path has characters that no request can carry"


class Transport(Protocol):
    """Carries requests to a server.

    An implementation sends nothing but what it is given: no cookies, no credentials of its own, no proxy, and it
    follows no redirect. It does not retry. It serves many threads at once.

    An exception that is not the transport's own (a signal handler's, Ctrl-C, a hook's) goes on as it is. The
    connections that were in use are dropped then, and the transport can be used again.
    """

    def exchange(
        self,
        address: Address,
        lanes: Sequence[Sequence[str]],
        headers: Mapping[str, str | Token],
        seconds: float,
        *,
        anew: bool = False,
    ) -> dict[str, Answer | NoAnswer]:
        """Send requests and collect the answers.

        Args:
            address: where to.
            lanes: the paths to GET. Lanes are served at the same time, the paths of one lane one after the other.
            headers: what to send with each; see `_wire.is_header_value`.
            seconds: how long the whole may take, whatever a server does.
            anew: send each lane over a connection that has carried nothing yet.

        Returns:
            For each path its answer, or why there is none.
        """
        ...

    def close(self) -> None:
        """Close every idle connection. The transport can be used again."""

    def forget_parent(self) -> None:
        """Use none of the parent's connections and locks. To be called in a child process, after the fork."""


def is_sendable(text: str) -> bool:
    """Tell whether a path, or a host, can stand in a request: visible ASCII characters."""
    return _SENDABLE.fullmatch(text) is not None


def is_raised_by(error: BaseException, packages: frozenset[str]) -> bool:
    """Tell whether an exception was raised by one of these packages, not by a signal handler that ran in between.

    Args:
        error: as it was caught: its traceback leads to the frame that raised it.
        packages: the names of packages.
    """
    step = error.__traceback__
    if step is None:
        return True  # a library has made it, to wrap it in another
    while step.tb_next is not None:
        step = step.tb_next
    return str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in packages
