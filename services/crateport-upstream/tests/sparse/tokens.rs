//! Who gets the registry's token.

use crateport_types::Secret;
use crateport_upstream::contract::{Act, RawServer};
use crateport_upstream::{Ask, SparseConfig, SparseUpstream, Upstream as _};

use crate::support::{always, body, build, config, index_file, krate, patient, redirect, serve};

fn with_token(server: &RawServer) -> SparseConfig {
    let mut config = config(server.address(), patient());
    config.token = Some(Secret::new("Bearer t0ken"));
    config.allow = ["127.0.0.1".parse().unwrap()].into_iter().collect();
    config
}

fn tokens(server: &RawServer) -> Vec<Option<String>> {
    server.requests().iter().map(|seen| seen.header("authorization")).collect()
}

fn token() -> Option<String> {
    Some("Bearer t0ken".to_owned())
}

#[tokio::test]
async fn the_token_is_sent_verbatim_to_the_registrys_own_origin() {
    let server = always(vec![Act::ok("", b"{}")]).await;
    let upstream = build(with_token(&server));
    let own = format!("http://{}", server.address());
    body(index_file(&upstream).await).await.unwrap();
    body(upstream.fetch(Ask::Config).await).await.unwrap();
    body(krate(&upstream, &own).await).await.unwrap();
    body(upstream.fetch(Ask::Search { api: &own, query: "q=a" }).await).await.unwrap();
    assert_eq!(tokens(&server), vec![token(); 4]);
}

#[tokio::test]
async fn the_token_is_not_sent_to_another_origin() {
    let index = always(vec![]).await;
    let elsewhere = always(vec![Act::ok("", b"{}")]).await;
    let other = format!("http://{}", elsewhere.address());
    let upstream = build(with_token(&index));
    body(krate(&upstream, &other).await).await.unwrap();
    body(upstream.fetch(Ask::Search { api: &other, query: "q=a" }).await).await.unwrap();
    assert_eq!(tokens(&elsewhere), [None, None]);
}

#[tokio::test]
async fn a_redirect_takes_the_token_along_to_own_hosts_only() {
    let elsewhere = always(vec![Act::ok("", b"{}")]).await;
    let location = format!("http://{}/x", elsewhere.address());
    let index = serve(move |seen| match seen.target.as_str() {
        "/moved" => vec![redirect(&location)],
        _ => vec![redirect("/moved")],
    })
    .await;
    body(index_file(&build(with_token(&index))).await).await.unwrap();
    assert_eq!(tokens(&index), [token(), token()]);
    assert_eq!(tokens(&elsewhere), [None]);

    let mut listed = with_token(&index);
    listed.token_hosts = vec![elsewhere.address().to_string().parse().unwrap()];
    body(index_file(&build(listed)).await).await.unwrap();
    assert_eq!(tokens(&elsewhere), [None, token()]);
}

#[test]
fn a_token_that_no_header_can_carry_is_refused_without_being_shown() {
    let mut config = SparseConfig::new(
        "internal".parse().unwrap(),
        "sparse+https://a.example/".parse().unwrap(),
        "t",
    );
    config.token = Some(Secret::new("s3cret\n"));
    assert!(!format!("{config:?}").contains("s3cret"));
    let metrics =
        crateport_upstream::UpstreamMetrics::register(&prometheus::Registry::new()).unwrap();
    let error = SparseUpstream::new(config, metrics).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}

#[tokio::test]
async fn another_token_is_sent_from_the_next_request_on() {
    let server = always(vec![Act::ok("", b"{}")]).await;
    let upstream = build(with_token(&server));
    let ask = async || body(upstream.fetch(Ask::Config).await).await.unwrap();
    ask().await;
    upstream.set_token(Some(&Secret::new("Bearer new"))).unwrap();
    ask().await;
    assert!(upstream.set_token(Some(&Secret::new("two\nlines"))).is_err());
    ask().await;
    upstream.set_token(None).unwrap();
    ask().await;
    let new = Some("Bearer new".to_owned());
    assert_eq!(tokens(&server), [token(), new.clone(), new, None]);
}
