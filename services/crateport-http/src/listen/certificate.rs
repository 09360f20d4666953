//! The certificate of a TLS listener: loaded from PEM files, and loaded again when they change.
//!
//! A change that cannot be used never takes a working certificate away: the old one stays, a warning is logged, and
//! [`CertificateState::problem`] says what is wrong until the files are good again.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::bind::TlsFiles;
use super::expiry;
use super::stats::ListenStats;

/// Shows the certificate a TLS listener uses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CertificateHandle(pub(crate) Arc<LiveCertificate>);

/// What is known of a listener's certificate.
#[derive(Debug, Clone)]
pub struct CertificateState {
    /// The moment after which clients refuse it; `None` if the certificate does not say so in a form that is known.
    pub not_after: Option<SystemTime>,
    /// When it was taken into use.
    pub loaded_at: SystemTime,
    /// Why the files as they are now cannot be used; `None` if they are those in use.
    pub problem: Option<String>,
}

/// Why certificate files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is missing, or may not be read.
    #[error("cannot read the TLS file {}: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A file is larger than any certificate chain.
    #[error("the TLS file {} is larger than {PEM_BYTES_MAX} bytes", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// A file is not well-formed PEM.
    #[error("the TLS file {} is not valid PEM: {reason}", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: pem::Error,
    },
    /// The certificate file holds no certificate.
    #[error("the TLS certificate file {} has no certificate in it", .file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// The key file holds no private key.
    #[error("the TLS key file {} has no private key in it (PKCS#8, SEC1 or PKCS#1 in PEM)", .file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The private key is of a kind that TLS does not use.
    #[error("the private key in {} cannot be used: {reason}", .file.display())]
    UnusableKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: rustls::Error,
    },
    /// The first certificate of the chain cannot be parsed.
    #[error("the first certificate in {} cannot be used: {reason}", .file.display())]
    UnusableCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: rustls::Error,
    },
    /// Certificate and key are not a pair.
    #[error("the private key in {} does not match the first certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// The certificate in use, which rustls asks for in every handshake.
#[derive(Debug)]
pub(crate) struct LiveCertificate {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    state: CertificateState,
    stamps: [Option<Stamp>; 2],
}

/// What tells one version of a file from the next; `None` for a file that is not there.
type Stamp = (SystemTime, u64);

/// More than any chain of certificates takes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

impl CertificateHandle {
    /// The certificate's state now.
    pub fn state(&self) -> CertificateState {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).state.clone()
    }
}

impl LiveCertificate {
    /// Loads the files; does blocking I/O.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        // The stamps are taken first, so that a change during the load is seen later.
        let stamps = stamps(&files);
        let (key, state) = load(&files)?;
        Ok(Self { files, current: RwLock::new(Current { key, state, stamps }) })
    }

    /// Looks at the files and takes them into use if they have changed; does blocking I/O.
    fn refresh(&self, stats: &ListenStats) {
        let stamps = stamps(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).stamps == stamps {
            return;
        }
        let loaded = load(&self.files);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.stamps = stamps;
        match loaded {
            Ok((key, state)) => {
                current.key = key;
                current.state = state;
                stats.certificate_reloads.add_one();
                tracing::info!(certificate = %self.files.certificate.display(), "the changed TLS certificate is in use");
            }
            Err(error) => {
                stats.certificate_reload_failures.add_one();
                tracing::warn!(%error, "the changed TLS certificate cannot be used, the one before stays in use");
                current.state.problem = Some(error.to_string());
            }
        }
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

/// Looks at the files every `interval`, for as long as it is polled.
pub(crate) async fn keep_fresh(
    certificate: Arc<LiveCertificate>,
    interval: Duration,
    stats: Arc<ListenStats>,
) {
    loop {
        tokio::time::sleep(interval).await;
        let (certificate, stats) = (Arc::clone(&certificate), Arc::clone(&stats));
        if let Err(error) = tokio::task::spawn_blocking(move || certificate.refresh(&stats)).await {
            tracing::error!(%error, "looking at the TLS certificate files failed");
        }
    }
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn load(files: &TlsFiles) -> Result<(Arc<CertifiedKey>, CertificateState), CertificateError> {
    let (certificate_file, key_file) = (&files.certificate, &files.key);
    let chain = CertificateDer::pem_slice_iter(&read(certificate_file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| CertificateError::Malformed { file: certificate_file.clone(), reason })?;
    let Some(leaf) = chain.first() else {
        return Err(CertificateError::NoCertificate { file: certificate_file.clone() });
    };
    let not_after = expiry::not_after(leaf);
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|reason| match reason {
        pem::Error::NoItemsFound => CertificateError::NoKey { file: key_file.clone() },
        reason => CertificateError::Malformed { file: key_file.clone(), reason },
    })?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|reason| CertificateError::UnusableKey { file: key_file.clone(), reason })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that does not tell its public half cannot be compared; the first handshake will.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(CertificateError::Mismatch {
                certificate: certificate_file.clone(),
                key: key_file.clone(),
            });
        }
        Err(reason) => {
            return Err(CertificateError::UnusableCertificate {
                file: certificate_file.clone(),
                reason,
            });
        }
    }
    Ok((
        Arc::new(certified),
        CertificateState { not_after, loaded_at: SystemTime::now(), problem: None },
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |reason| CertificateError::Unreadable { file: path.to_owned(), reason };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(CertificateError::TooLarge { file: path.to_owned() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_the_file_and_what_is_wrong_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let pair = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (one, other) = (pair(), pair());
        let good = write("good.pem", &one.cert.pem());
        let key = write("key.pem", &one.signing_key.serialize_pem());
        let other_key = write("other-key.pem", &other.signing_key.serialize_pem());
        let empty = write("empty.pem", "");
        let cut = write("cut.pem", &one.cert.pem()[..100]);
        let garbage =
            write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let bad_key =
            write("bad-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let large = write("large.pem", &"x".repeat(1024 * 1024 + 1));
        let missing = directory.path().join("missing.pem");

        let load = |certificate: &PathBuf, key: &PathBuf| {
            LiveCertificate::load(TlsFiles { certificate: certificate.clone(), key: key.clone() })
                .map(|live| CertificateHandle(Arc::new(live)).state())
                .map_err(|error| error.to_string())
        };
        assert!(load(&good, &key).unwrap().not_after.is_some());
        let table: &[(&PathBuf, &PathBuf, &[&str])] = &[
            (&missing, &key, &["cannot read", "missing.pem", "No such file"]),
            (&good, &missing, &["cannot read", "missing.pem"]),
            (&empty, &key, &["empty.pem has no certificate in it"]),
            (&key, &key, &["key.pem has no certificate in it"]),
            (&good, &empty, &["empty.pem has no private key in it"]),
            (&good, &good, &["good.pem has no private key in it"]),
            (&cut, &key, &["cut.pem is not valid PEM"]),
            (&garbage, &key, &["first certificate in", "garbage.pem cannot be used"]),
            (&good, &bad_key, &["private key in", "bad-key.pem cannot be used"]),
            (&good, &other_key, &["other-key.pem does not match", "good.pem"]),
            (&large, &key, &["large.pem is larger than"]),
        ];
        for (certificate, key, expected) in table {
            let error = load(certificate, key).unwrap_err();
            for part in *expected {
                assert!(error.contains(part), "{error} should contain {part}");
            }
        }
    }
}
