//! The command line: commands, and one flag per setting, made from the table.

mod carry;
mod upkeep;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use crateport_cache::Purge;

use crate::commands::export::ExportOptions;
use crate::commands::stats::Form;
use crate::commands::sweep::SweepOptions;
use crate::commands::verify::VerifyOptions;
use crate::commands::warm::WarmOptions;
use crate::settings::{Inputs, Setting, Switch, TABLE, Word, parse_timeout, usual_files};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Serve clients until told to stop.
    Serve(Inputs),
    /// Find out whether serving would work.
    Check(Inputs),
    /// Find out whether the one that serves is ready, for at most so long.
    Healthcheck(Inputs, Duration),
    /// Print what the one that serves holds and does.
    Stats(Inputs, Form),
    /// Print the settings, or what clients need.
    Config(Inputs, Lines),
    /// Remove what is not used.
    Sweep(Inputs, SweepOptions),
    /// Read the store and say what is wrong.
    Verify(Inputs, VerifyOptions),
    /// Have upstream asked again.
    Purge(Inputs, Purge),
    /// Fetch what lock files need.
    Warm(Inputs, WarmOptions),
    /// Pack what lock files need into a bundle.
    Export(Inputs, ExportOptions),
    /// Unpack a bundle into the store.
    Import(Inputs, PathBuf),
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
  crateport stats                          what the one that serves here holds and does
  crateport purge crates-io serde@1.0.200
  crateport export --lockfile Cargo.lock --toolchain stable --rustup -o bundle.tar.zst
  crateport import bundle.tar.zst";

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
        Some((name, matches)) if name == "sweep" => Ok(upkeep::sweep(matches)),
        Some((name, matches)) if name == "verify" => Ok(upkeep::verify(matches)),
        Some((name, matches)) if name == "purge" => upkeep::purge(matches),
        Some((name, matches)) if name == "warm" => Ok(carry::warm(matches)),
        Some((name, matches)) if name == "export" => Ok(carry::export(matches)),
        Some((name, matches)) if name == "import" => Ok(carry::import(matches)),
        Some((name, matches)) if name == "stats" => Ok(upkeep::stats(matches)),
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
        .subcommands(upkeep::commands())
        .subcommands(carry::commands())
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
