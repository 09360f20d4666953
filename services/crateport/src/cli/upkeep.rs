//! The arguments of the commands that look after a store: sweep, verify, purge, stats.

use std::time::SystemTime;

use clap::{Arg, ArgAction, ArgMatches, Command};
use crateport_cache::Purge;
use crateport_operate::{Deed, Scope};
use crateport_types::{Day, InvalidName, InvalidRegistryId, InvalidVersion};

use super::{Invocation, Refusal, inputs, with_settings, word};
use crate::commands::stats::Form;
use crate::commands::sweep::{Detail, SweepOptions};
use crate::commands::verify::{Mending, VerifyOptions};
use crate::settings::{Count, Size, Timeout, Word as _};

pub(super) fn commands() -> [Command; 4] {
    [sweep_command(), verify_command(), purge_command(), stats_command()]
}

fn sweep_command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name);
    with_settings("sweep", "Remove what was not used for long and can be fetched again")
        .arg(
            flag("unused-for")
                .value_name(Timeout::VALUE_NAME)
                .value_parser(word::<Timeout>)
                .help("Instead of sweep-unused-for: what was not used for so long goes, as in 90d"),
        )
        .arg(flag("max-size").value_name(Size::VALUE_NAME).value_parser(word::<Size>).help(
            "Instead of sweep-max-size: the least recently used go until the store is no larger",
        ))
        .arg(flag("dry-run").action(ArgAction::SetTrue).help("Remove nothing, and print the same"))
        .arg(flag("quiet").action(ArgAction::SetTrue).help("Print the sums only"))
}

pub(super) fn sweep(mut matches: ArgMatches) -> Invocation {
    let options = SweepOptions {
        unused_for: matches.remove_one("unused-for"),
        size_bytes_max: matches.remove_one("max-size"),
        deed: if matches.get_flag("dry-run") { Deed::Tell } else { Deed::Remove },
        detail: if matches.get_flag("quiet") { Detail::Sums } else { Detail::Objects },
    };
    Invocation::Sweep(inputs(matches), options)
}

fn verify_command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name);
    with_settings("verify", "Read the store, and say what is not as it should be")
        .arg(
            flag("sample")
                .value_name(Count::VALUE_NAME)
                .value_parser(word::<Count>)
                .conflicts_with("since")
                .help("Read so many objects, by chance, and not all"),
        )
        .arg(
            flag("since").value_name("DAY|DURATION").value_parser(since).help(
                "Read what was written since a day, as in 2026-01-31, or for so long, as in 7d",
            ),
        )
        .arg(
            flag("repair")
                .action(ArgAction::SetTrue)
                .help("Drop what is wrong, and fetch it again"),
        )
}

pub(super) fn verify(mut matches: ArgMatches) -> Invocation {
    let sample = matches.remove_one::<u32>("sample");
    let scope = match (sample, matches.remove_one("since")) {
        (Some(count), _) => Scope::Sample(usize::try_from(count).unwrap_or(usize::MAX)),
        (None, Some(since)) => Scope::Since(since),
        (None, None) => Scope::All,
    };
    let repair = if matches.get_flag("repair") { Mending::Refetch } else { Mending::Tell };
    Invocation::Verify(inputs(matches), VerifyOptions { scope, repair })
}

fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(day) = text.parse::<Day>() {
        return Ok(day.start());
    }
    let ago = Timeout::parse_word(text)
        .map_err(|_| "it is neither a day such as 2026-01-31 nor a duration such as 7d")?;
    Ok(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn purge_command() -> Command {
    with_settings("purge", "Have upstream asked again for a crate, by every replica")
        .arg(
            Arg::new("registry")
                .required(true)
                .value_name("REGISTRY")
                .help("The registry's id, as in crates-io"),
        )
        .arg(Arg::new("crate").required(true).value_name("CRATE[@VERSION]").help(
            "The crate; with a version, only the index file and that version are asked for again",
        ))
}

pub(super) fn purge(mut matches: ArgMatches) -> Result<Invocation, Refusal> {
    let mut text = |name: &str| matches.remove_one::<String>(name).unwrap_or_default();
    let (registry, krate) = (text("registry"), text("crate"));
    let usage = |what: &str, error: &dyn std::fmt::Display| {
        Refusal::Usage(format!("`{what}` cannot be purged: {error}"))
    };
    let (name, version) = match krate.split_once('@') {
        Some((name, version)) => {
            (name, Some(version.parse().map_err(|error: InvalidVersion| usage(version, &error))?))
        }
        None => (krate.as_str(), None),
    };
    let options = Purge {
        registry: registry.parse().map_err(|error: InvalidRegistryId| usage(&registry, &error))?,
        name: name.parse().map_err(|error: InvalidName| usage(name, &error))?,
        version,
    };
    Ok(Invocation::Purge(inputs(matches), options))
}

fn stats_command() -> Command {
    with_settings("stats", "Ask the one that serves here what it holds and does").arg(
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs"),
    )
}

pub(super) fn stats(matches: ArgMatches) -> Invocation {
    let form = if matches.get_flag("json") { Form::Json } else { Form::Tables };
    Invocation::Stats(inputs(matches), form)
}
