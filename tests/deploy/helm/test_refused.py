"""Values that cannot be meant: the schema refuses each alone, the chart refuses what does not go together."""

import pytest

from chart import Refused, merged, render3, render4, values_of

EMBEDDED, FLEET = {}, values_of("fleet")
INGRESS = {"enabled": True, "hosts": [{"host": "a.example.com"}]}

TOGETHER = [
    (EMBEDDED, {"autoscaling": {"enabled": True}}, "mode embedded cannot scale"),
    (EMBEDDED, {"keda": {"enabled": True, "prometheusAddress": "http://p"}}, "mode embedded cannot scale"),
    (EMBEDDED, {"replicaCount": 2}, "replicaCount is 2, but mode embedded keeps its files in one volume"),
    (EMBEDDED, {"s3": {"bucket": "crates"}}, "s3.bucket is set, but mode embedded"),
    (EMBEDDED, {"redis": {"url": "redis://r"}}, "redis.url is set, but mode embedded"),
    (EMBEDDED, {"settings": {"delivery": "redirect"}}, "settings.delivery is redirect, but"),
    (EMBEDDED, {"persistence": {"enabled": False, "existingClaim": "a"}}, "persistence.existingClaim is set and"),
    (EMBEDDED, {"persistence": {"enabled": False}, "verify": {"enabled": True}}, "cannot reach the files"),
    (EMBEDDED, {"persistence": {"accessModes": ["ReadWriteOncePod"]}, "verify": {"enabled": True}}, "cannot mount"),
    (EMBEDDED, {"registries": {"internal": {}}}, "registries.internal needs an index"),
    (EMBEDDED, {"dist": {"internal": {}}}, "dist.internal needs a url"),
    (EMBEDDED, {"registries": {"a": {"index": "sparse+https://a.example.com/"}}, "dist": {"a": {"url": "https://a.example.com"}}},
     "registries.a and dist.a share"),
    (EMBEDDED, {"registries": {"rustup": {"index": "sparse+https://a.example.com/"}}}, "registries.rustup and dist.rustup share"),
    (FLEET, {"s3": {"bucket": ""}}, "mode fleet needs s3.bucket"),
    (FLEET, {"redis": {"url": "", "existingSecret": ""}}, "mode fleet with more than one replica needs redis.url"),
    (FLEET, {"redis": {"url": "", "existingSecret": ""}, "replicaCount": 1, "autoscaling": {"enabled": True}},
     "mode fleet with more than one replica needs redis.url"),
    (FLEET, {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}, "exclude each other: two autoscalers"),
    (FLEET, {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}, "autoscaling.minReplicas is more"),
    (FLEET, {"autoscaling": {"enabled": True, "targetCPU": 0}}, "autoscaling has nothing to go by"),
    (FLEET, {"keda": {"enabled": True}}, "keda has nothing to go by"),
    (FLEET, {"s3": {"credentials": {"accessKeyId": "a", "secretAccessKey": "b"}}}, "has an existingSecret and keys"),
    (FLEET, {"s3": {"credentials": {"existingSecret": "", "accessKeyId": "a"}}}, "go together"),
    (FLEET, {"serviceAccount": {"roleArn": "arn:aws:iam::123456789012:role/a"}}, "static keys would win"),
    (FLEET, {"serviceAccount": {"podIdentity": True, "name": "a"}}, "static keys would win"),
    (EMBEDDED, {"serviceAccount": {"roleArn": "arn:aws:iam::123456789012:role/a", "podIdentity": True}}, "IRSA would win"),
    (EMBEDDED, {"serviceAccount": {"roleArn": "arn:aws:iam::123456789012:role/a", "create": False}},
     "needs serviceAccount.create"),
    (EMBEDDED, {"serviceAccount": {"podIdentity": True}}, "needs serviceAccount.name"),
    (FLEET, {"redis": {"password": "a"}}, "redis has an existingSecret and a password"),
    (EMBEDDED, {"redis": {"username": "a"}}, "redis has a user or a password and no url"),
    (EMBEDDED, {"registries": {"crates-io": {"token": "a", "existingSecret": "b"}}}, "token in more than one place"),
    (EMBEDDED, {"dist": {"rustup": {"token": "a", "token-file": "/b"}}}, "dist.rustup has its token in more than one place"),
    (EMBEDDED, {"caBundle": {"existingSecret": "a", "existingConfigMap": "b"}}, "caBundle has an existingConfigMap and"),
    (EMBEDDED, {"caBundle": {"replaceSystem": True}}, "caBundle.replaceSystem needs"),
    (EMBEDDED, {"terminationGracePeriodSeconds": 254}, "is 254, but the drain may take 255 s"),
    (EMBEDDED, {"tls": {"enabled": True}}, "tls.enabled needs tls.existingSecret"),
    (EMBEDDED, {"ingress": {"enabled": True}}, "ingress.enabled needs ingress.hosts"),
    (EMBEDDED, {"ingress": {**INGRESS, "tls": [{"secretName": "a"}]}}, "would give clients http addresses"),
    (EMBEDDED, {"httpRoute": {"enabled": True}}, "httpRoute.enabled needs httpRoute.parentRefs"),
    (EMBEDDED, {"service": {"nodePort": 30000}}, "service.nodePort needs service.type"),
    (EMBEDDED, {"networkPolicy": {"egressNames": [{"matchName": "a"}]}}, "needs networkPolicy.flavor cilium"),
    (FLEET, {"podDisruptionBudget": {"minAvailable": 2}}, "needs one of minAvailable and maxUnavailable"),
    (FLEET, {"podDisruptionBudget": {"maxUnavailable": "", "minAvailable": 3}}, "no node could ever be drained"),
    (EMBEDDED, {"sweep": {"enabled": True}}, "sweep has nothing to go by"),
    (EMBEDDED, {"settings": {"sweep-every": "1d"}}, "settings.sweep-every has nothing to go by"),
    (
        EMBEDDED,
        {"sweep": {"enabled": True}, "settings": {"sweep-every": "1d", "sweep-unused-for": "90d"}},
        "one sweeper is enough",
    ),
    (EMBEDDED, {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "there twice"),
]

ALONE = [
    {"replicas": 3},
    {"mode": "cluster"},
    {"replicaCount": "three"},
    {"replicaCount": -1},
    {"image": {"digest": "sha256:abc"}},
    {"image": {"pullpolicy": "Always"}},
    {"settings": {"index-tll": "2m"}},
    {"settings": {"index-ttl": "2 minutes"}},
    {"settings": {"index-ttl": 60}},
    {"settings": {"fills-max": 0}},
    {"settings": {"store": "fs:/elsewhere"}},
    {"settings": {"redis-password": "secret"}},
    {"registries": {"Internal": {"index": "sparse+https://a.example.com/"}}},
    {"registries": {"internal": {"index": "https://a.example.com/index"}}},
    {"registries": {"internal": {"index": "sparse+https://user:secret@a.example.com/"}}},
    {"registries": {"internal": {"index": "sparse+https://a.example.com/", "tokn": "a"}}},
    {"dist": {"Internal": {"url": "https://a.example.com"}}},
    {"dist": {"internal": {"url": "a.example.com"}}},
    {"dist": {"internal": {"url": "https://user:secret@a.example.com"}}},
    {"dist": {"internal": {"url": "https://a.example.com", "index-ttl": "1m"}}},
    {"s3": {"bucket": "UPPER"}},
    {"s3": {"encryption": "aes"}},
    {"s3": {"endpoint": "minio:9000"}},
    {"redis": {"url": "http://redis"}},
    {"redis": {"url": "redis://user:secret@redis:6379/0"}},
    {"persistence": {"size": "big"}},
    {"persistence": {"accessModes": []}},
    {"drain": {"timeoutSeconds": 0}},
    {"livenessProbe": {"exec": {"command": ["true"]}}},
    {"commonLabels": {"a": 1}},
    {"service": {"port": 70000}},
    {"service": {"type": "ExternalName"}},
    {"ingress": {"hosts": [{"name": "a"}]}},
    {"networkPolicy": {"flavor": "calico"}},
    {"podDisruptionBudget": {"enabled": "yes"}},
    {"sweep": {"schedule": "daily"}},
    {"sweep": {"unusedFor": "90 days"}},
    {"metrics": {"dashboards": {"kind": "configmap"}}},
    {"serviceAccount": {"roleArn": "crateport"}},
    {"test": {"crate": "$(id)"}},
    {"extraEnv": {"A": "b"}},
]


@pytest.mark.parametrize("base, changes, sentence", TOGETHER, ids=[sentence for _, _, sentence in TOGETHER])
def test_contradictions_are_refused_with_a_sentence(base, changes, sentence):
    values = merged(base, changes)
    for render in (render3, render4):
        with pytest.raises(Refused) as refused:
            render(values)
        assert sentence in str(refused.value)


@pytest.mark.parametrize("changes", ALONE, ids=str)
def test_the_schema_refuses(changes):
    with pytest.raises(Refused, match="specifications of the schema"):
        render3(changes)
    with pytest.raises(Refused, match="- at '"):
        render4(changes)
