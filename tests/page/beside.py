"""Serves the page of a Crateport and, at /measure, what measures it: python3 beside.py ADDRESS MEASURE.HTML"""

import http.server
import sys
import urllib.parse
import urllib.request

ADDRESS, MEASURE = sys.argv[1:]


class Beside(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/measure":
            asked = dict(urllib.parse.parse_qsl(url.query))
            text = open(MEASURE, encoding="utf-8").read()
            text = text.replace("WIDTH", asked["width"]).replace("HEIGHT", asked.get("height", "800"))
            return self.answer(text.encode(), {"content-type": "text/html"})
        with urllib.request.urlopen(ADDRESS + self.path, timeout=10) as answer:
            kept = ("content-type", "content-security-policy")
            headers = {name: answer.headers[name] for name in kept if answer.headers[name]}
            self.answer(answer.read(), headers)

    def answer(self, body, headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Beside)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
