locals {
  has_redis     = var.redis != null
  has_nodes     = local.has_redis && try(var.redis.kind == "nodes", false)
  is_serverless = local.has_redis && try(var.redis.kind == "serverless", false)
  has_user      = local.has_redis && try(var.redis.auth == "user", false)

  redis_port    = 6379
  redis_version = try(coalesce(var.redis.engine_version, { valkey = local.is_serverless ? "8" : "8.0", redis = local.is_serverless ? "7" : "7.1" }[var.redis.engine]), null)
  # Parameter groups are named valkey7, valkey8, redis6.x, redis7.
  redis_family   = try("${var.redis.engine}${split(".", local.redis_version)[0]}${var.redis.engine == "redis" && startswith(local.redis_version, "6") ? ".x" : ""}", null)
  redis_key_arn  = try(coalesce(var.redis.kms_key_arn, local.kms_key_arn), null)
  redis_username = local.has_user ? var.redis.username : ""
  redis_password = local.has_redis ? coalesce(var.redis_password, one(terraform_data.redis_password[*].output)) : null

  # What the coordinator says to Redis, by itself, in its scripts and through its client library; and to nobody
  # else's keys and channels.
  redis_access_string = local.has_redis ? join(" ", compact([
    "on",
    "~${var.redis.key_prefix}*",
    "resetchannels",
    "&${var.redis.key_prefix}*",
    "-@all",
    "+get +set +del +pttl +pexpire +time",
    "+eval +evalsha",
    "+publish +subscribe +unsubscribe",
    "+hello +ping +select",
    # Redis before 7.2 does not know it; Valkey does.
    var.redis.engine == "valkey" ? "+client|setinfo" : "",
    local.is_serverless ? "+cluster|slots +readonly +asking" : "",
  ])) : null

  redis_host = (
    local.has_nodes ? one(aws_elasticache_replication_group.this[*].primary_endpoint_address) :
    local.is_serverless ? one(aws_elasticache_serverless_cache.this[*].endpoint[0].address) : null
  )
  # A serverless Redis is a cluster to its clients, whatever its size.
  redis_url = local.has_redis ? "rediss${local.is_serverless ? "+cluster" : ""}://${local.redis_host}:${local.redis_port}" : null
}

# Secrets Manager only lends its dice here; the outcome of the first throw stays.
data "aws_secretsmanager_random_password" "redis" {
  count = local.has_redis ? 1 : 0

  password_length     = 64
  exclude_punctuation = true
}

resource "terraform_data" "redis_password" {
  count = local.has_redis ? 1 : 0

  input = sensitive(one(data.aws_secretsmanager_random_password.redis[*].random_password))

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_secretsmanager_secret" "redis" {
  count = local.has_redis ? 1 : 0

  name_prefix             = "${var.name}-redis-"
  description             = "How ${var.name} reaches its Redis"
  kms_key_id              = local.redis_key_arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = local.tags
}

resource "aws_secretsmanager_secret_version" "redis" {
  count = local.has_redis ? 1 : 0

  secret_id = one(aws_secretsmanager_secret.redis[*].id)
  secret_string = jsonencode({
    url      = local.redis_url
    username = local.redis_username
    password = local.redis_password
  })
}

resource "aws_security_group" "redis" {
  count = local.has_redis ? 1 : 0

  name_prefix = "${var.name}-redis-"
  description = "Redis of ${var.name}: clients come in, nothing goes out"
  vpc_id      = var.redis.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-redis" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "redis" {
  count = local.has_redis ? length(var.redis.client_security_group_ids) : 0

  security_group_id            = one(aws_security_group.redis[*].id)
  referenced_security_group_id = var.redis.client_security_group_ids[count.index]
  description                  = "Replicas of ${var.name}"
  ip_protocol                  = "tcp"
  from_port                    = local.redis_port
  to_port                      = local.redis_port
  tags                         = local.tags
}

resource "aws_elasticache_user" "this" {
  count = local.has_user ? 1 : 0

  user_id       = "${var.name}-${var.redis.username}"
  user_name     = var.redis.username
  engine        = var.redis.engine
  access_string = local.redis_access_string
  tags          = local.tags

  authentication_mode {
    type      = "password"
    passwords = [local.redis_password]
  }
}

# Whoever names no user is this one, and it may do nothing.
resource "aws_elasticache_user" "default" {
  count = local.has_user ? 1 : 0

  user_id       = "${var.name}-default"
  user_name     = "default"
  engine        = var.redis.engine
  access_string = "off -@all"
  tags          = local.tags

  authentication_mode {
    type      = "password"
    passwords = [sha256("default ${local.redis_password}")]
  }
}

resource "aws_elasticache_user_group" "this" {
  count = local.has_user ? 1 : 0

  user_group_id = var.name
  engine        = var.redis.engine
  user_ids      = concat(aws_elasticache_user.default[*].user_id, aws_elasticache_user.this[*].user_id)
  tags          = local.tags
}

resource "aws_elasticache_subnet_group" "this" {
  count = local.has_nodes ? 1 : 0

  name        = "${var.name}-redis"
  description = "Redis of ${var.name}"
  subnet_ids  = var.redis.subnet_ids
  tags        = local.tags
}

resource "aws_elasticache_parameter_group" "this" {
  count = local.has_nodes ? 1 : 0

  name        = "${var.name}-${replace(local.redis_family, ".", "-")}"
  description = "Redis of ${var.name}"
  family      = local.redis_family
  tags        = local.tags

  # Notes make room for others. noeviction would refuse to take new ones, volatile-ttl throw out leases first.
  parameter {
    name  = "maxmemory-policy"
    value = "allkeys-lru"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_replication_group" "this" {
  count = local.has_nodes ? 1 : 0

  replication_group_id       = var.name
  description                = "Leases and notes of ${var.name}"
  engine                     = var.redis.engine
  engine_version             = local.redis_version
  node_type                  = var.redis.node_type
  num_cache_clusters         = var.redis.nodes
  automatic_failover_enabled = var.redis.nodes > 1
  multi_az_enabled           = var.redis.nodes > 1
  port                       = local.redis_port
  parameter_group_name       = one(aws_elasticache_parameter_group.this[*].name)
  subnet_group_name          = one(aws_elasticache_subnet_group.this[*].name)
  security_group_ids         = aws_security_group.redis[*].id
  at_rest_encryption_enabled = true
  kms_key_id                 = local.redis_key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token                 = local.has_user ? null : local.redis_password
  auth_token_update_strategy = local.has_user ? null : "ROTATE"
  user_group_ids             = local.has_user ? aws_elasticache_user_group.this[*].user_group_id : null
  maintenance_window         = var.redis.maintenance_window
  apply_immediately          = var.redis.apply_immediately
  auto_minor_version_upgrade = true
  # What is lost is work that is done again.
  snapshot_retention_limit = 0
  tags                     = local.tags
}

resource "aws_elasticache_serverless_cache" "this" {
  count = local.is_serverless ? 1 : 0

  name                 = var.name
  description          = "Leases and notes of ${var.name}"
  engine               = var.redis.engine
  major_engine_version = split(".", local.redis_version)[0]
  subnet_ids           = var.redis.subnet_ids
  security_group_ids   = aws_security_group.redis[*].id
  kms_key_id           = local.redis_key_arn
  user_group_id        = one(aws_elasticache_user_group.this[*].user_group_id)
  tags                 = local.tags

  cache_usage_limits {
    data_storage {
      maximum = var.redis.data_gb_max
      unit    = "GB"
    }
    ecpu_per_second {
      maximum = var.redis.ecpu_per_second_max
    }
  }
}
