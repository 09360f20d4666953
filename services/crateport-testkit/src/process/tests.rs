//! The harness around a child that keeps Crateport's contract: a small program, built by the kit's own cargo.

use super::*;
use crate::cargo::Cargo;
use crate::client::get;

/// Listens where it is told, says so, answers everything with its command line as a metric, and ends on a bad setting.
const STAND_IN: &str = r#"
use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let values = |flag: &str| -> Vec<String> {
        arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone()).collect()
    };
    let config = values("--config").pop().map(|file| std::fs::read_to_string(file).unwrap()).unwrap_or_default();
    if config.contains("nonsense") {
        eprintln!("error: unknown key `nonsense`");
        std::process::exit(2);
    }
    let store = values("--store").pop().unwrap().strip_prefix("fs:").unwrap().to_owned();
    std::fs::create_dir_all(&store).unwrap();
    let starts = std::path::Path::new(&store).join("starts");
    let count = std::fs::read(&starts).unwrap_or_default().len() + 1;
    std::fs::write(&starts, vec![b'x'; count]).unwrap();
    let mut threads = Vec::new();
    for (word, address) in
        values("--listen").into_iter().map(|a| ("listening", a)).chain(values("--ops-listen").into_iter().map(|a| ("ops", a)))
    {
        let listener = TcpListener::bind(&address).unwrap();
        println!("{word} on http://{}", listener.local_addr().unwrap());
        threads.push(std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let body = format!("starts{{kind=\"all\"}} {count}\n");
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                eprintln!("answered one");
            }
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}
"#;

/// The options that start it, and what keeps its folder.
async fn stand_in() -> (CrateportOptions, Cargo) {
    let cargo = Cargo::new().project(|project| project.main(STAND_IN));
    cargo.run(&["build", "--offline"]).await.succeeds();
    let binary = cargo.work().join("target/debug/project");
    (CrateportOptions::default().binary(binary), cargo)
}

#[tokio::test]
async fn it_is_ready_when_it_says_so_and_can_be_looked_at() {
    let (options, _built) = stand_in().await;
    let crateport = Crateport::start(options.also_listens("127.0.0.1:0")).await;
    assert_eq!(crateport.urls().len(), 2);
    assert_eq!(get(crateport.url()).send().await.status, 200);
    crateport.wait_for_log("answered one").await;
    let starts = crateport.metric("starts", &[("kind", "all")]).await;
    assert!((starts - 1.0).abs() < f64::EPSILON);
    assert!(crateport.rss_bytes() > 0 && crateport.peak_rss_bytes() >= crateport.rss_bytes());
    assert!(crateport.cpu_time() < Duration::from_secs(10));
    assert!(crateport.index_url("crates-io").ends_with("/crates-io/index/"));
}

#[tokio::test]
async fn it_restarts_on_its_ports_and_its_store() {
    let (options, _built) = stand_in().await;
    let mut crateport =
        Crateport::start(options.upstream("crates-io", "http://127.0.0.1:1/index/")).await;
    let (url, ops_url) = (crateport.url().to_owned(), crateport.ops_url().to_owned());
    crateport.kill9();
    assert!(!crateport.is_running());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&crateport.wait().await), Some(9));
    crateport.restart().await;
    crateport.terminate();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&crateport.wait().await), Some(15));
    crateport.restart().await;
    crateport.restart().await;
    assert_eq!((crateport.url(), crateport.ops_url()), (url.as_str(), ops_url.as_str()));
    let starts = crateport.metric("starts", &[]).await;
    assert!((starts - 4.0).abs() < f64::EPSILON, "{starts}");
    assert!(crateport.store().join("starts").exists());
}

#[tokio::test]
async fn a_refused_setting_is_told() {
    let (options, _built) = stand_in().await;
    let run = options.clone().config("nonsense = 1").run(&["serve"]).await.fails();
    assert_eq!(run.says("unknown key").status.code(), Some(2));
    let failed = Crateport::try_start(options.config("nonsense = 1")).await.err().unwrap();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(2));
    assert!(failed.output.contains("unknown key `nonsense`"));
}

#[tokio::test]
async fn dropping_it_kills_it() {
    let (options, _built) = stand_in().await;
    let crateport = Crateport::start(options).await;
    let address = crateport.url().trim_start_matches("http://").to_owned();
    drop(crateport);
    assert!(std::net::TcpStream::connect(address).is_err());
}
