//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod export;
pub(crate) mod healthcheck;
pub(crate) mod import;
pub(crate) mod purge;
mod readable;
pub(crate) mod serve;
pub(crate) mod stats;
pub(crate) mod sweep;
pub(crate) mod verify;
pub(crate) mod warm;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Prints `text`. A reader that has seen enough (`crateport config | head`) is no failure.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
