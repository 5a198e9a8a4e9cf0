"""What the handlers beside this file call: a payment service, which refuses a key that has been rotated."""

import os

import requests
from pydantic import SecretStr


class KeyRefusedError(Exception):
    """The service does not take the key, or takes it no longer."""


def charge(order_id: int, api_key: SecretStr) -> str:
    answer = requests.post(
        f"{os.environ['PAYMENTS_URL']}/charges",
        json={"order_id": order_id},
        headers={"Authorization": f"Bearer {api_key.get_secret_value()}"},
        timeout=2,
    )
    if answer.status_code == requests.codes.unauthorized:
        raise KeyRefusedError
    answer.raise_for_status()
    receipt: str = answer.json()["receipt"]
    return receipt
