//! A certificate authority made for one test. Its certificates are good for `localhost` and `127.0.0.1`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The names every issued certificate carries.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A self-made CA: give [`TestCa::pem`] to the client, an issued [`Certificate`] to the server.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate chain and its key, both PEM.
pub struct Certificate {
    /// The leaf certificate.
    pub chain_pem: String,
    /// Its PKCS #8 key.
    pub key_pem: String,
}

impl TestCa {
    /// A new authority that nothing trusts yet.
    #[track_caller]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "crateport test authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key pair");
        let pem = params.self_signed(&key).expect("a self-signed certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The authority's own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A fresh leaf certificate for `localhost` and `127.0.0.1`; each call makes another one.
    #[track_caller]
    pub fn issue(&self) -> Certificate {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(NAMES.map(String::from)).expect("plain names");
        params.distinguished_name.push(DnType::CommonName, "crateport test server");
        let leaf = params.signed_by(&key, &self.issuer).expect("the authority signs");
        Certificate { chain_pem: leaf.pem(), key_pem: key.serialize_pem() }
    }

    /// What a server needs that offers `h2` and `http/1.1` by ALPN.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let certificate = self.issue();
        let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("our own PEM");
        let key =
            PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("our own PEM");
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("the provider knows TLS 1.2 and 1.3")
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .expect("the key fits the certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// Writes `{stem}.crt` and `{stem}.key` into a folder and returns their paths.
    #[track_caller]
    pub fn write_into(&self, folder: &Path, stem: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join(format!("{stem}.crt")), folder.join(format!("{stem}.key")));
        std::fs::write(&chain, &self.chain_pem).expect("a writable folder");
        std::fs::write(&key, &self.key_pem).expect("a writable folder");
        (chain, key)
    }
}
