//! Text, tables and plots in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::samples::Samples;

/// A page that is being written.
pub(super) struct Page {
    text: String,
    plots: PathBuf,
}

/// A table; all columns but the first hold numbers.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Page {
    pub(super) fn new(plots: PathBuf) -> Self {
        Self { text: String::new(), plots }
    }

    pub(super) fn heading(&mut self, level: usize, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "{} {text}", "#".repeat(level));
    }

    pub(super) fn text(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n{text}");
    }

    pub(super) fn table(&mut self, table: &Table) {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let marks: Vec<String> = (0..table.head.len())
            .map(|at| if at == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let _ = writeln!(self.text, "\n{}\n{}", line(&table.head), line(&marks));
        for row in &table.rows {
            let _ = writeln!(self.text, "{}", line(row));
        }
    }

    /// Writes the plot into a file of its own.
    pub(super) fn plot(&mut self, name: &str, what: &str, svg: &str) -> Result<()> {
        fs::write(self.plots.join(format!("{name}.svg")), svg)?;
        self.text(&format!("![{what}](plots/{name}.svg)"));
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

/// A number with as many digits as it deserves.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        value if value >= 10_000.0 => thousands(value),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A median and its spread.
pub(super) fn sample(samples: &Samples) -> String {
    if samples.is_empty() {
        return "–".to_owned();
    }
    let median = number(samples.median());
    if samples.len() < 2 { median } else { format!("{median} ±{}", percent(samples.spread())) }
}

/// A whole number.
pub(super) fn count(value: f64) -> String {
    thousands(value)
}

/// A share.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// A size.
pub(super) fn bytes(bytes: f64) -> String {
    match bytes {
        1e9.. => format!("{:.2} GB", bytes / 1e9),
        1e6.. => format!("{:.1} MB", bytes / 1e6),
        1e3.. => format!("{:.1} KB", bytes / 1e3),
        _ => format!("{bytes:.0} B"),
    }
}

/// A ratio.
pub(super) fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("×{ratio:.2}"))
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_they_deserve() {
        let table = [(1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1_234_567.0, "1 234 567")];
        for (value, text) in table {
            assert_eq!(number(value), text);
        }
        assert_eq!(sample(&[1.0, 2.0, 3.0].into_iter().collect()), "2.00 ±50%");
        assert_eq!(bytes(1_500_000.0), "1.5 MB");
    }
}
