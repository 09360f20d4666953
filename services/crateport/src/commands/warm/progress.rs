//! How far it is: a bar on a terminal, lines now and then otherwise.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crateport_operate::{Step, Warmth};
use indicatif::{ProgressBar, ProgressStyle};

use crate::commands::readable::size;

/// Shows steps on stderr.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    told: Instant,
    fetched_bytes: u64,
}

/// Where there is no terminal, a line says so often how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
const STYLE: &str = "{bar:30} {pos}/{len}  {msg}  {elapsed}";

impl Progress {
    pub(crate) fn begin() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The style is a constant; a bar without it is a bar too.
            if let Ok(style) = ProgressStyle::with_template(STYLE) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, told: Instant::now(), fetched_bytes: 0 }
    }

    pub(crate) fn show(&mut self, step: &Step<'_>) {
        if let Ok(Warmth::Fetched { size_bytes }) = step.result {
            self.fetched_bytes += size_bytes;
        }
        let failure =
            step.result.as_ref().err().map(|cold| format!("failed  {}: {cold}", step.wanted));
        match &self.bar {
            Some(bar) => {
                bar.set_length(step.total as u64);
                bar.set_position(step.done as u64);
                bar.set_message(size(self.fetched_bytes));
                if let Some(failure) = failure {
                    bar.println(failure);
                }
            }
            None => {
                if let Some(failure) = failure {
                    eprintln!("{failure}");
                }
                if self.told.elapsed() >= TELL_EVERY {
                    self.told = Instant::now();
                    let fetched = size(self.fetched_bytes);
                    eprintln!("{} of {} ({fetched} fetched)", step.done, step.total);
                }
            }
        }
    }

    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
