# The smallest: a bucket, and one replica on an instance without a way in from outside of its network. No Redis: there
# is nobody to talk to.

module "crateport" {
  source = "../../aws"

  name = "crateport"
  ec2  = true
}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
}

resource "aws_security_group" "this" {
  name_prefix = "crateport-"
  description = "Crateport: clients of the network come in, upstreams and S3 are reached"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  security_group_id = aws_security_group.this.id
  description       = "cargo and rustup"
  cidr_ipv4         = var.client_cidr
  ip_protocol       = "tcp"
  from_port         = 8080
  to_port           = 8080
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "Upstreams and S3"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_instance" "this" {
  ami                         = data.aws_ssm_parameter.image.value
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  vpc_security_group_ids      = [aws_security_group.this.id]
  iam_instance_profile        = module.crateport.instance_profile_name
  associate_public_ip_address = false
  user_data_replace_on_change = true
  monitoring                  = true
  ebs_optimized               = true

  user_data = templatefile("${path.module}/user-data.sh", {
    binary_url    = var.binary_url
    binary_sha256 = var.binary_sha256
    environment = merge(module.crateport.environment, {
      CRATEPORT_LISTEN     = "0.0.0.0:8080"
      CRATEPORT_PUBLIC_URL = var.public_url
    })
  })

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_size = 20
    volume_type = "gp3"
    encrypted   = true
  }

  tags = { Name = "crateport" }
}
