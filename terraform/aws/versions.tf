terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 5.93 is the first with users of Valkey.
      version = ">= 5.93, < 7.0"
    }
  }
}
