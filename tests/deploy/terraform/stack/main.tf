# The module with nearly everything on, in a network of its own, to be applied and destroyed against the emulator.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.93, < 7.0"
    }
  }
}

variable "aws_url" {
  description = "Where the emulator listens."
  type        = string
}

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true

  endpoints {
    cloudwatch     = var.aws_url
    ec2            = var.aws_url
    elasticache    = var.aws_url
    iam            = var.aws_url
    kms            = var.aws_url
    s3             = var.aws_url
    secretsmanager = var.aws_url
    sts            = var.aws_url
  }
}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "this" {
  count = 2

  vpc_id            = aws_vpc.this.id
  cidr_block        = "10.0.${count.index}.0/24"
  availability_zone = ["eu-west-1a", "eu-west-1b"][count.index]
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_security_group" "replicas" {
  name_prefix = "replicas-"
  description = "Replicas"
  vpc_id      = aws_vpc.this.id
}

resource "aws_s3_bucket" "logs" {
  bucket        = "crateport-logs"
  force_destroy = true
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logging.s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.logs.arn}/*"
    }]
  })
}

# Somebody else's objects.
resource "aws_s3_bucket" "other" {
  bucket = "somebody-else"
}

resource "aws_iam_openid_connect_provider" "this" {
  url             = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = ["0000000000000000000000000000000000000000"]
}

module "crateport" {
  source = "../../../../terraform/aws"

  bucket_name              = "crateport-applied"
  prefix                   = "team/cache"
  force_destroy            = true
  encryption               = { type = "kms" }
  versioning               = true
  intelligent_tiering_days = 30
  expire_days              = { "v1/crates-io/crates/" = 365 }
  access_logs              = { bucket = aws_s3_bucket.logs.bucket }
  gateway_endpoint         = { vpc_id = aws_vpc.this.id, route_table_ids = [aws_route_table.this.id] }
  ec2                      = true
  secret_recovery_days     = 0
  alarm_topic_arns         = ["arn:aws:sns:eu-west-1:123456789012:ops"]

  irsa = [{
    oidc_provider_arn = aws_iam_openid_connect_provider.this.arn
    namespace         = "default"
    service_account   = "crateport"
  }]

  redis = {
    vpc_id                    = aws_vpc.this.id
    subnet_ids                = aws_subnet.this[*].id
    client_security_group_ids = [aws_security_group.replicas.id]
  }

  depends_on = [aws_s3_bucket_policy.logs]
}

output "crateport" {
  value     = module.crateport
  sensitive = true
}
