"""What the other files declare and pass."""

from typing import Annotated

from pydantic import BaseModel, SecretStr

from lambdasecrets import Parameter, Secret


class Database(BaseModel, frozen=True):
    host: str
    password: SecretStr


class AppConfig(BaseModel):
    database: Annotated[Database, Secret("orders/database")]
    page_size: Annotated[int, Parameter("/orders/page-size")] = 50


class Order(BaseModel):
    order_id: int


class Answer(BaseModel):
    total: float


OrdersDatabase = Annotated[Database, Secret("orders/database")]
PageSize = Annotated[int, Parameter("/orders/page-size")]
