# Variables that stand for the function's environment variables: stage (STAGE).
data "aws_caller_identity" "lambdasecrets" {}
data "aws_partition" "lambdasecrets" {}
data "aws_region" "lambdasecrets" {}

data "aws_iam_policy_document" "lambdasecrets" {
  statement {
    sid = "ReadSecrets"
    actions = [
      "secretsmanager:GetSecretValue",
    ]
    resources = [
      "arn:${data.aws_partition.lambdasecrets.partition}:secretsmanager:${data.aws_region.lambdasecrets.name}:${data.aws_caller_identity.lambdasecrets.account_id}:secret:${var.stage}/orders-api/database-??????",
      "arn:${data.aws_partition.lambdasecrets.partition}:secretsmanager:${data.aws_region.lambdasecrets.name}:${data.aws_caller_identity.lambdasecrets.account_id}:secret:${var.stage}/orders-api/key-??????",
    ]
  }

  statement {
    sid = "ReadParameters"
    actions = [
      "ssm:GetParameter",
    ]
    resources = [
      "arn:${data.aws_partition.lambdasecrets.partition}:ssm:${data.aws_region.lambdasecrets.name}:${data.aws_caller_identity.lambdasecrets.account_id}:parameter/orders-api/regions",
    ]
  }
}
