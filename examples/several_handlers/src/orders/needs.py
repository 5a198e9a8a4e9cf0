"""What the handlers of this package need: each name is written once, with its type."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from lambdasecrets import Parameter, Secret


class Account(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


Database = Annotated[Account, Secret("{STAGE}/orders/database")]
StripeKey = Annotated[SecretStr, Secret("{STAGE}/orders/stripe", key="api_key")]
PageSize = Annotated[int, Field(gt=0, le=500), Parameter("/orders/page-size")]
