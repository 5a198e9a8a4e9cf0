"""`Secret` and `Parameter` are made with a name, and the rest by keyword."""

from typing_extensions import assert_type

from lambdasecrets import Parameter, Secret


def accepted() -> None:
    assert_type(Secret("a", key="b", version_stage="AWSPREVIOUS"), Secret)
    assert_type(Secret("a", version_id="11111111-2222-3333-4444-555555555555"), Secret)
    assert_type(Parameter("/a", key="b", version=3), Parameter)
    assert_type(Parameter("/a", label="live", decrypt=False), Parameter)
    assert_type(Secret("a").name, str)


def rejected() -> None:
    Secret()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Secret("a", version=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Parameter(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Parameter("/a", version="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Secret("a").name = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
