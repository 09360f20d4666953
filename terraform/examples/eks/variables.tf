variable "region" {
  description = "The AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "vpc_id" {
  description = "The cluster's VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in several zones."
  type        = list(string)
}

variable "node_security_group_id" {
  description = "The security group of the cluster's nodes."
  type        = string
}

variable "oidc_provider_arn" {
  description = "The IAM OIDC provider of the cluster."
  type        = string
}
