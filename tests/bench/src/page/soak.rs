//! Part 5 on the page.

use anyhow::Result;

use super::markdown::{self, Page, Table, bytes, number};
use super::plot::Lines;
use crate::soak::Found;

pub(super) fn write(page: &mut Page, found: &Found) -> Result<()> {
    page.heading(2, "The soak");
    page.text(&format!(
        "{:.0} minutes of a synthetic CI on three replicas with Redis and S3: jobs with empty and with warm homes, \
         packages as popular as Zipf has it, a real cargo beside them, publishes upstream, and restarts of two of the \
         replicas, half of them by SIGKILL.",
        found.seconds / 60.0
    ));
    let mut table = Table::new(&["what", "count"]);
    let count = |value: u64| markdown::count(value as f64);
    for (what, value) in [
        ("jobs with an empty home", count(found.cold_jobs)),
        ("jobs with a warm home", count(found.warm_jobs)),
        ("requests", count(found.requests)),
        ("repeated during restarts, as cargo does", count(found.repeated)),
        ("errors", count(found.errors)),
        ("runs of a real cargo", count(found.cargo_runs)),
        ("of which failed", count(found.cargo_failures)),
        ("publishes upstream", count(found.publishes)),
        ("restarts", count(found.restarts)),
        ("requests that reached the upstream", count(found.upstream_requests)),
        ("the most GETs of one crate", count(found.upstream_crate_most)),
        ("p50", format!("{} ms", number(found.p50_ms))),
        ("p99", format!("{} ms", number(found.p99_ms))),
        ("memory of a replica, at most", bytes(found.resident_bytes_max())),
        (
            "memory of the replica that stays, in the last quarter / in the second",
            format!("×{:.2}", found.growth()),
        ),
    ] {
        table.row(vec![what.to_owned(), value]);
    }
    page.table(&table);
    for error in &found.first_errors {
        page.text(&format!("* `{error}`"));
    }
    let replicas = found.looks.iter().map(|look| look.resident_bytes.len()).max().unwrap_or(0);
    let series = (0..replicas).map(|number| {
        let points = found
            .looks
            .iter()
            .filter_map(|look| Some((look.seconds / 60.0, look.resident_bytes.get(number)? / 1e6)));
        (format!("replica {}", number + 1), points.collect())
    });
    let lines = Lines {
        title: "Memory of the replicas over time",
        x_name: "minutes",
        unit: "MB",
        series: series.collect(),
        is_x_logarithmic: false,
    };
    page.plot("soak", "Memory over time", &lines.svg())
}
