"""Powertools' parameters, from its memory for the hour."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities import parameters
from pydantic import BaseModel, SecretStr

HOUR_SECONDS = 3600


class Database(BaseModel):
    host: str
    password: SecretStr


def handler(event: Any, context: Any) -> None:
    Database.model_validate_json(parameters.get_secret("s0", max_age=HOUR_SECONDS))
