//! The installer that clients can pipe into a shell. It is made for the address by which it was asked for.

use crateport_types::{BaseUrl, CacheClass, RegistryId};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::body::Body;
use crate::client_lines::cargo_lines;

const SCRIPT: &str = include_str!("installer/rustup-init.sh");
/// Ends the lines for cargo; no line of a configuration looks like it.
const END: &str = "END_OF_CARGO_LINES";

/// The whole response.
pub(crate) fn response(base: &BaseUrl, registries: &[RegistryId]) -> Response<Body> {
    let mut response = Response::new(Body::whole(script(base, registries).into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // It names the address that this client used.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CacheClass::Transient.cache_control()));
    response
}

fn script(base: &BaseUrl, registries: &[RegistryId]) -> String {
    let lines = cargo_lines(base, registries);
    SCRIPT
        .replace("@BASE@", &quoted(base.as_str()))
        .replace("@END@", END)
        .replace("@CARGO_LINES@", lines.trim_end())
}

/// As one word of a shell, whatever is in it: the base may be what a client wrote into `Host`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sh(script: &str) -> std::process::Output {
        Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output().unwrap()
    }

    #[test]
    fn the_script_is_made_for_the_address_that_was_used() {
        let base = "https://crates.example.com/rust".parse().unwrap();
        let script = script(&base, &["crates-io".parse().unwrap()]);
        assert!(script.starts_with("#!/bin/sh\n"));
        assert!(script.contains("\nbase='https://crates.example.com/rust'\n"), "{script}");
        assert!(script.contains("sparse+https://crates.example.com/rust/crates-io/index/"));
        assert!(!script.contains('@') || !script.contains("@BASE@"), "{script}");
        assert!(script.ends_with("main \"$@\"\n"), "a cut script does nothing");
        let checked = Command::new("sh").args(["-n", "-c", &script]).status().unwrap();
        assert!(checked.success());
    }

    #[test]
    fn an_address_cannot_break_out_of_its_quotes() {
        for hostile in ["a'$(exit 3)'b", "a'; exit 3 #", "$(exit 3)", "`exit 3`"] {
            let base = BaseUrl::from_parts("http", hostile, "");
            let script = script(&base, &["crates-io".parse().unwrap()]);
            // All of it but the call at its end.
            let script = script.replace("\nmain \"$@\"", "\nprintf %s \"$base\"; cargo_lines");
            let output = sh(&script);
            assert!(output.status.success(), "{hostile}: {output:?}");
            let printed = String::from_utf8(output.stdout).unwrap();
            assert!(printed.starts_with(&format!("http://{hostile}[registries")), "{printed}");
        }
    }
}
