terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "stage" {
  type    = string
  default = "prod"
}

# The zip that `package.py` has made.
variable "package" {
  type    = string
  default = "../build/function-arm64.zip"
}

data "aws_ssm_parameter" "extension" {
  name = "/aws/service/aws-parameters-and-secrets-lambda-extension/arm64/latest"
}

resource "aws_lambda_function" "orders" {
  function_name    = "orders"
  role             = aws_iam_role.orders.arn
  runtime          = "python3.13"
  architectures    = ["arm64"] # as the layer below
  handler          = "app.handler"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  memory_size      = 512
  timeout          = 10 # more than resolving may take (LAMBDASECRETS_TIMEOUT, 5 s)
  layers           = [nonsensitive(data.aws_ssm_parameter.extension.value)]

  environment {
    variables = { STAGE = var.stage }
  }
}

resource "aws_iam_role" "orders" {
  name_prefix = "orders-"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.orders.name
  policy_arn = "arn:${data.aws_partition.lambdasecrets.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

# The data sources are in policy.tf, as `lambdasecrets policy src/app.py:handler --format terraform` writes it.
resource "aws_iam_role_policy" "secrets" {
  role   = aws_iam_role.orders.id
  policy = data.aws_iam_policy_document.lambdasecrets.json
}
