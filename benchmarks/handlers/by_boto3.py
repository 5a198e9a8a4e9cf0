"""AWS's own client, without the extension."""

from __future__ import annotations

import json
from typing import Any

import boto3

client = boto3.client("secretsmanager")


def handler(event: Any, context: Any) -> None:
    json.loads(client.get_secret_value(SecretId="s0")["SecretString"])
