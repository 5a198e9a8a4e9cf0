# Arguments that stand for the function's environment variables: stage (STAGE).
from aws_cdk import Aws, aws_iam as iam


def make_statements(*, stage: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ReadSecrets",
            actions=[
                "secretsmanager:GetSecretValue",
            ],
            resources=[
                f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:{stage}/orders-api/database-??????",
                f"arn:{Aws.PARTITION}:secretsmanager:{Aws.REGION}:{Aws.ACCOUNT_ID}:secret:{stage}/orders-api/key-??????",
            ],
        ),
        iam.PolicyStatement(
            sid="ReadParameters",
            actions=[
                "ssm:GetParameter",
            ],
            resources=[
                f"arn:{Aws.PARTITION}:ssm:{Aws.REGION}:{Aws.ACCOUNT_ID}:parameter/orders-api/regions",
            ],
        ),
    ]
