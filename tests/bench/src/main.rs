//! The benchmark of Crateport: against a floor, against nginx, and against cargo without a cache.
//!
//! One run starts every server on the same stand and measures them by turns; `tests/bench/run` is the command, and
//! `tests/bench/README.md` says how it measures and what the numbers mean.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "measured numbers become floating ones to be divided, and counts again"
)]

mod check;
mod child;
mod cpu;
mod crateport;
mod delivery;
mod fetch;
mod fleet;
mod floor;
mod growth;
mod link;
mod load;
mod machine;
mod nginx;
mod page;
mod part;
mod plan;
mod registry;
mod results;
mod run;
mod s3;
mod samples;
mod serve;
mod soak;
mod stampede;
mod stand;
mod upstream;
mod warm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The benchmark of Crateport", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and writes the results and their page.
    Measure(run::Arguments),
    /// One of the benchmark's own servers; started by `measure`.
    #[command(subcommand, hide = true)]
    Part(Part),
}

#[derive(Subcommand)]
enum Part {
    Floor(serve::CertificateFiles),
    Link(link::Arguments),
    S3,
    Upstream(upstream::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Measure(arguments) => run::run(&arguments),
        Command::Part(part) => part.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Part {
    fn run(&self) -> Result<()> {
        match self {
            Self::Floor(files) => floor::run(files),
            Self::Link(arguments) => link::run(arguments),
            Self::S3 => s3::run(),
            Self::Upstream(arguments) => upstream::run(arguments),
        }
    }
}
