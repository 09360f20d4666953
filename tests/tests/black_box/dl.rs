//! Upstream's `dl` in every form, and the addresses that it may not lead to.

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, CrateportOptions, Fault, On, ScriptedUpstream, Times, krate};

use crate::at_once;
use crate::house::{CRATES_IO, crate_url, crateport, hasty};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_upstreams_dl_is_honoured() {
    let templates = [
        "/dl",
        "/dl/{crate}/{crate}-{version}.crate",
        "/dl/{prefix}/{crate}/{version}",
        "/dl/{lowerprefix}/{crate}/{version}",
        "/by-sum/{sha256-checksum}",
        "/get?file={crate}-{version}.crate",
        "/get?sum={sha256-checksum}&sig=a%2Fb%3D",
    ];
    let rows = templates.into_iter().flat_map(|template| {
        [false, true]
            .map(|apart| (format!("{template} apart: {apart}"), move || download(template, apart)))
    });
    at_once::all(rows.collect::<Vec<_>>()).await;
}

async fn download(template: &'static str, other_port: bool) {
    let builder = ScriptedUpstream::builder().dl(template);
    let builder = if other_port { builder.separate_download_port() } else { builder };
    let upstream = builder.start().await;
    let versions = ["1.0.0", "1.0.0-rc.1", "1.2.0+deb.1"];
    let published = versions.map(|version| krate("MixedCase_1", version).publish(&upstream));
    let crateport = crateport(&upstream).await;
    for krate in published {
        let answer = get(crate_url(&crateport, &krate.name, &krate.version)).send().await;
        assert_eq!((answer.status, answer.body), (200, krate.bytes), "{}", krate.version);
    }
    let downloads =
        upstream.requests().iter().filter(|seen| !seen.path.starts_with("/index")).count();
    assert_eq!(downloads, versions.len());
}

#[tokio::test]
async fn redirects_of_upstream_are_followed() {
    let (upstream, elsewhere) = (ScriptedUpstream::start().await, ScriptedUpstream::start().await);
    let a = krate("a", "1.0.0").publish(&upstream);
    krate("a", "1.0.0").publish(&elsewhere);
    let crateport = crateport(&upstream).await;
    let target = format!("{}{}", elsewhere.url(), elsewhere.crate_path("a", "1.0.0"));
    upstream.fault(On::Crates, Fault::Redirect(target), Times::Always);
    let answer = get(crate_url(&crateport, "a", "1.0.0")).send().await;
    assert_eq!((answer.status, answer.body), (200, a.bytes));
    assert_eq!(elsewhere.crate_hits("a", "1.0.0"), 1);
}

#[tokio::test]
async fn a_dl_or_a_redirect_to_a_private_address_elsewhere_is_refused() {
    let private = ["http://127.0.0.2:9/dl", "http://169.254.169.254/latest", "http://10.0.0.1/dl"];
    for elsewhere in private.into_iter().chain(["http://[fd00::1]/dl", "http://localhost:9/dl"]) {
        for redirected in [false, true] {
            let builder = ScriptedUpstream::builder();
            let builder = if redirected { builder } else { builder.dl(elsewhere) };
            let upstream = builder.start().await;
            krate("a", "1.0.0").publish(&upstream);
            if redirected {
                let to = Fault::Redirect(elsewhere.to_owned());
                upstream.fault(On::Crates, to, Times::Always);
            }
            // Nothing is allowed but what is configured.
            let options = CrateportOptions::default().upstream(CRATES_IO, &upstream.index_url());
            let crateport = Crateport::start(options).await;
            let answer = get(crate_url(&crateport, "a", "1.0.0")).send().await;
            assert_eq!(answer.status, 502, "{elsewhere} {redirected}: {}", answer.text());
            assert!(!answer.text().contains("sig="), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn config_json_is_not_asked_for_again_once_it_is_known() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let mut crateport = Crateport::start(hasty(&upstream)).await;
    let url = format!("{}config.json", crateport.index_url(CRATES_IO));
    for _ in 0..5 {
        assert_eq!(get(&url).send().await.status, 200);
    }
    assert_eq!(upstream.hits("/index/config.json"), 1);
    upstream.stop();
    crateport.restart().await;
    assert_eq!(get(&url).send().await.status, 200, "nor is upstream needed after a restart");
}
