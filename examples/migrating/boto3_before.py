"""By boto3: a call to AWS at every invocation."""

import json
import os
from typing import Any

import boto3

client = boto3.client("secretsmanager")


def handler(event: dict[str, Any], context: object) -> str:
    answer = client.get_secret_value(SecretId=f"{os.environ['STAGE']}/orders/database")
    database = json.loads(answer["SecretString"])
    return f"{database['username']}@{database['host']}"
