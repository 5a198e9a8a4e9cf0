"""A handler for managed instances, where several invocations of one environment run at once."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

from lambdasecrets import Secret, inject_secrets

_LONGEST_WAIT_SECONDS = 20.0
_POLL_SECONDS = 0.01


@inject_secrets
def handler(event: dict[str, Any], context: Any, *, key: Annotated[str, Secret("shared")]) -> dict[str, Any]:
    """Wait until all invocations that the event tells of are here, then answer."""
    folder = Path(event["folder"])
    (folder / context.aws_request_id).touch()
    end = time.monotonic() + _LONGEST_WAIT_SECONDS
    while len(list(folder.iterdir())) < event["invocations"] and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return {"key": key, "process": os.getpid(), "together": len(list(folder.iterdir()))}
