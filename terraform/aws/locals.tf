data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  region    = data.aws_region.current.id
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  tags      = merge({ "app.kubernetes.io/name" = "crateport" }, var.tags)

  bucket     = aws_s3_bucket.this.bucket
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
  # With the slash, or empty.
  key_begin   = var.prefix == "" ? "" : "${var.prefix}/"
  objects_arn = "${local.bucket_arn}/${local.key_begin}*"
  store_url   = "s3://${join("/", compact([local.bucket, var.prefix]))}"

  makes_key   = var.encryption.type == "kms" && var.encryption.kms_key_arn == null
  kms_key_arn = local.makes_key ? one(aws_kms_key.this[*].arn) : var.encryption.kms_key_arn
}
