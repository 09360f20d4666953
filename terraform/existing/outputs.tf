output "bucket" {
  description = "The bucket's name."
  value       = var.bucket
}

output "prefix" {
  description = "What Crateport's keys begin with."
  value       = var.prefix
}

output "region" {
  description = "The bucket's region."
  value       = var.region
}

output "store" {
  description = "The setting `--store`."
  value       = local.store_url
}

output "policy" {
  description = "As JSON, the rights that Crateport needs, for servers that read policies as AWS does."
  value       = local.policy
}

output "redis_url" {
  description = "The setting `--coord`."
  value       = var.redis_url
}

output "redis_username" {
  description = "The setting `--redis-username`."
  value       = var.redis_username
}

output "redis_acl" {
  description = "For `ACL SETUSER`: what Crateport says to Redis, and no more; for Redis 6.2 and later. Add a password."
  value       = local.redis_acl
}

output "environment" {
  description = "Crateport's settings as environment variables, all but the credentials (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `CRATEPORT_REDIS_PASSWORD`)."
  value       = { for key, value in local.environment : key => value if value != null }
}

output "helm_values" {
  description = "Values of the chart as YAML, as in `terraform output -raw helm_values > values.yaml`."
  value       = yamlencode({ for key, value in local.helm_top : key => value if value != null })
}
