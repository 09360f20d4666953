"""The chart's configuration in the hands of the real service: CRATEPORT_BIN names it."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import time
import urllib.request

import pytest

from chart import CI_FILES, config_text_of, find, merged, pods, render3, rendered, values_of
from registry import CRATE, PAGES, fetch, serving

BINARY = os.environ["CRATEPORT_BIN"]


def variables_of(spec, file, tmp_path):
    """The container's variables, with something in place of each secret."""
    variables = {it["name"]: it.get("value", "a-secret") for it in spec["containers"][0]["env"]}
    return {**variables, "CRATEPORT_CONFIG": str(file), "HOME": str(tmp_path)}


def read_by_the_service(objects, tmp_path):
    """What `crateport config` says of the configuration file and the variables that the chart gives it."""
    file = tmp_path / "crateport.toml"
    file.write_text(config_text_of(objects))
    [spec] = [spec for it, _, spec in pods(objects) if it["kind"] in ("Deployment", "StatefulSet")]
    variables = variables_of(spec, file, tmp_path)
    arguments = [it for it in spec["containers"][0]["args"] if it != "serve"]
    return subprocess.run([BINARY, "config", *arguments], env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("ci_file", CI_FILES)
def test_the_service_takes_every_configuration_and_every_secret(ci_file, tmp_path):
    values = values_of(ci_file)
    done = read_by_the_service(render3(values), tmp_path)
    assert done.returncode == 0, done.stderr
    for group in ("registries", "dist"):
        for id, upstream in values.get(group, {}).items():
            if "token" in upstream or "existingSecret" in upstream:
                assert re.search(rf"^{group}\.{id}\.token\b.*\*\*\*", done.stdout, re.MULTILINE), done.stdout


def test_the_service_does_refuse_what_it_does_not_know(tmp_path):
    values = merged(values_of("fleet"), {"extraEnv": [{"name": "CRATEPORT_NONSENSE", "value": "1"}]})
    done = read_by_the_service(render3(values), tmp_path)
    assert done.returncode != 0 and "CRATEPORT_NONSENSE" in done.stderr


JOBS = [(it, kind) for it in CI_FILES for kind in ("sweep", "verify") if values_of(it).get(kind, {}).get("enabled")]


def run_job(objects, kind, store, tmp_path):
    """A CronJob's command on a store of this machine, with all of the chart's configuration that it allows."""
    elsewhere = re.compile(r'^((store|coord|delivery|(s3|redis)-[a-z-]+) *=|.*"/etc/crateport/).*\n', re.MULTILINE)
    file = tmp_path / "crateport.toml"
    file.write_text(elsewhere.sub("", config_text_of(objects)))
    spec = find(objects, "CronJob", kind)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    arguments = [*spec["containers"][0]["args"], "--store", f"fs:{store}"]
    variables = {k: v for k, v in variables_of(spec, file, tmp_path).items() if not k.startswith("CRATEPORT_REDIS")}
    return subprocess.run([BINARY, *arguments], env=variables, capture_output=True, text=True)


@pytest.mark.parametrize(("ci_file", "kind"), JOBS)
def test_the_service_takes_the_arguments_of_every_job(ci_file, kind, tmp_path):
    done = run_job(rendered(ci_file), kind, tmp_path / "store", tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("removed 0 objects" if kind == "sweep" else "0 objects (0 B) are not") in done.stdout


@pytest.mark.parametrize("changes", [
    {"sweep": {"maxSize": "1B", "dryRun": True}},
    {"sweep": {"dryRun": True}, "settings": {"sweep-max-size": "1B"}},
    {"sweep": {"dryRun": True, "maxSize": "1B", "unusedFor": "1d"}, "settings": {"sweep-max-size": "1GiB"}},
])
def test_a_sweep_goes_by_its_own_values_or_else_by_the_settings(changes, tmp_path):
    with serving(PAGES) as upstream:
        values = {
            "registries": {"crates-io": {"index": f"sparse+{upstream}/crates-io/index/"}},
            "settings": {"sweep-grace": "7d"},
            "drain": {"delaySeconds": 0},
            "sweep": {"enabled": True},
        }
        objects = render3(merged(values, changes))
        with crateport(objects, tmp_path) as (process, base, ops):
            wait_until_ready(f"{ops}/readyz")
            assert fetch(base, tmp_path)[0] == 0
            # It keeps the crate after the client has it.
            process.terminate()
            process.wait(timeout=60)
    done = run_job(objects, "sweep", tmp_path / "store", tmp_path)
    # What was used just now has its grace, so that the sweep tells of it and lists nothing.
    assert done.returncode == 0 and "stay whatever their turn" in done.stdout, done.stdout + done.stderr


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
