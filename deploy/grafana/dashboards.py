#!/usr/bin/env python3
"""Makes the dashboards beside this file.

    dashboards.py            writes them
    dashboards.py --check    says which are not what this would write

In expressions `{*}` stands for the matchers of all variables, `{~}` for those without the instance (what is recorded per
job has none), `[*]` for the window of a rate.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB_MATCHERS = 'cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'
MATCHERS = JOB_MATCHERS + ',instance=~"$instance"'
RESOURCES = 'resource=~"index|crate|dist"'
WIDTH = 24

# Outcomes keep their colour on every panel: what was here, what cost upstream something, what went wrong.
COLOURS = {
    "hit": "green",
    "join": "light-green",
    "revalidated": "light-blue",
    "fill": "blue",
    "stale": "yellow",
    "absent": "purple",
    "forwarded": "light-purple",
    "unavailable": "red",
    "refused": "orange",
}


def expand(expr):
    expr = expr.replace("{*", "{" + MATCHERS).replace("{~", "{" + JOB_MATCHERS)
    return expr.replace("[*]", "[$__rate_interval]")


def targets(queries, instant):
    for letter, (expr, legend) in zip("ABCDEFGH", queries):
        target = {"datasource": DATASOURCE, "editorMode": "code", "expr": expand(expr)}
        target |= {"legendFormat": legend, "refId": letter, "range": not instant, "instant": instant}
        if legend == "__heatmap":
            target |= {"legendFormat": "{{le}}", "format": "heatmap"}
        yield target


def panel(kind, title, description, unit, queries, width, height, defaults, options):
    instant = kind in ("stat", "gauge", "table", "bargauge")
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": list(targets(queries, instant)),
        "fieldConfig": {"defaults": {"unit": unit} | defaults, "overrides": []},
        "options": options,
        "gridPos": {"w": width, "h": height},
    }


def steps(*values):
    """Thresholds from (from which value, colour) pairs; the first value is None."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in values]}


def graph(title, description, unit, *queries, width=8, stacked=False, most=None, outcomes=False, log=False):
    custom = {"lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never"}
    custom["stacking"] = {"mode": "normal" if stacked else "none", "group": "A"}
    if log:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    defaults = {"custom": custom, "min": 0, "color": {"mode": "palette-classic"}}
    if most is not None:
        defaults["max"] = most
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    made = panel("timeseries", title, description, unit, queries, width, 8, defaults, options)
    if outcomes:
        made["fieldConfig"]["overrides"] = [
            {
                "matcher": {"id": "byRegexp", "options": rf"/(^|\s){outcome}$/"},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }
            for outcome, colour in COLOURS.items()
        ]
    return made


def stat(title, description, unit, expr, thresholds=None, width=4, mappings=(), decimals=None):
    defaults = {
        "thresholds": thresholds or steps((None, "text")),
        "color": {"mode": "thresholds"},
        "mappings": list(mappings),
    }
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "auto",
        "orientation": "auto",
    }
    return panel("stat", title, description, unit, [(expr, "")], width, 4, defaults, options)


def states(title, description, expr, legend, words, width=8):
    """A line per series that shows which state it was in; `words` are (value, word, colour)."""
    mappings = [
        {"type": "value", "options": {str(value): {"text": word, "color": colour, "index": value}}}
        for value, word, colour in words
    ]
    defaults = {"mappings": mappings, "custom": {"fillOpacity": 80, "lineWidth": 0}, "color": {"mode": "thresholds"}}
    defaults["thresholds"] = steps((None, "text"))
    options = {
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    }
    return panel("state-timeline", title, description, "none", [(expr, legend)], width, 8, defaults, options)


def heatmap(title, description, expr, width=8):
    options = {
        "calculate": False,
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64, "reverse": True, "exponent": 0.5},
        "cellGap": 1,
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
    }
    return panel("heatmap", title, description, "s", [(expr, "__heatmap")], width, 8, {}, options)


