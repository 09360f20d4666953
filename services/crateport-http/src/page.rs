//! The page for people: what this address is, the lines to paste, what is here, how it goes. No scripts, nothing from
//! elsewhere.
//!
//! Everybody who may fetch may look, so it tells nothing of who asked, and names no host of an upstream.

mod plot;
mod tables;

use crateport_types::{BaseUrl, CacheClass, DistId, RUSTUP, RegistryId, ResourceKind};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response};

use crate::app::Shared;
use crate::body::Body;
use crate::client_lines::{cargo_lines, rustup_install_line, rustup_lines};
use crate::report::Report;

const STYLE: &str = include_str!("page/style.css");

/// The whole response.
pub(crate) fn response(shared: &Shared, base: &BaseUrl) -> Response<Body> {
    let registries = shared.cache.registries().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let dists = shared.cache.dists().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let page = render(base, &registries, &dists, &shared.reports.report());
    let mut response = Response::new(Body::whole(page.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(ResourceKind::Page.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(CacheClass::Mutable.cache_control()));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn render(base: &BaseUrl, registries: &[RegistryId], dists: &[DistId], report: &Report) -> String {
    let lines = escaped(&cargo_lines(base, registries));
    let toolchains = toolchains(base, dists);
    let (held, traffic) = (tables::held(report), tables::traffic(report));
    let (top_crates, upstreams) = (tables::top_crates(report), tables::upstreams(report));
    let (fills, errors) = (tables::fills(report), tables::errors(report));
    let version = escaped(&report.version);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\"><title>Crateport</title>\
         <style>{STYLE}</style><main><h1>Crateport</h1>\
         <p>This address is a cache of Rust crates. Builds that use it fetch each crate from upstream once, get it \
         verified, and go on when upstream is down.</p>\
         <h2>Use it</h2><p>Put these lines into <code>$CARGO_HOME/config.toml</code>, which is \
         <code>~/.cargo/config.toml</code> unless you moved it:</p><pre>{lines}</pre>\
         <p>Lock files stay as they are: they go on naming crates.io. cargo 1.68 or newer is needed.</p>{toolchains}\
         <h2>What is here</h2>{held}<h2>How it goes</h2>{traffic}{top_crates}{upstreams}{fills}{errors}\
         <footer>Crateport {version}. <code>crateport stats</code> tells the same on a terminal.</footer>\
         </main></html>\n"
    )
}

/// What rustup needs, where its files are served.
fn toolchains(base: &BaseUrl, dists: &[DistId]) -> String {
    if !dists.iter().any(|id| id.as_str() == RUSTUP) {
        return String::new();
    }
    let (lines, install) = (escaped(&rustup_lines(base)), escaped(&rustup_install_line(base)));
    format!(
        "<p>Toolchains come the same way. Where there is no Rust yet:</p><pre>{install}</pre>\
         <p>That sets all of this up. For a rustup that is there already:</p><pre>{lines}</pre>"
    )
}

/// What the word for an upstream's condition means to people.
fn told(condition: &str) -> &'static str {
    match condition {
        "healthy" => "answers",
        "slow" => "slow; what is known is served as it is",
        "offline" => "never asked: this cache is offline, and has what is in its store",
        _ => "does not answer; everything that is here is served",
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use crateport_types::Moment;

    use super::*;
    use crate::report::{Counts, Filled, Held, Origin, TopCrate, Trouble, UpstreamTimes, Window};

    /// What somebody might put where a name is expected.
    const EVIL: &str = "<script>alert('1')</script>\"&";

    fn held(kind: &str, objects: u64, bytes: u64) -> Held {
        Held { kind: kind.to_owned(), objects, bytes }
    }

    fn report() -> Report {
        let at = Moment::of_seconds;
        let (made, then) = (at(1_000_000), at(1_000_000 - 300));
        let counts =
            Counts { requests: 1234, hits: 1200, bytes: 2 << 20, hit_bytes: 1 << 20, failures: 7 };
        let window =
            |hours| Window { hours, all: counts, index: counts, krate: counts, dist: counts };
        let evil = || EVIL.to_owned();
        Report {
            replica: evil(),
            version: "1.2.3".to_owned(),
            made,
            since: at(0),
            counted: Some(then),
            origins: vec![
                Origin {
                    id: "crates-io".to_owned(),
                    is_dist: false,
                    upstream: "healthy".to_owned(),
                    held: vec![held("index", 0, 0), held("crate", 3, 1_600_000)],
                },
                Origin {
                    id: "rustup".to_owned(),
                    is_dist: true,
                    upstream: "slow".to_owned(),
                    held: vec![held("dist", 7, 3 << 30)],
                },
            ],
            windows: [1, 6, 24].map(window).into(),
            quarters: vec![counts; 96],
            top_crates: vec![TopCrate {
                registry: "crates-io".to_owned(),
                krate: evil(),
                requests: 55,
            }],
            top_crates_since: then,
            upstreams: vec![UpstreamTimes {
                origin: evil(),
                resource: "index".to_owned(),
                attempts: 9,
                failed: 1,
                median_ms: 20,
                p95_ms: 2500,
                slowest_ms: 9000,
            }],
            errors: vec![Trouble {
                first: then,
                last: then,
                count: 3,
                origin: "crates-io".to_owned(),
                resource: "crate".to_owned(),
                path: evil(),
                status: 503,
                reason: "upstream-status".to_owned(),
                upstream_status: Some(502),
                detail: "internal.example answered 502".to_owned(),
            }],
            fills: vec![Filled {
                ended: then,
                origin: "crates-io".to_owned(),
                resource: "crate".to_owned(),
                what: evil(),
                bytes: 4096,
                took_ms: 12,
                is_kept: true,
            }],
        }
    }

    fn page(report: &Report) -> String {
        let (base, id) = ("http://a:8080".parse().unwrap(), "crates-io".parse().unwrap());
        render(&base, &[id], &[DistId::rustup()], report)
    }

    #[test]
    fn the_page_shows_the_lines_and_the_report() {
        let page = page(&report());
        for text in [
            "sparse+http://a:8080/crates-io/index/",
            "replace-with = &quot;crateport&quot;",
            "export RUSTUP_DIST_SERVER=http://a:8080/rustup\n",
            "export RUSTUP_UPDATE_ROOT=http://a:8080/rustup/rustup\n",
            "curl -fsSL http://a:8080/rustup/rustup-init.sh | sh",
            "3 <small>(1.5 MiB)",
            "7 <small>(3.0 GiB)",
            "97% <small>of 1,234</small><br>50% <small>of 2.0 MiB</small>",
            "<td>20 ms<td>2.5 s<td>9.0 s<td>1 <small>of 9",
            "<td>503<td>upstream-status 502 ×3",
            "<td class=unit>4.0 KiB<td class=unit>12 ms",
            "5 min ago</time>",
        ] {
            assert!(page.contains(text), "{text} is missing in {page}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_text_and_no_host_is_named() {
        let page = page(&report());
        assert!(
            !page.contains("<script") && page.matches("&lt;script&gt;alert(&#39;1").count() == 5
        );
        assert!(!page.contains("internal.example"));
    }

    #[test]
    fn a_cache_that_is_new_says_what_it_can() {
        let empty = Report {
            counted: None,
            quarters: vec![Counts::default(); 96],
            windows: Vec::new(),
            top_crates: Vec::new(),
            upstreams: Vec::new(),
            errors: Vec::new(),
            fills: Vec::new(),
            origins: vec![Origin { held: Vec::new(), ..report().origins.remove(0) }],
            ..report()
        };
        let page = page(&empty);
        assert!(page.contains("<td>…<td>…<td>answers"), "{page}");
        assert!(!page.contains("Fetched most") && !page.contains("Errors"), "{page}");
    }
}
