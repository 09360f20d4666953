//! Part 2 on the page.

use anyhow::Result;

use super::markdown::{Page, Table, bytes, number, sample, times};
use super::plot::Bars;
use crate::fetch::{Cell, Found, Scheme, Sort, Through, Warmth};
use crate::samples::{Samples, ratio};

pub(super) fn write(page: &mut Page, found: &Found) -> Result<()> {
    page.heading(2, "A real `cargo fetch --locked` with an empty home");
    page.text(
        "Seconds from cargo's start to its end, and the bytes that came down to it. *Directly* is cargo against the \
         upstream over TLS with h2. A link with the round trip time named stands between the two sides; cargo itself \
         needs some seconds of CPU time for unpacking, which no server can take from it.",
    );
    projects(page, found);
    page.heading(3, "Cold");
    page.text("Nothing was asked for before; the round trip is the one to the upstream.");
    cold(page, found);
    page.heading(3, "Warm");
    page.text(
        "Everything was fetched once before; the round trip is the one from cargo to the cache.",
    );
    warm(page, found);
    let largest = found.cells.iter().map(|cell| cell.sort.packages).max().unwrap_or(0);
    let groups = groups(found, largest);
    if !groups.is_empty() {
        let title = format!("cargo fetch, {largest} packages: seconds");
        let series = ["directly", "nginx", "Crateport"].map(str::to_owned).to_vec();
        let bars = Bars { title: &title, series, groups, is_logarithmic: false, unit: "s" };
        page.plot("fetch", "Time of cargo fetch", &bars.svg())?;
    }
    Ok(())
}

fn projects(page: &mut Page, found: &Found) {
    let mut table = Table::new(&["packages", "rounds", "index files", "the same, gzip", "crates"]);
    for project in &found.projects {
        table.row(vec![
            project.packages.to_string(),
            project.depth.to_string(),
            bytes(project.index_bytes as f64),
            bytes(project.index_gzip_bytes as f64),
            bytes(project.crate_bytes as f64),
        ]);
    }
    page.table(&table);
}

/// Sorts of fetches in the order of the page, whatever they went through.
fn rows(found: &Found, warmth: Warmth) -> Vec<Sort> {
    let mut sorts: Vec<Sort> = Vec::new();
    for cell in found.cells.iter().filter(|cell| cell.sort.warmth == warmth) {
        let sort = Sort { through: Through::Crateport, ..cell.sort };
        if cell.sort.through != Through::Directly && !sorts.contains(&sort) {
            sorts.push(sort);
        }
    }
    sorts.sort_by_key(|sort| {
        (sort.packages, sort.scheme == Scheme::Https, sort.client_ms, sort.upstream_ms)
    });
    sorts
}

fn scheme(sort: Sort) -> &'static str {
    if sort.scheme == Scheme::Http { "http" } else { "https" }
}

fn seconds(cell: Option<&Cell>) -> String {
    cell.map_or_else(|| "–".to_owned(), |cell| sample(&cell.seconds))
}

fn directly(found: &Found, sort: Sort) -> Option<&Cell> {
    let (through, scheme, warmth) = (Through::Directly, Scheme::Https, Warmth::Cold);
    found.cell(Sort { through, scheme, warmth, client_ms: 0, ..sort })
}

fn cold(page: &mut Page, found: &Found) {
    let mut table = Table::new(&[
        "packages",
        "to the cache",
        "round trip",
        "directly",
        "nginx",
        "Crateport",
        "Crateport / directly",
        "requests upstream",
        "down",
        "cache's CPU",
    ]);
    for sort in rows(found, Warmth::Cold) {
        let (direct, nginx) =
            (directly(found, sort), found.cell(Sort { through: Through::Nginx, ..sort }));
        let Some(crateport) = found.cell(sort) else { continue };
        let to_direct = direct.and_then(|direct| ratio(&crateport.seconds, &direct.seconds));
        table.row(vec![
            sort.packages.to_string(),
            scheme(sort).to_owned(),
            format!("{} ms", sort.upstream_ms),
            seconds(direct),
            seconds(nginx),
            seconds(Some(crateport)),
            times(to_direct),
            number(crateport.upstream_requests.median()),
            bytes(crateport.down_bytes.median()),
            format!("{} s", number(crateport.server_cpu_seconds.median())),
        ]);
    }
    page.table(&table);
}

fn warm(page: &mut Page, found: &Found) {
    let mut table = Table::new(&[
        "packages",
        "to the cache",
        "round trip",
        "nginx",
        "Crateport",
        "nginx / Crateport",
        "down, nginx",
        "down, Crateport",
        "nginx's CPU",
        "Crateport's CPU",
        "cargo's CPU",
    ]);
    let cpu = |samples: &Samples| format!("{} s", number(samples.median()));
    for sort in rows(found, Warmth::Warm) {
        let nginx = found.cell(Sort { through: Through::Nginx, ..sort });
        let (Some(crateport), Some(nginx)) = (found.cell(sort), nginx) else { continue };
        table.row(vec![
            sort.packages.to_string(),
            scheme(sort).to_owned(),
            format!("{} ms", sort.client_ms),
            seconds(Some(nginx)),
            seconds(Some(crateport)),
            times(ratio(&nginx.seconds, &crateport.seconds)),
            bytes(nginx.down_bytes.median()),
            bytes(crateport.down_bytes.median()),
            cpu(&nginx.server_cpu_seconds),
            cpu(&crateport.server_cpu_seconds),
            cpu(&crateport.cargo_cpu_seconds),
        ]);
    }
    page.table(&table);
}

fn groups(found: &Found, packages: usize) -> Vec<(String, Vec<Option<f64>>)> {
    let sorts = rows(found, Warmth::Cold).into_iter().chain(rows(found, Warmth::Warm));
    let sorts = sorts.filter(|sort| sort.packages == packages);
    let group = |sort: Sort| {
        let (name, milliseconds, direct) = match sort.warmth {
            Warmth::Cold => ("cold", sort.upstream_ms, directly(found, sort)),
            Warmth::Warm => ("warm", sort.client_ms, None),
        };
        let median = |cell: Option<&Cell>| cell.map(|cell| cell.seconds.median());
        let nginx = found.cell(Sort { through: Through::Nginx, ..sort });
        let bars = vec![median(direct), median(nginx), median(found.cell(sort))];
        (format!("{name}, {}, {milliseconds} ms", scheme(sort)), bars)
    };
    sorts.map(group).collect()
}
