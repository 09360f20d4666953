//! The benchmark of Crateport: against a floor, against nginx, and against cargo without a cache.
//!
//! One run starts every server on the same stand and measures them by turns; `tests/bench/run` is the command, and
//! `tests/bench/README.md` says how it measures and what the numbers mean.

mod child;
mod cpu;
mod crateport;
mod floor;
mod load;
mod nginx;
mod part;
mod registry;
mod s3;
mod samples;
mod serve;
mod stand;
mod upstream;
mod warm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use self::stand::Stand;

#[derive(Parser)]
#[command(about = "The benchmark of Crateport", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures, and writes the results and their page.
    Measure(Measure),
    /// One of the benchmark's own servers; started by `measure`.
    #[command(subcommand, hide = true)]
    Part(PartName),
}

#[derive(clap::Args)]
struct Measure {
    /// The binary that is measured.
    #[arg(long)]
    crateport: PathBuf,
    /// The target folder, below which the stand is set up.
    #[arg(long)]
    target: PathBuf,
    /// A few minutes instead of a few hours.
    #[arg(long)]
    quick: bool,
}

#[derive(Subcommand)]
enum PartName {
    Floor(serve::CertificateFiles),
    Upstream(upstream::Arguments),
    S3,
}

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<()> {
    match Arguments::parse().command {
        Command::Measure(measure) => run(&measure),
        Command::Part(PartName::Floor(files)) => floor::run(&files),
        Command::Part(PartName::Upstream(arguments)) => upstream::run(&arguments),
        Command::Part(PartName::S3) => s3::run(),
    }
}

fn run(arguments: &Measure) -> Result<()> {
    let stand = Stand::set_up(&arguments.target, &arguments.crateport)?;
    stand::take_client_core()?;
    let plan = warm::Plan {
        rounds: if arguments.quick { 3 } else { 7 },
        duration: Duration::from_millis(if arguments.quick { 250 } else { 1000 }),
        tail_duration: Duration::from_secs(2),
    };
    let cells = warm::measure(&stand, plan)?;
    println!("{}", serde_json::to_string(&cells)?);
    Ok(())
}
