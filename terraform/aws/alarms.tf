locals {
  # ElastiCache gives nodes these names.
  redis_nodes = local.has_nodes && length(var.alarm_topic_arns) > 0 ? {
    for number in range(var.redis.nodes) : format("%s-%03d", var.name, number + 1) => number
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "redis_cpu" {
  for_each = local.redis_nodes

  alarm_name          = "${each.key}-cpu"
  alarm_description   = "The one thread of Redis that does the work has hardly any time left. Crateport goes on without it; larger nodes help."
  namespace           = "AWS/ElastiCache"
  metric_name         = "EngineCPUUtilization"
  dimensions          = { CacheClusterId = each.key }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  period              = 60
  evaluation_periods  = 10
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "redis_memory" {
  for_each = local.redis_nodes

  alarm_name          = "${each.key}-memory"
  alarm_description   = "Redis forgets notes early to make room for others. That costs work, no answer; larger nodes help."
  namespace           = "AWS/ElastiCache"
  metric_name         = "DatabaseMemoryUsagePercentage"
  dimensions          = { CacheClusterId = each.key }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 95
  period              = 300
  evaluation_periods  = 6
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "redis_lag" {
  for_each = { for name, number in local.redis_nodes : name => number if length(local.redis_nodes) > 1 }

  alarm_name          = "${each.key}-replication-lag"
  alarm_description   = "A failover now would lose this much: leases that two replicas then hold, and one more fetch for each."
  namespace           = "AWS/ElastiCache"
  metric_name         = "ReplicationLag"
  dimensions          = { CacheClusterId = each.key }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 30
  period              = 60
  evaluation_periods  = 5
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = local.tags
}
