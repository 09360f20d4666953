# What the store does, and with which right:
#
#   head, get            HeadObject, GetObject                           s3:GetObject
#   put                  PutObject; above 16 MiB CreateMultipartUpload,
#                        UploadPart, CompleteMultipartUpload             s3:PutObject
#   a put that failed    AbortMultipartUpload                            s3:AbortMultipartUpload
#   stale uploads        ListMultipartUploads                            s3:ListBucketMultipartUploads
#   delete               DeleteObject                                    s3:DeleteObject
#   list                 ListObjectsV2                                   s3:ListBucket
#   what is not there    404 in place of 403                             s3:ListBucket
locals {
  list_condition = var.prefix == "" ? {} : {
    # S3 also asks for s3:ListBucket before it admits that an object is not there, and such a request has no prefix
    # to compare: without IfExists it would be answered with 403, and nothing would ever be filled.
    Condition = { StringLikeIfExists = { "s3:prefix" = ["${var.prefix}/*"] } }
  }

  kms_statement = {
    Sid       = "Key"
    Effect    = "Allow"
    Resource  = [coalesce(local.kms_key_arn, "none")]
    Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
  }

  list_statement = merge({
    Sid      = "List"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = [local.bucket_arn]
  }, local.list_condition)

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      local.list_statement,
      {
        Sid      = "Uploads"
        Effect   = "Allow"
        Action   = ["s3:ListBucketMultipartUploads"]
        Resource = [local.bucket_arn]
      },
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        Resource = [local.objects_arn]
      },
      ],
      var.encryption.type == "kms" ? [merge(local.kms_statement, { Action = ["kms:Decrypt", "kms:GenerateDataKey"] })] : [],
    )
  })

  # For those who read the bucket with every replica down: it is a registry by itself.
  reader_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      local.list_statement,
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [local.objects_arn]
      },
      ],
      var.encryption.type == "kms" ? [merge(local.kms_statement, { Action = ["kms:Decrypt"] })] : [],
    )
  })

  has_role = var.ec2 || length(var.irsa) + length(var.pod_identity) > 0

  trust_statements = concat(
    [for account in var.irsa : {
      Effect    = "Allow"
      Principal = { Federated = account.oidc_provider_arn }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = {
        StringEquals = {
          "${split("oidc-provider/", account.oidc_provider_arn)[1]}:sub" = "system:serviceaccount:${account.namespace}:${account.service_account}"
          "${split("oidc-provider/", account.oidc_provider_arn)[1]}:aud" = "sts.amazonaws.com"
        }
      }
    }],
    [for account in var.pod_identity : {
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = local.account
          "aws:RequestTag/eks-cluster-name"           = account.cluster_name
          "aws:RequestTag/kubernetes-namespace"       = account.namespace
          "aws:RequestTag/kubernetes-service-account" = account.service_account
        }
      }
    }],
    var.ec2 ? [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }] : [],
  )
}

resource "aws_iam_policy" "this" {
  name_prefix = "${var.name}-"
  description = "What Crateport does with ${local.store_url}"
  policy      = local.policy
  tags        = local.tags
}

resource "aws_iam_role" "this" {
  count = local.has_role ? 1 : 0

  name_prefix          = "${var.name}-"
  description          = "Crateport, with its objects in ${local.store_url}"
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.trust_statements })
  permissions_boundary = var.permissions_boundary_arn
  tags                 = local.tags
}

resource "aws_iam_role_policy_attachment" "this" {
  count = local.has_role ? 1 : 0

  role       = one(aws_iam_role.this[*].name)
  policy_arn = aws_iam_policy.this.arn
}

resource "aws_iam_instance_profile" "this" {
  count = var.ec2 ? 1 : 0

  name_prefix = "${var.name}-"
  role        = one(aws_iam_role.this[*].name)
  tags        = local.tags
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = {
    for account in var.pod_identity : "${account.cluster_name}/${account.namespace}/${account.service_account}" => account
    if account.create_association
  }

  cluster_name    = each.value.cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = one(aws_iam_role.this[*].arn)
  tags            = local.tags
}
