//! `config`: the effective settings and where each comes from, or what clients need.

use std::process::ExitCode;

use anyhow::{Context, bail};
use crateport_types::{BaseUrl, RUSTUP, RegistryId};

use super::print;
use crate::cli::Lines;
use crate::settings::{DistSettings, Loaded, Row, Settings};
use crateport_http::{Scheme, cargo_lines, local_base, rustup_install_line, rustup_lines};

/// Columns grow no wider than this; what is longer pushes its own line only.
const COLUMN_WIDTH_MAX: usize = 40;

/// Prints what was asked for.
pub(crate) fn run(loaded: &Loaded, lines: Lines) -> anyhow::Result<ExitCode> {
    match lines {
        Lines::Settings => Ok(print(&table(&loaded.rows))),
        Lines::Cargo => {
            let base = base(&loaded.settings)?;
            Ok(print(&cargo_lines(&base, &enabled(&loaded.settings))))
        }
        Lines::Rustup => {
            let is_rustup = |dist: &DistSettings| dist.is_enabled && dist.id.as_str() == RUSTUP;
            if !loaded.settings.dists.iter().any(is_rustup) {
                bail!("dist.rustup is not enabled, so that there is nothing for rustup here");
            }
            let base = base(&loaded.settings)?;
            Ok(print(&format!(
                "{}\n# or, where there is no rustup yet:\n# {}",
                rustup_lines(&base),
                rustup_install_line(&base)
            )))
        }
    }
}

/// Three columns: the name, the value, the source.
pub(crate) fn table(rows: &[Row]) -> String {
    let width = |text: fn(&Row) -> &str| {
        let lengths = rows.iter().map(|row| text(row).chars().count());
        lengths.filter(|length| *length <= COLUMN_WIDTH_MAX).max().unwrap_or_default()
    };
    let (names, values) = (width(|row| &row.name), width(|row| &row.value));
    let line = |row: &Row| format!("{:names$}  {:values$}  {}\n", row.name, row.value, row.source);
    rows.iter().map(line).collect()
}

/// The registries that are served.
pub(crate) fn enabled(settings: &Settings) -> Vec<RegistryId> {
    let enabled = settings.registries.iter().filter(|registry| registry.is_enabled);
    enabled.map(|registry| registry.id.clone()).collect()
}

/// Under which base clients reach the Crateport that these settings describe.
fn base(settings: &Settings) -> anyhow::Result<BaseUrl> {
    if let Some(base) = &settings.public_url {
        return Ok(base.clone());
    }
    let listen = settings.listen.first().context("listen names no address")?;
    if listen.address.port() == 0 {
        bail!("the port is known only once `crateport serve` has started, which prints the lines");
    }
    let scheme = if listen.tls.is_some() { Scheme::Https } else { Scheme::Http };
    Ok(local_base(listen.address, scheme)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    #[test]
    fn columns_are_aligned_and_a_long_value_pushes_only_its_own_line() {
        let row = |name: &str, value: &str| Row {
            name: name.to_owned(),
            value: value.to_owned(),
            source: Source::Default,
        };
        let long = "x".repeat(41);
        let rows = [row("a", "1"), row("long-name", "60s"), row("b", &long)];
        let expected = format!(
            "a          1    default\nlong-name  60s  default\nb          {long}  default\n"
        );
        assert_eq!(table(&rows), expected);
    }
}
