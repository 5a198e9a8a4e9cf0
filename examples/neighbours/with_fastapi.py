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


async def database() -> Database:
    return await aresolve(Secret("orders/database"), Database)


@app.get("/orders/{order_id}")
async def order(order_id: int, database: Annotated[Database, Depends(database)]) -> dict[str, Any]:
    return {"order_id": order_id, "read_from": database.host}


@app.get("/regions")
def regions() -> list[str]:  # a plain function, which FastAPI runs in a thread
    return resolve(Parameter("/orders/regions"), list[str])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    with invocation(context):
        return adapter(event, context)
