variable "region" {
  description = "The AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "crateport"
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The cluster's VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in three zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "subnet_ids are three or more, one for each zone."
  }
}

variable "route_table_ids" {
  description = "The route tables of those subnets."
  type        = list(string)
}

variable "node_security_group_id" {
  description = "The security group of the cluster's nodes, or of the pods."
  type        = string
}

variable "cluster_name" {
  description = "The EKS cluster, with the add-on eks-pod-identity-agent."
  type        = string
}

variable "namespace" {
  description = "The namespace of the release."
  type        = string
  default     = "crateport"
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear of trouble with Redis."
  type        = list(string)
  default     = []
}
