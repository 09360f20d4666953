"""Applies the module to an emulated AWS, runs Crateport with nothing but the role it made, and destroys it again.

`apply.py CRATEPORT CONTRACT_AT CHART`: the binary, the store's example `contract_at`, and the chart's folder. Needs
terraform, openssl, redis-server and redis-cli, and every folder initialised (`run` does that).
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import yaml
from botocore.exceptions import ClientError
from helm_python import chart as helm

from identity import web_identity
from upstream import Upstream

HERE = Path(__file__).parent
BUCKET, PREFIX, REGION = "crateport-applied", "team/cache", "eu-west-1"
STARTED_S_MAX = 60
GRANTED = {"GetObject", "PutObject", "DeleteObject", "ListBucket", "ListBucketMultipartUploads", "AbortMultipartUpload"}


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {text}", flush=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Stage:
    """The emulator, the state of Terraform, and every process that was started: all end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.children = folder, []
        self.tls, self.plain = free_ports(2)
        self.url, self.plain_url = f"https://127.0.0.1:{self.tls}", f"http://127.0.0.1:{self.plain}"
        self.certificate, self.key, self.audit_file = folder / "cert.pem", folder / "key.pem", folder / "audit"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            + ["-keyout", self.key, "-out", self.certificate, "-subj", "/CN=127.0.0.1"]
            # Not an authority: rustls takes none for a server's own certificate.
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        self.audit_file.touch()
        self.start("emulator", [sys.executable, HERE / "emulator.py", self.tls, self.plain, self.certificate, self.key, self.audit_file])
        self.until(lambda: "ready" in (folder / "emulator.log").read_text(), "the emulator")

    def start(self, name: str, command: list, env: dict[str, str] | None = None) -> subprocess.Popen:
        log = open(self.folder / f"{name}.log", "w")
        child = subprocess.Popen([str(part) for part in command], env=env, stdout=log, stderr=subprocess.STDOUT)
        self.children.append(child)
        return child

    def until(self, is_so, what: str) -> None:
        deadline = time.monotonic() + STARTED_S_MAX
        while True:
            try:
                if is_so():
                    return
            except (OSError, urllib.error.URLError, subprocess.CalledProcessError):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come up; see {self.folder}")
            time.sleep(0.1)

    def end(self, kept: int = 0) -> None:
        """Ends everything but what was started first."""
        ended, self.children = self.children[kept:], self.children[:kept]
        for child in reversed(ended):
            child.send_signal(signal.SIGTERM)
        for child in ended:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()

    def terraform(self, *arguments: str, folder: Path = HERE / "stack", own: dict[str, str] | None = None) -> str:
        env = os.environ | {"AWS_CA_BUNDLE": str(self.certificate), "AWS_REGION": REGION} | (own or {})
        command = ["terraform", f"-chdir={folder}", *arguments]
        done = subprocess.run(command, env=env, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"terraform {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def client(self, service: str, credentials: dict[str, str] | None = None, url: str | None = None):
        keys = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": None}
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            verify=str(self.certificate),
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def audit(self) -> list[tuple[str, str, str]]:
        return [tuple(line.split(" ", 2)) for line in self.audit_file.read_text().splitlines()]

    def enforce(self, is_on: bool) -> None:
        count = b"0" if is_on else b"inf"
        # As a form, the number would not be read.
        headers = {"content-type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{self.plain_url}/moto-api/reset-auth", count, headers)).read()


# What the examples ask for.
ASKED = {
    "ec2": {
        "vpc_id": "vpc-0", "subnet_id": "subnet-0", "binary_url": "https://example.com/crateport",
        "binary_sha256": "0" * 64, "public_url": "http://crates.example.com:8080",
    },
    "eks": (EKS := {
        "vpc_id": "vpc-0", "subnet_ids": '["subnet-0","subnet-1"]', "node_security_group_id": "sg-0",
        "oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC",
    }),
    "eks-serverless": EKS,
    "eks-multi-az": {
        "vpc_id": "vpc-0", "subnet_ids": '["subnet-0","subnet-1","subnet-2"]', "node_security_group_id": "sg-0",
        "route_table_ids": '["rtb-0"]', "cluster_name": "prod", "alarm_topic_arns": '["arn:aws:sns:eu-west-1:123456789012:ops"]',
    },
    "minio": {},
}


