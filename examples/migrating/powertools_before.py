"""By Powertools' parameters: boto3 in the function, and a cache in its memory."""

import os
from typing import Any

from aws_lambda_powertools.utilities import parameters


def handler(event: dict[str, Any], context: object) -> str:
    database = parameters.get_secret(f"{os.environ['STAGE']}/orders/database", transform="json", max_age=300)
    return f"{database['username']}@{database['host']}"
