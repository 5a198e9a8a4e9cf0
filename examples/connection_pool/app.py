"""Something costly, made once for each version of a secret: a session here, a pool of connections elsewhere."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, SecretStr
from requests import Session

from lambdasecrets import Secret, inject_secrets

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


class Account(BaseModel, frozen=True):  # frozen: it can be a key, and two of the same values are the same key
    username: str
    password: SecretStr


@lru_cache(maxsize=1)
def session(account: Account) -> Session:
    made = Session()
    made.auth = (account.username, account.password.get_secret_value())
    return made


@inject_secrets
def handler(
    event: dict[str, Any], context: "LambdaContext", *, account: Annotated[Account, Secret("orders/warehouse")]
) -> dict[str, Any]:
    warehouse = session(account)  # the same one until the secret rotates
    return {"logged_in": warehouse.auth is not None, "sessions_made": session.cache_info().misses}
