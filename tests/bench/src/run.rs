//! One run: the parts that were asked for, one after another; results and page after each, so that a run that is cut
//! short leaves what it has found.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::check::{self, Baseline};
use crate::machine::{Machine, Ticks};
use crate::plan::{Part, Plan};
use crate::results::Results;
use crate::stand::{self, Stand};
use crate::{delivery, fetch, growth, page, soak, stampede, warm};

const RESULTS: &str = "results.json";

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The binary that is measured.
    #[arg(long)]
    crateport: PathBuf,
    /// The target folder, below which the stand is set up.
    #[arg(long)]
    target: PathBuf,
    /// Where results.json, RESULTS.md and the plots go.
    #[arg(long)]
    out: PathBuf,
    /// A few minutes instead of a few hours.
    #[arg(long)]
    quick: bool,
    /// Only these parts; repeat for more. Others keep what an earlier run has found.
    #[arg(long)]
    only: Vec<Part>,
    /// How long the soak takes, in minutes.
    #[arg(long)]
    soak_minutes: Option<f64>,
    /// How often each number is measured, in every part.
    #[arg(long)]
    rounds: Option<usize>,
    /// Compares with the baseline: fails if something has become slower.
    #[arg(long)]
    check: bool,
    /// Makes these results the baseline.
    #[arg(long)]
    accept: bool,
    /// The baseline.
    #[arg(long)]
    baseline: PathBuf,
    /// Measures nothing: renders the page again.
    #[arg(long)]
    render: bool,
}

/// Runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&arguments.out)?;
    let file = arguments.out.join(RESULTS);
    let mut results = if arguments.check { Results::default() } else { Results::read(&file)? };
    if !arguments.render {
        let stand = Stand::set_up(&arguments.target, &arguments.crateport)?;
        stand::take_priority();
        for part in arguments.parts() {
            measure(part, &stand, &arguments.plan(), &mut results)
                .with_context(|| part.name().to_owned())?;
            results.write(&file)?;
            page::write(&results, &arguments.out)?;
        }
    }
    page::write(&results, &arguments.out)?;
    eprintln!("results are in {}", arguments.out.display());
    if arguments.accept {
        Baseline::of(&results).write(&arguments.baseline)?;
    }
    if arguments.check { check::check(&arguments.baseline, &results) } else { Ok(()) }
}

fn measure(part: Part, stand: &Stand, plan: &Plan, results: &mut Results) -> Result<()> {
    eprintln!("part {}", part.name());
    let mut machine = Machine::here(stand)?;
    let (start, ticks) = (Instant::now(), Ticks::now()?);
    // The client's processor is its own where CPU time is counted; a real cargo may use whatever it finds.
    match part {
        Part::Warm | Part::Growth => stand::take_client_core()?,
        Part::Fetch | Part::Stampede | Part::Soak | Part::Delivery => stand::take_all_cores()?,
    }
    match part {
        Part::Warm => results.warm = Some(warm::measure(stand, plan.warm)?),
        Part::Fetch => results.fetch = Some(fetch::measure(stand, &plan.fetch)?),
        Part::Stampede => results.stampede = Some(stampede::measure(stand, plan.stampede)?),
        Part::Growth => results.growth = Some(growth::measure(stand, &plan.growth)?),
        Part::Soak => results.soak = Some(soak::measure(stand, plan.soak)?),
        Part::Delivery => {
            results.delivery = Some(delivery::measure(stand, &plan.delivery)?);
        }
    }
    ticks.note(&mut machine)?;
    machine.seconds = start.elapsed().as_secs_f64();
    machine.is_quick = plan.is_quick;
    results.machines.insert(part.name().to_owned(), machine);
    Ok(())
}

impl Arguments {
    fn plan(&self) -> Plan {
        let mut plan = match (self.check, self.quick) {
            (true, _) => Plan::check(),
            (false, true) => Plan::quick(),
            (false, false) => Plan::full(),
        };
        if let Some(minutes) = self.soak_minutes {
            plan.soak.duration = Duration::from_secs_f64(minutes * 60.0);
        }
        if let Some(rounds) = self.rounds {
            plan.set_rounds(rounds.max(1));
        }
        plan
    }

    fn parts(&self) -> Vec<Part> {
        let compared = [Part::Warm, Part::Stampede];
        let all =
            [Part::Warm, Part::Fetch, Part::Stampede, Part::Growth, Part::Soak, Part::Delivery];
        match (self.only.is_empty(), self.check) {
            (false, _) => self.only.clone(),
            (true, true) => compared.to_vec(),
            (true, false) => all.to_vec(),
        }
    }
}
