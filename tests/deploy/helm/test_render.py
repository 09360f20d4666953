"""Every ci file, by both engines, against the schemas of Kubernetes and of the custom resources."""

import json
import subprocess
import tempfile
from pathlib import Path

import kubernetes_validate
import pytest

from chart import CI_FILES, ENGINE4_KUBERNETES, KUBERNETES, NODE_MODULES, lint, render4, rendered, values_of

CUSTOM = {
    "CiliumNetworkPolicy": "@kubernetes-models/cilium/cilium.io/v2",
    "GrafanaDashboard": "@kubernetes-models/grafana-operator/grafana.integreatly.org/v1beta1",
    "HTTPRoute": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
    "PodMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "PrometheusRule": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
    "ScaledObject": "@kubernetes-models/keda/keda.sh/v1alpha1",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
}


@pytest.mark.parametrize("ci_file", CI_FILES)
def test_both_engines_make_the_same_objects(ci_file):
    objects, _ = render4(values_of(ci_file))
    assert objects == rendered(ci_file, ENGINE4_KUBERNETES)


@pytest.mark.parametrize("ci_file", CI_FILES)
def test_strict_lint_has_nothing_to_say(ci_file):
    assert lint(values_of(ci_file)) == []


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("ci_file", CI_FILES)
def test_every_object_is_what_that_kubernetes_knows(ci_file, kubernetes):
    for it in rendered(ci_file, kubernetes):
        if it["kind"] not in CUSTOM:
            # A kind or version that it does not know is an error too.
            kubernetes_validate.validate(it, kubernetes, strict=True)


def test_the_schemas_of_kubernetes_do_refuse():
    deployment = json.loads(json.dumps(next(it for it in rendered("fleet") if it["kind"] == "Deployment")))
    deployment["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, ENGINE4_KUBERNETES, strict=True)


def test_every_custom_resource_has_its_type():
    objects = [it for ci_file in CI_FILES for it in rendered(ci_file) if it["kind"] in CUSTOM]
    assert {it["kind"] for it in objects} == set(CUSTOM), "each kind is in some ci file"
    lines = [f'import type {{I{kind}}} from "{module}";' for kind, module in CUSTOM.items()]
    for number, it in enumerate(objects):
        assert CUSTOM[it["kind"]].endswith(it["apiVersion"])
        lines.append(f"export const o{number}: I{it['kind']} = {json.dumps(it)};")
        # The compiler does refuse: it reports an expected error that does not come.
        wrong = json.dumps({**it, "spec": {**it["spec"], "noSuchField": 1}})
        lines += ["// @ts-expect-error", f"export const wrong{number}: I{it['kind']} = {wrong};"]
    with tempfile.TemporaryDirectory(dir=NODE_MODULES.parent) as directory:
        source = Path(directory) / "objects.mts"
        source.write_text("\n".join(lines))
        options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext"]
        command = [NODE_MODULES / ".bin/tsc", *options, source]
        done = subprocess.run(command, capture_output=True, text=True, cwd=NODE_MODULES.parent)
    assert done.returncode == 0, done.stdout
