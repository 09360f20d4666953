variable "bucket" {
  description = "The bucket's name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$", var.bucket))
    error_message = "bucket takes 3 to 63 letters, digits, dots, hyphens and underscores."
  }
}

variable "prefix" {
  description = "What Crateport's keys begin with in the bucket, without a slash at the ends."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*$", var.prefix))
    error_message = "prefix takes parts of letters, digits and -_.+ with one / between them, and none at the ends."
  }
}

variable "endpoint" {
  description = "The S3 server as replicas reach it; without one it is AWS."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null || can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]+)?/?$", var.endpoint))
    error_message = "endpoint is http or https, a host and perhaps a port; the bucket stands in `bucket`."
  }
}

variable "public_endpoint" {
  description = "The S3 server as clients reach it, if that is another address."
  type        = string
  default     = null

  validation {
    condition     = var.public_endpoint == null || can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]+)?/?$", var.public_endpoint))
    error_message = "public_endpoint is http or https, a host and perhaps a port."
  }
  validation {
    condition     = var.public_endpoint == null || var.endpoint != null
    error_message = "public_endpoint needs endpoint: AWS has one address for all."
  }
}

variable "region" {
  description = "The bucket's region; servers that have none take any."
  type        = string
  default     = "us-east-1"
}

variable "path_style" {
  description = "Whether the bucket stands in the path: `auto` (with an `endpoint`), `always` or `never`."
  type        = string
  default     = "auto"

  validation {
    condition     = contains(["auto", "always", "never"], var.path_style)
    error_message = "path_style is auto, always or never."
  }
}

variable "encryption" {
  description = "How objects are encrypted: `bucket` (as the bucket says), `sse-s3` or `kms:KEY`."
  type        = string
  default     = "bucket"

  validation {
    condition     = can(regex("^(bucket|sse-s3|kms:.+)$", var.encryption))
    error_message = "encryption is bucket, sse-s3 or kms:KEY."
  }
}

variable "redis_url" {
  description = "The Redis between replicas, without user and password: `redis[s]://host:port/db`, `redis[s]+cluster://…` or `redis[s]+sentinel://…`; without one there is none, which is enough for one replica."
  type        = string
  default     = null

  validation {
    condition     = var.redis_url == null || can(regex("^rediss?(\\+cluster|\\+sentinel)?://[^/@]+(/[^@]*)?$", var.redis_url))
    error_message = "redis_url is redis or rediss, perhaps +cluster or +sentinel, and hosts; user and password have settings of their own."
  }
  validation {
    condition     = var.redis_url == null || !strcontains(coalesce(var.redis_url, "-"), "+sentinel://") || can(regex("//[^/]+/.+", var.redis_url))
    error_message = "redis_url names the master after the sentinels, as in redis+sentinel://one,two/master."
  }
}

variable "redis_username" {
  description = "The ACL user."
  type        = string
  default     = null
}

variable "redis_prefix" {
  description = "What keys begin with; two fleets on one Redis differ here."
  type        = string
  default     = "crateport:"

  validation {
    condition     = can(regex("^[A-Za-z0-9:_-]+$", var.redis_prefix))
    error_message = "redis_prefix takes letters, digits and :_-."
  }
}

variable "helm_s3_secret_name" {
  description = "The Kubernetes Secret with static keys (`access-key-id` and `secret-access-key`); without one the AWS environment decides."
  type        = string
  default     = null
}

variable "helm_redis_secret_name" {
  description = "The Kubernetes Secret with the password of Redis (key `password`), if it has one."
  type        = string
  default     = null
}
