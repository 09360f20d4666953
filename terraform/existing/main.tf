locals {
  key_begin = var.prefix == "" ? "" : "${var.prefix}/"
  store_url = "s3://${join("/", compact([var.bucket, var.prefix]))}"
  has_redis = var.redis_url != null

  is_cluster  = strcontains(coalesce(var.redis_url, "-"), "+cluster://")
  is_sentinel = strcontains(coalesce(var.redis_url, "-"), "+sentinel://")

  # MinIO, Ceph and most others read policies as AWS does; see the module terraform/aws for which call needs which.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::${var.bucket}"] },
        { for key, value in { Condition = { StringLikeIfExists = { "s3:prefix" = ["${var.prefix}/*"] } } } : key => value if var.prefix != "" },
      ),
      { Sid = "Uploads", Effect = "Allow", Action = ["s3:ListBucketMultipartUploads"], Resource = ["arn:aws:s3:::${var.bucket}"] },
      {
        Sid      = "Objects", Effect = "Allow",
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        Resource = ["arn:aws:s3:::${var.bucket}/${local.key_begin}*"],
      },
    ]
  })

  redis_acl = join(" ", compact([
    "on",
    "~${var.redis_prefix}*",
    "resetchannels",
    "&${var.redis_prefix}*",
    "-@all",
    "+get +set +del +pttl +pexpire +time",
    "+eval +evalsha",
    "+publish +subscribe +unsubscribe",
    "+hello +ping +select",
    local.is_cluster ? "+cluster|slots +readonly +asking" : "",
    local.is_sentinel ? "+role" : "",
  ]))

  environment = {
    CRATEPORT_STORE              = local.store_url
    CRATEPORT_S3_REGION          = var.region
    CRATEPORT_S3_ENDPOINT        = var.endpoint
    CRATEPORT_S3_PUBLIC_ENDPOINT = var.public_endpoint
    CRATEPORT_S3_PATH_STYLE      = var.path_style == "auto" ? null : var.path_style
    CRATEPORT_S3_ENCRYPTION      = var.encryption == "bucket" ? null : var.encryption
    CRATEPORT_COORD              = var.redis_url
    CRATEPORT_REDIS_PREFIX       = local.has_redis ? var.redis_prefix : null
    CRATEPORT_REDIS_USERNAME     = var.redis_username
  }

  helm_s3 = {
    bucket         = var.bucket
    prefix         = var.prefix
    region         = var.region
    endpoint       = var.endpoint
    publicEndpoint = var.public_endpoint
    pathStyle      = var.path_style
    encryption     = var.encryption
    credentials    = var.helm_s3_secret_name == null ? null : { existingSecret = var.helm_s3_secret_name }
  }

  helm_redis = {
    url            = var.redis_url
    username       = var.redis_username
    prefix         = var.redis_prefix
    existingSecret = var.helm_redis_secret_name
  }

  helm_top = {
    mode         = "fleet"
    replicaCount = local.has_redis ? null : 1
    s3           = { for key, value in local.helm_s3 : key => value if value != null }
    redis        = local.has_redis ? { for key, value in local.helm_redis : key => value if value != null } : null
  }
}

check "replicas_reach_what_clients_reach" {
  assert {
    condition     = var.public_endpoint == null || var.public_endpoint != var.endpoint
    error_message = "public_endpoint is the same as endpoint: leave it out."
  }
}
