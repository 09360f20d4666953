variable "region" {
  description = "The AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "vpc_id" {
  description = "Where the instance stands."
  type        = string
}

variable "subnet_id" {
  description = "A private subnet with a way out (NAT)."
  type        = string
}

variable "client_cidr" {
  description = "From where clients come."
  type        = string
  default     = "10.0.0.0/8"
}

variable "instance_type" {
  description = "An instance with an ARM processor."
  type        = string
  default     = "t4g.small"
}

variable "binary_url" {
  description = "Where the binary of Crateport for aarch64 is."
  type        = string
}

variable "binary_sha256" {
  description = "The SHA-256 of the binary."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.binary_sha256))
    error_message = "binary_sha256 is 64 hexadecimal digits."
  }
}

variable "public_url" {
  description = "The address that clients use."
  type        = string
}
