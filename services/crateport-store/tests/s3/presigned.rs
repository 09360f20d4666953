//! Signed URLs, fetched by a client that has no credentials.

use std::time::{Duration, SystemTime};

use crateport_store::{ObjectStore as _, S3Config, S3Credentials, S3Store, UrlStyle};
use crateport_testkit::S3Server;
use crateport_testkit::client::{get, head};
use crateport_types::{RedactedUrl, Secret};
use url::Url;

use super::harness::{config, filler, krate, put, store, store_with};

const QUARTER_HOUR: Duration = Duration::from_secs(900);

async fn signed(store: &S3Store, lifetime: Duration) -> Url {
    store.presign(&krate("a"), lifetime).await.unwrap().unwrap()
}

fn query(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// Credentials that end.
fn ending_in(config: &mut S3Config, left: Duration) {
    config.credentials = S3Credentials::Static {
        access_key: S3Server::ACCESS_KEY.to_owned(),
        secret_key: Secret::new(S3Server::SECRET_KEY),
        session_token: None,
        expires: Some(SystemTime::now() + left),
    };
}

#[tokio::test]
async fn a_client_without_credentials_fetches_under_a_signed_url() {
    let (server, store) = store().await;
    put(&store, &krate("a"), &filler(4096)).await.unwrap();
    let url = signed(&store, QUARTER_HOUR).await;
    let answer = get(url.as_str()).send().await;
    assert_eq!((answer.status, answer.body), (200, filler(4096)));
    assert_eq!(answer.headers.get("content-type").unwrap(), "application/gzip");
    let part = get(url.as_str()).header("range", "bytes=4-7").send().await;
    assert_eq!((part.status, part.body), (206, filler(8).slice(4..)));
    assert_eq!(server.total_count(), 3, "signing asks nobody");
}

#[tokio::test]
async fn a_signed_url_bears_the_name_that_clients_know() {
    let server = S3Server::start().await;
    let mut config = config(&server, "prefix");
    config.public_endpoint = Some(server.other_endpoint().parse().unwrap());
    let store = S3Store::open(config).await.unwrap();
    put(&store, &krate("a"), &filler(64)).await.unwrap();
    let url = signed(&store, QUARTER_HOUR).await;
    assert_eq!(url.host_str(), Some("localhost"));
    assert_eq!(get(url.as_str()).send().await.body, filler(64));
    let root = format!("{}/crateport/prefix/", server.other_endpoint());
    assert_eq!(store.base_url().unwrap().as_str(), root);
}

#[tokio::test]
async fn a_url_that_was_tampered_with_is_refused() {
    let (_server, store) = store().await;
    put(&store, &krate("a"), &filler(64)).await.unwrap();
    put(&store, &krate("b"), &filler(64)).await.unwrap();
    let url = signed(&store, QUARTER_HOUR).await;
    let signature = query(&url, "X-Amz-Signature");
    let (url, other) = (url.to_string(), signature.chars().rev().collect::<String>());
    for tampered in [
        url.replace("/a/a-1", "/b/b-1"),
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"),
        url.replace(&signature, &other),
    ] {
        assert_ne!(tampered, url);
        assert_eq!(get(tampered).send().await.status, 403);
    }
    assert_eq!(head(url).send().await.status, 403, "it is signed for GET alone");
}

#[tokio::test]
async fn a_url_whose_time_is_over_is_refused() {
    let (_server, store) = store().await;
    put(&store, &krate("a"), &filler(64)).await.unwrap();
    let url = signed(&store, Duration::from_secs(1)).await;
    while get(url.as_str()).send().await.status != 403 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_signed_url_is_given_out_again_for_a_part_of_its_life() {
    let (_server, store) = store().await;
    let first = signed(&store, QUARTER_HOUR).await;
    let other = store.presign(&krate("b"), QUARTER_HOUR).await.unwrap().unwrap();
    let short = signed(&store, Duration::from_secs(4)).await;
    assert!(other != first && short != first);
    // The signature is of the second in which it was made: only a kept URL stays the same.
    loop {
        let again = signed(&store, Duration::from_secs(4)).await;
        if query(&again, "X-Amz-Date") != query(&short, "X-Amz-Date") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(signed(&store, QUARTER_HOUR).await, first);
}

#[tokio::test]
async fn a_url_does_not_outlive_the_credentials() {
    let (_server, store) = store_with(|c| ending_in(c, Duration::from_secs(600))).await;
    let url = signed(&store, QUARTER_HOUR).await;
    let lives: u64 = query(&url, "X-Amz-Expires").parse().unwrap();
    assert!((500..=570).contains(&lives), "{lives}");

    let (_server, store) = store_with(|c| ending_in(c, Duration::from_secs(20))).await;
    assert_eq!(store.presign(&krate("a"), QUARTER_HOUR).await.unwrap(), None);
}

#[tokio::test]
async fn a_signed_url_shows_no_signature_in_a_log() {
    let (_server, store) = store().await;
    let url = signed(&store, QUARTER_HOUR).await;
    let shown = format!("{} {store:?}", RedactedUrl(&url));
    assert!(shown.contains("a-1.0.0") && !shown.contains("X-Amz"), "{shown}");
}

#[tokio::test]
async fn the_root_is_where_aws_has_it() {
    let server = S3Server::start().await;
    for (style, prefix, expected) in [
        (UrlStyle::Auto, "p/q", "https://crateport.s3.eu-central-1.amazonaws.com/p/q/"),
        (UrlStyle::Path, "p", "https://s3.eu-central-1.amazonaws.com/crateport/p/"),
        (UrlStyle::Auto, "", "https://crateport.s3.eu-central-1.amazonaws.com/"),
    ] {
        let config = S3Config {
            endpoint: None,
            region: Some("eu-central-1".to_owned()),
            url_style: style,
            ..config(&server, prefix)
        };
        let store = S3Store::open(config).await.unwrap();
        assert_eq!(store.base_url().unwrap().as_str(), expected);
        let url = signed(&store, QUARTER_HOUR).await;
        assert!(url.as_str().starts_with(expected), "{}", RedactedUrl(&url));
    }
}
