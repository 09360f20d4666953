//! The tables of the page, from a report. Whatever comes from outside is escaped, and no host is named: see
//! `crate::status` for what clients are told.

use std::fmt::Write as _;

use crateport_types::Moment;

use super::plot::{Bar, plot};
use super::{escaped, told};
use crate::readable::{ago, count, percent, size, took};
use crate::report::{Counts, Report};

/// Rows of the tables of what was filled and of what failed; `crateport stats --json` has more.
const ROWS_MAX: usize = 15;

/// What the store holds, by registry and by dist origin.
pub(super) fn held(report: &Report) -> String {
    let cell = |held: Option<&crate::report::Held>| {
        held.map_or_else(
            || "…".to_owned(),
            |held| format!("{} <small>({})</small>", count(held.objects), size(held.bytes)),
        )
    };
    let (mut registries, mut dists) = (String::new(), String::new());
    for origin in &report.origins {
        let of = |kind: &str| origin.held.iter().find(|held| held.kind == kind);
        let (id, upstream) = (escaped(&origin.id), told(&origin.upstream));
        // Writing to a string cannot fail.
        let _ = if origin.is_dist {
            let files = cell(of("dist"));
            write!(dists, "<tr><th scope=row>{id}<td>{files}<td>{upstream}")
        } else {
            let (index, crates) = (cell(of("index")), cell(of("crate")));
            write!(registries, "<tr><th scope=row>{id}<td>{index}<td>{crates}<td>{upstream}")
        };
    }
    let counted = report.counted.map_or_else(
        || "It is being counted for the first time.".to_owned(),
        |counted| format!("Counted {}.", ago(counted, report.made)),
    );
    let mut text = table(&["registry", "index files", "crates", "upstream"], &registries);
    if !dists.is_empty() {
        text += &table(&["toolchains", "files", "upstream"], &dists);
    }
    format!("{text}<p class=note>{counted}</p>")
}

/// Hit ratios and plots.
pub(super) fn traffic(report: &Report) -> String {
    let mut rows = String::new();
    type Of = fn(&crate::report::Window) -> &Counts;
    let kinds: [(&str, Of); 4] = [
        ("all", |window| &window.all),
        ("index files", |window| &window.index),
        ("crates", |window| &window.krate),
        ("toolchains", |window| &window.dist),
    ];
    for (name, of) in kinds {
        let _ = write!(rows, "<tr><th scope=row>{name}");
        for window in &report.windows {
            let counts = of(window);
            let _ = write!(
                rows,
                "<td>{} <small>of {}</small><br>{} <small>of {}</small>",
                percent(counts.hit_percent()),
                count(counts.requests),
                percent(counts.hit_bytes_percent()),
                size(counts.bytes)
            );
        }
    }
    let failures = report.windows.iter().map(|window| window.all.failures);
    let failures = failures.fold(String::new(), |row, failures| row + "<td>" + &count(failures));
    let _ = write!(rows, "<tr><th scope=row>not answered{failures}");
    let bars = |of: fn(&Counts) -> Bar| report.quarters.iter().map(of).collect::<Vec<_>>();
    let mut heads = vec!["from here".to_owned()];
    heads.extend(report.windows.iter().map(|window| format!("{} h", window.hours)));
    let heads = heads.iter().map(String::as_str).collect::<Vec<_>>();
    format!(
        "{}<p class=note>How much of the requests, and below of the bytes, was here or on its way already. Counted by \
         this replica, {}, which has been up since {}.</p>\
         <p class=legend><span><i class=here></i>from here</span><span><i class=rest></i>upstream was asked</span></p>\
         <div class=plots>{}{}</div>",
        table(&heads, &rows),
        escaped(&report.replica),
        report.since,
        plot("Requests", &bars(Bar::requests), count),
        plot("Bytes", &bars(Bar::bytes), size)
    )
}

/// The crates fetched most.
pub(super) fn top_crates(report: &Report) -> String {
    let most = report.top_crates.first().map_or(1, |top| top.requests.max(1));
    let mut rows = String::new();
    for top in &report.top_crates {
        let width = top.requests.saturating_mul(100) / most;
        let _ = write!(
            rows,
            "<tr><th scope=row>{} <small>{}</small><td class=bar><i style=\"width:{width}%\"></i><td class=number>{}",
            escaped(&top.krate),
            escaped(&top.registry),
            count(top.requests)
        );
    }
    let since = ago(report.top_crates_since, report.made);
    section(
        "Fetched most",
        &rows,
        &["crate", "", "times"],
        &format!("Counted since {since}, by this replica."),
    )
}

/// The slowest upstreams.
pub(super) fn upstreams(report: &Report) -> String {
    let mut rows = String::new();
    for times in &report.upstreams {
        let _ = write!(
            rows,
            "<tr><th scope=row>{} <small>{}</small><td>{}<td>{}<td>{}<td>{} <small>of {}</small>",
            escaped(&times.origin),
            escaped(&times.resource),
            took(times.median_ms),
            took(times.p95_ms),
            took(times.slowest_ms),
            count(times.failed),
            count(times.attempts)
        );
    }
    section("Upstreams, the slowest first", &rows, &["", "half", "95%", "slowest", "failed"], "")
}

/// What was fetched last.
pub(super) fn fills(report: &Report) -> String {
    let mut rows = String::new();
    for fill in report.fills.iter().take(ROWS_MAX) {
        let unkept = if fill.is_kept { "" } else { ", not kept" };
        let _ = write!(
            rows,
            "<tr><th scope=row>{} <small>{}</small><td class=unit>{}<td class=unit>{}{unkept}<td>{}",
            escaped(&fill.what),
            escaped(&fill.origin),
            size(fill.bytes),
            took(fill.took_ms),
            time(fill.ended, report.made)
        );
    }
    section("Filled last", &rows, &["", "size", "took", "when"], "")
}

/// What failed last. The sentences are for the operator, who asks the ops listener.
pub(super) fn errors(report: &Report) -> String {
    let mut rows = String::new();
    for error in report.errors.iter().take(ROWS_MAX) {
        let upstream = error.upstream_status.map(|status| format!(" {status}")).unwrap_or_default();
        let times =
            if error.count > 1 { format!(" ×{}", count(error.count)) } else { String::new() };
        let _ = write!(
            rows,
            "<tr><th scope=row>{}<td>{}<td>{}{upstream}{times}<td>{}",
            escaped(&error.path),
            error.status,
            escaped(&error.reason),
            time(error.last, report.made)
        );
    }
    section("Errors", &rows, &["path", "status", "reason", "when"], "")
}

fn time(then: Moment, now: Moment) -> String {
    format!("<time datetime={then} title={then}>{}</time>", ago(then, now))
}

/// Nothing where there are no rows.
fn section(title: &str, rows: &str, heads: &[&str], note: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2>{}<p class=note>{note}</p>", table(heads, rows))
}

fn table(heads: &[&str], rows: &str) -> String {
    let heads = heads.iter().fold(String::new(), |heads, head| heads + "<th scope=col>" + head);
    format!("<div class=wide><table><thead><tr>{heads}<tbody>{rows}</table></div>")
}
