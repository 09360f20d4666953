//! `config.json`: always ours, and upstream's own honoured in every form.

use crateport_store::StoreFault;
use crateport_testkit::client::get;
use crateport_testkit::{Fault, On, ScriptedUpstream, Times, krate};

use super::harness::{REGISTRY, in_front_of, json, seen, until};

#[tokio::test]
async fn the_addresses_are_those_under_which_the_client_came() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = in_front_of(&upstream).start().await;
    for host in ["crates.example.com", "localhost:8080", "[::1]:9"] {
        let answer = get(crateport.config_url()).header("host", host).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let config = json(&answer);
        assert_eq!(config["dl"], format!("http://{host}/{REGISTRY}/crates"));
        assert_eq!(config["api"], format!("http://{host}/{REGISTRY}"));
        assert_eq!(config.get("auth-required"), None);
    }
    assert_eq!(upstream.hits("/index/config.json"), 1);

    let forged = get(crateport.config_url()).header("x-forwarded-host", "evil.example");
    let forged = forged.header("forwarded", "host=evil.example").send().await;
    assert!(!forged.text().contains("evil"), "only trusted proxies are believed");
}

#[tokio::test]
async fn a_public_url_and_a_trusted_proxy_are_believed() {
    let upstream = ScriptedUpstream::start().await;
    let setup = in_front_of(&upstream);
    let setup =
        setup.with(|setup| setup.base.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let behind = setup.start().await;
    let answer = get(behind.config_url()).header("host", "inner");
    let answer =
        answer.header("x-forwarded-host", "a.example:444").header("x-forwarded-proto", "https");
    assert_eq!(
        json(&answer.send().await)["dl"],
        format!("https://a.example:444/{REGISTRY}/crates")
    );

    let public_url = Some("https://b.example/rust".parse().unwrap());
    let public = in_front_of(&upstream).with(|setup| setup.base.public_url = public_url);
    let public = public.start().await;
    let config = json(&get(public.config_url()).send().await);
    assert_eq!(config["dl"], format!("https://b.example/rust/{REGISTRY}/crates"));
}

#[tokio::test]
async fn once_known_it_needs_no_upstream_even_after_a_restart() {
    let upstream = ScriptedUpstream::start().await;
    let mut before = in_front_of(&upstream).start().await;
    assert_eq!(seen(&get(before.config_url()).send().await), (200, "fill"));
    assert_eq!(seen(&get(before.config_url()).send().await), (200, "hit"));
    upstream.stop();
    assert_eq!(seen(&get(before.config_url()).send().await), (200, "hit"));
    before.stop().await;
    let after = in_front_of(&upstream).on_the_files_of(&before).start().await;
    assert_eq!(seen(&get(after.config_url()).send().await), (200, "hit"));

    let never = in_front_of(&upstream).start().await;
    let answer = get(never.config_url()).send().await;
    assert_eq!(seen(&answer), (503, "unavailable"));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn what_cannot_be_kept_at_first_is_kept_when_it_is_renewed() {
    let upstream = ScriptedUpstream::start().await;
    let setup = in_front_of(&upstream).with_store(StoreFault::Writes);
    let setup = setup.with(|setup| setup.policy.config_ttl = std::time::Duration::ZERO);
    let crateport = setup.start().await;
    assert_eq!(get(crateport.config_url()).send().await.status, 200);
    crateport.store.set(None);
    until("config.json is kept", async || {
        get(crateport.config_url()).send().await;
        crateport.object("upstream/config.json").exists()
    })
    .await;
}

#[tokio::test]
async fn garbage_is_not_taken_for_a_configuration() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = in_front_of(&upstream).start().await;
    for fault in
        [Fault::Html, Fault::Empty, Fault::Truncated, Fault::Status(404), Fault::Status(500)]
    {
        upstream.fault(On::Config, fault.clone(), Times::Next(1));
        let answer = get(crateport.config_url()).send().await;
        assert_eq!(seen(&answer), (503, "unavailable"), "{fault:?}");
    }
    assert_eq!(get(crateport.config_url()).send().await.status, 200);
}

#[tokio::test]
async fn every_form_of_dl_is_honoured() {
    let upstream = ScriptedUpstream::builder().separate_download_port().start().await;
    for (number, dl) in [
        "/dl",
        "/dl/",
        "/{crate}/{crate}-{version}.crate",
        "/p/{prefix}/{crate}/{version}",
        "/l/{lowerprefix}/{crate}/{version}",
        "/sum/{sha256-checksum}",
        "/get?crate={crate}&version={version}&sum={sha256-checksum}",
    ]
    .into_iter()
    .enumerate()
    {
        let published = [("Ab", "1.0.0"), ("SerdeX", "1.0.0+build.5"), ("a_b-c", "0.1.0-rc.1")]
            .map(|(name, version)| krate(name, version).payload(number + 1).publish(&upstream));
        upstream.change(|settings| dl.clone_into(&mut settings.dl));
        let crateport = in_front_of(&upstream).start().await;
        for krate in published {
            let answer = crateport.krate(&krate.name, &krate.version).await;
            assert_eq!((seen(&answer), &answer.body), ((200, "fill"), &krate.bytes), "{dl}");
        }
    }
}

#[tokio::test]
async fn a_dl_that_redirects_to_another_host_and_port_is_followed() {
    let upstream = ScriptedUpstream::start().await;
    let elsewhere = ScriptedUpstream::start().await;
    let published = krate("serde", "1.0.0").publish(&upstream);
    elsewhere.publish(&published);
    let target = format!("{}{}", elsewhere.url(), elsewhere.crate_path("serde", "1.0.0"));
    upstream.fault(On::Crates, Fault::Redirect(target), Times::Always);
    let crateport = in_front_of(&upstream).start().await;
    let answer = crateport.krate("serde", "1.0.0").await;
    assert_eq!((answer.status, answer.body), (200, published.bytes));
    assert_eq!(elsewhere.crate_hits("serde", "1.0.0"), 1);
}

#[tokio::test]
async fn a_registry_without_a_web_api_is_offered_without_one() {
    let upstream = ScriptedUpstream::builder().api(None).start().await;
    let crateport = in_front_of(&upstream).start().await;
    let config = json(&get(crateport.config_url()).send().await);
    assert_eq!(config.keys().collect::<Vec<_>>(), ["dl"]);
}
