//! One line of an index file, key by key in the order in which crates.io writes it (its `crates_io_index` package).

use std::collections::BTreeMap;

use serde::Serialize;

use super::Krate;
use super::dependency::{Dependency, Kind};

type Features<'a> = BTreeMap<&'a str, &'a [String]>;

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    vers: &'a str,
    deps: Vec<LineDependency<'a>>,
    cksum: &'a str,
    features: Features<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features2: Option<Features<'a>>,
    yanked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rust_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pubtime: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<u32>,
}

#[derive(Serialize)]
struct LineDependency<'a> {
    name: &'a str,
    req: &'a str,
    features: &'a [String],
    optional: bool,
    default_features: bool,
    target: Option<&'a str>,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a str>,
}

pub(super) fn write(krate: &Krate, cksum: &str) -> String {
    let (features, features2) = split_features(&krate.features);
    let mut deps = krate.dependencies.iter().map(line_dependency).collect::<Vec<_>>();
    deps.sort_by_key(|dependency| (dependency.name, dependency.req));
    let line = Line {
        name: &krate.name,
        vers: &krate.version,
        deps,
        cksum,
        features,
        yanked: krate.yanked,
        links: krate.links.as_deref(),
        rust_version: krate.rust_version.as_deref(),
        pubtime: krate.pubtime.as_deref(),
        v: features2.is_some().then_some(2),
        features2,
    };
    serde_json::to_string(&line).expect("plain data becomes JSON")
}

fn line_dependency(dependency: &Dependency) -> LineDependency<'_> {
    LineDependency {
        name: dependency.local_name(),
        req: &dependency.req,
        features: &dependency.features,
        optional: dependency.optional,
        default_features: dependency.default_features,
        target: dependency.target.as_deref(),
        kind: dependency.kind,
        registry: dependency.registry.as_deref(),
        package: dependency.renamed_to.as_ref().map(|_| dependency.name.as_str()),
    }
}

/// Features in the newer syntax, and those that refer to them, go where old cargo does not look.
fn split_features(all: &BTreeMap<String, Vec<String>>) -> (Features<'_>, Option<Features<'_>>) {
    let newer = |item: &String| item.starts_with("dep:") || item.contains("?/");
    let all = all.iter().map(|(name, turns_on)| (name.as_str(), turns_on.as_slice()));
    let (mut features2, mut features): (Features<'_>, Features<'_>) =
        all.partition(|(_, turns_on)| turns_on.iter().any(newer));
    loop {
        let refers =
            |turns_on: &[String]| turns_on.iter().any(|item| features2.contains_key(item.as_str()));
        let moved: Features<'_> = features.extract_if(.., |_, turns_on| refers(turns_on)).collect();
        if moved.is_empty() {
            break;
        }
        features2.extend(moved);
    }
    (features, (!features2.is_empty()).then_some(features2))
}

#[cfg(test)]
mod tests {
    use super::super::{Dependency, krate};

    #[test]
    fn a_line_reads_as_crates_io_writes_it() {
        let full = krate("full", "1.2.3+b.1")
            .dep("zed", "^1")
            .dev_dep("alpha", "=0.1.0")
            .dependency(
                Dependency::new("real", "*").renamed_to("alias").optional().target("cfg(windows)"),
            )
            .dependency(
                Dependency::new("far", "1")
                    .registry("sparse+http://x/")
                    .no_default_features()
                    .features(&["f"]),
            )
            .feature("plain", &["zed/std"])
            .feature("uses", &["dep:alias"])
            .feature("default", &["uses"])
            .links("z")
            .rust_version("1.60")
            .yanked()
            .build();
        let deps = concat!(
            r#"{"name":"alias","req":"*","features":[],"optional":true,"default_features":true,"target":"cfg(windows)","kind":"normal","package":"real"},"#,
            r#"{"name":"alpha","req":"=0.1.0","features":[],"optional":false,"default_features":true,"target":null,"kind":"dev"},"#,
            r#"{"name":"far","req":"1","features":["f"],"optional":false,"default_features":false,"target":null,"kind":"normal","registry":"sparse+http://x/"},"#,
            r#"{"name":"zed","req":"^1","features":[],"optional":false,"default_features":true,"target":null,"kind":"normal"}"#,
        );
        let cksum = &full.cksum;
        let rest = concat!(
            r#""features":{"plain":["zed/std"]},"features2":{"default":["uses"],"uses":["dep:alias"]},"#,
            r#""yanked":true,"links":"z","rust_version":"1.60","pubtime":"2024-01-02T03:04:05Z","v":2}"#,
        );
        let line = format!(
            r#"{{"name":"full","vers":"1.2.3+b.1","deps":[{deps}],"cksum":"{cksum}",{rest}"#
        );
        assert_eq!(full.index_line, line);
    }

    #[test]
    fn a_plain_crate_has_a_short_line() {
        let plain = krate("a", "1.0.0").without_pubtime().build();
        let cksum = &plain.cksum;
        let line = format!(
            r#"{{"name":"a","vers":"1.0.0","deps":[],"cksum":"{cksum}","features":{{}},"yanked":false}}"#
        );
        assert_eq!(plain.index_line, line);
    }
}
