"""What Kubernetes' schemas do not see: that the objects of a release fit each other."""

import re

import pytest

from chart import CI_FILES, RELEASE, config_of, find, merged, pods, render3, render4, rendered, values_of

every_ci_file = pytest.mark.parametrize("ci_file", CI_FILES)
# Objects that the ci files take from outside.
EXTERNAL = {
    "Secret": {"company-ca", "crates-redis", "crates-s3", "crates-tls", "garage", "internal-registry", "mirror", "pull",
               "toolchains"},
    "ConfigMap": {"company-ca", "proxy"},
    "PersistentVolumeClaim": set(),
}


def selects(selector, labels):
    matches = selector.get("matchLabels", {}).items() <= labels.items()
    return matches and all(labels.get(it["key"]) in it["values"] for it in selector.get("matchExpressions", []))


def servers(objects):
    return [(labels, spec) for it, labels, spec in pods(objects) if it["kind"] in ("Deployment", "StatefulSet")]


def ports_of(spec):
    return {port["name"]: port["containerPort"] for it in spec["containers"] for port in it.get("ports", [])}


@every_ci_file
def test_selectors_find_the_pods_that_serve_and_no_other(ci_file):
    objects = rendered(ci_file)
    name = values_of(ci_file).get("nameOverride", "crateport")
    # Selectors are immutable: a change here would break every upgrade.
    selector = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/component": "server",
    }
    found = [it["spec"]["selector"] for it in objects if it["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget")]
    assert all(it == {"matchLabels": selector} for it in found)
    assert all(it["spec"]["selector"] == selector for it in objects if it["kind"] == "Service")
    for it, labels, spec in pods(objects):
        serves = it["kind"] in ("Deployment", "StatefulSet")
        assert selects({"matchLabels": selector}, labels) == serves
        for constraint in spec.get("topologySpreadConstraints", []):
            assert selects(constraint["labelSelector"], labels)
    for it in objects:
        if it["kind"] in ("NetworkPolicy", "CiliumNetworkPolicy"):
            policy = it["spec"].get("podSelector") or it["spec"]["endpointSelector"]
            covered = {it["kind"] for it, labels, _ in pods(objects) if selects(policy, labels)}
            assert covered == {it["kind"] for it, *_ in pods(objects)} - {"Pod"}, "all but the test"


@every_ci_file
def test_named_ports_exist(ci_file):
    objects = rendered(ci_file)
    [(_, spec)] = servers(objects)
    ports = ports_of(spec)
    for it in objects:
        if it["kind"] == "Service":
            assert {port["targetPort"] for port in it["spec"]["ports"]} <= set(ports)
        if it["kind"] == "NetworkPolicy":
            named = [port["port"] for rule in it["spec"]["ingress"] for port in rule.get("ports", [])]
            assert set(named) == set(ports)
        if it["kind"] == "CiliumNetworkPolicy":
            named = [port["port"] for rule in it["spec"]["ingress"] for to in rule["toPorts"] for port in to["ports"]]
            assert set(named) == {str(port) for port in ports.values()}
    main = spec["containers"][0]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert main[probe]["httpGet"]["port"] == "ops"
    assert main["livenessProbe"]["httpGet"]["path"] == "/livez" and main["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert len({str(main[probe]) for probe in ("startupProbe", "livenessProbe", "readinessProbe")}) == 3


@every_ci_file
def test_the_ops_port_is_never_public(ci_file):
    for it in rendered(ci_file):
        if it["kind"] == "Service" and "ops" in [port["name"] for port in it["spec"]["ports"]]:
            assert it["spec"]["type"] == "ClusterIP" and it["spec"]["clusterIP"] == "None"
        if it["kind"] in ("Ingress", "HTTPRoute"):
            assert "ops" not in str(it["spec"])


@every_ci_file
def test_routes_lead_to_a_port_of_the_service(ci_file):
    objects = rendered(ci_file)
    services = {it["metadata"]["name"]: it["spec"]["ports"] for it in objects if it["kind"] == "Service"}
    for it in objects:
        if it["kind"] == "Ingress":
            for path in (path for rule in it["spec"]["rules"] for path in rule["http"]["paths"]):
                backend = path["backend"]["service"]
                assert backend["port"]["name"] in [port["name"] for port in services[backend["name"]]]
        if it["kind"] == "HTTPRoute":
            for backend in (backend for rule in it["spec"]["rules"] for backend in rule.get("backendRefs", [])):
                assert backend["port"] in [port["port"] for port in services[backend["name"]]]


@every_ci_file
def test_mounts_and_volumes_match_and_what_they_name_exists(ci_file):
    objects = rendered(ci_file)
    made = {kind: {it["metadata"]["name"] for it in objects if it["kind"] == kind} | EXTERNAL[kind] for kind in EXTERNAL}
    for it in objects:
        if it["kind"] == "StatefulSet":
            claims = [claim["metadata"]["name"] for claim in it["spec"].get("volumeClaimTemplates", [])]
            made["PersistentVolumeClaim"] |= {f"{claim}-{it['metadata']['name']}-0" for claim in claims}
    for it, _, spec in pods(objects):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"])
        claims = {claim["metadata"]["name"] for claim in it["spec"].get("volumeClaimTemplates", [])}
        mounts = [mount for container in spec["containers"] for mount in container.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} == set(volumes) | claims
        named = [("Secret", volume["secret"]["secretName"]) for volume in volumes.values() if "secret" in volume]
        named += [("ConfigMap", volume["configMap"]["name"]) for volume in volumes.values() if "configMap" in volume]
        named += [
            ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            for volume in volumes.values() if "persistentVolumeClaim" in volume
        ]
        named += [("Secret", secret["name"]) for secret in spec.get("imagePullSecrets", [])]
        for variable in (variable for container in spec["containers"] for variable in container.get("env", [])):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                named.append(("Secret", reference["name"]))
                own = [secret for secret in objects if secret["kind"] == "Secret" and secret["metadata"]["name"] == reference["name"]]
                assert all(reference["key"] in secret["data"] for secret in own)
        for kind, name in named:
            assert name in made[kind], f"{kind} {name}"
        accounts = [account["metadata"]["name"] for account in objects if account["kind"] == "ServiceAccount"]
        assert spec.get("serviceAccountName", accounts[0]) in accounts


@every_ci_file
def test_every_container_meets_the_restricted_standard(ci_file):
    for _, _, spec in pods(rendered(ci_file)):
        pod = spec.get("securityContext", {})
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        assert not any("hostPath" in volume for volume in spec["volumes"])
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]} and not context.get("privileged")
            assert not any("hostPort" in port for port in container.get("ports", []))


