"""A FastAPI application behind Mangum, whose routes read their secrets by themselves."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from mangum import Mangum
from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret, aresolve, invocation, resolve

app = FastAPI()
adapter = Mangum(app, lifespan="off")


class Database(BaseModel, frozen=True):
    host: str
    username: str
    password: SecretStr


class Orders(BaseModel, frozen=True):  # config models, so that `policy` and `check` see what the routes resolve
    database: Annotated[Database, Secret("orders/database")]


class Shipping(BaseModel, frozen=True):
    regions: Annotated[list[str], Parameter("/orders/regions")]


async def get_database() -> Database:
    return (await aresolve(Orders, max_age=30)).database


@app.get("/orders/{order_id}")
async def read_order(order_id: int, database: Annotated[Database, Depends(get_database)]) -> dict[str, Any]:
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def list_regions() -> list[str]:  # a plain function, which FastAPI runs in a thread
    return resolve(Shipping, max_age=30).regions


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context):
        return adapter(event, context)
