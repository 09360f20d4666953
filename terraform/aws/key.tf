resource "aws_kms_key" "this" {
  count = local.makes_key ? 1 : 0

  description             = "What ${var.name} stores"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  # The account's own IAM policies decide; the role gets its right in identity.tf.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  count = local.makes_key ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = one(aws_kms_key.this[*].key_id)
}
