//! The command line: commands, and one flag per setting, made from the table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crateport_operate::{Channel, Deed, Scope, Toolchain};
use crateport_types::{
    CrateName, CrateVersion, Day, DistId, InvalidName, InvalidRegistryId, InvalidVersion,
    RegistryId,
};

use url::Url;

use crate::commands::export::ExportOptions;
use crate::commands::warm::WarmOptions;
use crate::settings::{
    Count, Inputs, Setting, Size, Switch, TABLE, Timeout, Word, parse_timeout, usual_files,
};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Serve clients until told to stop.
    Serve(Inputs),
    /// Find out whether serving would work.
    Check(Inputs),
    /// Find out whether the one that serves is ready, for at most so long.
    Healthcheck(Inputs, Duration),
    /// Print the settings, or what clients need.
    Config(Inputs, Lines),
    /// Remove what is not used.
    Sweep(Inputs, SweepOptions),
    /// Read the store and say what is wrong.
    Verify(Inputs, VerifyOptions),
    /// Have upstream asked again.
    Purge(Inputs, PurgeOptions),
    /// Fetch what lock files need.
    Warm(Inputs, WarmOptions),
    /// Pack what lock files need into a bundle.
    Export(Inputs, ExportOptions),
    /// Unpack a bundle into the store.
    Import(Inputs, PathBuf),
}

/// What is said of a verification besides the settings.
#[derive(Debug)]
pub(crate) struct VerifyOptions {
    /// What is read.
    pub(crate) scope: Scope,
    /// What becomes of what is wrong.
    pub(crate) repair: Mending,
}

/// What becomes of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mending {
    /// It is told.
    Tell,
    /// It is dropped and fetched again.
    Refetch,
}

/// What is purged.
#[derive(Debug)]
pub(crate) struct PurgeOptions {
    pub(crate) registry: RegistryId,
    pub(crate) name: CrateName,
    pub(crate) version: Option<CrateVersion>,
}

/// What is said of a sweep besides the settings.
#[derive(Debug)]
pub(crate) struct SweepOptions {
    /// Instead of the setting.
    pub(crate) unused_for: Option<Duration>,
    /// Instead of the setting.
    pub(crate) size_bytes_max: Option<u64>,
    /// Whether it is done.
    pub(crate) deed: Deed,
    /// Whether each object that goes has a line.
    pub(crate) detail: Detail,
}

/// How much is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A line for each object.
    Objects,
    /// The sums.
    Sums,
}

/// What `config` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// The effective settings.
    Settings,
    /// What goes into cargo's configuration.
    Cargo,
    /// What rustup needs.
    Rustup,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Help or the version was asked for: here it is.
    Help(String),
    /// The command line cannot be used, in a sentence.
    Usage(String),
}

/// Longer than `/readyz` may wait for its own answers.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  crateport serve                          a cache of crates.io for this machine
  crateport serve --listen 0.0.0.0:8080 --store fs:/var/lib/crateport
  crateport serve --listen 0.0.0.0:8443,cert=/etc/tls/tls.crt,key=/etc/tls/tls.key
  crateport config --cargo                 the lines for cargo's configuration
  crateport check                          would it work here?
  crateport healthcheck                    is the one that serves here ready?
  crateport warm Cargo.lock --to http://crates.example.com
  crateport sweep --unused-for 90d --max-size 500GiB --dry-run
  crateport verify --since 7d --repair
  crateport purge crates-io serde@1.0.200";

/// Fetches at once, unless somebody says otherwise.
const AT_ONCE: usize = 32;

const SETTINGS_HELP: &str = "\
Every setting is a flag (--index-ttl 60s), an environment variable (CRATEPORT_INDEX_TTL=60s) and a key of the
configuration file (index-ttl = \"60s\"), in that order of precedence. Several values of one setting: repeat the flag,
part them by commas in the variable, or write a list in the file. Registries stand in the file only:

  [registries.internal]
  index = \"sparse+https://crates.example.com/index/\"
  token-file = \"/run/secrets/token\"      # or CRATEPORT_REGISTRIES_INTERNAL_TOKEN

and so do the origins of toolchains; [dist.rustup] is there by default, and is Rust's own server:

  [dist.toolchains]
  url = \"https://toolchains.example.com/\"";

/// Understands the arguments, the program's name first.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Invocation, Refusal> {
    let mut matches = command().try_get_matches_from(arguments).map_err(|error| refusal(&error))?;
    match matches.remove_subcommand() {
        Some((name, matches)) if name == "serve" => Ok(Invocation::Serve(inputs(matches))),
        Some((name, matches)) if name == "check" => Ok(Invocation::Check(inputs(matches))),
        Some((name, matches)) if name == "sweep" => Ok(sweep(matches)),
        Some((name, matches)) if name == "verify" => Ok(verify(matches)),
        Some((name, matches)) if name == "purge" => purge(matches),
        Some((name, matches)) if name == "warm" => Ok(warm(matches)),
        Some((name, matches)) if name == "export" => Ok(export(matches)),
        Some((name, mut matches)) if name == "import" => {
            let bundle = matches.remove_one("bundle").unwrap_or_default();
            Ok(Invocation::Import(inputs(matches), bundle))
        }
        Some((name, mut matches)) if name == "healthcheck" => {
            let timeout = matches.remove_one("timeout").unwrap_or(HEALTHCHECK_TIMEOUT);
            Ok(Invocation::Healthcheck(inputs(matches), timeout))
        }
        Some((_, matches)) => {
            let lines = match (matches.get_flag("cargo"), matches.get_flag("rustup")) {
                (true, _) => Lines::Cargo,
                (_, true) => Lines::Rustup,
                _ => Lines::Settings,
            };
            Ok(Invocation::Config(inputs(matches), lines))
        }
        None => Err(Refusal::Usage("no command is given".to_owned())),
    }
}

