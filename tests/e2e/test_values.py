from __future__ import annotations

from tests.dev.aws_double import AwsDouble
from tests.e2e.conftest import Run
from tests.e2e.handlers.values import FIRST_VERSION


def test_every_kind_of_value(run: Run, aws: AwsDouble) -> None:
    """Versions, stages, labels, binary, lists and encrypted values arrive as they are declared."""
    secrets, parameters = aws.client("secretsmanager"), aws.client("ssm")
    arn = secrets.create_secret(Name="values/versions", SecretString="first", ClientRequestToken=FIRST_VERSION)["ARN"]
    secrets.put_secret_value(SecretId="values/versions", SecretString="second")
    secrets.create_secret(Name="values/json", SecretString='{"number": 7}')
    secrets.create_secret(Name="values/binary", SecretBinary=b"\x00\xff")
    parameters.put_parameter(Name="/values/regions", Value="eu-west-1,us-east-1", Type="StringList")
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    parameters.put_parameter(Name="/values/secure", Value="decrypted", Type="SecureString", KeyId=key)
    for number in range(1, 4):
        parameters.put_parameter(Name="/values/labelled", Value=f"number {number}", Type="String", Overwrite=True)
    parameters.label_parameter_version(Name="/values/labelled", ParameterVersion=1, Labels=["stable"])

    with run("values.handler", SECRET_ARN=arn) as function:
        answers = [function.invoke() for _ in range(2)]

    assert (
        answers
        == [
            {
                "current": "second",
                "previous": "first",
                "first": "first",
                "member": 7,
                "binary": "00ff",
                "regions": ["eu-west-1", "us-east-1"],
                "secure": "decrypted",
                "ciphertext is the text": False,
                "labelled": "number 1",
                "numbered": "number 2",
                "latest": "number 3",
                "reference": "second",
                "by_arn": "second",
            }
        ]
        * 2
    )
