variables {
  bucket = "crates"
}

run "a_bucket_alone_is_one_replica_on_aws" {
  assert {
    condition = yamldecode(output.helm_values) == {
      mode = "fleet", replicaCount = 1
      s3   = { bucket = "crates", prefix = "", region = "us-east-1", pathStyle = "auto", encryption = "bucket" }
    }
    error_message = "nothing else is said"
  }
  assert {
    condition     = output.environment == { CRATEPORT_STORE = "s3://crates", CRATEPORT_S3_REGION = "us-east-1" }
    error_message = "nothing else is said"
  }
}

run "a_server_of_ones_own_with_a_user_on_a_shared_redis" {
  variables {
    prefix                 = "cache"
    endpoint               = "http://minio.storage.svc:9000"
    public_endpoint        = "https://minio.example.com"
    path_style             = "always"
    redis_url              = "rediss+sentinel://one:26379,two:26379/main"
    redis_username         = "crateport"
    redis_prefix           = "crates:"
    helm_s3_secret_name    = "minio"
    helm_redis_secret_name = "redis"
  }
  assert {
    condition = yamldecode(output.helm_values) == {
      mode = "fleet"
      s3 = {
        bucket         = "crates", prefix = "cache", region = "us-east-1", endpoint = "http://minio.storage.svc:9000",
        publicEndpoint = "https://minio.example.com", pathStyle = "always", encryption = "bucket", credentials = { existingSecret = "minio" },
      }
      redis = { url = "rediss+sentinel://one:26379,two:26379/main", username = "crateport", prefix = "crates:", existingSecret = "redis" }
    }
    error_message = "the chart learns all of it"
  }
  assert {
    condition = output.environment == {
      CRATEPORT_STORE       = "s3://crates/cache", CRATEPORT_S3_REGION = "us-east-1", CRATEPORT_S3_PATH_STYLE = "always",
      CRATEPORT_S3_ENDPOINT = "http://minio.storage.svc:9000", CRATEPORT_S3_PUBLIC_ENDPOINT = "https://minio.example.com",
      CRATEPORT_COORD       = "rediss+sentinel://one:26379,two:26379/main", CRATEPORT_REDIS_PREFIX = "crates:", CRATEPORT_REDIS_USERNAME = "crateport",
    }
    error_message = "the environment too"
  }
  assert {
    condition     = startswith(output.redis_acl, "on ~crates:* resetchannels &crates:* -@all +") && endswith(output.redis_acl, " +role")
    error_message = "the user reaches its own keys, and the master shows that it is one"
  }
  assert {
    condition = jsondecode(output.policy).Statement[0] == {
      Sid       = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = ["arn:aws:s3:::crates"],
      Condition = { StringLikeIfExists = { "s3:prefix" = ["cache/*"] } },
    }
    error_message = "the policy is below the prefix"
  }
}

run "what_cannot_work_is_refused" {
  command = plan
  variables {
    bucket       = "s3://crates"
    prefix       = "cache/"
    endpoint     = "minio:9000"
    path_style   = "path"
    encryption   = "kms"
    redis_url    = "redis://user:secret@host:6379"
    redis_prefix = "*"
  }
  expect_failures = [var.bucket, var.prefix, var.endpoint, var.path_style, var.encryption, var.redis_url, var.redis_prefix]
}

run "addresses_are_whole_and_have_no_paths" {
  command = plan
  variables {
    endpoint        = "http://minio:9000"
    public_endpoint = "https://minio.example.com/crates"
  }
  expect_failures = [var.public_endpoint]
}

run "aws_has_one_address_for_all" {
  command = plan
  variables {
    public_endpoint = "https://minio.example.com"
    redis_url       = "redis+sentinel://one,two"
  }
  expect_failures = [var.public_endpoint, var.redis_url]
}

run "a_public_endpoint_says_something_new" {
  command = plan
  variables {
    endpoint        = "https://minio.example.com"
    public_endpoint = "https://minio.example.com"
  }
  expect_failures = [check.replicas_reach_what_clients_reach]
}
