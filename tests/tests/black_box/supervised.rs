//! As a service: the supervisor is told when it is ready, that it lives and when it stops, and a health check agrees.

use std::path::Path;
use std::time::Duration;

use crateport_testkit::{Crateport, CrateportOptions, ScriptedUpstream};
use tokio::net::UnixDatagram;

use crate::house::{crateport, options};

/// How long a message of a process that lives may take.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(30);

/// The socket that a supervisor listens on.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn at(path: &Path) -> Self {
        Self(UnixDatagram::bind(path).unwrap())
    }

    /// The next message, of lines `KEY=value`.
    async fn hears(&self) -> String {
        let mut bytes = [0; 4096];
        let heard = tokio::time::timeout(MESSAGE_DEADLINE, self.0.recv(&mut bytes)).await;
        String::from_utf8(bytes[..heard.expect("a message in time").unwrap()].to_vec()).unwrap()
    }

    /// The next message that is no sign of life.
    async fn hears_news(&self) -> String {
        loop {
            let message = self.hears().await;
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn a_supervisor_hears_ready_then_signs_of_life_then_stopping() {
    let upstream = ScriptedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let supervisor = Supervisor::at(&path);
    let options = options(&upstream)
        .variable("NOTIFY_SOCKET", &path)
        .variable("WATCHDOG_USEC", "200000")
        .flag("--drain-timeout", "7s");
    let mut crateport = Crateport::start(options).await;
    assert_eq!(supervisor.hears().await, "READY=1\n");
    for _ in 0..3 {
        assert_eq!(supervisor.hears().await, "WATCHDOG=1\n");
    }
    crateport.terminate();
    let news = supervisor.hears_news().await;
    let longest = news
        .strip_prefix("STOPPING=1\nEXTEND_TIMEOUT_USEC=")
        .expect("the end, and how long it may take");
    assert!(longest.trim_end().parse::<u64>().unwrap() > 14_000_000, "{longest}");
    assert_eq!(crateport.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_health_check_is_one_line_and_an_exit_code() {
    let upstream = ScriptedUpstream::start().await;
    let mut crateport = crateport(&upstream).await;
    let address = crateport.ops_url().strip_prefix("http://").unwrap().to_owned();
    let port = address.rsplit_once(':').unwrap().1;
    let every_address = format!("0.0.0.0:{port}");
    for address in [&address, &every_address] {
        let check = CrateportOptions::default();
        let ran = check.run(&["healthcheck", "--ops-listen", address]).await.succeeds();
        assert_eq!(ran.stdout, "ready\n");
        let check = CrateportOptions::default().variable("CRATEPORT_OPS_LISTEN", address);
        check.run(&["healthcheck"]).await.succeeds();
    }
    crateport.kill9();
    let ran = CrateportOptions::default().run(&["healthcheck", "--ops-listen", &address]).await;
    let ran = ran.fails();
    assert!(ran.stderr.contains("not ready"), "{}", ran.stderr);
}
