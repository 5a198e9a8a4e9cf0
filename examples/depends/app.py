"""Routes of an API that depend on secrets: only what a route names is asked for."""

from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.depends import Depends
from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, invocation
from lambdasecrets.powertools import dependency

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

app = APIGatewayRestResolver()


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


get_database = dependency(Secret("orders/database"), Database)
get_regions = dependency(Parameter("/orders/regions"), list[str])


@app.get("/orders/<order_id>")
def order(order_id: str, database: Annotated[Database, Depends(get_database)]) -> dict[str, Any]:
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def regions(found: Annotated[list[str], Depends(get_regions)]) -> dict[str, Any]:
    return {"regions": found}


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    with invocation(context):
        return app.resolve(event, context)
