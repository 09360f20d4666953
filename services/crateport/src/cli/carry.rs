//! The arguments of the commands that fetch ahead and carry: warm, export, import.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use crateport_operate::{Channel, Rustup, Toolchain};
use crateport_types::DistId;
use url::Url;

use super::{Invocation, inputs, with_settings, word};
use crate::commands::export::ExportOptions;
use crate::commands::warm::{Toolchains, WarmOptions};
use crate::settings::{Count, Word as _};

/// Fetches at once, unless somebody says otherwise.
const AT_ONCE: usize = 32;

pub(super) fn commands() -> [Command; 3] {
    [warm_command(), export_command(), import_command()]
}

fn warm_command() -> Command {
    with_settings("warm", "Fetch what lock files need, before anybody waits for it")
        .arg(lockfiles(Arg::new("lockfile")))
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

pub(super) fn warm(mut matches: ArgMatches) -> Invocation {
    let options = WarmOptions {
        lockfiles: matches.remove_many("lockfile").map(Iterator::collect).unwrap_or_default(),
        toolchains: toolchains(&mut matches),
        to: matches.remove_one("to"),
        at_once: taken_at_once(&mut matches),
    };
    Invocation::Warm(inputs(matches), options)
}

fn export_command() -> Command {
    let file = |name: &'static str| Arg::new(name).long(name).value_parser(value_parser!(PathBuf));
    with_settings(
        "export",
        "Pack what lock files need into a bundle, for where there is no network",
    )
    .arg(lockfiles(Arg::new("lockfile").long("lockfile").action(ArgAction::Append)))
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

pub(super) fn export(mut matches: ArgMatches) -> Invocation {
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

pub(super) fn import(mut matches: ArgMatches) -> Invocation {
    let bundle = matches.remove_one("bundle").unwrap_or_default();
    Invocation::Import(inputs(matches), bundle)
}

fn lockfiles(arg: Arg) -> Arg {
    let help = "Lock files, as cargo writes them";
    arg.value_name("CARGO.LOCK")
        .num_args(1..)
        .required_unless_present_any(["toolchain", "rustup"])
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

fn toolchain_arguments() -> [Arg; 7] {
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
        Arg::new("rustup")
            .long("rustup")
            .action(ArgAction::SetTrue)
            .help("The newest rustup too, for each of the machines that toolchains run on"),
        Arg::new("dist")
            .long("dist")
            .value_name("ID")
            .value_parser(value_parser!(DistId))
            .help("The origin of all that [default: rustup]"),
    ]
}

fn toolchains(matches: &mut ArgMatches) -> Toolchains {
    let mut texts = |name: &str| -> Vec<String> {
        matches.remove_many(name).map(Iterator::collect).unwrap_or_default()
    };
    let (components, targets, mut hosts) = (texts("component"), texts("target"), texts("host"));
    if hosts.is_empty() {
        hosts.push(this_machine());
    }
    let profile = matches.remove_one("profile").unwrap_or_else(|| "default".to_owned());
    let channels = matches.remove_many::<Channel>("toolchain").into_iter().flatten();
    let dist = matches.remove_one("dist").unwrap_or_else(DistId::rustup);
    let toolchain = |channel| Toolchain {
        dist: dist.clone(),
        channel,
        profile: profile.clone(),
        hosts: hosts.clone(),
        components: components.clone(),
        targets: targets.clone(),
    };
    let wanted = channels.map(toolchain).collect();
    let rustup = matches.get_flag("rustup").then_some(Rustup { dist, hosts });
    Toolchains { wanted, rustup }
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

fn taken_at_once(matches: &mut ArgMatches) -> usize {
    let count = matches.remove_one::<u32>("at-once").and_then(|count| count.try_into().ok());
    count.unwrap_or(AT_ONCE)
}
