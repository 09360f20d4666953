locals {
  accounts = distinct(concat(var.irsa[*].service_account, var.pod_identity[*].service_account))

  # What is null is left to the chart.
  helm_service_account = {
    create = true
    # Both kinds of trust name the service account.
    name = length(local.accounts) == 1 ? local.accounts[0] : null
    # Of both in one pod, IRSA would win; the chart refuses that.
    roleArn     = length(var.irsa) > 0 && length(var.pod_identity) == 0 ? one(aws_iam_role.this[*].arn) : null
    podIdentity = length(var.pod_identity) > 0 ? true : null
  }

  helm_redis = {
    url               = local.redis_url
    username          = local.has_user ? local.redis_username : null
    prefix            = local.has_redis ? var.redis.key_prefix : null
    existingSecret    = var.helm_redis_secret_name
    existingSecretKey = "password"
  }

  helm_top = {
    mode = "fleet"
    # Without Redis between them, each replica would fetch for itself.
    replicaCount = local.has_redis ? null : 1
    s3 = {
      bucket = local.bucket
      prefix = var.prefix
      region = local.region
      # The bucket's own setting decides, also with a key of KMS.
      encryption = "bucket"
    }
    redis          = local.has_redis ? { for key, value in local.helm_redis : key => value if value != null } : null
    serviceAccount = { for key, value in local.helm_service_account : key => value if value != null }
  }

  helm_values = yamlencode({ for key, value in local.helm_top : key => value if value != null })
}
