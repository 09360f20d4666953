//! `check`: would serving work here? A list of checks, each a line with ok or what to do.
//!
//! A check has a name and looks at one thing. To add one, write a function in a file below and name it in [`CHECKS`].

mod clock;
mod coord;
mod file_limit;
mod listen;
mod memory_limit;
mod store;
mod tls;
mod upstream;

use std::fmt::Write;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use super::print;
use crate::settings::{Loaded, Settings};

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All is well; what was looked at.
    Ok(String),
    /// It would work, but not well; what is wrong and what to do.
    Warning(String),
    /// It would not work; what is wrong and what to do.
    Failed(String),
}

/// What a check gives back: it borrows the settings and may wait.
type Findings<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// One thing that is looked at.
struct Check {
    name: &'static str,
    run: fn(&Settings) -> Findings<'_>,
}

/// In the order of their lines.
const CHECKS: [Check; 7] = [
    Check { name: "listen", run: |settings| Box::pin(listen::check(settings)) },
    Check { name: "tls", run: |settings| Box::pin(tls::check(settings)) },
    Check { name: "files", run: |settings| Box::pin(async { file_limit::check(settings) }) },
    Check { name: "memory", run: |settings| Box::pin(async { memory_limit::check(settings) }) },
    Check { name: "store", run: |settings| Box::pin(store::check(settings)) },
    Check { name: "coord", run: |settings| Box::pin(coord::check(settings)) },
    Check { name: "upstream", run: |settings| Box::pin(upstream::check(settings)) },
];

/// Longest that one check may take: upstream's deadline and time to tell.
const CHECK_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs every check and prints its lines; the exit code is 1 when one failed.
pub(crate) async fn run(loaded: &Loaded) -> ExitCode {
    let mut is_any_failed = false;
    let mut lines = String::new();
    for (name, finding) in findings(loaded).await {
        is_any_failed |= matches!(finding, Finding::Failed(_));
        let (word, text) = match &finding {
            Finding::Ok(text) => ("ok", text),
            Finding::Warning(text) => ("warning", text),
            Finding::Failed(text) => ("failed", text),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{word:<8} {name:<9} {text}");
    }
    let printed = print(&lines);
    if is_any_failed { ExitCode::from(crate::FAILED) } else { printed }
}

async fn findings(loaded: &Loaded) -> Vec<(&'static str, Finding)> {
    let settings = match loaded.file() {
        Some(file) => format!("{} is in order", file.display()),
        None => "no configuration file; flags, environment and defaults are in order".to_owned(),
    };
    let mut findings = vec![("settings", Finding::Ok(settings))];
    for Check { name, run } in CHECKS {
        let found = tokio::time::timeout(CHECK_TIME_MAX, run(&loaded.settings)).await;
        let late = || {
            let seconds = CHECK_TIME_MAX.as_secs();
            vec![Finding::Failed(format!("no answer within {seconds} s"))]
        };
        let found = found.unwrap_or_else(|_| late());
        findings.extend(found.into_iter().map(|finding| (name, finding)));
    }
    findings
}
