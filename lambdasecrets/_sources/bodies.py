"""From the body of a 200 to a raw value: the two services, and the two servers' spellings of each."""

from __future__ import annotations

import binascii
import re
from typing import Any, cast

from lambdasecrets._sources.request import RawValue


def read_secret(content: dict[str, Any]) -> RawValue | None:
    version, text, binary = content.get("VersionId"), content.get("SecretString"), content.get("SecretBinary")
    from_agent = "ResultMetadata" not in content
    if not isinstance(version, str):
        return None
    if isinstance(text, str) and binary is None:
        return RawValue(text, None, version, from_agent=from_agent)
    decoded = _decode(binary) if text is None else None
    return None if decoded is None else RawValue(None, decoded, version, from_agent=from_agent)


def read_parameter(content: dict[str, Any]) -> RawValue | None:
    if not isinstance(content.get("Parameter"), dict):
        return None
    parameter = cast("dict[str, Any]", content["Parameter"])
    version, text = parameter.get("Version"), parameter.get("Value")
    if not isinstance(version, int) or not isinstance(text, (str, type(None))) or "Value" not in parameter:
        return None
    return RawValue(text, None, str(version), is_list=parameter.get("Type") == "StringList")


def _decode(binary: Any) -> bytes | None:
    # binascii alone would pass over what is no base64.
    return binascii.a2b_base64(binary) if isinstance(binary, str) and re.fullmatch(_BASE64, binary) else None


_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
