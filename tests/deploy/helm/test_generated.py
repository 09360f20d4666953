"""What is generated is as it would be generated now (tests/deploy/helm/run --update), and values have a schema."""

import json
import re
import tomllib

import pytest
import yaml

from chart import CHART, CI_FILES, REPO, config_of, find, render3, rendered, values_of
from generate import DERIVED, copies, documented, expected, settings, strays


def test_generated_files_are_up_to_date():
    paths = set()
    for path, text in expected():
        paths.add(path)
        assert path.exists() and path.read_text() == text, f"{path.name} is old: tests/deploy/helm/run --update"
    assert strays(paths) == []


def test_each_copy_arrives_in_the_cluster_as_it_is():
    objects = render3(values_of("fleet-eks-irsa"), chart=CHART)
    for path, text in copies():
        if path.suffix == ".yaml":
            assert find(objects, "PrometheusRule", f"-{path.stem}")["spec"] == yaml.safe_load(text)
        else:
            arrived = find(objects, "ConfigMap", f"-dashboard-{path.stem}")["data"][path.name]
            assert json.loads(arrived) == json.loads(text)
            # Objects of Kubernetes may have a mebibyte.
            assert len(arrived.encode()) < 900_000, path


def test_every_value_is_in_the_schema_and_the_schema_knows_no_other():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def resolve(node):
        return schema["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node

    def compare(node, value, path):
        node = resolve(node)
        if node.get("additionalProperties") is not False or "patternProperties" in node:
            return
        known, given = set(node["properties"]), set(value)
        # Settings and parts of pass-through objects have no default.
        free = path == ".settings" or path.endswith("resources") or path.endswith("strategy")
        assert given <= known if free else given == known, path
        for key in given:
            if isinstance(value[key], dict):
                compare(node["properties"][key], value[key], f"{path}.{key}")

    compare(schema, values, "")
    assert all(about.strip() for _, rows in documented() for _, _, about in rows)


def test_the_table_of_settings_is_read_whole():
    names = {name for name, *_ in settings()}
    text = (REPO / "services/crateport/src/settings.rs").read_text()
    assert len(names) == len(re.findall(r'^ {8}\w+ "[a-z0-9-]+":', text, re.MULTILINE))
    assert DERIVED <= names


@pytest.mark.parametrize("ci_file", CI_FILES)
def test_the_configuration_file_holds_only_settings_of_the_service(ci_file):
    assert set(config_of(rendered(ci_file))) <= {name for name, *_ in settings()} | {"registries", "dist"}


def test_the_chart_is_of_the_services_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = tomllib.loads((REPO / "Cargo.toml").read_text())["workspace"]["package"]
    assert chart["appVersion"] == package["version"]
