"""Where the session token comes from under SnapStart. It is asked for every time and kept nowhere."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from lambdasecrets import _settings, _wire
from lambdasecrets._json import parse_object
from lambdasecrets._transports.base import Address, Answer
from lambdasecrets.errors import SettingError

if TYPE_CHECKING:
    from lambdasecrets._transports.base import Transport

_LONGEST_WAIT_SECONDS = 1.0
_OK = 200
_HTTP_PORT = 80


def fetch_snapstart_token(transport: Transport, seconds: float) -> str | None:
    """Ask the credentials endpoint, which Lambda provides where the environment has no token, for the session token.

    Args:
        transport: how to reach the endpoint.
        seconds: how long that may take.

    Raises:
        SettingError: the endpoint's URI leads to another machine, or its authorization cannot be read.
    """
    found = _from_endpoint(transport, min(seconds, _LONGEST_WAIT_SECONDS))
    if isinstance(found, SettingError):
        # Raised here, where no local of a frame holds the authorization.
        raise found
    return found


def _from_endpoint(transport: Transport, seconds: float) -> str | SettingError | None:
    uri = _settings.credentials_uri()
    if uri is None:
        return None
    located = _located(uri)
    if located is None:
        return SettingError(_settings.ENDPOINT, "an http:// URL of a loopback or link-local address")
    address, path = located
    authorization = _settings.credential(_settings.AUTHORIZATION)
    headers = {"Authorization": authorization} if authorization else {}
    answer = transport.exchange(address, [[path]], headers, seconds)[path]
    if not isinstance(answer, Answer) or answer.status != _OK:
        return None
    token = parse_object(answer.body).get("Token")
    return token if isinstance(token, str) and _wire.is_header_value(token) else None


def _located(uri: str) -> tuple[Address, str] | None:
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
