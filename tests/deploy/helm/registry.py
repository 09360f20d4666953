"""A registry of one crate on a real socket, and the script of `helm test`, run as the pod runs it."""

import contextlib
import hashlib
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chart import CHART

CRATE = b"a crate" * 1000
INDEX = b"".join(
    json.dumps({"name": "cfg-if", "vers": version, "deps": [], "cksum": hashlib.sha256(CRATE + extra).hexdigest(),
                "features": {}, "yanked": False}, separators=(",", ":")).encode() + b"\n"
    for version, extra in (("0.1.10", b"x"), ("1.0.0", b""), ("1.0.1-rc", b"y"))
)
# A page that is a text is a redirect to it; BASE in a page is where the registry is.
PAGES = {
    "/crates-io/index/config.json": b'{"dl":"BASE/crates-io/crates"}',
    "/crates-io/index/cf/g-/cfg-if": INDEX,
    "/crates-io/crates/cfg-if/1.0.0/download": "/bucket/cfg-if-1.0.0.crate?X-Amz-Signature=secret",
    "/bucket/cfg-if-1.0.0.crate?X-Amz-Signature=secret": CRATE,
}


@contextlib.contextmanager
def serving(pages):
    """Serves the pages, everything else as 404, and gives the base."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            page = pages.get(self.path)
            self.send_response(302 if isinstance(page, str) else 404 if page is None else 200)
            if isinstance(page, str):
                self.send_header("location", page)
            body = page.replace(b"BASE", base.encode()) if isinstance(page, bytes) else b""
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield base
    finally:
        server.shutdown()
        server.server_close()


def fetch(base, directory):
    """Runs the script against `base`, with its files in `directory` and no retries: its exit code and its output."""
    script = (CHART / "files/fetch.sh").read_text().replace("/tmp/", f"{directory}/").replace("--retry 3", "--retry 0")
    variables = {"BASE": base, "REGISTRY": "crates-io", "CRATE": "cfg-if", "VERSION": "1.0.0", "TIMEOUT": "10",
                 "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-euc", script], env=variables, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr
