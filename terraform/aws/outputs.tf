output "bucket" {
  description = "The bucket's name."
  value       = local.bucket
}

output "bucket_arn" {
  description = "The bucket's ARN."
  value       = local.bucket_arn
}

output "prefix" {
  description = "What Crateport's keys begin with."
  value       = var.prefix
}

output "region" {
  description = "The bucket's region."
  value       = local.region
}

output "store" {
  description = "The setting `--store`."
  value       = local.store_url
}

output "kms_key_arn" {
  description = "The key of KMS, if there is one."
  value       = local.kms_key_arn
}

output "policy_arn" {
  description = "The policy with the rights that Crateport needs, to be attached to roles that the module does not make."
  value       = aws_iam_policy.this.arn
}

output "policy" {
  description = "The same policy as JSON."
  value       = local.policy
}

output "reader_policy" {
  description = "As JSON, a policy for those who only read the bucket: it is a registry by itself, also with every replica down."
  value       = local.reader_policy
}

output "role_arn" {
  description = "The role's ARN, if `irsa`, `pod_identity` or `ec2` asked for one."
  value       = one(aws_iam_role.this[*].arn)
}

output "role_name" {
  description = "The role's name."
  value       = one(aws_iam_role.this[*].name)
}

output "instance_profile_name" {
  description = "The instance profile for EC2."
  value       = one(aws_iam_instance_profile.this[*].name)
}

output "gateway_endpoint_id" {
  description = "The gateway endpoint for S3."
  value       = one(aws_vpc_endpoint.s3[*].id)
}

output "redis_url" {
  description = "The setting `--coord`; without a password."
  value       = local.redis_url
}

output "redis_username" {
  description = "The setting `--redis-username`; empty with `auth = \"token\"`."
  value       = local.redis_username
}

output "redis_password" {
  description = "The setting `--redis-password`."
  value       = local.redis_password
  sensitive   = true
}

output "redis_secret_arn" {
  description = "The secret in Secrets Manager with `url`, `username` and `password`."
  value       = one(aws_secretsmanager_secret.redis[*].arn)
}

output "redis_security_group_id" {
  description = "The security group of Redis, to let in more clients."
  value       = one(aws_security_group.redis[*].id)
}

output "environment" {
  description = "Crateport's settings as environment variables, all but the password (`CRATEPORT_REDIS_PASSWORD`)."
  value = merge(
    {
      CRATEPORT_STORE     = local.store_url
      CRATEPORT_S3_REGION = local.region
    },
    local.has_redis ? { CRATEPORT_COORD = local.redis_url, CRATEPORT_REDIS_PREFIX = var.redis.key_prefix } : {},
    local.has_user ? { CRATEPORT_REDIS_USERNAME = local.redis_username } : {},
  )
}

output "helm_values" {
  description = "Values of the chart as YAML, as in `terraform output -raw helm_values > values.yaml`. With both `irsa` and `pod_identity` they are for Pod Identity. Where service accounts have several names they name none: add `serviceAccount.name`, and with Pod Identity `serviceAccount.podIdentity`."
  value       = local.helm_values
}
