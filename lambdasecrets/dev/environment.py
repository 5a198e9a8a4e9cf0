"""The environment of a handler where there is no Lambda: nothing in it leads to an account."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

__all__ = ["HIDDEN_FILES", "PROFILE_VARIABLES", "change_environment", "find_credential_variables"]

PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
"""Who gives one of these wants the credentials of a profile in files of their own."""

HIDDEN_FILES: Mapping[str, str] = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""Variables by which a handler that names a profile finds none."""

# AWS's tools and SDKs get new ways to credentials every year, so what may stay is listed, and not what has to go.
_HARMLESS = frozenset(
    {
        "AWS_CA_BUNDLE",
        "AWS_DATA_PATH",
        "AWS_DEFAULTS_MODE",
        "AWS_DEFAULT_REGION",
        "AWS_DISABLE_REQUEST_COMPRESSION",
        "AWS_EXECUTION_ENV",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_MAX_ATTEMPTS",
        "AWS_MAX_POOL_CONNECTIONS",
        "AWS_REGION",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_RETRY_MODE",
        "AWS_SDK_UA_APP_ID",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
    }
)
_HARMLESS_PREFIXES = ("AWS_ENDPOINT_URL", "AWS_LAMBDA_", "AWS_XRAY_")
_OTHERS = frozenset({"BOTO_CONFIG"})


def find_credential_variables(names: Iterable[str]) -> list[str]:
    """Return the variables of these that can hold credentials for AWS, lead to some, or choose between them."""
    return [name for name in names if name in _OTHERS or (name.startswith("AWS_") and not _is_harmless(name))]


def _is_harmless(name: str) -> bool:
    return name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES)


@contextmanager
def change_environment(variables: Mapping[str, str], *, without: Iterable[str] = ()) -> Generator[None]:
    """Set variables and take others away, for a while; what else changes meanwhile stays.

    Args:
        variables: to be set.
        without: to be taken away, unless they are set.

    Raises:
        ValueError: a name or a text that no environment takes; it says which name.
    """
    names = {*without, *variables}
    before = {name: os.environ.get(name) for name in names}
    try:
        for name in names:
            os.environ.pop(name, None)
        for name, value in variables.items():
            _set_variable(name, value)
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _set_variable(name: str, value: str) -> None:
    try:
        os.environ[name] = value
    except (OSError, ValueError):
        why = "no system takes this name or value"
    else:
        return
    # Raised out here: the error above can hold the value.
    raise ValueError(f"cannot set the environment variable {name!r}: {why}.")