def every_example_has_a_plan(stage: Stage) -> None:
    folder = HERE.parents[2] / "terraform" / "examples"
    assert {one.name for one in folder.iterdir()} == set(ASKED), "an example came or went"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": stage.url}
    for name, asked in ASKED.items():
        variables = [f"-var={key}={value}" for key, value in asked.items()]
        plan = stage.terraform("plan", "-input=false", "-no-color", *variables, folder=folder / name, own=keys)
        told = [line for line in plan.splitlines() if line.startswith("Plan:") or "without changing any real" in line]
        say(f"examples/{name}: {told[0]}")


def what_was_applied_is_there(stage: Stage) -> None:
    s3, ec2, cache = stage.client("s3"), stage.client("ec2"), stage.client("elasticache")
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert all(block.values()) and len(block) == 4, block
    assert s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced"
    rule = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms" and rule["BucketKeyEnabled"], rule
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]}
    assert set(rules) == {"abort-uploads", "expire-checks", "expire-v1-crates-io-crates", "tier", "expire-noncurrent"}, rules
    assert rules["abort-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1
    assert s3.get_bucket_logging(Bucket=BUCKET)["LoggingEnabled"]["TargetBucket"] == "crateport-logs"
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [one["ServiceName"] for one in endpoints] == [f"com.amazonaws.{REGION}.s3"], endpoints
    group = cache.describe_replication_groups()["ReplicationGroups"][0]
    assert group["TransitEncryptionEnabled"] and group["AtRestEncryptionEnabled"] and group["MultiAZ"] == "enabled", group
    alarms = stage.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert len(alarms) == 6, alarms


# What the emulator forgets, so that Terraform wants to set it again.
FORGOTTEN = {"aws_vpc_security_group_ingress_rule.redis[0]": {"description"}}


def a_second_plan_changes_nothing(stage: Stage, variables: list[str]) -> None:
    stage.terraform("plan", "-input=false", f"-out={stage.folder / 'second'}", *variables)
    plan = json.loads(stage.terraform("show", "-json", str(stage.folder / "second")))
    for change in plan["resource_changes"]:
        if change["change"]["actions"] in (["no-op"], ["read"]):
            continue
        before, after = change["change"]["before"], change["change"]["after"]
        # Nothing and an empty text are the same to the provider.
        changed = {name for name in after if (after[name] or None) != (before.get(name) or None)}
        known = FORGOTTEN.get(change["address"].removeprefix("module.crateport."))
        told = {name: (before.get(name), after[name]) for name in changed}
        assert known is not None and changed <= known, f"a second plan changes {change['address']}: {told}"


def the_chart_takes_the_values(values: str, chart: str) -> None:
    values = yaml.safe_load(values)
    with helm.Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        rendered = "\n".join(loaded.render(values=values, name="crateport", namespace="default").values())
    wanted = [f"s3://{BUCKET}/{PREFIX}", values["redis"]["url"], values["serviceAccount"]["roleArn"]]
    missing = [text for text in wanted if text not in rendered]
    assert not missing, f"the rendered chart does not name {missing}"


def environment(stage: Stage, role: str, token: Path, more: dict[str, str]) -> dict[str, str]:
    """What a pod has under IRSA, and nothing of this machine's own AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CRATEPORT_"))}
    return kept | {
        "AWS_REGION": REGION,
        "AWS_ROLE_ARN": role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ENDPOINT_URL": stage.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": str(stage.certificate),
        **more,
    }


def run(command: list, env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [str(part) for part in command], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
    )
    return done.returncode, done.stdout


def only_one_service_account_gets_the_role(stage: Stage, role: str) -> dict[str, str]:
    sts = stage.client("sts")
    good = {"iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", "sub": "system:serviceaccount:default:crateport", "aud": "sts.amazonaws.com"}
    for change in (
        {"sub": "system:serviceaccount:default:other"},
        {"sub": "system:serviceaccount:other:crateport"},
        {"aud": "somebody"},
        {"iss": "https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"},
    ):
        refused(lambda claims=good | change: sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="check", WebIdentityToken=web_identity(claims)), f"the role for {change}")
    (stage.folder / "token").write_text(web_identity(good))
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="check", WebIdentityToken=web_identity(good))
    return answer["Credentials"]


REFUSED: list[str] = []


def refused(call, what: str) -> None:
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # A HEAD has no body to name a code in.
        assert code in ("AccessDenied", "403", "Forbidden", "UnauthorizedOperation"), f"{what}: {error}"
        REFUSED.append(what)
        return
    raise AssertionError(f"{what} was not refused")


def all_else_is_refused(stage: Stage, credentials: dict[str, str]) -> None:
    s3, own = stage.client("s3", credentials), f"{PREFIX}/v1/x"
    plain = stage.client("s3", credentials, stage.plain_url)
    s3.put_object(Bucket=BUCKET, Key=own, Body=b"x")
    bucket, key = {"Bucket": BUCKET}, {"Bucket": BUCKET, "Key": own}
    for call, arguments in (
        # Another's prefix, another's bucket.
        (s3.get_object, bucket | {"Key": "team/other/x"}),
        (s3.head_object, bucket | {"Key": "team/cachet/x"}),
        (s3.put_object, bucket | {"Key": "team/other/x", "Body": b"x"}),
        (s3.delete_object, bucket | {"Key": "team/other/x"}),
        (s3.create_multipart_upload, bucket | {"Key": "team/other/x"}),
        (s3.list_objects_v2, bucket | {"Prefix": "team/other/"}),
        (s3.list_objects_v2, bucket | {"Prefix": "team/cache"}),
        (s3.get_object, {"Bucket": "somebody-else", "Key": own}),
        (s3.put_object, {"Bucket": "somebody-else", "Key": own, "Body": b"x"}),
        (s3.list_objects_v2, {"Bucket": "somebody-else"}),
        (s3.put_object, {"Bucket": "crateport-logs", "Key": "x", "Body": b"x"}),
        # Its own objects, but not what a cache does.
        (s3.put_object_acl, key | {"ACL": "public-read"}),
        (s3.get_object_acl, key),
        (s3.put_object_tagging, key | {"Tagging": {"TagSet": []}}),
        (s3.get_object_tagging, key),
        (s3.get_object, key | {"VersionId": "null"}),
        (s3.list_object_versions, bucket),
        # The bucket itself.
        (s3.delete_bucket, bucket),
        (s3.create_bucket, {"Bucket": "another", "CreateBucketConfiguration": {"LocationConstraint": REGION}}),
        (s3.get_bucket_policy, bucket),
        (s3.put_bucket_policy, bucket | {"Policy": "{}"}),
        (s3.delete_bucket_policy, bucket),
        (s3.put_bucket_acl, bucket | {"ACL": "public-read"}),
        (s3.put_bucket_versioning, bucket | {"VersioningConfiguration": {"Status": "Suspended"}}),
        (s3.put_bucket_lifecycle_configuration, bucket | {"LifecycleConfiguration": {"Rules": []}}),
        (s3.get_bucket_location, bucket),
        (s3.list_buckets, {}),
        # Other services.
        (stage.client("iam", credentials).list_roles, {}),
        (stage.client("sts", credentials).assume_role, {"RoleArn": "arn:aws:iam::123456789012:role/any", "RoleSessionName": "check"}),
        (stage.client("ec2", credentials).describe_instances, {}),
        (stage.client("kms", credentials).list_keys, {}),
        (stage.client("secretsmanager", credentials).list_secrets, {}),
        (stage.client("elasticache", credentials).describe_users, {}),
    ):
        said = {name: value for name, value in arguments.items() if name in ("Bucket", "Key", "Prefix")}
        refused(lambda: call(**arguments), f"{call.__self__.meta.service_model.service_name} {call.__name__} {said}")
    for call in (plain.get_object, plain.head_object):
        refused(lambda: call(**key), f"{call.__name__} of its own object without TLS")
    s3.delete_object(**key)


def redis_server(stage: Stage, password: str) -> tuple[int, str]:
    """A Redis with TLS and the user as applied; everyone else is off but one to watch with."""
    users = {user["UserName"]: user for user in stage.client("elasticache").describe_users()["Users"]}
    # Valkey has this command from the beginning, Redis only from 7.2 on.
    rights = users["crateport"]["AccessString"].replace(" +client|setinfo", "")
    [port] = free_ports(1)
    config = stage.folder / "redis.conf"
    config.write_text(
        f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-cert-file {stage.certificate}\ntls-key-file {stage.key}\n"
        f"tls-ca-cert-file {stage.certificate}\ntls-auth-clients no\nsave ''\nappendonly no\n"
        f"user default {users['default']['AccessString']}\nuser crateport {rights} >{password}\n"
        "user watcher on nopass ~* &* +@all\n"
    )
    stage.start("redis", ["redis-server", config])
    stage.until(lambda: "PONG" in redis(stage, port, "watcher", "any", "PING"), "Redis")
    return port, rights


def redis(stage: Stage, port: int, user: str, password: str, *command: str) -> str:
    return subprocess.run(
        ["redis-cli", "-h", "127.0.0.1", "-p", str(port), "--tls", "--cacert", str(stage.certificate)]
        + ["--user", user, "--no-auth-warning", *command],
        env=os.environ | {"REDISCLI_AUTH": password},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    ).stdout.strip()


def a_fleet_serves_with_these_rights(stage: Stage, crateport: str, role: str, outputs: dict, port: int) -> None:
    upstream = Upstream()
    config = stage.folder / "crateport.toml"
    config.write_text(
        "[registries.crates-io]\nenabled = false\n"
        f'[registries.demo]\nindex = "sparse+{upstream.url}/index/"\nallow = ["127.0.0.1"]\n'
    )
    bases, tls = [], ssl.create_default_context(cafile=str(stage.certificate))
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls))
    for number in (1, 2):
        listen, ops = free_ports(2)
        settings = outputs["environment"] | {
            "CRATEPORT_CONFIG": str(config),
            "CRATEPORT_LISTEN": f"127.0.0.1:{listen}",
            "CRATEPORT_OPS_LISTEN": f"127.0.0.1:{ops}",
            "CRATEPORT_REPLICA": f"replica-{number}",
            # The address of ElastiCache is nobody's here; everything else is as Terraform said.
            "CRATEPORT_COORD": f"rediss://127.0.0.1:{port}",
            "CRATEPORT_REDIS_CA_FILE": str(stage.certificate),
            "CRATEPORT_REDIS_PASSWORD": outputs["redis_password"],
            "CRATEPORT_SPOOL_DIR": str(stage.folder / f"spool-{number}"),
            "CRATEPORT_DELIVERY": "redirect",
        }
        (stage.folder / f"spool-{number}").mkdir()
        stage.start(f"replica-{number}", [crateport, "serve"], environment(stage, role, stage.folder / "token", settings))
        bases.append(f"http://127.0.0.1:{listen}")
        stage.until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{ops}/readyz").status == 200, f"replica {number}")
        # On a busy machine the first handshake may take longer than a replica waits for Redis.
        log = stage.folder / f"replica-{number}.log"
        stage.until(lambda: "the coordinator answers" in log.read_text(), f"Redis for replica {number}")
    seen, store = [], stage.client("s3", outputs["credentials"])
    for name, index in (("small", "sm/al/small"), ("large", "la/rg/large")):
        for turn, base in enumerate(bases + bases):
            if turn == len(bases):
                # The last byte goes to the client before the object is in the store.
                begin = f"{PREFIX}/v1/demo/crates/{name}/"
                stage.until(lambda: store.list_objects_v2(Bucket=BUCKET, Prefix=begin)["KeyCount"] == 1, f"{name} in the bucket")
            assert opener.open(f"{base}/demo/index/{index}").status == 200
            answer = opener.open(f"{base}/demo/crates/{name}/1.0.0/download")
            assert answer.read() == upstream.crates[name], name
            seen.append("redirect" if answer.url.startswith(stage.url) else "stream")
    assert seen[2:4] == seen[6:8] == ["redirect", "redirect"], seen
    # A lease may be lost on a busy machine; that each replica fetches at most once is not about rights, but would show.
    assert 2 <= len(upstream.fetches) <= 4, upstream.fetches
    objects = [one["Key"] for one in store.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/v1/demo/")["Contents"]]
    say(f"two replicas, 8 downloads as {', '.join(seen)}; {len(upstream.fetches)} fetches of 2 crates; {len(objects)} objects")


# Said only when something else happens: another database, a refresh that fails, a long fill, a listener that leaves.
UNUSED = {"select", "del", "pexpire", "unsubscribe"}


def redis_refuses_all_else(stage: Stage, port: int, password: str, rights: str) -> None:
    log = redis(stage, port, "watcher", "any", "ACL", "LOG")
    assert log == "", f"Redis refused what Crateport does: {log}"
    used = {
        line.split(":")[0].removeprefix("cmdstat_")
        for line in redis(stage, port, "watcher", "any", "INFO", "commandstats").splitlines()
        if line.startswith("cmdstat_") and ":calls=0," not in line
    }
    granted = {word[1:] for word in rights.split() if word.startswith("+")}
    unused = granted - used
    assert unused <= UNUSED, f"granted, but never said: {unused - UNUSED}; said: {sorted(used)}"
    commands = (
        ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["GET", "somebody:else"],
        ["SET", "somebody:else", "x"], ["PUBLISH", "somebody", "x"], ["SUBSCRIBE", "somebody"], ["CLIENT", "KILL", "ID", "1"],
        ["EVAL", "return redis.call('get', 'somebody:else')", "0"], ["EVAL", "return redis.call('keys', '*')", "0"], ["SCRIPT", "FLUSH"],
        ["MONITOR"], ["SHUTDOWN"], ["INFO"], ["SCAN", "0"],
    )
    for command in commands:
        answer = redis(stage, port, "crateport", password, *command)
        # Inside of a script the refusal has other words.
        assert "NOPERM" in answer or "The user executing the script can't" in answer, f"{command}: {answer}"
    answer = redis(stage, port, "default", "any", "PING")
    assert "NOAUTH" in answer or "WRONGPASS" in answer, answer
    say(f"Redis refused nothing of Crateport's ({' '.join(sorted(used & granted))}) and {len(commands)} others; rights: {rights}")


def main() -> None:
    crateport, contract_at, chart = sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="crateport-terraform-"))
    stage = Stage(folder)
    try:
        variables = ["-var", f"aws_url={stage.url}", f"-state={folder / 'terraform.tfstate'}"]
        every_example_has_a_plan(stage)
        plan = stage.terraform("plan", "-input=false", "-no-color", *variables)
        say(next(line for line in plan.splitlines() if line.startswith("Plan:")))
        stage.terraform("apply", "-input=false", "-auto-approve", *variables)
        state = stage.terraform("state", "list", f"-state={folder / 'terraform.tfstate'}").split()
        say(f"applied: {len([one for one in state if 'module.crateport' in one and '.data.' not in one])} resources of the module")
        what_was_applied_is_there(stage)
        say("what was applied is there")
        a_second_plan_changes_nothing(stage, variables)
        say("a second plan changes nothing that the emulator remembers")

        outputs = json.loads(stage.terraform("output", "-json", f"-state={folder / 'terraform.tfstate'}"))["crateport"]["value"]
        the_chart_takes_the_values(outputs["helm_values"], chart)
        say("the chart takes helm_values, and names bucket, Redis and role")

        use(stage, outputs, crateport, contract_at)
        destroy(stage, variables)
    finally:
        stage.end()


def use(stage: Stage, outputs: dict, crateport: str, contract_at: str) -> None:
    """Everything that is done with the role and the rights that were made."""
    role = outputs["role_arn"]
    port, rights = redis_server(stage, outputs["redis_password"])
    stage.enforce(True)
    outputs["credentials"] = only_one_service_account_gets_the_role(stage, role)
    say("only one service account gets the role")
    token = stage.folder / "token"

    store = ["--store", f"s3://{BUCKET}/{PREFIX}"]
    others = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
    code, text = run([crateport, "check", *store, *others], environment(stage, role, token, {}))
    told = [line for line in text.splitlines() if "s3" in line.lower() or "checksum" in line]
    assert not [line for line in told if "denied" in line.lower() or "403" in line], text
    assert f"s3://{BUCKET}/{PREFIX} takes objects and gives them back" in text, text
    say("crateport check: " + "; ".join(told))

    code, text = run([contract_at, f"s3://{BUCKET}/{PREFIX}/suite"], environment(stage, role, token, {}))
    assert code == 0, text
    say("the store's suite: " + "; ".join(text.splitlines()))

    a_fleet_serves_with_these_rights(stage, crateport, role, outputs, port)
    denied = [line for line in stage.audit() if line[0] == "DENY"]
    assert not denied, f"Crateport was refused: {denied}"
    used = {action.removeprefix("s3:") for _, action, _ in stage.audit()}
    assert used == GRANTED, f"granted but never used: {GRANTED - used}; used: {used}"
    say(f"{len(stage.audit())} calls of S3 allowed, none refused; every granted action was used: {' '.join(sorted(used))}")

    for location in (f"s3://{BUCKET}/team/other", f"s3://{BUCKET}", "s3://somebody-else"):
        code, text = run([crateport, "check", "--store", location, *others], environment(stage, role, token, {}))
        assert code != 0 and "denied" in text.lower(), f"{location}: {text}"
        REFUSED.append(f"crateport check --store {location}")
    all_else_is_refused(stage, outputs["credentials"])
    say(f"{len(REFUSED)} calls refused")
    redis_refuses_all_else(stage, port, outputs["redis_password"], rights)
    without_the_right_to_list(stage, crateport, outputs, token, others)
    say("without s3:ListBucket, crateport check says which right is lacking")


def destroy(stage: Stage, variables: list[str]) -> None:
    # Only the emulator goes on: what a replica asks for is written into the bucket of logs, which must be empty.
    stage.end(kept=1)
    stage.enforce(False)
    stage.terraform("destroy", "-input=false", "-auto-approve", *variables)
    left = [one["Name"] for one in stage.client("s3").list_buckets()["Buckets"]]
    roles = [one["RoleName"] for one in stage.client("iam").list_roles()["Roles"] if "crateport" in one["RoleName"]]
    groups = stage.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert not left and not roles and not groups, (left, roles, groups)
    say("destroyed: no bucket, no role, no Redis left")


def without_the_right_to_list(stage: Stage, crateport: str, outputs: dict, token: Path, others: list[str]) -> None:
    stage.enforce(False)
    iam = stage.client("iam")
    policy = json.loads(outputs["policy"])
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] != "List"]
    iam.create_policy_version(PolicyArn=outputs["policy_arn"], PolicyDocument=json.dumps(policy), SetAsDefault=True)
    stage.enforce(True)
    store = ["--store", outputs["store"]]
    code, text = run([crateport, "check", *store, *others], environment(stage, outputs["role_arn"], token, {}))
    assert code != 0 and "list" in text.lower(), text


BEGAN = time.monotonic()

if __name__ == "__main__":
    main()
