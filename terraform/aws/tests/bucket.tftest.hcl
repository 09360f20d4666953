# The bucket and who may use it, planned without AWS. Policies are read back as JSON.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/crateport" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/crateport", name = "crateport" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/0", key_id = "0" }
  }
}

variables {
  bucket_name = "crates"
}

run "the_least_is_a_closed_bucket_and_a_policy" {
  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must not count"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "nothing may be public"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "objects are encrypted by S3"
  }
  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Deny DenyWithoutTls", "Deny DenyOldTls"]
    error_message = "the bucket's policy refuses what comes without TLS, and allows nothing"
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abort-uploads", "expire-checks"]
    error_message = "no crate is ever deleted unless asked for"
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "a bucket with objects stays"
  }
  assert {
    condition     = length(aws_iam_role.this) + length(aws_iam_instance_profile.this) + length(aws_elasticache_replication_group.this) + length(aws_kms_key.this) + length(aws_vpc_endpoint.s3) == 0
    error_message = "nothing is made that nobody asked for"
  }
  assert {
    condition = yamldecode(output.helm_values) == {
      mode           = "fleet"
      replicaCount   = 1
      s3             = { bucket = "crates", prefix = "", region = "eu-west-1", encryption = "bucket" }
      serviceAccount = { create = true }
    }
    error_message = "without Redis it is one replica"
  }
  assert {
    condition     = output.environment == { CRATEPORT_STORE = "s3://crates", CRATEPORT_S3_REGION = "eu-west-1" }
    error_message = "the environment names the store"
  }
}

run "the_policy_names_each_action_and_only_below_the_prefix" {
  variables {
    prefix = "team/cache"
  }
  assert {
    condition = jsondecode(output.policy).Statement == [
      {
        Sid       = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::crates"],
        Condition = { StringLikeIfExists = { "s3:prefix" = ["team/cache/*"] } },
      },
      { Sid = "Uploads", Effect = "Allow", Action = ["s3:ListBucketMultipartUploads"], Resource = ["arn:aws:s3:::crates"] },
      {
        Sid      = "Objects", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        Resource = ["arn:aws:s3:::crates/team/cache/*"],
      },
    ]
    error_message = "the policy is as narrow as the store's calls"
  }
  assert {
    condition     = !strcontains(output.reader_policy, "Put") && !strcontains(output.reader_policy, "Delete")
    error_message = "readers read"
  }
  assert {
    condition     = output.store == "s3://crates/team/cache"
    error_message = "the store's address has the prefix"
  }
}

run "with_a_key_of_its_own_the_role_uses_it_through_s3_only" {
  variables {
    encryption = { type = "kms" }
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0"
    error_message = "the bucket uses the key"
  }
  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation
    error_message = "the key rotates"
  }
  assert {
    condition = [for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "Key"] == [{
      Sid       = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = ["arn:aws:kms:eu-west-1:123456789012:key/0"],
      Condition = { StringEquals = { "kms:ViaService" = "s3.eu-west-1.amazonaws.com" } },
    }]
    error_message = "the role may use this key, and only through S3"
  }
}

run "a_key_that_exists_is_used" {
  variables {
    encryption = { type = "kms", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/mine" }
  }
  assert {
    condition     = length(aws_kms_key.this) == 0 && output.kms_key_arn == "arn:aws:kms:eu-west-1:123456789012:key/mine"
    error_message = "no second key"
  }
}

run "irsa_trusts_one_service_account_by_subject_and_audience" {
  variables {
    irsa = [{
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"
      namespace         = "tools"
      service_account   = "crateport"
    }]
  }
  assert {
    condition = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC" }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = { StringEquals = {
        "oidc.eks.eu-west-1.amazonaws.com/id/ABC:sub" = "system:serviceaccount:tools:crateport"
        "oidc.eks.eu-west-1.amazonaws.com/id/ABC:aud" = "sts.amazonaws.com"
      } }
    }]
    error_message = "only this service account"
  }
  assert {
    condition     = yamldecode(output.helm_values).serviceAccount == { create = true, name = "crateport", roleArn = "arn:aws:iam::123456789012:role/crateport" }
    error_message = "the chart learns the role"
  }
}

