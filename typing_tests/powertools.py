"""What is for Powertools: a hook of its objects, callables of what they give, providers in the place of its own."""

from collections.abc import Callable, Coroutine
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.parameters import BaseProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from typing_extensions import assert_type

from lambdasecrets import Parameter, ResolveEvent, Secret, inject_secrets, resolve
from lambdasecrets.powertools import (
    ExtensionSecretsProvider,
    ExtensionSSMProvider,
    adependency,
    dependency,
    observe,
    parameters,
)
from typing_tests.models import AppConfig, Database


def observed() -> None:
    report = observe(logger=Logger(), metrics=Metrics(), tracer=Tracer())
    assert_type(report, Callable[[ResolveEvent], None])
    observe(metrics=EphemeralMetrics())
    inject_secrets(on_resolve=report)
    resolve(AppConfig, on_resolve=report)
    observe(Logger())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    observe(logger=Metrics())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def depended_on() -> None:
    assert_type(dependency(AppConfig), Callable[[], AppConfig])
    assert_type(dependency(Secret("orders/database"), Database, max_age=30), Callable[[], Database])
    assert_type(dependency(Parameter("/orders/regions"), list[str])(), list[str])
    assert_type(adependency(AppConfig, fallback="aws"), Callable[[], Coroutine[Any, Any, AppConfig]])
    assert_type(adependency(Secret("orders/database"), Database), Callable[[], Coroutine[Any, Any, Database]])
    dependency("orders/database", Database)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    dependency(AppConfig, refresh=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    adependency()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def provided() -> None:
    secrets: BaseProvider = ExtensionSecretsProvider(timeout=2.5, fallback="aws", on_resolve=print)
    ssm: BaseProvider = ExtensionSSMProvider(stale_if_error=300)
    print(secrets, ssm)  # noqa: T201 - used, so that only its type is of interest
    assert_type(ExtensionSecretsProvider().get("key"), str | bytes)
    assert_type(ExtensionSecretsProvider().get("key", transform="json"), Any)
    assert_type(ExtensionSecretsProvider().get_multiple(["key"]), dict[str, Any])
    assert_type(ExtensionSSMProvider().get("/size", decrypt=True), str)
    assert_type(ExtensionSSMProvider().get_parameters_by_name({"/size": {}, "/url": None}), dict[str, Any])
    ExtensionSecretsProvider(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ExtensionSSMProvider(boto3_client=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ExtensionSSMProvider().get("/a", transform="xml")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def with_the_import_changed() -> None:
    assert_type(parameters.get_secret("key", max_age=60), str)
    assert_type(parameters.get_secret("key", transform="json", force_fetch=True, VersionStage="AWSCURRENT"), Any)
    assert_type(parameters.get_secrets_by_name(["key", "other"]), dict[str, Any])
    assert_type(parameters.get_parameter("/size", decrypt=True), str)
    assert_type(parameters.get_parameters_by_name({"/size": {}}, raise_on_error=False), dict[str, Any])
    assert_type(parameters.SecretsProvider(), ExtensionSecretsProvider)
    assert_type(parameters.SSMProvider(), ExtensionSSMProvider)
    assert_type(parameters.exceptions.GetParameterError(), GetParameterError)
    parameters.clear_caches()
    parameters.get_parameters("/path")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