fn command() -> Command {
    let lines = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("crateport")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A cache for Rust dependencies and toolchains: one address for cargo and rustup")
        .after_help(EXAMPLES)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(with_settings("serve", "Serve clients until told to stop"))
        .subcommand(with_settings("check", "Find out whether serving would work here"))
        .subcommand(sweep_command())
        .subcommand(verify_command())
        .subcommand(purge_command())
        .subcommand(warm_command())
        .subcommand(export_command())
        .subcommand(import_command())
        .subcommand(
            with_settings("healthcheck", "Ask the one that serves here whether it is ready").arg(
                Arg::new("timeout")
                    .long("timeout")
                    .value_name("DURATION")
                    .value_parser(parse_timeout)
                    .help("Longest that the answer may take [default: 5s]"),
            ),
        )
        .subcommand(
            with_settings("config", "Print the effective settings and where each comes from")
                .arg(lines("cargo", "Print the lines for cargo's configuration instead"))
                .arg(lines("rustup", "Print what rustup needs instead").conflicts_with("cargo")),
        )
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

fn sweep(mut matches: ArgMatches) -> Invocation {
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

fn verify(mut matches: ArgMatches) -> Invocation {
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

fn purge(mut matches: ArgMatches) -> Result<Invocation, Refusal> {
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
    let options = PurgeOptions {
        registry: registry.parse().map_err(|error: InvalidRegistryId| usage(&registry, &error))?,
        name: name.parse().map_err(|error: InvalidName| usage(name, &error))?,
        version,
    };
    Ok(Invocation::Purge(inputs(matches), options))
}

fn warm_command() -> Command {
    with_settings("warm", "Fetch what lock files need, before anybody waits for it")
        .arg(lockfiles(Arg::new("lockfiles").num_args(1..).required_unless_present("toolchain")))
        .args(toolchain_arguments())
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("URL")
                .value_parser(value_parser!(Url))
                .help("The Crateport that shall have it; without one, the store of these settings"),
        )
        .arg(at_once())
}

fn export_command() -> Command {
    let file = |name: &'static str| Arg::new(name).long(name).value_parser(value_parser!(PathBuf));
    with_settings(
        "export",
        "Pack what lock files need into a bundle, for where there is no network",
    )
    .arg(lockfiles(
        Arg::new("lockfile")
            .long("lockfile")
            .action(ArgAction::Append)
            .required_unless_present("toolchain"),
    ))
    .args(toolchain_arguments())
    .arg(
        file("output")
            .short('o')
            .value_name("FILE")
            .required(true)
            .help("The bundle, as in bundle.tar.zst"),
    )
    .arg(
        file("since-bundle")
            .value_name("FILE")
            .help("An earlier bundle: what it brought is left out, and it must be imported before"),
    )
    .arg(at_once())
}

fn export(mut matches: ArgMatches) -> Invocation {
    let options = ExportOptions {
        lockfiles: matches.remove_many("lockfile").map(Iterator::collect).unwrap_or_default(),
        toolchains: toolchains(&mut matches),
        output: matches.remove_one("output").unwrap_or_default(),
        since_bundle: matches.remove_one("since-bundle"),
        at_once: taken_at_once(&mut matches),
    };
    Invocation::Export(inputs(matches), options)
}

fn import_command() -> Command {
    with_settings("import", "Unpack a bundle into the store, verifying all of it").arg(
        Arg::new("bundle")
            .required(true)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("The bundle"),
    )
}

fn lockfiles(arg: Arg) -> Arg {
    let help = "Lock files, as cargo writes them";
    arg.value_name("CARGO.LOCK").value_parser(value_parser!(PathBuf)).help(help)
}

fn toolchain_arguments() -> [Arg; 5] {
    let some = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).action(ArgAction::Append).help(help)
    };
    let channel = some("toolchain", "CHANNEL", "A toolchain, as in stable or nightly-2026-01-31");
    [
        channel.value_parser(value_parser!(Channel)),
        some("component", "NAME", "A component of each toolchain beside its profile's"),
        some("target", "TRIPLE", "A further machine that each toolchain builds for"),
        some("host", "TRIPLE", "The machines that toolchains run on [default: this one]"),
        Arg::new("profile")
            .long("profile")
            .value_name("NAME")
            .help("How much of each toolchain: minimal, default or complete [default: default]"),
    ]
}

