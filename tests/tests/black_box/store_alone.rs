//! Promise 6: the store is a registry by itself, without any Crateport.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crateport_testkit::{Cargo, ScriptedUpstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::house::crateport;
use crate::tree;

/// The dumbest web server: a path is a file below its root.
async fn serve_files(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let root: Arc<Path> = root.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&root)));
        }
    });
    url
}

async fn answer(mut stream: TcpStream, root: Arc<Path>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let file = tokio::fs::read(root.join(path)).await.ok().filter(|_| inside);
    let (status, body) = file.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_a_registry_by_itself() {
    let upstream = ScriptedUpstream::start().await;
    tree::publish(&upstream);
    let mut crateport = crateport(&upstream).await;
    let first = tree::cargo(&crateport);
    first.run(&["fetch"]).await.succeeds();
    crateport.terminate();
    assert!(crateport.wait().await.success());
    upstream.stop();

    let url = serve_files(crateport.store()).await;
    let cargo = Cargo::new()
        .replaces_crates_io_with(&format!("{url}/v1/crates-io/index/"))
        .project(tree::project)
        .lock(&first.read_lock());
    cargo.run(&["fetch", "--locked"]).await.succeeds();
    let fresh = cargo.fresh_home();
    std::fs::remove_file(fresh.work().join("Cargo.lock")).unwrap();
    fresh.run(&["fetch"]).await.succeeds();
    assert_eq!(fresh.read_lock(), first.read_lock());
}
