# As in the example eks, with a Redis that nobody sizes. It is a cluster to its clients, which the address says.

module "crateport" {
  source = "../../aws"

  irsa = [{
    oidc_provider_arn = var.oidc_provider_arn
    namespace         = "default"
    service_account   = "crateport"
  }]

  redis = {
    kind                      = "serverless"
    vpc_id                    = var.vpc_id
    subnet_ids                = var.subnet_ids
    client_security_group_ids = [var.node_security_group_id]
  }
}
