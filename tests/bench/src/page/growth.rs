//! Part 4 on the page.

use anyhow::Result;

use super::markdown::{Page, Table, bytes, sample};
use super::plot::Lines;
use crate::growth::Found;

const MB: f64 = 1e6;

pub(super) fn write(page: &mut Page, found: &Found) -> Result<()> {
    page.heading(2, "Growth");
    page.heading(3, "Known objects");
    page.text(
        "Index files in the store. *First* is a request for one that was not asked for since the start: it is read \
         from the store, parsed, and confirmed with upstream. *Later* ones come from memory.",
    );
    let mut table = Table::new(&[
        "objects",
        "start, ms",
        "memory, started",
        "asked for",
        "memory, after",
        "CPU µs, first",
        "CPU µs, later",
    ]);
    for objects in &found.objects {
        table.row(vec![
            objects.known.to_string(),
            sample(&objects.start_ms),
            bytes(objects.resident_bytes_started.median()),
            objects.asked.to_string(),
            bytes(objects.resident_bytes_after.median()),
            sample(&objects.cpu_us_first),
            sample(&objects.cpu_us),
        ]);
    }
    page.table(&table);
    page.heading(3, "Open connections");
    page.text("Each has been used once and stays open; the load runs on 32 others.");
    let mut table = Table::new(&["connections", "memory", "CPU µs per request"]);
    for connections in &found.connections {
        table.row(vec![
            connections.open.to_string(),
            bytes(connections.resident_bytes.median()),
            sample(&connections.cpu_us),
        ]);
    }
    page.table(&table);
    let by_objects = |of: fn(&crate::growth::Objects) -> f64| {
        found.objects.iter().map(|objects| (objects.known as f64, of(objects))).collect()
    };
    let lines = Lines {
        title: "Memory by known objects",
        x_name: "objects in the store, logarithmic",
        unit: "MB",
        series: vec![
            ("just started".to_owned(), by_objects(|o| o.resident_bytes_started.median() / MB)),
            ("after requests".to_owned(), by_objects(|o| o.resident_bytes_after.median() / MB)),
        ],
        is_x_logarithmic: true,
    };
    page.plot("growth-objects", "Memory by known objects", &lines.svg())?;
    let points = found.connections.iter();
    let points = points.map(|c| (c.open as f64, c.resident_bytes.median() / MB)).collect();
    let lines = Lines {
        title: "Memory by open connections",
        x_name: "connections, logarithmic",
        unit: "MB",
        series: vec![("Crateport".to_owned(), points)],
        is_x_logarithmic: true,
    };
    page.plot("growth-connections", "Memory by open connections", &lines.svg())
}
