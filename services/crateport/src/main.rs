//! Crateport: the command line, the settings, and the one place that names backends.
//!
//! Exit codes: 0 for success, 1 when the work failed, 2 when the command line or the settings cannot be used.

mod cli;
mod commands;
mod compose;
mod file_limit;
mod memory_limit;
mod ops_client;
mod reload;
mod settings;
mod supervisor;

use std::process::ExitCode;

use crateport_telemetry::logging::LogConfig;

use crate::cli::{Invocation, Refusal};
use crate::settings::{Inputs, Loaded, SettingsError};

/// The work failed.
const FAILED: u8 = 1;
/// The command line or the settings cannot be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(Refusal::Help(help)) => return commands::print(&help),
        Err(Refusal::Usage(sentence)) => return complain(&sentence, UNUSABLE),
    };
    match run(invocation) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<SettingsError>() {
            Some(sentence) => complain(&sentence.to_string(), UNUSABLE),
            None => complain(&format!("{error:#}"), FAILED),
        },
    }
}

fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    match invocation {
        Invocation::Serve(inputs) => {
            let loaded = inputs.clone().load()?;
            runtime()?.block_on(Box::pin(commands::serve::run(inputs, loaded)))?;
            Ok(ExitCode::SUCCESS)
        }
        Invocation::Check(inputs) => {
            let loaded: Loaded = inputs.load()?;
            Ok(runtime()?.block_on(Box::pin(commands::check::run(&loaded))))
        }
        Invocation::Sweep(inputs, options) => {
            work(inputs, async |loaded| commands::sweep::run(loaded, options).await)
        }
        Invocation::Verify(inputs, options) => {
            work(inputs, async |loaded| commands::verify::run(loaded, &options).await)
        }
        Invocation::Purge(inputs, what) => {
            work(inputs, async |loaded| commands::purge::run(loaded, &what).await)
        }
        Invocation::Warm(inputs, options) => {
            work(inputs, async |loaded| commands::warm::run(loaded, &options).await)
        }
        Invocation::Export(inputs, options) => {
            work(inputs, async |loaded| commands::export::run(loaded, &options).await)
        }
        Invocation::Import(inputs, bundle) => {
            work(inputs, async |loaded| commands::import::run(loaded, &bundle).await)
        }
        Invocation::Healthcheck(inputs, timeout) => match inputs.load() {
            Ok(loaded) => {
                Ok(one_thread()?.block_on(commands::healthcheck::run(&loaded.settings, timeout)))
            }
            Err(sentence) => Ok(complain(&sentence.to_string(), FAILED)),
        },
        Invocation::Stats(inputs, form) => {
            one_thread()?.block_on(commands::stats::run(&inputs.load()?.settings, form))
        }
        Invocation::Config(inputs, lines) => commands::config::run(&inputs.load()?, lines),
    }
}

/// Does one piece of work, and tells on stderr what goes wrong meanwhile.
fn work(
    inputs: Inputs,
    command: impl AsyncFnOnce(&Loaded) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let loaded = inputs.load()?;
    runtime()?.block_on(Box::pin(async {
        let logs = LogConfig { otlp: None, ..compose::logs(&loaded.settings) };
        let _guard = crateport_telemetry::logging::init(&logs)?;
        let code = command(&loaded).await;
        crateport_telemetry::logging::flush();
        code
    }))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Enough for one question, and started in no time.
fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn complain(sentence: &str, code: u8) -> ExitCode {
    eprintln!("crateport: {sentence}");
    ExitCode::from(code)
}
