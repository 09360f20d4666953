//! Whether the listeners' certificates and keys can be read and belong together.

use anyhow::{Context, ensure};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::Finding;
use crate::settings::{Settings, TlsFiles};

/// One finding per listener with TLS.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let listeners =
        settings.listen.iter().filter_map(|listen| Some((listen.address, listen.tls.as_ref()?)));
    let findings = listeners.map(|(address, files)| match read(files) {
        Ok(()) => Finding::Ok(format!("certificate and key for {address} are in order")),
        Err(error) => Finding::Failed(format!("for {address}: {error:#}")),
    });
    findings.collect()
}

fn read(files: &TlsFiles) -> anyhow::Result<()> {
    let cert = files.cert.display();
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{cert} is not a readable PEM file"))?;
    ensure!(!chain.is_empty(), "{cert} holds no certificate");
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("{} holds no readable private key", files.key.display()))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .with_context(|| format!("{cert} and {} do not belong together", files.key.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_certificate_needs_its_own_key() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = write("cert.pem", &made.cert.pem());
        let key = write("key.pem", &made.signing_key.serialize_pem());
        let another = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let another = write("another.pem", &another);
        let empty = write("empty.pem", "");
        let judge = |cert: &Path, key: &Path| {
            read(&TlsFiles { cert: cert.to_owned(), key: key.to_owned() })
                .map_err(|error| error.to_string())
        };
        assert_eq!(judge(&cert, &key), Ok(()));
        assert!(judge(&cert, &another).unwrap_err().ends_with("do not belong together"));
        assert!(judge(&empty, &key).unwrap_err().ends_with("holds no certificate"));
        assert!(judge(&cert, &empty).unwrap_err().ends_with("holds no readable private key"));
        assert!(judge(Path::new("/missing"), &key).unwrap_err().ends_with("readable PEM file"));
    }
}
