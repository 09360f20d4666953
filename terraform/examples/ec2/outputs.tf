output "address" {
  description = "The instance's private address; Crateport listens on port 8080."
  value       = aws_instance.this.private_ip
}

output "store" {
  description = "Where the objects are."
  value       = module.crateport.store
}
