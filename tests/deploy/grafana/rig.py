"""A small fleet with work to do: a scripted upstream, replicas with a store of each kind, clients.

What happens is chosen so that every metric of Crateport gets each of its labels.
"""

import hashlib
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

REGISTRY = "local"
DEADLINE_SECONDS = 60
# The status of an answer that broke off.
BROKEN = 0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, condition):
    """Waits for something that must come."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)


def get(url, method="GET"):
    """The status and the body; the certificate is one of our own making."""
    context = ssl._create_unverified_context() if url.startswith("https") else None
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (http.client.HTTPException, ConnectionResetError):
        return BROKEN, b""


class Upstream:
    """A sparse registry of as many crates as one asks for: `good-7` is one, `bad-7` has the wrong bytes, `no-7` is none."""

    def __init__(self):
        self.is_down = False
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                upstream.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        path, name = request.path, request.path.split("/")[-1]
        if self.is_down:
            return self.send(request, 500, b"down")
        if path == "/config.json":
            return self.send(request, 200, json.dumps({"dl": f"{self.base}/dl/{{crate}}", "api": self.base}).encode())
        if path.startswith("/api/"):
            return self.send(request, 200, b'{"crates":[],"meta":{"total":0}}')
        if name.startswith("no-"):
            return self.send(request, 404, b"none")
        if path.startswith("/dl/"):
            return self.send(request, 200, b"wrong" if name.startswith("bad-") else self.krate(name))
        etag = f'"{name}"'
        if request.headers.get("if-none-match") == etag:
            return self.send(request, 304, b"", etag)
        checksum = hashlib.sha256(self.krate(name)).hexdigest()
        line = {"name": name, "vers": "1.0.0", "deps": [], "cksum": checksum, "features": {}, "yanked": False}
        return self.send(request, 200, json.dumps(line).encode() + b"\n", etag)

    @staticmethod
    def krate(name):
        return (name * 4096).encode()

    @staticmethod
    def send(request, status, body, etag=None):
        request.send_response(status)
        request.send_header("content-length", str(len(body)))
        if etag:
            request.send_header("etag", etag)
        request.end_headers()
        request.wfile.write(body)


class Bucket:
    """As much of an S3 server as a replica needs, which asks for fewer requests now and then."""

    NAME = "crates"
    SLOW_DOWN_EVERY = 7
    SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    ABSENT = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
    LIST = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"

    def __init__(self):
        self.objects, self.requests = {}, 0
        bucket = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_HEAD = do_PUT = do_DELETE = lambda request: bucket.answer(request)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        key = request.path.partition("?")[0].removeprefix(f"/{self.NAME}/")
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        self.requests += 1
        if self.requests % self.SLOW_DOWN_EVERY == 0:
            return self.send(request, 503, self.SLOW_DOWN)
        if request.command == "PUT":
            kept = {name: value for name, value in request.headers.items() if is_kept(name.lower())}
            self.objects[key] = body, kept | {"etag": f'"{hashlib.md5(body).hexdigest()}"'}
            return self.send(request, 200, b"", {"etag": self.objects[key][1]["etag"]})
        if request.command == "DELETE":
            self.objects.pop(key, None)
            return self.send(request, 204, b"")
        if "list-type" in request.path:
            return self.send(request, 200, self.LIST)
        if key not in self.objects:
            return self.send(request, 404, self.ABSENT)
        return self.send(request, 200, *self.objects[key])

    @staticmethod
    def send(request, status, body, headers=()):
        request.send_response(status)
        for name, value in dict(headers).items():
            request.send_header(name, value)
        request.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


def is_kept(header):
    return header.startswith("x-amz-meta-") or header in ("x-amz-checksum-sha256", "content-type")


class Replica:
    """One Crateport."""

    def __init__(self, fleet, name, store):
        self.port, self.ops_port, self.tls_port = free_port(), free_port(), free_port()
        directory = fleet.directory
        config = directory / f"{name}.toml"
        config.write_text(f"""
