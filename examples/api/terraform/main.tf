terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }

    random = {
      source  = "hashicorp/random"
      version = ">= 3.5"
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

resource "aws_lambda_function" "api" {
  function_name    = "orders-api"
  role             = aws_iam_role.api.arn
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

resource "aws_iam_role" "api" {
  name_prefix = "orders-api-"

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
  role       = aws_iam_role.api.name
  policy_arn = "arn:${data.aws_partition.lambdasecrets.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

# The data sources are in policy.tf, as `lambdasecrets policy src/app.py --format terraform` writes it.
resource "aws_iam_role_policy" "secrets" {
  role   = aws_iam_role.api.id
  policy = data.aws_iam_policy_document.lambdasecrets.json
}

# Terraform makes the passwords up. They are in its state: keep that encrypted, or put the values in by other means.
resource "random_password" "database" {
  length = 32
}

resource "random_password" "key" {
  length  = 32
  special = false # it is sent in a header
}

resource "aws_secretsmanager_secret" "database" {
  name = "${var.stage}/orders-api/database"
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id     = aws_secretsmanager_secret.database.id
  secret_string = jsonencode({ host = "db.internal", username = "orders", password = random_password.database.result })
}

resource "aws_secretsmanager_secret" "key" {
  name = "${var.stage}/orders-api/key"
}

resource "aws_secretsmanager_secret_version" "key" {
  secret_id     = aws_secretsmanager_secret.key.id
  secret_string = random_password.key.result
}

resource "aws_ssm_parameter" "regions" {
  name  = "/orders-api/regions"
  type  = "StringList"
  value = "eu-central-1,eu-west-1"
}

resource "aws_apigatewayv2_api" "api" {
  name          = "orders-api"
  protocol_type = "HTTP"
  target        = aws_lambda_function.api.arn
}

resource "aws_lambda_permission" "api" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.api.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api.execution_arn}/*"
}

output "url" {
  value = aws_apigatewayv2_api.api.api_endpoint
}
