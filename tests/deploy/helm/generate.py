"""Everything of the chart that is made from something else: `expected()` says what each file should hold.

- README.md: its table of values, from the comments in values.yaml
- values.schema.json: `settings`, from the service's own table
- files/rules and files/dashboards: copies of deploy/prometheus and deploy/grafana, since a chart reads nothing outside
- golden/: the objects of each ci file
"""

import json
import re

import yaml

from chart import CHART, CI_FILES, HERE, REPO, rendered

# Settings that other values of the chart decide.
DERIVED = {
    "listen", "ops-listen", "store", "coord", "drain-delay", "drain-timeout", "spool-dir", "upstream-ca-files",
    "s3-endpoint", "s3-public-endpoint", "s3-region", "s3-path-style", "s3-encryption",
    "advertise-address", "redis-prefix", "redis-username", "redis-password", "redis-password-file", "redis-ca-file",
}
SETTING = re.compile(r'^ {8}\w+ "([a-z0-9-]+)": (One|Maybe|List)<(\w+)> = .*,\n +"((?:[^"\\]|\\.)*)";$', re.MULTILINE)
TYPES = {
    "Count": {"type": "integer", "minimum": 1},
    "CountOrZero": {"type": "integer", "minimum": 0},
    "Size": {"type": ["string", "integer"]},
    "SizeOrZero": {"type": ["string", "integer"]},
    "Switch": {"type": "boolean"},
    "Timeout": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"},
    "Ttl": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"},
}


def settings():
    """The service's settings: name, how many values, kind, help."""
    return SETTING.findall((REPO / "services/crateport/src/settings.rs").read_text())


def as_json(value, indent=0):
    """JSON in which everything that fits a line stands in one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or (indent and len(flat) + indent < 112):
        return flat
    pad, end = " " * (indent + 2), " " * indent
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + as_json(item, indent + 2) for item in value) + f"\n{end}]"
    lines = (f"{pad}{json.dumps(key)}: {as_json(item, indent + 2)}" for key, item in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{end}}}"


def schema():
    text = json.loads((CHART / "values.schema.json").read_text())
    properties = {}
    for name, many, kind, about in settings():
        if name not in DERIVED:
            one = TYPES.get(kind, {"type": "string"})
            kinds = {"type": "array", "items": one} if many == "List" else one
            properties[name] = {**kinds, "description": about}
    text["properties"]["settings"]["properties"] = properties
    return as_json(text) + "\n"


def documented():
    """The values in the order of the file: sections by "## ", and in them (key, default, description)."""
    path = CHART / "values.yaml"
    lines = path.read_text().splitlines()
    sections = []

    def comment(line):
        return lines[line - 1].strip() if line else ""

    def walk(node, keys):
        for key_node, value_node in node.value:
            line, key = key_node.start_mark.line, ".".join([*keys, key_node.value])
            for at in range(line - 1, max(line - 4, -1), -1):
                if lines[at].startswith("## ") and not keys and (not sections or sections[-1][0] != lines[at][3:]):
                    sections.append((lines[at][3:], []))
            about = comment(line)
            if about.startswith("# -- "):
                sections[-1][1].append((key, yaml.safe_load(yaml.serialize(value_node)), about[5:]))
            elif isinstance(value_node, yaml.MappingNode):
                walk(value_node, [*keys, key_node.value])
            else:
                raise ValueError(f"values.yaml: {key} has no description")

    walk(yaml.compose(path.read_text()), [])
    return sections


def readme():
    table = []
    for title, rows in documented():
        table += ["", f"### {title}", "", "| value | default | what |", "| --- | --- | --- |"]
        for key, default, about in rows:
            shown = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
            table.append(f"| `{key}` | `{shown}` | {about.replace('|', chr(92) + '|')} |")
    before, _, rest = (CHART / "README.md").read_text().partition("<!-- values -->")
    _, _, after = rest.partition("<!-- end -->")
    return f"{before}<!-- values -->" + "\n".join(["", *table, "", "<!-- end -->"]) + after


def copies():
    """What deploy/ has for the chart: Prometheus files that hold groups of rules, and dashboards."""
    for path in sorted((REPO / "deploy/prometheus").rglob("*.yaml")):
        if "groups" in (yaml.safe_load(path.read_text()) or {}):
            yield CHART / "files/rules" / path.name, path.read_text()
    for path in sorted((REPO / "deploy/grafana").rglob("*.json")):
        if "panels" in json.loads(path.read_text()):
            yield CHART / "files/dashboards" / path.name, path.read_text()


def golden(ci_file):
    return "---\n".join(yaml.safe_dump(it, width=118) for it in rendered(ci_file))


def expected():
    """Each generated file and its text."""
    yield CHART / "README.md", readme()
    yield CHART / "values.schema.json", schema()
    yield from copies()
    for ci_file in CI_FILES:
        yield HERE / f"golden/{ci_file}.yaml", golden(ci_file)


def strays(paths):
    """Files where only generated ones may be."""
    places = [*(HERE / "golden").glob("*"), *(CHART / "files").glob("*/*")]
    return [path for path in places if path not in paths]


def update():
    paths = set()
    for path, text in expected():
        paths.add(path)
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(REPO)}")
    for path in strays(paths):
        path.unlink()
        print(f"removed {path.relative_to(REPO)}")


if __name__ == "__main__":
    update()