listen = [
    "127.0.0.1:{self.port}",
    "127.0.0.1:{self.tls_port},cert={directory}/tls.crt,key={directory}/tls.key",
]
ops-listen = "127.0.0.1:{self.ops_port}"
store = "{store}"
coord = "{fleet.coord}"
redis-prefix = "{name}:"
spool-dir = "{directory}/{name}-spool"
index-ttl = "1s"
absent-ttl = "1s"
replica = "{name}"
upstream-allow = ["127.0.0.0/8"]
log = "error"

{fleet.s3_settings if store.startswith("s3:") else ""}
[registries.crates-io]
enabled = false

[registries.{REGISTRY}]
index = "sparse+{fleet.upstream.base}/"
""")
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "TMPDIR")}
        kept |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        log = (directory / f"{name}.log").open("w")
        self.process = subprocess.Popen(
            [fleet.binary, "serve", "--config", config], env=kept | {"HOME": str(directory)}, stdout=log, stderr=log
        )

    @property
    def ops(self):
        return f"127.0.0.1:{self.ops_port}"

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}/{REGISTRY}"

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"crateport ended with {self.process.returncode}")
        try:
            return get(f"http://{self.ops}/readyz")[0] == 200
        except OSError:
            return False

    def metrics(self):
        return get(f"http://{self.ops}/metrics")[1].decode()

    def index(self, name):
        return get(f"{self.base}/index/{name[:2]}/{name[2:4]}/{name}")[0]

    def krate(self, name):
        return get(f"{self.base}/crates/{name}/1.0.0/download")[0]


class Fleet:
    """A replica on a directory and one on a bucket, with their upstream and their Redis; gone at the end."""

    def __init__(self, binary):
        self.binary = binary
        self.upstream, self.bucket = Upstream(), Bucket()
        self.s3_settings = f's3-endpoint = "{self.bucket.base}"\ns3-region = "here"'

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="crateport-fleet-"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
            + ["-keyout", self.directory / "tls.key", "-out", self.directory / "tls.crt"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        port = free_port()
        self.redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", self.directory], stdout=subprocess.DEVNULL
        )
        self.coord = f"redis://127.0.0.1:{port}/0"
        self.replicas = []
        try:
            for name, store in [("files", f"fs:{self.directory}/store"), ("bucket", f"s3://{Bucket.NAME}/cache")]:
                self.replicas.append(Replica(self, name, store))
            for replica in self.replicas:
                until("a replica is ready", replica.is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in [replica.process for replica in self.replicas] + [self.redis]:
            process.terminate()
        for process in [replica.process for replica in self.replicas] + [self.redis]:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        self.upstream.server.shutdown()
        self.bucket.server.shutdown()
        shutil.rmtree(self.directory)

    def work(self, turn):
        """A little of everything; each turn has crates of its own."""
        name = f"good-{turn}"
        for replica in self.replicas:
            get(f"{replica.base}/index/config.json")
            # The second comes from memory, and later ones are asked again of upstream.
            statuses = [replica.index(name), replica.index(name), replica.index("good-0")]
            statuses += [replica.krate(name), replica.krate(name)]
            assert statuses == [200] * 5, statuses
            assert replica.index(f"no-{turn}") == 404
            assert replica.index(f"bad-{turn}") == 200
            assert replica.krate(f"bad-{turn}") != 200
            get(f"{replica.base}/index/config.json", method="POST")
            get(f"https://127.0.0.1:{replica.tls_port}/")
            get(f"http://127.0.0.1:{replica.port}/{REGISTRY}/api/v1/crates?q=a")
        together = [threading.Thread(target=replica.krate, args=(f"join-{turn}",)) for replica in self.replicas * 4]
        self.replicas[0].index(f"join-{turn}")
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()

    def outage(self, turn):
        """What is known is served stale; what is not is unavailable."""
        self.upstream.is_down = True
        for replica in self.replicas:
            until("a stale answer", lambda one=replica: self.is_stale(one))
            replica.index(f"new-{turn}")
        self.upstream.is_down = False

    @staticmethod
    def is_stale(replica):
        url = f"{replica.base}/index/go/od/good-0"
        with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
            return answer.headers["x-cache"] == "stale"
