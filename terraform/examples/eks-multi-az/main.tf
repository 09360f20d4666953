# A platform's own: Pod Identity, a key of its own for everything at rest, three nodes of Valkey in three zones with
# alarms, traffic to S3 that stays inside, access logs, and versions to undo a purge.

module "crateport" {
  source = "../../aws"

  name = var.name
  tags = var.tags

  prefix                   = "crateport"
  encryption               = { type = "kms" }
  tls_version_min          = "1.3"
  versioning               = true
  intelligent_tiering_days = 30
  access_logs              = { bucket = aws_s3_bucket.logs.bucket }

  gateway_endpoint = {
    vpc_id          = var.vpc_id
    route_table_ids = var.route_table_ids
  }

  pod_identity = [{
    cluster_name    = var.cluster_name
    namespace       = var.namespace
    service_account = "crateport"
  }]

  redis = {
    vpc_id                    = var.vpc_id
    subnet_ids                = var.subnet_ids
    client_security_group_ids = [var.node_security_group_id]
    node_type                 = "cache.m7g.large"
    nodes                     = 3
  }

  alarm_topic_arns = var.alarm_topic_arns

  depends_on = [aws_s3_bucket_policy.logs]
}

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "logs" {
  bucket_prefix = "${var.name}-logs-"
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.bucket

  rule {
    # S3 writes access logs to no bucket with a key of KMS by default.
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.bucket

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logging.s3.amazonaws.com" }
        Action    = ["s3:PutObject"]
        Resource  = ["${aws_s3_bucket.logs.arn}/crateport/*"]
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.logs.arn, "${aws_s3_bucket.logs.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.logs]
}
