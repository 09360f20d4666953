"""What every dashboard must have: the rules of Grafana's own linter, and a few more."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from expressions import dashboards, everything, filled_in, panels, rules, selectors

# Links and bookmarks hold on to these.
UIDS = {f"crateport-{name}" for name in ("overview", "upstream", "store", "coordination", "replicas", "slo")}
VARIABLES = ["datasource", "cluster", "namespace", "job", "instance"]
COUNTED = re.compile(r"(_total|_bucket|_sum|_count)$")
GRID_WIDTH = 24


def check_frame(name, dashboard):
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    if list(variables) != VARIABLES:
        yield f"{name}: its variables are {list(variables)}"
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            if variable["refresh"] != 2:
                yield f"{name}: ${variable['name']} is not read again when the time changes"
            if not (variable["multi"] and variable["includeAll"] and variable["allValue"] == ".*"):
                yield f"{name}: ${variable['name']} cannot be all of them"
    if dashboard["editable"] or "__inputs" in dashboard or "id" in dashboard:
        yield f"{name}: is editable, has inputs or a number of its own"
    if "crateport" not in dashboard["tags"] or dashboard["graphTooltip"] != 1:
        yield f"{name}: has no tag or no shared crosshair"
    if not dashboard["links"] or len(dashboard["annotations"]["list"]) != 2:
        yield f"{name}: has no links or no annotations"


def check_places(name, dashboard):
    numbers = [panel["id"] for panel in dashboard["panels"]]
    if len(numbers) != len(set(numbers)):
        yield f"{name}: two panels have the same number"
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > GRID_WIDTH:
            yield f"{name}: {panel['title']} leaves the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"{name}: {panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]


def check_panel(name, panel):
    where = f"{name}: {panel['title']}"
    if not panel["title"] or not panel.get("description", "").endswith("."):
        yield f"{where}: has no title or no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield f"{where}: has no unit"
    if not panel["targets"]:
        yield f"{where}: asks nothing"
    for source in [panel, *panel["targets"]]:
        if source["datasource"]["uid"] != "${datasource}":
            yield f"{where}: does not use the data source that was chosen"
    if len({target["refId"] for target in panel["targets"]}) != len(panel["targets"]):
        yield f"{where}: two questions have the same letter"


def check_expression(where, expr):
    for window in re.findall(r"\[([^\]]*)\]", expr):
        if window not in ("$__rate_interval", "$__range"):
            yield f"{where}: the window {window} does not follow the time shown"
    bare = re.sub(r"\b(?:rate|increase)\((?:[^()]|\([^()]*\))*\)", "", expr)
    for selector in selectors(bare):
        if COUNTED.search(selector.metric):
            yield f"{where}: {selector.metric} is a counter and needs a rate"
    for selector in selectors(expr):
        chosen = {label for label, operator, value in selector.matchers if operator == "=~" and value == f"${label}"}
        wanted = {"cluster", "namespace", "job"}
        if not selector.metric.startswith(("job", "ALERTS")):
            wanted.add("instance")
        if selector.metric != "ALERTS" and not wanted <= chosen:
            yield f"{where}: {selector.metric} ignores the variables {sorted(wanted - chosen)}"


def check_parse(root):
    """Prometheus itself reads every expression."""
    expressions = list(everything(root))
    group = [
        {"record": f"expression:{number}", "expr": filled_in(expr)} for number, (_, expr) in enumerate(expressions)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "all", "rules": group}]}, file)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], check=False, capture_output=True, text=True)
    for line in checked.stderr.splitlines() if checked.returncode else []:
        number = re.search(r"expression:(\d+)", line)
        yield f"{expressions[int(number[1])][0]}: {line.strip()}" if number else line.strip()


def check_records(root):
    recorded = {rule["record"] for rule in rules(root) if "record" in rule}
    for where, expr in everything(root):
        for selector in selectors(expr):
            if ":" in selector.metric and selector.metric not in recorded:
                yield f"{where}: reads {selector.metric}, which nothing records"


def main(root):
    faults, count = [], 0
    found = list(dashboards(root))
    uids = [dashboard["uid"] for _, dashboard in found]
    if sorted(uids) != sorted(UIDS):
        faults.append(f"the uids are {sorted(uids)}, not {sorted(UIDS)}")
    for name, dashboard in found:
        faults += [*check_frame(name, dashboard), *check_places(name, dashboard)]
        for panel in panels(dashboard):
            count += 1
            faults += check_panel(name, panel)
            for target in panel["targets"]:
                faults += check_expression(f"{name}: {panel['title']}", target["expr"])
    faults += [*check_parse(root), *check_records(root)]
    print("\n".join(faults) or f"{len(found)} dashboards with {count} panels")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