def table(title, description, unit, expr, width=8):
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}}
    made = panel("table", title, description, unit, [(expr, "")], width, 8, {"custom": {"align": "auto"}}, options)
    made["targets"][0]["format"] = "table"
    made["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True, "__name__": True}}}]
    return made


def quantiles(metric, by="", matchers="", window="[*]"):
    """The three quantiles of a histogram."""
    labels = f", {by}" if by else ""
    for quantile in (0.5, 0.95, 0.99):
        expr = f"histogram_quantile({quantile}, sum by (le{labels}) (rate({metric}_bucket{{*{matchers}}}{window})))"
        word = f"p{quantile * 100:.0f}"
        yield expr, f"{{{{{by}}}}} {word}" if by else word


def quantile(metric, value, by, matchers=""):
    return f"histogram_quantile({value}, sum by (le, {by}) (rate({metric}_bucket{{*{matchers}}}[*])))"


def share(counter, matchers, by=""):
    """The part of a counter's rate that has these labels: 0 where they have not been counted yet, and not nothing."""
    by = f" by ({by}) " if by else ""
    whole = f"sum{by}(rate({counter}{{*}}[*]))"
    return f"(sum{by}(rate({counter}{{*,{matchers}}}[*])) or 0 * {whole}) / {whole}"


ANSWERED = 'outcome=~"hit|stale|join|fill|revalidated"'
HERE_ALREADY = 'outcome=~"hit|stale|join"'
REQUESTS = "sum(rate(crateport_http_requests_total{*}[*]))"
SERVED = "sum(rate(crateport_served_bytes_total{*}[*]))"
GOOD = steps((None, "red"), (0.5, "yellow"), (0.8, "green"))
BUDGET = steps((None, "red"), (0, "yellow"), (0.25, "green"))
NONE_IS_GOOD = steps((None, "green"), (1, "red"))

OVERVIEW = (
    "overview",
    "Overview",
    "What clients get, what upstream was spared, and whether anything is wrong.",
    [
        (
            "Now",
            [
                stat(
                    "Availability",
                    "Share of the requests of the last hour that got an answer; refused ones do not count.",
                    "percentunit",
                    "1 - max(job:crateport_availability:error_ratio_rate1h{~})",
                    steps((None, "red"), (0.99, "yellow"), (0.999, "green")),
                    width=3,
                    decimals=3,
                ),
                stat("Requests", "Requests a second.", "reqps", REQUESTS, width=3),
                stat(
                    "Hits, by requests",
                    "Share of the index files, crates and dist files that were served without a request to upstream of their own (hit, stale, join).",
                    "percentunit",
                    f"sum(rate(crateport_http_requests_total{{*,{HERE_ALREADY}}}[*])) / sum(rate(crateport_http_requests_total{{*,{ANSWERED}}}[*]))",
                    GOOD,
                    width=3,
                ),
                stat(
                    "Hits, by bytes",
                    "Share of the bytes that clients got which had not to be fetched from upstream.",
                    "percentunit",
                    f"1 - sum(rate(crateport_filled_bytes_total{{*}}[*])) / {SERVED}",
                    GOOD,
                    width=3,
                ),
                stat(
                    "Bytes saved",
                    "Bytes served less bytes fetched from upstream, in the time shown.",
                    "bytes",
                    "sum(increase(crateport_served_bytes_total{*}[$__range])) - sum(increase(crateport_filled_bytes_total{*}[$__range]))",
                    width=3,
                ),
                stat(
                    "Stale",
                    "Share of the answers that were the last good one because upstream could not be asked in time.",
                    "percentunit",
                    share("crateport_http_requests_total", 'outcome="stale"'),
                    steps((None, "green"), (0.01, "yellow"), (0.05, "red")),
                    width=3,
                ),
                stat(
                    "Upstreams left alone",
                    "Registries whose upstream at least one replica leaves alone for a while.",
                    "none",
                    "count(max by (registry) (crateport_upstream_condition{*}) == 2) or vector(0)",
                    NONE_IS_GOOD,
                    width=3,
                ),
                stat(
                    "Replicas",
                    "Replicas that want requests.",
                    "none",
                    "sum(crateport_ready{*})",
                    steps((None, "red"), (1, "green")),
                    width=3,
                ),
            ],
        ),
        (
            "Requests: rate, errors, duration",
            [
                graph(
                    "Requests by resource",
                    "Requests a second, by what was asked for.",
                    "reqps",
                    ("sum by (resource) (rate(crateport_http_requests_total{*}[*]))", "{{resource}}"),
                    stacked=True,
                ),
                graph(
                    "Requests by outcome",
                    "Requests a second, by what was done to answer; the words are those of the header x-cache.",
                    "reqps",
                    ("sum by (outcome) (rate(crateport_http_requests_total{*}[*]))", "{{outcome}}"),
                    stacked=True,
                    outcomes=True,
                ),
                graph(
                    "Unavailable",
                    "Share of the requests for a resource that got 503 or 502.",
                    "percentunit",
                    (share("crateport_http_requests_total", 'outcome="unavailable"', "resource"), "{{resource}}"),
                ),
                graph(
                    "First byte, by outcome",
                    "From the request's head to the head of the answer: the 99th percentile of index files, crates and dist files.",
                    "s",
                    (quantile("crateport_http_first_byte_seconds", 0.99, "outcome", f",{RESOURCES}"), "{{outcome}}"),
                    outcomes=True,
                    log=True,
                ),
                graph(
                    "Duration, by resource",
                    "From the request's head to the last byte, which is the client's speed as well: the 99th percentile.",
                    "s",
                    (quantile("crateport_http_request_duration_seconds", 0.99, "resource"), "{{resource}}"),
                    log=True,
                ),
                graph(
                    "In flight",
                    "Requests being answered, and fills under way.",
                    "none",
                    ("sum(crateport_http_requests_in_flight{*})", "requests"),
                    ("sum(crateport_fills_in_flight{*})", "fills"),
                ),
            ],
        ),
        (
            "Hits",
            [
                graph(
                    "Hits by requests",
                    "Per resource: share that was served without a request to upstream of its own.",
                    "percentunit",
                    (
                        f"sum by (resource) (rate(crateport_http_requests_total{{*,{RESOURCES},{HERE_ALREADY}}}[*])) / sum by (resource) (rate(crateport_http_requests_total{{*,{RESOURCES},{ANSWERED}}}[*]))",
                        "{{resource}}",
                    ),
                    most=1,
                ),
                graph(
                    "Hits by bytes",
                    "Per resource: share of the bytes served that had not to be fetched from upstream. Below 0 more was fetched than served.",
                    "percentunit",
                    (
                        "1 - sum by (resource) (rate(crateport_filled_bytes_total{*}[*])) / sum by (resource) (rate(crateport_served_bytes_total{*}[*]) > 0)",
                        "{{resource}}",
                    ),
                    most=1,
                ),
                graph(
                    "Outcomes per resource",
                    "Requests a second for index files, crates and dist files, by outcome.",
                    "reqps",
                    (
                        f"sum by (resource, outcome) (rate(crateport_http_requests_total{{*,{RESOURCES}}}[*]))",
                        "{{resource}} {{outcome}}",
                    ),
                    stacked=True,
                    outcomes=True,
                ),
                graph(
                    "Bytes by outcome",
                    "Bytes a second that clients got or were redirected to, by outcome.",
                    "Bps",
                    ("sum by (outcome) (rate(crateport_served_bytes_total{*}[*]))", "{{outcome}}"),
                    stacked=True,
                    outcomes=True,
                ),
                graph(
                    "Served and fetched",
                    "Bytes a second to clients, and from upstream; what is between the lines was saved.",
                    "Bps",
                    (SERVED, "served"),
                    ("sum(rate(crateport_filled_bytes_total{*}[*]))", "fetched from upstream"),
                ),
                graph(
                    "Bytes by delivery",
                    "Bytes a second, by how they left: memory, through this process from the store or from a fill, or as a redirect to the store.",
                    "Bps",
                    ("sum by (delivery) (rate(crateport_served_bytes_total{*}[*]))", "{{delivery}}"),
                    stacked=True,
                ),
            ],
        ),
        (
            "What may be wrong",
            [
                graph(
                    "Stale, by resource",
                    "Answers a second that were the last good one.",
                    "reqps",
                    (
                        'sum by (resource) (rate(crateport_http_requests_total{*,outcome="stale"}[*])) or 0 * sum by (resource) (rate(crateport_http_requests_total{*,resource="index"}[*]))',
                        "{{resource}}",
                    ),
                ),
                graph(
                    "Fills by result",
                    "Fills a second, by how they ended.",
                    "ops",
                    ("sum by (resource, result) (rate(crateport_fills_total{*}[*]))", "{{resource}} {{result}}"),
                    stacked=True,
                ),
                graph(
                    "Wrong bytes",
                    "Fills whose checksum was wrong, and stored objects found damaged. Both should be 0.",
                    "none",
                    ('sum(increase(crateport_fills_total{*,result="checksum-mismatch"}[*]))', "checksum mismatch"),
                    ("sum(increase(crateport_damaged_objects_total{*}[*]))", "damaged"),
                ),
            ],
        ),
    ],
)

UPSTREAM = (
    "upstream",
    "Upstream",
    "How upstream answers, and how much it is asked.",
    [
        (
            "How it is",
            [
                states(
                    "Condition",
                    "Worst condition of each registry's upstream over the replicas.",
                    "max by (registry) (crateport_upstream_condition{*})",
                    "{{registry}}",
                    [(0, "healthy", "green"), (1, "slow", "yellow"), (2, "left alone", "red")],
                    width=16,
                ),
                graph(
                    "Good answers",
                    "Found, not modified or absent: what upstream itself said, a second.",
                    "reqps",
                    ("sum by (registry) (job_registry:crateport_upstream_answers:rate10m{~})", "{{registry}}"),
                ),
            ],
        ),
        (
            "What it is asked",
            [
                graph(
                    "Attempts by result",
                    "Attempts on the wire a second. Retries count, redirects do not.",
                    "reqps",
                    (
                        "sum by (registry, result) (rate(crateport_upstream_requests_total{*}[*]))",
                        "{{registry}} {{result}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Attempts by resource",
                    "Attempts on the wire a second, by what was asked for.",
                    "reqps",
                    (
                        "sum by (registry, resource) (rate(crateport_upstream_requests_total{*}[*]))",
                        "{{registry}} {{resource}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Not modified",
                    "Share of the answers about index files that said: nothing new.",
                    "percentunit",
                    (
                        'sum by (registry) (rate(crateport_upstream_requests_total{*,resource="index",result="not_modified"}[*])) / sum by (registry) (rate(crateport_upstream_requests_total{*,resource="index",result=~"ok|not_modified"}[*]))',
                        "{{registry}}",
                    ),
                    most=1,
                ),
                graph(
                    "Failures",
                    "Share of the attempts that failed.",
                    "percentunit",
                    ("max by (registry) (job_registry:crateport_upstream_errors:ratio_rate10m{~})", "{{registry}}"),
                    most=1,
                ),
                graph(
                    "Failures by kind",
                    "Failed attempts a second.",
                    "reqps",
                    (
                        'sum by (registry, result) (rate(crateport_upstream_requests_total{*,result!~"ok|not_modified|absent"}[*]))',
                        "{{registry}} {{result}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Requests spared",
                    "Requests of clients for each request to upstream: how many builds share one.",
                    "none",
                    (
                        "sum(rate(crateport_http_requests_total{*}[*])) / sum(rate(crateport_upstream_requests_total{*}[*]))",
                        "requests per attempt",
                    ),
                ),
            ],
        ),
        (
            "How fast it is",
            [
                graph(
                    "Time to its headers",
                    "Per registry: how long an attempt takes until its headers came or it failed.",
                    "s",
                    *quantiles("crateport_upstream_request_duration_seconds", "registry"),
                    log=True,
                ),
                heatmap(
                    "Attempts by time",
                    "How long attempts take until their headers.",
                    "sum by (le) (increase(crateport_upstream_request_duration_seconds_bucket{*}[*]))",
                ),
                graph(
                    "Bytes fetched",
                    "Bytes a second that fills took from upstream.",
                    "Bps",
                    ("sum by (resource) (rate(crateport_filled_bytes_total{*}[*]))", "{{resource}}"),
                    stacked=True,
                ),
            ],
        ),
        (
            "What became of it",
            [
                graph(
                    "Fills by result",
                    "Fills a second, by how they ended.",
                    "ops",
                    ("sum by (resource, result) (rate(crateport_fills_total{*}[*]))", "{{resource}} {{result}}"),
                    stacked=True,
                ),
                graph(
                    "Refreshed ahead",
                    "Index files a second that were refreshed before a client asked.",
                    "ops",
                    ("sum(rate(crateport_refreshes_ahead_total{*}[*]))", "refreshed ahead"),
                ),
                graph(
                    "Stale and unavailable",
                    "Answers a second that were not what upstream has now, or none.",
                    "reqps",
                    (
                        'sum by (outcome) (rate(crateport_http_requests_total{*,outcome=~"stale|unavailable"}[*]))',
                        "{{outcome}}",
                    ),
                    outcomes=True,
                ),
            ],
        ),
    ],
)

STORE = (
    "store",
    "Store",
    "The object store: what it is asked, how it answers, and how much room is left.",
    [
        (
            "What it is asked",
            [
                graph(
                    "Operations",
                    "Operations a second.",
                    "ops",
                    ("sum by (operation) (rate(crateport_store_requests_total{*}[*]))", "{{operation}}"),
                    stacked=True,
                ),
                graph(
                    "Results",
                    "Operations a second, by their result.",
                    "ops",
                    (
                        "sum by (operation, result) (rate(crateport_store_requests_total{*}[*]))",
                        "{{operation}} {{result}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Failures",
                    "Share of the operations that failed; absent is no failure.",
                    "percentunit",
                    (share("crateport_store_requests_total", 'result!~"ok|absent"'), "failed"),
                    most=1,
                ),
            ],
        ),
        (
            "How fast it is",
            [
                graph(
                    "99th percentile",
                    "Until the store answered; for reads, until the first byte can be read.",
                    "s",
                    (quantile("crateport_store_request_duration_seconds", 0.99, "operation"), "{{operation}}"),
                    log=True,
                ),
                graph(
                    "Median",
                    "Until the store answered; for reads, until the first byte can be read.",
                    "s",
                    (quantile("crateport_store_request_duration_seconds", 0.5, "operation"), "{{operation}}"),
                    log=True,
                ),
                heatmap(
                    "Reads by time",
                    "How long reads take until their first byte.",
                    'sum by (le) (increase(crateport_store_request_duration_seconds_bucket{*,operation="get"}[*]))',
                ),
                graph(
                    "Asked for fewer requests",
                    "Answers a second of the S3 server that asked for fewer requests, those that a retry hid included.",
                    "ops",
                    ("sum by (operation) (rate(crateport_store_throttled_total{*}[*]))", "{{operation}}"),
                    stacked=True,
                ),
                graph(
                    "Failures that were felt",
                    "Operations a second whose failure failed a request or a fill.",
                    "ops",
                    ("sum by (instance) (rate(crateport_cache_store_failures_total{*}[*]))", "{{instance}}"),
                ),
                graph(
                    "Damaged objects",
                    "Stored objects found damaged and dropped.",
                    "none",
                    ("sum by (instance) (increase(crateport_damaged_objects_total{*}[*]))", "{{instance}}"),
                ),
            ],
        ),
        (
            "Room",
            [
                graph(
                    "Free",
                    "Share of the file system of the spool, and of a store in a directory, that is free.",
                    "percentunit",
                    ("instance_area:crateport_disk_free:ratio{*}", "{{instance}} {{area}}"),
                    most=1,
                ),
                graph(
                    "Free, in bytes",
                    "Bytes that are free for the spool, and for a store in a directory.",
                    "bytes",
                    ("crateport_disk_free_bytes{*}", "{{instance}} {{area}}"),
                ),
                graph(
                    "Spool",
                    "Bytes that fills under way hold in memory and on disk.",
                    "bytes",
                    ("sum by (instance) (crateport_spool_bytes{*})", "{{instance}}"),
                    stacked=True,
                ),
            ],
        ),
    ],
)

COORDINATION = (
    "coordination",
    "Coordination",
    "How replicas agree who fetches what, and what happens without.",
    [
        (
            "How it is",
            [
                states(
                    "Coordinator",
                    "Whether each replica can reach its coordinator. Without it work may be done twice.",
                    "min by (instance) (crateport_coord_up{*})",
                    "{{instance}}",
                    [(0, "degraded", "red"), (1, "up", "green")],
                    width=16,
                ),
                graph(
                    "Failures",
                    "Share of the questions that got no usable answer.",
                    "percentunit",
                    (share("crateport_coord_requests_total", 'result=~"down|late|lost|refused"'), "failed"),
                    most=1,
                ),
            ],
        ),
        (
            "What it is asked",
            [
                graph(
                    "Questions",
                    "Questions a second.",
                    "ops",
                    ("sum by (operation) (rate(crateport_coord_requests_total{*}[*]))", "{{operation}}"),
                    stacked=True,
                ),
                graph(
                    "Results",
                    "Questions a second, by their result.",
                    "ops",
                    (
                        "sum by (operation, result) (rate(crateport_coord_requests_total{*}[*]))",
                        "{{operation}} {{result}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Time",
                    "99th percentile until the coordinator answered; for wait, until the lease ended.",
                    "s",
                    (quantile("crateport_coord_request_duration_seconds", 0.99, "operation"), "{{operation}}"),
                    log=True,
                ),
            ],
        ),
        (
            "One fetch for the fleet",
            [
                graph(
                    "Leases",
                    "Claims a second that made a leader, and those that found one and follow.",
                    "ops",
                    ('sum by (result) (rate(crateport_coord_requests_total{*,operation="claim"}[*]))', "{{result}}"),
                    stacked=True,
                ),
                graph(
                    "Fetches spared",
                    "Fills a second whose bytes came from another replica while it fetched them, or that it had ended in the meantime.",
                    "ops",
                    (
                        'sum(rate(crateport_fills_total{*,result="read-along"}[*])) or 0 * sum(rate(crateport_fills_total{*}[*]))',
                        "read along",
                    ),
                    (
                        'sum(rate(crateport_fills_total{*,result="found"}[*])) or 0 * sum(rate(crateport_fills_total{*}[*]))',
                        "found",
                    ),
                ),
                graph(
                    "Joined",
                    "Requests a second that were served from a fill which another one began.",
                    "reqps",
                    (
                        'sum by (resource) (rate(crateport_http_requests_total{*,outcome="join"}[*])) or 0 * sum by (resource) (rate(crateport_http_requests_total{*,resource="crate"}[*]))',
                        "{{resource}}",
                    ),
                ),
            ],
        ),
    ],
)

REPLICAS = (
    "replicas",
    "Replicas",
    "Utilisation, saturation and errors of every replica.",
    [
        (
            "Which they are",
            [
                table(
                    "Versions",
                    "The build that each replica runs.",
                    "none",
                    "max by (cluster, namespace, job, instance, version, os, arch) (crateport_build_info{*})",
                    width=12,
                ),
                graph(
                    "Running since",
                    "How long the process of each replica has run. A step down is a restart.",
                    "s",
                    (
                        "time() - process_start_time_seconds{*} and on (job, instance) crateport_build_info{*}",
                        "{{instance}}",
                    ),
                    width=6,
                ),
                graph(
                    "Requests",
                    "Requests a second to each replica: connections live long, so load may be uneven.",
                    "reqps",
                    ("sum by (instance) (rate(crateport_http_requests_total{*}[*]))", "{{instance}}"),
                    width=6,
                    stacked=True,
                ),
            ],
        ),
        (
            "Utilisation",
            [
                graph("CPU", "Cores in use.", "none", ("rate(process_cpu_seconds_total{*}[*])", "{{instance}}")),
                graph(
                    "Workers",
                    "Share of the time that the runtime's workers are busy.",
                    "percentunit",
                    (
                        "sum by (instance) (rate(crateport_runtime_busy_seconds_total{*}[*])) / sum by (instance) (crateport_runtime_workers{*})",
                        "{{instance}}",
                    ),
                    most=1,
                ),
                graph("Memory", "Resident memory.", "bytes", ("process_resident_memory_bytes{*}", "{{instance}}")),
                graph(
                    "Index files in memory",
                    "Memory taken by index files in use, and the limit of it.",
                    "bytes",
                    ("sum by (instance) (crateport_index_memory_bytes{*})", "{{instance}}"),
                    ('max(crateport_limit{*,what="index-memory-bytes"})', "limit"),
                ),
                graph(
                    "File descriptors",
                    "Share of the file descriptors that may be open.",
                    "percentunit",
                    ("process_open_fds{*} / process_max_fds{*}", "{{instance}}"),
                    most=1,
                ),
                graph(
                    "Connections",
                    "Connections open now.",
                    "none",
                    ("sum by (instance) (crateport_listen_connections{*})", "{{instance}}"),
                ),
            ],
        ),
        (
            "Saturation",
            [
                graph(
                    "Of requests",
                    "Requests being answered, as a share of requests-max.",
                    "percentunit",
                    (
                        'sum by (instance) (crateport_http_requests_in_flight{*}) / sum by (instance) (crateport_limit{*,what="requests"})',
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Of connections",
                    "Connections open, as a share of connections-max.",
                    "percentunit",
                    (
                        'sum by (instance) (crateport_listen_connections{*}) / sum by (instance) (crateport_limit{*,what="connections"})',
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Of fills",
                    "Fills under way, as a share of fills-max.",
                    "percentunit",
                    (
                        'sum by (instance) (crateport_fills_in_flight{*}) / sum by (instance) (crateport_limit{*,what="fills"})',
                        "{{instance}}",
                    ),
                ),
                graph(
                    "Runtime's queue",
                    "Tasks that wait for a worker.",
                    "none",
                    ("sum by (instance) (crateport_runtime_queue_depth{*})", "{{instance}}"),
                ),
                graph(
                    "Runtime's tasks",
                    "Tasks alive.",
                    "none",
                    ("sum by (instance) (crateport_runtime_tasks{*})", "{{instance}}"),
                ),
                graph(
                    "Disk",
                    "Share of the file system that is free.",
                    "percentunit",
                    ("instance_area:crateport_disk_free:ratio{*}", "{{instance}} {{area}}"),
                    most=1,
                ),
            ],
        ),
        (
            "Errors",
            [
                graph(
                    "Connections that ended badly",
                    "Handshakes that failed, headers that came late, streams that stood still, connections that broke.",
                    "ops",
                    (
                        'sum by (event) (rate(crateport_listen_events_total{*,event!~"accepted|upgraded|idle-closed|certificate-reloaded"}[*]))',
                        "{{event}}",
                    ),
                    stacked=True,
                    width=12,
                ),
                graph(
                    "Connections accepted",
                    "Connections a second, and those among them that moved to HTTP/2.",
                    "ops",
                    (
                        'sum by (event) (rate(crateport_listen_events_total{*,event=~"accepted|upgraded|idle-closed"}[*]))',
                        "{{event}}",
                    ),
                    width=12,
                ),
                graph(
                    "Certificates",
                    "Days until the certificate of each TLS listener ends.",
                    "d",
                    (
                        "min by (instance, address) (crateport_tls_certificate_expiry_timestamp_seconds{*} - time()) / 86400",
                        "{{instance}} {{address}}",
                    ),
                    width=12,
                ),
                states(
                    "Configuration",
                    "Whether the configuration was last reloaded without fault.",
                    "min by (instance) (crateport_config_reload_last_successful{*})",
                    "{{instance}}",
                    [(0, "refused", "red"), (1, "taken", "green")],
                    width=12,
                ),
            ],
        ),
    ],
)


def burn(record, budget):
    for window in ("5m", "1h", "6h", "3d"):
        yield f"max(job:{record}_rate{window}{{~}}) / {budget}", window


SLO = (
    "slo",
    "Promises",
    "Whether the promises are kept: 99.9 % of the requests are answered, 99 % of the index files at hand within 100 ms.",
    [
        (
            "The last 30 days",
            [
                stat(
                    "Availability",
                    "Share of the requests that got an answer, in 30 days.",
                    "percentunit",
                    "1 - max(job:crateport_availability:error_ratio_rate30d{~})",
                    steps((None, "red"), (0.999, "green")),
                    width=6,
                    decimals=3,
                ),
                stat(
                    "Budget left",
                    "Share of the 0.1 % of failures which the month allows that is left.",
                    "percentunit",
                    "1 - max(job:crateport_availability:error_ratio_rate30d{~}) / 0.001",
                    BUDGET,
                    width=6,
                ),
                stat(
                    "Quick hits",
                    "Share of the index files that were hits and served whole within 100 ms, in 30 days.",
                    "percentunit",
                    "1 - max(job:crateport_latency:slow_ratio_rate30d{~})",
                    steps((None, "red"), (0.99, "green")),
                    width=6,
                    decimals=3,
                ),
                stat(
                    "Budget left for slow hits",
                    "Share of the 1 % of slow hits which the month allows that is left.",
                    "percentunit",
                    "1 - max(job:crateport_latency:slow_ratio_rate30d{~}) / 0.01",
                    BUDGET,
                    width=6,
                ),
            ],
        ),
        (
            "How fast the budgets burn",
            [
                graph(
                    "Availability",
                    "At 1 the month's budget lasts exactly a month; 14.4 over an hour and five minutes pages.",
                    "none",
                    *burn("crateport_availability:error_ratio", 0.001),
                    width=12,
                ),
                graph(
                    "Latency",
                    "At 1 the month's budget lasts exactly a month; 14.4 over an hour and five minutes pages.",
                    "none",
                    *burn("crateport_latency:slow_ratio", 0.01),
                    width=12,
                ),
            ],
        ),
        (
            "Where",
            [
                graph(
                    "Unavailable, by resource",
                    "Requests a second that got no answer.",
                    "reqps",
                    (
                        'sum by (resource, status) (rate(crateport_http_requests_total{*,outcome="unavailable"}[*])) or 0 * sum by (resource) (rate(crateport_http_requests_total{*,resource="index"}[*]))',
                        "{{resource}} {{status}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Unavailable, by replica",
                    "Share of each replica's requests that got no answer.",
                    "percentunit",
                    (share("crateport_http_requests_total", 'outcome="unavailable"', "instance"), "{{instance}}"),
                ),
                graph(
                    "Quick hits, by replica",
                    "Share of each replica's index files that were hits and served whole within 100 ms.",
                    "percentunit",
                    (
                        'sum by (instance) (rate(crateport_http_request_duration_seconds_bucket{*,resource="index",outcome="hit",le="0.1"}[*])) / sum by (instance) (rate(crateport_http_request_duration_seconds_count{*,resource="index",outcome="hit"}[*]))',
                        "{{instance}}",
                    ),
                    most=1,
                ),
                graph(
                    "Skew",
                    "Requests of the busiest replica, as a multiple of the average.",
                    "none",
                    (
                        "max(sum by (instance) (rate(crateport_http_requests_total{*}[*]))) / avg(sum by (instance) (rate(crateport_http_requests_total{*}[*])))",
                        "busiest / average",
                    ),
                ),
                table(
                    "Alerts",
                    "What fires now, and what is about to.",
                    "none",
                    'sum by (alertname, alertstate, severity, namespace, job) (ALERTS{alertname=~"Crateport.*"}) or vector(0)',
                    width=16,
                ),
            ],
        ),
    ],
)

DASHBOARDS = [OVERVIEW, UPSTREAM, STORE, COORDINATION, REPLICAS, SLO]


def variable(name, label, matchers):
    query = (
        f"label_values(crateport_build_info{{{matchers}}}, {name})"
        if matchers
        else f"label_values(crateport_build_info, {name})"
    )
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "A"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def variables():
    names = ["cluster", "namespace", "job", "instance"]
    yield {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "current": {},
        "refresh": 1,
    }
    for position, name in enumerate(names):
        matchers = ",".join(f'{before}=~"${before}"' for before in names[:position])
        yield variable(name, name.capitalize(), matchers)


def annotations():
    rollout = expand(
        "count by (version) (crateport_build_info{*}) unless count by (version) (crateport_build_info{*} offset 5m)"
    )
    firing = f'count by (alertname, severity) (ALERTS{{alertname=~"Crateport.*",alertstate="firing",{JOB_MATCHERS}}})'
    for name, expr, colour, title in [
        ("New versions", rollout, "blue", "Version {{version}}"),
        ("Alerts", firing, "red", "{{alertname}} ({{severity}})"),
    ]:
        yield {
            "name": name,
            "datasource": DATASOURCE,
            "enable": True,
            "expr": expr,
            "iconColor": colour,
            "step": "60s",
            "titleFormat": title,
        }


def placed(rows):
    """The panels one after another, row by row, with their numbers."""
    number, top = 0, 0
    for title, panels in rows:
        number += 1
        yield {
            "type": "row",
            "title": title,
            "id": number,
            "collapsed": False,
            "panels": [],
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
        }
        top, left, tallest = top + 1, 0, 0
        for made in panels:
            number += 1
            width, height = made["gridPos"]["w"], made["gridPos"]["h"]
            if left + width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            yield made | {"id": number, "gridPos": {"h": height, "w": width, "x": left, "y": top}}
            left, tallest = left + width, max(tallest, height)
        top += tallest


def dashboard(name, title, description, rows):
    return {
        "uid": f"crateport-{name}",
        "title": f"Crateport / {title}",
        "description": description,
        "tags": ["crateport"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "Crateport",
                "tags": ["crateport"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "annotations": {"list": list(annotations())},
        "templating": {"list": list(variables())},
        "panels": list(placed(rows)),
    }


def main(arguments):
    stale = []
    for name, title, description, rows in DASHBOARDS:
        path = HERE / f"{name}.json"
        text = json.dumps(dashboard(name, title, description, rows), indent=1) + "\n"
        if arguments == ["--check"]:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        print(f"not what dashboards.py makes: {', '.join(stale)}; run deploy/grafana/dashboards.py", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
