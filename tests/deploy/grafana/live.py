"""A Prometheus scrapes a fleet under load, with the rules of deploy/; then every panel's question must have an answer."""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from expressions import dashboards, filled_in, panels
from rig import Fleet, free_port, get, until

LOAD_SECONDS = 45
OUTAGE_EVERY_TURNS = 5
WINDOW = "20s"


class Prometheus:
    """Scrapes every second; gone at the end."""

    def __init__(self, root, fleet):
        self.directory = tempfile.TemporaryDirectory(prefix="crateport-prometheus-")
        directory, port = Path(self.directory.name), free_port()
        for name in ("rules.yaml", "alerts.yaml"):
            text = (root / "deploy/prometheus" / name).read_text()
            # The budgets of a month are computed more seldom than this lives.
            (directory / name).write_text(text.replace("interval: 5m", "interval: 1s"))
        targets = [replica.ops for replica in fleet.replicas]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml", "alerts.yaml"],
            "scrape_configs": [
                {
                    "job_name": "crateport",
                    "static_configs": [{"targets": targets, "labels": {"cluster": "here", "namespace": "test"}}],
                }
            ],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", directory / "prometheus.yml", "--storage.tsdb.path", directory / "data"]
            + ["--web.listen-address", f"127.0.0.1:{port}", "--log.level", "error"]
        )

    def __enter__(self):
        until("Prometheus is ready", self.is_ready)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.directory.cleanup()

    def is_ready(self):
        try:
            return get(f"{self.base}/-/ready")[0] == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        _, body = get(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]

    def range(self, expr, seconds=LOAD_SECONDS):
        end = time.time()
        return self.ask("query_range", query=filled_in(expr, WINDOW), start=end - seconds, end=end, step=1)["result"]


def is_figure(value):
    return math.isfinite(float(value))


def has_data(series):
    return any(is_figure(value) for one in series for _, value in one["values"])


def load(fleet):
    end, turn = time.monotonic() + LOAD_SECONDS, 0
    while time.monotonic() < end or turn <= OUTAGE_EVERY_TURNS:
        fleet.work(turn)
        if turn % OUTAGE_EVERY_TURNS == OUTAGE_EVERY_TURNS - 1:
            fleet.outage(turn)
        turn += 1


def faults(root, prometheus):
    for name, dashboard in dashboards(root):
        for panel in panels(dashboard):
            for target in panel["targets"]:
                if not has_data(prometheus.range(target["expr"])):
                    yield f"{name}: {panel['title']}: no data for {target['expr']}"
        for annotation in dashboard["annotations"]["list"]:
            prometheus.range(annotation["expr"])
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query" and not prometheus.ask(f"label/{variable['name']}/values"):
                yield f"{name}: ${variable['name']} has no value"
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                yield f"{rule['name']}: {rule.get('lastError', rule['health'])}"
            for alert in rule.get("alerts", []):
                if "error expanding" in str(alert["annotations"]):
                    yield f"{rule['name']}: {alert['annotations']}"


def main(root, binary):
    with Fleet(binary) as fleet, Prometheus(root, fleet) as prometheus:
        load(fleet)
        found = list(faults(root, prometheus))
        firing = sorted({alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]})
    asked = sum(len(panel["targets"]) for _, dashboard in dashboards(root) for panel in panels(dashboard))
    print("\n".join(found) or f"{asked} questions of all panels have data; alerts meanwhile: {', '.join(firing)}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), os.environ["CRATEPORT_BIN"]))
