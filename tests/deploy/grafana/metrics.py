"""Every metric, label and label value that deploy/ names is one that Crateport has.

Names and labels are taken from the /metrics of replicas that have done some of everything, values from the code, where
each is a word in quotation marks.
"""

import os
import re
import sys
from pathlib import Path

from expressions import OWN, TARGET_LABELS, everything, grouping_labels, selectors
from rig import Fleet

SUFFIX = re.compile(r"_(bucket|sum|count)$")


def told(texts):
    """The labels of each metric, and its type."""
    labels, types = {}, {}
    for line in "\n".join(texts).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line and not line.startswith("#"):
            name = re.match(r"[\w:]+", line)[0]
            found = set(re.findall(r'(\w+)="', line))
            labels.setdefault(name, set()).update(found)
    return labels, types


def words(root):
    """All string literals of the services."""
    found = set()
    for path in (root / "services").glob("*/src/**/*.rs"):
        found.update(re.findall(r'"([a-z0-9_-]+)"', path.read_text()))
    return found


def values(operator, value):
    return value.split("|") if operator in ("=~", "!~") else [value]


def check(root, labels, known_words):
    for where, expr in everything(root):
        metrics = [
            selector for selector in selectors(expr) if ":" not in selector.metric and selector.metric not in OWN
        ]
        for selector in metrics:
            if selector.metric not in labels:
                yield f"{where}: {selector.metric} is no metric of Crateport"
                continue
            for label, operator, value in selector.matchers:
                if label in TARGET_LABELS:
                    continue
                if label not in labels[selector.metric]:
                    yield f"{where}: {selector.metric} has no label {label}"
                elif label != "le":
                    strange = [one for one in values(operator, value) if one not in known_words]
                    if strange:
                        yield f"{where}: {label} is never {strange}"
        offered = set().union(TARGET_LABELS, *(labels.get(selector.metric, set()) for selector in metrics))
        has_recorded = any(":" in selector.metric or selector.metric in OWN for selector in selectors(expr))
        for label in grouping_labels(expr):
            if label not in offered and not has_recorded:
                yield f"{where}: groups by {label}, which none of its metrics has"


def main(root, binary):
    with Fleet(binary) as fleet:
        fleet.work(0)
        fleet.outage(0)
        fleet.work(1)
        labels, _ = told(replica.metrics() for replica in fleet.replicas)
    faults = sorted(set(check(root, labels, words(root))))
    own = sorted(name for name in labels if name.startswith("crateport_"))
    print(
        "\n".join(faults)
        or f"{len({SUFFIX.sub('', name) for name in own})} metrics of Crateport, and every one that is named is among them"
    )
    return bool(faults)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    sys.exit(main(root, os.environ["CRATEPORT_BIN"]))
