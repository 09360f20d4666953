//! What a path means: the whole API of the main listener on one page.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | the page for people |
//! | `/{registry}/index/config.json` | the registry's configuration |
//! | `/{registry}/index/{1,2,3/x,ab/cd}/{name}` | an index file |
//! | `/{registry}/crates/{name}/{version}/download` | a crate |
//! | `/{registry}/api/v1/crates?q=…` | a search |
//! | `/{registry}/api/…` | the rest of the web API, which a cache does not have |
//! | `/rustup/rustup-init.sh` | the installer for clients |
//! | `/rustup/dist/…`, `/rustup/rustup/…` | dist files, as rustup asks for them |
//! | `/{dist}/…` | files of another dist origin |

use std::borrow::Cow;

use crateport_types::{CrateName, CrateVersion, DistPath, IndexName, RUSTUP, Resource};
use percent_encoding::percent_decode_str;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// The page for people.
    Page,
    /// The installer for clients.
    Installer,
    /// Something of a registry, which may not be configured, or of a dist origin.
    Registry { registry: &'a str, resource: Resource },
    /// A call of the web API other than a search: publish, yank, owners, login.
    Api { registry: &'a str },
    /// A path that cannot mean anything, and why.
    Nowhere { why: Cow<'static, str> },
}

/// What the installer is called.
pub(crate) const INSTALLER: &str = "rustup-init.sh";

/// More than any search needs.
const QUERY_BYTES_MAX: usize = 2048;

impl<'a> Route<'a> {
    /// Reads a path and its query. `is_dist` tells which ids are those of dist origins.
    pub(crate) fn of(
        path: &'a str,
        query: Option<&str>,
        is_dist: impl FnOnce(&str) -> bool,
    ) -> Self {
        let Some((registry, rest)) = path.trim_start_matches('/').split_once('/') else {
            let page = matches!(path, "/" | "");
            return if page {
                Self::Page
            } else {
                nowhere("nothing is served at this path; see /")
            };
        };
        if is_dist(registry) {
            return Self::dist(registry, rest);
        }
        if let Some(path) = rest.strip_prefix("index/") {
            return Self::index(registry, path);
        }
        if let Some(path) = rest.strip_prefix("crates/") {
            return Self::krate(registry, path);
        }
        match rest.strip_prefix("api/") {
            Some("v1/crates") => Self::search(registry, query.unwrap_or_default()),
            Some(_) => Self::Api { registry },
            None => nowhere("nothing is served at this path; see /"),
        }
    }

    fn index(registry: &'a str, path: &str) -> Self {
        if path == "config.json" {
            return Self::Registry { registry, resource: Resource::Config };
        }
        match decoded(path).as_deref().map(IndexName::from_path) {
            Some(Ok(name)) => Self::Registry { registry, resource: Resource::IndexFile(name) },
            Some(Err(error)) => Self::Nowhere { why: error.to_string().into() },
            None => nowhere("the path is not UTF-8"),
        }
    }

    fn krate(registry: &'a str, path: &str) -> Self {
        let mut parts = path.split('/');
        let (Some(name), Some(version), Some("download"), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return nowhere("a crate is at crates/{name}/{version}/download");
        };
        let (Some(name), Some(version)) = (decoded(name), decoded(version)) else {
            return nowhere("the path is not UTF-8");
        };
        match (name.parse::<CrateName>(), version.parse::<CrateVersion>()) {
            (Ok(name), Ok(version)) => {
                Self::Registry { registry, resource: Resource::Krate { name, version } }
            }
            (Err(error), _) => Self::Nowhere { why: error.to_string().into() },
            (_, Err(error)) => Self::Nowhere { why: error.to_string().into() },
        }
    }

    fn dist(dist: &'a str, path: &str) -> Self {
        if dist == RUSTUP && path == INSTALLER {
            return Self::Installer;
        }
        // rustup puts a slash behind a server that ends in one.
        match decoded(path.trim_start_matches('/')).as_deref().map(str::parse::<DistPath>) {
            Some(Ok(path)) => Self::Registry { registry: dist, resource: Resource::Dist(path) },
            Some(Err(error)) => Self::Nowhere { why: error.to_string().into() },
            None => nowhere("the path is not UTF-8"),
        }
    }

    fn search(registry: &'a str, query: &str) -> Self {
        if query.len() > QUERY_BYTES_MAX {
            return nowhere("the query of the search is too long");
        }
        Self::Registry { registry, resource: Resource::Search { query: query.into() } }
    }
}

/// `%2B` becomes `+`, and a raw `+` stays one: paths know no other meaning of it.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

fn nowhere(why: &'static str) -> Route<'static> {
    Route::Nowhere { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_dist(id: &str) -> bool {
        matches!(id, "rustup" | "toolchains")
    }

    fn dist(dist: &'static str, path: &str) -> Route<'static> {
        Route::Registry { registry: dist, resource: Resource::Dist(path.parse().unwrap()) }
    }

    fn krate(name: &str, version: &str) -> Route<'static> {
        let (name, version) = (name.parse().unwrap(), version.parse().unwrap());
        Route::Registry { registry: "crates-io", resource: Resource::Krate { name, version } }
    }

    fn index(path: &str) -> Route<'static> {
        let resource = Resource::IndexFile(IndexName::from_path(path).unwrap());
        Route::Registry { registry: "crates-io", resource }
    }

    #[test]
    fn every_path_of_the_contract_has_its_meaning() {
        for (path, expected) in [
            ("/", Route::Page),
            (
                "/crates-io/index/config.json",
                Route::Registry { registry: "crates-io", resource: Resource::Config },
            ),
            ("/crates-io/index/se/rd/serde", index("se/rd/serde")),
            ("/crates-io/index/3/a/abc", index("3/a/abc")),
            ("/crates-io/index/bb/-b/bb-bb", index("bb/-b/bb-bb")),
            ("/crates-io/crates/serde/1.0.0/download", krate("serde", "1.0.0")),
            ("/crates-io/crates/a/1.0.0+b.1/download", krate("a", "1.0.0+b.1")),
            ("/crates-io/crates/a/1.0.0%2Bb.1/download", krate("a", "1.0.0+b.1")),
            ("/crates-io/crates/a/1.0.0%2bb.1/download", krate("a", "1.0.0+b.1")),
            ("/rustup/rustup-init.sh", Route::Installer),
            (
                "/rustup/dist/channel-rust-stable.toml",
                dist("rustup", "dist/channel-rust-stable.toml"),
            ),
            (
                "/rustup//dist/channel-rust-stable.toml.sha256",
                dist("rustup", "dist/channel-rust-stable.toml.sha256"),
            ),
            ("/rustup/rustup/release-stable.toml", dist("rustup", "rustup/release-stable.toml")),
            ("/rustup/rustup/rustup-init.sh", dist("rustup", "rustup/rustup-init.sh")),
            ("/toolchains/index/x", dist("toolchains", "index/x")),
            ("/toolchains/rustup-init.sh", dist("toolchains", "rustup-init.sh")),
            ("/crates-io/api/v1/crates/new", Route::Api { registry: "crates-io" }),
            ("/crates-io/api/v1/crates/a/1.0.0/yank", Route::Api { registry: "crates-io" }),
        ] {
            assert_eq!(Route::of(path, None, is_dist), expected, "{path}");
        }
        let resource = Resource::Search { query: "q=a+b&per_page=10".into() };
        let expected = Route::Registry { registry: "crates-io", resource };
        assert_eq!(
            Route::of("/crates-io/api/v1/crates", Some("q=a+b&per_page=10"), is_dist),
            expected
        );
    }

    #[test]
    fn what_cargo_never_asks_for_leads_nowhere() {
        for path in [
            "/crates-io",
            "/crates-io/",
            "/crates-io/index/",
            "/crates-io/index/se/rd/Serde",
            "/crates-io/index/../../etc/passwd",
            "/crates-io/index/%2e%2e/%2e%2e/a",
            "/crates-io/index/se/rd/serde/extra",
            "/crates-io/crates/serde/1.0.0",
            "/crates-io/crates/serde/1.0/download",
            "/crates-io/crates/serde/1.0.0/download/x",
            "/crates-io/crates/..%2f..%2fa/1.0.0/download",
            "/crates-io/crates/a/1.0.0%2f../download",
            "/crates-io/crates/%ff/1.0.0/download",
            "/favicon.ico",
            "/a/b",
            "/rustup",
            "/rustup/",
            "/rustup/dist/",
            "/rustup/dist/../../etc/passwd",
            "/rustup/dist/%2e%2e/%2e%2e/x",
            "/rustup/dist/.hidden",
            "/rustup/.snapshots/dist/channel-rust-stable.toml@given",
            "/rustup/dist/a%00b",
            "/rustup/dist/%ff",
            "/rustup/dist/a//b",
        ] {
            assert!(matches!(Route::of(path, None, is_dist), Route::Nowhere { .. }), "{path}");
        }
    }
}
