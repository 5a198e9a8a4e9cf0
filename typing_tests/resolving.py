"""`resolve` gives the type that it is given."""

from pydantic import SecretStr
from typing_extensions import assert_type

from lambdasecrets import Parameter, Secret, resolve
from typing_tests.models import AppConfig, Database


def accepted() -> None:
    assert_type(resolve(AppConfig), AppConfig)
    assert_type(resolve(Secret("orders/database"), Database), Database)
    assert_type(resolve(Secret("orders/stripe", key="api_key"), SecretStr), SecretStr)
    assert_type(resolve(Parameter("/orders/page-size"), int), int)
    assert_type(resolve(Parameter("/orders/regions"), list[str]), list[str])
    assert_type(resolve(AppConfig, max_age=30, stale_if_error=300, timeout=2.5), AppConfig)


def rejected() -> None:
    resolve()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    resolve("orders/database", Database)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    resolve(AppConfig, retry_on=(OSError,))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    wrong: Database = resolve(AppConfig)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(wrong)  # noqa: T201 - used, so that only its type is wrong
