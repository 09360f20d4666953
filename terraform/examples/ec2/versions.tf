terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.93, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}
