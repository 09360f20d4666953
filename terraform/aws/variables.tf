variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "crateport"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9]|-[a-z0-9]){1,23}$", var.name))
    error_message = "name takes 2 to 24 lower-case letters, digits and single hyphens, and begins with a letter: ElastiCache and S3 add their own parts to it."
  }
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

# The bucket

variable "bucket_name" {
  description = "The bucket's name; without one it is `name` with a random end."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name takes 3 to 63 lower-case letters, digits and hyphens; a dot would break TLS for its host name."
  }
}

variable "prefix" {
  description = "What Crateport's keys begin with in the bucket, without a slash at the ends. The role reaches nothing outside of it."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*$", var.prefix))
    error_message = "prefix takes parts of letters, digits and -_.+ with one / between them, and none at the ends."
  }
}

variable "force_destroy" {
  description = "Whether destroying the bucket deletes its objects too. They can all be fetched again, while upstream still has them."
  type        = bool
  default     = false
}

variable "encryption" {
  description = "How objects are encrypted: `s3` with keys of S3, `kms` with a key of KMS. Without `kms_key_arn` the module makes a key, which then also encrypts Redis and its secret."
  type = object({
    type        = optional(string, "s3")
    kms_key_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["s3", "kms"], var.encryption.type)
    error_message = "encryption.type is s3 or kms."
  }
  validation {
    condition     = var.encryption.type == "kms" || var.encryption.kms_key_arn == null
    error_message = "encryption.kms_key_arn needs encryption.type = \"kms\"."
  }
}

variable "tls_version_min" {
  description = "The oldest version of TLS that the bucket accepts."
  type        = string
  default     = "1.2"

  validation {
    condition     = contains(["1.2", "1.3"], var.tls_version_min)
    error_message = "tls_version_min is 1.2 or 1.3."
  }
}

variable "vpc_endpoint_ids" {
  description = "If given, objects are reached through these VPC endpoints only. Clients that get a redirect to S3 must then be behind them too."
  type        = list(string)
  default     = []
}

variable "versioning" {
  description = "Whether replaced and deleted objects are kept for `noncurrent_days`. Index files are replaced often; a cache seldom needs it."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "How long a replaced or deleted object is kept with `versioning`."
  type        = number
  default     = 7

  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days is at least 1."
  }
}

variable "abort_uploads_days" {
  description = "When S3 throws away an upload in parts that a killed replica never completed."
  type        = number
  default     = 1

  validation {
    condition     = var.abort_uploads_days >= 1
    error_message = "abort_uploads_days is at least 1."
  }
}

variable "expire_days" {
  description = "When S3 deletes old objects, by what their keys begin with below `prefix`, as in `{\"v1/crates-io/crates/\" = 365}`. By age, not by last use (`crateport sweep` knows that); they are fetched again when asked for, if upstream still has them."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for begin, days in var.expire_days : can(regex("^v1/.+/$", begin)) && !strcontains(begin, "/index/") && days >= 1])
    error_message = "A key of expire_days is a beginning such as v1/crates-io/crates/, with a slash at the end, and never an index; its value is at least 1 day."
  }
}

variable "intelligent_tiering_days" {
  description = "When objects of 128 KiB and more move to Intelligent-Tiering; without it they stay in Standard."
  type        = number
  default     = null
}

variable "access_logs" {
  description = "Where S3 writes access logs: a bucket that lets `logging.s3.amazonaws.com` write, and what the logs' keys begin with."
  type = object({
    bucket = string
    prefix = optional(string, "crateport/")
  })
  default = null
}

variable "gateway_endpoint" {
  description = "A gateway endpoint for S3, so that traffic to the bucket costs no NAT. A VPC needs only one for all its buckets: `policy` therefore allows all by default."
  type = object({
    vpc_id          = string
    route_table_ids = list(string)
    policy          = optional(string)
  })
  default = null
}

# Who may use it

variable "irsa" {
  description = "Service accounts of EKS that take the role by IRSA."
  type = list(object({
    oidc_provider_arn = string
    namespace         = string
    service_account   = string
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for account in var.irsa : can(regex("^arn:[^:]+:iam::[0-9]{12}:oidc-provider/.+$", account.oidc_provider_arn))])
    error_message = "irsa[*].oidc_provider_arn is the ARN of an IAM OIDC provider, as in arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123."
  }
}

