//! Outbound proxies. The environment of a process is read once, so each test asks from a process of its own.

use std::process::Command;

use crateport_upstream::contract::Act;
use crateport_upstream::{OutboundProxy, SparseConfig};

use crate::support::{LINE, always, body, build, config, index_file, patient};

/// Says that this process is the one that asks, and for which index.
const CHILD: &str = "CRATEPORT_TEST_PROXIED_INDEX";

#[test]
fn an_outbound_proxy_is_honoured() {
    if let Ok(index) = std::env::var(CHILD) {
        return ask(&index);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(always(vec![Act::ok("", LINE)]));
    let address = proxy.address().to_string();
    // Nobody but the proxy could answer for the name; by its own name, the proxy is found on a loopback address.
    let by_name = address.replace("127.0.0.1", "localhost");
    run("sparse+http://nowhere.invalid/", &[("HTTP_PROXY", &format!("http://{address}"))]);
    run("sparse+http://nowhere.invalid/", &[("http_proxy", &format!("http://{by_name}"))]);
    let targets: Vec<_> = proxy.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, vec!["http://nowhere.invalid/se/rd/serde"; 2]);

    let server = runtime.block_on(always(vec![Act::ok("", LINE)]));
    let index = format!("sparse+http://{}/", server.address());
    run(&index, &[("HTTP_PROXY", &format!("http://{address}")), ("NO_PROXY", "127.0.0.1")]);
    assert_eq!((proxy.requests().len(), server.requests().len()), (2, 1));
}

fn run(index: &str, environment: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "proxy::an_outbound_proxy_is_honoured"]).env(CHILD, index);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        child.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = child.envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn ask(index: &str) {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let config = SparseConfig {
        index: index.parse().unwrap(),
        proxy: OutboundProxy::Environment,
        ..config(nobody, patient())
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let line = runtime.block_on(async { body(index_file(&build(config)).await).await });
    assert_eq!(line.unwrap(), LINE);
}
