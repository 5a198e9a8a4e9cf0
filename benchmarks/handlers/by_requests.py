"""The code that most write by hand."""

from __future__ import annotations

import json
import os
from typing import Any

import requests

PORT = os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"]


def handler(event: Any, context: Any) -> None:
    headers = {"X-Aws-Parameters-Secrets-Token": os.environ["AWS_SESSION_TOKEN"]}
    url = f"http://127.0.0.1:{PORT}/secretsmanager/get?secretId=s0"
    answer = requests.get(url, headers=headers, timeout=5)
    json.loads(answer.json()["SecretString"])
