"""By aws-secretsmanager-caching: boto3 in the function, and a cache that asks AWS again after an hour."""

import os
from typing import Any

from aws_secretsmanager_caching import InjectKeywordedSecretString, SecretCache

cache = SecretCache()


@InjectKeywordedSecretString(  # type: ignore[untyped-decorator]  # the package has no types
    secret_id=f"{os.environ['STAGE']}/orders/database", cache=cache, username="username", host="host"
)
def describe(username: str, host: str) -> str:
    return f"{username}@{host}"


def handler(event: dict[str, Any], context: object) -> str:
    text: str = describe()
    return text
