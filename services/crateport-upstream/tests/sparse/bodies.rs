//! Bodies that take their time.

use crateport_upstream::contract::Act;
use crateport_upstream::{Reply, UpstreamLimits};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use crate::support::{body, index_file, limits, patient, serve, upstream};

#[tokio::test]
async fn a_slow_answer_is_an_answer() {
    let (open, gate) = watch::channel(false);
    let server = serve(move |_| {
        vec![
            Act::Until(gate.clone()),
            Act::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"),
            Act::send("{"),
            Act::send("}"),
        ]
    })
    .await;
    let upstream = upstream(&server, patient());
    let (reply, ()) = tokio::join!(index_file(&upstream), async {
        server.has_seen(1).await;
        open.send(true).unwrap();
    });
    assert_eq!(body(reply).await.unwrap(), b"{}".as_slice());
}

#[tokio::test]
async fn the_first_bytes_come_before_the_last_are_sent() {
    let (open, gate) = watch::channel(false);
    let server = serve(move |_| {
        vec![
            Act::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"),
            Act::Until(gate.clone()),
            Act::send("}"),
        ]
    })
    .await;
    let Ok(Reply::Found(mut found)) = index_file(&upstream(&server, patient())).await else {
        panic!("not found");
    };
    assert_eq!(found.body.next().await.unwrap().unwrap(), b"{".as_slice());
    open.send(true).unwrap();
    assert_eq!(found.body.next().await.unwrap().unwrap(), b"}".as_slice());
    assert!(found.body.next().await.is_none());
}

#[tokio::test]
async fn time_in_which_nobody_reads_is_not_upstreams_fault() {
    let server = serve(|_| vec![Act::ok("", b"{}")]).await;
    let short = UpstreamLimits { idle_timeout: std::time::Duration::from_millis(50), ..limits() };
    let reply = index_file(&upstream(&server, short)).await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(body(reply).await.unwrap(), b"{}".as_slice());
}

#[tokio::test]
async fn nothing_comes_after_an_error() {
    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let server = serve(|_| vec![Act::send(SHORT), Act::Close]).await;
    let Ok(Reply::Found(mut found)) = index_file(&upstream(&server, patient())).await else {
        panic!("not found");
    };
    assert!(found.body.next().await.unwrap().is_ok());
    assert!(found.body.next().await.unwrap().is_err());
    assert!(found.body.next().await.is_none());
}
