//! Whether the listeners' certificates and keys can be read and belong together.

use std::net::{Ipv4Addr, SocketAddr};

use crateport_http::listen::{ListenError, Listener, ListenerConfig};

use super::Finding;
use crate::compose;
use crate::settings::Settings;

/// One finding per listener with TLS. Each is bound as `serve` would, on a free port.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for listen in settings.listen.iter().filter(|listen| listen.tls.is_some()) {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = ListenerConfig { address: anywhere, ..compose::listener(listen) };
        findings.push(match Listener::bind(config).await {
            Ok(_) => {
                Finding::Ok(format!("certificate and key for {} are in order", listen.address))
            }
            Err(ListenError::Certificate { reason, .. }) => {
                Finding::Failed(format!("for {}: {reason}", listen.address))
            }
            Err(error) => Finding::Failed(format!("for {}: {error}", listen.address)),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Inputs;

    #[tokio::test]
    async fn a_certificate_needs_its_own_key() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = write("cert.pem", &made.cert.pem());
        let key = write("key.pem", &made.signing_key.serialize_pem());
        let another = write("another.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
        for (key, is_good) in [(key, true), (another, false), ("/missing".to_owned(), false)] {
            let listen = format!("127.0.0.1:8443,cert={cert},key={key}");
            let inputs = Inputs {
                flags: [("listen", vec![listen])].into(),
                config: None,
                variables: Vec::new(),
                usual_files: Vec::new(),
            };
            let findings = check(&inputs.load().unwrap().settings).await;
            assert_eq!(matches!(findings.as_slice(), [Finding::Ok(_)]), is_good, "{findings:?}");
        }
    }
}
