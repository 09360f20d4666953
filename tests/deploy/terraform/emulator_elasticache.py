"""What moto's ElastiCache lacks for the module: parameter groups, the end of subnet groups, user groups, and nodes of a
replication group that can be looked up. Kept in memory, without checks: that AWS takes these values only AWS can tell."""

from moto.core.responses import ActionResult, EmptyResult
from moto.core.exceptions import ServiceException
from moto.elasticache.exceptions import CacheClusterNotFound
from moto.elasticache.models import CacheCluster, ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse

parameter_groups: dict[str, dict] = {}
user_groups: dict[str, dict] = {}
ARN = "arn:aws:elasticache:{region}:{account}:{kind}:{name}"


class NotFound(ServiceException):
    status = 404

    def __init__(self, code: str):
        super().__init__(f"{code}: there is none of this name")
        self.code = code


def arn(response: ElastiCacheResponse, kind: str, name: str) -> str:
    return ARN.format(region=response.region, account=response.current_account, kind=kind, name=name)


def create_cache_parameter_group(self) -> ActionResult:
    params = self._get_params()
    name = params["CacheParameterGroupName"]
    group = {
        "CacheParameterGroupName": name,
        "CacheParameterGroupFamily": params["CacheParameterGroupFamily"],
        "Description": params["Description"],
        "IsGlobal": False,
        "ARN": arn(self, "parametergroup", name),
    }
    parameter_groups[name] = {"group": group, "values": {}}
    self.elasticache_backend.add_tags_to_resource(group["ARN"], params.get("Tags", []))
    return ActionResult({"CacheParameterGroup": group})


def found_parameters(self) -> dict:
    name = self._get_params()["CacheParameterGroupName"]
    if name not in parameter_groups:
        raise NotFound("CacheParameterGroupNotFound")
    return parameter_groups[name]


def describe_cache_parameter_groups(self) -> ActionResult:
    return ActionResult({"CacheParameterGroups": [found_parameters(self)["group"]]})


def modify_cache_parameter_group(self) -> ActionResult:
    found = found_parameters(self)
    for pair in self._get_params()["ParameterNameValues"]:
        found["values"][pair["ParameterName"]] = pair["ParameterValue"]
    return ActionResult({"CacheParameterGroupName": found["group"]["CacheParameterGroupName"]})


def describe_cache_parameters(self) -> ActionResult:
    values = found_parameters(self)["values"].items()
    return ActionResult(
        {"Parameters": [{"ParameterName": name, "ParameterValue": value, "Source": "user"} for name, value in values]}
    )


def delete_cache_parameter_group(self) -> ActionResult:
    parameter_groups.pop(found_parameters(self)["group"]["CacheParameterGroupName"])
    return EmptyResult()


def delete_cache_subnet_group(self) -> ActionResult:
    name, groups = self._get_params()["CacheSubnetGroupName"], self.elasticache_backend.cache_subnet_groups
    if groups.pop(name, None) is None:
        raise NotFound("CacheSubnetGroupNotFoundFault")
    return EmptyResult()


def create_user_group(self) -> ActionResult:
    params = self._get_params()
    name = params["UserGroupId"]
    user_groups[name] = {
        "UserGroupId": name,
        "Engine": params["Engine"],
        "UserIds": params.get("UserIds", []),
        "Status": "active",
        "ARN": arn(self, "usergroup", name),
    }
    self.elasticache_backend.add_tags_to_resource(user_groups[name]["ARN"], params.get("Tags", []))
    return ActionResult(user_groups[name])


def found_user_group(self) -> dict:
    name = self._get_params()["UserGroupId"]
    if name not in user_groups:
        raise NotFound("UserGroupNotFound")
    return user_groups[name]


def describe_user_groups(self) -> ActionResult:
    return ActionResult({"UserGroups": [found_user_group(self)]})


def delete_user_group(self) -> ActionResult:
    return ActionResult(user_groups.pop(found_user_group(self)["UserGroupId"]))


plain_describe = ElastiCacheBackend.describe_cache_clusters


def describe_cache_clusters(self, cache_cluster_id=None):
    try:
        return plain_describe(self, cache_cluster_id)
    except CacheClusterNotFound:
        for group in self.replication_groups.values():
            if cache_cluster_id in group.member_clusters:
                return [node(self, group, cache_cluster_id)]
        raise


def node(backend, group, cluster_id: str) -> CacheCluster:
    code = CacheCluster.__init__.__code__
    values = dict.fromkeys(code.co_varnames[1 : code.co_argcount])
    same = ["replication_group_id", "engine", "cache_node_type", "port", "cache_subnet_group_name"]
    same += ["cache_parameter_group_name", "security_group_ids", "transit_encryption_enabled", "engine_version"]
    same += ["auto_minor_version_upgrade", "preferred_maintenance_window"]
    values |= {name: getattr(group, name) for name in same if hasattr(group, name)}
    values |= {"account_id": backend.account_id, "region_name": backend.region_name, "num_cache_nodes": 1}
    cluster = CacheCluster(**values | {"cache_cluster_id": cluster_id})
    cluster.at_rest_encryption_enabled = group.at_rest_encryption_enabled
    cluster.transit_encryption_mode = group.transit_encryption_mode
    groups = group.security_group_ids or []
    cluster.security_groups = [{"SecurityGroupId": one, "Status": "active"} for one in groups]
    return cluster


plain_create = ElastiCacheBackend.create_replication_group


def create_replication_group(self, *arguments, **named):
    """moto counts replicas of node groups only, the module all nodes."""
    if named.get("num_cache_clusters"):
        named["replicas_per_node_group"] = int(named["num_cache_clusters"]) - 1
    return plain_create(self, *arguments, **named)


plain_delete = ElastiCacheBackend.delete_replication_group


def delete_replication_group(self, replication_group_id, retain_primary_cluster):
    """In moto it is being deleted for ever."""
    group = plain_delete(self, replication_group_id, retain_primary_cluster)
    self.replication_groups.pop(replication_group_id)
    return group


def list_tags_for_resource(self, arn: str) -> dict:
    """moto knows fewer kinds of ARN than there are."""
    return self.tagging_service.list_tags_for_resource(arn)


def extend() -> None:
    for action in (
        create_cache_parameter_group,
        describe_cache_parameter_groups,
        modify_cache_parameter_group,
        describe_cache_parameters,
        delete_cache_parameter_group,
        delete_cache_subnet_group,
        create_user_group,
        describe_user_groups,
        delete_user_group,
    ):
        setattr(ElastiCacheResponse, action.__name__, action)
    ElastiCacheBackend.describe_cache_clusters = describe_cache_clusters
    ElastiCacheBackend.list_tags_for_resource = list_tags_for_resource
    ElastiCacheBackend.create_replication_group = create_replication_group
    ElastiCacheBackend.delete_replication_group = delete_replication_group
