//! The page: every number of `results.json` as tables and plots, and each goal beside what was measured.

mod delivery;
mod fetch;
mod goals;
mod growth;
mod markdown;
mod plot;
mod soak;
mod stampede;
mod warm;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use self::markdown::Page;
use crate::results::Results;

const PAGE: &str = "RESULTS.md";
const PLOTS: &str = "plots";
/// Written by hand, and put at the end of the page: what was tried, why a goal is out of reach, profiles.
const NOTES: &str = "notes.md";

/// Writes the page and its plots into a folder.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    let plots = folder.join(PLOTS);
    fs::create_dir_all(&plots)?;
    let mut page = Page::new(plots);
    page.heading(1, "How fast Crateport is, and how that was measured");
    page.text(
        "Rendered by `tests/bench/run` from [results.json](results.json); [README.md](README.md) says how each number \
         is measured. All servers ran in one run on one machine, by turns, each number in several rounds: a number is \
         the median of its rounds, ± half of the distance between the smallest and the largest, and a ratio is the \
         median of the ratios of the rounds.",
    );
    goals::write(&mut page, results);
    if let Some(found) = &results.warm {
        warm::write(&mut page, found)?;
    }
    if let Some(found) = &results.fetch {
        fetch::write(&mut page, found)?;
    }
    if let Some(found) = &results.stampede {
        stampede::write(&mut page, found);
    }
    if let Some(found) = &results.growth {
        growth::write(&mut page, found)?;
    }
    if let Some(found) = &results.soak {
        soak::write(&mut page, found)?;
    }
    if let Some(found) = &results.delivery {
        delivery::write(&mut page, found);
    }
    machines(&mut page, results);
    if let Ok(notes) = fs::read_to_string(folder.join(NOTES)) {
        page.text(notes.trim_end());
    }
    let file = folder.join(PAGE);
    fs::write(&file, page.finish()).with_context(|| file.display().to_string())
}

fn machines(page: &mut Page, results: &Results) {
    page.heading(2, "The machine and its noise");
    let mut table =
        markdown::Table::new(&["part", "processors", "kernel", "stolen", "busy", "took"]);
    for (part, machine) in &results.machines {
        let quick = if machine.is_quick { " (quick)" } else { "" };
        table.row(vec![
            format!("{part}{quick}"),
            format!("{} × {}", machine.processors, machine.processor),
            machine.kernel.clone(),
            markdown::percent(machine.stolen),
            markdown::percent(machine.busy),
            format!("{:.0} s", machine.seconds),
        ]);
    }
    page.table(&table);
    page.text(
        "*Stolen* is the share of the processors' time that the hypervisor gave to others, *busy* the share that was \
         in use, by the benchmark or by anything else that ran beside it.",
    );
    if let Some(machine) = results.machines.values().next() {
        page.text(&format!("Programs: {}.", machine.versions.join(", ")));
    }
}
