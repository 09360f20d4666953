# A cluster with an OIDC provider: the pods take the role by IRSA, and a Redis of two small nodes stands between them.
#
#   terraform apply
#   kubectl create secret generic crateport-redis --from-literal=password="$(terraform output -raw redis_password)"
#   terraform output -raw helm_values | helm upgrade --install crateport helm/crateport -f -

module "crateport" {
  source = "../../aws"

  irsa = [{
    oidc_provider_arn = var.oidc_provider_arn
    namespace         = "default"
    service_account   = "crateport"
  }]

  redis = {
    vpc_id                    = var.vpc_id
    subnet_ids                = var.subnet_ids
    client_security_group_ids = [var.node_security_group_id]
  }
}
