//! Which log lines are written: the directives of `tracing`, checked before they are used.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Directives such as `info` or `info,crateport_cache=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(Box<str>);

/// The text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogFilter {
    /// `tracing` would take the word for a module's name and go silent otherwise.
    #[error("`{0}` is no level, and a module needs one, as in `{0}=debug`")]
    NoLevel(String),
    /// Nothing, or nothing between two commas.
    #[error("a directive is empty")]
    Empty,
    /// Not a directive at all.
    #[error("{0}")]
    Syntax(String),
}

impl LogFilter {
    pub(super) fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let directives: Vec<&str> = text.split(',').map(str::trim).collect();
        for directive in &directives {
            // `tracing` reads the empty text as `error`, which nobody means.
            if directive.is_empty() {
                return Err(InvalidLogFilter::Empty);
            }
            let bare = !directive.contains(['=', '[']);
            if bare && directive.parse::<LevelFilter>().is_err() {
                return Err(InvalidLogFilter::NoLevel((*directive).to_owned()));
            }
        }
        let text = directives.join(",");
        EnvFilter::try_new(&text).map_err(|error| InvalidLogFilter::Syntax(error.to_string()))?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modules_with_a_level_are_filters() {
        for text in ["info", "WARN", "off", "info,crateport_cache=debug", "warn, crateport=trace"] {
            assert!(text.parse::<LogFilter>().is_ok(), "{text}");
        }
        for text in ["inof", "", "crateport_cache", "crateport=loud", "info,"] {
            assert!(text.parse::<LogFilter>().is_err(), "{text}");
        }
    }
}
