"""The chart's configuration in the hands of the real service: CRATEPORT_BIN names it."""

import contextlib
import os
import shlex
import socket
import subprocess
import time
import urllib.request

import pytest

from chart import CI_FILES, config_text_of, find, merged, pods, render3, values_of
from registry import CRATE, PAGES, fetch, serving

BINARY = os.environ["CRATEPORT_BIN"]


def read_by_the_service(objects, tmp_path):
    """What `crateport config` says of the configuration file and the variables that the chart gives it."""
    file = tmp_path / "crateport.toml"
    file.write_text(config_text_of(objects))
    [spec] = [spec for it, _, spec in pods(objects) if it["kind"] in ("Deployment", "StatefulSet")]
    variables = {it["name"]: it.get("value", "a-secret") for it in spec["containers"][0]["env"]}
    variables = {**variables, "CRATEPORT_CONFIG": str(file), "HOME": str(tmp_path)}
    arguments = [it for it in spec["containers"][0]["args"] if it != "serve"]
    return subprocess.run([BINARY, "config", *arguments], env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("ci_file", CI_FILES)
def test_the_service_takes_every_configuration_and_every_secret(ci_file, tmp_path):
    values = values_of(ci_file)
    # The service does not read [dist.<id>] yet.
    values.pop("dist", None)
    done = read_by_the_service(render3(values), tmp_path)
    assert done.returncode == 0, done.stderr
    for id, registry in values.get("registries", {}).items():
        if "token" in registry or "existingSecret" in registry:
            assert f"registries.{id}.token" in done.stdout and "***" in done.stdout


def test_the_service_does_refuse_what_it_does_not_know(tmp_path):
    values = merged(values_of("fleet"), {"extraEnv": [{"name": "CRATEPORT_NONSENSE", "value": "1"}]})
    done = read_by_the_service(render3(values), tmp_path)
    assert done.returncode != 0 and "CRATEPORT_NONSENSE" in done.stderr


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


@contextlib.contextmanager
def crateport(objects, tmp_path):
    """The service as the chart configures it, with addresses and a directory of this machine."""
    port, ops = free_port(), free_port()
    file = tmp_path / "crateport.toml"
    file.write_text(config_text_of(objects))
    variables = {"CRATEPORT_CONFIG": str(file), "HOME": str(tmp_path)}
    flags = f"--listen 127.0.0.1:{port} --ops-listen 127.0.0.1:{ops} --store fs:{shlex.quote(str(tmp_path / 'store'))}"
    process = subprocess.Popen([BINARY, "serve", *shlex.split(flags)], env=variables, stdout=subprocess.DEVNULL)
    try:
        yield process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ops}"
    finally:
        process.kill()
        process.wait()


def wait_until_ready(url):
    deadline = time.monotonic() + 30
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).status
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


def test_helm_test_passes_against_the_service_and_the_probes_find_their_paths(tmp_path):
    with serving(PAGES) as upstream:
        values = {"registries": {"crates-io": {"index": f"sparse+{upstream}/crates-io/index/"}}}
        objects = render3(values)
        spec = find(objects, "StatefulSet")["spec"]["template"]["spec"]
        with crateport(objects, tmp_path) as (process, base, ops):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = spec["containers"][0][probe]["httpGet"]["path"]
                assert wait_until_ready(f"{ops}{path}") == 200
            code, output = fetch(base, tmp_path)
            assert code == 0 and f"{len(CRATE)} bytes" in output, output
            # What the kubelet sends; the process drains and ends by itself.
            process.terminate()
            assert process.wait(timeout=spec["terminationGracePeriodSeconds"]) == 0
