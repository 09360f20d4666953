//! Which log lines are written: directives, checked before they are used, and replaced while lines are written.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber, callsite};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter};

/// Directives such as `info` or `info,crateport_cache=debug`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter {
    text: Box<str>,
    targets: Targets,
}

/// Replaces the filter of the process's log lines. Clones share it.
///
/// What a filter says of a line is asked once per place in the code and remembered there, so the lock is hardly taken.
#[derive(Clone, Debug)]
pub struct LogSwitch(Arc<RwLock<Chosen>>);

#[derive(Debug)]
struct Chosen {
    targets: Targets,
    /// A line of a request says everything itself; spans around it would only cost. For who looks closer, they help.
    with_spans: bool,
}

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

impl LogSwitch {
    pub(super) fn new(filter: &LogFilter) -> Self {
        Self(Arc::new(RwLock::new(Chosen::by(filter))))
    }

    /// From now on `filter` says which lines are written.
    pub fn set(&self, filter: &LogFilter) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Chosen::by(filter);
        // Makes every place in the code ask again.
        callsite::rebuild_interest_cache();
    }

    fn chosen(&self) -> RwLockReadGuard<'_, Chosen> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chosen {
    fn by(filter: &LogFilter) -> Self {
        let targets = filter.targets.clone();
        let most = LevelFilter::from_level(Level::DEBUG);
        let with_spans = targets.iter().any(|(_, level)| level >= most)
            || targets.default_level().is_some_and(|level| level >= most);
        Self { targets, with_spans }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.with_spans || !metadata.is_span()
    }
}

impl<S: Subscriber> Filter<S> for LogSwitch {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        let chosen = self.chosen();
        chosen.wants(metadata) && Filter::<S>::enabled(&chosen.targets, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let chosen = self.chosen();
        if chosen.wants(metadata) {
            Filter::<S>::callsite_enabled(&chosen.targets, metadata)
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.chosen().targets)
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
            let bare = !directive.contains('=');
            if bare && directive.parse::<LevelFilter>().is_err() {
                return Err(InvalidLogFilter::NoLevel((*directive).to_owned()));
            }
        }
        let text = directives.join(",");
        let targets = text.parse::<Targets>();
        let targets = targets.map_err(|error| InvalidLogFilter::Syntax(error.to_string()))?;
        Ok(Self { text: text.into(), targets })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
