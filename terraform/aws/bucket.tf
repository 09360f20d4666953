resource "aws_s3_bucket" "this" {
  bucket        = var.bucket_name
  bucket_prefix = var.bucket_name == null ? "${var.name}-" : null
  force_destroy = var.force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    # One call to KMS for many objects, in place of one for each.
    bucket_key_enabled = var.encryption.type == "kms"

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption.type == "kms" ? "aws:kms" : "AES256"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.bucket

  versioning_configuration {
    status = var.versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_logging" "this" {
  count = var.access_logs == null ? 0 : 1

  bucket        = aws_s3_bucket.this.bucket
  target_bucket = var.access_logs.bucket
  target_prefix = var.access_logs.prefix
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    id     = "abort-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_uploads_days
    }
  }

  # `crateport check` deletes what it writes, unless it is killed.
  rule {
    id     = "expire-checks"
    status = "Enabled"

    filter {
      prefix = "${local.key_begin}v1/check/"
    }

    expiration {
      days = 1
    }
  }

  dynamic "rule" {
    for_each = var.expire_days

    content {
      id     = "expire-${trim(replace(rule.key, "/", "-"), "-")}"
      status = "Enabled"

      filter {
        prefix = "${local.key_begin}${rule.key}"
      }

      expiration {
        days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.intelligent_tiering_days == null ? [] : [var.intelligent_tiering_days]

    content {
      id     = "tier"
      status = "Enabled"

      # Objects below 128 KiB stay: S3 moves none of them unless told to.
      filter {
        prefix = local.key_begin
      }

      transition {
        days          = rule.value
        storage_class = "INTELLIGENT_TIERING"
      }
    }
  }

  dynamic "rule" {
    for_each = var.versioning ? [var.noncurrent_days] : []

    content {
      id     = "expire-noncurrent"
      status = "Enabled"

      filter {
        prefix = local.key_begin
      }

      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  # S3 refuses rules for versions of a bucket that has none yet.
  depends_on = [aws_s3_bucket_versioning.this]
}

locals {
  bucket_statements = concat(
    [
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "DenyOldTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = var.tls_version_min } }
      },
    ],
    # Objects only: whoever manages the bucket must not lock himself out.
    length(var.vpc_endpoint_ids) == 0 ? [] : [
      {
        Sid       = "DenyOutsideTheVpc"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource  = ["${local.bucket_arn}/*"]
        Condition = { StringNotEquals = { "aws:SourceVpce" = var.vpc_endpoint_ids } }
      },
    ],
  )
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.bucket
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_statements })

  # S3 answers 409 to two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_ownership_controls.this]
}

resource "aws_vpc_endpoint" "s3" {
  count = var.gateway_endpoint == null ? 0 : 1

  vpc_id            = var.gateway_endpoint.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.gateway_endpoint.route_table_ids
  policy            = var.gateway_endpoint.policy
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}
