"""The floor: a request that was built before, on a socket that stays open, and nothing checked."""

from __future__ import annotations

import os
import socket
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import from_json

_RECEIVED_BYTES = 65536


class Database(BaseModel):
    host: str
    password: SecretStr


connection = socket.create_connection(("127.0.0.1", int(os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"])))
request = (
    "GET /secretsmanager/get?secretId=s0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"X-Aws-Parameters-Secrets-Token: {os.environ['AWS_SESSION_TOKEN']}\r\n\r\n"
).encode()


def handler(event: Any, context: Any) -> None:
    connection.sendall(request)
    received = connection.recv(_RECEIVED_BYTES)
    while not received.endswith(b"}"):
        received += connection.recv(_RECEIVED_BYTES)
    answer = from_json(received.partition(b"\r\n\r\n")[2])
    Database.model_validate_json(answer["SecretString"])
