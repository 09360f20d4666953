"""The script of `helm test`, run as the pod runs it against a registry on a real socket."""

import hashlib
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chart import CHART

CRATE = b"a crate" * 1000
LINES = [{"name": "cfg-if", "vers": version, "deps": [], "cksum": hashlib.sha256(CRATE + extra).hexdigest()}
         for version, extra in (("0.1.10", b"x"), ("1.0.0", b""), ("1.0.0-rc", b"y"))]
INDEX = "\n".join(json.dumps(line, separators=(",", ":")) for line in LINES).encode()
GOOD = {
    "/crates-io/index/config.json": b'{"dl":"http://a/crates-io/crates"}',
    "/crates-io/index/cf/g-/cfg-if": INDEX,
    "/crates-io/crates/cfg-if/1.0.0/download": "/bucket/cfg-if-1.0.0.crate?X-Amz-Signature=secret",
    "/bucket/cfg-if-1.0.0.crate?X-Amz-Signature=secret": CRATE,
}


def fetch(pages, directory):
    """Runs the script; a page that is a text is a redirect, one that is missing a 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path)
            self.send_response(302 if isinstance(page, str) else 404 if page is None else 200)
            if isinstance(page, str):
                self.send_header("location", page)
            body = page if isinstance(page, bytes) else b""
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = (CHART / "files/fetch.sh").read_text().replace("/tmp/", f"{directory}/").replace("--retry 3", "--retry 0")
    variables = {"BASE": f"http://127.0.0.1:{server.server_port}", "REGISTRY": "crates-io", "CRATE": "cfg-if",
                 "VERSION": "1.0.0", "TIMEOUT": "10", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-euc", script], env=variables, capture_output=True, text=True)
    server.shutdown()
    server.server_close()
    return done.returncode, done.stdout + done.stderr


def test_a_crate_that_is_what_the_index_says_passes_also_by_redirect(tmp_path):
    code, output = fetch(GOOD, tmp_path)
    assert code == 0 and "OK: cfg-if 1.0.0" in output, output
    assert "Signature" not in output


@pytest.mark.parametrize("path, page, complaint", [
    ("/crates-io/index/config.json", None, "config.json"),
    ("/crates-io/index/config.json", b"{}", "names no dl"),
    ("/crates-io/index/cf/g-/cfg-if", None, "index file cf/g-/cfg-if"),
    ("/crates-io/index/cf/g-/cfg-if", INDEX.replace(b'"1.0.0"', b'"1.0.1"'), "does not know 1.0.0"),
    ("/crates-io/index/cf/g-/cfg-if", INDEX.replace(b"cksum", b"chksm"), "has no cksum"),
    ("/crates-io/crates/cfg-if/1.0.0/download", None, "did not arrive"),
    ("/crates-io/crates/cfg-if/1.0.0/download", CRATE[:-1], "the crate's SHA-256 is"),
    ("/crates-io/crates/cfg-if/1.0.0/download", b"", "did not arrive"),
])
def test_anything_else_fails_and_says_what(path, page, complaint, tmp_path):
    code, output = fetch({**GOOD, path: page}, tmp_path)
    assert code == 1 and complaint in output, output
