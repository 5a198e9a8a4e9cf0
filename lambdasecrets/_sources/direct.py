"""Direct calls to AWS, past the extension's cache. boto3 enters here, when it is first needed."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from lambdasecrets._declarations import Parameter, Secret
from lambdasecrets._sources.request import RawValue
from lambdasecrets.errors import AnswerError, DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lambdasecrets._clock import Deadline
    from lambdasecrets._sources.request import Fetched, Request

_LONGEST_CALL_SECONDS = 5.0


def is_installed() -> bool:
    """Tell whether boto3 is there, as it is in Lambda's own Python runtimes."""
    return find_spec("boto3") is not None


def fetch(requests: Sequence[Request], deadline: Deadline) -> dict[str, Fetched]:
    """Ask AWS itself.

    Args:
        requests: what to ask for.
        deadline: when to be done.

    Returns:
        For each path its value or its error.
    """
    answered: SimpleQueue[tuple[str, Fetched]] = SimpleQueue()
    # A thread, because nothing else bounds it: on a small function loading boto3 alone can take seconds.
    Thread(target=_ask, args=(requests, answered), name="lambdasecrets-direct", daemon=True).start()
    got: dict[str, Fetched] = {}
    while len(got) < len(requests) and deadline.left():
        with suppress(Empty):
            path, answer = answered.get(timeout=deadline.left())
            got[path] = answer
    late = [request for request in requests if request.path not in got]
    return got | {item.path: DeadlineExceededError(item.subject, deadline.seconds, deadline.bound) for item in late}


def _ask(requests: Sequence[Request], answered: SimpleQueue[tuple[str, Fetched]]) -> None:
    for request in requests:
        answered.put((request.path, _fetched(request)))


def _fetched(request: Request) -> Fetched:
    from botocore.exceptions import ClientError

    try:
        return _value(request.declaration)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    except Exception as error:  # noqa: BLE001 - a thread that dies of its error leaves the caller waiting
        code, status = type(error).__name__, 0
    return AnswerError(request.subject, code, status, request.declaration.permissions())


def _value(declaration: Secret | Parameter) -> RawValue:
    return _secret(declaration) if isinstance(declaration, Secret) else _parameter(declaration)


@lru_cache(maxsize=2)
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    seconds = _LONGEST_CALL_SECONDS
    limits = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
    # A session of its own: boto3's default one is not safe in threads. Untyped: `client` has hundreds of overloads.
    return cast("Any", boto3).Session().client(service, config=limits)


def _secret(secret: Secret) -> RawValue:
    wanted = {"SecretId": secret.name, "VersionId": secret.version_id, "VersionStage": secret.version_stage}
    given = {name: value for name, value in wanted.items() if value is not None}
    answer = _client("secretsmanager").get_secret_value(**given)
    return RawValue(answer.get("SecretString"), answer.get("SecretBinary"), answer["VersionId"])


def _parameter(parameter: Parameter) -> RawValue:
    selector = parameter.label or parameter.version
    name = f"{parameter.name}:{selector}" if selector else parameter.name
    answer = _client("ssm").get_parameter(Name=name, WithDecryption=parameter.decrypt)["Parameter"]
    return RawValue(answer.get("Value"), None, str(answer["Version"]), is_list=answer["Type"] == "StringList")
