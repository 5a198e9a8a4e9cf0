"""A job that a schedule starts: all that it needs is one config model, checked before it does anything."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, HttpUrl, SecretStr, model_validator

from lambdasecrets import Parameter, Secret, inject_secrets

if TYPE_CHECKING:
    from typing_extensions import Self


class Job(BaseModel, frozen=True):
    token: Annotated[SecretStr, Secret("{STAGE}/reports/token")]
    url: Annotated[HttpUrl, Parameter("/{STAGE}/reports/url")]
    first_day: Annotated[date, Parameter("/{STAGE}/reports/first-day")]
    days: Annotated[int, Field(gt=0, le=31), Parameter("/{STAGE}/reports/days")] = 7
    attempts: int = 3  # carries no declaration: it keeps its default

    @model_validator(mode="after")
    def begin_on_monday(self) -> Self:
        if self.first_day.weekday() != 0:
            raise ValueError("first-day is no Monday")
        return self


@inject_secrets
def handler(event: dict[str, Any], context: object, *, job: Job) -> dict[str, Any]:
    return {"sends_to": job.url.host, "from": job.first_day.isoformat(), "days": job.days, "attempts": job.attempts}
