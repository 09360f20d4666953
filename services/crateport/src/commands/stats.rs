//! `stats`: what the Crateport that these settings describe holds and does, as its ops listener tells it.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use crateport_http::readable::{ago, count, percent, size, took};
use crateport_http::{Counts, Report, Window};

use super::print;
use crate::ops_client::{OpsAnswer, ask};
use crate::settings::Settings;

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Tables,
    /// For programs, as the ops listener tells it.
    Json,
}

const STATS_PATH: &str = "/stats";
/// Longer than the first count of the store is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
const OK: u16 = 200;
/// Rows of a table; `--json` has all.
const ROWS_MAX: usize = 10;

/// Asks once.
pub(crate) async fn run(settings: &Settings, form: Form) -> anyhow::Result<ExitCode> {
    let listen = settings.ops_listen;
    if listen.port() == 0 {
        bail!("ops-listen names port 0, so that only the one who listens knows its port");
    }
    let OpsAnswer { status, body } = ask(listen, STATS_PATH, TIMEOUT).await?;
    if status != OK {
        bail!("{listen} answered {status}: is it the ops listener of this release?");
    }
    let report = Report::parse(&body).with_context(|| format!("{listen} told no report"))?;
    Ok(match form {
        Form::Json => print(&format!("{body}\n")),
        Form::Tables => print(&tables(&report)),
    })
}

fn tables(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "crateport {} {}, counting since {}",
        report.version, report.replica, report.since
    );
    let parts =
        [held(report), hits(report), top(report), upstreams(report), fills(report), errors(report)];
    for part in parts.into_iter().flatten() {
        let _ = write!(text, "\n{part}");
    }
    text
}

fn held(report: &Report) -> Option<String> {
    let mut rows = vec![row(["HELD", "KIND", "OBJECTS", "BYTES", "UPSTREAM"])];
    for origin in &report.origins {
        if origin.held.is_empty() {
            rows.push(row([&origin.id, "", "…", "…", &origin.upstream]));
        }
        for held in &origin.held {
            let (objects, bytes) = (count(held.objects), size(held.bytes));
            rows.push(row([&origin.id, &held.kind, &objects, &bytes, &origin.upstream]));
        }
    }
    aligned(&rows)
}

fn hits(report: &Report) -> Option<String> {
    type Of = fn(&Window) -> &Counts;
    let kinds: [(&str, Of); 4] = [
        ("all", |window| &window.all),
        ("index", |window| &window.index),
        ("crate", |window| &window.krate),
        ("dist", |window| &window.dist),
    ];
    let mut rows =
        vec![row(["HITS", "HOURS", "REQUESTS", "HITS", "BYTES", "OF BYTES", "NOT ANSWERED"])];
    for (name, of) in kinds {
        for window in &report.windows {
            let counts = of(window);
            rows.push(vec![
                name.to_owned(),
                window.hours.to_string(),
                count(counts.requests),
                percent(counts.hit_percent()),
                size(counts.bytes),
                percent(counts.hit_bytes_percent()),
                count(counts.failures),
            ]);
        }
    }
    aligned(&rows)
}

fn top(report: &Report) -> Option<String> {
    let mut rows = vec![row(["FETCHED MOST", "REGISTRY", "TIMES"])];
    for top in report.top_crates.iter().take(ROWS_MAX) {
        rows.push(row([&top.krate, &top.registry, &count(top.requests)]));
    }
    aligned(&rows)
}

fn upstreams(report: &Report) -> Option<String> {
    let mut rows = vec![row(["UPSTREAM", "KIND", "HALF", "95%", "SLOWEST", "ASKED", "FAILED"])];
    for times in &report.upstreams {
        rows.push(vec![
            times.origin.clone(),
            times.resource.clone(),
            took(times.median_ms),
            took(times.p95_ms),
            took(times.slowest_ms),
            count(times.attempts),
            count(times.failed),
        ]);
    }
    aligned(&rows)
}

fn fills(report: &Report) -> Option<String> {
    let mut rows = vec![row(["FILLED LAST", "FROM", "BYTES", "TOOK", "WHEN"])];
    for fill in report.fills.iter().take(ROWS_MAX) {
        let when = ago(fill.ended, report.made);
        rows.push(row([&fill.what, &fill.origin, &size(fill.bytes), &took(fill.took_ms), &when]));
    }
    aligned(&rows)
}

fn errors(report: &Report) -> Option<String> {
    let mut rows = vec![row(["ERRORS", "STATUS", "TIMES", "WHEN", "WHY"])];
    for error in report.errors.iter().take(ROWS_MAX) {
        let why = if error.detail.is_empty() { &error.reason } else { &error.detail };
        let (times, when) = (count(error.count), ago(error.last, report.made));
        rows.push(row([&error.path, &error.status.to_string(), &times, &when, why]));
    }
    aligned(&rows)
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// In columns, and nothing if there is only the head.
fn aligned(rows: &[Vec<String>]) -> Option<String> {
    const GAP: usize = 2;
    let (head, body) = rows.split_first()?;
    if body.is_empty() {
        return None;
    }
    let mut widths = vec![0; head.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line = cells.fold(String::new(), |mut line, (cell, width)| {
            let _ = write!(line, "{cell:<width$}", width = width + GAP);
            line
        });
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_tables_vanish() {
        let rows = [row(["A", "B"]), row(["long…", "1"]), row(["", "2"])];
        assert_eq!(aligned(&rows).unwrap(), "A      B\nlong…  1\n       2\n");
        assert_eq!(aligned(&rows[..1]), None);
        assert_eq!(aligned(&[]), None);
    }
}
