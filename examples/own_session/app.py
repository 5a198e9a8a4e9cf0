"""A `requests` Session of your own carries the requests: here with an adapter that notes them."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import SecretStr
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from lambdasecrets import Secret, inject_secrets, use_session

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

asked: list[str] = []


class NotingAdapter(HTTPAdapter):
    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        asked.append(request.path_url)
        return super().send(request, *args, **kwargs)


session = Session()
session.mount("http://127.0.0.1", NotingAdapter())
use_session(session)


@inject_secrets
def handler(
    event: dict[str, Any], context: "LambdaContext", *, api_key: Annotated[SecretStr, Secret("orders/stripe")]
) -> dict[str, Any]:
    return {"api_key_configured": bool(api_key), "asked": asked}
