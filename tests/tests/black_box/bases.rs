//! `config.json` tells each client of the base that it came by.

use crateport_testkit::client::get;
use crateport_testkit::{Cargo, Crateport, ScriptedUpstream, krate};
use serde_json::Value;

use crate::house::{CRATES_IO, crateport, options};

async fn dl(url: &str, headers: &[(&str, &str)]) -> String {
    let request = headers
        .iter()
        .fold(get(format!("{url}/{CRATES_IO}/index/config.json")), |request, (name, value)| {
            request.header(name, value)
        });
    let answer = request.send().await;
    assert_eq!(answer.status, 200, "{url}");
    let config = serde_json::from_slice::<Value>(&answer.body).unwrap();
    assert!(config.get("auth-required").is_none_or(|required| *required == false));
    config["dl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_listener_and_host_name_gets_its_own_base() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = Crateport::start(options(&upstream).also_listens("127.0.0.1:0")).await;
    let [first, second] = crateport.urls() else { panic!("{:?}", crateport.urls()) };
    assert_ne!(first, second);
    for url in [first.clone(), second.clone(), first.replace("127.0.0.1", "localhost")] {
        assert_eq!(dl(&url, &[]).await, format!("{url}/crates-io/crates"));
    }
    let named = dl(first, &[("host", "crates.corp")]).await;
    assert_eq!(named, "http://crates.corp/crates-io/crates");
}

#[tokio::test]
async fn cargo_downloads_by_the_host_name_it_was_given() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let crateport = crateport(&upstream).await;
    for host in ["127.0.0.1", "localhost"] {
        let index = crateport.index_url(CRATES_IO).replace("127.0.0.1", host);
        let cargo =
            Cargo::new().replaces_crates_io_with(&index).project(|project| project.dep("a", "1"));
        cargo.run(&["fetch"]).await.succeeds();
        let config = std::fs::read_dir(cargo.home().join("registry/index")).unwrap();
        let folder = config.flatten().next().unwrap().path();
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        assert!(text.contains(&format!("http://{host}:")), "{text}");
    }
    assert_eq!(upstream.crate_hits("a", "1.0.0"), 1);
}

#[tokio::test]
async fn forwarded_headers_count_only_from_trusted_proxies() {
    let upstream = ScriptedUpstream::start().await;
    let forms: [&[(&str, &str)]; 2] = [
        &[("forwarded", "for=10.1.1.1;proto=https;host=crates.corp")],
        &[("x-forwarded-proto", "https"), ("x-forwarded-host", "crates.corp")],
    ];
    let trusting = options(&upstream).flag("--trusted-proxies", "127.0.0.0/8");
    let crateport = Crateport::start(trusting).await;
    for headers in forms {
        assert_eq!(dl(crateport.url(), headers).await, "https://crates.corp/crates-io/crates");
    }
    let other = options(&upstream).flag("--trusted-proxies", "10.0.0.0/8");
    for options in [options(&upstream), other] {
        let crateport = Crateport::start(options).await;
        let own = format!("{}/crates-io/crates", crateport.url());
        for headers in forms {
            assert_eq!(dl(crateport.url(), headers).await, own);
        }
    }
}

#[tokio::test]
async fn a_public_url_is_the_base_of_all() {
    let upstream = ScriptedUpstream::start().await;
    let options = options(&upstream).flag("--public-url", "https://crates.corp/rust");
    let crateport = Crateport::start(options).await;
    let headers = [("host", "other.corp")];
    assert_eq!(dl(crateport.url(), &headers).await, "https://crates.corp/rust/crates-io/crates");
    assert!(crateport.log().contains("sparse+https://crates.corp/rust/crates-io/index/"));
}

#[tokio::test]
async fn the_page_for_people_has_the_lines_to_paste() {
    let upstream = ScriptedUpstream::start().await;
    let crateport = crateport(&upstream).await;
    let answer = get(crateport.url()).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    let index = format!("sparse+{}", crateport.index_url(CRATES_IO));
    assert!(answer.text().contains(&index), "{}", answer.text());
    assert!(answer.text().contains("replace-with"));
    let lines = crateport_testkit::CrateportOptions::default()
        .run(&["config", "--cargo", "--listen", &crateport.url().replace("http://", "")])
        .await
        .succeeds();
    assert!(lines.stdout.contains(&index), "{}", lines.stdout);
    assert!(crateport.log().contains(&lines.stdout), "serve prints the same lines");
}
