"""`Secret` and `Parameter` are made with a name, and the rest by keyword."""

from typing_extensions import assert_type

from lambdasecrets import Parameter, Permission, Secret


def accepted() -> None:
    assert_type(Secret("a", key="b", version_stage="AWSPREVIOUS"), Secret)
    assert_type(Secret("a", version_id="11111111-2222-3333-4444-555555555555"), Secret)
    assert_type(Parameter("/a", key="b", version=3), Parameter)
    assert_type(Parameter("/a", label="live", decrypt=False), Parameter)
    assert_type(Secret("a", role_arn="arn:aws:iam::123456789012:role/reader", literal=True), Secret)
    assert_type(Secret("a").name, str)
    assert_type(Secret("a").role_arn, str | None)
    assert_type(Secret("a").permissions(), tuple[Permission, ...])
    assert_type(Parameter("/a").permissions(server="agent", prefetch=True, region="us-east-1"), tuple[Permission, ...])
    Secret("{A}").permissions(account="1", partition="aws", kms_key="k", placeholders={"A": "a"})


def rejected() -> None:
    Secret()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a", version=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Parameter(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Parameter("/a", version="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Parameter("/a", role_arn="r")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a", literal="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Secret("a").permissions(server="layer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Secret("a").permissions("agent")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a").name = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