@every_ci_file
def test_the_end_of_a_pod_is_longer_than_its_drain_and_needs_no_shell(ci_file):
    objects = rendered(ci_file)
    [(_, spec)] = servers(objects)
    assert "lifecycle" not in spec["containers"][0]
    delay, drain = (int(config_of(objects)[name].removesuffix("s")) for name in ("drain-delay", "drain-timeout"))
    # Requests in flight and then fills may each take that long.
    assert spec["terminationGracePeriodSeconds"] > delay + 2 * drain


@every_ci_file
def test_no_secret_stands_in_an_open_text(ci_file):
    values = str(values_of(ci_file))
    secrets = re.findall(r"example-[a-z-]*(?:secret|password|token)", values)
    others = [it for it in rendered(ci_file) if it["kind"] != "Secret"]
    assert not any(secret in str(others) for secret in secrets)


@every_ci_file
def test_replicas_are_left_to_the_autoscaler(ci_file):
    objects = rendered(ci_file)
    scalers = [it for it in objects if it["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    for scaler in scalers:
        target = find(objects, scaler["spec"]["scaleTargetRef"]["kind"])
        assert target["metadata"]["name"] == scaler["spec"]["scaleTargetRef"]["name"]
        assert "replicas" not in target["spec"]
    if not scalers:
        [target] = [it for it in objects if it["kind"] in ("Deployment", "StatefulSet")]
        assert target["spec"]["replicas"] == values_of(ci_file).get("replicaCount", 3 if target["kind"] == "Deployment" else 1)


@every_ci_file
def test_monitors_find_what_they_scrape(ci_file):
    objects = rendered(ci_file)
    services = [it for it in objects if it["kind"] == "Service"]
    for it in objects:
        if it["kind"] == "ServiceMonitor":
            [service] = [service for service in services if selects(it["spec"]["selector"], service["metadata"]["labels"])]
            ports = [port["name"] for port in service["spec"]["ports"]]
            assert [endpoint["port"] in ports for endpoint in it["spec"]["endpoints"]] == [True]
        if it["kind"] == "PodMonitor":
            [(labels, spec)] = servers(objects)
            assert selects(it["spec"]["selector"], labels)
            assert [endpoint["port"] in ports_of(spec) for endpoint in it["spec"]["podMetricsEndpoints"]] == [True]


@every_ci_file
def test_every_object_is_there_once(ci_file):
    objects = rendered(ci_file)
    names = [(it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]) for it in objects]
    assert len(set(names)) == len(names)


def test_a_long_release_name_still_fits():
    values = merged(values_of("fleet-eks-irsa"), {"fullnameOverride": "a" * 60})
    for it in render3(values):
        # A CronJob adds the time to its jobs' names.
        longest = 52 if it["kind"] == "CronJob" else 63 if it["kind"] in ("Service", "StatefulSet", "Deployment") else 253
        assert len(it["metadata"]["name"]) <= longest, it["metadata"]["name"]


def test_common_labels_and_annotations_are_on_every_object_and_in_no_selector():
    for it in rendered("fleet-everything-else"):
        if it["metadata"]["name"] in (f"{RELEASE}-mine", f"{RELEASE}-text"):
            continue
        assert it["metadata"]["labels"]["team"] == "tools", it["kind"]
        assert it["metadata"]["annotations"]["owner"] == "tools@example.com", it["kind"]
        assert "team" not in str(it.get("spec", {}).get("selector", ""))


def test_the_network_policy_lets_out_what_the_values_name_and_no_more():
    def ports(ci_file):
        rules = find(rendered(ci_file), "NetworkPolicy")["spec"]["egress"]
        return sorted({port["port"] for rule in rules for port in rule.get("ports", [])})

    assert ports("minimal") == [53, 443]
    assert ports("embedded") == [53, 443, 8443]
    assert ports("fleet") == [53, 443, 6379, 8081]
    assert ports("fleet-eks-irsa") == [53, 443, 4318, 6380, 8081]
    assert ports("fleet-eks-pod-identity") == [53, 80, 443, 6379, 8081]
    assert ports("fleet-everything-else") == [53, 443, 3128, 3900, 8443]
    cilium = find(rendered("fleet-minio"), "CiliumNetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in cilium[2]["toPorts"][0]["ports"]] == ["443", "8000", "8001", "9000", "26379", "6379"]


def test_replicas_that_share_a_redis_tell_each_other_where_they_read_along():
    def advertised(ci_file):
        (_, spec), = servers(rendered(ci_file))
        container = spec["containers"][0]
        return [env["valueFrom"] for env in container["env"] if env["name"] == "CRATEPORT_ADVERTISE_ADDRESS"]

    for ci_file in ("fleet", "fleet-minio"):
        assert advertised(ci_file) == [{"fieldRef": {"fieldPath": "status.podIP"}}]
    for ci_file in ("minimal", "embedded", "fleet-everything-else"):
        assert advertised(ci_file) == []
    policy = find(rendered("fleet"), "NetworkPolicy")["spec"]
    for way, rules in (("from", policy["ingress"]), ("to", policy["egress"])):
        selectors = [peer["podSelector"] for rule in rules for peer in rule.get(way, []) if "podSelector" in peer]
        assert any(it.get("matchLabels", {}).get("app.kubernetes.io/component") == "server" for it in selectors), way


def test_a_changed_configuration_or_secret_replaces_the_pods():
    def checksums(changes):
        template = find(render3(merged(values_of("fleet-minio"), changes)), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]

    before = checksums({})
    config = checksums({"settings": {"index-ttl": "5m"}})
    secret = checksums({"redis": {"password": "another"}})
    assert before["checksum/config"] != config["checksum/config"] and before["checksum/secret"] == config["checksum/secret"]
    assert before["checksum/secret"] != secret["checksum/secret"] and before["checksum/config"] == secret["checksum/config"]


def test_the_configuration_file_says_what_the_values_say():
    embedded, minio = config_of(rendered("embedded")), config_of(rendered("fleet-minio"))
    assert embedded["store"] == "fs:/var/lib/crateport" and embedded["fills-max"] == 64
    assert embedded["listen"][1] == "0.0.0.0:8443,cert=/etc/crateport/tls/tls.crt,key=/etc/crateport/tls/tls.key"
    assert embedded["registries"]["internal"] == {
        "index": "sparse+https://registry.internal.example.com:8443/index/",
        "hosts": ["files.internal.example.com"],
    }
    assert minio["s3-endpoint"] == "https://minio.storage.svc:9000" and minio["s3-path-style"] == "always"
    assert config_of(rendered("fleet-eks-irsa"))["store"] == "s3://example-crates/cache"
    assert config_of(rendered("fleet-eks-pod-identity"))["listen"] == ["[::]:8080"]
    awkward = config_of(render3({"settings": {"user-agent-contact": 'a "b" \\ <c> & d', "index-memory": 1073741824}}))
    assert awkward["user-agent-contact"] == 'a "b" \\ <c> & d' and awkward["index-memory"] == 1073741824


def test_every_file_of_rules_and_every_dashboard_arrives_as_it_is():
    objects = rendered("fleet-eks-irsa")
    rule = find(objects, "PrometheusRule", "-alerts")
    assert rule["spec"]["groups"][0]["rules"][0]["annotations"]["summary"] == "{{ $labels.instance }} is down"
    dashboard = find(objects, "ConfigMap", "-dashboard-overview")
    assert "{{ a template of Grafana's, not of Helm's }}" in dashboard["data"]["overview.json"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_jobs_of_mode_embedded_run_beside_its_volume():
    jobs = [it for it in pods(rendered("embedded")) if it[0]["kind"] == "CronJob"]
    assert len(jobs) == 2
    [(server, _)] = servers(rendered("embedded"))
    for _, _, spec in jobs:
        [term] = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname" and selects(term["labelSelector"], server)


def test_the_notes_print_the_lines_of_cargo_and_rustup():
    _, notes = render4(values_of("embedded"))
    for line in [
        'index = "sparse+https://crates.example.com/crates-io/index/"',
        'replace-with = "crateport"',
        "[registries.internal]",
        "export RUSTUP_DIST_SERVER=https://crates.example.com/rustup\n",
        "export RUSTUP_UPDATE_ROOT=https://crates.example.com/rustup/rustup\n",
        "helm test crates --namespace tools",
    ]:
        assert line in notes, notes
    _, notes = render4({})
    assert "sparse+http://crates-crateport.tools/crates-io/index/" in notes and "port-forward" in notes
