//! A channel's manifest, "manifest-version 2".

use std::fmt::Write as _;

use super::component::file_name;
use super::{DEFAULT_COMPONENTS, EXTRA_COMPONENT, Toolchain};

/// The text. `sum` gives the address and the digest of a file that is there.
pub(super) fn text(
    toolchain: &Toolchain,
    host: &str,
    sum: impl Fn(&str) -> Option<(String, String)>,
) -> String {
    let Toolchain { version, date, targets, .. } = toolchain;
    let mut text = format!("manifest-version = \"2\"\ndate = \"{date}\"\n");
    // Writing to a string cannot fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    let full_version = format!("{version} (0123456 {date})");
    line(format!("[pkg.rust]\nversion = \"{full_version}\"\n[pkg.rust.target.{host}]"));
    line("available = true".to_owned());
    for component in DEFAULT_COMPONENTS {
        line(format!("[[pkg.rust.target.{host}.components]]"));
        line(format!("pkg = \"{component}\"\ntarget = \"{host}\""));
    }
    let extras = targets.iter().map(|target| ("rust-std", target.as_str()));
    for (component, target) in extras.chain([(EXTRA_COMPONENT, host)]) {
        line(format!("[[pkg.rust.target.{host}.extensions]]"));
        line(format!("pkg = \"{component}\"\ntarget = \"{target}\""));
    }
    for component in DEFAULT_COMPONENTS.into_iter().chain([EXTRA_COMPONENT]) {
        line(format!("[pkg.{component}]\nversion = \"{full_version}\""));
        let is_std = component == "rust-std";
        for target in
            [host].into_iter().chain(targets.iter().map(String::as_str).filter(|_| is_std))
        {
            line(format!("[pkg.{component}.target.{target}]"));
            match sum(&file_name(component, version, target)) {
                Some((url, hash)) => {
                    line(format!("available = true\nurl = \"{url}\"\nhash = \"{hash}\""));
                }
                None => line("available = false".to_owned()),
            }
        }
    }
    let quoted = DEFAULT_COMPONENTS.map(|component| format!("\"{component}\"")).join(", ");
    line(format!("[profiles]\nminimal = [{quoted}]"));
    line(format!("default = [{quoted}, \"{EXTRA_COMPONENT}\"]"));
    line(format!("complete = [{quoted}, \"{EXTRA_COMPONENT}\"]"));
    text
}
