"""AWS's caching client, from its memory for the hour."""

from __future__ import annotations

from typing import Any

import boto3
from aws_secretsmanager_caching import SecretCache
from pydantic import BaseModel, SecretStr


class Database(BaseModel):
    host: str
    password: SecretStr


cache = SecretCache(client=boto3.client("secretsmanager"))


def handler(event: Any, context: Any) -> None:
    Database.model_validate_json(cache.get_secret_string("s0"))
