"""A registry to be a cache of: one small crate, and one that is stored in parts and delivered by redirect."""

import hashlib
import http.server
import json
import threading


class Upstream:
    def __init__(self) -> None:
        # Nothing looks inside: the checksum in the index is what counts.
        self.crates = {"small": b"small " * 1000, "large": bytes(range(256)) * (20 << 12)}
        self.fetches: list[str] = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = upstream.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> bytes | None:
        if path == "/index/config.json":
            return json.dumps({"dl": f"{self.url}/crates", "api": self.url}).encode()
        name = path.split("/")[-1 if path.startswith("/index/") else 2]
        if (crate := self.crates.get(name)) is None:
            return None
        if path.startswith("/crates/"):
            self.fetches.append(name)
            return crate
        line = {"name": name, "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
        return json.dumps(line | {"cksum": hashlib.sha256(crate).hexdigest()}).encode() + b"\n"
