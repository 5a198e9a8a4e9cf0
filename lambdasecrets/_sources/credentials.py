"""Where the session token comes from under SnapStart. It is asked for every time and kept nowhere."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from lambdasecrets import _settings, _wire
from lambdasecrets._hiding import Token
from lambdasecrets._json import parse_object
from lambdasecrets._transports import Address, Answer, NoAnswer
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from lambdasecrets._clock import Deadline
    from lambdasecrets._transports import Transport

_LONGEST_WAIT_SECONDS = 1.0
"""How long one answer may take."""
_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""Before it is asked once more, each time."""
_OK = 200
_HTTP_PORT = 80


def fetch_snapstart_token(transport: Transport, deadline: Deadline) -> Token | str | None:
    """Ask the credentials endpoint, which Lambda provides where the environment has no token, for the session token.

    Args:
        transport: how to reach the endpoint.
        deadline: when to be done. What may pass (a refusal, an answer that is cut, late or no 200) is asked again.

    Returns:
        The token; None where there is no endpoint; a text that says what the endpoint did where it gave none.

    Raises:
        SettingError: the endpoint's URI leads to another machine, or its authorization cannot be read.
    """
    uri = _settings.read_credentials_uri()
    if uri is None:
        return None
    located = _locate(uri)
    if located is None:
        raise SettingError(_settings.ENDPOINT, "an http:// URL of a loopback or link-local address")
    found = _ask(transport, *located, deadline)
    for pause in _PAUSES_SECONDS:
        if isinstance(found, Token) or deadline.left() <= pause:
            break
        time.sleep(pause)
        found = _ask(transport, *located, deadline)
    return found


def _ask(transport: Transport, address: Address, path: str, deadline: Deadline) -> Token | str:
    # Read for every request: the authorization may be a file that is renewed.
    authorization = _settings.read_credential(_settings.AUTHORIZATION)
    headers = {"Authorization": authorization} if authorization else {}
    seconds = min(deadline.left(), _LONGEST_WAIT_SECONDS)
    answer = transport.exchange(address, [[path]], headers, seconds)[path] if seconds else NoAnswer.TIMED_OUT
    if isinstance(answer, NoAnswer):
        return "did not answer in time" if answer is NoAnswer.TIMED_OUT else "did not answer"
    return _read_token(answer) if answer.status == _OK else f"answered {answer.status}"


def _read_token(answer: Answer) -> Token | str:
    text = parse_object(answer.body).get("Token")
    is_usable = isinstance(text, str) and text and _wire.is_header_value(text)
    return Token(str(text)) if is_usable else "answered without a session token"


def _locate(uri: str) -> tuple[Address, str] | None:
    parts = _split(uri)
    if parts is None or parts.scheme != "http" or not _is_near(parts.hostname or ""):
        return None
    host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
    query = f"?{parts.query}" if parts.query else ""
    return Address(host, parts.port or _HTTP_PORT), f"{parts.path or '/'}{query}"


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - a bad port raises when it is looked at
    except ValueError:
        return None
    return parts


def _is_near(host: str) -> bool:
    """Tell whether a host cannot be another machine's: the names of others are not even looked up."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local or host == _EKS_ENDPOINT


_EKS_ENDPOINT = "fd00:ec2::23"
"""Where EKS Pod Identity serves credentials over IPv6: link-local by its use, not by its prefix."""
