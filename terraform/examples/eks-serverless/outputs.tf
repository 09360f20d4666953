output "helm_values" {
  description = "Values of the chart as YAML."
  value       = module.crateport.helm_values
}

output "redis_password" {
  description = "The password of Redis, for the Kubernetes Secret."
  value       = module.crateport.redis_password
  sensitive   = true
}

output "redis_secret_arn" {
  description = "The same in Secrets Manager, for External Secrets."
  value       = module.crateport.redis_secret_arn
}