fn toolchains(matches: &mut ArgMatches) -> Vec<Toolchain> {
    let mut texts = |name: &str| -> Vec<String> {
        matches.remove_many(name).map(Iterator::collect).unwrap_or_default()
    };
    let (components, targets, mut hosts) = (texts("component"), texts("target"), texts("host"));
    if hosts.is_empty() {
        hosts.push(this_machine());
    }
    let profile = matches.remove_one("profile").unwrap_or_else(|| "default".to_owned());
    let channels = matches.remove_many::<Channel>("toolchain").into_iter().flatten();
    let toolchain = |channel| Toolchain {
        dist: DistId::rustup(),
        channel,
        profile: profile.clone(),
        hosts: hosts.clone(),
        components: components.clone(),
        targets: targets.clone(),
    };
    channels.map(toolchain).collect()
}

/// As rustup calls it, for the usual systems.
fn this_machine() -> String {
    let architecture = std::env::consts::ARCH;
    match std::env::consts::OS {
        "macos" => format!("{architecture}-apple-darwin"),
        "windows" => format!("{architecture}-pc-windows-msvc"),
        system => format!("{architecture}-unknown-{system}-gnu"),
    }
}

fn at_once() -> Arg {
    Arg::new("at-once")
        .long("at-once")
        .value_name(Count::VALUE_NAME)
        .value_parser(word::<Count>)
        .help("How much is fetched at once [default: 32]")
}

fn warm(mut matches: ArgMatches) -> Invocation {
    let options = WarmOptions {
        lockfiles: matches.remove_many("lockfiles").map(Iterator::collect).unwrap_or_default(),
        toolchains: toolchains(&mut matches),
        to: matches.remove_one("to"),
        at_once: taken_at_once(&mut matches),
    };
    Invocation::Warm(inputs(matches), options)
}

fn taken_at_once(matches: &mut ArgMatches) -> usize {
    let count = matches.remove_one::<u32>("at-once").and_then(|count| count.try_into().ok());
    count.unwrap_or(AT_ONCE)
}

/// One value as the settings read it.
fn word<W: Word>(text: &str) -> Result<W::Value, String> {
    W::parse_word(text).map_err(|reason| format!("{reason}; allowed is {}", W::ALLOWED))
}

fn with_settings(name: &'static str, about: &'static str) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("The configuration file [default: crateport/config.toml in the user's configuration directory, else in /etc]");
    Command::new(name)
        .about(about)
        .after_help(SETTINGS_HELP)
        .arg(config)
        .args(TABLE.iter().map(argument))
}

fn argument(setting: &'static Setting) -> Arg {
    let is_switch = setting.value_name == Switch::VALUE_NAME;
    let action = if setting.is_list { ArgAction::Append } else { ArgAction::Set };
    Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value_name)
        .help(match setting.default_described() {
            "" => setting.help.to_owned(),
            default => format!("{} [default: {default}]", setting.help),
        })
        .help_heading(setting.heading)
        .action(action)
        // `--offline` alone says true; `--offline=false` can be said too.
        .num_args(if is_switch { 0..=1 } else { 1..=1 })
        .require_equals(is_switch)
        .default_missing_values(is_switch.then_some("true"))
        // A value may begin with a dash; that it is no value is then said by the setting.
        .allow_hyphen_values(true)
}

fn inputs(mut matches: ArgMatches) -> Inputs {
    let mut flags = BTreeMap::new();
    for setting in TABLE {
        if let Some(texts) = matches.remove_many::<String>(setting.name) {
            flags.insert(setting.name, texts.collect());
        }
    }
    Inputs {
        flags,
        config: matches.remove_one("config"),
        variables: std::env::vars_os().collect(),
        usual_files: usual_files(),
    }
}

fn refusal(error: &clap::Error) -> Refusal {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Refusal::Help(error.to_string());
    }
    let said = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let wrong = said(ContextKind::InvalidArg).or_else(|| said(ContextKind::InvalidSubcommand));
    let wrong = wrong.unwrap_or_default();
    let sentence = match error.kind() {
        ErrorKind::UnknownArgument => format!("`{wrong}` is not known"),
        ErrorKind::InvalidSubcommand => format!("there is no command `{wrong}`"),
        ErrorKind::MissingSubcommand => "no command is given".to_owned(),
        ErrorKind::ArgumentConflict => match said(ContextKind::PriorArg) {
            Some(prior) if prior != wrong => format!("`{wrong}` and `{prior}` exclude each other"),
            _ => format!("`{wrong}` can be given only once"),
        },
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    };
    let meant = said(ContextKind::SuggestedArg).or_else(|| said(ContextKind::SuggestedSubcommand));
    Refusal::Usage(match meant {
        Some(meant) => format!("{sentence}; did you mean {meant}?"),
        None => format!("{sentence}; see `crateport --help`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_a_command_line_that_holds_together() {
        command().debug_assert();
    }
}
