"""What the files of deploy/ ask Prometheus, and what they name in it."""

import json
import re
from pathlib import Path

import yaml

KEYWORDS = set(
    """sum min max avg count group topk bottomk quantile by without on ignoring group_left group_right bool offset and or
    unless rate irate increase delta changes absent histogram_quantile label_replace vector time avg_over_time
    max_over_time min_over_time sum_over_time count_over_time""".split()
)
# Kept by Prometheus itself, with labels of its own.
OWN = {"up", "ALERTS"}
# What scraping adds.
TARGET_LABELS = {"cluster", "namespace", "job", "instance"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


class Selector:
    """A metric, the values its matchers name, and by which operator."""

    def __init__(self, metric, matchers):
        self.metric = metric
        self.matchers = re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', matchers or "")


def selectors(expr):
    """The selectors of an expression that is known to parse."""
    bare = re.sub(r"\[[^\]]*\]", "", GROUPING.sub("", expr))
    for match in re.finditer(
        r'(?<![\w:])([a-zA-Z_:][\w:]*)\s*(\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\})?(?![\w:]|\s*\()', without_strings(bare)
    ):
        if match[1] not in KEYWORDS:
            start = match.start()
            yield Selector(match[1], bare[start : match.end()].partition("{")[2] if match[2] else "")


def without_strings(expr):
    """The same length, with what stands in quotation marks blanked, so that nothing in there looks like a name."""
    return re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: '"' + "#" * (len(match[0]) - 2) + '"', expr)


def grouping_labels(expr):
    for match in GROUPING.finditer(expr):
        yield from (label.strip() for label in match[1].split(",") if label.strip())


def dashboards(root):
    for path in sorted((root / "deploy/grafana").glob("*.json")):
        yield path.name, json.loads(path.read_text())


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rules(root):
    for name in ("rules.yaml", "alerts.yaml"):
        path: Path = root / "deploy/prometheus" / name
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def everything(root):
    """(where it stands, expression) of all panels, annotations, rules and alerts."""
    for name, dashboard in dashboards(root):
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", target["expr"]
        for annotation in dashboard["annotations"]["list"]:
            yield f"{name}: annotation {annotation['name']}", annotation["expr"]
    for rule in rules(root):
        yield rule.get("record") or rule["alert"], rule["expr"]


def filled_in(expr, window="5m"):
    """As Grafana would send it, with All chosen everywhere."""
    expr = re.sub(r"\$__(rate_interval|range|interval)", window, expr)
    return re.sub(r"\$(cluster|namespace|job|instance)\b", ".*", expr)
