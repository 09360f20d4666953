# The Redis between replicas, planned without AWS.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_secretsmanager_random_password" {
    defaults = { random_password = "0123456789abcdef" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/crateport" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/0", key_id = "0" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-redis" }
  }
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "master.crateport.abc.euw1.cache.amazonaws.com" }
  }
  mock_resource "aws_elasticache_serverless_cache" {
    defaults = { endpoint = [{ address = "crateport-abc.serverless.euw1.cache.amazonaws.com", port = 6379 }] }
  }
}

variables {
  bucket_name = "crates"
  redis       = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"], client_security_group_ids = ["sg-1", "sg-2"] }
}

run "nodes_stand_in_two_zones_behind_tls_and_a_user" {
  assert {
    condition = alltrue([
      aws_elasticache_replication_group.this[0].engine == "valkey",
      aws_elasticache_replication_group.this[0].multi_az_enabled,
      aws_elasticache_replication_group.this[0].automatic_failover_enabled,
      aws_elasticache_replication_group.this[0].transit_encryption_enabled,
      aws_elasticache_replication_group.this[0].transit_encryption_mode == "required",
      aws_elasticache_replication_group.this[0].at_rest_encryption_enabled,
      aws_elasticache_replication_group.this[0].num_cache_clusters == 2,
      aws_elasticache_replication_group.this[0].auth_token == null,
    ])
    error_message = "a replication group that fails over and speaks TLS only"
  }
  assert {
    condition     = aws_elasticache_parameter_group.this[0].family == "valkey8" && one(aws_elasticache_parameter_group.this[0].parameter).value == "allkeys-lru"
    error_message = "notes make room for others"
  }
  assert {
    condition     = aws_elasticache_user.default[0].access_string == "off -@all" && aws_elasticache_user.default[0].user_name == "default"
    error_message = "whoever names no user is refused"
  }
  assert {
    condition     = startswith(aws_elasticache_user.this[0].access_string, "on ~crateport:* resetchannels &crateport:* -@all +") && !strcontains(aws_elasticache_user.this[0].access_string, "+@")
    error_message = "the user reaches its own keys, with commands that are named"
  }
  assert {
    condition     = { for rule in aws_vpc_security_group_ingress_rule.redis : rule.referenced_security_group_id => "${rule.from_port}-${rule.to_port}" } == { sg-1 = "6379-6379", sg-2 = "6379-6379" }
    error_message = "only replicas come in"
  }
  assert {
    condition = yamldecode(output.helm_values).redis == {
      url            = "rediss://master.crateport.abc.euw1.cache.amazonaws.com:6379", username = "crateport", prefix = "crateport:"
      existingSecret = "crateport-redis", existingSecretKey = "password"
    }
    error_message = "the chart learns the address and the Secret, not the password"
  }
  assert {
    condition     = !contains(keys(yamldecode(output.helm_values)), "replicaCount")
    error_message = "the chart decides how many replicas there are"
  }
  assert {
    condition = output.environment == {
      CRATEPORT_STORE        = "s3://crates", CRATEPORT_S3_REGION = "eu-west-1", CRATEPORT_REDIS_USERNAME = "crateport",
      CRATEPORT_REDIS_PREFIX = "crateport:", CRATEPORT_COORD = "rediss://master.crateport.abc.euw1.cache.amazonaws.com:6379",
    }
    error_message = "the environment names store and Redis"
  }
  assert {
    condition     = nonsensitive(output.redis_password) == "0123456789abcdef" && jsondecode(nonsensitive(aws_secretsmanager_secret_version.redis[0].secret_string)).password == "0123456789abcdef"
    error_message = "a password is made, and kept in Secrets Manager"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.redis_cpu) == 0
    error_message = "no alarm without somebody to hear it"
  }
}

run "a_serverless_redis_is_a_cluster" {
  variables {
    redis = { kind = "serverless", vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"], client_security_group_ids = ["sg-1"] }
  }
  assert {
    condition     = output.redis_url == "rediss+cluster://crateport-abc.serverless.euw1.cache.amazonaws.com:6379"
    error_message = "clients must follow slots"
  }
  assert {
    condition     = endswith(aws_elasticache_user.this[0].access_string, "+client|setinfo +cluster|slots +readonly +asking")
    error_message = "and may ask where they are"
  }
  assert {
    condition     = aws_elasticache_serverless_cache.this[0].user_group_id == "crateport" && aws_elasticache_serverless_cache.this[0].major_engine_version == "8" && length(aws_elasticache_replication_group.this) == 0
    error_message = "a serverless cache with the user group"
  }
}

run "a_token_in_place_of_a_user" {
  variables {
    redis_password = "abcdefghijklmnop"
    redis = {
      auth   = "token", engine = "redis", nodes = 1, node_type = "cache.t4g.small",
      vpc_id = "vpc-1", subnet_ids = ["subnet-1"], client_security_group_ids = []
    }
  }
  assert {
    condition     = nonsensitive(aws_elasticache_replication_group.this[0].auth_token) == "abcdefghijklmnop" && length(aws_elasticache_user.this) == 0
    error_message = "the given password is the token"
  }
  assert {
    condition     = !aws_elasticache_replication_group.this[0].multi_az_enabled && aws_elasticache_parameter_group.this[0].family == "redis7" && aws_elasticache_replication_group.this[0].engine_version == "7.1"
    error_message = "one node has nowhere to fail over to"
  }
  assert {
    condition     = !contains(keys(yamldecode(output.helm_values).redis), "username") && !contains(keys(output.environment), "CRATEPORT_REDIS_USERNAME")
    error_message = "there is no user to name"
  }
}

run "one_key_for_all_and_alarms_for_each_node" {
  variables {
    encryption       = { type = "kms" }
    alarm_topic_arns = ["arn:aws:sns:eu-west-1:123456789012:ops"]
  }
  assert {
    condition = alltrue([
      aws_elasticache_replication_group.this[0].kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0",
      aws_secretsmanager_secret.redis[0].kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/0",
    ])
    error_message = "the module's key encrypts Redis and its secret too"
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.redis_cpu) == ["crateport-001", "crateport-002"] && length(aws_cloudwatch_metric_alarm.redis_memory) + length(aws_cloudwatch_metric_alarm.redis_lag) == 4
    error_message = "each node has its alarms"
  }
}

run "serverless_knows_no_token" {
  command = plan
  variables {
    redis = { kind = "serverless", auth = "token", vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"], client_security_group_ids = [] }
  }
  expect_failures = [var.redis]
}

run "serverless_needs_two_zones" {
  command = plan
  variables {
    redis = { kind = "serverless", vpc_id = "vpc-1", subnet_ids = ["subnet-1"], client_security_group_ids = [] }
  }
  expect_failures = [var.redis]
}

run "the_default_user_stays_off" {
  command = plan
  variables {
    redis = { username = "default", vpc_id = "vpc-1", subnet_ids = ["subnet-1"], client_security_group_ids = [] }
  }
  expect_failures = [var.redis]
}

run "a_key_prefix_cannot_widen_the_users_rights" {
  command = plan
  variables {
    redis = { key_prefix = "*", vpc_id = "vpc-1", subnet_ids = ["subnet-1"], client_security_group_ids = [] }
  }
  expect_failures = [var.redis]
}
