# A MinIO and a Redis that are there already. No provider is needed: the module only checks and passes on.
#
#   terraform apply
#   terraform output -raw policy > policy.json && mc admin policy create minio crateport policy.json
#   redis-cli ACL SETUSER crateport ">$PASSWORD" $(terraform output -raw redis_acl)
#   terraform output -raw helm_values | helm upgrade --install crateport helm/crateport -f -

terraform {
  required_version = ">= 1.9"
}

module "crateport" {
  source = "../../existing"

  bucket                 = "crates"
  endpoint               = "http://minio.storage.svc:9000"
  public_endpoint        = "https://minio.example.com"
  redis_url              = "redis://redis.storage.svc:6379"
  redis_username         = "crateport"
  helm_s3_secret_name    = "crateport-minio"
  helm_redis_secret_name = "crateport-redis"
}

output "helm_values" {
  description = "Values of the chart as YAML."
  value       = module.crateport.helm_values
}

output "policy" {
  description = "The rights that Crateport needs in MinIO, as JSON."
  value       = module.crateport.policy
}

output "redis_acl" {
  description = "The rights that Crateport needs in Redis, for ACL SETUSER."
  value       = module.crateport.redis_acl
}
