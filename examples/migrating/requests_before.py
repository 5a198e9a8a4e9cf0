"""By hand: a request to the extension, as in many a post."""

import json
import os
from typing import Any
from urllib.parse import quote

import requests

PORT = os.environ.get("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "2773")


def get_secret(name: str) -> dict[str, Any]:
    answer = requests.get(
        f"http://localhost:{PORT}/secretsmanager/get?secretId={quote(name, safe='')}",
        headers={"X-Aws-Parameters-Secrets-Token": os.environ["AWS_SESSION_TOKEN"]},
        timeout=5,
    )
    answer.raise_for_status()
    secret: dict[str, Any] = json.loads(answer.json()["SecretString"])
    return secret


def handler(event: dict[str, Any], context: object) -> str:
    database = get_secret(f"{os.environ['STAGE']}/orders/database")
    return f"{database['username']}@{database['host']}"
