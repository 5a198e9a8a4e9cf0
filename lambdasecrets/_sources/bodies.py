"""From the body of a 200 to a raw value: the two services, and the two servers' spellings of each."""

from __future__ import annotations

import binascii
import re
from typing import Any, cast

from lambdasecrets._json import parse_object
from lambdasecrets._sources.request import Identity, RawValue


def read_secret(content: dict[str, Any]) -> RawValue | None:
    """Read the answer about a secret. None: it is not one."""
    version, text, binary = content.get("VersionId"), content.get("SecretString"), content.get("SecretBinary")
    from_agent = "ResultMetadata" not in content
    if not isinstance(version, str):
        return None
    name, arn, stages = content.get("Name"), content.get("ARN"), content.get("VersionStages")
    identity = Identity(
        name if isinstance(name, str) else None,
        arn if isinstance(arn, str) else None,
        version,
        tuple(stages) if isinstance(stages, list) else (),  # pyright: ignore[reportUnknownArgumentType]
    )
    if isinstance(text, str) and binary is None:
        return RawValue(text, None, version, from_agent=from_agent, identity=identity)
    decoded = _decode(binary) if text is None else None
    return None if decoded is None else RawValue(None, decoded, version, from_agent=from_agent, identity=identity)


def read_parameter(content: dict[str, Any]) -> RawValue | None:
    """Read the answer about a parameter. None: it is not one."""
    if not isinstance(content.get("Parameter"), dict):
        return None
    parameter = cast("dict[str, Any]", content["Parameter"])
    version, text = parameter.get("Version"), parameter.get("Value")
    if not isinstance(version, int) or not isinstance(text, (str, type(None))) or "Value" not in parameter:
        return None
    selector = (_read_text(parameter, "Selector") or "").removeprefix(":")
    identity = Identity(_read_text(parameter, "Name"), _read_text(parameter, "ARN"), str(version), selector=selector)
    source = parameter.get("SourceResult")
    if isinstance(source, str):
        return _read_reference(parse_object(source), text, identity)
    return RawValue(text, None, str(version), is_list=parameter.get("Type") == "StringList", identity=identity)


def _read_text(content: dict[str, Any], member: str) -> str | None:
    text = content.get(member)
    return text if isinstance(text, str) else None


def _read_reference(secret: dict[str, Any], text: str | None, identity: Identity) -> RawValue:
    """Read a secret that came through Parameter Store. Its own version, and its bytes, are in the SourceResult.

    Args:
        secret: the SourceResult.
        text: the parameter's value; None for a binary secret.
        identity: the parameter's, whose version is 0, whatever becomes of the secret.
    """
    version = secret.get("versionId")
    binary = _read_buffer(secret.get("secretBinary")) if text is None else None
    shown = version if isinstance(version, str) else identity.version
    return RawValue(text, binary, shown or "0", identity=identity)


def _read_buffer(buffer: object) -> bytes | None:
    """Read bytes as Java writes a buffer of them: signed, in an array that may be longer than they are."""
    if not isinstance(buffer, dict):
        return None
    members = cast("dict[str, Any]", buffer)
    array, offset, limit = members.get("hb"), members.get("offset", 0), members.get("limit")
    if not isinstance(array, list) or not _is_count(offset) or not _is_count(limit):
        return None
    signed = cast("list[object]", array)[offset : offset + limit]
    read = [item % _BYTE for item in signed if type(item) is int and -_BYTE // 2 <= item < _BYTE]
    return bytes(read) if len(read) == limit else None


def _is_count(number: object) -> bool:
    return type(number) is int and number >= 0


def _decode(binary: Any) -> bytes | None:
    # binascii alone would pass over what is no base64.
    return binascii.a2b_base64(binary) if isinstance(binary, str) and re.fullmatch(_BASE64, binary) else None


_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_BYTE = 256
