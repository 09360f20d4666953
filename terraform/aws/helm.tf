locals {
  # A pod takes the role one way: where both are given, by Pod Identity, for of both in one pod IRSA would win, which the
  # chart refuses.
  helm_by_pod_identity = length(var.pod_identity) > 0
  helm_accounts        = distinct(local.helm_by_pod_identity ? var.pod_identity[*].service_account : var.irsa[*].service_account)
  # Both kinds of trust name the service account. Which of several it is, only the release knows.
  helm_account = length(local.helm_accounts) == 1 ? local.helm_accounts[0] : null

  # What is null is left to the chart.
  helm_service_account = {
    create      = true
    name        = local.helm_account
    roleArn     = length(var.irsa) > 0 && !local.helm_by_pod_identity ? one(aws_iam_role.this[*].arn) : null
    podIdentity = local.helm_by_pod_identity && local.helm_account != null ? true : null
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
