//! Whether the listeners' addresses are free.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::Finding;
use crate::settings::Settings;
use crateport_http::{Scheme, local_base};

/// Longest that whoever has the ops address may take to say who it is.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);

/// One finding per address.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listen = settings.listen.iter().map(|listen| ("listen", listen.address));
    for (setting, address) in listen.chain([("ops-listen", settings.ops_listen)]) {
        findings.push(match TcpListener::bind(address) {
            Ok(_) => Finding::Ok(format!("{address} is free")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                taken(setting, address, settings.ops_listen).await
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::Failed(format!(
                "{address} needs rights that this user lacks: use a port from 1024 for {setting}"
            )),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Finding::Failed(format!(
                "{address} is no address of this machine: change {setting}"
            )),
            Err(error) => Finding::Failed(format!("{address}: {error}; change {setting}")),
        });
    }
    findings
}

async fn taken(setting: &str, address: SocketAddr, ops: SocketAddr) -> Finding {
    if is_crateport(ops).await {
        Finding::Warning(format!("{address}: a Crateport is serving there already"))
    } else {
        Finding::Failed(format!(
            "{address} is taken by another program: stop it or change {setting}"
        ))
    }
}

/// Whether the ops listener at `address` names itself.
async fn is_crateport(address: SocketAddr) -> bool {
    async fn version(address: SocketAddr) -> anyhow::Result<String> {
        let base = local_base(address, Scheme::Http)?;
        let client = reqwest::Client::builder().no_proxy().timeout(VERSION_TIMEOUT).build()?;
        Ok(client.get(format!("{base}/version")).send().await?.error_for_status()?.text().await?)
    }
    version(address).await.is_ok_and(|text| text.contains("crateport"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_taken_address_is_told_and_so_is_who_has_it() {
        let taken_by = |answer: &'static str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                while let Ok((mut stream, _)) = listener.accept() {
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
            address
        };
        let crateport = taken_by(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{\"name\":\"crateport\"}",
        );
        let another = taken_by("220 mail.example ESMTP\r\n");
        let found = taken("listen", crateport, crateport).await;
        assert!(matches!(found, Finding::Warning(_)), "{found:?}");
        let found = taken("listen", another, another).await;
        assert!(matches!(found, Finding::Failed(_)), "{found:?}");
    }
}
