//! What the newest version in an index file depends on: what a resolver will probably ask for next.
//!
//! A guess, and nothing else: whatever cannot be read is passed over.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{CrateName, IndexName};

/// The newest version stands at the end, unless the latest lines are yanked, or on an older branch of it.
const LINES_READ_MAX: usize = 16;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    vers: Cow<'a, str>,
    #[serde(borrow, default)]
    deps: Vec<Dependency<'a>>,
    #[serde(default)]
    yanked: bool,
}

#[derive(Deserialize)]
struct Dependency<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// The crate's own name, where `name` is another one.
    #[serde(borrow, default)]
    package: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    registry: Option<Cow<'a, str>>,
    #[serde(default)]
    optional: bool,
}

/// The crates of the same registry that the newest release in an index file cannot do without.
#[must_use]
pub fn newest_dependencies(index_file: &[u8]) -> Vec<IndexName> {
    let lines = index_file.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.take(LINES_READ_MAX).filter_map(|line| serde_json::from_slice(line).ok());
    let is_release = |line: &Line<'_>| !line.yanked && !line.vers.contains('-');
    let newest = lines.filter(is_release).max_by_key(|line| numbers(&line.vers));
    let dependencies = newest.map(|line| line.deps).unwrap_or_default();
    let needed = dependencies.iter().filter(|dependency| {
        let is_of_tests = dependency.kind.as_deref() == Some("dev");
        !is_of_tests && !dependency.optional && dependency.registry.is_none()
    });
    let names = needed.filter_map(|dependency| {
        let name = dependency.package.as_ref().unwrap_or(&dependency.name);
        name.parse::<CrateName>().ok().map(|name| name.index_name())
    });
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

/// `1.2.3` as numbers, so that they can be compared.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '+']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        newest_dependencies(text.as_bytes()).iter().map(|name| name.as_str().to_owned()).collect()
    }

    fn line(version: &str, deps: &str, rest: &str) -> String {
        format!(r#"{{"name":"a","vers":"{version}","deps":[{deps}],"cksum":"00"{rest}}}"#)
    }

    #[test]
    fn only_what_the_newest_release_needs_is_named() {
        let deps = r#"{"name":"Needed","kind":"normal"},{"name":"build","kind":"build"},
            {"name":"alias","package":"Real","kind":"normal"},{"name":"Needed","kind":"build"},
            {"name":"tests","kind":"dev"},{"name":"maybe","optional":true},
            {"name":"elsewhere","registry":"https://example.com/index"},{"name":"no name"}"#
            .replace('\n', "");
        assert_eq!(names(&line("1.0.0", &deps, "")), ["build", "needed", "real"]);
    }

    #[test]
    fn the_newest_release_is_found_among_the_last_lines() {
        let dep = |name: &str| format!(r#"{{"name":"{name}"}}"#);
        let text = [
            line("9.0.0", &dep("older"), ""),
            line("10.0.0", &dep("newest"), ""),
            line("11.0.0", &dep("yanked"), r#","yanked":true"#),
            line("12.0.0-rc.1", &dep("candidate"), ""),
            line("9.0.1", &dep("branch"), ""),
        ]
        .join("\n");
        assert_eq!(names(&format!("{text}\n")), ["newest"]);
        for text in ["", "\n", "<html>", "{}", r#"{"vers":1}"#] {
            assert!(names(text).is_empty(), "{text}");
        }
    }
}
