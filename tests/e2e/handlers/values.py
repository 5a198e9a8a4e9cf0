"""Every kind of value and every way to choose a version."""

from typing import Annotated, Any

from lambdasecrets import Parameter, Secret, inject_secrets

FIRST_VERSION = "00000000-0000-4000-8000-000000000001"


@inject_secrets
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    current: Annotated[str, Secret("values/versions")],
    previous: Annotated[str, Secret("values/versions", version_stage="AWSPREVIOUS")],
    first: Annotated[str, Secret("values/versions", version_id=FIRST_VERSION)],
    member: Annotated[int, Secret("values/json", key="number")],
    binary: Annotated[bytes, Secret("values/binary")],
    regions: Annotated[list[str], Parameter("/values/regions")],
    secure: Annotated[str, Parameter("/values/secure")],
    ciphertext: Annotated[str, Parameter("/values/secure", decrypt=False)],
    labelled: Annotated[str, Parameter("/values/labelled", label="stable")],
    numbered: Annotated[str, Parameter("/values/labelled", version=2)],
    latest: Annotated[str, Parameter("/values/labelled")],
    reference: Annotated[str, Parameter("/aws/reference/secretsmanager/values/versions")],
    by_arn: Annotated[str, Secret("{SECRET_ARN}")],
) -> dict[str, Any]:
    """Show what arrived."""
    return {
        "current": current,
        "previous": previous,
        "first": first,
        "member": member,
        "binary": binary.hex(),
        "regions": regions,
        "secure": secure,
        "ciphertext is the text": ciphertext == secure,
        "labelled": labelled,
        "numbered": numbered,
        "latest": latest,
        "reference": reference,
        "by_arn": by_arn,
    }
