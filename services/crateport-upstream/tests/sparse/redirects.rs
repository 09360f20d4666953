//! Redirects, followed by hand.

use crateport_types::Validators;
use crateport_upstream::contract::Act;
use crateport_upstream::{Reply, UpstreamLimits};

use crate::support::{
    LINE, always, body, build, config, failure, index_file, index_file_if, patient, redirect,
    serve, upstream,
};

#[tokio::test]
async fn a_relative_redirect_on_the_same_host_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server = serve(move |seen| match seen.target.as_str() {
            "/index/se/rd/serde" => vec![Act::status(status, "location: ../../moved?a=%2F\r\n")],
            "/index/moved?a=%2F" => vec![Act::ok("", LINE)],
            _ => vec![Act::status(404, "")],
        })
        .await;
        let reply = index_file(&upstream(&server, patient())).await;
        assert_eq!(body(reply).await.unwrap(), LINE, "{status}");
    }
}

#[tokio::test]
async fn the_condition_travels_along_a_redirect() {
    let server = serve(|seen| match seen.header("if-none-match") {
        Some(_) if seen.target == "/moved" => vec![Act::status(304, "")],
        _ => vec![redirect("/moved")],
    })
    .await;
    let validators = Validators { etag: Some("\"x\"".into()), last_modified: None };
    let reply = index_file_if(&upstream(&server, patient()), &validators).await;
    assert!(matches!(reply, Ok(Reply::Unchanged)), "{reply:?}");
}

#[tokio::test]
async fn absence_behind_a_redirect_is_absence() {
    let server = serve(|seen| match seen.target.as_str() {
        "/moved" => vec![Act::status(404, "")],
        _ => vec![redirect("/moved")],
    })
    .await;
    let reply = index_file(&upstream(&server, patient())).await;
    assert!(matches!(reply, Ok(Reply::Absent)), "{reply:?}");
}

#[tokio::test]
async fn a_redirect_loop_ends_after_so_many_hops() {
    let server = always(vec![redirect("/index/se/rd/serde")]).await;
    let limits = UpstreamLimits { redirects_max: 10, ..patient() };
    let reply = index_file(&upstream(&server, limits)).await;
    assert_eq!(failure(reply).await, "upstream-invalid");
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn a_redirect_to_an_allowed_host_is_followed_and_to_another_one_is_not() {
    let elsewhere = always(vec![Act::ok("", LINE)]).await;
    let location = format!("http://{}/x?sig=secret", elsewhere.address());
    let server = always(vec![redirect(&location)]).await;

    let error = index_file(&upstream(&server, patient())).await.unwrap_err();
    assert_eq!(error.kind(), "upstream-forbidden");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(elsewhere.requests().is_empty());

    for allow in [elsewhere.address().to_string(), "127.0.0.1".into(), "127.0.0.0/8".into()] {
        let mut config = config(server.address(), patient());
        config.allow = [allow.parse().unwrap()].into_iter().collect();
        assert_eq!(body(index_file(&build(config)).await).await.unwrap(), LINE, "{allow}");
    }
    assert_eq!(elsewhere.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_to_nowhere_or_into_the_private_network_is_refused() {
    for (location, expected) in [
        ("http://169.254.169.254/latest/meta-data/", "upstream-forbidden"),
        ("http://10.0.0.1/", "upstream-forbidden"),
        ("http://[::ffff:192.168.0.1]/", "upstream-forbidden"),
        ("http://localhost:1/", "upstream-forbidden"),
        ("file:///etc/passwd", "upstream-forbidden"),
        ("http://", "upstream-invalid"),
    ] {
        let server = always(vec![redirect(location)]).await;
        let reply = index_file(&upstream(&server, patient())).await;
        assert_eq!(failure(reply).await, expected, "{location}");
        assert_eq!(server.requests().len(), 1, "{location}");
    }
    let server = always(vec![Act::status(302, "")]).await;
    let reply = index_file(&upstream(&server, patient())).await;
    assert_eq!(failure(reply).await, "upstream-invalid");
}
