//! The start: what stops it says so in one sentence with an exit code, and what does not is safe.

use std::net::TcpListener;

use crateport_testkit::client::get;
use crateport_testkit::process::FailedStart;
use crateport_testkit::{Cargo, Crateport, CrateportOptions, KIB, ScriptedUpstream, krate};

use crate::audit::store_is_right;
use crate::house::{CRATES_IO, crate_url, get_until, options, outcome};

/// The start must fail with this exit code and one line that has all these words.
async fn refuses(options: CrateportOptions, code: i32, words: &[&str]) {
    let Err(FailedStart { status, output }) = Crateport::try_start(options).await else {
        panic!("it started, and was to say {words:?}")
    };
    assert_eq!(status.and_then(|status| status.code()), Some(code), "{output}");
    let line = output.lines().find(|line| line.starts_with("crateport: "));
    let line = line.unwrap_or_else(|| panic!("no sentence in\n{output}"));
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refuses(CrateportOptions::default().also_listens(&address), 1, &[&address, "in use"]).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let store = file.join("store");
    refuses(CrateportOptions::default().store(&store), 1, &[store.to_str().unwrap()]).await;
    let spool = file.join("spool");
    let spool = spool.to_str().unwrap();
    refuses(CrateportOptions::default().flag("--spool-dir", spool), 1, &[spool]).await;
}

#[tokio::test]
async fn a_bad_configuration_is_told() {
    let config = |text: &str| CrateportOptions::default().config(text);
    for (options, words) in [
        (config("lisen = \"127.0.0.1:0\""), &["lisen", "listen"][..]),
        (config("index-ttl = \"soon\""), &["index-ttl", "soon"]),
        (config("[registries.a]\nindex = \"https://a.example/\""), &["registries.a", "sparse+"]),
        (config("[registries.a]\nindx = \"sparse+https://a.example/\""), &["indx", "index"]),
        (config("[registries.\"a b\"]\nindex = \"sparse+https://a.example/\""), &["a b"]),
        (config("this is no TOML"), &["crateport.toml"]),
        (CrateportOptions::default().variable("CRATEPORT_STOR", "x"), &["CRATEPORT_STOR"]),
        (CrateportOptions::default().flag("--index-ttl", "1"), &["index-ttl", "unit"]),
    ] {
        refuses(options, 2, words).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_missing_is_told() {
    let options = CrateportOptions::default()
        .also_listens("127.0.0.1:0,cert=/missing/tls.crt,key=/missing/tls.key");
    refuses(options, 1, &["/missing/tls.crt"]).await;
}

#[tokio::test]
async fn a_second_serve_on_the_same_directory_is_safe() {
    let upstream = ScriptedUpstream::start().await;
    let published = (0..20)
        .map(|number| {
            krate(&format!("both-{number}"), "1.0.0").payload(400 * KIB).publish(&upstream)
        })
        .collect::<Vec<_>>();
    let folder = tempfile::tempdir().unwrap();
    let mut first = Crateport::start(options(&upstream).store(folder.path())).await;
    let second = Crateport::start(options(&upstream).store(folder.path())).await;
    for krate in &published {
        let ask = |crateport: &Crateport| get(crate_url(crateport, &krate.name, "1.0.0")).send();
        let (one, other) = tokio::join!(ask(&first), ask(&second));
        assert_eq!((one.status, &one.body), (200, &krate.bytes), "{}", krate.name);
        assert_eq!((other.status, &other.body), (200, &krate.bytes), "{}", krate.name);
    }
    store_is_right(&first, &upstream).await;
    // The end of one takes nothing from the other.
    first.kill9();
    first.restart().await;
    krate("late", "1.0.0").payload(400 * KIB).publish(&upstream);
    for crateport in [&second, &first] {
        // The bytes are out a moment before the object is visible.
        let url = crate_url(crateport, "late", "1.0.0");
        get_until(&url, |answer| outcome(answer) == "hit").await;
    }
    assert_eq!(upstream.crate_hits("late", "1.0.0"), 1, "the second found it in the store");
    store_is_right(&second, &upstream).await;
}

#[tokio::test]
async fn check_tells_of_an_upstream_that_answers_and_of_one_that_does_not() {
    let upstream = ScriptedUpstream::start().await;
    let options = options(&upstream);
    let store = tempfile::tempdir().unwrap();
    let store = format!("fs:{}", store.path().join("store").display());
    let check =
        ["check", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--store", &store];
    let run = options.run(&check).await.succeeds();
    for line in ["ok       store", "ok       upstream"] {
        assert!(run.stdout.contains(line), "{line:?} is not in\n{}", run.stdout);
    }
    upstream.stop();
    let run = options.run(&check).await.fails();
    assert_eq!(run.status.code(), Some(1));
    assert!(run.stdout.contains("failed   upstream"), "{}", run.stdout);
}

#[tokio::test]
async fn settings_come_from_flag_environment_and_file_in_that_order() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let options = CrateportOptions::default()
        .config("replica = \"of-the-file\"\nabsent-ttl = \"3s\"")
        .upstream(CRATES_IO, &upstream.index_url())
        .variable("CRATEPORT_REPLICA", "of-the-environment");
    let crateport = Crateport::start(options.clone()).await;
    let served_by = |url: String| async move {
        get(url).send().await.header("x-served-by").unwrap_or_default().to_owned()
    };
    let url = |crateport: &Crateport| crate_url(crateport, "a", "1.0.0");
    assert_eq!(served_by(url(&crateport)).await, "of-the-environment");
    let crateport = Crateport::start(options.flag("--replica", "of-the-flag")).await;
    assert_eq!(served_by(url(&crateport)).await, "of-the-flag");
    let cargo = Cargo::new()
        .replaces_crates_io_with(&crateport.index_url(CRATES_IO))
        .retries(0)
        .project(|project| project.dep("a", "1"));
    upstream.stop();
    // cargo shows both headers to the one who has to find out why.
    krate("a", "1.0.1").publish(&upstream);
    let run = cargo.run(&["add", "never-seen"]).await.fails();
    assert!(run.stderr.contains("x-cache: unavailable"), "{}", run.report());
    assert!(run.stderr.contains("x-served-by: of-the-flag"), "{}", run.report());
}