run "pod_identity_trusts_one_service_account_of_one_cluster" {
  variables {
    pod_identity = [
      { cluster_name = "prod", namespace = "tools", service_account = "crateport" },
      { cluster_name = "other", namespace = "tools", service_account = "crateport", create_association = false },
    ]
  }
  assert {
    condition = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement[0] == {
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = { StringEquals = {
        "aws:SourceAccount"                         = "123456789012"
        "aws:RequestTag/eks-cluster-name"           = "prod"
        "aws:RequestTag/kubernetes-namespace"       = "tools"
        "aws:RequestTag/kubernetes-service-account" = "crateport"
      } }
    }
    error_message = "only this service account of this cluster"
  }
  assert {
    condition     = keys(aws_eks_pod_identity_association.this) == ["prod/tools/crateport"]
    error_message = "associations are made where asked for"
  }
  assert {
    condition     = yamldecode(output.helm_values).serviceAccount == { create = true, name = "crateport", podIdentity = true }
    error_message = "the chart learns the association's name"
  }
}

run "with_both_kinds_of_trust_the_chart_is_told_of_pod_identity_alone" {
  variables {
    irsa = [{
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"
      namespace         = "tools"
      service_account   = "crateport-before"
    }]
    pod_identity = [{ cluster_name = "prod", namespace = "tools", service_account = "crateport" }]
  }
  assert {
    condition     = length(jsondecode(aws_iam_role.this[0].assume_role_policy).Statement) == 2
    error_message = "the role is open to both"
  }
  assert {
    condition     = yamldecode(output.helm_values).serviceAccount == { create = true, name = "crateport", podIdentity = true }
    error_message = "the chart refuses roleArn beside podIdentity"
  }
}

run "of_several_service_accounts_the_chart_is_told_none" {
  variables {
    pod_identity = [
      { cluster_name = "prod", namespace = "tools", service_account = "crateport" },
      { cluster_name = "prod", namespace = "build", service_account = "cache" },
    ]
  }
  assert {
    condition     = yamldecode(output.helm_values).serviceAccount == { create = true }
    error_message = "the chart refuses podIdentity without a name"
  }
}

run "ec2_gets_an_instance_profile" {
  variables {
    ec2 = true
  }
  assert {
    condition     = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" } && length(aws_iam_instance_profile.this) == 1
    error_message = "instances take the role"
  }
}

run "everything_optional_about_the_bucket" {
  variables {
    prefix                   = "cache"
    versioning               = true
    vpc_endpoint_ids         = ["vpce-1"]
    expire_days              = { "v1/crates-io/crates/" = 365 }
    intelligent_tiering_days = 30
    access_logs              = { bucket = "logs" }
    gateway_endpoint         = { vpc_id = "vpc-1", route_table_ids = ["rtb-1", "rtb-2"] }
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abort-uploads", "expire-checks", "expire-v1-crates-io-crates", "tier", "expire-noncurrent"]
    error_message = "each rule is there"
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : one(rule.filter).prefix if rule.id == "expire-v1-crates-io-crates"]) == "cache/v1/crates-io/crates/"
    error_message = "rules are below the prefix"
  }
  assert {
    condition     = one([for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Action if statement.Sid == "DenyOutsideTheVpc"]) == ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    error_message = "objects are reached through the endpoint, the bucket's own settings from everywhere"
  }
  assert {
    condition     = aws_s3_bucket_logging.this[0].target_bucket == "logs" && aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "logs and versions"
  }
  assert {
    condition     = aws_vpc_endpoint.s3[0].service_name == "com.amazonaws.eu-west-1.s3" && aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway"
    error_message = "a gateway endpoint"
  }
}

# Several variables at once, because each run takes seconds.
run "what_cannot_work_is_refused_before_anything_is_made" {
  command = plan
  variables {
    prefix          = "/cache"
    bucket_name     = "crates.example.com"
    tls_version_min = "1.1"
    expire_days     = { "v1/crates-io/index/" = 30 }
    encryption      = { type = "s3", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/mine" }
    irsa            = [{ oidc_provider_arn = "oidc.eks.eu-west-1.amazonaws.com/id/ABC", namespace = "tools", service_account = "crateport" }]
    redis_password  = "short"
  }
  expect_failures = [var.prefix, var.bucket_name, var.tls_version_min, var.expire_days, var.encryption, var.irsa, var.redis_password]
}

run "a_prefix_cannot_widen_the_policy" {
  command = plan
  variables {
    prefix      = "cache*"
    expire_days = { "" = 30 }
    encryption  = { type = "AES256" }
  }
  expect_failures = [var.prefix, var.expire_days, var.encryption]
}