variable "pod_identity" {
  description = "Service accounts of EKS that take the role by Pod Identity. `create_association = false` leaves the association to others."
  type = list(object({
    cluster_name       = string
    namespace          = string
    service_account    = string
    create_association = optional(bool, true)
  }))
  default  = []
  nullable = false
}

variable "ec2" {
  description = "Whether EC2 instances take the role: makes an instance profile."
  type        = bool
  default     = false
}

variable "permissions_boundary_arn" {
  description = "The permissions boundary of the role."
  type        = string
  default     = null
}

# Redis

variable "redis" {
  description = <<-EOT
    The Redis between replicas; without it there is none, which is enough for one replica.

    - `kind`: `nodes` (a replication group) or `serverless`.
    - `engine`, `engine_version`: `valkey` or `redis`; the major version decides about the parameter group.
    - `vpc_id`, `subnet_ids`, `client_security_group_ids`: where it stands, and who may connect.
    - `node_type`, `nodes`: two nodes and more stand in several zones and fail over by themselves.
    - `auth`: `user` makes an ACL user that may do what Crateport does and no more; `token` a password for everything (`nodes` only).
    - `username`, `key_prefix`: the user, and what its keys begin with (`--redis-prefix`).
    - `kms_key_arn`: encryption at rest; without it the module's key, or one of AWS.
    - `data_gb_max`, `ecpu_per_second_max`: the limits of `serverless`.
    - `maintenance_window`, `apply_immediately`: when changes happen.
  EOT
  type = object({
    kind                      = optional(string, "nodes")
    engine                    = optional(string, "valkey")
    engine_version            = optional(string)
    vpc_id                    = string
    subnet_ids                = list(string)
    client_security_group_ids = list(string)
    node_type                 = optional(string, "cache.t4g.micro")
    nodes                     = optional(number, 2)
    auth                      = optional(string, "user")
    username                  = optional(string, "crateport")
    key_prefix                = optional(string, "crateport:")
    kms_key_arn               = optional(string)
    data_gb_max               = optional(number, 1)
    ecpu_per_second_max       = optional(number, 5000)
    maintenance_window        = optional(string, "sun:03:00-sun:04:00")
    apply_immediately         = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.redis == null || contains(["nodes", "serverless"], try(var.redis.kind, ""))
    error_message = "redis.kind is nodes or serverless."
  }
  validation {
    condition     = var.redis == null || contains(["valkey", "redis"], try(var.redis.engine, ""))
    error_message = "redis.engine is valkey or redis."
  }
  validation {
    condition     = var.redis == null || contains(["user", "token"], try(var.redis.auth, ""))
    error_message = "redis.auth is user or token."
  }
  validation {
    condition     = var.redis == null || try(var.redis.kind == "nodes" || var.redis.auth == "user", false)
    error_message = "A serverless Redis knows users only: set redis.auth = \"user\"."
  }
  validation {
    condition     = var.redis == null || try(var.redis.nodes >= 1 && var.redis.nodes <= 6, false)
    error_message = "redis.nodes is 1 to 6."
  }
  validation {
    condition     = var.redis == null || try(var.redis.kind == "nodes" || length(var.redis.subnet_ids) >= 2, false)
    error_message = "A serverless Redis needs subnets in at least two zones."
  }
  validation {
    condition     = var.redis == null || can(regex("^[A-Za-z0-9:_-]+$", try(var.redis.key_prefix, "")))
    error_message = "redis.key_prefix takes letters, digits and :_-; anything else would be a pattern in the user's rights."
  }
  validation {
    condition     = var.redis == null || can(regex("^[a-z][a-z0-9-]*$", try(var.redis.username, ""))) && try(var.redis.username, "") != "default"
    error_message = "redis.username takes lower-case letters, digits and hyphens, and is not \"default\"."
  }
}

variable "redis_password" {
  description = "The password for Redis, 16 to 128 letters and digits; without one the module makes it. Either way it stands in Terraform's state."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.redis_password == null || can(regex("^[A-Za-z0-9]{16,128}$", var.redis_password))
    error_message = "redis_password takes 16 to 128 letters and digits."
  }
}

variable "secret_recovery_days" {
  description = "How long Secrets Manager keeps the deleted secret; 0 deletes at once."
  type        = number
  default     = 7
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear of a Redis that runs out of CPU, memory or replicas; without any there are no alarms."
  type        = list(string)
  default     = []
}

# The chart

variable "helm_redis_secret_name" {
  description = "The Kubernetes Secret in which the chart looks for the password of Redis (key `password`)."
  type        = string
  default     = "crateport-redis"
}
