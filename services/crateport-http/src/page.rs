//! The page for people: what this address is, the lines to paste, what is here. No scripts, nothing from elsewhere.

use std::fmt::Write as _;

use crateport_types::{BaseUrl, CacheClass, DistId, RUSTUP, RegistryId, ResourceKind};
use crateport_upstream::Condition;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::app::Shared;
use crate::body::Body;
use crate::client_lines::{cargo_lines, rustup_install_line, rustup_lines};
use crate::inventory::{Held, Tally};

const STYLE: &str = include_str!("page/style.css");

/// The whole response.
pub(crate) fn response(shared: &Shared, base: &BaseUrl) -> Response<Body> {
    let registries = shared
        .cache
        .registries()
        .map(|(id, condition)| (id.clone(), condition))
        .collect::<Vec<_>>();
    let dists =
        shared.cache.dists().map(|(id, condition)| (id.clone(), condition)).collect::<Vec<_>>();
    let page = render(base, &registries, &dists, shared.inventory.look().as_deref());
    let mut response = Response::new(Body::whole(page.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ResourceKind::Page.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CacheClass::Mutable.cache_control()));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn render(
    base: &BaseUrl,
    registries: &[(RegistryId, Condition)],
    dists: &[(DistId, Condition)],
    held: Option<&Held>,
) -> String {
    let ids = registries.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let lines = escaped(&cargo_lines(base, &ids));
    let mut rows = String::new();
    for (id, condition) in registries {
        let holding =
            held.and_then(|held| held.registries.iter().find(|holding| holding.registry == *id));
        let (index, crates) =
            holding.map_or(("…".into(), "…".into()), |h| (tally(h.index), tally(h.crates)));
        let upstream = told(*condition);
        // Writing to a string cannot fail.
        let _ = write!(rows, "<tr><th scope=row>{id}<td>{index}<td>{crates}<td>{upstream}");
    }
    let toolchains = toolchains(base, dists);
    let dist_table = dist_table(dists, held);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\"><title>Crateport</title>\
         <style>{STYLE}</style><main><h1>Crateport</h1>\
         <p>This address is a cache of Rust crates. Builds that use it fetch each crate from upstream once, get it \
         verified, and go on when upstream is down.</p>\
         <h2>Use it</h2><p>Put these lines into <code>$CARGO_HOME/config.toml</code>, which is \
         <code>~/.cargo/config.toml</code> unless you moved it:</p><pre>{lines}</pre>\
         <p>Lock files stay as they are: they go on naming crates.io. cargo 1.68 or newer is needed.</p>{toolchains}\
         <h2>What is here</h2><div class=wide><table><tr><th scope=col>registry<th scope=col>index files\
         <th scope=col>crates<th scope=col>upstream{rows}</table></div>{dist_table}\
         <p class=note>Counted every five minutes, when somebody looks.</p></main></html>\n"
    )
}

/// What rustup needs, where its files are served.
fn toolchains(base: &BaseUrl, dists: &[(DistId, Condition)]) -> String {
    if !dists.iter().any(|(id, _)| id.as_str() == RUSTUP) {
        return String::new();
    }
    let (lines, install) = (escaped(&rustup_lines(base)), escaped(&rustup_install_line(base)));
    format!(
        "<p>Toolchains come the same way. Where there is no Rust yet:</p><pre>{install}</pre>\
         <p>That sets all of this up. For a rustup that is there already:</p><pre>{lines}</pre>"
    )
}

fn dist_table(dists: &[(DistId, Condition)], held: Option<&Held>) -> String {
    if dists.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for (id, condition) in dists {
        let files = held.and_then(|held| held.dists.iter().find(|(dist, _)| dist == id));
        let files = files.map_or_else(|| "…".into(), |(_, files)| tally(*files));
        // Writing to a string cannot fail.
        let _ = write!(rows, "<tr><th scope=row>{id}<td>{files}<td>{}", told(*condition));
    }
    format!(
        "<div class=wide><table><tr><th scope=col>toolchains<th scope=col>files\
         <th scope=col>upstream{rows}</table></div>"
    )
}

const fn told(condition: Condition) -> &'static str {
    match condition {
        Condition::Healthy => "answers",
        Condition::Slow => "slow; what is known is served as it is",
        Condition::Offline => "never asked: this cache is offline, and has what is in its store",
        Condition::Down { .. } => "does not answer; everything that is here is served",
    }
}

fn tally(tally: Tally) -> String {
    format!("{} <small>({})</small>", tally.objects, size(tally.bytes))
}

/// With a binary prefix and no more digits than anyone reads.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit_bytes, _)| bytes >= *unit_bytes) {
        Some((unit_bytes, unit)) => {
            format!("{}.{} {unit}", bytes / unit_bytes, bytes % unit_bytes * 10 / unit_bytes)
        }
        None => format!("{bytes} B"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::Holding;

    #[test]
    fn the_page_shows_the_lines_and_what_is_held() {
        let id: RegistryId = "crates-io".parse().unwrap();
        let crates = Tally { objects: 3, bytes: 1_600_000 };
        let registries = vec![Holding { registry: id.clone(), index: Tally::default(), crates }];
        let files = Tally { objects: 7, bytes: 3 << 30 };
        let held = Held { registries, dists: vec![(DistId::rustup(), files)] };
        let base = "http://a:8080".parse().unwrap();
        let dists = [(DistId::rustup(), Condition::Healthy)];
        let page = render(&base, &[(id.clone(), Condition::Healthy)], &dists, Some(&held));
        for text in [
            "sparse+http://a:8080/crates-io/index/",
            "replace-with = &quot;crateport&quot;",
            "3 <small>(1.5 MiB)",
            "export RUSTUP_DIST_SERVER=http://a:8080/rustup\n",
            "export RUSTUP_UPDATE_ROOT=http://a:8080/rustup/rustup\n",
            "curl -fsSL http://a:8080/rustup/rustup-init.sh | sh",
            "7 <small>(3.0 GiB)",
        ] {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
        let page = render(&base, &[(id, Condition::Slow)], &[], None);
        assert!(page.contains("…") && !page.contains("RUSTUP"), "{page}");
    }

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }
}
