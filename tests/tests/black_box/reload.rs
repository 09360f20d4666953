//! SIGHUP: what can be changed while serving is changed, what cannot is named, and a bad file changes nothing.

use std::path::PathBuf;

use crateport_testkit::client::get;
use crateport_testkit::{Crateport, CrateportOptions, ScriptedUpstream, krate};
use tokio::net::UnixDatagram;

use crate::house::{CRATES_IO, index_file_url, metric_is, outcome};

/// A Crateport whose configuration file the test writes.
struct Configured {
    crateport: Crateport,
    file: PathBuf,
    index_url: String,
    _folder: tempfile::TempDir,
}

impl Configured {
    /// Starts with these lines before and in the table of the one registry.
    async fn start(upstream: &ScriptedUpstream, lines: &str, of_registry: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, index_url) = (folder.path().join("config.toml"), upstream.index_url());
        std::fs::write(&file, text(&index_url, lines, of_registry)).unwrap();
        let options = CrateportOptions::default().flag("--config", file.to_str().unwrap());
        let crateport = Crateport::start(options).await;
        Self { crateport, file, index_url, _folder: folder }
    }

    fn write(&self, lines: &str, of_registry: &str) {
        std::fs::write(&self.file, text(&self.index_url, lines, of_registry)).unwrap();
    }

    /// Asks for a reload, and waits for its result.
    async fn reloads(&self, result: &str, count: f64) {
        self.crateport.hang_up();
        let labels = [("result", result)];
        metric_is(&self.crateport, "crateport_config_reloads_total", &labels, count).await;
        let successful = f64::from(u8::from(result == "ok"));
        let name = "crateport_config_reload_last_successful";
        metric_is(&self.crateport, name, &[], successful).await;
    }
}

fn text(index_url: &str, lines: &str, of_registry: &str) -> String {
    format!(
        "{lines}\n[registries.{CRATES_IO}]\nindex = \"sparse+{index_url}\"\nallow = [\"127.0.0.1\"]\n{of_registry}\n"
    )
}

#[tokio::test]
async fn times_to_live_tokens_and_the_log_are_taken_while_serving() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let started = Configured::start(&upstream, "index-ttl = \"1h\"", "token = \"old\"").await;
    let crateport = &started.crateport;
    let url = index_file_url(crateport, &upstream, "a");
    get(&url).send().await;
    assert_eq!(outcome(&get(&url).send().await), "hit");
    let sent = || upstream.last_request(&upstream.index_path("a"));
    assert_eq!(sent().header("authorization"), Some("old"));

    let lines = "index-ttl = \"0s\"\nlog = \"warn\"";
    started.write(lines, "token = \"new\"");
    started.reloads("ok", 1.0).await;
    let requests = || crateport.log().matches("user_agent").count();
    let before = requests();
    assert_eq!(outcome(&get(&url).send().await), "revalidated");
    assert_eq!(sent().header("authorization"), Some("new"));
    // The next reload says more again, so all that would have been said by then is there.
    started.write("index-ttl = \"0s\"", "token = \"new\"");
    started.reloads("ok", 2.0).await;
    assert_eq!(requests(), before, "{}", crateport.log());
    get(&url).send().await;
    crateport.wait_for_log("request").await;
    assert!(!crateport.log().contains("\"new\""), "a token was logged");
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_what_is_wrong_changes_nothing() {
    let upstream = ScriptedUpstream::start().await;
    krate("a", "1.0.0").publish(&upstream);
    let started = Configured::start(&upstream, "index-ttl = \"1h\"", "").await;
    let crateport = &started.crateport;
    let url = index_file_url(crateport, &upstream, "a");
    get(&url).send().await;
    for (number, lines) in
        ["index-ttl = \"soon\"", "index-tll = \"0s\"", "index-ttl = ", "refresh-patience = \"1h\""]
            .into_iter()
            .enumerate()
    {
        started.write(&format!("{lines}\nabsent-ttl = \"0s\""), "");
        started.reloads("refused", f64::from(u32::try_from(number).unwrap()) + 1.0).await;
    }
    crateport.wait_for_log("`soon`").await;
    assert_eq!(outcome(&get(&url).send().await), "hit");

    started.write("index-ttl = \"0s\"\nfills-max = 7\nconnections-max = 99", "");
    started.reloads("ok", 1.0).await;
    crateport.wait_for_log("connections-max, fills-max").await;
    assert_eq!(outcome(&get(&url).send().await), "revalidated");
    metric_is(crateport, "crateport_limit", &[("what", "fills")], 256.0).await;
}

#[tokio::test]
async fn a_supervisor_hears_of_a_reload() {
    let upstream = ScriptedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    let options = crate::house::options(&upstream).variable("NOTIFY_SOCKET", &path);
    let crateport = Crateport::start(options).await;
    let hears = async || {
        let mut bytes = [0; 1024];
        let count = supervisor.recv(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(hears().await, "READY=1\n");
    crateport.hang_up();
    let reloading = hears().await;
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(hears().await, "READY=1\n");
}
