"""What every alert must have beside an expression that parses: its labels, its words, its runbook, its tests."""

import re
import sys
from pathlib import Path

import yaml

SEVERITIES = {"page", "ticket"}
ANNOTATIONS = {"summary", "description", "runbook_url"}
SECTIONS = ["Meaning", "Impact", "First look", "Causes", "What to do"]
RUNBOOK = re.compile(r"/deploy/runbooks/(\w+)\.md$")


def alerts(path):
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


def recorded(path):
    return {rule["record"] for rule in alerts(path)}


def check_alert(rule, runbooks):
    name = rule["alert"]
    if not name.startswith("Crateport"):
        yield f"{name}: its name does not begin with Crateport"
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        yield f"{name}: its severity is none of {sorted(SEVERITIES)}"
    annotations = rule.get("annotations", {})
    if set(annotations) != ANNOTATIONS:
        yield f"{name}: its annotations are not {sorted(ANNOTATIONS)}"
    for label in rule.get("labels", {}):
        if f"$labels.{label} " in str(annotations):
            yield f"{name}: $labels.{label} is empty in annotations, for the label is the alert's own"
    match = RUNBOOK.search(annotations.get("runbook_url", ""))
    if not match or match[1] != name:
        yield f"{name}: its runbook_url is not that of {name}.md"
    runbook = runbooks / f"{name}.md"
    if not runbook.exists():
        yield f"{name}: {runbook} is missing"


def check_runbook(path, names):
    if path.stem not in names:
        yield f"{path.name}: there is no such alert"
    text = path.read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    if headings != SECTIONS:
        yield f"{path.name}: its sections are {headings}, not {SECTIONS}"
    for other in re.findall(r"Crateport[A-Z]\w+", text):
        if other not in names:
            yield f"{path.name}: names {other}, which is no alert"


def check_tests(rules, tests):
    """Each alert, with each of its severities and windows, fires somewhere, and somewhere does not."""
    firing, silent = set(), set()
    for test in tests:
        for case in test.get("promql_expr_test", []):
            samples = case.get("exp_samples") or []
            for sample in samples:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
                firing.add((labels.get("alertname"), labels.get("severity"), labels.get("long")))
            named = re.search(r'alertname="(\w+)"', case["expr"])
            if named and not samples:
                silent.add(named[1])
    for rule in rules:
        name, labels = rule["alert"], rule["labels"]
        if (name, labels["severity"], labels.get("long")) not in firing:
            yield f"{name} ({labels}): no test in which it fires"
        if name not in silent:
            yield f"{name}: no test in which it does not fire"


def check_uses(rules, records):
    """What an alert reads with a level:metric:operation name must be recorded."""
    for rule in rules:
        for name in re.findall(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", rule["expr"]):
            if name not in records:
                yield f"{rule['alert']}: reads {name}, which nothing records"


def main(root):
    deploy = root / "deploy"
    rules = list(alerts(deploy / "prometheus/alerts.yaml"))
    names = {rule["alert"] for rule in rules}
    tests = [
        test
        for path in (root / "tests/deploy/prometheus").glob("*.test.yaml")
        for test in yaml.safe_load(path.read_text())["tests"]
    ]
    faults = [fault for rule in rules for fault in check_alert(rule, deploy / "runbooks")]
    faults += [fault for path in sorted((deploy / "runbooks").glob("*.md")) for fault in check_runbook(path, names)]
    faults += check_tests(rules, tests)
    faults += check_uses(rules, recorded(deploy / "prometheus/rules.yaml"))
    print("\n".join(sorted(set(faults))) or f"{len(names)} alerts, each with a runbook and tests both ways")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
